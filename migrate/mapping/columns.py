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
from migrate.mapping.column_text import ColumnText, start_text
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
"""Stands in a field for half a surrogate pair, too: see `source_rows`."""


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
    zones = _own_zones(column, zones)
    sources = _read_texts(name, column, rows)
    if len(sources) == 1:
        column_text = _take_steps(sources[0], column, zones, float_digits)
    else:
        column_text = _hear_all_fields(sources, column, zones, float_digits)
    if column.consent and column.sql is not None:
        column_text = _withhold_unfounded(column_text, rows, column)
    if not required:
        rule_when_missing = None
    elif column.required:
        rule_when_missing = "required_missing"
    else:
        # A key column is required without saying so; its own rule tells why the row went.
        rule_when_missing = "key_missing"
    return _finish(column_text, column, rule_when_missing)


def _own_zones(column: Column, zones: pl.Series) -> pl.Series:
    """The zone of each row's naive times: the column's own, where it names one."""
    if column.timezone is None:
        return zones
    return pl.Series([column.timezone]).new_from_index(0, len(zones))


def _hear_all_fields(
    sources: list[SourceText], column: Column, zones: pl.Series, float_digits: FloatDigits
) -> ColumnText:
    """One consent of several fields."""
    # Every field is heard first: the default stands in only where none of them says anything.
    heard = column.model_copy(update={"default": None})
    answers = [_take_steps(source, heard, zones, float_digits) for source in sources]
    strictest = _strictest(answers)
    if column.default is None:
        return strictest
    return _default_of_all(strictest, answers, constant_text(column.default))


def read_times(texts: pl.Series, column: Column, zones: pl.Series) -> pl.Series:
    """The times that texts say under a column's own reading (functions, format, zone), null where they say none.

    **Shape.** One Datetime("us") per text, of a date its midnight. `zones`: of each row's naive times.
    """
    # A default is no time of the record, and would rank all that have none alike.
    own = column.model_copy(update={"default": None})
    typed = _read_as_typed(without_empty(texts), own, _own_zones(column, zones), "decimals")
    return typed.value.cast(pl.Datetime("us"))


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
    # What is made of a field that is the same in all rows, as the source often is, is worked out once.
    constants = {name: rows[name].first() for name in names if is_same(rows[name])}

    def column_of(name: str) -> pl.Expr:
        column = FIELD + name
        if column in constants:
            return pl.lit(constants[column], pl.String)
        return pl.col(column)

    try:
        return run_sql(expression, rows, column_of, strict=strict)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        # The engine's own words may hold a value of a record, so only the kind of error is shown.
        failure = f"{what}: the expression fails ({type(error).__name__})"
        raise MappingError([failure], hint="migrate mapping check") from None


def _read_texts(name: str, column: Column, rows: pl.DataFrame) -> list[SourceText]:
    """The texts a column starts from; several for a consent with several fields, which must all be heard."""
    if column.sql is not None:
        return [_read_expression(name, column, column.sql, rows)]
    if column.fields:
        texts = [rows[FIELD + field] for field in column.fields]
    else:
        constant = pl.Series([constant_text(column.value)], dtype=pl.String)
        texts = [constant.new_from_index(0, rows.height)]
    if column.consent:
        # Not the first that has a value: a yes in one field must not hide a no in the next.
        texts = [without_empty(text) for text in texts]
    else:
        texts = [first_value(texts)]
    return [SourceText(text, _unsendable([text])) for text in texts]


def _read_expression(name: str, column: Column, sql: str, rows: pl.DataFrame) -> SourceText:
    answers = evaluate(f"columns.{name}.sql", sql, rows)
    texts = answers.values
    if texts.dtype == pl.Boolean:
        texts = texts.to_frame().select(render("sql", texts.dtype)).to_series()
    texts = without_empty(texts)
    rule = _unsendable([rows[FIELD + field] for field in parse_sql(sql).fields])
    if answers.fails is not None:
        failed = rule_where(answers.fails, "not_computable")
        rule = failed if rule is None else coalesce(rule, failed)
    if not column.consent:
        return SourceText(texts, rule)
    withheld = texts.is_not_null() & _unfounded(rows, sql)
    # Of a no that nobody said nothing gets lost: only a withheld yes is counted.
    lost_yes = withheld & texts.is_in(sorted(_yes_texts(column)))
    return SourceText(keep_where(texts, ~withheld), rule, {"consent_withheld": lost_yes})


def _unsendable(texts: list[pl.Series]) -> pl.Series | None:
    """The rule of rows whose text no database can hold: none of it is hashed or cut before that is told."""
    # Asked of all texts together first: in nearly every column no text has a NUL.
    suspects = [text for text in texts if holds_any(text, NUL, literal=True)]
    if not suspects:
        return None
    marked = [text.str.contains(NUL, literal=True).fill_null(value=False) for text in suspects]
    return rule_where(reduce(or_, marked), "unsendable_text")


def first_value(texts: list[pl.Series]) -> pl.Series:
    """The first of several texts that has a value, row by row: neither null nor ''."""
    filled = [without_empty(text) for text in texts if text.null_count() < len(text)]
    if not filled:
        return texts[0]
    if len(filled) == 1 or filled[0].null_count() == 0:
        return filled[0]
    frame = pl.DataFrame([text.rename(str(number)) for number, text in enumerate(filled)])
    return frame.select(pl.coalesce(pl.all()).alias("t")).to_series()


def _take_steps(
    source: SourceText, column: Column, zones: pl.Series, float_digits: FloatDigits
) -> ColumnText:
    """The column's text after all steps, without what was made of texts that broke a rule before the first."""
    column_text = _read_as_typed(source.text, column, zones, float_digits)
    losses = merge_losses(column_text.losses, source.losses)
    if source.rule is None or source.rule.null_count() == len(source.rule):
        return replace(column_text, losses=losses)
    sound = source.rule.is_null()
    return replace(
        column_text,
        text=keep_where(column_text.text, sound),
        rule=coalesce(source.rule, column_text.rule),
        value=keep_where(column_text.value, sound),
        losses={loss: lost & sound for loss, lost in losses.items()},
    )


def _read_as_typed(
    text: pl.Series, column: Column, zones: pl.Series, float_digits: FloatDigits
) -> ColumnText:
    column_text = start_text(text, column)
    if column_text.text.null_count() == len(column_text.text):
        nothing = column_text.text.cast(polars_type(column.type, float_digits))
        return replace(column_text, value=nothing)
    typed = read_typed(column_text.text, zones, column, float_digits)
    return replace(
        column_text,
        value=typed.value,
        rule=coalesce(column_text.rule, typed.rule),
        losses=merge_losses(column_text.losses, dict(typed.losses)),
    )


def _default_of_all(strictest: ColumnText, answers: list[ColumnText], default: str) -> ColumnText:
    """A consent of several fields with its default where no field has a value or breaks a rule."""
    says_nothing = [answer.value.is_null() & answer.rule.is_null() for answer in answers]
    silent = reduce(and_, says_nothing)
    value = strictest.value.set(silent, default == "true")
    losses = merge_losses(strictest.losses, {"defaulted": silent})
    return replace(strictest, value=value, losses=losses)


def _strictest(answers: list[ColumnText]) -> ColumnText:
    """One consent of several fields: false if one says no, true only if none says anything else."""
    values = pl.DataFrame([answer.value.rename(str(at)) for at, answer in enumerate(answers)])
    broken = reduce(or_, [answer.rule.is_not_null() | _went_missing(answer) for answer in answers])
    frame = values.select(
        pl.min_horizontal("*").alias("least"), pl.max_horizontal("*").alias("most")
    )
    frame = frame.with_columns(broken.alias("broken"))
    least, most, is_broken = pl.col("least"), pl.col("most"), pl.col("broken")
    # A no stands whatever the other fields are; a yes beside one that says something unknown does not.
    value = pl.when(~(is_broken & least)).then(least)
    withheld = (most & (is_broken | ~least)).fill_null(False)
    frame = frame.select(value.alias("value"), withheld.alias("withheld"))
    losses: dict[str, pl.Series] = {"consent_withheld": frame["withheld"]}
    for answer in answers:
        losses = merge_losses(losses, answer.losses)
    return ColumnText(
        origin=first_value([answer.origin for answer in answers]),
        text=answers[0].text,
        rule=first_value([answer.rule for answer in answers]),
        value=frame["value"],
        losses=losses,
    )


def _went_missing(column_text: ColumnText) -> pl.Series:
    """Where something was said that came to nothing, as an unlisted value left out."""
    return column_text.origin.is_not_null() & column_text.value.is_null()


def yes_words(column: Column) -> frozenset[str]:
    """The texts, in small letters, that count as a yes in the fields that a consent's expression reads."""
    if column.values is not None:
        listed = _yes_texts(column)
    else:
        listed = set()
    own_words = {text.strip(WHITE_SPACE).casefold() for text in listed}
    return frozenset([*words_of("yes"), *own_words])


def _yes_texts(column: Column) -> set[str]:
    """The texts of a consent that its `values` make true."""
    if column.values is None:
        return {"true"}
    return {text for text, value in column.values.items() if constant_text(value) == "true"}


def _withhold_unfounded(column_text: ColumnText, rows: pl.DataFrame, column: Column) -> ColumnText:
    """A consent by expression is true only where a field it reads says yes.

    An expression can say anything of silence, and no trying out shows all that it says; so the fields decide.
    """
    yes = list(yes_words(column))
    fields = parse_sql(str(column.sql)).fields
    texts = [without_empty(rows[FIELD + name]).alias(str(at)) for at, name in enumerate(fields)]
    frame = pl.DataFrame([*texts, column_text.value.alias("value")])
    founded = pl.lit(False)
    for at in range(len(fields)):
        word = pl.col(str(at)).str.strip_chars().str.to_lowercase()
        founded = founded | word.is_in(yes).fill_null(False)
    withheld = frame.select((pl.col("value") & ~founded).fill_null(False)).to_series()
    return replace(
        column_text,
        value=keep_where(column_text.value, ~withheld),
        losses=merge_losses(column_text.losses, {"consent_withheld": withheld}),
    )


def _unfounded(rows: pl.DataFrame, sql: str) -> pl.Series:
    """Where a consent's expression answers for somebody who said nothing: a silent field decides, or all are."""
    answers = evaluate("sql", sql, rows, strict=True).values
    fields = [FIELD + name for name in parse_sql(sql).fields]
    says_something = [pl.col(field).fill_null("") != "" for field in fields]
    # Put beside the rows, since an expression without fields is a constant, and polars would give it once.
    frame = rows.with_columns(pl.any_horizontal(pl.lit(False), *says_something).alias("founded"))
    return answers.is_null() | ~frame["founded"]


def _finish(column_text: ColumnText, column: Column, rule_when_missing: str | None) -> Computed:
    """The column after `on_invalid` and the rule of a value that must be there."""
    value, rule, losses = column_text.value, column_text.rule, column_text.losses
    may_break = rule.null_count() < len(rule)
    if column.on_invalid != "reject" and may_break:
        losses = merge_losses(losses, _lost_by_rule(column_text, column))
        if rule_when_missing is None:
            # `unlisted: reject` wants the row looked at, whatever `on_invalid` says of types.
            rule = keep_where(rule, (rule == "unlisted_value").fill_null(False))
    if rule_when_missing is not None and value.null_count():
        is_missing = value.is_null() & rule.is_null()
        rule = coalesce(rule, rule_where(is_missing, rule_when_missing))
    if column.may_send_null:
        nulls = _sent_nulls(column_text, column)
    else:
        nulls = None
    offending = rule
    if rule.null_count() < len(rule):
        offending = keep_where(column_text.origin.cast(pl.String), rule.is_not_null())
    return Computed(value, rule, offending, nulls, losses, column_text.origin)


def _lost_by_rule(column_text: ColumnText, column: Column) -> dict[str, pl.Series]:
    """The values that broke a rule and are left out or nulled for it, by the loss of each rule."""
    word = OMITTED if column.on_invalid == "omit" else NULLED
    # Of a consent with several fields one may break a rule while another says no, and that stands.
    broken = keep_where(column_text.rule, column_text.value.is_null())
    # By rule, since why values are lost is what a reader needs: a zero date says that there is none.
    lost_by_rule = {}
    for name in broken.drop_nulls().unique():
        lost_by_rule[f"{word}{name}"] = (broken == name).fill_null(False)
    return lost_by_rule


def _sent_nulls(column_text: ColumnText, column: Column) -> pl.Series:
    """Where a null is written, which erases what the target holds."""
    broken, has_no_value = column_text.rule.is_not_null(), column_text.value.is_null()
    nulls = pl.Series([False]).new_from_index(0, len(broken))
    if column.null == "send":
        says_nothing = column_text.text.is_null() & ~broken & ~_went_missing(column_text)
        nulls = nulls | (has_no_value & says_nothing)
    if column.on_invalid == "null":
        # Of a consent with several fields one may break a rule while another says no, and that stands.
        nulls = nulls | (broken & has_no_value)
    return nulls
