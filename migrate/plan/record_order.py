"""The order of records, by which rows of one key are told first and later; pure.

It is a property of the records alone: when one was created (one that does not say so comes first, as
in the source's own lists), then its source, then its id, numbers in it by their value, then the
element's place. Where a record stood in a list says nothing that a second reading would say again: so
a whole plan and a delta have one order, and two extracts of the same records give the same plan.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

import polars as pl

from migrate.mapping.dates import source_zones
from migrate.mapping.recency import rank_times

CREATED_FIELDS = (
    "created",
    "created_at",
    "metadata.created",
    "metadata.created_at",
    "datetime",
    "metadata.datetime",
)
"""Where a record says when it was created; the first that has a value counts."""
CREATED = "_created"


def created_times(
    records: pl.DataFrame, timezones: Dict[str, str], aliases: Dict[str, str]
) -> pl.Series:
    """When each record was created, in UTC; null where it does not say so in any known spelling."""
    return times_of(records, CREATED_FIELDS, timezones, aliases)


def times_of(
    records: pl.DataFrame, names: Sequence[str], timezones: Dict[str, str], aliases: Dict[str, str]
) -> pl.Series:
    """The moment, in UTC, in the first of some fields that has a value; null where nothing readable stands there."""
    nothing = pl.Series(CREATED, [None], dtype=pl.Datetime("us"))
    filled = [
        pl.when(pl.col(name) != "").then(pl.col(name))
        for name in names
        if name in records.columns and records[name].null_count() < records.height
    ]
    if not filled:
        return nothing.new_from_index(0, records.height)
    texts = records.select(pl.coalesce(filled).alias("t")).to_series()
    zones = source_zones(records["_source"], timezones, aliases)
    return rank_times(texts, zones).rename(CREATED)


def record_order(rows: pl.DataFrame) -> pl.Series:
    """The place of each row in the order of records, from 0, over these rows.

    **Shape**: `rows` has `_created`, `_source`, `_id`, `_element`.
    """
    digits = pl.col("_id").str.extract(r"(\d*)$", 1)
    value = digits.str.strip_chars_start("0")
    sorted_rows = (
        rows.select(CREATED, "_source", "_id", "_element")
        .with_row_index("_at")
        .sort(
            pl.col(CREATED),
            pl.col("_source"),
            pl.col("_id").str.replace(r"\d*$", ""),
            value.str.len_bytes(),
            value,
            pl.col("_id"),
            pl.col("_element"),
            nulls_last=False,
        )
    )
    places = pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
    return places.clone().scatter(sorted_rows["_at"], places).alias("_order")
