"""Which records the target will make one: by its key and its other keys, planned rows and rows of the target together.

A merge cannot be undone: the target keeps one masterid and deletes the others. It compares keys as given, so
values that differ in letter case, spaces or Unicode form only are counted apart, as look-alikes: they stay two records.

**Source**: Octolis Data API, "Upsert a record": one upsert may match several records, which are merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from migrate.names import MASTERID
from migrate.plan.classify import ComparedColumns, Labels
from migrate.plan.compare import comparable, read_text
from migrate.plan.document import MergeForecast, SharedKey
from migrate.plan.keys import ODD_SCHEMA, odd_values, repeated_hashes
from migrate.plan.tables import PlanTable

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
    held: PlanTable | None,
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
        odd_values(_own_values(planned, key), key, alternative=at > 0)
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
    shares = _shares(planned, held, merging, columns.types)
    members = _members(shares, planned)
    clusters = _describe(members, shares, planned, held, columns)
    return Forecasted(_count(members, counted), clusters, odd_rows)


def _is_odd(count: SharedKey) -> bool:
    return bool(count.shared or count.placeholders or count.look_alikes)


def _own_values(planned: Planned, key: Sequence[str]) -> pl.Series:
    values = (
        _columns(planned.rows, key)
        .select(_key_text([pl.col(name) for name in key]).alias("value"))
        .to_series()
    )
    if planned.touched is None:
        return values
    return values.filter(planned.touched)


def _columns(rows: PlanTable, names: Sequence[str]) -> pl.DataFrame:
    """Columns that the rows have."""
    columns_by_name = {name: rows.column(name) for name in names}
    return pl.DataFrame(
        [column.alias(name) for name, column in columns_by_name.items() if column is not None]
    )


def _key_text(parts: Sequence[pl.Expr]) -> pl.Expr:
    """The value of a key as one text, null where a part has no value."""
    # An empty part makes no key: what the service does with one is not documented.
    texts = [pl.when(part.cast(pl.String) != "").then(part.cast(pl.String)) for part in parts]
    if len(texts) == 1:
        return texts[0]
    return pl.concat_str(texts, separator=" + ")


def _shares(
    planned: Planned,
    held: PlanTable | None,
    merging: Sequence[Sequence[str]],
    types: Mapping[str, pl.DataType],
) -> pl.DataFrame:
    """Who shares which value: `node, through, value`, values with more than one node only.

    A node below the number of rows is a planned row, one above is a row of the target that no planned row has the key
    of.
    """
    shares = [pl.DataFrame(schema={"node": pl.Int64, "through": pl.String, "value": pl.String})]
    for key in merging:
        values = _values_of_both(planned, held, {name: types[name] for name in key})
        nodes = values.unique(["node", "value"], maintain_order=True)
        shared = nodes.filter(pl.col("node").len().over("value") > 1)
        shares.append(shared.select("node", pl.lit(", ".join(key)).alias("through"), "value"))
    return pl.concat(shares)


def _values_of_both(
    planned: Planned, held: PlanTable | None, key: Mapping[str, pl.DataType]
) -> pl.DataFrame:
    """`node, value` of all that may share a value with another node; of the others only few."""
    nodes = pl.int_range(planned.rows.height, dtype=pl.Int64, eager=True)
    sides = [_Side(nodes, lambda: _our_values(planned, key))]
    if held is not None and all(held.column(name) is not None for name in key):
        sides.append(_Side(_node_of_held(planned, held.height), lambda: _their_values(held, key)))
    return pl.concat(_candidates(sides))


def _their_values(held: PlanTable, key: Mapping[str, pl.DataType]) -> pl.Series:
    text = _key_text([read_text(pl.col(name), dtype) for name, dtype in key.items()]).alias("value")
    return _columns(held, list(key)).select(text).to_series()


def _our_values(planned: Planned, key: Mapping[str, pl.DataType]) -> pl.Series:
    text = _key_text([comparable(pl.col(name), dtype) for name, dtype in key.items()]).alias(
        "value"
    )
    values = _columns(planned.rows, list(key)).select(text).to_series()
    if planned.touched is None:
        return values
    ours = pl.DataFrame([values, planned.touched.alias("touched")])
    return ours.select(pl.when("touched").then(pl.col("value")).alias("value")).to_series()


@dataclass(frozen=True)
class _Side:
    """The node of each row on one side, and how its values of a key are read: they are not kept, being long."""

    nodes: pl.Series
    read: Callable[[], pl.Series]


def _candidates(sides: Sequence[_Side]) -> list[pl.DataFrame]:
    """The values whose hash stands on another row too; a row of the target with its own planned row's value is none.

    Most of many values stand alone: to group the texts themselves would take many times the memory.
    """
    ours = _hashes(sides[0].read())
    hashes = [ours, *(_unlike_own(_hashes(side.read()), side.nodes, ours) for side in sides[1:])]
    several = repeated_hashes(pl.concat(hashes))
    candidates = [pl.DataFrame(schema={"node": pl.Int64, "value": pl.String})]
    at = 0
    for side in sides:
        mine = several.slice(at, len(side.nodes))
        at += len(side.nodes)
        if mine.any():
            candidates.append(
                pl.DataFrame([side.nodes.filter(mine).alias("node"), side.read().filter(mine)])
            )
    return candidates


def _hashes(values: pl.Series) -> pl.Series:
    hashes = pl.DataFrame([values.alias("value"), values.hash().alias("hash")])
    return hashes.select(
        pl.when(pl.col("value").is_not_null()).then(pl.col("hash")).alias("hash")
    ).to_series()


def _unlike_own(hashes: pl.Series, nodes: pl.Series, ours: pl.Series) -> pl.Series:
    """The hashes of rows of the target, null where the planned row that each belongs to has the same."""
    planned = pl.when(pl.col("node") < len(ours)).then(pl.col("node")).alias("node")
    own = ours.gather(nodes.alias("node").to_frame().select(planned).to_series())
    both = pl.DataFrame([hashes.alias("hash"), own.alias("own")])
    return both.select(
        pl.when(pl.col("hash").ne_missing(pl.col("own"))).then(pl.col("hash")).alias("hash")
    ).to_series()


def _node_of_held(planned: Planned, height: int) -> pl.Series:
    """The node of each row of the target: its planned row's place, else a number beyond all of them."""
    rows = planned.rows.height
    nodes = pl.int_range(rows, rows + height, dtype=pl.Int64, eager=True)
    matches = planned.labels.matches
    places = matches.is_not_null().arg_true()
    return nodes.scatter(matches.gather(places), places.cast(pl.Int64)).alias("node")


def _members(shares: pl.DataFrame, planned: Planned) -> pl.DataFrame:
    """`node, cluster` of every record that fuses with another; `is_there`: it has a masterid; `is_planned`."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for _through, _value, nodes in (
        shares.group_by("through", "value", maintain_order=True).agg("node").iter_rows()
    ):
        first = root(nodes[0])
        for node in nodes[1:]:
            other = root(node)
            first, other = min(first, other), max(first, other)
            parent[other] = first
    members = pl.DataFrame(
        {"node": list(parent), "cluster": [root(node) for node in parent]},
        schema={"node": pl.Int64, "cluster": pl.Int64},
    ).sort("cluster", "node")
    ours = members.get_column("node").filter(members.get_column("node") < planned.rows.height)
    labels = planned.labels.of(ours, planned.labels.masterids).select(ours, "_change", "_masterid")
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
    held: PlanTable | None,
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
    keys = _columns(planned.rows, ["_key"]).get_column("_key")
    ours = pl.DataFrame([nodes, keys.gather(nodes)])
    named = listed.join(ours, on="node", how="left", maintain_order="left")
    there = _names_there(
        named.filter(~pl.col("is_planned")).get_column("node") - count, held, columns
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
    places: pl.Series, held: PlanTable | None, columns: ComparedColumns
) -> pl.DataFrame:
    """`node, held_key, held_masterid` of rows of the target."""
    schema = {"node": pl.Int64, "held_key": pl.String, "held_masterid": pl.String}
    if held is None or not len(places):
        return pl.DataFrame(schema=schema)
    columns_by_name = {name: held.column(name) for name in (*columns.key, MASTERID)}
    texts = pl.DataFrame(
        [
            part.gather(places).alias(name)
            for name, part in columns_by_name.items()
            if part is not None
        ],
    )
    parts = [pl.col(name).fill_null("") for name in columns.key if name in texts.columns]
    if parts:
        key = pl.concat_str(parts, separator=", ")
    else:
        key = pl.lit(None, pl.String)
    return texts.select(
        places.cast(pl.Int64).alias("node"),
        key.alias("held_key"),
        pl.col(MASTERID).alias("held_masterid"),
    )
