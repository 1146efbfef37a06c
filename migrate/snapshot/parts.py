"""Turns stored pages into parts: Parquet files with the same text columns, one at a time, so that memory stays flat.

The same pages give the same bytes: parts are cut by page number and size, rows stay in page order.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import polars as pl

from migrate import parquet
from migrate.snapshot.columns import MAX_COLUMNS
from migrate.snapshot.layout import disk_errors
from migrate.snapshot.records import OWN_COLUMNS, Identified, add_fields, joined
from migrate.snapshot.spool import PageEntry, Spool
from migrate.workspace import FileEntry, sha256_bytes

PART_PAGES = 25
PART_BYTES = 12_000_000
_CHUNK_ROWS = 1_000
_LEVEL = 1  # of zstd; higher ones cost time and save next to nothing on lists of records


class PartTask(msgspec.Struct, frozen=True, tag=True):
    """One part to write: `entries` of the spool in `folder`, without the rows `left_out` (by page), into `path`."""

    folder: str
    path: str
    entries: tuple[PageEntry, ...]
    left_out: dict[int, list[int]]


class PartDone(msgspec.Struct, frozen=True, tag=True):
    """A part that is written: what the manifest says of it, its columns, and what was noticed on the way."""

    path: str
    rows: int
    bytes: int
    sha256: str
    columns: tuple[str, ...]
    unparsed: int = 0
    shared_names: frozenset[str] = frozenset()
    unlisted_fields: int = 0

    def entry(self, root: Path) -> FileEntry:
        """The part as a manifest in `root` lists it."""
        return FileEntry(
            Path(self.path).relative_to(root).as_posix(), self.rows, self.bytes, self.sha256
        )


class AlignTask(msgspec.Struct, frozen=True, tag=True):
    """A part that is to have all columns of its resource."""

    done: PartDone
    columns: tuple[str, ...]


def plan_parts(spool: Spool, left_out: Mapping[int, list[int]]) -> list[PartTask]:
    """What parts to write.

    A resource without records gets one part without rows, so that every resource can be read by a glob.
    """
    return [
        part_task(spool, n, entries, left_out)
        for n, entries in enumerate(cut(spool.filled()) or [()], 1)
    ]


def part_task(
    spool: Spool, number: int, entries: tuple[PageEntry, ...], left_out: Mapping[int, list[int]]
) -> PartTask:
    """Part `number`, of these pages."""
    return PartTask(
        folder=str(spool.folder),
        path=str(spool.folder / f"part-{number:05d}.parquet"),
        entries=entries,
        left_out={
            entry.number: left_out[entry.number] for entry in entries if entry.number in left_out
        },
    )


def remove_other_parts(spool: Spool, kept: Collection[str]) -> None:
    """Removes parts that an earlier try or a guess has left."""
    with disk_errors(spool.folder):
        for leftover in spool.folder.glob("part-*.parquet"):
            if str(leftover) not in kept:
                leftover.unlink()


def plan_alignment(parts: Sequence[PartDone]) -> tuple[list[AlignTask], tuple[str, ...]]:
    """The parts that lack columns of others, which is rare; and the columns of all, in the order first seen."""
    seen = dict.fromkeys(name for part in parts for name in part.columns)
    columns = tuple(seen)[: len(OWN_COLUMNS) + MAX_COLUMNS]
    return [AlignTask(part, columns) for part in parts if part.columns != columns], columns


def write_part(task: PartTask) -> PartDone:
    """Writes a part, whole or not at all."""
    spool = Spool(Path(task.folder))
    parsed = [add_fields(rows) for rows in _chunks(spool, task)]
    frame = (
        pl.concat([one.frame for one in parsed], how="diagonal") if parsed else _empty(OWN_COLUMNS)
    )
    done = _write(task.path, frame)
    return msgspec.structs.replace(
        done,
        unparsed=sum(one.unparsed for one in parsed),
        shared_names=frozenset[str]().union(*(one.shared_names for one in parsed)),
        unlisted_fields=max((one.unlisted_fields for one in parsed), default=0),
    )


def align_part(task: AlignTask) -> PartDone:
    """Writes a part once more, with columns of nulls for what it lacks."""
    with disk_errors(Path(task.done.path), act="read"):
        frame = parquet.read(Path(task.done.path))
    lacking = (
        pl.lit(None, pl.String).alias(name) for name in task.columns if name not in frame.columns
    )
    aligned = _write(task.done.path, frame.with_columns(*lacking).select(task.columns))
    return msgspec.structs.replace(
        task.done, bytes=aligned.bytes, sha256=aligned.sha256, columns=aligned.columns
    )


def _write(path: str, frame: pl.DataFrame) -> PartDone:
    # Through memory, because polars reports a full disk as a broken file.
    buffer = io.BytesIO()
    parquet.write(frame, buffer, compression="zstd", compression_level=_LEVEL, statistics=False)
    data = buffer.getvalue()
    with disk_errors(Path(path), len(data)):
        _put(Path(path), data)
    return PartDone(path, frame.height, len(data), sha256_bytes(data), tuple(frame.columns))


def _put(path: Path, data: bytes) -> None:
    """Writes a whole file or nothing; who relies on it has the disk confirm it first."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _chunks(spool: Spool, task: PartTask) -> Iterator[Identified]:
    """The records to write, some pages at a time."""
    waiting: list[Identified] = []
    for entry in task.entries:
        records = spool.read(entry)
        left_out = set(task.left_out.get(entry.number, ()))
        waiting.append(
            records.rows([row for row in range(entry.rows) if row not in left_out])
            if left_out
            else records
        )
        if sum(len(records.items) for records in waiting) >= _CHUNK_ROWS:
            yield joined(waiting)
            waiting = []
    if waiting:
        yield joined(waiting)


def cut(entries: Sequence[PageEntry]) -> list[tuple[PageEntry, ...]]:
    """Pages grouped into parts of bounded size, in order."""
    groups: list[tuple[PageEntry, ...]] = []
    group: list[PageEntry] = []
    size = 0
    for entry in entries:
        if group and (len(group) >= PART_PAGES or size + entry.bytes > PART_BYTES):
            groups.append(tuple(group))
            group, size = [], 0
        group.append(entry)
        size += entry.bytes
    return [*groups, tuple(group)] if group else groups


def _empty(columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(
        schema={name: pl.Int64 if name == "_page" else pl.String for name in columns}
    )
