"""What a load will cost at the documented limits. Pure.

A sandbox may be told to run its limits faster; the forecast is for the real service all the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrate.config import Project
from migrate.plan.document import Forecast
from migrate.target.forecast import forecast

POINTS_A_BATCH = 10
"""Source: Octolis Data API, "Rate limits": a write costs 10 points, a read 1."""

_SHOWN_KEYS = 3


def minutes_of(batches: int, project: Project) -> float:
    """Minutes to send `batches` with the project's keys (one, where it has none yet)."""
    return _minutes(batches, 0, max(1, len(project.secrets.octolis)), project)


def forecast_cost(batches: Sequence[int], project: Project) -> Forecast:
    """The cost of all datasets together: their batches, and one count before the first write of each."""
    counts = sum(1 for number in batches if number)
    writes = sum(batches)
    most = max(_SHOWN_KEYS, len(project.secrets.octolis))
    return Forecast(
        requests=writes + counts,
        points=writes * POINTS_A_BATCH + counts,
        minutes_by_keys={keys: _minutes(writes, counts, keys, project) for keys in range(1, most + 1)},
    )


def _minutes(batches: int, reads: int, keys: int, project: Project) -> float:
    return round(forecast(batches, reads, keys, account_share=project.octolis.account_share) / 60, 2)
