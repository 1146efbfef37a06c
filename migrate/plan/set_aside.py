"""The rows that a plan leaves out though no rule says so: discarded by a person, or waiting for their parent."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from pathlib import Path

import polars as pl

from migrate.config import Project
from migrate.mapping.model import Mapping
from migrate.mapping.set_aside import DISCARDED, IDENTITY, WAITING
from migrate.plan.document import PlannedFile
from migrate.plan.files import write_parquet
from migrate.plan.totals import LEFT_OUT, LEFT_OUT_FILE, totals_rules_of

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


def orders_left_out(
    lines: Mapping,
    mappings: Dict[str, Mapping],
    project: Project,
    left_out: Dict[str, pl.DataFrame],
) -> pl.DataFrame:
    """The orders that no line can find, since somebody has left them out: `lookup, snapshot_row, reason`.

    `left_out`: by dataset `resource, snapshot_row, reason` of its records.
    """
    found = [pl.DataFrame(schema=LEFT_OUT)]
    for name, lookup in lines.lookups.items():
        # of another source's name for the field nobody can tell here which record is meant
        if _holds_orders(mappings[lookup.dataset], project) and lookup.source == "source":
            ours = left_out[lookup.dataset].filter(pl.col("resource") == lines.resource)
            found.append(ours.select(pl.lit(name).alias("lookup"), "snapshot_row", "reason"))
    return pl.concat(found)


def _holds_orders(mapping: Mapping, project: Project) -> bool:
    return any(rule.kind == "revenue" for rule in totals_rules_of(mapping, project))


def write_left_out(orders: pl.DataFrame, folder: Path, plan_folder: Path) -> PlannedFile:
    """Writes which orders were left out on purpose, so that their lines are, too."""
    return write_parquet(orders, folder / LEFT_OUT_FILE, plan_folder)
