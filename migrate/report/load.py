"""What a load did, for a terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrate.report.terminal import format_duration, render_table

if TYPE_CHECKING:
    from migrate.load.loader import LoadResult

_KEYS = (
    "planned", "sent", "written", "created", "updated", "merged", "rejected", "deferred", "protected", "altered",
    "requests", "throttled_429", "busy_423", "seconds",
)  # fmt: skip
_SHOWN = ("planned", "written", "created", "updated", "merged", "rejected", "deferred", "altered", "requests")


def left_behind(result: LoadResult) -> bool:
    """True when a record was refused or deferred."""
    return any(dataset.rejected or dataset.deferred for dataset in result.datasets.values())


def summarise_load(result: LoadResult) -> dict[str, Any]:
    """The load's part of the JSON object (contract §6); sums over all calls for this plan."""
    return {
        "plan": result.plan,
        "datasets": {name: {key: getattr(d, key) for key in _KEYS} for name, d in result.datasets.items()},
    }


def render_load(result: LoadResult) -> str:
    """A table with one line per dataset, and what the service made of our pace."""
    rows = [
        [name, *(getattr(d, key) for key in _SHOWN), format_duration(d.seconds)] for name, d in result.datasets.items()
    ]
    throttled = sum(d.throttled_429 for d in result.datasets.values())
    busy = sum(d.busy_423 for d in result.datasets.values())
    lines = [f"Plan {result.plan} loaded", "", render_table(["dataset", *_SHOWN, "time"], rows)]
    lines += ["", f"Refused for pace (429): {throttled:,}. Dataset busy (423): {busy:,}."]
    protected = sum(d.protected for d in result.datasets.values())
    if protected:
        lines.append(f"{protected:,} values were not stored: their columns do not accept writes (protected).")
    return "\n".join(lines)
