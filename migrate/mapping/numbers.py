"""Integers and floats out of text, in decimal arithmetic from the first digit to the last.

**Source.** Octolis: numbers lie in -2147483648 … 2147483647, floats have at most six digits. Which six is not said:
see `float_digits`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Literal

import polars as pl

FloatDigits = Literal["decimals", "significant"]
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
DIGITS = 6
SCALES: dict[FloatDigits, int] = {"decimals": 6, "significant": 18}
_INTEGER = r"^-?[0-9]+(\.0+)?$"
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?$"
_SHORT = r"^-?[0-9]{1,12}(\.[0-9]{1,18})?$"
_SHORT_SIGNIFICANT = r"^-?[0-9]{1,6}(\.[0-9]{1,18})?$"
_EXACT = Context(prec=3000)
_WIDE = pl.Decimal(38, 18)


def float_type(digits: FloatDigits) -> pl.Decimal:
    """The frame's type of a float column."""
    if digits == "decimals":
        return pl.Decimal(16, 6)
    return pl.Decimal(38, 18)


def integer_rule(text: pl.Expr) -> pl.Expr:
    """The rule a text breaks as an integer, or null. `12.000` is one; `1e3`, `+1`, ` 1` are not: they may be codes."""
    outside = integer_value(text).is_null()
    return (
        pl.when(~text.str.contains(_INTEGER))
        .then(pl.lit("not_an_integer"))
        .when(outside)
        .then(pl.lit("out_of_int32"))
        .otherwise(pl.lit(None, dtype=pl.String))
    )


def integer_value(text: pl.Expr) -> pl.Expr:
    """The Int32 a text says, null where it says none."""
    plain = pl.when(text.str.contains(_INTEGER)).then(text.str.replace(r"\.0+$", ""))
    return plain.cast(pl.Int32, strict=False)


def read_floats(
    texts: pl.Series, digits: FloatDigits, policy: Literal["round", "reject"]
) -> pl.DataFrame:
    """Decimals out of text.

    **Shape.** One row per text: `value`, `rule` (null or a rule's name), `rounded` (whether digits were lost).
    """
    text, exact = pl.col("text"), pl.col("exact")
    if digits == "decimals":
        is_short = text.str.contains(_SHORT)
        value = exact.round(DIGITS, mode="half_to_even")
    else:
        has_few_digits = text.str.replace_all(r"[-.]", "").str.len_bytes() <= DIGITS
        is_short = text.str.contains(_SHORT_SIGNIFICANT) & has_few_digits
        value = exact
    frame = texts.rename("text").to_frame()
    frame = frame.with_columns(
        pl.when(is_short).then(text).cast(_WIDE, strict=False).alias("exact")
    )
    frame = frame.with_columns(value.alias("value"))
    if _all_fit(frame):
        kept = pl.col("value").cast(float_type(digits))
        return frame.select(
            kept.alias("value"),
            pl.lit(None, dtype=pl.String).alias("rule"),
            pl.lit(False).alias("rounded"),
        )
    frame = frame.with_columns(
        _short_rule(policy).alias("rule"),
        pl.col("value").ne(pl.col("exact")).fill_null(False).alias("rounded"),
    )
    frame = _with_long(frame, lambda text: _read_one(text, digits, policy))
    value = (
        pl.when(pl.col("rule").is_null())
        .then(pl.col("value"))
        .cast(float_type(digits), strict=False)
    )
    return frame.select(
        value.alias("value"),
        "rule",
        (pl.col("rounded") & pl.col("rule").is_null()).alias("rounded"),
    )


def _all_fit(frame: pl.DataFrame) -> bool:
    """Whether every text is a short number that the target takes as it is: nearly always, and then that is all."""
    if frame["exact"].null_count() != frame["text"].null_count():
        return False
    in_range = pl.col("value").is_between(
        pl.lit(INT32_MIN).cast(_WIDE), pl.lit(INT32_MAX).cast(_WIDE)
    )
    return bool(frame.select((in_range & (pl.col("value") == pl.col("exact"))).all()).item())


def _short_rule(policy: str) -> pl.Expr:
    value = pl.col("value")
    outside = (value > pl.lit(INT32_MAX).cast(_WIDE)) | (value < pl.lit(INT32_MIN).cast(_WIDE))
    longer = (value != pl.col("exact")) & pl.lit(policy == "reject")
    rule = (
        pl.when(outside).then(pl.lit("out_of_int32")).when(longer).then(pl.lit("too_many_digits"))
    )
    return rule.otherwise(pl.lit(None, dtype=pl.String))


def _with_long(
    frame: pl.DataFrame, read: Callable[[str], tuple[Decimal | None, str | None, bool]]
) -> pl.DataFrame:
    rest = (
        frame.filter(pl.col("text").is_not_null() & pl.col("exact").is_null())
        .get_column("text")
        .unique()
    )
    if rest.is_empty():
        return frame
    answers = [read(text) for text in rest]
    table = pl.DataFrame(
        {
            "text": rest,
            "value_": pl.Series([answer[0] for answer in answers], dtype=_WIDE),
            "rule_": pl.Series([answer[1] for answer in answers], dtype=pl.String),
            "rounded_": [answer[2] for answer in answers],
        }
    )
    joined = frame.join(table, on="text", how="left", maintain_order="left")
    found = pl.col("rounded_").is_not_null()
    return joined.select(
        "text",
        *(
            pl.when(found).then(pl.col(f"{name}_")).otherwise(pl.col(name)).alias(name)
            for name in ("value", "rule", "rounded")
        ),
    )


def _read_one(
    text: str, digits: FloatDigits, policy: str
) -> tuple[Decimal | None, str | None, bool]:
    number = parse_number(text)
    if number is None:
        return None, "not_a_number", False
    rounded = _round(number, digits)
    lost = rounded != number
    if not INT32_MIN <= rounded <= INT32_MAX:
        return None, "out_of_int32", False
    if lost and policy == "reject":
        return None, "too_many_digits", False
    return rounded, None, lost


def parse_number(text: str) -> Decimal | None:
    """The exact number of a text, or None: `1.10`, `-3`, `1.5e-7`; no spaces, no comma, no NaN."""
    if not re.fullmatch(_NUMBER[1:-1], text):
        return None
    try:
        return _EXACT.create_decimal(text)
    except InvalidOperation:
        return None


def _round(number: Decimal, digits: FloatDigits) -> Decimal:
    if abs(number) > 10**12:
        return number
    if digits == "significant":
        number = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN).plus(number)
    return number.quantize(
        Decimal(1).scaleb(-SCALES[digits]), rounding=ROUND_HALF_EVEN, context=_EXACT
    )
