"""Small steps over whole columns, which do nothing where there is nothing to do: most columns break no rule."""

from __future__ import annotations

import polars as pl


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
