"""Business totals side by side, for a terminal, a page and as JSON: all three from one view.

What is equal was judged where the totals were put together; nothing here compares anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from migrate.report.shown import Shown
from migrate.report.terminal import Row, inert, render_table, say_count
from migrate.sentence import Sentence, amount_text
from migrate.totals.counts import ResourceCount, TotalsRow, TotalsTable
from migrate.totals.table import (
    NOTHING,
    ON_PURPOSE,
    UNITS,
    WORDS,
    Figure,
    Group,
    Table,
    summarise_group,
    summarise_table,
)

_LONGEST = 40
_DIFFERING = 24


def mask_examples(table: Table, shown: Shown) -> Table:
    """A table with the values of its examples as they are `shown`."""
    of_rows = shown.of([table.resource])
    examples = tuple(
        replace(e, id=of_rows.text(e.id) or "", text=of_rows.text(e.text, "amount") or "")
        for e in table.examples
    )
    return replace(table, examples=examples)


def summarise_tables(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """All tables with all their groups."""
    return [summarise_table(table) for table in tables]


def summarise_groups(tables: Mapping[str, Table]) -> list[dict[str, Any]]:
    """The groups of all tables in one list, each with its dataset and kind."""
    groups: list[dict[str, Any]] = []
    for table in tables.values():
        head = {"dataset": table.dataset, "kind": table.kind}
        groups.extend({**head, **summarise_group(group, table.kind)} for group in table.groups)
    return groups


def view_table(table: Table) -> dict[str, Any]:
    """What terminal and page show of a table: a headline, the steps from source to target, and
    the groups. Its examples are shown as they are: whoever gives the table masks them."""
    is_money = table.has_sums
    places = ["source", "snapshot", "plan", *(["target"] if table.has_target else [])]
    return {
        "dataset": table.dataset,
        "kind": table.kind,
        "title": table.title,
        "by": list(table.by),
        "unit": UNITS[table.kind],
        "is_money": is_money,
        "equal": table.equal,
        "headline": _headline(table),
        "places": places,
        "steps": [_step(label, figure, is_money) for label, figure in _steps(table)],
        "rows": [_row(group, table, places) for group in table.groups],
        "doubts": list(table.doubts),
        "unreadable": table.unreadable,
        "examples": _examples(table, "amount"),
        "unread_times": table.unread_times,
        "time_examples": _examples(table, "time"),
    }


def _examples(table: Table, what: str) -> list[dict[str, str]]:
    return [
        {"source": e.source, "id": e.id, "text": e.text} for e in table.examples if e.what == what
    ]


def _headline(table: Table) -> str:
    count = len(table.groups)
    different = len(table.unequal)
    if not table.by:
        if table.equal:
            return Sentence("equal")
        return Sentence("NOT equal")
    if table.equal:
        return Sentence("{same} of {of} are equal", same=count, of=count)
    return Sentence(
        "{same} of {of} are equal, {count} differs",
        "{same} of {of} are equal, {count} differ",
        same=count - different,
        of=count,
        count=different,
    )


def _steps(table: Table) -> list[tuple[str, Figure]]:
    """From the source to what should be planned, what is, and what the target holds."""
    whole = table.whole
    source = Sentence("source, as sent")
    if table.corrected:
        source = Sentence(
            "source, {count} record put right by hand",
            "source, {count} records put right by hand",
            count=table.corrected,
        )
    steps: list[tuple[str, Figure]] = [(source, whole.source)]
    for reason, figure in whole.left_out.items():
        if reason in ON_PURPOSE:
            label = "- {reason}"
        else:
            label = "MISSING: {reason}"
        steps.append((Sentence(label, reason=Sentence(WORDS[reason])), figure))
    if whole.left_out:
        steps.append((Sentence("= snapshot, what is left"), whole.snapshot))
    steps.append((Sentence("plan"), whole.plan))
    for reason, figure in whole.beside.items():
        steps.append((Sentence("of these: {reason}", reason=Sentence(WORDS[reason])), figure))
    if whole.target is not None:
        steps.append((Sentence("target"), whole.target))
    return steps


def _step(label: str, figure: Figure, is_money: bool) -> dict[str, Any]:
    return {
        "label": label,
        "amount": figure.amount if is_money else None,
        "rows": figure.rows,
        "unreadable": figure.unreadable,
    }


def _row(group: Group, table: Table, places: Sequence[str]) -> dict[str, Any]:
    figures = {"source": group.source, "snapshot": group.snapshot, "plan": group.plan}
    if group.target is not None:
        figures["target"] = group.target
    is_money = table.has_sums
    names = [*([group.period] if table.by and table.by[0] in ("month", "day") else [])]
    if len(table.by) > len(names):
        names.append(group.label or NOTHING)
    return {
        "names": names,
        "period": group.period,
        "label": group.label or NOTHING,
        "amounts": [
            figures[place].amount if is_money else Decimal(figures[place].rows) for place in places
        ],
        "rows": [figures[place].rows for place in places],
        "source_rows": group.source.rows,
        "plan_rows": group.plan.rows,
        "unreadable": group.unreadable,
        "equal": group.equal,
    }


def _money(amount: Decimal) -> str:
    whole, _, rest = amount_text(amount).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}.{rest}"


def render_tables(tables: Sequence[Table]) -> str:
    """Each table: its steps, and the groups that differ; nothing where there is none."""
    return "\n\n".join(_render_table(view_table(table)) for table in tables if table.groups)


def _render_table(view: Mapping[str, Any]) -> str:
    head = ["", *(["sum"] if view["is_money"] else []), view["unit"]]
    steps: list[Row] = [
        [step["label"], *([_money(step["amount"])] if view["is_money"] else []), step["rows"]]
        for step in view["steps"]
    ]
    parts = [f"{view['title']}, {view['dataset']}: {view['headline']}.", render_table(head, steps)]
    if view["unreadable"]:
        parts.append(
            f"  {say_count(view['unreadable'], 'amount')} that cannot be read, in no sum"
            + _list_examples(view["examples"])
        )
    if view["unread_times"]:
        parts.append(
            f"  {say_count(view['unread_times'], 'time')} that cannot be read, so without a month here; where day "
            "and month may be exchanged, set time_format under [datatrics.totals]"
            + _list_examples(view["time_examples"])
        )
    parts += [f"  not proven: {inert(doubt)}" for doubt in view["doubts"]]
    different = [row for row in view["rows"] if not row["equal"]]
    if different and view["by"]:
        parts.append(_render_groups(view, different))
    return "\n".join(parts)


def _list_examples(examples: Sequence[Mapping[str, str]]) -> str:
    return "".join(f"\n    {inert(e['id'])}: {inert(e['text'])}" for e in examples)


def _render_groups(view: Mapping[str, Any], different: Sequence[Mapping[str, Any]]) -> str:
    places = view["places"]
    headers = [*view["by"], *places, *([view["unit"]] if view["is_money"] else [])]
    rows: list[Row] = []
    for row in different[:_DIFFERING]:
        counts = " / ".join(f"{count:,}" for count in row["rows"])
        amounts = [
            _money(amount) if view["is_money"] else f"{amount:,}" for amount in row["amounts"]
        ]
        rows.append([*row["names"], *amounts, *([counts] if view["is_money"] else [])])
    more = len(different) - len(rows)
    if more > 0:
        rest = f"\n  and {more:,} more; --json lists all"
    else:
        rest = ""
    return "  Those that differ:\n" + render_table(headers, rows, indent=4) + rest


def say_unequal(tables: Mapping[str, Table]) -> list[str]:
    """One line for each dataset whose totals differ or are not proven."""
    lines = []
    for name, table in tables.items():
        lines += [f"{name}: not proven: {inert(doubt)}" for doubt in table.doubts]
        if table.equal:
            continue
        lacking = table.whole.lacking
        what = []
        if lacking.amount:
            what.append(f"{_money(lacking.amount)} of {_money(table.whole.source.amount)}")
        if lacking.rows:
            what.append(f"{lacking.rows:,} of {table.whole.source.rows:,} {UNITS[table.kind]}")
        if table.unreadable:
            what.append(say_count(table.unreadable, "amount") + " that cannot be read")
        # What one month has too much and another too little is nothing in the sum.
        if not lacking:
            what = [f"{len(table.unequal):,} groups, though the sums are equal"]
        lines.append(f"{name}: the source has and the plan lacks {', '.join(what)}")
    return lines


def summarise_totals(tables: Sequence[TotalsTable]) -> list[dict[str, Any]]:
    """All other totals with all their rows."""
    return [
        {
            "title": table.title,
            "equal": table.equal,
            "doubt": table.doubt,
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
            "announced": c.announced,
            "snapshot": c.in_snapshot,
            "announced_now": c.now,
            "drift": c.drift,
            "why": c.why,
        }
        for c in counts
    }


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
    """Each table; of a long one the rows that differ or of which something was left out, and the
    sum of the others."""
    parts = [_render(table) for table in tables]
    if any(row.left_out for table in tables for row in table.rows):
        parts.append(
            "source: every record as sent. Where it has more, records were filtered, rejected or collapsed; "
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
        sums = []
        for place in table.places:
            amounts = (row.amounts[place] or Decimal() for row in equal)
            sums.append(sum(amounts, Decimal()))
        lines.append(
            _line((f"{len(equal):,} equal groups", *[""] * (len(table.by) - 1)), sums, True)
        )
    made = f"{table.title}:\n" + render_table([*table.by, *table.places, "equal"], lines)
    if table.doubt:
        return f"{made}\n  not by the source's own fields: {inert(table.doubt)}"
    return made


def _line(group: Sequence[str], amounts: Any, equal: bool) -> Row:
    return [*group, *("-" if amount is None else f"{amount:,f}" for amount in amounts), equal]
