"""The file in which processes tell each other, and those that start later, what they have spent.

The service counts by key and by account, whichever folder a command works in. So the file lies with the user and not in
the workspace: two workspaces that use one key share its windows, and a wait that the service has asked of one is kept
by the other. It holds numbers, and of each key a fingerprint.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout
from pydantic import SecretStr

# The longest window, a minute and a second with its margin, is over by then.
_FORGET_S = 120.0
_LOCK_WAIT_S = 2.0
State = Mapping[str, object]
FALLBACK = "budget.json"
_FORGET_FILE_S = 7 * 86_400


@dataclass(frozen=True)
class ClockReading:
    """Now: seconds of the wall clock, and of the clock that runs since the machine started."""

    wall_s: float
    monotonic_s: float

    def age_s(self, saved: State) -> float:
        """Seconds since a state was saved: the least that one of the clocks says, and neither knows a future.

        A step of the wall clock must not free points; the other clock begins again with the machine. A shared folder
        may show either of another machine: then it waits too long rather than too short.
        """
        ages = [
            self.wall_s - _number(saved, "saved_at"),
            self.monotonic_s - _number(saved, "monotonic_s"),
        ]
        return min((age_s for age_s in ages if age_s >= 0), default=0.0)


class Spent:
    """One process's place in the file. A file that cannot be read or written stops nobody: then nothing is shared."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._name = secrets.token_hex(8)
        # Held for a file of a few kilobytes; a thread of ours is alone here anyhow.
        self._lock = FileLock(file.with_suffix(".lock"), thread_local=False)
        self._seen: object = None
        self._known: dict[str, State] = {}
        self._known_at: object = None
        self._is_lost = False

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """While the block runs no other process looks or tells."""
        try:
            self._lock.acquire(timeout=0.0 if self._is_lost else _LOCK_WAIT_S)
        # the last is what some versions of filelock say of a file system that knows no locks
        except (OSError, Timeout, NotImplementedError):
            self._is_lost = True
        try:
            yield
        finally:
            self._lock.release()

    def news(self, now: ClockReading) -> list[tuple[State, float]] | None:
        """The states of the others with their ages, the newest last; None where nobody has told anything since."""
        mark = self._mark()
        if mark is None or mark == self._seen:
            return None
        self._seen = mark
        others = [state for name, state in self._read().items() if name != self._name]
        return sorted(((state, now.age_s(state)) for state in others), key=lambda known: -known[1])

    def tell(self, state: State, now: ClockReading) -> None:
        """Puts the own state in place of the last one, and leaves out what is over of the others'."""
        every = {
            name: other for name, other in self._read().items() if now.age_s(other) < _kept_s(other)
        }
        every[self._name] = {"saved_at": now.wall_s, "monotonic_s": now.monotonic_s, **state}
        temporary = self._file.with_suffix(".tmp")
        try:
            # Not flushed to disk: after a power cut the machine takes longer to start than the windows last.
            text = json.dumps({"processes": every}, separators=(",", ":"))
            # Written beside it and put in its place: a reader, or a kill, never meets half a file.
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.replace(self._file)
        except OSError:
            return
        self._known = every
        self._known_at = self._mark()
        self._seen = self._known_at

    def _mark(self) -> object:
        try:
            status = self._file.stat()
        except OSError:
            return None
        # Two states told within one tick of the file system's clock may have the same size: the inode differs.
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _read(self) -> dict[str, State]:
        mark = self._mark()
        if mark is None or mark != self._known_at:
            self._known = read_states(self._file)
            self._known_at = mark
        return self._known


def read_states(file: Path) -> dict[str, State]:
    """What each process has told, by its name; nothing where the file is not readable."""
    try:
        processes = json.loads(file.read_text(encoding="utf-8"))["processes"]
        return {
            name: state
            for name, state in processes.items()
            if isinstance(state, dict) and _number(state, "saved_at")
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _kept_s(state: State) -> float:
    """Seconds after which nothing of a state counts any more."""
    keys = state.get("keys")
    if isinstance(keys, list):
        pauses = [_number(key, "paused_s") for key in keys if isinstance(key, dict)]
    else:
        pauses = []
    return max([_FORGET_S, *pauses])


def _number(values: Mapping[str, object], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def windows_file(base_url: str, workspace: Path) -> Path:
    """The file for the service at `base_url`; in the workspace where the user's own folder cannot be written to."""
    folder = Path(platformdirs.user_state_dir("migrate", appauthor=False)) / "points"
    own = workspace / FALLBACK
    if not folder.is_absolute():  # nobody's home
        return own
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:
        return own
    if not os.access(folder, os.W_OK | os.X_OK):
        return own
    _forget_old(folder)
    name = hashlib.blake2b(base_url.rstrip("/").encode(), digest_size=8).hexdigest()
    return folder / f"{name}.json"


def _forget_old(folder: Path) -> None:
    """Removes the files of services that nobody has asked for a week, such as sandboxes of the past."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if file.stat().st_mtime < time.time() - _FORGET_FILE_S:
                file.unlink(missing_ok=True)


def fingerprints(keys: Sequence[SecretStr]) -> tuple[str, ...]:
    """What stands for each key in the file: enough to tell keys apart, and nothing to ask the service with."""
    return tuple(
        hashlib.blake2b(
            key.get_secret_value().encode(), digest_size=8, person=b"migrate-points"
        ).hexdigest()
        for key in keys
    )


def lift_waits(file: Path, names: Collection[str]) -> int:
    """Takes back the waits that the service has asked of these keys, after it has told a person otherwise.

    Gives how many there were. What was spent stays counted.
    """
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        processes = [one for one in saved["processes"].values() if isinstance(one, dict)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0
    lifted = 0
    for state in processes:
        pauses = zip(state.get("names", ()), state.get("keys", ()), strict=False)
        for name, key in pauses:
            if name in names and key.get("paused_s"):
                key["paused_s"] = 0
                lifted += 1
    if lifted:
        temporary = file.with_suffix(".lift")
        temporary.write_text(json.dumps(saved), encoding="utf-8", newline="\n")
        temporary.replace(file)
    return lifted
