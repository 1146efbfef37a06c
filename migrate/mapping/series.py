"""Small steps over whole columns, which do nothing where there is nothing to do: most columns break no rule."""

from __future__ import annotations

from functools import cache

import polars as pl

_COMPARED = 16_384
# beyond it one text after the other is faster than all put together
_JOINED_BYTES = 8 * 1024 * 1024


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
    if mask.null_count():
        return mask.fill_null(value=False)
    return mask


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
