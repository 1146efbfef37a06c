"""What a snapshot keeps beside the parts of a resource, and what is never loaded.

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
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.snapshot.layout import DAMAGED, DOUBLES, UNREAD, VANISHED, disk_errors
from migrate.snapshot.spool import PageEntry, Spool
from migrate.snapshot.survey import ChangedDuplicate
from migrate.workspace import FileEntry, entry_of, write_bytes

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
        written.append(_write(spool.folder / VANISHED, records.encode(), vanished.height, root))
    damaged = damaged_records(spool, left_out)
    if not damaged.is_empty():
        buffer = io.BytesIO()
        parquet.write(damaged, buffer, compression="zstd", statistics=False)
        written.append(_write(spool.folder / DAMAGED, buffer.getvalue(), damaged.height, root))
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


def _write(path: Path, data: bytes, rows: int, root: Path) -> FileEntry:
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
