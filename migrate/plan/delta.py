"""What a delta does to the rows of its base: which of them it takes away, and what it leaves behind.

A row is planned anew where anything that it is made of has changed: a record of it, a record that
went into it and does no longer, or a row that is looked up for it. To tell the last two, the base's
rows are worked out as they were, those of records that changed, went, or look up what changed.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import polars as pl

from migrate.mapping.lookups import GHOST, TOUCHED
from migrate.mapping.transform import RowMapper, typed_schema
from migrate.names import MASTERID
from migrate.plan.collapse import collapse_rows
from migrate.plan.collapsed_rows import FinalRows, collapse_rule
from migrate.plan.lookups import lookup_frame, lookup_rows, withheld_rows
from migrate.plan.matching import match_rows
from migrate.plan.partitions import Partitions, own_copy
from migrate.plan.rows import MappedRows, Way, map_before, read_fields
from migrate.plan.tables import FrameTable, PlanTable, texts_of
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import IDENTITY, UnionResource

_IDENTITY = {"_source": pl.String(), "_id": pl.String(), "_element": pl.Int64()}
_WHO = tuple(_IDENTITY)
_NAMES = {"source": "_source", "id": "_id", "position": "_element"}


@dataclass(frozen=True)
class Base:
    """What a delta's base held of what the delta changes.

    **Shape**: `before`: the rows that the base's records gave there, of those that changed, are gone, or
    look up what changed: as a mapping gives them, with `_created`. `dead`: the last rows of records that
    are gone since the whole snapshot, `_source`, `_id`, `_element`, `_key` and the key columns. `gone`:
    the identities of these records, and `changed`: of those that the delta replaces or takes away.
    """

    gone: pl.DataFrame
    changed: pl.DataFrame
    before: pl.DataFrame
    dead: pl.DataFrame

    @property
    def keys(self) -> pl.Series:
        """Hashes of the keys of `before`."""
        return self.before.get_column("_key").hash()


@dataclass(frozen=True)
class Lookups:
    """What other datasets find in a dataset: `now`, and `before`, in the base of a delta."""

    now: pl.DataFrame
    before: pl.DataFrame | None = None


@dataclass(frozen=True)
class LeftBehind:
    """Rows of the target to be seen to by hand.

    **Shape**: `gone`: `source, id, position, key` of the row each record that is gone went into (null where it gave
    none), `others`: how many other records make that row, `masterid` where the target was read. `moved`: `source, id,
    position, old_key` that no record makes any more, `key`: the record's now (null where it gives no row), `masterid`
    of the row that stays under the old key.
    """

    gone: pl.DataFrame
    moved: pl.DataFrame


def read_base(resource: SnapshotResource, way: Way, mapped: MappedRows) -> Base:
    """The base of a resource of a delta; `mapped` are the rows of what is living.

    Nothing where the delta does not have the resource, but for what its look-ups have changed.
    """
    mapper, fields = way.mapper_before(), read_fields(resource, way.mapping)
    schema = {**mapped.accepted.schema, "_created": pl.Datetime("us")}
    nothing = pl.DataFrame(schema=schema)
    before = [nothing, *(rows.select(list(schema)) for rows in mapped.before)]
    nobody = pl.DataFrame(schema=dict.fromkeys(IDENTITY, pl.String))
    if not isinstance(resource, UnionResource):
        return Base(nobody, nobody, pl.concat(before), _narrow(nothing, way))
    alive = resource.living()
    before += [
        own_copy(map_before(frame, mapper, way.settings).select(list(schema)))
        for frame in alive.replaced(fields)
    ]
    return Base(
        resource.gone, alive.hidden, pl.concat(before), _dead_rows(resource, fields, mapper, way)
    )


def _dead_rows(
    resource: UnionResource, fields: list[str], mapper: RowMapper, way: Way
) -> pl.DataFrame:
    types = typed_schema(way.mapping, way.settings.float_digits)
    columns = {**_IDENTITY, "_key": pl.String(), **{n: types[n] for n in way.mapping.key}}
    found = [pl.DataFrame(schema=columns)]
    if resource.gone.height:
        frames = resource.departed(fields)
        found += [_narrow(mapper.map(frame).accepted, way) for frame in frames]
    return pl.concat(found)


def _narrow(rows: pl.DataFrame, way: Way) -> pl.DataFrame:
    return rows.select(*_WHO, "_key", *(n for n in way.mapping.key if n not in _WHO))


def lookups_of(
    rows: FinalRows, mapped: MappedRows, base: Base | None, way: Way, columns: Collection[str]
) -> Lookups:
    """What other datasets find in a dataset's rows, and of a delta what they found in its base.

    **Shape**: see `lookup_frame`; of a delta with `_touched`, and with `_ghost` rows for records that
    changed or went and lead to no row any more.
    """
    now, withheld = lookup_frame(rows, columns), withheld_rows(mapped.withheld)
    if base is None:
        return Lookups(pl.concat([now, withheld], how="diagonal"))
    withheld = withheld.with_columns(pl.lit(value=True).alias(TOUCHED))
    earlier = _rows_before(mapped, base, way, columns)
    moved = now.filter(TOUCHED).select("source", "id")
    theirs = base.changed.rename({"_source": "source", "_id": "id"})
    changed = pl.concat([moved, theirs, earlier.select("source", "id")]).unique()
    here = now.select("source", "id")
    ghosts = changed.join(here, on=["source", "id"], how="anti", nulls_equal=True)
    known = now.join(
        changed.with_columns(pl.lit(value=True).alias("_changed")),
        on=["source", "id"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    ).with_columns(pl.col(TOUCHED) | pl.col("_changed").fill_null(value=False))
    unchanged = known.filter(~pl.col(TOUCHED)).drop(TOUCHED, "_changed")
    marked = ghosts.with_columns(pl.lit(value=True).alias(TOUCHED), pl.lit(True).alias(GHOST))
    return Lookups(
        # in this order: a record that gave a row is found by it, whatever became of another one of its elements
        pl.concat([known.drop("_changed"), withheld, marked], how="diagonal"),
        pl.concat([earlier, unchanged], how="diagonal"),
    )


def _rows_before(
    mapped: MappedRows, base: Base, way: Way, columns: Collection[str]
) -> pl.DataFrame:
    """What was found in the base's rows of every key that the delta touches."""
    narrow = mapped.narrow
    nothing_changed = pl.Series([False]).new_from_index(0, len(narrow.keys))
    own = nothing_changed if narrow.touched is None else narrow.touched
    keys = pl.concat([base.keys, narrow.keys.filter(own)]).unique()
    # A record that is as it was gave the very row there that it gives now.
    is_as_before = narrow.keys.is_in(keys.implode()) & ~own
    kept = [
        part.with_columns(narrow.created.gather(part.get_column("_row"))).drop("_row")
        for part in mapped.accepted.picked(is_as_before)
    ]
    names = [name for name in way.mapping.columns if name in columns]
    every = pl.concat([base.before, *(part.select(base.before.columns) for part in kept)])
    merged = collapse_rows(
        every, names, collapse_rule(way.mapping, names), way.mapping.resource, drop=("_created",)
    )
    return lookup_rows(merged.rows, columns)


def rows_left_behind(
    base: Base, mapped: MappedRows, held: PlanTable | None, key: Dict[str, pl.DataType]
) -> LeftBehind:
    """What the delta leaves behind, in order; `key` are the key columns and their types."""
    keys = mapped.narrow.keys
    left = base.before.filter(~base.keys.is_in(keys.implode()))
    # What is gone is listed as that.
    moved = left.join(base.gone, on=list(IDENTITY), how="anti", nulls_equal=True)
    now = _rows_of(mapped.accepted, moved.select(_WHO), list(_WHO), key)
    return LeftBehind(_gone(base, keys, held, key), _moved(moved, now, held, key))


def _rows_of(
    accepted: Partitions, who: pl.DataFrame, on: list[str], key: Dict[str, pl.DataType]
) -> pl.DataFrame:
    """The accepted rows of some records."""
    names = [*_WHO, "_key", *key]
    found = [pl.DataFrame(schema={name: accepted.schema[name] for name in names})]
    if who.height:
        asked = who.select(on).unique()
        found += [
            frame.join(asked, on=on, how="semi", nulls_equal=True)
            for frame in accepted.frames(names)
        ]
    return pl.concat(found)


def _gone(
    base: Base, keys: pl.Series, held: PlanTable | None, key: Dict[str, pl.DataType]
) -> pl.DataFrame:
    """The row of each record that is gone, and how many records make that row now."""
    dead = base.dead
    mine = dead.with_columns(pl.col("_key").hash().alias("_hash"), _masterids(dead, held, key))
    others = (
        keys.filter(keys.is_in(mine.get_column("_hash").implode()))
        .rename("_hash")
        .value_counts(name="_others")
    )
    counted = mine.join(others, on="_hash", how="left")
    listed = base.gone.join(counted, on=list(IDENTITY), how="left", nulls_equal=True)
    return listed.select(
        **_NAMES,
        key="_key",
        others=pl.col("_others").cast(pl.Int64).fill_null(0),
        masterid="_masterid",
    ).sort(list(_NAMES))


def _moved(
    before: pl.DataFrame, now: pl.DataFrame, held: PlanTable | None, key: Dict[str, pl.DataType]
) -> pl.DataFrame:
    old = before.with_columns(_masterids(before, held, key)).rename({"_key": "_old_key"})
    named = old.join(now.select(*_WHO, "_key"), on=list(_WHO), how="left", nulls_equal=True)
    return named.select(**_NAMES, old_key="_old_key", key="_key", masterid="_masterid").sort(
        list(_NAMES)
    )


def _masterids(
    rows: pl.DataFrame, held: PlanTable | None, key: Dict[str, pl.DataType]
) -> pl.Series:
    """The masterid of the row of the target that each row's key finds."""
    if held is None or not rows.height:
        return pl.Series("_masterid", [None], dtype=pl.String).new_from_index(0, rows.height)
    places = match_rows(FrameTable(rows), held, key).places
    return texts_of(held, MASTERID).gather(places).alias("_masterid")
