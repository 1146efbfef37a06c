"""How many rows shared each key before they became one: what nobody can take apart again in the target. Pure.

Once rows are collapsed a key stands on one row only, and 29 people of the address `n/a` look like one. So the rows that
lost are counted by their key, and the row that won with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from migrate.mapping.placeholders import NOBODY
from migrate.plan.keys import ODD_SCHEMA
from migrate.plan.tables import PlanTable

BEFORE_COLLAPSE = ("nobody", "collapsed")
"""What `keys.parquet` calls keys that rows shared before they became one; the rest of it is of the planned rows."""

LISTED = 100
"""So many of the largest clusters are kept, and so many of those whose key stands for nobody."""


@dataclass(frozen=True)
class KeyClusters:
    """`placeholder`: rows whose key stands for nobody and that became one with others. `largest`: one row per key.

    **Shape**: `largest` has the columns of `ODD_SCHEMA`; `what` is `nobody`, or `collapsed` for any other key; `rows`
    counts the row that won, too. Most rows first.
    """

    placeholder: int
    largest: pl.DataFrame


def find_clusters(losers: PlanTable, key: str) -> KeyClusters:
    """The clusters of the rows that were collapsed, from the keys of those that lost; `key`: the columns' names."""
    keys = losers.column("key")
    if keys is None or not len(keys):
        return KeyClusters(0, pl.DataFrame(schema=ODD_SCHEMA))
    keys = keys.rename("value")
    is_nobody = keys.str.contains(NOBODY)
    nobody = _sizes(keys.filter(is_nobody))
    others = keys.filter(~is_nobody)
    # Hashes are counted first: the texts of a million keys would take many times their memory.
    by_hash = others.hash().rename("hash").value_counts(sort=True).head(LISTED)
    largest = others.filter(others.hash().is_in(by_hash.get_column("hash").implode()))
    placeholder = int(nobody.get_column("rows").sum())
    found = pl.concat([_listed(nobody, "nobody", key), _listed(_sizes(largest), "collapsed", key)])
    return KeyClusters(placeholder, found)


def shared_placeholders(odd: pl.DataFrame, key: str) -> int:
    """Planned rows that share a placeholder under another key than `key`: the target itself would make them one."""
    others = odd.filter((pl.col("columns") != key) & (pl.col("what") == "shared"))
    nobody = others.filter(pl.col("value").str.contains(NOBODY))
    return int(nobody.get_column("rows").sum())


def _sizes(losers: pl.Series) -> pl.DataFrame:
    """`value` and `rows` of each key: those that lost, and the one that won."""
    counted = losers.value_counts(name="rows")
    return counted.with_columns(pl.col("rows") + 1)


def _listed(sizes: pl.DataFrame, what: str, key: str) -> pl.DataFrame:
    most = sizes.sort(["rows", "value"], descending=[True, False]).head(LISTED)
    named = most.select(
        pl.lit(key).alias("columns"),
        pl.lit(what).alias("what"),
        "value",
        "rows",
        pl.lit(None, pl.String).alias("like"),
    )
    return named.cast(ODD_SCHEMA)  # type: ignore[arg-type]  # polars types its own schema too narrowly
