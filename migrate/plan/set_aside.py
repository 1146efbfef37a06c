"""The rows that a plan leaves out though no rule says so: discarded by a person, or waiting for their parent."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from migrate.mapping.set_aside import DISCARDED, IDENTITY, WAITING
from migrate.plan.document import PlannedFile
from migrate.plan.files import write_parquet

DISCARDS = pl.Schema(
    {
        "dataset": pl.String,
        "resource": pl.String,
        "source": pl.String,
        "id": pl.String,
        "position": pl.Int64,
        "reason": pl.String,
        "note": pl.String,
        "who": pl.String,
        "plan": pl.String,
        "at": pl.Float64,
    }
)
"""What was discarded: dataset, resource (null in what an earlier version has noted), identity, the rule it broke,
why, by whom, of which plan, and the seconds since 1970."""
NO_DISCARDS = pl.DataFrame(schema=DISCARDS)


def count_set_aside(rows: pl.DataFrame) -> tuple[int, int]:
    """How many rows were discarded, and how many wait."""
    bucket = rows.get_column("bucket")
    return int((bucket == DISCARDED).sum()), int((bucket == WAITING).sum())


def write_set_aside(
    rows: pl.DataFrame, discards: pl.DataFrame, resource: str, folder: Path, plan_folder: Path
) -> list[PlannedFile]:
    """Writes `discarded.parquet`, with who said so and why, and `waiting.parquet`, with what each row waits for.

    `resource`: of which a discard is that does not say it, as those of an earlier version.
    """
    who = rows.select(
        "bucket",
        "resource",
        pl.col("_source").alias("source"),
        pl.col("_id").alias("id"),
        pl.col("_element").cast(pl.Int64).alias("position"),
        "lookup",
        "parent_id",
        pl.col("_position").alias("snapshot_row"),
    )
    mine = discards.filter(pl.col("dataset") == folder.name).with_columns(
        pl.col("resource").fill_null(resource)
    )
    named = ["resource", *IDENTITY]
    discarded = (
        who.filter(pl.col("bucket") == DISCARDED)
        .select(*named, "snapshot_row")
        .join(mine.unique(named), on=named, how="left", nulls_equal=True, maintain_order="left")
        .select(*named, "reason", "note", "who", "plan", "at", "snapshot_row")
    )
    waiting = who.filter(pl.col("bucket") == WAITING).select(
        *named, "lookup", "parent_id", "snapshot_row"
    )
    frames = {"discarded": discarded, "waiting": waiting}
    return [
        write_parquet(frame, folder / f"{name}.parquet", plan_folder)
        for name, frame in frames.items()
    ]
