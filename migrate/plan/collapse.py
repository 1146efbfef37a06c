"""Rows that share a key become one row. Pure: frames in, frames out.

A row here is what a mapping gave for a record: `_source, _id, _position, _element, _recency, _key`, the mapped columns,
and `_null:COLUMN` where null itself is sent.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from migrate.plan.files import SOURCE

By = Literal["latest", "first", "source_order"]


@dataclass(frozen=True)
class CollapseRule:
    """Which row wins, and what it takes from the others. `consents` are boolean columns where a false wins."""

    by: By = "latest"
    source_order: Sequence[str] = ()
    fill_gaps: bool = False
    consents: Collection[str] = ()


@dataclass(frozen=True)
class Collapsed:
    """The surviving rows with `_sources` added, in their order in the input; and what went into what.

    **Shape**: `losers` has one row per row that lost: `key, winner_source, winner_id, winner_position, source, id,
    position, rank` (2 is the runner-up).
    """

    rows: pl.DataFrame
    losers: pl.DataFrame


def collapse_rows(rows: pl.DataFrame, columns: Sequence[str], rule: CollapseRule, resource: str) -> Collapsed:
    """One row per `_key`.

    The winner is by `latest` the row with the highest `_recency` (a row without one loses; the later of equals
    wins), by `first` the one that stands first, by `source_order` the one whose source is named first, an unnamed
    source last and the latest among equals. With `fill_gaps`, a column that is null in the winner takes the value of
    the best-ranked row that has one, unless the winner sends that null on purpose. A consent is true only where the
    winner says so and no other row says false; it is false where any row says false; gap filling never gives one.

    **Guarantees**: rows that share no key are handed on unchanged; the result does not depend on the order in which
    threads finish.
    """
    shared = rows.get_column("_key").is_duplicated()
    if not shared.any():
        return Collapsed(rows.with_columns(_sources_of_one(resource)), _losers(_ranked(_numbered(rows.clear()), rule)))
    rows = _numbered(rows)
    single = rows.filter(~shared).with_columns(_sources_of_one(resource))
    ranked = _ranked(rows.filter(shared), rule)
    merged = _merge(ranked, columns, rule, resource).select(single.columns)
    return Collapsed(pl.concat([single, merged]).sort("_row").drop("_row"), _losers(ranked))


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_row_index("_row")


def _source_of(resource: str) -> pl.Expr:
    return pl.struct(
        pl.lit(resource).alias("resource"),
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
    ).cast(SOURCE)


def _sources_of_one(resource: str) -> pl.Expr:
    return pl.concat_list(_source_of(resource)).alias("_sources")


def _ranked(rows: pl.DataFrame, rule: CollapseRule) -> pl.DataFrame:
    """The rows sorted by key, the winner of each key first, with `_rank` from 1."""
    latest = (["_recency", "_row"], [True, True])
    if rule.by == "first":
        by, descending = ["_row"], [False]
    elif rule.by == "source_order":
        places = {source: place for place, source in reversed(list(enumerate(rule.source_order)))}
        place = pl.col("_source").replace_strict(places, default=len(rule.source_order), return_dtype=pl.Int64)
        rows = rows.with_columns((place if places else pl.lit(0, pl.Int64)).alias("_place"))
        by, descending = ["_place", *latest[0]], [False, *latest[1]]
    else:
        by, descending = latest
    ordered = rows.sort(["_key", *by], descending=[False, *descending], nulls_last=True)
    return ordered.drop("_place", strict=False).with_columns((pl.int_range(pl.len()).over("_key") + 1).alias("_rank"))


def _merge(ranked: pl.DataFrame, columns: Sequence[str], rule: CollapseRule, resource: str) -> pl.DataFrame:
    """One row per key of rows that `_ranked` has put in order: the winner's, filled and restricted."""
    filled = [column for column in columns if rule.fill_gaps and column not in rule.consents]
    merged = (
        ranked.lazy()
        .group_by("_key", maintain_order=True)
        .agg(
            pl.all().exclude("_key", "_rank").first(),
            *(pl.col(column).first(ignore_nulls=True).alias(f"_fill:{column}") for column in filled),
            _source_of(resource).alias("_sources"),
            *((~pl.col(column)).any().alias(f"_denied:{column}") for column in rule.consents),
        )
        .collect(engine="in-memory")
    )
    flags = {name for name in ranked.columns if name.startswith("_null:")}
    final = merged.with_columns(_final(column, rule, flags) for column in columns)
    kept_flags = [(pl.col(flag) & pl.col(flag.removeprefix("_null:")).is_null()).alias(flag) for flag in sorted(flags)]
    return final.with_columns(kept_flags)


def _final(column: str, rule: CollapseRule, flags: Collection[str]) -> pl.Expr:
    won = pl.col(column)
    if column in rule.consents:
        return pl.when(pl.col(f"_denied:{column}")).then(pl.lit(False)).otherwise(won).alias(column)
    if not rule.fill_gaps:
        return won
    filled = pl.coalesce(won, f"_fill:{column}")
    if f"_null:{column}" in flags:
        filled = pl.when(pl.col(f"_null:{column}")).then(won).otherwise(filled)
    return filled.alias(column)


def _losers(ranked: pl.DataFrame) -> pl.DataFrame:
    position = pl.col("_element").cast(pl.Int64)
    who = {"source": pl.col("_source"), "id": pl.col("_id"), "position": position}
    winners = [expr.first().over("_key").alias(f"winner_{name}") for name, expr in who.items()]
    named = ranked.select(
        pl.col("_key").alias("key"),
        *winners,
        *(expr.alias(name) for name, expr in who.items()),
        pl.col("_rank").alias("rank"),
    )
    return named.filter(pl.col("rank") > 1)
