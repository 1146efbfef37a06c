"""When a load would be done that rests in the quiet hours, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from migrate.hours import DailyHours, SendingHours

if TYPE_CHECKING:
    from migrate.plan.document import Forecast


def summarise_hours(
    forecast: Forecast, quiet: Sequence[DailyHours], start: datetime
) -> dict[str, Any] | None:
    """When a load begun at `start` would send and be done, by number of keys; None without quiet hours."""
    if not quiet:
        return None
    hours = SendingHours(quiet=quiet)
    ends = {
        keys: hours.done_at(start, minutes * 60).isoformat(timespec="minutes")
        for keys, minutes in forecast.minutes_by_keys.items()
    }
    return {
        "quiet_hours": [entry.told for entry in quiet],
        "begins": hours.opens_at(start).isoformat(timespec="minutes"),
        "ends_by_keys": ends,
    }


def render_hours(forecast: Forecast, quiet: Sequence[DailyHours], start: datetime) -> list[str]:
    """One line, or none without quiet hours."""
    if not quiet:
        return []
    hours = SendingHours(quiet=quiet)
    ends = ", ".join(
        f"{hours.done_at(start, minutes * 60).astimezone():%a %Y-%m-%d %H:%M} with {keys} "
        f"key{'' if keys == 1 else 's'}"
        for keys, minutes in forecast.minutes_by_keys.items()
    )
    ranges = ", ".join(entry.told for entry in quiet)
    opens = hours.opens_at(start).astimezone()
    return [
        f"Nothing is sent in the quiet hours {ranges}: begun now, it sends from {opens:%H:%M} and is done {ends}."
    ]
