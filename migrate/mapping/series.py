"""Small steps over whole columns, which do nothing where there is nothing to do: most columns break no rule.

Where a column's different texts are few, each of them is worked on once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import polars as pl

_COMPARED = 16_384
# beyond it one text after the other is faster than all put together
_JOINED_BYTES = 8 * 1024 * 1024
LEAST_ROWS = 20_000
_SAMPLE_ROWS = 1_000
# of a sample: beyond it the texts are nearly all different, and finding them out would cost more than it saves
_MANY = 0.97


def holds_any(texts: pl.Series, wanted: str, *, literal: bool = False) -> bool:
    """Whether any text holds what is wanted, a regular expression or letters; also where two texts make it together."""
    if texts.null_count() == len(texts):
        return False
    text, frame = pl.col("t"), texts.rename("t").to_frame()
    # most texts are short, and a search in one long text is several times faster than in many short ones
    together = int(texts.str.len_bytes().sum()) <= _JOINED_BYTES
    return bool(
        frame.select(
            (text.str.join("") if together else text).str.contains(wanted, literal=literal).any()
        ).item()
    )


def all_between(texts: pl.Series, least: str, most: str) -> bool:
    """Whether every text, nulls aside, is as long as `least` and has each letter between those that stand there.

    For ASCII patterns of one length. Many times faster than a regular expression, which looks at each text by itself.
    """
    size = len(least)
    if not (texts.str.len_bytes() == size).all():
        return False
    rows = texts.drop_nulls().cast(pl.Binary).bin.reinterpret(dtype=pl.Array(pl.UInt8, size))
    letters, step = rows.explode(empty_as_null=False), _COMPARED * size
    low, high = _repeated(least), _repeated(most)
    for start in range(0, len(letters), step):
        some = letters.slice(start, step)
        if ((some < low.head(len(some))) | (some > high.head(len(some)))).any():
            return False
    return True


@cache
def _repeated(pattern: str) -> pl.Series:
    """The bytes of a pattern, over and over."""
    row = pl.Series([list(pattern.encode())], dtype=pl.Array(pl.UInt8, len(pattern)))
    return row.new_from_index(0, _COMPARED).explode(empty_as_null=False)


def is_full(texts: pl.Series) -> bool:
    """Whether every row has a text other than ''."""
    return texts.null_count() == 0 and not (texts == "").any()


def is_same(texts: pl.Series) -> bool:
    """Whether every row has the same text, of two rows or more."""
    return len(texts) > 1 and not texts.null_count() and bool((texts == texts.first()).all())


def without_empty(text: pl.Series) -> pl.Series:
    """The text with null for ''."""
    if not (text.null_count() < len(text) and (text == "").any()):
        return text
    return (
        text.rename("t").to_frame().select(pl.when(pl.col("t") != "").then(pl.col("t"))).to_series()
    )


def no_rules(rows: int) -> pl.Series:
    """The rules of rows that break none."""
    return pl.Series("rule", [None], dtype=pl.String).new_from_index(0, rows)


def rule_where(where: pl.Series, rule: str) -> pl.Series:
    """The rule where `where` is true, else null."""
    if not where.any():
        return no_rules(len(where))
    return (
        where.rename("w")
        .to_frame()
        .select(pl.when(pl.col("w")).then(pl.lit(rule)).alias("rule"))
        .to_series()
    )


def is_true(mask: pl.Series) -> pl.Series:
    """The mask with false for null."""
    return mask.fill_null(value=False) if mask.null_count() else mask


def keep_where(values: pl.Series, where: pl.Series) -> pl.Series:
    """The values where `where` is true, else null."""
    return (
        pl.DataFrame({"v": values, "w": where})
        .select(pl.when(pl.col("w")).then(pl.col("v")).alias("v"))
        .to_series()
    )


def coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    """The first of two that is not null, row by row."""
    if second.null_count() == len(second) or first.null_count() == 0:
        return first
    if first.null_count() == len(first):
        return second
    return (
        pl.DataFrame({"a": first, "b": second})
        .select(pl.coalesce("a", "b").alias("rule"))
        .to_series()
    )


def merge_losses(losses: dict[str, pl.Series], more: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Both, a row lost where either says so; losses that nobody made are left out."""
    merged = dict(losses)
    for name, lost in more.items():
        if lost.any():
            merged[name] = merged[name] | lost if name in merged else lost
    return merged


@dataclass(frozen=True)
class Distinct:
    """The different texts of a column, the last of them null, and which one each row has."""

    texts: pl.Series
    codes: pl.Series

    def spread(self, of_texts: pl.Series) -> pl.Series:
        """For each row, what there is of its text."""
        if of_texts.null_count() == len(of_texts):
            return of_texts.new_from_index(0, len(self.codes))
        # of a column in several pieces polars gathers ten times slower
        return of_texts.rechunk().gather(self.codes)

    def spread_frame(self, of_texts: pl.DataFrame) -> pl.DataFrame:
        """For each row, the row there is of its text."""
        return pl.DataFrame([self.spread(column) for column in of_texts])


def find_distinct(texts: pl.Series) -> Distinct | None:
    """The different texts, None where there are few rows or about as many texts as rows."""
    if len(texts) < LEAST_ROWS or _vary(texts):
        return None
    # categories of their own: the shared ones would grow with every column that was ever read
    kinds = texts.cast(pl.Categorical(pl.Categories.random()))
    codes = kinds.to_physical()
    if codes.null_count() == len(codes):
        return None
    count = int(codes.max()) + 1  # type: ignore[arg-type]  # polars types it as any value
    known = pl.int_range(count, eager=True).cast(codes.dtype).cat.to(kinds.dtype).cast(pl.String)
    return Distinct(known.extend_constant(None, 1), codes.fill_null(count))


def _vary(texts: pl.Series) -> bool:
    # by chance, as even steps fall in step with what repeats; always by the same, though nothing but speed hangs on it
    sample = texts.sample(_SAMPLE_ROWS, with_replacement=True, seed=1)
    return sample.n_unique() > _MANY * _SAMPLE_ROWS
