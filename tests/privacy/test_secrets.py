"""Where keys come from, and what is refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import ConfigError
from migrate.privacy.secrets import Secrets, read_secrets, service_of
from tests.harness import Project

POSIX = pytest.mark.skipif(os.name != "posix", reason="modes say nothing elsewhere")
BOTH = "DATATRICS_API_KEY=from-file\nOCTOLIS_API_KEYS=one, two\n"


def env_file(folder: Path, text: str = BOTH, mode: int = 0o600) -> Path:
    """A .env with that text and mode."""
    file = folder / ".env"
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def texts(secrets: Secrets) -> tuple[str, list[str]]:
    """Both services' keys."""
    return secrets.datatrics_key().get_secret_value(), [
        key.get_secret_value() for key in secrets.octolis_keys()
    ]


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    """Each key from the first place that has it, and it is known which; an empty variable is none."""
    found = read_secrets(
        env_file(tmp_path), {"DATATRICS_API_KEY": "from-environment", "OCTOLIS_API_KEYS": " "}
    )
    assert texts(found) == ("from-environment", ["one", "two"])
    assert found.origins == {
        "DATATRICS_API_KEY": "the environment",
        "OCTOLIS_API_KEYS": "the file .env",
    }


@pytest.mark.parametrize(
    "text", ["\ufeff" + BOTH, BOTH.replace("\n", "\r\n"), "export " + BOTH, f"# keys\n\n{BOTH}X=1"]
)
def test_files_as_editors_write_them(tmp_path: Path, text: str) -> None:
    """A byte order mark, Windows line ends, `export`, comments and other variables do no harm."""
    assert texts(read_secrets(env_file(tmp_path, text), {})) == ("from-file", ["one", "two"])


def test_a_key_is_a_literal(tmp_path: Path) -> None:
    """Nothing is put in for a dollar sign."""
    file = env_file(tmp_path, "DATATRICS_API_KEY=a${HOME}b$c\nOCTOLIS_API_KEYS='x#y'\n")
    assert texts(read_secrets(file, {})) == ("a${HOME}b$c", ["x#y"])


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o666, 0o620])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """The file, its mode and the command that fixes it are named; also where the environment has the keys."""
    with pytest.raises(ConfigError, match=f"{mode:04o}") as caught:
        read_secrets(
            env_file(tmp_path, mode=mode), {"DATATRICS_API_KEY": "x", "OCTOLIS_API_KEYS": "y"}
        )
    assert caught.value.hint == f"chmod 600 {tmp_path / '.env'}"
    assert "from-file" not in str(caught.value)


@POSIX
def test_a_file_without_our_keys_is_not_our_business(tmp_path: Path) -> None:
    """Another tool's open .env, an empty one made from the example, or a folder of that name stops nobody."""
    given_keys = {"DATATRICS_API_KEY": "x", "OCTOLIS_API_KEYS": "y"}
    for text in ("COMPOSE_PROJECT_NAME=shop\n", "DATATRICS_API_KEY=\nOCTOLIS_API_KEYS=\n"):
        assert texts(read_secrets(env_file(tmp_path, text, 0o644), given_keys)) == ("x", ["y"])
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").mkdir()
    assert texts(read_secrets(tmp_path / ".env", given_keys)) == ("x", ["y"])


@pytest.mark.parametrize("key", ["has space", "line\nend", "ключ"])
def test_a_key_no_header_can_carry_is_refused_without_showing_it(tmp_path: Path, key: str) -> None:
    """The variable is named, the value is not."""
    with pytest.raises(ConfigError) as caught:
        read_secrets(tmp_path / ".env", {"DATATRICS_API_KEY": key})
    assert "DATATRICS_API_KEY" in caught.value.what
    assert key not in f"{caught.value.what} {caught.value.hint}"


def test_the_same_target_key_twice_is_refused(tmp_path: Path) -> None:
    """Two budgets for one key would break the limits; a comma too many is no key."""
    with pytest.raises(ConfigError, match="twice"):
        read_secrets(tmp_path / ".env", {"OCTOLIS_API_KEYS": "a,b,a"})
    found = read_secrets(tmp_path / ".env", {"OCTOLIS_API_KEYS": ",a,, b,"})
    assert [key.get_secret_value() for key in found.octolis_keys()] == ["a", "b"]


@given(
    places=st.tuples(
        *[st.dictionaries(st.sampled_from(["DATATRICS_API_KEY", "OCTOLIS_API_KEYS"]), st.just("k"))]
        * 2
    )
)
def test_every_key_has_an_origin(
    tmp_path_factory: pytest.TempPathFactory, places: tuple[dict[str, str], ...]
) -> None:
    """Whatever is set where: a key is there exactly when its origin is."""
    environ, in_file = places
    file = env_file(
        tmp_path_factory.mktemp("x"),
        "".join(f"{name}={value}\n" for name, value in in_file.items()),
    )
    found = read_secrets(file, environ)
    assert (
        (found.datatrics is not None)
        == ("DATATRICS_API_KEY" in found.origins)
        == ("DATATRICS_API_KEY" in environ | in_file)
    )
    assert (
        bool(found.octolis)
        == ("OCTOLIS_API_KEYS" in found.origins)
        == ("OCTOLIS_API_KEYS" in environ | in_file)
    )


BACKEND = """
import json, os
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Ring(KeyringBackend):
    priority = 1
    def get_password(self, service, username):
        if os.environ.get("RING_LOCKED"):
            raise KeyringLocked("the-secret-of-the-ring")
        return json.loads(os.environ["RING"]).get(f"{service}/{username}")
    def set_password(self, service, username, password):
        raise AssertionError("keys are only read")
"""
STORED = '{"migrate:demo/DATATRICS_API_KEY": "ring-key-canary", "migrate:other/OCTOLIS_API_KEYS": "not-ours"}'


@pytest.fixture
def ring(bare_project: Project) -> Project:
    """A project that asks the keyring, with a backend of the real library that holds one of its keys."""
    file = bare_project.folder / "migrate.toml"
    file.write_text("keyring = true\n" + file.read_text())
    (bare_project.folder / "ring_for_tests.py").write_text(BACKEND)
    no_keys = {"DATATRICS_API_KEY": "", "OCTOLIS_API_KEYS": ""}
    path = {"PYTHONPATH": str(bare_project.folder), "PYTHON_KEYRING_BACKEND": "ring_for_tests.Ring"}
    bare_project.environ |= {**no_keys, **path, "RING": STORED}
    return bare_project


def key_checks(project: Project, **environ: str) -> dict[str, Mapping[str, str]]:
    """What `check` says of the keys."""
    done = project.run("check", "--json", **environ)
    assert "canary" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return {
        check["name"]: check for check in done.summary["checks"] if check["name"].endswith(" key")
    }


def test_keys_from_the_keyring(ring: Project) -> None:
    """What is stored for this project is used; what is not is named with the command that stores it."""
    found = key_checks(ring)
    assert found["datatrics key"]["text"] == "DATATRICS_API_KEY comes from the system keyring"
    assert found["octolis key"]["level"] == "fail"
    assert found["octolis key"]["hint"] == "keyring set migrate:demo OCTOLIS_API_KEYS"


def test_the_environment_comes_before_the_keyring(ring: Project) -> None:
    """The keyring is asked for what is missing only, and a locked one is no trouble to who needs none of it."""
    found = key_checks(
        ring, DATATRICS_API_KEY="one-of-ours", OCTOLIS_API_KEYS="one-of-theirs", RING_LOCKED="1"
    )
    assert {check["level"] for check in found.values()} == {"pass"}
    assert "from the environment" in found["datatrics key"]["text"]


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        ({"RING_LOCKED": "1"}, "the system keyring cannot be read (KeyringLocked)"),
        (
            {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
            "this machine has no system keyring",
        ),
        (
            {"PYTHON_KEYRING_BACKEND": "not.there"},
            "the system keyring cannot be read (ModuleNotFoundError)",
        ),
    ],
)
def test_a_keyring_that_is_of_no_use(ring: Project, environ: dict[str, str], part: str) -> None:
    """Said with the missing key, with a way out; commands that need no key work."""
    found = key_checks(ring, **environ)["datatrics key"]
    assert found["level"] == "fail"
    assert found["text"] == f"DATATRICS_API_KEY is not set, and {part}"
    assert "environment" in found["hint"]
    assert ring.run("status", **environ).code == 0


def test_without_the_keyring_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an optional extra: how to install it is said, and it is not imported unless it is asked for."""
    monkeypatch.setitem(sys.modules, "keyring", None)
    found = read_secrets(tmp_path / ".env", {}, service_of("1"))
    with pytest.raises(ConfigError, match="not installed") as caught:
        found.datatrics_key()
    assert "[keyring]" in str(caught.value.hint)
    assert read_secrets(tmp_path / ".env", {}).keyring_trouble is None


@pytest.mark.parametrize(
    "text", ["DATATRICS_API_KEY abc", "A=1\nB='x\n", "OCTOLIS_API_KEYS=a\n==\n"]
)
def test_a_line_of_env_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    """It may be the key, mistyped; which line is said, and nothing of what stands there."""
    file = tmp_path / ".env"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match=r"line \d") as caught:
        read_secrets(file, {})
    assert "abc" not in str(caught.value)
