"""Business totals side by side, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from migrate.report.terminal import Row, render_table
from migrate.verify.totals import ResourceCount, TotalsRow, TotalsTable

_LONGEST = 40


def summarise_totals(tables: Sequence[TotalsTable]) -> list[dict[str, Any]]:
    """All tables with all their rows."""
    return [
        {
            "title": table.title,
            "equal": table.equal,
            "rows": [
                {
                    **dict(zip(table.by, row.group, strict=True)),
                    **{place: None if n is None else f"{n:f}" for place, n in row.amounts.items()},
                    "equal": row.equal,
                }
                for row in table.rows
            ],
        }
        for table in tables
    ]


def summarise_counts(counts: Sequence[ResourceCount]) -> dict[str, dict[str, Any]]:
    """The records of each resource: announced at the extract, in the snapshot, announced now."""
    return {
        c.resource: {
            "announced": c.announced, "snapshot": c.in_snapshot, "announced_now": c.now, "drift": c.drift, "why": c.why,
        }
        for c in counts
    }  # fmt: skip


def render_counts(counts: Sequence[ResourceCount]) -> str:
    """The records of each resource, and how far the source has moved on since."""
    rows: list[Row] = [
        [c.resource, c.announced, c.in_snapshot, c.why or c.now, c.drift] for c in counts
    ]
    headers = ["resource", "announced then", "in the snapshot", "announced now", "drift"]
    return "Records at the source, which can be asked for their number only:\n" + render_table(
        headers, rows
    )


def render_totals(tables: Sequence[TotalsTable]) -> str:
    """Each table; of a long one the rows that differ or of which something was left out, and the sum of the others."""
    if not tables:
        return "No business totals: no dataset has the columns for one."
    parts = [_render(table) for table in tables]
    if any(row.left_out for table in tables for row in table.rows):
        parts.append(
            "source: every record as sent. Where it has more, records were filtered, rejected or collapsed;\n"
            "`migrate diff` and `migrate rejects` name them. The other columns have to be equal."
        )
    return "\n\n".join(parts)


def _render(table: TotalsTable) -> str:
    rows = table.rows
    equal: list[TotalsRow] = []
    if len(rows) > _LONGEST:
        equal = [row for row in rows if row.equal and not row.left_out]
        rows = tuple(row for row in rows if not row.equal or row.left_out)
    lines = [_line(row.group, row.amounts.values(), row.equal) for row in rows]
    if equal:
        sums = [
            sum((row.amounts[place] or Decimal() for row in equal), Decimal())
            for place in table.places
        ]
        lines.append(
            _line((f"{len(equal):,} equal groups", *[""] * (len(table.by) - 1)), sums, True)
        )
    return f"{table.title}:\n" + render_table([*table.by, *table.places, "equal"], lines)


def _line(group: Sequence[str], amounts: Any, equal: bool) -> Row:
    return [*group, *("-" if amount is None else _show(amount) for amount in amounts), equal]


def _show(amount: Decimal) -> str:
    """A number as it is; a sum of money with at least two decimals."""
    return (
        f"{amount:,.2f}"
        if amount == round(amount, 2) and amount != round(amount)
        else f"{amount:,f}"
    )
