"""Rows put aside while a plan is made: few stay in memory, many go to Parquet files that are removed with the store.

A file is written once and read a column or a part at a time, so that memory does not grow with the rows.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from migrate.errors import WorkspaceError
from migrate.plan.ahead import work_ahead

HOLD_BYTES = 40 << 20
"""What one store keeps in memory before it writes a file: bytes of values, which take two to three times that."""

FILE_ROWS = 64_000
"""So many rows are in a file, which is the part of them that is read at once."""


def own_copy(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in memory of their own: texts that were filtered or cut off keep all that they were taken from there."""
    memory = io.BytesIO()
    frame.rechunk().write_ipc(memory, compression="uncompressed")
    memory.seek(0)
    return pl.read_ipc(memory)


class Store:
    """Frames of one schema in the order in which they were added. A `Table` as well."""

    def __init__(self, folder: Path, hold_bytes: int = HOLD_BYTES) -> None:
        self._folder = folder
        self._hold_bytes = hold_bytes
        self._held: list[pl.DataFrame] = []
        self._held_bytes = 0
        self._files: list[Path] = []
        self._schema: pl.Schema | None = None
        self.height = 0

    @property
    def schema(self) -> Mapping[str, pl.DataType]:
        """The columns and their types, as the first frame had them; none before it came."""
        return self._schema or {}

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
            self._write()

    def settle(self) -> None:
        """Leaves memory to others once no more rows come: where some are in files, the rest goes there too."""
        if self._files and self._held:
            self._write()

    def frames(self, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows part by part, all columns for None; the next parts are read while one is worked on."""
        columns = None if names is None else list(names)
        yield from work_ahead(lambda file: pl.read_parquet(file, columns=columns), tuple(self._files))
        for frame in self._held:
            yield frame if names is None else frame.select(names)

    def column(self, name: str) -> pl.Series | None:
        """One column, None where there is none of that name."""
        if name not in self.schema:
            return None
        parts = [pl.read_parquet(self._files, columns=[name], glob=False)] if self._files else []
        parts += [frame.select(name) for frame in self._held]
        return pl.concat([pl.DataFrame(schema={name: self.schema[name]}), *parts]).get_column(name)

    def whole(self) -> pl.DataFrame:
        """All rows in one frame."""
        return pl.concat([pl.DataFrame(schema=self.schema), *self.frames()])

    def clear(self) -> None:
        """Forgets the rows and removes the files."""
        self._held, self._files, self._held_bytes, self.height = [], [], 0, 0
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self) -> None:
        for rows in pl.concat(self._held).iter_slices(FILE_ROWS):
            path = self._folder / f"{len(self._files) + 1:05d}.parquet"
            try:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                path.touch(mode=0o600)
                # lightly compressed: it is read once or twice and then removed
                rows.write_parquet(path, compression="lz4", statistics=False)
            except (OSError, pl.exceptions.PolarsError) as error:
                raise WorkspaceError(
                    f"{path} cannot be written: {error}",
                    hint="free disk space or mend the permissions, then give the same command again",
                ) from None
            self._files.append(path)
        self._held, self._held_bytes = [], 0


class Buckets:
    """Rows on their way into `count` stores, each of which is read alone later: none in memory for long.

    The bound of memory is for all of them together.
    """

    def __init__(self, folder: Path, count: int, hold_bytes: int = HOLD_BYTES) -> None:
        self.stores = [Store(folder / f"{place:04d}", hold_bytes // count) for place in range(count)]

    def add(self, frame: pl.DataFrame, bucket: pl.Expr | pl.Series) -> None:
        """Puts each row into the store whose place from 0 `bucket` says, behind those that are there.

        Where a frame is split, each part gets memory of its own: one may wait for long, and would keep that of all.
        """
        if len(self.stores) == 1:
            self.stores[0].add(frame)
            return
        for store in self.stores:
            store.know(frame.schema)
        parts = frame.with_columns(bucket.cast(pl.UInt32).alias("_bucket")).partition_by(
            "_bucket", as_dict=True, include_key=False
        )
        for (place,), part in parts.items():
            self.stores[int(place)].add(part if len(parts) == 1 else own_copy(part))
