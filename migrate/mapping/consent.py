"""What a mapping may say of a consent: nothing by which silence could become a yes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import polars as pl

from migrate.language.answers import answer_of, words_of
from migrate.language.yaml_text import Path
from migrate.mapping.columns import FIELD
from migrate.mapping.fields import lookup_of
from migrate.mapping.functions import FUNCTIONS
from migrate.mapping.model import Column, Mapping, constant_text
from migrate.mapping.sql import Expression, SqlRefused, parse_sql, run_sql

_NO_ANSWERS = {"", "null", "none", "nil", "n/a", "na", "nan", "undefined", "unknown", "-", "?"}
# what no yes can be made of: silence, words that mean nothing, and every known no
_NOT_YES = (None, "", "NULL", "n/a", "unlisted", "zzz", *words_of("no"))
_MOST_FIELDS_CROSSED = 2


def check_consent(mapping: Mapping, name: str, column: Column) -> Iterator[tuple[Path, str]]:
    """Every way in which a consent column could come true without an explicit yes."""
    if not column.consent:
        return
    if column.type != "boolean":
        yield ("consent",), "a consent is of `type: boolean`"
    if name in mapping.key:
        yield ("consent",), "a consent cannot be a key"
    for key in ("value", "default"):
        if getattr(column, key) is not None and constant_text(getattr(column, key)) == "true":
            yield (key,), "would give consent where nobody did; remove it"
    yield from _check_values(column)
    yield from _check_origin(mapping, column)


def _check_values(column: Column) -> Iterator[tuple[Path, str]]:
    for text, value in (column.values or {}).items():
        if constant_text(value) != "true":
            continue
        if text.strip().casefold() in _NO_ANSWERS:
            yield ("values", text), f"{text!r} is no answer and cannot give consent"
        elif answer_of(text) == "no":
            yield ("values", text), f"{text!r} says no or not yet and cannot give consent"
    if column.values is not None and column.unlisted == "keep":
        yield ("unlisted",), "a consent cannot keep what is not listed; reject or omit"
    for index, (function, _) in enumerate(column.calls):
        if function in FUNCTIONS and not FUNCTIONS[function].keeps_consent:
            yield (
                ("apply", index),
                f"`{function}` could turn another answer into a yes; not for a consent",
            )


def _check_origin(mapping: Mapping, column: Column) -> Iterator[tuple[Path, str]]:
    for field in column.fields:
        if lookup_of(mapping, field):
            yield ("from",), f"{field!r}: a consent is of its own record, never looked up"
    if column.sql is None:
        return
    try:
        expression = parse_sql(column.sql)
    except SqlRefused:
        return
    if any(lookup_of(mapping, field) for field in expression.fields):
        yield ("sql",), "a consent is of its own record, never looked up"
    if _speaks_for_the_silent(expression, column):
        yield (
            ("sql",),
            "gives true where no field it reads says yes: they are null, '', unknown or say no",
        )


def _speaks_for_the_silent(expression: Expression, column: Column) -> bool:
    rows = _unsaid_rows(expression.fields)
    try:
        answers = run_sql(expression, rows, lambda field: pl.col(FIELD + field)).values
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return False  # said elsewhere: the expression does not run
    yes = (
        {"true"}
        if column.values is None
        else {text for text, value in column.values.items() if constant_text(value) == "true"}
    )
    said = answers.cast(pl.String).to_list()
    return any(answer in yes for answer in said)


def _unsaid_rows(fields: tuple[str, ...]) -> pl.DataFrame:
    """Rows in which nobody said yes: of few fields every answer beside every other, else the same in all."""
    if not fields:
        return pl.DataFrame({"row": ["x"]})
    crossed = fields[:_MOST_FIELDS_CROSSED]
    answers = list(product(_NOT_YES, repeat=len(crossed)))
    columns = {
        FIELD + field: [row[place] for row in answers] for place, field in enumerate(crossed)
    }
    columns |= {FIELD + field: [row[0] for row in answers] for field in fields[len(crossed) :]}
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(columns, pl.String))
