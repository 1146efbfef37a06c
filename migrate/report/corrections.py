"""Corrections for a terminal and as JSON; values, which are personal, only where they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from migrate.report.terminal import inert, render_table, say_count

if TYPE_CHECKING:
    import polars as pl

    from migrate.app.corrections import Imported
    from migrate.report.shown import Shown

_SHOWN = 50
_REFUSED_SHOWN = 20
_HEADS = ("name", "list", "source", "id", "field", "sent", "right", "by", "why", "at")


def describe_corrections(corrections: pl.DataFrame, shown: Shown) -> list[dict[str, Any]]:
    """Each correction as the JSON object has it."""
    return [
        {
            "name": f"c{row['number']}",
            **{name: row[name] for name in ("resource", "source", "id", "field")},
            **{
                name: shown.of([row["resource"]]).text(row[name], row["field"])
                for name in ("sent", "value")
            },
            "by": row["by"],
            "why": row["why"],
            "at": datetime.fromtimestamp(row["at"], UTC).isoformat(timespec="seconds"),
        }
        for row in corrections.iter_rows(named=True)
    ]


def render_corrections(described: list[dict[str, Any]], *, is_masked: bool) -> str:
    """All corrections as a table."""
    if not described:
        return "No value has been put right."
    rows = [[inert(str(value or "")) for value in entry.values()] for entry in described[:_SHOWN]]
    text = f"{say_count(len(described), 'correction')}:\n\n" + render_table(_HEADS, rows)
    if len(described) > _SHOWN:
        text += f"\n\n{len(described) - _SHOWN:,} more; --json has all."
    return text + ("\n\nPersonal values are masked; --show-values shows them." if is_masked else "")


def summarise_import(done: Imported) -> dict[str, Any]:
    """What came of a file, as the JSON object has it."""
    return {
        "snapshot": done.snapshot,
        "taken": done.taken,
        "new": done.new,
        "replaced": done.replaced,
        "same": done.same,
        "empty": done.empty,
        "refused": [
            {
                "place": one.place,
                "resource": one.resource,
                "source": one.source,
                "id": one.id,
                "field": one.field,
                "why": one.why,
            }
            for one in done.refused
        ],
    }


def render_import(done: Imported) -> str:
    """What came of a file: counts, and every row that was refused with the reason."""
    counts = (
        (done.new, "new"),
        (done.replaced, "in the place of an earlier one"),
        (done.same, "known already"),
    )
    said = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    text = f"{say_count(done.taken, 'correction')} taken" + (f" ({said})" if said else "")
    text += f"; {say_count(done.empty, 'row')} left empty." if done.empty else "."
    if not done.refused:
        return text
    rows = [
        [one.place, one.resource, inert(one.source or ""), inert(one.id), inert(one.field), one.why]
        for one in done.refused[:_REFUSED_SHOWN]
    ]
    heads = ["where", "list", "source", "id", "field", "why"]
    text += f"\n\n{say_count(len(done.refused), 'row')} refused:\n\n{render_table(heads, rows)}"
    more = len(done.refused) - _REFUSED_SHOWN
    return text + (f"\n\n{more:,} more; --json has all." if more > 0 else "")
