"""What a delta snapshot holds, in one sentence and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from migrate.snapshot.layout import ResourceResult


def summarise_delta(base: str, results: Mapping[str, ResourceResult]) -> dict[str, Any]:
    """The base, and over all resources the records that are new, changed, unchanged and gone; None where unknown."""
    deltas = [result.delta for result in results.values() if result.delta]
    counts: dict[str, int | None] = {}
    for name in ("new", "changed", "unchanged", "gone"):
        known = [count for delta in deltas if (count := getattr(delta, name)) is not None]
        # A sum without one of the resources would look like the whole.
        counts[name] = sum(known) if len(known) == len(deltas) else None
    return {"base": base, **counts}


def render_delta(name: str, base: str, results: Mapping[str, ResourceResult]) -> str:
    """`Delta B on A: 1,234 records of 1,000,000 (1,000 new, 234 changed), 5 gone.`"""
    summary = summarise_delta(base, results)
    new, changed, unchanged, gone = (
        summary[name] for name in ("new", "changed", "unchanged", "gone")
    )
    if new is None or changed is None or unchanged is None:
        records = sum(result.distinct for result in results.values())
        return f"Delta {name} on {base}: {records:,} records; which of them are new, and what is gone, is not known."
    head = f"Delta {name} on {base}: {new + changed:,} records of {new + changed + unchanged:,}"
    return f"{head} ({new:,} new, {changed:,} changed), {gone or 0:,} gone."
