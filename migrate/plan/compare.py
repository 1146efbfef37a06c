"""Which row of the target a planned row is, by its key; and is the value in it the one we would send? Pure.

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

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import polars as pl

from migrate.plan.tables import PlanTable, texts_of

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


def differs(planned: pl.Expr, held: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """True where the target holds another value than the planned one; never null."""
    unreadable = (held != "") & read_text(held, dtype).is_null()
    other = comparable(planned, dtype).ne_missing(read_text(held, dtype))
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


def _plainly_same(held: pl.Series, dtype: pl.DataType) -> pl.Expr:
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
    spelling = _spelling(held)
    if spelling:
        read = old.str.to_datetime(spelling, time_unit="us", strict=False)
    else:
        read = pl.lit(None, pl.Datetime("us"))
    return comparable(new, dtype) == read


def _spelling(held: pl.Series) -> str | None:
    """The spelling of the first time in the target's column, None where it is none of the usual ones."""
    filled = (held != "").fill_null(value=False)
    place = filled.arg_max()
    if place is None or not filled[place]:
        return None
    first = held[place : place + 1]
    spellings = (
        s
        for s in _SPELLINGS
        if first.str.to_datetime(s, time_unit="us", strict=False).null_count() == 0
    )
    return next(spellings, None)


@dataclass(frozen=True)
class Matched:
    """`places`: for each planned row the place of the row of the target that has its key, null where there is none.

    `foreign`: the places of the target's rows whose key no planned row has, in order. `repeated`: rows of the target
    beyond the first of a key. Places count from 0.
    """

    places: pl.Series
    foreign: pl.Series
    repeated: int


def match_rows(planned: PlanTable, held: PlanTable, key: Mapping[str, pl.DataType]) -> Matched:
    """The rows of both sides matched by `key`, by value in the types of its columns.

    Of several rows of the target with one key, the last (the most recently modified) is the match. A key of which a
    part has no value matches nothing.

    **Shape**: the keys of `planned` are unique.
    """
    names = list(key)
    theirs = _held_keys(held, key)
    if _is_unique(theirs.select(names)):
        last = theirs
    else:
        # The export comes least recently modified first, so the last is what the target holds for the key now.
        last = theirs.unique(names, keep="last", maintain_order=True)
    ours = _planned_keys(planned, key)
    places = ours.join(last, on=names, how="left", maintain_order="left").get_column("_held")
    is_foreign = (
        pl.select(pl.repeat(value=True, n=held.height))
        .to_series()
        .scatter(places.drop_nulls(), False)
    )
    repeated = theirs.height - last.height
    if repeated:
        earlier = theirs.join(last, on="_held", how="anti").join(ours, on=names, how="semi")
        is_foreign = is_foreign.scatter(earlier.get_column("_held"), False)
    return Matched(places.rename("_match"), is_foreign.arg_true(), repeated)


def _is_unique(keys: pl.DataFrame) -> bool:
    """True where all keys are surely different: so are their hashes. Two keys may have one hash: False says nothing."""
    return keys.hash_rows().n_unique() == keys.height


def _planned_keys(planned: PlanTable, key: Mapping[str, pl.DataType]) -> pl.DataFrame:
    parts = {name: planned.column(name) for name in key}
    frame = pl.DataFrame([part.alias(name) for name, part in parts.items() if part is not None])
    return frame.select(comparable(pl.col(name), dtype).alias(name) for name, dtype in key.items())


def _held_keys(held: PlanTable, key: Mapping[str, pl.DataType]) -> pl.DataFrame:
    texts = pl.DataFrame([texts_of(held, name) for name in key])
    keys = [read_text(pl.col(name), dtype).alias(name) for name, dtype in key.items()]
    # What the service does with an empty key is not documented, so none is taken for another.
    return texts.select(*keys, pl.int_range(pl.len(), dtype=pl.UInt32).alias("_held")).drop_nulls(
        list(key)
    )
