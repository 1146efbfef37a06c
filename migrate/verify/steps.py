"""A record's way through a mapping, step by step, for a person to follow: the evaluator's own steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, compress
from typing import Any, Literal

from migrate.verify.column import Lane
from migrate.verify.evaluate import Evaluator, as_made
from migrate.verify.made import Left, Record, Row
from migrate.verify.mapping_query import NULLS
from migrate.verify.record import NUL

Sent = Literal["value", "null", "nothing"]


@dataclass(frozen=True)
class ColumnSteps:
    """One column: each step's name with the text after it, and the rule that was broken, if any.

    `sent`: whether its value goes into the payload, a null that erases what the target has, or nothing at all.
    """

    column: str
    steps: tuple[tuple[str, str | None], ...]
    broken: str | None = None
    sent: Sent = "nothing"


@dataclass(frozen=True)
class RowSteps:
    """One row that a record makes (or does not), with the way of every column that has something to show."""

    made: Row | Left
    columns: tuple[ColumnSteps, ...]


def follow(evaluator: Evaluator, record: Record) -> list[RowSteps]:
    """What becomes of a record, column by column: one entry for itself or for each element of its list.

    **Guarantees**: the last step of a column is what the evaluator makes of it; the rule that keeps a row out stands
    at its column.
    """
    return [_row_steps(evaluator, row) for row in evaluator.steps([record])]


def _row_steps(evaluator: Evaluator, row: Mapping[str, Any]) -> RowSteps:
    made = as_made(row, evaluator.columns)
    found = []
    for name in evaluator.rules.columns:
        if name in evaluator.unverifiable:
            doubt = f"not verifiable independently: {evaluator.unverifiable[name]}"
            found.append(ColumnSteps(name, (), doubt))
            continue
        ways = [
            list(_told(way, [row[f"{name}/{lane}/{step}"] for step in range(len(way.steps))]))
            for lane, way in enumerate(evaluator.lanes_of(name))
        ]
        steps = list(chain.from_iterable(ways))
        rules = [text[1:] for _, text in steps if text is not None and text.startswith(NUL)]
        shown = tuple(step for step in steps if step[1] is None or not step[1].startswith(NUL))
        found.append(
            _with_outcome(
                ColumnSteps(name, shown, rules[0] if rules else None), made, row, evaluator.columns
            )
        )
    is_told = [bool(one.steps or one.broken or one.sent != "nothing") for one in found]
    return RowSteps(made, tuple(compress(found, is_told)))


def _told(lane: Lane, texts: list[str | None]) -> Iterator[tuple[str, str | None]]:
    """The steps that do something, up to the one that breaks a rule."""
    before: str | None = None
    for place, ((name, _), text) in enumerate(zip(lane.steps, texts, strict=True)):
        is_function = 0 < place < len(lane.steps) - 1 and name not in {"values", "default"}
        starts = place == 0 and text is not None
        stands_in = name == "default" and before is None
        if (
            starts
            or stands_in
            or (name != "default" and before is not None)
            or (is_function and texts[0] is not None)
        ):
            yield name, text
        if text is not None and text.startswith(NUL):
            return
        before = text


def _with_outcome(
    found: ColumnSteps, made: Row | Left, row: Mapping[str, Any], columns: tuple[str, ...]
) -> ColumnSteps:
    """The steps with what comes out of the column in the end: several fields may speak, and one of them counts."""
    if isinstance(made, Left):
        broken = made.rule if made.column == found.column else None
        return replace(found, broken=found.broken or broken)
    place = columns.index(found.column)
    value = made.values[place]
    erases = value is None and f",{place}," in (row[NULLS] or "")
    sent: Sent = "value" if value is not None else "null" if erases else "nothing"
    last = found.steps[-1][1] if found.steps else None
    steps = found.steps if value == last else (*found.steps, ("becomes", value))
    return replace(found, steps=steps, sent=sent)
