"""Which records the target will make one: by its key and its other keys, planned rows and rows of the target together.

A merge cannot be undone: the target keeps one masterid and deletes the others. It compares keys as given, so
values that differ in letter case, spaces or Unicode form only are counted apart, as look-alikes: they stay two records.

**Source**: Octolis Data API, "Upsert a record": one upsert may match several records, which are merged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import polars as pl

from migrate.names import MASTERID
from migrate.plan.classify import ComparedColumns, Labels
from migrate.plan.compare import comparable, read_text
from migrate.plan.document import MergeForecast, SharedKey
from migrate.plan.keys import ODD_SCHEMA, odd_values, repeated_hashes
from migrate.plan.matching import Aligned
from migrate.plan.partitions import some_of
from migrate.plan.tables import PlanTable, in_chunks, rows_at, texts_of

_ROWS = 128_000
CLUSTER_SCHEMA = {
    "cluster": pl.UInt32,
    "records": pl.UInt32,
    "place": pl.String,
    "key": pl.String,
    "change": pl.String,
    "masterid": pl.String,
    "through": pl.String,
    "value": pl.String,
}
"""`place`: `planned`, `target`, or `both` for a planned row that is there already; `through`: the key it shares."""


@dataclass(frozen=True)
class Forecasted:
    """The forecast's counts; `clusters`: one row per record that would fuse; `odd`: one row per odd value of a key."""

    counts: MergeForecast
    clusters: pl.DataFrame
    odd: pl.DataFrame


@dataclass(frozen=True)
class Planned:
    """The planned rows: a table, what each does (`labels`), and which of the table's rows are planned (None: all)."""

    rows: PlanTable
    labels: Labels
    touched: pl.Series | None = None


def forecast_merges(
    planned: Planned,
    target_rows: PlanTable | None,
    columns: ComparedColumns,
    alternatives: Sequence[Sequence[str]],
    *,
    repeated: bool = False,
) -> Forecasted:
    """What would fuse when the planned rows are sent; without `held`, among the rows themselves only.

    A record here is a planned row together with the row of the target that has its key. Records that share the value
    of an alternative key belong together, directly or through others; a group in which nothing is sent stays as it is.
    `repeated`: rows of the target share the key itself, so that counts too.
    """
    keys = [list(columns.key), *(list(key) for key in alternatives)]
    odd = [
        odd_values(partial(_own_values, planned, key), key, alternative=at > 0)
        for at, key in enumerate(keys)
    ]
    # Planned rows are unique by their own key, so only another key can make two of them one.
    merging = [*alternatives, *([columns.key] if repeated else [])]
    odd_rows = pl.concat([pl.DataFrame(schema=ODD_SCHEMA), *(frame for frame, _ in odd)])
    counted = tuple(count for _, count in odd if _is_odd(count))
    if not merging:
        return Forecasted(
            MergeForecast(keys=counted), pl.DataFrame(schema=CLUSTER_SCHEMA), odd_rows
        )
    shares = _shares(planned, target_rows, merging, columns.types)
    members = _members(shares, planned)
    clusters = _describe(members, shares, planned, target_rows, columns)
    return Forecasted(_count(members, counted), clusters, odd_rows)


def _is_odd(count: SharedKey) -> bool:
    return bool(count.shared or count.placeholders or count.look_alikes)


def _own_values(planned: Planned, key: Sequence[str]) -> Iterator[pl.Series]:
    """The values of a key of the planned rows, part by part."""
    text = _key_text([pl.col(name) for name in key]).alias("value")
    start = 0
    for frame in planned.rows.frames(key):
        values = frame.select(text).to_series()
        if planned.touched is not None:
            values = values.filter(planned.touched.slice(start, frame.height))
        start += frame.height
        yield values


def _key_text(parts: Sequence[pl.Expr]) -> pl.Expr:
    """The value of a key as one text, null where a part has no value."""
    # An empty part makes no key: what the service does with one is not documented.
    texts = [pl.when(part.cast(pl.String) != "").then(part.cast(pl.String)) for part in parts]
    if len(texts) == 1:
        return texts[0]
    return pl.concat_str(texts, separator=" + ")


def _shares(
    planned: Planned,
    target_rows: PlanTable | None,
    merging: Sequence[Sequence[str]],
    types: Mapping[str, pl.DataType],
) -> pl.DataFrame:
    """Who shares which value: `node, through, value`, values with more than one node only.

    A node below the number of rows is a planned row, one above is a row of the target that no planned row has the key
    of.
    """
    shares = [pl.DataFrame(schema={"node": pl.Int64, "through": pl.String, "value": pl.String})]
    beyond = _rows_beyond(planned, target_rows)
    for key in merging:
        values = _Values(planned, target_rows, beyond, {name: types[name] for name in key}).shared()
        nodes = values.unique(["node", "value"], maintain_order=True)
        shared = nodes.filter(pl.col("node").len().over("value") > 1)
        shares.append(shared.select("node", pl.lit(", ".join(key)).alias("through"), "value"))
    return pl.concat(shares)


def _rows_beyond(planned: Planned, target_rows: PlanTable | None) -> pl.Series:
    """Which of the target's rows no planned row has the key of."""
    if target_rows is None:
        return pl.Series(dtype=pl.Boolean)
    beyond = pl.repeat(value=True, n=target_rows.height, eager=True)
    return beyond.scatter(planned.labels.matches.drop_nulls(), False)


@dataclass(frozen=True)
class _Values:
    """The values of a key of planned rows and of the target's, read as often as asked for: they are long texts."""

    planned: Planned
    held: PlanTable | None
    beyond: pl.Series
    key: Mapping[str, pl.DataType]

    def shared(self) -> pl.DataFrame:
        """`node, value` of all that may share a value with another node; of the others only few.

        Those are the values whose hash stands on another row too. Most of many values stand alone: to group the texts
        themselves would take many times the memory.
        """
        hashes = [pl.Series(dtype=pl.UInt64), *(_hashes(part["value"]) for part in self.parts())]
        several = repeated_hashes(pl.concat(hashes))
        rows = [pl.DataFrame(schema={"node": pl.Int64, "value": pl.String})]
        start = 0
        for part in self.parts():
            rows.append(some_of(part, several.slice(start, part.height)))
            start += part.height
        # in the order of the nodes: the planned rows before those of the target
        return pl.concat(rows).sort("node", maintain_order=True)

    def parts(self) -> Iterator[pl.DataFrame]:
        """`node, value` of the rows on both sides; a row of the target with its own planned row's value is none."""
        there = self.planned.labels.there
        if self.held is None or there is None or not set(self.key) <= set(self.held.names):
            yield from self._ours(in_chunks(self.planned.rows.frames(list(self.key)), _ROWS))
            return
        yield from self._both(there)
        yield from self._beyond(self.held)

    def _ours(self, frames: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        parts = [comparable(pl.col(name), dtype) for name, dtype in self.key.items()]
        text = _key_text(parts).alias("value")
        touched = self.planned.touched
        start = 0
        for frame in frames:
            values = frame.select(text)
            if touched is not None:
                is_planned = touched.slice(start, frame.height)
                values = values.select(pl.when(is_planned).then("value").alias("value"))
            nodes = pl.int_range(start, start + frame.height, dtype=pl.Int64, eager=True)
            start += frame.height
            yield values.select(nodes.alias("node"), "value")

    def _both(self, there: Aligned) -> Iterator[pl.DataFrame]:
        names = list(self.key)
        text = self._read()
        ours = self._ours(in_chunks(self.planned.rows.frames(names), there.rows))
        for own, held in zip(ours, there.chunks(names), strict=True):
            yield own
            theirs = own.select("node", own=pl.col("value")).hstack(held.select(text))
            yield theirs.filter(pl.col("value").ne_missing(pl.col("own"))).drop("own")

    def _beyond(self, target_rows: PlanTable) -> Iterator[pl.DataFrame]:
        text = self._read()
        start = 0
        for frame in texts_of(target_rows, list(self.key)):
            place = pl.int_range(start, start + frame.height, dtype=pl.Int64, eager=True)
            node = (place + self.planned.rows.height).alias("node")
            yield frame.select(node, text).filter(self.beyond.slice(start, frame.height))
            start += frame.height

    def _read(self) -> pl.Expr:
        parts = [read_text(pl.col(name), dtype) for name, dtype in self.key.items()]
        return _key_text(parts).alias("value")


def _hashes(values: pl.Series) -> pl.Series:
    hashes = pl.DataFrame([values.alias("value"), values.hash().alias("hash")])
    return hashes.select(
        pl.when(pl.col("value").is_not_null()).then(pl.col("hash")).alias("hash")
    ).to_series()


def _members(shares: pl.DataFrame, planned: Planned) -> pl.DataFrame:
    """`node, cluster` of every record that fuses with another; `is_there`: it has a masterid; `is_planned`."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            # Halves the way on every walk, so that long chains stay quick.
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for _through, _value, nodes in (
        shares.group_by("through", "value", maintain_order=True).agg("node").iter_rows()
    ):
        first = root(nodes[0])
        for node in nodes[1:]:
            other = root(node)
            # The first node names the group: the same rows always give the same clusters.
            first, other = min(first, other), max(first, other)
            parent[other] = first
    members = pl.DataFrame(
        {"node": list(parent), "cluster": [root(node) for node in parent]},
        schema={"node": pl.Int64, "cluster": pl.Int64},
    ).sort("cluster", "node")
    ours = members.get_column("node").filter(members.get_column("node") < planned.rows.height)
    labels = planned.labels.of(ours).select(ours, "_change", "_masterid")
    known = members.join(labels, on="node", how="left", maintain_order="left")
    # The target merges when it is written to: a group in which nothing is sent stays as it is.
    is_sent = pl.col("_change").is_in(["create", "update", "unknown"]).fill_null(value=False)
    return known.with_columns(
        (pl.col("node") < planned.rows.height).alias("is_planned"),
        ((pl.col("node") >= planned.rows.height) | pl.col("_masterid").is_not_null()).alias(
            "is_there"
        ),
    ).filter(is_sent.any().over("cluster"))


def _count(members: pl.DataFrame, keys: tuple[SharedKey, ...]) -> MergeForecast:
    sizes = members.group_by("cluster").agg(
        pl.len().cast(pl.Int64).alias("records"),
        pl.col("is_there").sum().cast(pl.Int64).alias("there"),
    )
    records = int(sizes.get_column("records").sum())
    lost = int((sizes.get_column("there") - 1).clip(lower_bound=0).sum())
    return MergeForecast(
        clusters=sizes.height,
        records=records,
        largest=int(sizes.get_column("records").max() or 0),  # type: ignore[arg-type]  # a column of integers
        masterids_lost=lost,
        rows_fused=records - sizes.height - lost,
        keys=keys,
    )


def _describe(
    members: pl.DataFrame,
    shares: pl.DataFrame,
    planned: Planned,
    target_rows: PlanTable | None,
    columns: ComparedColumns,
) -> pl.DataFrame:
    """One row per record in a cluster, the largest cluster first; `through` and `value`: the first that it shares."""
    first = shares.unique("node", keep="first", maintain_order=True)
    listed = (
        members.with_columns(pl.len().over("cluster").alias("records"))
        .join(first, on="node", how="left")
        .sort(["records", "cluster", "node"], descending=[True, False, False])
        .with_columns((pl.col("cluster").rle_id() + 1).alias("cluster"))
    )
    count = planned.rows.height
    nodes = listed.filter("is_planned").get_column("node")
    ours = rows_at(planned.rows, ["_key"], nodes).select(nodes, "_key")
    named = listed.join(ours, on="node", how="left", maintain_order="left")
    there = _names_there(
        named.filter(~pl.col("is_planned")).get_column("node") - count, target_rows, columns
    )
    named = named.join(
        there.with_columns(pl.col("node") + count), on="node", how="left", maintain_order="left"
    )
    place = (
        pl.when(~pl.col("is_planned")).then(pl.lit("target")).when("is_there").then(pl.lit("both"))
    )
    return named.select(
        "cluster",
        "records",
        place.otherwise(pl.lit("planned")).alias("place"),
        pl.coalesce("_key", "held_key").alias("key"),
        pl.col("_change").alias("change"),
        pl.coalesce("_masterid", "held_masterid").alias("masterid"),
        "through",
        "value",
    ).cast(CLUSTER_SCHEMA)  # type: ignore[arg-type]  # polars types its own schema too narrowly


def _names_there(
    places: pl.Series, target_rows: PlanTable | None, columns: ComparedColumns
) -> pl.DataFrame:
    """`node, held_key, held_masterid` of rows of the target."""
    schema = {"node": pl.Int64, "held_key": pl.String, "held_masterid": pl.String}
    if target_rows is None or not len(places):
        return pl.DataFrame(schema=schema)
    texts = rows_at(target_rows, [*columns.key, MASTERID], places)
    parts = [pl.col(name).fill_null("") for name in columns.key if name in target_rows.names]
    if parts:
        key = pl.concat_str(parts, separator=", ")
    else:
        key = pl.lit(None, pl.String)
    return texts.select(
        places.cast(pl.Int64).alias("node"),
        key.alias("held_key"),
        pl.col(MASTERID).alias("held_masterid"),
    )
