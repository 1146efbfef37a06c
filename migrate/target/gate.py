"""The budget shared by threads: waits for a grant, and keeps on disk what a restart must know."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

from migrate.errors import Interrupted
from migrate.target.budget import Budget, Grant

_STOP_CHECK_S = 0.2


class Gate:
    """Gives leave to send. Thread-safe.

    **Guarantees**: what a grant costs is in `state_file` before the request may leave, with the wall time, so that a
    process that starts later (also after a kill) does not spend the same points again. A missing or unreadable file
    means a fresh budget: the service's refusals correct that.
    """

    def __init__(
        self,
        budget: Budget,
        stop: threading.Event,
        state_file: Path | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._budget = budget
        self._stop = stop
        self._file = state_file
        self._clock = clock
        self._wall_clock = wall_clock
        self._changed = threading.Condition()
        self._restore()

    def acquire(self, cost: int) -> Grant:
        """Waits until `cost` points are free and takes them. Raises Interrupted as soon as the stop event is set."""
        with self._changed:
            while not self._stop.is_set():
                now = self._clock()
                answer = self._budget.reserve(cost, now)
                if isinstance(answer, Grant):
                    self._save(now)
                    return answer
                self._changed.wait(min(answer.until - now, _STOP_CHECK_S))
        raise Interrupted("interrupted while waiting for points")

    def settled(
        self, grant: Grant, *, started: float, ended: float, refused: bool, retry_after_s: float | None = None
    ) -> None:
        """The request of `grant` is over; see `Budget.settled`."""
        with self._changed:
            self._budget.settled(grant, started=started, ended=ended, refused=refused, retry_after_s=retry_after_s)
            if refused:
                self._save(self._clock())
            self._changed.notify_all()

    def points_left(self) -> int:
        """The points that may be spent at once."""
        with self._changed:
            return self._budget.points_left(self._clock())

    def paused_s(self) -> float:
        """Seconds until the service lets at least one key ask again."""
        with self._changed:
            return self._budget.paused_s(self._clock())

    def _save(self, now: float) -> None:
        if self._file is None:
            return
        state = {"saved_at": self._wall_clock(), **self._budget.state(now)}
        temporary = self._file.with_suffix(".tmp")
        try:
            # Not flushed to disk: after a power cut the machine takes longer to start than the windows last.
            temporary.write_text(json.dumps(state, separators=(",", ":")), encoding="utf-8", newline="\n")
            temporary.replace(self._file)
        except OSError:
            self._file = None

    def _restore(self) -> None:
        if self._file is None:
            return
        try:
            state = json.loads(self._file.read_text(encoding="utf-8"))
            age_s = self._wall_clock() - float(state["saved_at"])
            self._budget.restore(state, self._clock(), age_s)
        except (OSError, ValueError, TypeError, KeyError):
            return


def read_points_left(state_file: Path, now: float, keys: int, speed: float, account_share: float) -> int | None:
    """The points that a process beside this one may spend at once, None where it has left no word. `now`: wall time."""
    budget = Budget(keys, speed, account_share)
    try:
        state = json.loads(state_file.read_text(encoding="utf-8"))
        budget.restore(state, 0.0, now - float(state["saved_at"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return budget.points_left(0.0)
