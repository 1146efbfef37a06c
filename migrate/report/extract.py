"""What an extract found, for a terminal and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrate.report.html import NOT_MIGRATED
from migrate.report.terminal import format_duration, render_table

if TYPE_CHECKING:
    from migrate.source.extract import Extraction


def summarise_extraction(extraction: Extraction) -> dict[str, Any]:
    """The extract's part of the JSON object (contract §6)."""
    return {
        "snapshot": extraction.snapshot,
        "resources": {
            name: {
                "announced": result.announced,
                "received": result.received,
                "distinct": result.distinct,
                "duplicates": result.duplicates,
                "pages": result.pages,
                "requests": result.requests,
                "seconds": result.seconds,
                "verdict": result.verdict,
                "reason": result.reason,
            }
            for name, result in extraction.resources.items()
        },
        "not_migrated": NOT_MIGRATED,
    }


def render_extraction(extraction: Extraction) -> str:
    """A table with one line per resource, and what is not proven below it."""
    rows = [
        [name, r.announced, r.received, r.distinct, r.duplicates, r.pages, format_duration(r.seconds), r.verdict]
        for name, r in extraction.resources.items()
    ]
    headers = ["resource", "announced", "received", "distinct", "duplicates", "pages", "time", "verdict"]
    lines = [f"Snapshot {extraction.snapshot}", "", render_table(headers, rows)]
    doubts = [f"  {name}: {r.verdict}, {r.reason}" for name, r in extraction.resources.items() if r.verdict != "proven"]
    if doubts:
        lines += ["", *doubts]
    lines += ["", f"Not migrated, since the documented lists do not hold it: {NOT_MIGRATED}."]
    return "\n".join(lines)
