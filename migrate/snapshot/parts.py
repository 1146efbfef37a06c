"""Turns stored pages into parts: Parquet files with the same text columns, one at a time, so that memory stays flat.

The same pages give the same bytes: parts are cut by page number and size, rows stay in page order.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from migrate.snapshot.layout import disk_errors
from migrate.snapshot.records import MAX_COLUMNS, OWN_COLUMNS
from migrate.snapshot.spool import PageEntry, Spool
from migrate.workspace import FileEntry, entry_of, write_bytes

PART_PAGES = 50
PART_BYTES = 24_000_000


def write_parts(
    spool: Spool, folder: Path, root: Path, left_out: Mapping[int, list[int]]
) -> tuple[list[FileEntry], list[str], int]:
    """The parts' manifest entries, relative to `root`; their columns; and how many fields found no column.

    A resource without records gets one part without rows, so that every resource can be read by a glob.
    """
    for leftover in folder.glob("part-*.parquet"):
        leftover.unlink()
    columns, unlisted = _columns(spool)
    parts = []
    for number, entries in enumerate(cut(spool.entries()) or [()], 1):
        frames = [_page_rows(spool, entry, left_out.get(entry.number, []), columns) for entry in entries]
        part = pl.concat(frames) if frames else _empty(columns)
        path = folder / f"part-{number:05d}.parquet"
        _write_part(part, path)
        parts.append(entry_of(path, root, part.height))
    return parts, columns, unlisted


def _write_part(part: pl.DataFrame, path: Path) -> None:
    # Through memory, because polars reports a full disk as a broken file.
    buffer = io.BytesIO()
    part.write_parquet(buffer, compression="zstd", statistics=False)
    with disk_errors(path, buffer.getbuffer().nbytes):
        write_bytes(path, buffer.getvalue())


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


def _columns(spool: Spool) -> tuple[list[str], int]:
    seen = dict.fromkeys(name for entry in spool.entries() for name in spool.columns(entry)[len(OWN_COLUMNS) :])
    listed = list(seen)[:MAX_COLUMNS]
    beyond = max((entry.unlisted_fields for entry in spool.entries()), default=0)
    return [*OWN_COLUMNS, *listed], len(seen) - len(listed) + beyond


def _page_rows(spool: Spool, entry: PageEntry, left_out: list[int], columns: Sequence[str]) -> pl.DataFrame:
    frame = spool.read(entry)
    have = set(frame.columns)
    if left_out:
        frame = frame.filter(~pl.int_range(pl.len()).is_in(left_out))
    return frame.select(_aligned(columns, have))


def _aligned(columns: Sequence[str], have: set[str]) -> Iterator[pl.Expr]:
    return (pl.col(name) if name in have else pl.lit(None, pl.String).alias(name) for name in columns)


def _empty(columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={name: pl.Int64 if name == "_page" else pl.String for name in columns})
