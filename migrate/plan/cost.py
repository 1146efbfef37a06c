"""What a load will cost at the documented limits. Pure.

A sandbox may be told to run its limits faster; the forecast is for the real service all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrate.config import Project
from migrate.plan.document import Forecast, Stretch
from migrate.target.budget import forecast

POINTS_A_BATCH = 10
"""Source: Octolis Data API, "Rate limits": a write costs 10 points, a read 1."""

# Two keys reach the account's limit; the third shows that more add nothing.
_SHOWN_KEYS = 3


def minutes_of(batches: int, project: Project) -> float:
    """Minutes to send `batches` with the project's keys (one, where it has none yet)."""
    return _minutes(batches, 0, max(1, len(project.secrets.octolis)), project)


def forecast_cost(batches: Mapping[str, int], project: Project) -> Forecast:
    """The cost of all datasets together: their batches, and one count before the first write of each.

    `batches` are in the order of loading: the timeline says when each dataset begins and ends.
    """
    # A dataset that nothing is sent to is not counted either.
    counts = sum(1 for number in batches.values() if number)
    writes = sum(batches.values())
    most = max(_SHOWN_KEYS, len(project.secrets.octolis))
    timeline = _timeline(batches, range(1, most + 1), project)
    return Forecast(
        requests=writes + counts,
        points=writes * POINTS_A_BATCH + counts,
        minutes_by_keys=timeline[-1].ends if timeline else dict.fromkeys(range(1, most + 1), 0.0),
        account_share=project.octolis.account_share,
        timeline=timeline,
    )


def _timeline(
    batches: Mapping[str, int], keys: Iterable[int], project: Project
) -> tuple[Stretch, ...]:
    stretches: list[Stretch] = []
    begun = dict.fromkeys(keys, 0.0)
    writes = counts = 0
    for dataset, number in batches.items():
        if number:
            writes = writes + number
            counts = counts + 1
            ends = {count: _minutes(writes, counts, count, project) for count in begun}
            points = number * POINTS_A_BATCH + 1
            stretches.append(
                Stretch(
                    dataset=dataset, requests=number + 1, points=points, starts=begun, ends=ends
                )
            )
            begun = ends
    return tuple(stretches)


def _minutes(batches: int, reads: int, keys: int, project: Project) -> float:
    return round(
        forecast(batches, reads, keys, account_share=project.octolis.account_share) / 60, 2
    )
