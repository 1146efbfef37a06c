"""Mappings for a terminal and as JSON: what a check found, rows before and after, the functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.mapping.against import LEFT_OVER
from migrate.mapping.rules import LOSSES
from migrate.report.terminal import Row, inert, render_table, say_count
from migrate.wording import format_duration

if TYPE_CHECKING:
    from migrate.mapping.against import Remark
    from migrate.mapping.functions import Function
    from migrate.mapping.model import Mapping
    from migrate.mapping.preview import Preview, PreviewRow
    from migrate.report.shown import Shown

_MAX_CELL = 60
_WORTH_SAYING_S = 5


@dataclass
class Looked:
    """What a snapshot's records say against the files, and how many were read in how many seconds, by resource."""

    remarks: list[Remark] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def told(self, snapshot: str | None) -> str:
        """What was read, in a sentence."""
        if snapshot is None:
            return "Not held against a snapshot."
        read = ", ".join(f"{rows:,} of {name}" for name, rows in self.records.items())
        if self.seconds >= _WORTH_SAYING_S:
            took = f", in {format_duration(self.seconds)}"
        else:
            took = ""
        if read:
            records = f"all records were read ({read}), with look-ups"
        else:
            records = "it has none of these"
        return f"Checked against snapshot {snapshot}: {records}{took}."


def render_check(mappings: Sequence[Mapping], remarks: Sequence[Remark], held: str) -> str:
    """The datasets that the files make, and what a snapshot says about them; `held`: what was read."""
    heads = ["dataset", "made from", "key", "columns", "fields left behind"]
    rows: list[Row] = [
        [m.dataset, m.resource, ", ".join(m.key), len(m.columns), len(m.ignore)] for m in mappings
    ]
    if any(m.precedence is not None for m in mappings):
        heads.append("precedence")
        rows = [[*row, m.precedence] for row, m in zip(rows, mappings, strict=True)]
    table = render_table(heads, rows)
    costly = [remark for remark in remarks if remark.harm < LEFT_OVER]
    others = [remark for remark in remarks if remark.harm >= LEFT_OVER]
    cost = "costs" if len(costly) == 1 else "cost"
    first = (
        f"No error in the files, but {say_count(len(costly), 'thing')} that {cost} rows or values."
    )
    parts = [f"{first if costly else 'No problem found.'} {held}"]
    for head, some in (("Look at first, the worst above:", costly), ("Worth a look:", others)):
        if some:
            parts.append("\n".join([head, *(f"  {inert(remark.text)}" for remark in some)]))
        if some is costly:
            parts.append(table)
    return "\n\n".join(parts)


def render_functions(functions: Sequence[Function]) -> str:
    """Each function with its example."""
    rows: list[Row] = [
        [_call(f), f"{f.example[0]!r} -> {f.example[1]!r}", f.says] for f in functions
    ]
    return render_table(["function", "example", "what it does"], rows, indent=0)


def summarise_functions(functions: Sequence[Function]) -> list[dict[str, Any]]:
    """The functions' part of the JSON object."""
    return [
        {
            "name": f.name,
            "call": _call(f),
            "says": f.says,
            "input": f.example[0],
            "output": f.example[1],
            "rule": f.rule,
        }
        for f in functions
    ]


def _call(function: Function) -> str:
    if function.example_argument is None:
        return function.name
    return f"{function.name}: {function.example_argument}"


def render_preview(preview: Preview, shown: Shown, dataset: Mapping | None = None) -> str:
    """Rows before and after, then the rejected ones with their reasons; values as they are `shown`.

    `dataset`: the whole of a dataset that several files make, of which this is one.
    """
    counts = ", ".join(f"{count:,} {name}" for name, count in preview.counts.items())
    parts = [
        f"{say_count(preview.looked_at, 'record')} looked at" + (f": {counts}." if counts else ".")
    ]
    if dataset is not None and len(dataset.parts) > 1:
        names = ", then ".join(Path(part.file).name for part in dataset.parts)
        parts.append(
            f"One of the files that make {dataset.dataset}: {names}. "
            "Of rows of one key that of the first file wins, which these rows do not show."
        )
    parts += [_render_row(row, shown) for row in preview.accepted]
    parts += [_render_row(row, shown) for row in preview.rejected]
    return "\n\n".join(parts)


def _render_row(row: PreviewRow, shown: Shown) -> str:
    if row.position is not None:
        place = f", element {row.position}"
    else:
        place = ""
    title = f"{inert(row.source or '')}  {inert(shown.text(row.id) or '')}{place}"
    if row.rule:
        title = f"rejected  {title}\n  {row.rule} in {row.column}: {row.reason}"
    cells: list[Row] = [
        [
            change.column,
            _cell(change.before, change.column, shown),
            _cell(change.after, change.column, shown),
            "; ".join(LOSSES.get(loss, loss) for loss in change.losses),
        ]
        for change in row.changes
        if change.before is not None or change.after is not None
    ]
    if cells:
        return f"{title}\n{render_table(['column', 'before', 'after', 'what changed'], cells)}"
    return title


def _cell(value: str | None, column: str, shown: Shown) -> str:
    text = shown.cell(value, column)
    if text is None:
        return "-"
    if len(text) <= _MAX_CELL:
        return text
    return text[: _MAX_CELL - 1] + "…"


def summarise_preview(preview: Preview, shown: Shown) -> dict[str, Any]:
    """The preview's part of the JSON object."""
    return {
        "looked_at": preview.looked_at,
        **preview.counts,
        "rows": [_summarise_row(row, shown) for row in preview.accepted],
        "rejects": [_summarise_row(row, shown) for row in preview.rejected],
    }


def _summarise_row(row: PreviewRow, shown: Shown) -> dict[str, Any]:
    head = {"source": row.source, "id": shown.text(row.id), "position": row.position}
    if row.rule:
        why = {"rule": row.rule, "column": row.column, "reason": row.reason}
    else:
        why = {}
    columns = {
        change.column: {
            "before": shown.cell(change.before, change.column),
            "after": shown.cell(change.after, change.column),
            "losses": list(change.losses),
        }
        for change in row.changes
    }
    return {**head, **why, "columns": columns}
