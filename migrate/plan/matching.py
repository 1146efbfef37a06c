"""Which row of the target a planned row is, by its key; and the target's rows in the order of the planned ones.

Neither side fits in memory, and two orders have nothing to do with each other. So the keys of both are brought together
by their hash, some at a time, and then the rows of the target are put, on disk, where their planned rows stand: from
there on both are read side by side. In memory are the places alone, four bytes a row on either side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.plan.compare import comparable, read_text
from migrate.plan.partitions import PartitionSet
from migrate.plan.tables import PlanTable, texts_of

KEYS_AT_ONCE = 1_000_000
"""So many keys of a side are in memory at once."""
CHUNK_ROWS = 256_000
"""So many rows of both sides are compared at once, of a column or two."""
_MOST_CHUNKS = 100
_HOLD_BYTES = 64 << 20
"""More than of other stores: rows that come in quite another order would be cut into too many files."""
_PLACE = "_place"


@dataclass(frozen=True)
class Matched:
    """`places`: for each planned row the place of the row of the target that has its key, null where there is none.

    `is_foreign`: by place, of which of the target's rows no planned row has the key. `repeated`: rows of the target
    beyond the first of a key. Places count from 0.
    """

    places: pl.Series
    is_foreign: pl.Series
    repeated: int


def match_rows(
    planned: PlanTable, target_rows: PlanTable, key: Mapping[str, pl.DataType], folder: Path
) -> Matched:
    """The rows of both sides matched by `key`, by value in the types of its columns.

    Of several rows of the target with one key, the last (the most recently modified) is the match. A key of which a
    part has no value matches nothing. Below `folder` many keys are put aside meanwhile.

    **Shape**: the keys of `planned` are unique.
    """
    names = list(key)
    count = 1 + max(planned.height, target_rows.height) // KEYS_AT_ONCE
    ours = _by_hash(_planned_keys(planned, key), names, folder / "keys-planned", count)
    theirs = _by_hash(_held_keys(target_rows, key), names, folder / "keys-there", count)
    places = nowhere(planned.height).alias("_match")
    is_foreign = pl.repeat(value=True, n=target_rows.height, eager=True)
    repeated = 0
    for mine, others in zip(ours.take_all(), theirs.take_all(), strict=True):
        # The export comes least recently modified first, so the last is what the target holds for the key now.
        last = others.unique(names, keep="last", maintain_order=True)
        both = mine.join(last, on=names, how="inner", suffix="_there")
        places = places.scatter(both[_PLACE], both[f"{_PLACE}_there"])
        is_foreign = is_foreign.scatter(both[f"{_PLACE}_there"], False)
        if last.height < others.height:
            repeated += others.height - last.height
            earlier = others.join(last, on=_PLACE, how="anti").join(mine, on=names, how="semi")
            is_foreign = is_foreign.scatter(earlier[_PLACE], False)
    return Matched(places, is_foreign, repeated)


def nowhere(height: int) -> pl.Series:
    """No place for any row."""
    return pl.Series(_PLACE, [None], dtype=pl.UInt32).new_from_index(0, height)


def _by_hash(
    keys: Iterator[pl.DataFrame], names: Sequence[str], folder: Path, count: int
) -> PartitionSet:
    """Keys with their places, those of one hash in one bucket."""
    buckets = PartitionSet(folder, count)
    start = 0
    for frame in keys:
        end = start + frame.height
        places = pl.int_range(start, end, dtype=pl.UInt32, eager=True).alias(_PLACE)
        start = end
        # What the service does with an empty key is not documented, so none is taken for another.
        filled = frame.with_columns(places).drop_nulls(names)
        buckets.know(filled.schema)
        bucket = filled.select(names).hash_rows() % count
        buckets.add(filled, bucket.cast(pl.UInt32))
    return buckets


def _planned_keys(planned: PlanTable, key: Mapping[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    values = [comparable(pl.col(name), dtype).alias(name) for name, dtype in key.items()]
    for frame in planned.frames(list(key)):
        yield frame.select(values)


def _held_keys(target_rows: PlanTable, key: Mapping[str, pl.DataType]) -> Iterator[pl.DataFrame]:
    values = [read_text(pl.col(name), dtype).alias(name) for name, dtype in key.items()]
    for frame in texts_of(target_rows, list(key)):
        yield frame.select(values)


@dataclass(frozen=True)
class Aligned:
    """Rows of the target where their planned rows stand: `rows` to a chunk, `height` in all."""

    buckets: PartitionSet
    rows: int
    height: int

    def chunks(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns, one row to each planned row; all null where the target has none of its key."""
        for number, store in enumerate(self.buckets.stores):
            start = number * self.rows
            height = min(self.rows, self.height - start)
            rows = pl.concat([_schema_of(names), *store.frames([_PLACE, *names])])
            order = nowhere(height).scatter(
                rows[_PLACE] - start, pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
            )
            yield rows.select(pl.col(names).gather(order))

    def at(self, names: Sequence[str], places: pl.Series) -> pl.DataFrame:
        """Columns of a few rows by the places of their planned rows, in the order of these."""
        wanted = places.cast(pl.UInt32).alias(_PLACE).to_frame()
        picked = [_schema_of(names)]
        for number in (wanted[_PLACE] // self.rows).unique().sort():
            frames = self.buckets.stores[number].frames([_PLACE, *names])
            picked += [frame.join(wanted.unique(), on=_PLACE, how="semi") for frame in frames]
        rows = pl.concat(picked)
        return wanted.join(rows, on=_PLACE, how="left", maintain_order="left").select(names)


def _schema_of(names: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={_PLACE: pl.UInt32, **dict.fromkeys(names, pl.String)})


def align_rows(
    target_rows: PlanTable, places: pl.Series, names: Sequence[str], folder: Path
) -> Aligned:
    """Columns of the target's rows in the order of the planned ones; many are put aside below `folder`.

    `places`: for each planned row the place of its row in `held`.
    """
    rows = max(CHUNK_ROWS, -(-len(places) // _MOST_CHUNKS))
    matched = places.is_not_null().arg_true()
    planned = nowhere(target_rows.height).scatter(places.gather(matched), matched.cast(pl.UInt32))
    buckets = PartitionSet(folder, -(-len(places) // rows), _HOLD_BYTES)
    buckets.know(_schema_of(names).schema)
    start = 0
    for frame in texts_of(target_rows, names):
        place = planned.slice(start, frame.height)
        start += frame.height
        mine = frame.with_columns(place.alias(_PLACE)).filter(pl.col(_PLACE).is_not_null())
        buckets.add(mine, mine[_PLACE] // rows)
    return Aligned(buckets, rows, len(places))
