"""What a delta leaves behind in the target: rows of records that are gone, or that have another key now."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from dataclasses import dataclass

import polars as pl

from migrate.mapping.transform import RowMapper, needed_fields, typed_schema
from migrate.names import MASTERID
from migrate.plan.matching import match_rows
from migrate.plan.partitions import Partitions
from migrate.plan.rows import MappedRows, Way
from migrate.plan.tables import FrameTable, PlanTable, texts_of
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import UnionResource

_IDENTITY = {"_source": pl.String(), "_id": pl.String(), "_element": pl.Int64()}
_WHO = tuple(_IDENTITY)
_NAMES = {"source": "_source", "id": "_id", "position": "_element"}


@dataclass(frozen=True)
class Base:
    """What the base of a delta held: `gone`, the identities of records that are gone since, and `before`.

    **Shape**: `before` has the rows that the changed records gave in the base: who they are, `_key`, the key columns.
    """

    gone: pl.DataFrame
    before: pl.DataFrame

    @property
    def keys(self) -> pl.Series:
        """Hashes of the keys of `before`."""
        return self.before.get_column("_key").hash()


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


def read_base(resource: SnapshotResource, way: Way) -> Base:
    """The base of a resource of a delta; nothing where the delta does not have the resource.

    What a key looks up is looked up as it is now: a look-up that has changed moves no key here.
    """
    types = typed_schema(way.mapping, way.settings.float_digits)
    names = [*_WHO, "_key", *way.mapping.key]
    nothing = pl.DataFrame(
        schema={**_IDENTITY, "_key": pl.String, **{name: types[name] for name in way.mapping.key}}
    )
    if not isinstance(resource, UnionResource):
        return Base(pl.DataFrame(schema=dict.fromkeys(("_source", "_id"), pl.String)), nothing)
    fields = sorted(needed_fields(way.mapping))
    mapper = RowMapper(way.mapping, way.lookups, way.settings)
    replaced = (mapper.map(frame).accepted.select(names) for frame in resource.replaced(fields))
    return Base(resource.gone, pl.concat([nothing, *replaced]))


def rows_left_behind(
    base: Base, mapped: MappedRows, held: PlanTable | None, key: Dict[str, pl.DataType]
) -> LeftBehind:
    """What the delta leaves behind, in order; `key` are the key columns and their types."""
    keys = mapped.narrow.keys
    moved = base.before.filter(~base.keys.is_in(keys.implode()))
    gone_rows = _rows_of(mapped.accepted, base.gone, ["_source", "_id"], key)
    now = _rows_of(mapped.accepted, moved.select(_WHO), list(_WHO), key)
    return LeftBehind(_gone(base.gone, gone_rows, keys, held, key), _moved(moved, now, held, key))


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
    gone: pl.DataFrame,
    rows: pl.DataFrame,
    keys: pl.Series,
    held: PlanTable | None,
    key: Dict[str, pl.DataType],
) -> pl.DataFrame:
    mine = rows.with_columns(pl.col("_key").hash().alias("_hash"), _masterids(rows, held, key))
    together = (
        keys.filter(keys.is_in(mine.get_column("_hash").implode()))
        .rename("_hash")
        .value_counts(name="_all")
    )
    leaving = mine.group_by("_hash").len("_leaving")
    counted = mine.join(together, on="_hash", how="left").join(leaving, on="_hash", how="left")
    listed = gone.join(counted, on=["_source", "_id"], how="left", nulls_equal=True)
    return listed.select(
        **_NAMES,
        key="_key",
        others=(pl.col("_all").cast(pl.Int64) - pl.col("_leaving")).fill_null(0),
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
