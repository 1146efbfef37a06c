"""The rows that a plan leaves out though no rule says so: discarded by a person, or waiting for their parent."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.config import Project
from migrate.mapping.fields import column_of
from migrate.mapping.model import Lookup, Mapping
from migrate.mapping.source_rows import DISCARDED, DISCARDED_IDENTITY, WAITING, LookupTable
from migrate.plan.delta import Lookups
from migrate.plan.document import PlannedFile
from migrate.plan.files import write_parquet
from migrate.plan.totals import LEFT_OUT, LEFT_OUT_FILE, totals_rules_of
from migrate.snapshot.reading import SnapshotResource

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
_OWN = {"source": "_source", "id": "_id"}
"""The names of a record's identity, and how a snapshot has them."""


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
    named = ["resource", *DISCARDED_IDENTITY]
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


@dataclass(frozen=True)
class Orders:
    """What lines look their orders up in: the rows that can be found there, and `resource, _source, _id, reason` of
    records of the dataset that somebody has left out."""

    rows: pl.DataFrame
    left_out: pl.DataFrame


@dataclass(frozen=True)
class OrdersHeld:
    """All mappings, and by dataset what others find in it, and its records that were left out on purpose."""

    mappings: Dict[str, Mapping]
    tables: Dict[str, Lookups]
    left_out: Dict[str, pl.DataFrame]


def lines_of_orders_left_out(
    lines: Mapping, resource: SnapshotResource, orders: Dict[str, Orders], aliases: Dict[str, str]
) -> pl.DataFrame:
    """The records whose lines look for an order that somebody has left out: `lookup, snapshot_row, reason, found`.

    `orders`: by look-up. `found`: another record of that number, under another name of the same source, is the order
    that the lines find.
    """
    made = [pl.DataFrame(schema=LEFT_OUT)]
    for name, parent in orders.items():
        rule = lines.lookups[name]
        is_of_line = any(field == "item" or field.startswith("item.") for field in rule.ids)
        if parent.left_out.is_empty() or is_of_line:
            continue
        seekers = _seekers(rule, resource, parent.left_out, aliases)
        asked = (seekers["source"], seekers["id"])
        under_own_name = LookupTable(parent.rows, (), {}).find(*asked)
        # One shop may send under two names of its source, and the order may stand under the other one.
        under_any_name = LookupTable(parent.rows, (), aliases).find(*asked)
        lacks = under_own_name.orphan | under_own_name.waiting
        is_elsewhere = ~under_any_name.orphan & ~under_any_name.waiting
        sought = seekers.with_columns(pl.lit(name).alias("lookup"), is_elsewhere.alias("found"))
        made.append(sought.filter(lacks).select(list(LEFT_OUT)))
    return pl.concat(made)


def _seekers(
    rule: Lookup, resource: SnapshotResource, left_out: pl.DataFrame, aliases: Dict[str, str]
) -> pl.DataFrame:
    """The records that look for one of the orders left out, under any name of its source.

    **Shape**: `snapshot_row`, the `source` and `id` asked for, `reason`.
    """

    def common(source: str) -> pl.Expr:
        return pl.col(source).replace(list(aliases), list(aliases.values())).alias("common")

    wanted = left_out.select(common("_source"), pl.col("_id").alias("id"), "reason")
    wanted = wanted.unique(["common", "id"], keep="first", maintain_order=True)
    fields = [_OWN.get(name) or column_of(name) for name in (rule.source, *rule.ids)]
    schema = {"snapshot_row": pl.Int64, "source": pl.String, "id": pl.String, "reason": pl.String}
    seekers = [pl.DataFrame(schema=schema)]
    wanted_fields = sorted(set(fields) - set(_OWN.values()))
    for frame in resource.frames(wanted_fields, raw=False):
        ids = [pl.when(pl.col(field) != "").then(field) for field in fields[1:]]
        asked = frame.select(
            pl.col("_position").alias("snapshot_row"),
            pl.col(fields[0]).alias("source"),
            pl.coalesce(ids).alias("id"),
        )
        hits = asked.with_columns(common("source")).join(wanted, on=["common", "id"], how="inner")
        seekers.append(hits.select(list(schema)))
    return pl.concat(seekers)


def holds_orders(mapping: Mapping, project: Project) -> bool:
    """Whether the rows of a dataset are orders."""
    return any(rule.kind == "revenue" for rule in totals_rules_of(mapping, project))


def write_left_out(
    lines: Mapping,
    resource: SnapshotResource,
    orders_held: OrdersHeld,
    project: Project,
    folder: Path,
) -> PlannedFile:
    """Writes whose orders were left out on purpose, so that their lines are told apart in the totals.

    `folder`: of the dataset, in that of the plan.
    """
    orders = {}
    for name, lookup in lines.lookups.items():
        dataset = orders_held.mappings[lookup.dataset]
        if lookup.project is None and holds_orders(dataset, project):
            made_of = dataset.part_of(lookup.resource).resource
            left_out = orders_held.left_out[lookup.dataset].filter(pl.col("resource") == made_of)
            orders[name] = Orders(orders_held.tables[lookup.dataset].of(made_of).now, left_out)
    aliases = project.datatrics.source_aliases
    lines_left = lines_of_orders_left_out(lines, resource, orders, aliases)
    return write_parquet(lines_left, folder / LEFT_OUT_FILE, folder.parent)
