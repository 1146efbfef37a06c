"""A record's way through a mapping, step by step, for a person to follow. The same parts as the evaluator's."""

from __future__ import annotations

from dataclasses import dataclass, replace

from migrate.verify.apply import function_of
from migrate.verify.evaluate import Evaluator
from migrate.verify.made import Left, Row
from migrate.verify.record import Record
from migrate.verify.rules import ColumnRule
from migrate.verify.typed import Broken, Unverifiable, reader_of


@dataclass(frozen=True)
class ColumnSteps:
    """One column: each step's name with the text after it, and the rule that was broken, if any."""

    column: str
    steps: tuple[tuple[str, str | None], ...]
    broken: str | None = None


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
    found = []
    for made in evaluator.rows([record]):
        standing = evaluator.standing_at(record, made.position)
        columns = [
            _with_outcome(_follow_column(evaluator, rule, standing), made, evaluator.columns)
            for rule in evaluator.rules.columns.values()
        ]
        found.append(
            RowSteps(made, tuple(column for column in columns if column.steps or column.broken))
        )
    return found


def _with_outcome(found: ColumnSteps, made: Row | Left, columns: tuple[str, ...]) -> ColumnSteps:
    """The steps with what comes out of the column in the end: several fields may speak, and one of them counts."""
    if isinstance(made, Left):
        broken = made.rule if made.column == found.column else None
        return replace(found, broken=found.broken or broken)
    if found.column not in columns:
        return found
    value = made.values[columns.index(found.column)]
    last = found.steps[-1][1] if found.steps else None
    return found if value == last else replace(found, steps=(*found.steps, ("becomes", value)))


def _follow_column(evaluator: Evaluator, rule: ColumnRule, record: Record) -> ColumnSteps:
    steps: list[tuple[str, str | None]] = []
    broken: str | None = None
    for read in evaluator.readers_of(rule):
        text = read(record) or None
        if text is None and rule.default is None:
            continue
        try:
            _follow_text(evaluator, rule, record, text, steps)
        except Broken as found:
            broken = broken or found.rule
        except Unverifiable as doubt:
            return ColumnSteps(rule.name, tuple(steps), f"not verifiable independently: {doubt}")
    return ColumnSteps(rule.name, tuple(steps), broken)


def _follow_text(
    evaluator: Evaluator,
    rule: ColumnRule,
    record: Record,
    text: str | None,
    steps: list[tuple[str, str | None]],
) -> None:
    """One text through all steps, each told as it is done. Raises Broken, Unverifiable."""
    if text is not None:
        steps.append((_origin(rule), text))
        for name, argument in rule.calls:
            text = function_of(name, argument)(text) or None if text else None
            steps.append((name if argument is None else f"{name}: {argument}", text))
    if text is not None and rule.values is not None:
        text = _listed(rule, text)
        steps.append(("values", text))
    if text is None and rule.default is not None:
        text = rule.default
        steps.append(("default", text))
    if text is not None:
        zone = rule.timezone or evaluator.zone_of(record)
        read = reader_of(rule, evaluator.conventions.float_digits)
        steps.append((rule.type, read(text, zone)))


def _listed(rule: ColumnRule, text: str) -> str | None:
    values = rule.values or {}
    if text in values:
        return values[text]
    if rule.unlisted == "reject":
        raise Broken("unlisted_value")
    return text if rule.unlisted == "keep" else None


def _origin(rule: ColumnRule) -> str:
    if rule.sql is not None:
        return "sql"
    return "value" if rule.value is not None else "from"
