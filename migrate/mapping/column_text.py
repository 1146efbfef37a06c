"""One text column on its way to a value: functions, then the table of values, then the default."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from migrate.mapping.functions import FUNCTIONS, Function
from migrate.mapping.model import Column, constant_text
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


def start_lane(text: pl.Series, column: Column) -> ColumnText:
    """A column's text after its functions, its `values` and its `default`; not typed yet."""
    lane = ColumnText(text, text, no_rules(len(text)), text, {})
    if text.null_count() < len(text):
        for function, argument in column.calls:
            lane = _apply(lane, function, argument)
        if column.values is not None:
            listed = {key: constant_text(value) for key, value in column.values.items()}
            lane = _map_values(lane, listed, column)
    if column.default is not None:
        lane = _fill_default(lane, constant_text(column.default))
    return lane


def _apply(lane: ColumnText, name: str, argument: str | int | None) -> ColumnText:
    function, before = FUNCTIONS[name], lane.text.rename("t")
    after = before.to_frame().select(function.build(pl.col("t"), argument).alias("t")).to_series()
    rule, losses = lane.rule, lane.losses
    if function.rule and after.null_count() > before.null_count():
        rule = coalesce(rule, _broken(function, argument, before, after))
    if function.loss:
        losses = merge_losses(losses, {function.loss: is_true(before != after)})
    return replace(lane, text=without_empty(after), rule=rule, losses=losses)


def _broken(
    function: Function, argument: str | int | None, before: pl.Series, after: pl.Series
) -> pl.Series:
    """The rule that each text breaks which the function refused."""
    refused = keep_where(before, before.is_not_null() & after.is_null())
    if function.rule_of is None:
        return rule_where(refused.is_not_null(), str(function.rule))
    texts = refused.unique().drop_nulls()
    rules = [function.rule_of(text, argument) for text in texts]
    return refused.replace_strict(texts, rules, default=None, return_dtype=pl.String).rename("rule")


def _map_values(lane: ColumnText, values: dict[str, str], column: Column) -> ColumnText:
    t, m = pl.col("t"), pl.col("m")
    mapped = t.replace_strict(
        list(values), list(values.values()), default=None, return_dtype=pl.String
    )
    frame = pl.DataFrame({"t": lane.text}).with_columns(mapped.alias("m"))
    frame = frame.with_columns(u=t.is_not_null() & m.is_null())
    if not frame["u"].any():
        return replace(lane, text=frame["m"])
    if column.unlisted == "reject":
        return replace(
            lane,
            text=frame["m"],
            rule=coalesce(lane.rule, rule_where(frame["u"], "unlisted_value")),
        )
    # of a consent it is told apart: somebody answered, and nobody knows what
    name = "consent_unlisted" if column.consent else "unlisted"
    if column.unlisted == "keep":
        kept = frame.select(pl.coalesce(m, t)).to_series()
    else:
        kept = frame["m"]
    return replace(lane, text=kept, losses=merge_losses(lane.losses, {name: frame["u"]}))


def _fill_default(lane: ColumnText, default: str) -> ColumnText:
    # a value that broke a rule is no missing one, so the default does not hide it
    empty = lane.text.is_null() & lane.rule.is_null()
    frame = pl.DataFrame({"t": lane.text, "e": empty})
    filled = frame.select(
        pl.when(pl.col("e")).then(pl.lit(default)).otherwise(pl.col("t")).alias("t")
    ).to_series()
    return replace(lane, text=filled, losses=merge_losses(lane.losses, {"defaulted": empty}))
