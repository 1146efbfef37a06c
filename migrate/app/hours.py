"""A load within its hours: it waits for them to begin, and stops as for Ctrl-C when they end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migrate.errors import Interrupted
from migrate.hours import SendingHours

if TYPE_CHECKING:
    from migrate.app.context import Context

SETTLE_S = 10.0
"""So long before its hours end a load sends nothing more, that what is in flight is settled in time."""
_LOOK_S = 0.25
# In short waits, since the clock may be put forward or the machine may sleep meanwhile.
_LONGEST_WAIT_S = 30.0


class HourStop(threading.Event):
    """Set when the job is asked to stop, or when its hours are over or nearly so; see `SETTLE_S`."""

    def __init__(
        self, stop: threading.Event, hours: SendingHours, now: Callable[[], datetime]
    ) -> None:
        super().__init__()
        self._stop, self._hours, self._now = stop, hours, now
        self.look_s = _LOOK_S
        self._looked_at = float("-inf")
        self._is_over = False

    def is_set(self) -> bool:
        """Whether nothing more may be sent."""
        return self._stop.is_set() or self.is_over()

    def set(self) -> None:
        """Asks the job to stop."""
        self._stop.set()

    def is_over(self) -> bool:
        """Whether the hours are over; looked up at most four times a second, and final."""
        looked_at = time.monotonic()
        if not self._is_over and looked_at - self._looked_at >= self.look_s:
            self._looked_at = looked_at
            self._is_over = self._hours.is_over(self._now() + timedelta(seconds=SETTLE_S))
        return self._is_over

    def wait(self, timeout: float | None = None) -> bool:
        """Waits so many seconds, or until it is set. Returns whether it is."""
        if timeout is None:
            ends_at = float("inf")
        else:
            ends_at = time.monotonic() + timeout
        while not self.is_set() and (left_s := ends_at - time.monotonic()) > 0:
            # In pieces, since the hours may end while a long pause of the service is waited for.
            self._stop.wait(min(left_s, _LOOK_S))
        return self.is_set()


def wait_for_hours(context: Context, hours: SendingHours, again: str) -> bool:
    """Waits until something may be sent; whether it had to. `again`: the command that goes on.

    **Raises**: Interrupted when the job is asked to stop meanwhile.
    """
    now = context.now()
    opens = hours.opens_at(now)
    if opens <= now:
        return False
    context.progress.note(f"nothing is sent before {_told(opens)}; Ctrl-C ends the wait")
    while (left_s := (opens - context.now()).total_seconds()) > 0:
        if context.stop.wait(min(left_s, _LONGEST_WAIT_S)):
            raise Interrupted("interrupted before anything was sent", hint=again)
    context.progress.note("the hours in which it may send have begun")
    return True


@contextmanager
def within_hours(context: Context, hours: SendingHours, plan: str, again: str) -> Iterator[Context]:
    """What is given to work that sends: it waits for its hours before the block, and stops when they end.

    `again`: the command that goes on. **Raises**: Interrupted where the work did not come to its end within them.
    """
    wait_for_hours(context, hours, again)
    stop = HourStop(context.stop, hours, context.now)
    try:
        yield replace(context, stop=stop)
    except Interrupted:
        # A user who stops it is told that, even where the hours have ended too.
        if not stop.is_over() or context.stop.is_set():
            raise
        raise stopped_for_hours(plan, hours, context.now(), again) from None


def stopped_for_hours(plan: str, hours: SendingHours, now: datetime, again: str) -> Interrupted:
    """Why a load has stopped although nobody asked it to, and the command that goes on."""
    # Of the quiet hours alone: `--until` was of this one command.
    opens = SendingHours(quiet=hours.quiet).opens_at(now + timedelta(seconds=SETTLE_S))
    if opens > now:
        when = f"; it may send again at {_told(opens)}"
    else:
        when = ""
    return Interrupted(
        f"load of plan {plan} stopped: its hours are over{when}. What was in flight is settled, and what was "
        "acknowledged is recorded",
        hint=again,
    )


def _told(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"
