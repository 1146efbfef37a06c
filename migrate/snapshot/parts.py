"""Turns stored pages into parts: Parquet files with the same text columns, one at a time, so that memory stays flat.

The same pages give the same bytes: parts are cut by page number and size, rows stay in page order.
The disk confirms each while the next one is written.

Beside the parts stands what is never loaded:
`RESOURCE/vanished.ndjson`: records that the source no longer had when the reading was done, one a
line; so `migrate extract --from-files` takes them where somebody wants them.
`RESOURCE/damaged.parquet`: records with bytes that are no UTF-8, as received, in `_received`.
`RESOURCE/doubles.parquet`: versions that were left out because another one of the same record was
kept, one row a version that differs from it: `_source`, `_id`, `_page`, `_raw`, `kept_page`, and
`by_time`: the kept one says that it is newer, else it is in the later place.
`unread/RESOURCE-PLACE.bin`: what came in the place of a record that could not be read.
"""

from __future__ import annotations

import io
import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from types import TracebackType

import msgspec
import polars as pl
import polars.selectors as cs

from migrate import parquet
from migrate.snapshot.layout import DAMAGED, DOUBLES, UNREAD, VANISHED, disk_errors
from migrate.snapshot.records import (
    OWN_COLUMNS,
    ChosenColumns,
    Identified,
    add_fields,
    joined,
    pick_fields,
)
from migrate.snapshot.same_records import ChangedDuplicate
from migrate.snapshot.spool import PageEntry, Spool
from migrate.workspace import FileEntry, entry_of, sha256_bytes, sync_folder, write_bytes

# Bounded both ways: records of one list may be a hundred bytes or megabytes.
PART_PAGES = 25
PART_BYTES = 12_000_000
_CHUNK_ROWS = 1_000
_LEVEL = 1  # of zstd; higher ones cost time and save next to nothing on lists of records
_AT_ONCE = 2


class PartTask(msgspec.Struct, frozen=True):
    """One part to write: `entries` of the spool in `folder`, without the rows `left_out` (by page), into `path`."""

    folder: str
    path: str
    entries: tuple[PageEntry, ...]
    left_out: dict[int, list[int]]


class PartDone(msgspec.Struct, frozen=True):
    """A part that is written: what the manifest says of it, its columns, and what was noticed on the way."""

    path: str
    rows: int
    bytes: int
    sha256: str
    columns: tuple[str, ...]
    unparsed: int = 0
    shared_names: frozenset[str] = frozenset()
    folded: dict[str, int] = {}
    unlisted_fields: int = 0

    def entry(self, root: Path) -> FileEntry:
        """The part as a manifest in `root` lists it."""
        return FileEntry(
            Path(self.path).relative_to(root).as_posix(), self.rows, self.bytes, self.sha256
        )


class ResourceColumns(msgspec.Struct, frozen=True):
    """The columns of all parts; objects that stay one column, with the number of different keys seen
    in them; and for how many fields there was no column left, at least."""

    names: tuple[str, ...]
    folded: dict[str, int]
    unlisted_fields: int


class AlignTask(msgspec.Struct, frozen=True):
    """A part that is to have all columns of its resource."""

    done: PartDone
    columns: tuple[str, ...]


def plan_parts(spool: Spool, left_out: Mapping[int, list[int]]) -> list[PartTask]:
    """What parts to write.

    A resource without records gets one part without rows, so that every resource can be read by a glob.
    """
    return [
        _part_task(spool, n, entries, left_out)
        for n, entries in enumerate(cut(spool.stored()) or [()], 1)
    ]


def _part_task(
    spool: Spool, number: int, entries: tuple[PageEntry, ...], left_out: Mapping[int, list[int]]
) -> PartTask:
    return PartTask(
        folder=str(spool.folder),
        path=str(spool.folder / f"part-{number:05d}.parquet"),
        entries=entries,
        left_out={
            entry.number: left_out[entry.number] for entry in entries if entry.number in left_out
        },
    )


def remove_parts(spool: Spool) -> None:
    """Removes parts that an earlier try has left: it may have cut more of them."""
    with disk_errors(spool.folder):
        for leftover in spool.folder.glob("part-*.parquet"):
            leftover.unlink()


def plan_alignment(parts: Sequence[PartDone]) -> tuple[list[AlignTask], ResourceColumns]:
    """The parts that have not the columns of all, which is rare; and these, in the order first seen."""
    chosen = ChosenColumns()
    for part in parts:
        chosen.choose(part.columns[len(OWN_COLUMNS) :], part.folded)
    columns = (*OWN_COLUMNS, *chosen.names)
    unlisted = max([len(chosen.unlisted), *(part.unlisted_fields for part in parts)])
    tasks = [AlignTask(part, columns) for part in parts if part.columns != columns]
    return tasks, ResourceColumns(columns, chosen.folded, unlisted)


def write_part(task: PartTask) -> PartDone:
    """Writes a part, whole or not at all."""
    spool = Spool(Path(task.folder))
    chosen = ChosenColumns()
    parsed = [add_fields(rows, chosen) for rows in _chunks(spool, task)]
    columns = (*OWN_COLUMNS, *chosen.names)
    # A later chunk may have shown that an object's members are no fields.
    frames = [one.frame.select(cs.by_name(*columns, require_all=False)) for one in parsed]
    if frames:
        frame = pl.concat(frames, how="diagonal").select(columns)
    else:
        frame = _empty(OWN_COLUMNS)
    done = _write(task.path, frame)
    return msgspec.structs.replace(
        done,
        unparsed=sum(one.unparsed for one in parsed),
        shared_names=frozenset[str]().union(*(one.shared_names for one in parsed)),
        folded=chosen.folded,
        unlisted_fields=len(chosen.unlisted),
    )


def align_part(task: AlignTask) -> PartDone:
    """Writes a part once more with the columns of all parts.

    What it lacks none of its records has, unless it had more fields than columns: then they are
    read from the records.
    """
    with disk_errors(Path(task.done.path), act="read"):
        frame = parquet.read(Path(task.done.path))
    lacking = [name for name in task.columns if name not in frame.columns]
    if lacking and task.done.unlisted_fields:
        frame = frame.hstack(pick_fields([raw.encode() for raw in frame["_raw"]], lacking))
    else:
        frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking)
    aligned = _write(task.done.path, frame.select(task.columns))
    return msgspec.structs.replace(
        task.done, bytes=aligned.bytes, sha256=aligned.sha256, columns=aligned.columns
    )


def _write(path: str, frame: pl.DataFrame) -> PartDone:
    # Through memory, because polars reports a full disk as a broken file. The hash is then that of the bytes
    # meant, and not of whatever a failing disk gives back.
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


class Syncing:
    """Has the disk confirm files of one folder, in threads of its own, so that nobody waits for each of them.

    **Guarantees**: when the block has ended without an error, content and names of all of them survive a power cut.

    **Raises**: WorkspaceError at the end of the block, where the disk refuses one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="sync")
        self._begun: list[Future[None]] = []

    def __enter__(self) -> Syncing:
        return self

    def add(self, path: Path) -> None:
        """Takes a file that is written. May be called from any thread."""
        self._begun.append(self._pool.submit(_sync, path))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=error is not None)
        if error is None:
            for future in self._begun:
                future.result()
            with disk_errors(self._folder):
                sync_folder(self._folder)


def _sync(path: Path) -> None:
    with disk_errors(path), path.open("rb+") as file:
        os.fsync(file.fileno())


LeftOut = Mapping[int, Sequence[int]]


def write_beside(
    spool: Spool, left_out: LeftOut, vanished: pl.DataFrame, root: Path
) -> list[FileEntry]:
    """The files, written, as the manifest in `root` lists them; what an earlier try left is removed."""
    records_unread = chain.from_iterable(entry.unread for entry in spool.entries())
    unread = {record.file for record in records_unread if record.file}
    _remove_what_is_there(spool, unread)
    written = [entry_of(root / name, root, 1) for name in sorted(unread)]
    if not vanished.is_empty():
        # A line end in JSON is white space, but for one that a lenient reader takes in a string.
        records = "".join(" ".join(raw.splitlines()) + "\n" for raw in vanished["_raw"])
        written.append(
            _write_file(spool.folder / VANISHED, records.encode(), vanished.height, root)
        )
    damaged = damaged_records(spool, left_out)
    if not damaged.is_empty():
        buffer = io.BytesIO()
        parquet.write(damaged, buffer, compression="zstd", statistics=False)
        written.append(_write_file(spool.folder / DAMAGED, buffer.getvalue(), damaged.height, root))
    return written


def damaged_records(spool: Spool, left_out: LeftOut) -> pl.DataFrame:
    """The damaged records that are in the parts: `_source`, `_id`, `_page`, `_raw`, `_received`."""
    frames = [_damaged_of(spool, entry, left_out) for entry in spool.stored() if entry.damaged]
    return pl.concat(frames) if frames else pl.DataFrame()


def count_damaged(spool: Spool, left_out: LeftOut) -> int:
    """How many there are."""
    return sum(
        len(set(entry.damaged).difference(left_out.get(entry.number, ())))
        for entry in spool.stored()
    )


def _damaged_of(spool: Spool, entry: PageEntry, left_out: LeftOut) -> pl.DataFrame:
    received = pl.Series("_received", spool.damaged_bytes(entry), dtype=pl.Binary)
    rows = pl.Series("row", entry.damaged, dtype=pl.Int64)
    records = spool.read(entry).rows(list(entry.damaged)).frame().with_columns(received, rows)
    left = list(left_out.get(entry.number, ()))
    return records.filter(~pl.col("row").is_in(left)).drop("row")


def _write_file(path: Path, data: bytes, rows: int, root: Path) -> FileEntry:
    with disk_errors(path, len(data)):
        write_bytes(path, data)
    return entry_of(path, root, rows)


def _remove_what_is_there(spool: Spool, kept: Collection[str]) -> None:
    """Removes what an earlier try has left, but for the bytes that are still wanted."""
    root = spool.folder.parent
    with disk_errors(root):
        for name in (VANISHED, DAMAGED):
            (spool.folder / name).unlink(missing_ok=True)
        for path in (root / UNREAD).glob(f"{spool.folder.name}-*.bin"):
            if path.relative_to(root).as_posix() not in kept:
                path.unlink()


def write_doubles(spool: Spool, changed: Sequence[ChangedDuplicate], root: Path) -> list[FileEntry]:
    """The file, written, as the manifest in `root` lists it; none where there are no such versions."""
    path = spool.folder / DOUBLES
    if not changed:
        path.unlink(missing_ok=True)
        return []
    frame = _versions(spool, changed)
    buffer = io.BytesIO()
    parquet.write(frame, buffer, compression="zstd", statistics=False)
    with disk_errors(path, buffer.getbuffer().nbytes):
        write_bytes(path, buffer.getvalue())
    return [entry_of(path, root, frame.height)]


def _versions(spool: Spool, changed: Sequence[ChangedDuplicate]) -> pl.DataFrame:
    by_page: dict[int, list[ChangedDuplicate]] = defaultdict(list)
    for one in changed:
        by_page[one.page].append(one)
    frames = []
    for entry in spool.stored():
        ones = by_page.get(entry.number, [])
        if ones:
            records = spool.read(entry).rows([one.row for one in ones]).frame()
            kept = pl.Series("kept_page", [one.kept_page for one in ones], dtype=pl.Int64)
            frames.append(records.with_columns(kept, by_time=pl.Series([o.by_time for o in ones])))
    return pl.concat(frames)
