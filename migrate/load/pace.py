"""How fast a load goes and how long it will take: from the ledger and the budget, so that a restart changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from migrate.load.totals import Totals
from migrate.target.budget import forecast

_ENOUGH_REQUESTS = 20


@dataclass(frozen=True)
class Means:
    """What a load may spend: keys, its share of the account, and how much faster than documented the limits run."""

    keys: int
    account_share: float = 1.0
    speed: float = 1.0


def remaining_s(totals: Iterable[Totals], means: Means) -> float:
    """Seconds until everything is sent: at the documented limits, or at the pace so far where that is slower."""
    known = list(totals)
    batches = sum(entry.batches - entry.batches_done for entry in known)
    if not batches:
        return 0.0
    at_best_s = forecast(
        batches, 0, means.keys, speed=means.speed, account_share=means.account_share
    )
    requests = sum(entry.requests for entry in known)
    if requests < _ENOUGH_REQUESTS:
        return at_best_s
    # Without the waiting for busy datasets: that says nothing of how fast a free one goes.
    working_s = sum(entry.seconds - entry.busy_s for entry in known)
    return max(at_best_s, batches * working_s / requests)


def describe_pace(
    done: int,
    planned: int,
    rate: float,
    points: int | None,
    left_s: float,
    parked: Sequence[str] = (),
) -> str:
    """One line for a person who waits. `parked`: datasets that are busy: nobody knows when they will be free."""
    parts = [f"{done:,} of {planned:,} records", f"{rate:,.0f} records/s"]
    if points is not None:
        parts.append(f"{points:,} points left now")
    minutes, seconds = divmod(round(left_s), 60)
    if minutes:
        left = f"about {minutes} min {seconds:02d} s to go"
    else:
        left = f"about {seconds} s to go"
    if parked:
        is_free = "it is free" if len(parked) == 1 else "they are free"
        left = f"busy (423): {', '.join(parked)}; {left} once {is_free}"
    parts.append(left)
    return ", ".join(parts)
