"""Is the value in the target the one we would send? Pure.

The target's export is CSV, so each of its values is a text; null is an empty field without quotes, '' one with them,
but not every writer keeps them apart. The rules:

- null and '' are equal, in every type: a CSV cannot always tell them apart.
- text: equal to the last character. json: equal as text.
- integer, float: equal as decimal numbers, read to 18 places: `1.10` is `1.1`, `12` is `12.0`, `1e3` is `1000`.
- boolean: `true`, `t` and `1` are true, `false`, `f` and `0` are false, in either case of letters.
- datetime, date: the same instant: `T` or a space, a fraction of zeros, `Z`, an offset or nothing (which is UTC); a
  date alone is its midnight.
- A text in the target that cannot be read in the column's type equals nothing.
"""

from __future__ import annotations

from itertools import product

import polars as pl

_EXACT = pl.Decimal(38, 18)
_TRUE = ("true", "t", "1")
_FALSE = ("false", "f", "0")
_SPELLINGS = tuple(
    f"%Y-%m-%d{between}%H:%M:%S{fraction}{zone}"
    for fraction, between, zone in product((".000", "", "%.f"), ("T", " "), ("Z", ""))
)
"""The usual spellings of a time. Those without a free fraction come first: they are read ten times as fast."""


def _instant(text: pl.Expr) -> pl.Expr:
    spaced = text.str.replace(r"^(\d{4}-\d\d-\d\d)[Tt]", "$1 ").str.replace(
        r"^(\d{4}-\d\d-\d\d)$", "$1 00:00:00"
    )
    # The format that is written has no zone, and what is read back may say `Z`: both are UTC.
    naive = spaced.str.replace(r"(?:[Zz]|[+-]00(?::?00)?)$", "")
    local = naive.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
    padded = spaced.str.replace(r"([+-]\d\d)$", "${1}:00")
    offset = padded.str.to_datetime(
        "%Y-%m-%d %H:%M:%S%.f%z", time_unit="us", time_zone="UTC", strict=False
    )
    return pl.coalesce(local, offset.dt.replace_time_zone(None))


def _truth(text: pl.Expr) -> pl.Expr:
    lower = text.str.to_lowercase()
    return pl.when(lower.is_in(_TRUE)).then(True).when(lower.is_in(_FALSE)).then(False)


def read_text(text: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A text of the target's export as a value that compares with a planned one of `dtype` after `comparable`."""
    value = pl.when(text != "").then(text)
    if dtype == pl.Boolean:
        return _truth(value)
    if dtype.is_numeric():
        return value.str.strip_chars().cast(_EXACT, strict=False)
    if dtype.is_temporal():
        return _instant(value)
    return value


def comparable(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A planned value of `dtype` as `read_text` gives the target's."""
    if dtype == pl.Boolean:
        return value
    if dtype.is_numeric():
        return value.cast(_EXACT)
    if dtype.is_temporal():
        return value.cast(pl.Datetime("us"))
    return pl.when(value != "").then(value)


def differs(planned: pl.Expr, there: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """True where the target holds another value than the planned one; never null."""
    unreadable = (there != "") & read_text(there, dtype).is_null()
    other = comparable(planned, dtype).ne_missing(read_text(there, dtype))
    return other | unreadable.fill_null(value=False)


def differing(pairs: pl.DataFrame, dtype: pl.DataType) -> pl.Series:
    """`differs` of each pair that is sent, False for the others.

    Most values are spelt the same way on both sides: those that are plainly the same are put aside first, and the
    general reading, many times slower, is left for the rest.

    **Shape**: `pairs` has `new`, the planned value, `old`, the target's text, and `sent`, which is never null.
    """
    same = _plainly_same(pairs.get_column("old"), dtype)
    unsure = pairs.select(
        (pl.col("sent") & ~same.fill_null(value=False)).alias("differs")
    ).to_series()
    places = unsure.arg_true()
    if not len(places):
        return unsure
    looked_at = pairs[places].select(differs(pl.col("new"), pl.col("old"), dtype)).to_series()
    return unsure.scatter(places.filter(~looked_at), False)


def _plainly_same(texts: pl.Series, dtype: pl.DataType) -> pl.Expr:
    """True where `new` and `old` are surely the same value; false or null says nothing."""
    new = pl.col("new")
    old = pl.col("old")
    if dtype == pl.String:
        return new.eq_missing(old)
    if dtype == pl.Boolean:
        return (new & (old == _TRUE[0])) | (~new & (old == _FALSE[0]))
    if dtype.is_integer():
        return new == old.cast(dtype, strict=False)
    if dtype.is_numeric():
        return comparable(new, dtype) == old.cast(_EXACT, strict=False)
    spelling = _spelling(texts)
    if spelling:
        read = old.str.to_datetime(spelling, time_unit="us", strict=False)
    else:
        read = pl.lit(None, pl.Datetime("us"))
    return comparable(new, dtype) == read


def _spelling(texts: pl.Series) -> str | None:
    """The spelling of the first time in the target's column, None where it is none of the usual ones."""
    filled = (texts != "").fill_null(value=False)
    place = filled.arg_max()
    if place is None or not filled[place]:
        return None
    first = texts[place : place + 1]
    spellings = (
        s
        for s in _SPELLINGS
        if first.str.to_datetime(s, time_unit="us", strict=False).null_count() == 0
    )
    return next(spellings, None)
