"""The API keys: where they may come from, and values that never show them.

A key is looked for in the environment, then in a file `.env` beside the project file, then, where the project file says
`keyring = true`, in the system's keyring. The keyring is asked for on purpose only, since on a machine without a
desktop it may wait for a dialogue that nobody sees.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from pydantic import BaseModel, ConfigDict, SecretStr

from migrate.errors import ConfigError
from migrate.plain_file import read_plain

SOURCE_NAME = "DATATRICS_API_KEY"
TARGET_NAME = "OCTOLIS_API_KEYS"
NAMES = (SOURCE_NAME, TARGET_NAME)
SANDBOX_CONTROL_NAME = "SANDBOX_TOKEN"
_SANDBOX_NAMES = (*NAMES, SANDBOX_CONTROL_NAME)
_NEW_KEY_BYTES = 32
_HINT = "set it in the environment, or in a file .env beside migrate.toml (see .env.example)"


@dataclass(frozen=True)
class SandboxKeys:
    """What opens a sandbox: the source's key, the target's, and the token of its control paths."""

    datatrics: str = field(repr=False)
    octolis: tuple[str, ...] = field(repr=False)
    control: str = field(repr=False)
    given: frozenset[str] = frozenset()
    """The variables of which it was set by somebody: they may be a service's, and are never printed."""

    def environ(self) -> dict[str, str]:
        """How another process is told of them: nothing of it stands in a list of processes."""
        return {
            SOURCE_NAME: self.datatrics,
            TARGET_NAME: ",".join(self.octolis),
            SANDBOX_CONTROL_NAME: self.control,
        }


class Secrets(BaseModel):
    """The API keys; `repr` and errors never show them.

    `others`: what further variables hold that the project file names, such as another target's keys. `origins` says
    where each came from, by name; `keyring_trouble` why the keyring was of no use, and what to do.
    """

    # Without it pydantic shows the input, which is the key, in its error.
    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    datatrics: SecretStr | None = None
    octolis: tuple[SecretStr, ...] = ()
    others: Mapping[str, tuple[SecretStr, ...]] = {}
    origins: Mapping[str, str] = {}
    keyring_trouble: tuple[str, str] | None = None
    target_name: str = TARGET_NAME

    def datatrics_key(self) -> SecretStr:
        """The source's key. Raises ConfigError when there is none."""
        if self.datatrics is None:
            raise self._missing(SOURCE_NAME)
        return self.datatrics

    def octolis_keys(self) -> tuple[SecretStr, ...]:
        """The target's keys, at least one. Raises ConfigError when there is none."""
        if not self.octolis:
            raise self._missing(self.target_name)
        return self.octolis

    def texts(self) -> list[str]:
        """The keys as they are, for what must find and remove them."""
        others = list(chain.from_iterable(self.others.values()))
        every = (self.datatrics, *self.octolis, *others)
        return [key.get_secret_value() for key in every if key is not None]

    def with_target(self, name: str) -> Secrets:
        """The same with the keys of the variable `name` as the target's; none where nobody has set it."""
        if name in self.origins:
            origin = {TARGET_NAME: f"{name}, {self.origins[name]}"}
        else:
            origin = {}
        return self.model_copy(
            update={
                "octolis": self.others.get(name, ()),
                "origins": {**self.origins, **origin},
                "target_name": name,
            }
        )

    def _missing(self, name: str) -> ConfigError:
        if self.keyring_trouble is None:
            return ConfigError(f"{name} is not set", hint=_HINT)
        what, hint = self.keyring_trouble
        return ConfigError(f"{name} is not set, and {what}", hint=hint)


def service_of(project_id: str) -> str:
    """The name under which the keyring keeps a project's keys; one customer's are never tried on another's account."""
    return f"migrate:{project_id}"


def read_secrets(
    env_file: Path,
    environ: Mapping[str, str],
    keyring_service: str | None = None,
    others: Collection[str] = (),
) -> Secrets:
    """The keys, each from the first place that has it; the keyring is asked where its service is named.

    `others`: further variables to read, each with one secret or several with commas.

    **Raises**: ConfigError for a `.env` with keys that others can read, and for a key that no header could carry.
    """
    # In the order in which they count, the last place first.
    names = tuple(dict.fromkeys((*NAMES, *others)))
    places = {"the file .env": _read_env_file(env_file, names), "the environment": environ}
    secrets = {
        name: (place, values[name])
        for place, values in places.items()
        for name in _set_in(values, names)
    }
    trouble = None
    missing = [name for name in names if name not in secrets]
    if keyring_service is not None and missing:
        stored, trouble = _ask_keyring(keyring_service, missing)
        secrets |= {name: ("the system keyring", value) for name, value in stored.items()}
    keys = {name: _checked(name, value) for name, (_, value) in secrets.items()}
    hidden = {name: tuple(SecretStr(key) for key in texts) for name, texts in keys.items()}
    return Secrets(
        datatrics=next(iter(hidden.get(SOURCE_NAME, ())), None),
        octolis=hidden.get(TARGET_NAME, ()),
        others={name: hidden[name] for name in others if name in hidden},
        origins={name: place for name, (place, _) in secrets.items()},
        keyring_trouble=trouble,
    )


def read_sandbox_keys(env_file: Path, environ: Mapping[str, str], count: int) -> SandboxKeys:
    """The keys that a sandbox takes: those set for it, and for the rest new ones that nobody can guess.

    Raises ConfigError like `read_secrets`.
    """
    values = {**_read_env_file(env_file), **environ}
    known = {name: _checked(name, values[name]) for name in _set_in(values)}
    new = new_sandbox_keys(count)
    return SandboxKeys(
        datatrics=known.get(SOURCE_NAME, [new.datatrics])[0],
        octolis=tuple(known.get(TARGET_NAME, new.octolis)),
        control=known.get(SANDBOX_CONTROL_NAME, [new.control])[0],
        given=frozenset(known),
    )


def new_sandbox_keys(count: int) -> SandboxKeys:
    """Keys for one run of a sandbox, `count` of them for the target."""
    return SandboxKeys(_new_key(), tuple(_new_key() for _ in range(count)), _new_key())


def _new_key() -> str:
    # Of signs that need no quotes in a header, a URL and a file .env.
    return secrets.token_urlsafe(_NEW_KEY_BYTES)


def _set_in(values: Mapping[str, str | None], names: Collection[str] = _SANDBOX_NAMES) -> list[str]:
    return [name for name in names if (values.get(name) or "").strip()]


def _read_env_file(file: Path, names: Collection[str] = _SANDBOX_NAMES) -> Mapping[str, str]:
    from dotenv.parser import parse_stream

    try:
        mode = file.stat().st_mode
        # Not simply opened: a pipe in the file's place would be waited for without end.
        text = read_plain(file).decode("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError):
        return {}  # a folder `.env` is some tool's own environment
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}",
            hint="it must be a text file in UTF-8 that you may read",
        ) from None
    values: dict[str, str | None] = {}
    # The parser itself, and not what the library makes of it: it passes over a line that it cannot read, with a word on
    # stderr, and `$` has a meaning there. A key is a literal.
    for statement in parse_stream(io.StringIO(text)):
        if statement.error:
            raise ConfigError(
                f"{file}, line {statement.original.line}: this is no NAME=value",
                hint="write one NAME=value a line; a value with a quote in it in the other quotes",
            )
        if statement.key is not None:
            values[statement.key] = statement.value
    if _set_in(values, {*_SANDBOX_NAMES, *names}) and _is_open_to_others(mode):
        raise ConfigError(
            f"{file} holds keys and can be read by others (mode {stat.S_IMODE(mode):04o})",
            hint=f"chmod 600 {file}",
        )
    return {name: value for name, value in values.items() if value}


def _is_open_to_others(mode: int) -> bool:
    # Elsewhere than on POSIX systems the bits say nothing about who may read a file.
    return os.name == "posix" and bool(mode & 0o077)


def _ask_keyring(
    service: str, names: Sequence[str]
) -> tuple[dict[str, str], tuple[str, str] | None]:
    """What the keyring has of `names`, or why it was of no use and what to do about it."""
    try:
        # An extra, which is not installed everywhere.
        import keyring
        from keyring.errors import NoKeyringError
    except ImportError:
        text = "keyring = true in migrate.toml needs a package that is not installed"
        return {}, (
            text,
            "pip install 'migrate-datatrics-octolis[keyring]', or set the key in the environment",
        )
    try:
        stored = {name: keyring.get_password(service, name) for name in names}
    except NoKeyringError:
        return {}, (
            "this machine has no system keyring",
            "set it in the environment or in .env instead",
        )
    except Exception as error:  # noqa: BLE001  # each system's keyring fails with errors of its own
        text = f"the system keyring cannot be read ({type(error).__name__})"
        return {}, (text, "unlock it, or set the key in the environment")
    keys = {name: stored[name] or "" for name in _set_in(stored, names)}
    absent = [name for name in names if name not in keys]
    if not absent:
        return keys, None
    return keys, (
        f"the system keyring has none for {service}",
        f"keyring set {service} {absent[0]}",
    )


def _checked(name: str, value: str) -> list[str]:
    """The keys in a variable's text. Raises ConfigError without showing one."""
    if name in (SOURCE_NAME, SANDBOX_CONTROL_NAME):
        texts = [value]
    else:
        texts = value.split(",")
    keys = [key for text in texts if (key := text.strip())]
    for key in keys:
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise ConfigError(
                f"{name} holds characters that no API key has (spaces, line ends or accents)",
                hint="copy the key again, without quotes or blanks in it",
            )
    # The target counts points by key: one named twice would be paced at twice its limit, and refused.
    if len(set(keys)) != len(keys):
        raise ConfigError(
            f"{name} names the same key twice", hint="each key has a budget of its own once"
        )
    return keys
