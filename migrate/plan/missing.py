"""Rows of a delta's base that the target lacks: what no delta will ever send. Pure.

A delta is planned on the promise that its base was loaded. Where that is not so, or not to the end, the target would
lack those rows for good, with every plan and every count of a delta in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from migrate.plan.collapsed_rows import FinalRows
    from migrate.plan.delta import LeftBehind

MISSING_SCHEMA = {"source": pl.String, "id": pl.String, "position": pl.Int64, "key": pl.String}
"""A line per row: the record it is of, of several the one that won, the element's place in it, and the row's key."""


def rows_missing(
    rows: FinalRows, lacking: pl.Series | None, left: LeftBehind | None
) -> pl.Series | None:
    """Which of the untouched rows that the target lacks it should hold: rows of gone records alone it need not."""
    if lacking is None or left is None or not lacking.any():
        return lacking
    removed = (
        left.gone.filter((pl.col("others") == 0) & pl.col("masterid").is_null())
        .get_column("key")
        .drop_nulls()
    )
    keys = rows.column("_key") if len(removed) else None
    return lacking if keys is None else lacking & ~keys.is_in(removed.implode())


def list_missing(rows: FinalRows, missing: pl.Series) -> Iterator[pl.DataFrame]:
    """The missing rows part by part, in the order of the rows."""
    at = 0
    for frame in rows.frames(["_source", "_id", "_element", "_key"]):
        found = frame.filter(missing.slice(at, frame.height))
        at += frame.height
        yield found.select(
            source="_source", id="_id", position=pl.col("_element").cast(pl.Int64), key="_key"
        )
