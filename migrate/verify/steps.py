"""A record's way through a mapping, step by step, for a person to follow. The same parts as the evaluator's."""

from __future__ import annotations

from dataclasses import dataclass

from migrate.verify.apply import function_of
from migrate.verify.evaluate import Evaluator, Left, Row
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
    """What becomes of a record, column by column: one entry for itself or for each element of its list."""
    found = []
    for made in evaluator.rows([record]):
        standing = evaluator.standing_at(record, made.position)
        columns = [
            _follow_column(evaluator, rule, standing) for rule in evaluator.rules.columns.values()
        ]
        found.append(
            RowSteps(made, tuple(column for column in columns if column.steps or column.broken))
        )
    return found


def _follow_column(evaluator: Evaluator, rule: ColumnRule, record: Record) -> ColumnSteps:
    steps: list[tuple[str, str | None]] = []
    try:
        for read in evaluator.readers_of(rule):
            text = read(record) or None
            if text is None:
                continue
            steps.append((_origin(rule), text))
            for name, argument in rule.calls:
                text = function_of(name, argument)(text) if text else None
                steps.append((name if argument is None else f"{name}: {argument}", text))
            if text is not None and rule.values is not None:
                text = rule.values.get(text, text if rule.unlisted == "keep" else None)
                steps.append(("values", text))
            if text is not None:
                zone = rule.timezone or evaluator.zone_of(record)
                steps.append(
                    (rule.type, reader_of(rule, evaluator.conventions.float_digits)(text, zone))
                )
        if not steps and rule.default is not None:
            steps.append(("default", rule.default))
    except Broken as broken:
        return ColumnSteps(rule.name, tuple(steps), broken.rule)
    except Unverifiable as doubt:
        return ColumnSteps(rule.name, tuple(steps), f"not verifiable independently: {doubt}")
    return ColumnSteps(rule.name, tuple(steps))


def _origin(rule: ColumnRule) -> str:
    if rule.sql is not None:
        return "sql"
    return "value" if rule.value is not None else "from"
