"""The file in which the processes of a workspace tell each other, and those that start later, what they have spent."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

_FORGET_S = 120.0
_LOCK_WAIT_S = 2.0
State = Mapping[str, object]


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
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.replace(self._file)
        except OSError:
            return
        self._known, self._known_at = every, self._mark()
        self._seen = self._known_at

    def _mark(self) -> object:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, State]:
        mark = self._mark()
        if mark is None or mark != self._known_at:
            self._known, self._known_at = read_states(self._file), mark
        return self._known


def read_states(file: Path) -> dict[str, State]:
    """What each process has told, by its name; nothing where the file is not readable."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["processes"]
        return {
            name: state
            for name, state in found.items()
            if isinstance(state, dict) and _number(state, "saved_at")
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _kept_s(state: State) -> float:
    """Seconds after which nothing of a state counts any more."""
    keys = state.get("keys")
    pauses = (
        [_number(key, "paused_s") for key in keys if isinstance(key, dict)]
        if isinstance(keys, list)
        else []
    )
    return max([_FORGET_S, *pauses])


def _number(values: Mapping[str, object], name: str) -> float:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) else 0.0
