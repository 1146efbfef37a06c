"""Rows put aside while a plan is made: few stay in memory, many go to Parquet files that are removed with the store.

A file is written once and read a column or a part at a time, so that memory does not grow with the rows.

Work is done ahead of the one who takes it: polars leaves Python free while it reads and works.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import polars as pl

from migrate import parquet
from migrate.errors import WorkspaceError

HOLD_BYTES = 40 << 20
"""What one store keeps in memory before it writes a file: bytes of values, which take two to three times that."""

FILE_ROWS = 64_000
"""So many rows are in a file, which is the part of them that is read at once."""

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = 2


def own_copy(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in memory of their own: texts that were filtered or cut off keep all that they were taken from there."""
    memory = io.BytesIO()
    filled = _filled(frame)
    # the oldest layout puts texts one behind the other, which is written and read in half the time
    frame.select(filled).rechunk().write_ipc(
        memory, compression="uncompressed", compat_level=pl.CompatLevel.oldest()
    )
    memory.seek(0)
    return _with_nulls(pl.read_ipc(memory), frame.schema, frame.height)


def some_of(frame: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    """The rows that `wanted` says true of, which may be kept for long: a few of many get memory of their own."""
    rows = frame.filter(wanted)
    if not rows.height:
        return rows.clear()
    if rows.height * 2 > frame.height:
        return rows
    return own_copy(rows)


def _filled(frame: pl.DataFrame) -> list[str]:
    """The columns that have values, at least one: a mapping has many that a shop never fills."""
    return [column.name for column in frame if column.null_count() < frame.height] or frame.columns[
        :1
    ]


def _with_nulls(
    frame: pl.DataFrame, schema: Mapping[str, pl.DataType], height: int
) -> pl.DataFrame:
    """The columns of `schema`, in that order: those of `frame`, and null for the others."""
    nulls = {
        name: pl.Series(name, [None], dtype=kind)
        for name, kind in schema.items()
        if name not in frame.columns
    }
    return pl.DataFrame(
        [
            nulls[name].new_from_index(0, height) if name in nulls else frame.get_column(name)
            for name in schema
        ]
    )


@dataclass(frozen=True)
class _File:
    """Some rows in a file, which has only those of their columns that have values."""

    path: Path
    height: int
    filled: Collection[str]
    schema: Mapping[str, pl.DataType]

    def read(self, names: Sequence[str]) -> pl.DataFrame:
        """Columns of the rows."""
        there = [name for name in names if name in self.filled]
        if there:
            rows = parquet.read(self.path, columns=there)
        else:
            rows = pl.DataFrame()
        return _with_nulls(rows, {name: self.schema[name] for name in names}, self.height)


class Partitions:
    """Frames of one schema in the order in which they were added. A `Table` as well."""

    def __init__(self, folder: Path, hold_bytes: int = HOLD_BYTES) -> None:
        self._folder = folder
        self._hold_bytes = hold_bytes
        self._held: list[pl.DataFrame] = []
        self._held_bytes = 0
        self._files: list[_File] = []
        self._schema: pl.Schema | None = None
        self.height = 0

    @property
    def held_bytes(self) -> int:
        """How much is in memory."""
        return self._held_bytes

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """The columns and their types, as the first frame had them; none before it came."""
        return self._schema or {}

    @property
    def names(self) -> Collection[str]:
        """The columns there are."""
        return self.schema.keys()

    def know(self, schema: Mapping[str, pl.DataType]) -> None:
        """Takes the columns, where none are known yet: a store that no row comes to has them all the same."""
        if self._schema is None:
            self._schema = pl.Schema(schema)

    def add(self, frame: pl.DataFrame) -> None:
        """Puts the rows behind those that are there. A few of many rows keep the memory of all: see `own_copy`."""
        self.know(frame.schema)
        if not frame.height:
            return
        self.height += frame.height
        self._held.append(frame.select(list(self.schema)))
        self._held_bytes += int(frame.estimated_size())
        if self._held_bytes > self._hold_bytes:
            self.write()

    def settle(self) -> None:
        """Leaves memory to others once no more rows come: where some are in files, the rest goes there too."""
        if self._files and self._held:
            self.write()

    def frames(self, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows part by part, all columns for None; the next parts are read while one is worked on."""
        columns = list(self.schema if names is None else names)
        yield from work_ahead(lambda file: file.read(columns), tuple(self._files))
        for frame in self._held:
            yield frame.select(columns)

    def picked(self, wanted: pl.Series) -> Iterator[pl.DataFrame]:
        """The rows that `wanted` says true of, part by part, in memory of their own; `_row`: the place of each."""
        columns = list(self.schema)
        parts: list[_File | pl.DataFrame] = [*self._files, *self._held]
        starts = accumulate((part.height for part in parts), initial=0)

        def pick(part: tuple[_File | pl.DataFrame, int]) -> pl.DataFrame | None:
            rows, start = part
            end = start + rows.height
            mine = wanted.slice(start, rows.height)
            if not mine.any():
                return None
            frame = rows.read(columns) if isinstance(rows, _File) else rows
            places = pl.int_range(start, end, dtype=pl.UInt32, eager=True).alias("_row")
            return own_copy(frame.with_columns(places).filter(mine))

        yield from (
            rows for rows in work_ahead(pick, zip(parts, starts, strict=False)) if rows is not None
        )

    def column(self, name: str) -> pl.Series | None:
        """One column, None where there is none of that name."""
        if name not in self.schema:
            return None
        return pl.concat(
            [pl.DataFrame(schema={name: self.schema[name]}), *self.frames([name])]
        ).get_column(name)

    def whole(self) -> pl.DataFrame:
        """All rows in one frame."""
        return pl.concat([pl.DataFrame(schema=self.schema), *self.frames()])

    def clear(self) -> None:
        """Forgets the rows and removes the files."""
        self._held = []
        self._files = []
        self._held_bytes = 0
        self.height = 0
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self) -> None:
        """Puts into files what is in memory."""
        for rows in pl.concat(self._held).iter_slices(FILE_ROWS):
            path = self._folder / f"{len(self._files) + 1:05d}.parquet"
            filled = _filled(rows)
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                # Before a row is in it, since rows are people's data.
                path.touch(mode=0o600)
                # lightly compressed: it is read once or twice and then removed
                parquet.write(rows.select(filled), path, compression="lz4", statistics=False)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise WorkspaceError(
                    f"{path} cannot be written: {error}",
                    hint="free disk space or fix the permissions, then give the same command again",
                ) from None
            self._files.append(_File(path, rows.height, frozenset(filled), self.schema))
        self._held = []
        self._held_bytes = 0


class PartitionSet:
    """Rows on their way into buckets, each of which is read alone: few in memory for long.

    The bound of memory is for all of them together.
    """

    def __init__(self, folder: Path, count: int, hold_bytes: int = HOLD_BYTES) -> None:
        # none writes by itself: the one that holds most does, when all hold too much
        self.stores = [Partitions(folder / f"{place:04d}", sys.maxsize) for place in range(count)]
        self._hold_bytes = hold_bytes
        self._taken = 0

    def know(self, schema: Mapping[str, pl.DataType]) -> None:
        """Takes the columns, for buckets that no row comes to."""
        for store in self.stores:
            store.know(schema)

    def add(self, frame: pl.DataFrame, bucket: pl.Series) -> None:
        """Puts each row into the bucket whose place from 0 `bucket` says, behind those that are there.

        Where a frame is split, each part gets memory of its own: one may wait for long, and would keep that of all.
        """
        if not frame.height:
            return
        if bucket.n_unique() == 1:
            self.stores[bucket[0]].add(frame)
        else:
            numbered = frame.with_columns(bucket.alias("_bucket"))
            parts = numbered.partition_by("_bucket", as_dict=True, include_key=False)
            for (place,), part in parts.items():
                self.stores[place].add(own_copy(part))
        while sum(store.held_bytes for store in self.stores) > self._hold_bytes:
            max(self.stores, key=lambda store: store.held_bytes).write()

    def take_full(self, sizes: Sequence[int]) -> Iterator[pl.DataFrame]:
        """The rows of each bucket that has all of its own, `sizes`, once those before it were taken."""
        while self._taken < len(sizes) and self.stores[self._taken].height == sizes[self._taken]:
            yield self.take()

    def take(self) -> pl.DataFrame:
        """The rows of the next bucket; then they are gone here."""
        store = self.stores[self._taken]
        self._taken += 1
        rows = store.whole()
        store.clear()
        return rows

    def take_all(self) -> Iterator[pl.DataFrame]:
        """The rows of each bucket that is left, once no more come."""
        while self._taken < len(self.stores):
            yield self.take()


def work_ahead(act: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    """What `act` makes of each part, in order; up to `AT_ONCE` of them are worked on at once, while one is taken."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting: deque[Future[R]] = deque()
        for part in parts:
            waiting.append(pool.submit(act, part))
            if len(waiting) == AT_ONCE:
                yield waiting.popleft().result()
        for made in waiting:
            yield made.result()


def read_ahead(parts: Iterator[T]) -> Iterator[T]:
    """The same parts; each is asked for, in a thread of its own, before the one before it is done with."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part
