"""One column of a mapping, from text fields to typed values, with every rule it breaks and every loss it makes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import reduce
from operator import and_, or_

import polars as pl

from migrate.errors import MappingError
from migrate.language.answers import words_of
from migrate.language.patterns import WHITE_SPACE
from migrate.language.sql import parse_sql
from migrate.mapping.column_text import ColumnText, start_lane
from migrate.mapping.model import Column, constant_text
from migrate.mapping.numbers import FloatDigits
from migrate.mapping.rules import NULLED, OMITTED
from migrate.mapping.series import (
    coalesce,
    holds_any,
    is_same,
    keep_where,
    merge_losses,
    rule_where,
    without_empty,
)
from migrate.mapping.sql import Answers, run_sql
from migrate.mapping.types import polars_type, read_typed, render

FIELD = "f:"
NUL = "\0"
"""Stands in a field for half a surrogate pair, too: see `base`."""


@dataclass(frozen=True)
class Computed:
    """One column for all rows.

    **Shape.** Series of one length: `value` typed; `rule` null or the rule that rejects the row; `text` what was
    offending, null elsewhere; `sends_null` where a null is written; `losses` true where something got lost; `origin`
    the text as sent.
    """

    value: pl.Series
    rule: pl.Series
    text: pl.Series
    sends_null: pl.Series | None
    losses: dict[str, pl.Series]
    origin: pl.Series


def compute(
    name: str,
    column: Column,
    rows: pl.DataFrame,
    required: bool,
    zones: pl.Series,
    float_digits: FloatDigits,
) -> Computed:
    """The values of one column.

    **Shape.** `rows` has one text column `f:NAME` per field read. `zones`: the zone of each row's naive times.
    """
    if column.timezone is not None:
        zones = pl.Series([column.timezone]).new_from_index(0, rows.height)
    sources = _read_texts(name, column, rows)
    # several fields of a consent are heard first: the default stands in where none of them says anything
    if len(sources) == 1:
        heard = column
    else:
        heard = column.model_copy(update={"default": None})
    lanes = [
        _refused_early(_run(source.text, heard, zones, float_digits), source) for source in sources
    ]
    lane = lanes[0] if len(lanes) == 1 else _strictest(lanes)
    if len(lanes) > 1 and column.default is not None:
        lane = _default_of_all(lane, lanes, constant_text(column.default))
    if column.consent and column.sql is not None:
        lane = _withhold_unfounded(lane, rows, parse_sql(column.sql).fields, column)
    return _finish(
        lane,
        column,
        "key_missing"
        if required and not column.required
        else "required_missing"
        if required
        else None,
    )


def read_times(texts: pl.Series, column: Column, zones: pl.Series) -> pl.Series:
    """The times that texts say under a column's own reading (functions, format, zone), null where they say none.

    **Shape.** One Datetime("us") per text, of a date its midnight. `zones`: of each row's naive times.
    """
    if column.timezone is not None:
        zones = pl.Series([column.timezone]).new_from_index(0, len(texts))
    # a default is no time of the record, and would rank all that have none alike
    own = column.model_copy(update={"default": None})
    return _run(without_empty(texts), own, zones, "decimals").value.cast(pl.Datetime("us"))


@dataclass(frozen=True)
class SourceText:
    """What a column starts from, row by row: its text, or the rule that keeps any step from being taken.

    `rule` is null where there is none, and None where no row has one.
    """

    text: pl.Series
    rule: pl.Series | None = None
    losses: dict[str, pl.Series] = field(default_factory=dict)


def evaluate(what: str, sql: str, rows: pl.DataFrame, *, strict: bool = False) -> Answers:
    """What an expression gives for each row. `strict`: see `run_sql`.

    **Raises.** MappingError, without the values, when polars cannot run it.
    """
    expression = parse_sql(sql)
    names = [FIELD + field for field in expression.fields]
    # what is made of a field that is the same in all rows, as the source often is, is worked out once
    same = {name: rows[name].first() for name in names if is_same(rows[name])}

    def column_of(name: str) -> pl.Expr:
        column = FIELD + name
        if column in same:
            return pl.lit(same[column], pl.String)
        return pl.col(column)

    try:
        return run_sql(expression, rows, column_of, strict=strict)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise MappingError(
            [f"{what}: the expression fails ({type(error).__name__})"], hint="migrate mapping check"
        ) from None


def _read_texts(name: str, column: Column, rows: pl.DataFrame) -> list[SourceText]:
    """The texts a column starts from; several for a consent with several fields, which must all be heard."""
    if column.sql is not None:
        return [_read_expression(name, column, rows)]
    if column.fields:
        texts = [rows[FIELD + field] for field in column.fields]
    else:
        texts = [
            pl.Series([constant_text(column.value)], dtype=pl.String).new_from_index(0, rows.height)
        ]
    if column.consent:
        texts = [without_empty(text) for text in texts]
    else:
        texts = [first_value(texts)]
    return [SourceText(text, _unsendable([text])) for text in texts]


def _read_expression(name: str, column: Column, rows: pl.DataFrame) -> SourceText:
    sql = str(column.sql)
    found = evaluate(f"columns.{name}.sql", sql, rows)
    texts = found.values
    if texts.dtype == pl.Boolean:
        texts = texts.to_frame().select(render("sql", texts.dtype)).to_series()
    rule = _unsendable([rows[FIELD + field] for field in parse_sql(sql).fields])
    if found.fails is not None:
        failed = rule_where(found.fails, "not_computable")
        rule = failed if rule is None else coalesce(rule, failed)
    texts = without_empty(texts)
    if not column.consent:
        return SourceText(texts, rule)
    withheld = texts.is_not_null() & _unfounded(rows, sql)
    # of a no that nobody said nothing gets lost
    told = withheld & texts.is_in(sorted(_yes_texts(column)))
    return SourceText(keep_where(texts, ~withheld), rule, {"consent_withheld": told})


def _unsendable(texts: list[pl.Series]) -> pl.Series | None:
    """The rule of rows whose text no database can hold: none of it is hashed or cut before that is told."""
    marked = [
        text.str.contains(NUL, literal=True).fill_null(value=False)
        for text in texts
        if holds_any(text, NUL, literal=True)
    ]
    if marked:
        return rule_where(reduce(or_, marked), "unsendable_text")
    return None


def first_value(texts: list[pl.Series]) -> pl.Series:
    """The first of several texts that has a value, row by row: neither null nor ''."""
    found = [without_empty(text) for text in texts if text.null_count() < len(text)]
    if len(found) <= 1 or found[0].null_count() == 0:
        return (found or texts)[0]
    texts = found
    frame = pl.DataFrame([text.rename(str(i)) for i, text in enumerate(texts)])
    return frame.select(pl.coalesce(pl.all()).alias("t")).to_series()


def _refused_early(lane: ColumnText, source: SourceText) -> ColumnText:
    """The lane without what was made of texts that broke a rule before the first step."""
    lane = replace(lane, losses=merge_losses(lane.losses, source.losses))
    if source.rule is None or source.rule.null_count() == len(source.rule):
        return lane
    sound = source.rule.is_null()
    return replace(
        lane,
        text=keep_where(lane.text, sound),
        rule=coalesce(source.rule, lane.rule),
        value=keep_where(lane.value, sound),
        losses={loss: lost & sound for loss, lost in lane.losses.items()},
    )


def _run(
    text: pl.Series, column: Column, zones: pl.Series, float_digits: FloatDigits
) -> ColumnText:
    lane = start_lane(text, column)
    if lane.text.null_count() == len(lane.text):
        return replace(lane, value=lane.text.cast(polars_type(column.type, float_digits)))
    typed = read_typed(lane.text, zones, column, float_digits)
    rule = coalesce(lane.rule, typed.rule)
    return replace(
        lane, value=typed.value, rule=rule, losses=merge_losses(lane.losses, dict(typed.losses))
    )


def _default_of_all(lane: ColumnText, lanes: list[ColumnText], default: str) -> ColumnText:
    """A consent of several fields with its default where no field has a value or breaks a rule."""
    says_nothing = [each.value.is_null() & each.rule.is_null() for each in lanes]
    empty = reduce(and_, says_nothing)
    value = lane.value.set(empty, default == "true")
    return replace(lane, value=value, losses=merge_losses(lane.losses, {"defaulted": empty}))


def _strictest(lanes: list[ColumnText]) -> ColumnText:
    """One consent of several fields: false if one says no, true only if none says anything else."""
    frame = pl.DataFrame([lane.value.rename(f"v{i}") for i, lane in enumerate(lanes)])
    frame = frame.with_columns(
        pl.any_horizontal(
            pl.lit(lane.rule.is_not_null() | _went_missing(lane)) for lane in lanes
        ).alias("broken"),
        pl.min_horizontal(pl.col(f"v{i}") for i in range(len(lanes))).alias("least"),
        pl.max_horizontal(pl.col(f"v{i}") for i in range(len(lanes))).alias("most"),
    )
    value = pl.when(~(pl.col("broken") & pl.col("least"))).then(pl.col("least"))
    withheld = (pl.col("most") & (pl.col("broken") | ~pl.col("least"))).fill_null(False)
    frame = frame.with_columns(value.alias("value"), withheld.alias("withheld"))
    losses: dict[str, pl.Series] = {"consent_withheld": frame["withheld"]}
    for lane in lanes:
        losses = merge_losses(losses, lane.losses)
    return ColumnText(
        first_value([lane.origin for lane in lanes]),
        lanes[0].text,
        first_value([lane.rule for lane in lanes]),
        frame["value"],
        losses,
    )


def _went_missing(lane: ColumnText) -> pl.Series:
    """Where something was said that came to nothing, as an unlisted value left out."""
    return lane.origin.is_not_null() & lane.value.is_null()


def yes_words(column: Column) -> frozenset[str]:
    """The texts, in small letters, that count as a yes in the fields that a consent's expression reads."""
    listed = _yes_texts(column) if column.values is not None else set()
    return frozenset([*words_of("yes"), *(text.strip(WHITE_SPACE).casefold() for text in listed)])


def _yes_texts(column: Column) -> set[str]:
    """The texts of a consent that its `values` make true."""
    if column.values is None:
        return {"true"}
    return {text for text, value in column.values.items() if constant_text(value) == "true"}


def _withhold_unfounded(
    lane: ColumnText, rows: pl.DataFrame, fields: tuple[str, ...], column: Column
) -> ColumnText:
    """A consent by expression is true only where a field it reads says yes.

    An expression can say anything of silence, and no trying out shows all that it says; so the fields decide.
    """
    said = [without_empty(rows[FIELD + field]).alias(str(at)) for at, field in enumerate(fields)]
    frame = pl.DataFrame([*said, lane.value.alias("value")])
    yes = list(yes_words(column))
    says_yes = [
        pl.col(str(at)).str.strip_chars().str.to_lowercase().is_in(yes).fill_null(False)
        for at in range(len(fields))
    ]
    founded = pl.any_horizontal([pl.lit(False), *says_yes])
    withheld = frame.select((pl.col("value") & ~founded).fill_null(False)).to_series()
    value = keep_where(lane.value, ~withheld)
    return replace(
        lane, value=value, losses=merge_losses(lane.losses, {"consent_withheld": withheld})
    )


def _unfounded(rows: pl.DataFrame, sql: str) -> pl.Series:
    """Where a consent's expression answers for somebody who said nothing: a silent field decides, or all are."""
    answers = evaluate("sql", sql, rows, strict=True).values
    says_something = [pl.col(FIELD + field).fill_null("") != "" for field in parse_sql(sql).fields]
    frame = rows.with_columns(pl.any_horizontal(pl.lit(False), *says_something).alias("founded"))
    return answers.is_null() | ~frame["founded"]


def _finish(lane: ColumnText, column: Column, missing_rule: str | None) -> Computed:
    rule, losses, rows = lane.rule, lane.losses, len(lane.rule)
    if column.on_invalid != "reject" and rule.null_count() < rows:
        word = OMITTED if column.on_invalid == "omit" else NULLED
        # of a consent with several fields one may break a rule while another says no, and that stands
        broken = keep_where(rule, lane.value.is_null())
        # by rule, since why values are lost is what a reader needs: a zero date says that there is none
        gone = {f"{word}{name}": broken == name for name in broken.drop_nulls().unique()}
        losses = merge_losses(losses, {name: lost.fill_null(False) for name, lost in gone.items()})
        # `unlisted: reject` wants the row looked at, whatever `on_invalid` says of types
        if missing_rule is None:
            rule = keep_where(rule, (rule == "unlisted_value").fill_null(False))
    if missing_rule is not None and lane.value.null_count():
        rule = coalesce(rule, rule_where(lane.value.is_null() & rule.is_null(), missing_rule))
    if column.may_send_null:
        nulls = _sent_nulls(lane, column, lane.rule.is_not_null())
    else:
        nulls = None
    breaks = rule.null_count() < rows
    if breaks:
        text = keep_where(lane.origin.cast(pl.String), rule.is_not_null())
    else:
        text = rule
    return Computed(lane.value, rule, text, nulls, losses, lane.origin)


def _sent_nulls(lane: ColumnText, column: Column, broken: pl.Series) -> pl.Series:
    nulls = pl.Series([False]).new_from_index(0, len(broken))
    if column.null == "send":
        nulls = nulls | (
            lane.value.is_null() & lane.text.is_null() & ~broken & ~_went_missing(lane)
        )
    if column.on_invalid == "null":
        # of a consent with several fields one may break a rule while another says no, and that stands
        nulls = nulls | (broken & lane.value.is_null())
    return nulls
