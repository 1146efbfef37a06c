"""What a delta does to the rows of its base: which of them it takes away, and what it leaves behind.

A row is planned anew where anything that it is made of has changed: a record of it, a record that
went into it and does no longer, or a row that is looked up for it. To tell the last two, the base's
rows are worked out as they were, those of records that changed, went, or look up what changed.

A delta is planned on the promise that its base was loaded. Where that is not so, or not to the end, the target would
lack rows for good, with every plan and every count of a delta in order: so they are listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from migrate.mapping.model import Mapping
from migrate.mapping.source_rows import GHOST, TOUCHED
from migrate.names import MASTERID
from migrate.plan.collapse import CREATED, PART, collapse_rows, resource_of
from migrate.plan.collapsed_rows import CollapsedRows, FinalRows, collapse_rule
from migrate.plan.lookups import (
    RESOURCE,
    identity_of,
    lookup_frame,
    lookup_rows,
    names_of,
    unsendable_rows,
    withheld_rows,
)
from migrate.plan.matching import match_rows
from migrate.plan.partitions import Partitions, own_copy
from migrate.plan.rows import MappedRows, Way, fit_rows, map_before, read_fields
from migrate.plan.tables import FrameTable, PlanTable, rows_at
from migrate.sentence import Sentence
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.union import IDENTITY, UnionResource

_NAMES = {"source": "_source", "id": "_id", "position": "_element"}
_ELEMENT = tuple(_NAMES.values())
MISSING_SCHEMA = {"source": pl.String, "id": pl.String, "position": pl.Int64, "key": pl.String}
"""A line per row: the record it is of, of several the one that won, the element's place in it, and the row's key."""


@dataclass(frozen=True)
class Base:
    """What a delta's base held of what the delta changes.

    **Shape**: `before`: the rows that the base's records gave there, of those that changed, are gone, or
    look up what changed: as a mapping gives them, with `_created`. `dead`: the last rows of records that
    are gone since the whole snapshot, `_source`, `_id`, `_element`, `_key` and the key columns. `gone`:
    the identities of these records, and `changed`: of those that the delta replaces or takes away. Where several
    files make the dataset all have `_part`.
    """

    gone: pl.DataFrame
    changed: pl.DataFrame
    before: pl.DataFrame
    dead: pl.DataFrame
    resources: tuple[str, ...] = ("",)

    @property
    def keys(self) -> pl.Series:
        """Hashes of the keys of `before`."""
        return self.before.get_column("_key").hash()


@dataclass(frozen=True)
class Lookups:
    """What other datasets find in a dataset: `now`, and `before`, in the base of a delta."""

    now: pl.DataFrame
    before: pl.DataFrame | None = None

    def of(self, resource: str) -> Lookups:
        """Only what records of this resource lead to, where a dataset is made of several."""
        if RESOURCE not in self.now.columns:
            return self
        is_of = pl.col(RESOURCE) == resource
        if self.before is None:
            before = None
        else:
            before = self.before.filter(is_of).drop(RESOURCE)
        return Lookups(self.now.filter(is_of).drop(RESOURCE), before)


@dataclass(frozen=True)
class LeftBehind:
    """Rows of the target to be seen to by hand.

    **Shape**: `gone`: `resource, source, id, position, key` of the row each record that is gone went into (null where
    it gave none), `others`: how many other records make that row, `masterid` where the target was read. `moved`:
    `resource, source, id, position, old_key` that no record makes any more, `key`: the record's now (null where it
    gives no row), `masterid` of the row that stays under the old key.
    """

    gone: pl.DataFrame
    moved: pl.DataFrame


def read_base(files: Sequence[tuple[SnapshotResource, Way]], mapped: MappedRows) -> Base:
    """The base of a dataset of a delta; `files`: of each of its files the resource, and how it is mapped.

    `mapped` are the rows of what is living. Nothing where the delta does not have a resource, but for what its look-ups
    have changed.
    """
    several = len(files) > 1
    bases = [
        _read_base(resource, way, mapped, number) for number, (resource, way) in enumerate(files)
    ]
    made = tuple(str(way.mapping.resource) for _, way in files)
    gone = pl.concat([_numbered(one.gone, number, several) for number, one in enumerate(bases)])
    changed = [_numbered(one.changed, number, several) for number, one in enumerate(bases)]
    before = pl.concat(
        [
            *(rows.select(bases[0].before.columns) for rows in mapped.before),
            *(one.before for one in bases),
        ]
    )
    dead = pl.concat([one.dead for one in bases])
    return Base(gone, pl.concat(changed), before, dead, made)


def _numbered(rows: pl.DataFrame, number: int, several: bool) -> pl.DataFrame:
    if several:
        return rows.with_columns(pl.lit(number, pl.UInt8).alias(PART))
    return rows


def _read_base(resource: SnapshotResource, way: Way, mapped: MappedRows, number: int) -> Base:
    """The base of one resource, without what its look-ups have changed."""
    mapper = way.mapper_before()
    fields = read_fields(resource, way.mapping)
    schema = {**mapped.accepted.schema, CREATED: pl.Datetime("us")}
    nothing = pl.DataFrame(schema=schema)
    nobody = pl.DataFrame(schema=dict.fromkeys(IDENTITY, pl.String))
    if not isinstance(resource, UnionResource):
        return Base(nobody, nobody, nothing, _narrow(nothing, way.mapping.key))
    alive = resource.living()
    before = [
        own_copy(fit_rows(map_before(frame, mapper, way.settings), schema, number))
        for frame in alive.replaced(fields)
    ]
    # It reads the base once more, which only a record that is gone is worth.
    departed = resource.departed(fields) if resource.gone.height else ()
    dead = [
        _narrow(
            fit_rows(mapper.map(frame).accepted, mapped.accepted.schema, number), way.mapping.key
        )
        for frame in departed
    ]
    return Base(
        resource.gone,
        alive.hidden,
        pl.concat([nothing, *before]),
        pl.concat([_narrow(nothing, way.mapping.key), *dead]),
    )


def _narrow(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    return rows.select(*_who(rows), "_key", *key)


def _who(rows: pl.DataFrame | Partitions) -> list[str]:
    """The columns that tell which record, or element of it, a row is of."""
    return [*_ELEMENT, *([PART] if PART in rows.schema else [])]


def _records(rows: pl.DataFrame) -> list[str]:
    """The columns that tell which record a row is of."""
    return [*IDENTITY, *([PART] if PART in rows.columns else [])]


def lookups_of(
    mapping: Mapping,
    gathered: CollapsedRows,
    mapped: MappedRows,
    base: Base | None,
    columns: Collection[str],
) -> Lookups:
    """What other datasets find in a dataset's rows, and of a delta what they found in its base.

    **Shape**: see `lookup_frame`; of a delta with `_touched`, and with `_ghost` rows for records that
    changed or went and lead to no row any more.
    """
    made = mapping.resources
    now = lookup_frame(gathered.rows, columns, made)
    large = unsendable_rows(gathered.unsendable, made)
    withheld = pl.concat([withheld_rows(mapped.withheld, made), large])
    if base is None:
        return Lookups(pl.concat([now, withheld], how="diagonal"))
    withheld = withheld.with_columns(pl.lit(value=True).alias(TOUCHED))
    earlier = _rows_before(mapping, mapped, base, columns)
    who = names_of(made)
    moved = now.filter(TOUCHED).select(who)
    theirs = base.changed.select(identity_of(made))
    changed = pl.concat([moved, theirs, earlier.select(who)]).unique()
    ghosts = changed.join(now.select(who), on=who, how="anti", nulls_equal=True)
    known = now.join(
        changed.with_columns(pl.lit(value=True).alias("_changed")),
        on=who,
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
    mapping: Mapping, mapped: MappedRows, base: Base, columns: Collection[str]
) -> pl.DataFrame:
    """What was found in the base's rows of every key that the delta touches."""
    every_key, created = mapped.narrow.keys, mapped.narrow.created
    own = mapped.narrow.touched
    if own is None:
        own = pl.repeat(value=False, n=len(every_key), eager=True)
    keys = pl.concat([base.keys, every_key.filter(own)]).unique()
    # A record that is as it was gave the very row there that it gives now.
    is_as_before = every_key.is_in(keys.implode()) & ~own
    kept = [
        part.with_columns(created.gather(part.get_column("_row"))).drop("_row")
        for part in mapped.accepted.picked(is_as_before)
    ]
    names = [name for name in mapping.columns if name in columns]
    every = pl.concat([base.before, *(part.select(base.before.columns) for part in kept)])
    merged = collapse_rows(
        every, names, collapse_rule(mapping, names), mapping.resources, drop=(CREATED,)
    )
    return lookup_rows(merged.rows, columns, mapping.resources)


def rows_left_behind(
    base: Base,
    mapped: MappedRows,
    held: PlanTable | None,
    key: Dict[str, pl.DataType],
    folder: Path,
) -> LeftBehind:
    """What the delta leaves behind, in order; `key` are the key columns and their types.

    Below `folder` many keys are put aside meanwhile.
    """
    keys = mapped.narrow.keys
    left = base.before.filter(~base.keys.is_in(keys.implode()))
    # What is gone is listed as that.
    moved = left.join(base.gone, on=_records(left), how="anti", nulls_equal=True)
    now = _rows_of(mapped.accepted, moved.select(_who(moved)), key)
    find = partial(_masterids, held=held, key=key, folder=folder)
    listed = _moved(base, moved, now, find)
    if held is not None:
        # A row that was waiting for its parent all the time was never there, and nothing of it stays.
        listed = listed.filter(pl.col("masterid").is_not_null())
    return LeftBehind(_gone(base, keys, find), listed)


def _rows_of(accepted: Partitions, who: pl.DataFrame, key: Dict[str, pl.DataType]) -> pl.DataFrame:
    """The accepted rows of some records."""
    names = [*who.columns, "_key", *key]
    frames = [pl.DataFrame(schema={name: accepted.schema[name] for name in names})]
    if who.height:
        asked = who.unique()
        frames += [
            frame.join(asked, on=who.columns, how="semi", nulls_equal=True)
            for frame in accepted.frames(names)
        ]
    return pl.concat(frames)


def _gone(base: Base, keys: pl.Series, find: Callable[[pl.DataFrame], pl.Series]) -> pl.DataFrame:
    """The row of each record that is gone, and how many records make that row now."""
    dead = base.dead
    mine = dead.with_columns(pl.col("_key").hash().alias("_hash"), find(dead))
    others = (
        keys.filter(keys.is_in(mine.get_column("_hash").implode()))
        .rename("_hash")
        .value_counts(name="_others")
    )
    counted = mine.join(others, on="_hash", how="left")
    listed = base.gone.join(counted, on=_records(base.gone), how="left", nulls_equal=True)
    return listed.select(
        resource_of(base.resources),
        **_NAMES,
        key="_key",
        others=pl.col("_others").cast(pl.Int64).fill_null(0),
        masterid="_masterid",
    ).sort("resource", *_NAMES)


def _moved(
    base: Base,
    before: pl.DataFrame,
    now: pl.DataFrame,
    find: Callable[[pl.DataFrame], pl.Series],
) -> pl.DataFrame:
    who = _who(before)
    old = before.with_columns(find(before)).rename({"_key": "_old_key"})
    named = old.join(now.select(*who, "_key"), on=who, how="left", nulls_equal=True)
    return named.select(
        resource_of(base.resources), **_NAMES, old_key="_old_key", key="_key", masterid="_masterid"
    ).sort("resource", *_NAMES)


def _masterids(
    rows: pl.DataFrame, held: PlanTable | None, key: Dict[str, pl.DataType], folder: Path
) -> pl.Series:
    """The masterid of the row of the target that each row's key finds."""
    if held is None or not rows.height:
        return pl.Series("_masterid", [None], dtype=pl.String).new_from_index(0, rows.height)
    places = match_rows(FrameTable(rows), held, key, folder / "left").places
    return rows_at(held, [MASTERID], places)[MASTERID].alias("_masterid")


def rows_missing(
    rows: FinalRows, lacking: pl.Series | None, left: LeftBehind | None
) -> pl.Series | None:
    """Which of the untouched rows that the target lacks it should hold: rows of gone records alone it need not."""
    if lacking is None or left is None or not lacking.any():
        return lacking
    removed = (
        left.gone.filter((pl.col("others") == 0) & pl.col("masterid").is_null())
        .get_column("key")
        .drop_nulls()
    )
    if not len(removed):
        return lacking
    is_removed = [frame["_key"].is_in(removed.implode()) for frame in rows.frames(["_key"])]
    return lacking & ~pl.concat(is_removed)


def list_missing(rows: FinalRows, missing: pl.Series) -> Iterator[pl.DataFrame]:
    """The missing rows part by part, in the order of the rows."""
    at = 0
    for frame in rows.frames(["_source", "_id", "_element", "_key"]):
        gone = frame.filter(missing.slice(at, frame.height))
        at += frame.height
        yield gone.select(
            source="_source", id="_id", position=pl.col("_element").cast(pl.Int64), key="_key"
        )


def delta_warnings(
    left: LeftBehind | None, outside: int, missing: int | None, whole: str
) -> tuple[str, ...]:
    """What of a delta is not planned, what the target lacks of its base, and what has to be seen to there by hand.

    `left` is None where the plan is of no delta. `outside`, `missing`: rows of the base that are as they were, and rows
    that the target lacks. `whole`: the whole snapshot that the delta was put on, at the bottom.
    """
    if left is None:
        return ()
    gone = left.gone.height
    moved = left.moved.height
    warnings = []
    if outside:
        warnings.append(
            Sentence(
                "{count} row of the base is as it was, and not planned",
                "{count} rows of the base are as they were, and not planned",
                count=outside,
            )
        )
    if missing:
        warnings.append(
            Sentence(
                "{count} of them is not in the target (missing.parquet), and no delta sends it: load the plan of "
                "snapshot {snapshot} to its end, or make and load one, then plan this delta again",
                "{count} of them are not in the target (missing.parquet), and no delta sends them: load the plan of "
                "snapshot {snapshot} to its end, or make and load one, then plan this delta again",
                count=missing,
                snapshot=whole,
            )
        )
    if gone:
        warnings.append(
            Sentence(
                "{count} row is of a record gone since the base; it stays in the target (gone.parquet)",
                "{count} rows are of records gone since the base; they stay in the target (gone.parquet)",
                count=gone,
            )
        )
    if moved:
        warnings.append(
            Sentence(
                "{count} record has another key than in the base; the old row stays there (moved.parquet)",
                "{count} records have another key than in the base; the old rows stay there (moved.parquet)",
                count=moved,
            )
        )
    return tuple(warnings)
