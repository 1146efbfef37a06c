"""How old the delta of a night is that is gone on with: what changed after it was extracted is not in it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from migrate.app.status import Status
from migrate.errors import UsageError
from migrate.wording import format_duration

RESUMABLE = timedelta(hours=12)
"""A night is gone on with for so long; nobody keeps shops closed for longer without thinking again."""

TOLD_FROM = timedelta(hours=1)


@dataclass(frozen=True)
class Delta:
    """What the night's delta is as old as, and whether anything of its plan was sent."""

    started: datetime
    was_sent: bool

    def doubt(self, now: datetime) -> str | None:
        """What to know where it is not from just now."""
        age = now - self.started
        if age < TOLD_FROM:
            return None
        begun = f"{self.started:%Y-%m-%d %H:%M} UTC"
        return f"the delta is {told(age)} old, begun at {begun}: what changed since is not sent"


def find_delta(status: Status, night: str) -> Delta | None:
    """The delta of the night of that name, None where it has none yet."""
    begun = [state.started for state in status.snapshots if state.name == night and state.started]
    if not begun:
        return None
    plans = [plan for plan in status.plans if plan.name == night]
    datasets = chain.from_iterable(plan.books.values() for plan in plans)
    was_sent = any(counts.was_sent for counts in datasets)
    return Delta(datetime.fromisoformat(begun[0]), was_sent)


def refuse_old(delta: Delta | None, night: str, base: str, now: datetime) -> None:
    """Nothing, unless the night would now load a delta of long ago for the first time. Raises UsageError."""
    if delta is None or delta.was_sent or now - delta.started <= RESUMABLE:
        return
    raise UsageError(
        f"the delta of night {night!r} is {told(now - delta.started)} old and nothing of it was loaded; what changed "
        "since would be missing",
        hint=f"migrate cutover --since {base} --name ANOTHER makes a new one; to load the old one on purpose: "
        f"migrate load --plan {night}",
    )


def told(age: timedelta) -> str:
    """An age; from two days on in days."""
    return f"{age.days} days" if age.days > 1 else format_duration(age.total_seconds())
