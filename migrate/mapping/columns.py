"""One column of a mapping, from text fields to typed values, with every rule it breaks and every loss it makes."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace

import polars as pl

from migrate.errors import MappingError
from migrate.mapping.dates import source_zones
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Column, constant_text
from migrate.mapping.numbers import FloatDigits
from migrate.mapping.sql import guard_sql
from migrate.mapping.types import NO_RULE, read_typed, render

FIELD = "f:"


@dataclass(frozen=True)
class Computed:
    """One column for all rows.

    **Shape.** Series of one length: `value` typed; `rule` null or the rule that rejects the row; `text` what was
    offending, null elsewhere; `sends_null` where a null is written; `losses` true where something got lost.
    """

    value: pl.Series
    rule: pl.Series
    text: pl.Series
    sends_null: pl.Series | None
    losses: dict[str, pl.Series]


@dataclass(frozen=True)
class _Lane:
    """One text on its way: as read, as changed so far, the rule it broke."""

    origin: pl.Series
    text: pl.Series
    rule: pl.Series
    value: pl.Series
    losses: dict[str, pl.Series]


def compute(
    name: str, column: Column, rows: pl.DataFrame, required: bool, zones: Dict[str, str], float_digits: FloatDigits
) -> Computed:
    """The values of one column.

    **Shape.** `rows` has `_source` and one text column `f:NAME` per field read.
    """
    lanes = [_run_lane(text, column, rows["_source"], zones, float_digits) for text in _read_texts(name, column, rows)]
    lane = lanes[0] if len(lanes) == 1 else _strictest(lanes)
    if column.consent and column.sql is not None:
        lane = _withhold_unfounded(lane, rows, guard_sql(column.sql).fields)
    return _finish(
        lane, column, "key_missing" if required and not column.required else "required_missing" if required else None
    )


def evaluate(what: str, sql: str, rows: pl.DataFrame) -> pl.Series:
    """The text that a guarded expression gives for each row.

    **Raises.** MappingError, without the values, when polars cannot run it.
    """
    expression = guard_sql(sql).write(lambda field: FIELD + field)
    try:
        found = (
            rows.lazy()
            .select(pl.sql_expr(expression).alias("sql"), pl.int_range(pl.len()).alias("row"))
            .collect()["sql"]
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise MappingError(
            [f"{what}: the expression fails ({type(error).__name__})"], hint="migrate mapping check"
        ) from None
    if found.dtype == pl.Boolean and what == "where":
        return found
    return found.to_frame().select(render("sql", found.dtype)).to_series()


def _read_texts(name: str, column: Column, rows: pl.DataFrame) -> list[pl.Series]:
    """The texts a column starts from; several for a consent with several fields, which must all be heard."""
    if column.sql is not None:
        texts = [evaluate(f"columns.{name}.sql", column.sql, rows)]
    elif column.fields:
        texts = [rows[FIELD + field] for field in column.fields]
    else:
        texts = [pl.Series([constant_text(column.value)], dtype=pl.String).new_from_index(0, rows.height)]
    return [_without_empty(text) for text in texts] if column.consent else [first_value(texts)]


def _without_empty(text: pl.Series) -> pl.Series:
    return text.rename("t").to_frame().select(pl.when(pl.col("t") != "").then(pl.col("t"))).to_series()


def first_value(texts: list[pl.Series]) -> pl.Series:
    """The first of several texts that has a value, row by row: neither null nor ''."""
    texts = [_without_empty(text) for text in texts]
    if len(texts) == 1:
        return texts[0]
    frame = pl.DataFrame([text.rename(str(i)) for i, text in enumerate(texts)])
    return frame.select(pl.coalesce(pl.all()).alias("t")).to_series()


def _run_lane(
    text: pl.Series, column: Column, sources: pl.Series, zones: Dict[str, str], float_digits: FloatDigits
) -> _Lane:
    nothing = pl.Series("rule", [None], dtype=pl.String).new_from_index(0, len(text))
    lane = _Lane(text, text, nothing, text, {})
    for function, argument in column.calls:
        lane = _apply(lane, function, argument)
    if column.values is not None:
        lane = _map_values(lane, {key: constant_text(value) for key, value in column.values.items()}, column.unlisted)
    if column.default is not None:
        lane = _fill_default(lane, constant_text(column.default))
    of_row = {"*": column.timezone} if column.timezone else zones
    row_zones = source_zones(sources, of_row) if column.type == "datetime" else sources
    typed = read_typed(lane.text, row_zones, column, float_digits)
    rule = _coalesce(lane.rule, typed.rule)
    return replace(lane, value=typed.value, rule=rule, losses=_merge(lane.losses, dict(typed.losses)))


def _apply(lane: _Lane, name: str, argument: str | int | None) -> _Lane:
    function = FUNCTIONS[name]
    step = function.build(pl.col("t"), argument)
    failed = step.failed if step.failed is not None else pl.lit(False)
    lost = step.lost if step.lost is not None else pl.lit(False)
    frame = lane.text.rename("t").to_frame().with_columns(lane.rule)
    frame = frame.with_columns(
        step.value.alias("n"), failed.fill_null(False).alias("x"), lost.fill_null(False).alias("l")
    )
    frame = frame.select(
        t=pl.when(~pl.col("x") & (pl.col("n") != "")).then(pl.col("n")),
        rule=pl.coalesce("rule", pl.when(pl.col("x")).then(pl.lit(function.rule))),
        l=pl.col("l"),
    )
    losses = _merge(lane.losses, {function.loss: frame["l"]}) if function.loss else lane.losses
    return replace(lane, text=frame["t"], rule=frame["rule"], losses=losses)


def _map_values(lane: _Lane, values: dict[str, str], unlisted: str) -> _Lane:
    frame = pl.DataFrame({"t": lane.text, "rule": lane.rule})
    mapped = pl.col("t").replace_strict(list(values), list(values.values()), default=None, return_dtype=pl.String)
    frame = frame.with_columns(
        mapped.alias("m"), (pl.col("t").is_not_null() & ~pl.col("t").is_in(list(values))).alias("u")
    )
    if unlisted == "reject":
        rule = pl.coalesce("rule", pl.when(pl.col("u")).then(pl.lit("unlisted_value")))
        frame = frame.with_columns(rule.alias("rule"))
        return replace(lane, text=frame["m"], rule=frame["rule"])
    kept = pl.when(pl.col("u")).then(pl.col("t")).otherwise(pl.col("m")) if unlisted == "keep" else pl.col("m")
    return replace(
        lane, text=frame.select(kept.alias("t")).to_series(), losses=_merge(lane.losses, {"unlisted": frame["u"]})
    )


def _fill_default(lane: _Lane, default: str) -> _Lane:
    # a value that broke a rule is no missing one, so the default does not hide it
    empty = lane.text.is_null() & lane.rule.is_null()
    frame = pl.DataFrame({"t": lane.text, "e": empty})
    filled = frame.select(pl.when(pl.col("e")).then(pl.lit(default)).otherwise(pl.col("t")).alias("t")).to_series()
    return replace(lane, text=filled, losses=_merge(lane.losses, {"defaulted": empty}))


def _strictest(lanes: list[_Lane]) -> _Lane:
    """One consent of several fields: false if one says no, true only if none says anything else."""
    frame = pl.DataFrame([lane.value.rename(f"v{i}") for i, lane in enumerate(lanes)])
    frame = frame.with_columns(
        pl.any_horizontal(pl.lit(lane.rule.is_not_null() | _went_missing(lane)) for lane in lanes).alias("broken"),
        pl.min_horizontal(pl.col(f"v{i}") for i in range(len(lanes))).alias("least"),
        pl.max_horizontal(pl.col(f"v{i}") for i in range(len(lanes))).alias("most"),
    )
    value = pl.when(~(pl.col("broken") & pl.col("least"))).then(pl.col("least"))
    withheld = (pl.col("most") & (pl.col("broken") | ~pl.col("least"))).fill_null(False)
    frame = frame.with_columns(value.alias("value"), withheld.alias("withheld"))
    losses: dict[str, pl.Series] = {"consent_withheld": frame["withheld"]}
    for lane in lanes:
        losses = _merge(losses, lane.losses)
    return _Lane(
        first_value([lane.origin for lane in lanes]),
        lanes[0].text,
        first_value([lane.rule for lane in lanes]),
        frame["value"],
        losses,
    )


def _went_missing(lane: _Lane) -> pl.Series:
    """Where something was said that came to nothing, as an unlisted value left out."""
    return lane.origin.is_not_null() & lane.value.is_null()


def _withhold_unfounded(lane: _Lane, rows: pl.DataFrame, fields: tuple[str, ...]) -> _Lane:
    """A consent by expression holds only where at least one field it reads says something."""
    says_something = [(pl.col(FIELD + field) != "").fill_null(False) for field in fields] or [pl.lit(False)]
    frame = rows.with_columns(pl.any_horizontal(says_something).alias("founded")).select("founded")
    frame = frame.with_columns(lane.value.alias("value"))
    withheld = (pl.col("value") & ~pl.col("founded")).fill_null(False)
    frame = frame.with_columns(withheld.alias("withheld"))
    value = frame.select(pl.when(~pl.col("withheld")).then(pl.col("value")).alias("value")).to_series()
    return replace(lane, value=value, losses=_merge(lane.losses, {"consent_withheld": frame["withheld"]}))


def _finish(lane: _Lane, column: Column, missing_rule: str | None) -> Computed:
    broken = lane.rule.is_not_null()
    rule, losses = lane.rule, lane.losses
    if column.on_invalid != "reject":
        name = "omitted_invalid" if column.on_invalid == "omit" else "nulled_invalid"
        losses = _merge(losses, {name: broken})
        # `unlisted: reject` wants the row looked at, whatever `on_invalid` says of types
        rejects = pl.Series([missing_rule is not None]).new_from_index(0, len(rule)) | (
            rule == "unlisted_value"
        ).fill_null(False)
        rule = _keep_where(rule, rejects)
    if missing_rule is not None:
        rule = _coalesce(rule, _rule_where(lane.value.is_null() & rule.is_null(), missing_rule))
    nulls = _sent_nulls(lane, column, broken) if column.may_send_null else None
    text = _keep_where(lane.origin.cast(pl.String), rule.is_not_null())
    return Computed(lane.value, rule, text, nulls, losses)


def _sent_nulls(lane: _Lane, column: Column, broken: pl.Series) -> pl.Series:
    nulls = pl.Series([False]).new_from_index(0, len(broken))
    if column.null == "send":
        nulls = nulls | (lane.value.is_null() & lane.text.is_null() & ~broken & ~_went_missing(lane))
    if column.on_invalid == "null":
        nulls = nulls | broken
    return nulls


def _rule_where(where: pl.Series, rule: str) -> pl.Series:
    return (
        where.rename("w")
        .to_frame()
        .select(pl.when(pl.col("w")).then(pl.lit(rule)).otherwise(NO_RULE).alias("rule"))
        .to_series()
    )


def _keep_where(values: pl.Series, where: pl.Series) -> pl.Series:
    return pl.DataFrame({"v": values, "w": where}).select(pl.when(pl.col("w")).then(pl.col("v")).alias("v")).to_series()


def _coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    return pl.DataFrame({"a": first, "b": second}).select(pl.coalesce("a", "b").alias("rule")).to_series()


def _merge(losses: dict[str, pl.Series], more: dict[str, pl.Series]) -> dict[str, pl.Series]:
    merged = dict(losses)
    for name, lost in more.items():
        merged[name] = merged[name] | lost if name in merged else lost
    return merged
