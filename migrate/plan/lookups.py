"""The frames that other datasets look rows up in. Pure."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl


def lookup_frame(rows: pl.DataFrame, columns: Collection[str]) -> pl.DataFrame:
    """Where each source record ended: `source, id` and `columns` of the final row it went into.

    **Shape**: one row per (source, id), sorted by them; the records that were collapsed lead to the row that survived.
    Where one record gave several rows (`each`), it leads to the first of them. A mapped column `source` or `id` is
    not among them: these names are the record's own.
    """
    named = sorted(set(columns) - {"source", "id"})
    exploded = rows.lazy().select(*named, "_sources").explode("_sources", empty_as_null=False)
    who = pl.col("_sources").struct
    identified = exploded.select(
        who.field("source"), who.field("id"), who.field("position").alias("_place"), pl.exclude("_sources")
    )
    return (
        identified.sort("source", "id", "_place", maintain_order=True)
        .unique(["source", "id"], keep="first", maintain_order=True)
        .drop("_place")
        .collect(engine="in-memory")
    )
