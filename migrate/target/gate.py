"""The budget shared by threads: waits for a grant, and keeps on disk what a restart must know."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from migrate.errors import GaveUp, Interrupted
from migrate.target.budget import Budget, Grant, Wait
from migrate.target.spent import ClockReading, Spent, State, read_states

# The stop event wakes nobody who waits for the condition, so it is asked for now and then.
_STOP_CHECK_S = 0.2
# A date after the year 9999 cannot be formed, and the message needs one.
_LONGEST_NAMED_S = 1e9


class Gate:
    """Gives leave to send. Thread-safe.

    **Guarantees**: what a grant costs is in `state_file` before the request may leave, so that no process beside this
    one, and none that starts later (also after a kill), spends the same points again. A missing or unreadable file
    means a fresh budget: the service's refusals correct that. A pause that the service asked for and that is longer
    than `longest_pause_s` is not waited for by anybody.
    """

    def __init__(
        self,
        budget: Budget,
        stop: threading.Event,
        state_file: Path | None = None,
        *,
        longest_pause_s: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._budget = budget
        self._stop = stop
        self._spent = Spent(state_file) if state_file else None
        self._clock = clock
        self._wall_clock = wall_clock
        self._longest_pause_s = longest_pause_s
        self._recalls = 0
        self._is_closed = False
        self._changed = threading.Condition()
        if self._spent is not None:
            self._begin(self._spent)

    def acquire(self, cost: int, without: Collection[int] = ()) -> Grant:
        """Waits until `cost` points are free and takes them, of a key that is not among `without`.

        **Raises**: Interrupted as soon as the stop event is set or the waiting is recalled; GaveUp when no key may ask
        again within `longest_pause_s`, also to those who wait already.
        """
        with self._changed:
            recalls = self._recalls
            while not self._is_over(recalls):
                answer = self._reserve(cost, without)
                if isinstance(answer, Grant):
                    return answer
                now = self._clock()
                self._refuse_pause(self._budget.paused_s(now))
                self._changed.wait(max(0.0, min(answer.until - now, _STOP_CHECK_S)))
        raise Interrupted("interrupted while waiting for points")

    def sleep(self, seconds: float) -> None:
        """Waits so long. Raises Interrupted as soon as the stop event is set or the waiting is recalled."""
        end = time.monotonic() + seconds
        with self._changed:
            recalls = self._recalls
            while (left_s := end - time.monotonic()) > 0:
                if self._is_over(recalls):
                    raise Interrupted("interrupted while waiting to ask again")
                self._changed.wait(min(left_s, _STOP_CHECK_S))

    def recall(self) -> None:
        """Ends the waiting of all who wait now."""
        with self._changed:
            self._recalls += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all waiting, now and from now on."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _is_over(self, recalls: int) -> bool:
        return self._is_closed or self._stop.is_set() or self._recalls != recalls

    def _refuse_pause(self, paused_s: float) -> None:
        if paused_s <= self._longest_pause_s:
            return
        end = datetime.fromtimestamp(self._wall_clock() + min(paused_s, _LONGEST_NAMED_S), UTC)
        raise GaveUp(
            f"Octolis asked to wait another {paused_s:.0f} s; retry_budget_s allows {self._longest_pause_s:.0f} s",
            hint=f"nothing is lost: give the same command again after {end:%Y-%m-%d %H:%M:%S} UTC; where the "
            "service has taken that back: migrate check --lift-waits",
        )

    def settled(
        self,
        grant: Grant,
        *,
        started: float,
        ended: float,
        refused: bool,
        retry_after_s: float | None = None,
    ) -> None:
        """The request of `grant` is over; see `Budget.settled`."""
        with self._changed:
            self._budget.settled(
                grant, started=started, ended=ended, refused=refused, retry_after_s=retry_after_s
            )
            # The service counts by key: no other command may ask into a wait that this one was told of.
            if refused and self._spent is not None:
                with self._spent.alone():
                    self._tell(self._spent)
            self._changed.notify_all()

    def points_left(self) -> int:
        """The points that may be spent at once."""
        with self._changed:
            return self._budget.points_left(self._clock())

    def paused_s(self) -> float:
        """Seconds until the service lets at least one key ask again."""
        with self._changed:
            return self._budget.paused_s(self._clock())

    def _reserve(self, cost: int, without: Collection[int]) -> Grant | Wait:
        if self._spent is None:
            return self._budget.reserve(cost, self._clock(), without)
        with self._spent.alone():
            self._look(self._spent)
            answer = self._budget.reserve(cost, self._clock(), without)
            if isinstance(answer, Grant):
                self._tell(self._spent)
        return answer

    def _look(self, spent: Spent) -> Sequence[tuple[State, float]]:
        """Counts what others hold, where they have told anything since; gives what was counted."""
        news = spent.news(self._now())
        if news is None:
            return ()
        try:
            self._budget.adopt(news, self._clock())
        except (ValueError, TypeError, KeyError):
            return ()
        return news

    def _tell(self, spent: Spent) -> None:
        spent.tell(self._budget.state(self._clock()), self._now())

    def _begin(self, spent: Spent) -> None:
        with spent.alone():
            news = self._look(spent)
            if news:
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    self._budget.learn(news[-1][0])

    def _now(self) -> ClockReading:
        return ClockReading(self._wall_clock(), self._clock())


def read_points_left(
    state_file: Path,
    now: float,
    keys: int,
    speed: float,
    account_share: float,
    names: Sequence[str] = (),
) -> int | None:
    """The points that may be spent beside all other processes, None where none has left word. `now`: wall time."""
    budget = Budget(keys, speed, account_share, names)
    moment = ClockReading(now, time.monotonic())
    states = [(state, moment.age_s(state)) for state in read_states(state_file).values()]
    try:
        budget.adopt(states, 0.0)
    except (ValueError, TypeError, KeyError):
        return None
    return budget.points_left(0.0) if states else None
