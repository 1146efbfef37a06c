"""A plan's Parquet files: their columns, and writing them so that the same rows give the same bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from queue import Full, Queue
from typing import Self

import polars as pl
from polars.io.plugins import register_io_source

from migrate import parquet
from migrate.plan.document import PlannedFile
from migrate.plan.partitions import own_copy
from migrate.plan.tables import in_chunks
from migrate.workspace import entry_of, replacing

SOURCE = pl.Struct(
    {"resource": pl.String, "source": pl.String, "id": pl.String, "position": pl.Int64}
)
SOURCES = pl.List(SOURCE)
LEADING = {
    "batch": "_batch",
    "position": "_slot",
    "change": "_change",
    "key": "_key",
    "payload": "_payload",
    "sources": "_sources",
    "masterid": "_masterid",
    "changed": "_changed",
}
"""The columns of `records.parquet` before the mapped ones, and their names while the plan is made.

A mapping may have a column `position`: the working names begin with an underscore, which no mapped column does.
"""

SPILL = "spill-"
"""Begins the name of a folder for rows put aside while the plan is made; no dataset is named so."""

ROWS_A_GROUP = 16_000
_WAITING = 1
_PATIENCE_S = 1.0
_PAGE_BYTES = 1 << 20


def stored_columns(columns: Iterable[str]) -> dict[str, str]:
    """The name each mapped column has in the plan's files: its own, after an underscore where that one is taken.

    No mapped column begins with an underscore: the mapping files are checked for that.
    """
    return {name: f"_{name}" if name in LEADING else name for name in columns}


def write_parquet(
    frame: pl.DataFrame, path: Path, folder: Path, level: int = 3, rows_a_group: int = ROWS_A_GROUP
) -> PlannedFile:
    """Writes `frame` whole or not at all, and gives its entry for `plan.json`.

    **Guarantees**: the same rows give the same bytes, however the frame is chunked and on any number of threads.
    """
    with replacing(path) as temporary:
        parquet.write(
            # How a frame is chunked decides where pages end, and the same rows must give the same bytes.
            frame.rechunk(),
            temporary,
            compression="zstd",
            compression_level=level,
            statistics=False,
            row_group_size=rows_a_group,
            data_page_size=_PAGE_BYTES,
        )
    return _entry(path, folder, frame.height)


def write_frames(
    frames: Iterable[pl.DataFrame],
    schema: Mapping[str, pl.DataType | type[pl.DataType]],
    path: Path,
    folder: Path,
) -> PlannedFile:
    """Writes frames one after another as one file, whole or not at all; no more than a few are in memory at once.

    **Guarantees**: the same rows give the same bytes, wherever one frame ends and the next begins.
    """
    groups = in_chunks(frames, ROWS_A_GROUP)
    first = next(groups, None)
    second = next(groups, None)
    if first is None or second is None:
        return write_parquet(
            pl.DataFrame(schema=schema) if first is None else own_copy(first), path, folder
        )
    rows = 0

    def every(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        nonlocal rows
        for group in chain((first, second), groups):
            rows += group.height
            # where pages end depends on the size in memory, which a slice has from what it was cut from
            yield own_copy(group)

    with replacing(path) as temporary:
        parquet.sink(
            register_io_source(every, schema=pl.Schema(schema)),
            temporary,
            compression="zstd",
            compression_level=3,
            statistics=False,
            row_group_size=ROWS_A_GROUP,
            data_page_size=_PAGE_BYTES,
        )
    return _entry(path, folder, rows)


class _Stopped(Exception):
    """The rows of a file that is written beside another one come to no end."""


class FileBeside:
    """A file that is written, as `write_frames` does, while others are made: what is added goes there a little later.

    As a context; where the block raises, nothing is written.
    """

    def __init__(self, write: Callable[[Iterator[pl.DataFrame]], PlannedFile]) -> None:
        self._waiting: Queue[pl.DataFrame | None] = Queue(_WAITING)
        self._is_stopped = False
        self._pool = ThreadPoolExecutor(1)
        self._file = self._pool.submit(write, self._frames())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_others: object) -> None:
        self._is_stopped = kind is not None
        self._put(None)
        self._pool.shutdown()

    def add(self, frame: pl.DataFrame) -> None:
        """Puts rows behind those that are there. **Raises**: whatever has stopped the writing."""
        self._put(frame)
        if self._file.done():
            self._file.result()

    def file(self) -> PlannedFile:
        """The whole file, once the context has ended. **Raises**: whatever has stopped the writing."""
        return self._file.result()

    def _put(self, frame: pl.DataFrame | None) -> None:
        while not self._file.done():
            with contextlib.suppress(Full):
                self._waiting.put(frame, timeout=_PATIENCE_S)
                return

    def _frames(self) -> Iterator[pl.DataFrame]:
        while (frame := self._waiting.get()) is not None:
            yield frame
        if self._is_stopped:
            raise _Stopped


def _entry(path: Path, folder: Path, rows: int) -> PlannedFile:
    with contextlib.suppress(OSError):
        # Rows are people's data: no other user of the machine reads them.
        path.chmod(0o600)
    entry = entry_of(path, folder, rows)
    return PlannedFile(path=entry.path, rows=entry.rows, bytes=entry.bytes, sha256=entry.sha256)
