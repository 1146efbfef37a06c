"""What an extract found, for a terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from migrate.report.terminal import format_duration, render_table
from migrate.snapshot.layout import advise
from migrate.snapshot.traps import describe_uncolumned

if TYPE_CHECKING:
    from migrate.source.extract import Extraction

NOT_MIGRATED = "buckets (custom objects), behaviour events and visits, segments, scores, campaigns and journeys"
_UNREAD_SHOWN = 20


def summarise_extraction(extraction: Extraction) -> dict[str, Any]:
    """The extract's part of the JSON object."""
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
                "reason": result.why,
                "changed_duplicates": result.changed_duplicates,
                "undated_duplicates": result.undated_duplicates,
                "without_id": result.without_id,
                "unparsed": result.unparsed,
                "folded": result.folded,
                "unlisted_fields": result.unlisted_fields,
                "shared_names": result.shared_names,
                "resumed_pages": result.resumed_pages,
                "unread": [asdict(record) for record in result.unread],
                "readings": result.readings,
                "kept": result.kept,
                "vanished": result.vanished,
                "damaged": result.damaged,
                **({"delta": asdict(result.delta)} if result.delta else {}),
            }
            for name, result in extraction.resources.items()
        },
        "to_do": to_do(extraction),
        "notes": list(extraction.notes),
        "not_migrated": NOT_MIGRATED,
        **({"since": asdict(extraction.since)} if extraction.since else {}),
        **({"only_source": extraction.only_source} if extraction.only_source else {}),
    }


def to_do(extraction: Extraction) -> list[str]:
    """What somebody has to do before the snapshot can be relied on, a line each."""
    return list(
        chain.from_iterable(advise(name, result) for name, result in extraction.resources.items())
    )


def render_extraction(extraction: Extraction) -> str:
    """A table with one line per resource, and what is not proven below it."""
    rows = [
        [
            name,
            r.announced,
            r.received,
            r.distinct,
            r.duplicates,
            r.pages,
            format_duration(r.seconds),
            r.verdict,
        ]
        for name, r in extraction.resources.items()
    ]
    headers = [
        "resource",
        "announced",
        "received",
        "distinct",
        "duplicates",
        "pages",
        "time",
        "verdict",
    ]
    lines = [f"Snapshot {extraction.snapshot}", "", render_table(headers, rows)]
    if extraction.only_source:
        lines += ["", f"Of source {extraction.only_source} only: this snapshot is a part."]
    lines += [
        "",
        *(f"  {name}: {r.verdict}, {r.reason}" for name, r in extraction.resources.items()),
    ]
    lines += [f"Note: {note}" for note in extraction.notes]
    lines += (
        _unread_lines(extraction)
        + _uncolumned_lines(extraction)
        + _doubles_lines(extraction)
        + _delta_lines(extraction)
    )
    tasks = to_do(extraction)
    if tasks:
        lines += ["", "To do:", *(f"  {task}" for task in tasks)]
    lines += ["", f"Not migrated, since the documented lists do not hold it: {NOT_MIGRATED}."]
    return "\n".join(lines)


def _unread_lines(extraction: Extraction) -> list[str]:
    lines: list[str] = []
    for name, result in extraction.resources.items():
        lines.extend(
            f"  {name}: page {record.page}, record {record.position:,} of the list: {record.reason}"
            for record in result.unread[:_UNREAD_SHOWN]
        )
    lines += [
        f"  {name}: and {len(result.unread) - _UNREAD_SHOWN:,} more, listed in the snapshot's manifest"
        for name, result in extraction.resources.items()
        if len(result.unread) > _UNREAD_SHOWN
    ]
    if lines:
        return [
            "",
            "Could not be read; what came in their place is in the snapshot below unread/:",
            *lines,
        ]
    return []


def _doubles_lines(extraction: Extraction) -> list[str]:
    lines: list[str] = []
    for name, result in extraction.resources.items():
        if result.changed_duplicates:
            by_place = result.undated_duplicates
            by_time = result.changed_duplicates - by_place
            lines.append(
                f"  {name}: {by_time:,} older by time, {by_place:,} of which no time tells; they are in "
                f"{name}/doubles.parquet"
            )
    if lines:
        return ["", "Other versions of the same records, left out:", *lines]
    return []


def _uncolumned_lines(extraction: Extraction) -> list[str]:
    lines: list[str] = []
    for name, result in extraction.resources.items():
        lines.extend(f"  {name}: {sentence}" for sentence in describe_uncolumned(result))
    if lines:
        return ["", "Without a column of their own, and read from the records:", *lines]
    return []


def _delta_lines(extraction: Extraction) -> list[str]:
    if extraction.since is None:
        return []
    if extraction.since.snapshot:
        base = f", compared with snapshot {extraction.since.snapshot}"
    else:
        base = ""
    since = datetime.fromisoformat(extraction.since.time).astimezone(UTC)
    rows = [
        [name, delta.new, delta.changed, delta.unchanged, delta.gone, delta.how]
        for name, result in extraction.resources.items()
        if (delta := result.delta) is not None
    ]
    headers = ["resource", "new", "changed", "unchanged", "gone", "found by reading"]
    note = "Only what is new or changed is in this snapshot; each RESOURCE/delta.parquet lists it, and what is gone."
    return [
        "",
        f"Since {since:%Y-%m-%d %H:%M:%S} UTC{base}",
        "",
        render_table(headers, rows),
        "",
        note,
    ]
