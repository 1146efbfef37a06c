"""Business totals side by side, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from migrate.report.terminal import Row, render_table
from migrate.verify.totals import TotalsRow, TotalsTable

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


def render_totals(tables: Sequence[TotalsTable]) -> str:
    """Each table; of a long one the rows that differ, and the sum of the others."""
    return "\n\n".join(_render(table) for table in tables) or "No business totals: no dataset has the columns for one."


def _render(table: TotalsTable) -> str:
    rows = table.rows
    equal: list[TotalsRow] = []
    if len(rows) > _LONGEST:
        equal = [row for row in rows if row.equal]
        rows = tuple(row for row in rows if not row.equal)
    lines = [_line(row.group, row.amounts.values(), row.equal) for row in rows]
    if equal:
        sums = [sum((row.amounts[place] or Decimal() for row in equal), Decimal()) for place in table.places]
        lines.append(_line((f"{len(equal):,} equal groups", *[""] * (len(table.by) - 1)), sums, True))
    return f"{table.title}:\n" + render_table([*table.by, *table.places, "equal"], lines)


def _line(group: Sequence[str], amounts: Any, equal: bool) -> Row:
    return [*group, *("-" if amount is None else _show(amount) for amount in amounts), equal]


def _show(amount: Decimal) -> str:
    """A number as it is; a sum of money with at least two decimals."""
    return f"{amount:,.2f}" if amount == round(amount, 2) and amount != round(amount) else f"{amount:,f}"
