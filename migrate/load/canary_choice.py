"""Which records of a dataset go first. Pure but for reading the plan's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate import parquet

SPARES = 2
"""Further records that are tried where every one before was refused: one may be wrong by itself, three hardly are."""
_PLAN_COLUMNS = frozenset(
    ("batch", "position", "change", "key", "payload", "sources", "masterid", "changed")
)


@dataclass(frozen=True)
class ChosenRecord:
    """A record of the plan that goes first. `masterid`: the record of the target that it would update, None of none."""

    batch: int
    position: int
    change: str
    masterid: str | None = None


def choose_canary(records: Path, count: int, *, in_order: bool = False) -> list[ChosenRecord]:
    """The `count` records that together fill the most columns, those that fill most first, and then the spares.

    Among equals an update comes first: what it changes can be put back, a new record cannot be removed. `in_order`:
    the first records of the plan as they stand, where the order of writing decides what the target merges.
    """
    rows = parquet.scan(records)
    schema = rows.collect_schema()
    mapped = [name for name in schema.names() if name not in _PLAN_COLUMNS]
    if "masterid" in schema:
        masterid = pl.col("masterid")
    else:
        masterid = pl.lit(None, pl.String).alias("masterid")
    wanted = count + SPARES
    if in_order or not mapped:
        first = rows.select("batch", "position", "change", masterid).head(wanted).collect()
        return [ChosenRecord(*row) for row in first.iter_rows()]
    filled = rows.select(
        (pl.col("change") == "update").alias("is_update"),
        *(pl.col(n).is_not_null() for n in mapped),
    )
    places = _covering(filled.collect(), mapped, wanted)
    picked = rows.select("batch", "position", "change", masterid).with_row_index("at")
    chosen = picked.filter(pl.col("at").is_in(places)).collect()
    by_place = {at: ChosenRecord(*row) for at, *row in chosen.iter_rows()}
    return [by_place[place] for place in places]


def _covering(filled: pl.DataFrame, columns: Sequence[str], count: int) -> list[int]:
    """The places of so many rows: each the one that fills most of the columns no earlier one has filled."""
    in_all = filled.select(pl.sum_horizontal(columns).cast(pl.Int64)).to_series()
    free = pl.Series([True]).new_from_index(0, filled.height)
    uncovered = list(columns)
    places: list[int] = []
    while len(places) < min(count, filled.height):
        if uncovered:
            gain = filled.select(pl.sum_horizontal(uncovered).cast(pl.Int64)).to_series()
        else:
            gain = in_all
        # Three comparisons in one number: what is newly covered, what is filled in
        # all, and then an update.
        score = (gain * len(columns) + in_all) * 2 + filled.get_column("is_update").cast(pl.Int64)
        place = score.zip_with(free, pl.Series([-1]).new_from_index(0, len(score))).arg_max()
        if place is None:
            break
        places.append(place)
        free[place] = False
        uncovered = [name for name in uncovered if not filled.get_column(name)[place]]
    return places
