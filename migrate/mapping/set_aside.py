"""Rows that are left out for a reason of their own: a person has discarded them, or their parent is not there yet."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

import polars as pl

from migrate.mapping.base import PLACE

SET_ASIDE = pl.Schema(
    {
        "_source": pl.String,
        "_id": pl.String,
        "_position": pl.Int64,
        "_element": pl.Int64,
        "bucket": pl.String,
        "lookup": pl.String,
        "parent_id": pl.String,
    }
)
"""`bucket`: `discarded` or `waiting`; `lookup` and `parent_id`: what a waiting row waits for."""
DISCARDED, WAITING = "discarded", "waiting"
IDENTITY = pl.Schema({"source": pl.String, "id": pl.String, "position": pl.Int64})
NOTHING_DISCARDED = pl.DataFrame(schema=IDENTITY)


def are_discarded(rows: pl.DataFrame, discarded: pl.DataFrame) -> pl.Series:
    """Which rows are among the identities that were discarded. **Shape.** `discarded` as `IDENTITY`."""
    if not discarded.height or not rows.height:
        return pl.Series([False]).new_from_index(0, rows.height)
    who = rows.select(
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
    )
    named = discarded.select(list(IDENTITY)).unique().with_columns(pl.lit(value=True).alias("hit"))
    joined = who.join(named, on=list(IDENTITY), how="left", nulls_equal=True, maintain_order="left")
    return joined.get_column("hit").fill_null(value=False)


def first_waiting(waiting: Dict[str, pl.Series], height: int) -> pl.Series:
    """The first look-up by which each row waits for its parent, null where none does."""
    found = pl.Series("lookup", [None], dtype=pl.String).new_from_index(0, height)
    for name in reversed(list(waiting)):
        waits = waiting[name]
        if waits.any():
            frame = pl.DataFrame({"lookup": found, "waits": waits})
            chosen = pl.when("waits").then(pl.lit(name)).otherwise(pl.col("lookup"))
            found = frame.select(chosen.alias("lookup")).to_series()
    return found


def as_set_aside(
    rows: pl.DataFrame,
    bucket: str,
    lookup: pl.Series | None = None,
    parent: pl.Series | None = None,
) -> pl.DataFrame:
    """Rows in the form of `SET_ASIDE`."""
    nothing = pl.lit(None, dtype=pl.String)
    return rows.select(
        *PLACE,
        pl.lit(bucket).alias("bucket"),
        (nothing if lookup is None else lookup).alias("lookup"),
        (nothing if parent is None else parent).alias("parent_id"),
    ).cast(SET_ASIDE)


def take_discarded(
    rejects: Sequence[pl.DataFrame], discarded: pl.DataFrame
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Rejects without those that were discarded; and these in the form of `SET_ASIDE`."""
    stay, aside = [], []
    for frame in rejects:
        left_out = are_discarded(frame, discarded)
        stay.append(frame.filter(~left_out))
        aside.append(as_set_aside(frame.filter(left_out), DISCARDED))
    return stay, aside


def parents_of(lookup: pl.Series, ids: Dict[str, pl.Series]) -> pl.Series:
    """The id that each row looks up by the look-up it waits for, null where it waits for nothing."""
    found = pl.Series("parent_id", [None], dtype=pl.String).new_from_index(0, len(lookup))
    for name, asked in ids.items():
        frame = pl.DataFrame({"found": found, "asked": asked, "by": lookup})
        chosen = pl.when(pl.col("by").eq_missing(name)).then("asked").otherwise("found")
        found = frame.select(chosen.alias("parent_id")).to_series()
    return found
