"""Small steps over whole columns, which do nothing where there is nothing to do: most columns break no rule."""

from __future__ import annotations

import polars as pl

# beyond it one text after the other is faster than all put together
_JOINED_BYTES = 8 * 1024 * 1024


def holds_any(texts: pl.Series, letters: str) -> bool:
    """Whether any text has one of the letters, given as a class of a regular expression."""
    if texts.null_count() == len(texts):
        return False
    text, frame = pl.col("t"), texts.rename("t").to_frame()
    # most texts are short, and a search in one long text is several times faster than in many short ones
    together = int(texts.str.len_bytes().sum()) <= _JOINED_BYTES
    return bool(frame.select((text.str.join("") if together else text).str.contains(letters).any()).item())


def is_full(texts: pl.Series) -> bool:
    """Whether every row has a text other than ''."""
    return texts.null_count() == 0 and not (texts == "").any()


def without_empty(text: pl.Series) -> pl.Series:
    """The text with null for ''."""
    if not (text.null_count() < len(text) and (text == "").any()):
        return text
    return text.rename("t").to_frame().select(pl.when(pl.col("t") != "").then(pl.col("t"))).to_series()


def no_rules(rows: int) -> pl.Series:
    """The rules of rows that break none."""
    return pl.Series("rule", [None], dtype=pl.String).new_from_index(0, rows)


def rule_where(where: pl.Series, rule: str) -> pl.Series:
    """The rule where `where` is true, else null."""
    if not where.any():
        return no_rules(len(where))
    return where.rename("w").to_frame().select(pl.when(pl.col("w")).then(pl.lit(rule)).alias("rule")).to_series()


def keep_where(values: pl.Series, where: pl.Series) -> pl.Series:
    """The values where `where` is true, else null."""
    return pl.DataFrame({"v": values, "w": where}).select(pl.when(pl.col("w")).then(pl.col("v")).alias("v")).to_series()


def coalesce(first: pl.Series, second: pl.Series) -> pl.Series:
    """The first of two that is not null, row by row."""
    if second.null_count() == len(second) or first.null_count() == 0:
        return first
    if first.null_count() == len(first):
        return second
    return pl.DataFrame({"a": first, "b": second}).select(pl.coalesce("a", "b").alias("rule")).to_series()


def merge_losses(losses: dict[str, pl.Series], more: dict[str, pl.Series]) -> dict[str, pl.Series]:
    """Both, a row lost where either says so; losses that nobody made are left out."""
    merged = dict(losses)
    for name, lost in more.items():
        if lost.any():
            merged[name] = merged[name] | lost if name in merged else lost
    return merged
