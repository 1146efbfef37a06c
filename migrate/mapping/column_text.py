"""One text column on its way to a value: functions, then the table of values, then the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from migrate.mapping.functions import FUNCTIONS, Function
from migrate.mapping.model import Column, Constant, constant_text
from migrate.mapping.series import (
    coalesce,
    is_true,
    keep_where,
    merge_losses,
    no_rules,
    rule_where,
    without_empty,
)


@dataclass(frozen=True)
class ColumnText:
    """One text on its way: as read, as changed so far, the rule it broke, its value once typed, what got lost."""

    origin: pl.Series
    text: pl.Series
    rule: pl.Series
    value: pl.Series
    losses: dict[str, pl.Series]


def start_text(text: pl.Series, column: Column) -> ColumnText:
    """A column's text after its functions, its `values` and its `default`; not typed yet."""
    column_text = ColumnText(text, text, no_rules(len(text)), text, {})
    # A column without a single value has no step to take but its default.
    if text.null_count() < len(text):
        for function, argument in column.calls:
            column_text = _apply(column_text, function, argument)
        if column.values is not None:
            column_text = _map_values(column_text, column, column.values)
    if column.default is not None:
        column_text = _fill_default(column_text, constant_text(column.default))
    return column_text


def _apply(column_text: ColumnText, name: str, argument: str | int | None) -> ColumnText:
    """The text after one function, with the rule that it breaks for texts it refuses."""
    function = FUNCTIONS[name]
    before = column_text.text.rename("t")
    changed = function.build(pl.col("t"), argument).alias("t")
    after = before.to_frame().select(changed).to_series()
    rule, losses = column_text.rule, column_text.losses
    if function.rule and after.null_count() > before.null_count():
        rule = coalesce(rule, _broken(function, argument, before, after))
    if function.loss:
        losses = merge_losses(losses, {function.loss: is_true(before != after)})
    return replace(column_text, text=without_empty(after), rule=rule, losses=losses)


def _broken(
    function: Function, argument: str | int | None, before: pl.Series, after: pl.Series
) -> pl.Series:
    """The rule that each text breaks which the function refused."""
    refused = keep_where(before, before.is_not_null() & after.is_null())
    if function.rule_of is None:
        return rule_where(refused.is_not_null(), str(function.rule))
    # Only what was refused is read a second time for its reason, and each different text once.
    texts = refused.unique().drop_nulls()
    rules = [function.rule_of(text, argument) for text in texts]
    by_text = refused.replace_strict(texts, rules, default=None, return_dtype=pl.String)
    return by_text.rename("rule")


def _map_values(
    column_text: ColumnText, column: Column, values: Mapping[str, Constant]
) -> ColumnText:
    """The text by the table of values, and what becomes of texts that are not listed there."""
    text = column_text.text
    constants = [constant_text(value) for value in values.values()]
    listed = text.replace_strict(list(values), constants, default=None, return_dtype=pl.String)
    unlisted = text.is_not_null() & listed.is_null()
    if not unlisted.any():
        return replace(column_text, text=listed)
    if column.unlisted == "reject":
        rule = coalesce(column_text.rule, rule_where(unlisted, "unlisted_value"))
        return replace(column_text, text=listed, rule=rule)
    # Of a consent it is told apart: somebody answered, and nobody knows what.
    loss = "consent_unlisted" if column.consent else "unlisted"
    losses = merge_losses(column_text.losses, {loss: unlisted})
    if column.unlisted == "keep":
        return replace(column_text, text=coalesce(listed, text), losses=losses)
    return replace(column_text, text=listed, losses=losses)


def _fill_default(column_text: ColumnText, default: str) -> ColumnText:
    # A value that broke a rule is no missing one, so the default does not hide it.
    empty = column_text.text.is_null() & column_text.rule.is_null()
    filled = pl.when("empty").then(pl.lit(default)).otherwise("text").alias("text")
    text = pl.DataFrame({"text": column_text.text, "empty": empty}).select(filled).to_series()
    return replace(
        column_text, text=text, losses=merge_losses(column_text.losses, {"defaulted": empty})
    )
