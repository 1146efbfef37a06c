"""Where known values stand in a file of any kind: the second look after an erasure.

**Guarantees**: never raises for what a file holds; a file that cannot be read to its end is a place of its own, since
nobody can say that it holds nothing. Memory is bounded, also for archives that unpack to much more than they are.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, cast

import polars as pl
import zstandard

from migrate import parquet
from migrate.privacy.frames import columns_with
from migrate.privacy.spellings import Finder

_CHUNK_BYTES = 1 << 20
_OVERLAP_BYTES = 4096
"""Longer than any value in its longest spelling that is looked for, so that none is missed between two pieces."""
_ROWS_AT_ONCE = 50_000
_MOST_UNPACKED = 64 << 30
_DEEPEST = 4
_PARQUET = b"PAR1"
_SQLITE = b"SQLite format 3\0"
_ZIP = b"PK\x03\x04"
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class DataPlace:
    """Where a value stands: a file, and what of it."""

    file: str
    where: str

    def __str__(self) -> str:
        """As a person reads it."""
        return f"{self.file}: {self.where}"


def places_in(file: Path, name: str, finder: Finder) -> list[DataPlace]:
    """Every place of a file where `finder` finds one of its values; `name` is what the file is called there."""
    if finder.finds(name.replace("/", " ")):
        places = [DataPlace(name, "its name")]
    else:
        places = []
    try:
        with file.open("rb") as opened:
            head = opened.read(16)
        if head.startswith(_PARQUET):
            places += [DataPlace(name, where) for where in _in_parquet(file, finder)]
        else:
            # As plain bytes too: free pages of a database may still hold what was deleted from its tables.
            if head == _SQLITE:
                places += [DataPlace(name, where) for where in _in_database(file, finder)]
            with file.open("rb") as opened:
                places += [DataPlace(name, where) for where in _in_stream(opened, finder, 0)]
    except FileNotFoundError:
        return places
    except (OSError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        places.append(DataPlace(name, f"cannot be read ({reason})"))
    return list(dict.fromkeys(places))


def _in_parquet(file: Path, finder: Finder) -> Iterator[str]:
    try:
        counts: dict[str, int] = {}
        for frame in parquet.pieces(file):
            for column, count in columns_with(frame, finder).items():
                counts[column] = counts.get(column, 0) + count
        described = {key: str(value) for key, value in parquet.metadata(file).items()}
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError):
        yield "cannot be read as Parquet"
        return
    yield from (f"column {column}, {count:,} rows" for column, count in counts.items())
    # polars keeps its own schema there, in Base64, which holds names of columns only
    if any(finder.finds(value) for key, value in described.items() if key != "ARROW:schema"):
        yield "its description"


def _in_database(file: Path, finder: Finder) -> Iterator[str]:
    try:
        with contextlib.closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            tables = [
                row[0]
                for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for table in tables:
                rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608  a name out of the file itself
                names = [column[0] for column in rows.description]
                hits = set(
                    chain.from_iterable(
                        columns_with(frame, finder) for frame in _frames_of(rows, names)
                    )
                )
                yield from (f"table {table}, column {name}" for name in sorted(hits))
    except sqlite3.Error:
        yield "cannot be read as a database"


def _frames_of(rows: sqlite3.Cursor, names: list[str]) -> Iterator[pl.DataFrame]:
    while some := rows.fetchmany(_ROWS_AT_ONCE):
        cells = zip(*some, strict=True)
        yield pl.DataFrame(
            {name: [*map(_text, column)] for name, column in zip(names, cells, strict=True)}
        )


def _text(cell: object) -> str:
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return "" if cell is None else str(cell)


def _in_stream(opened: IO[bytes], finder: Finder, depth: int) -> Iterator[str]:
    """Places in plain bytes and in what is packed in them."""
    head = opened.read(4)
    opened.seek(0)
    if depth > _DEEPEST:
        yield "is packed too deeply to be searched"
        return
    if head == _ZIP:
        yield from _in_archive(opened, finder, depth)
        return
    if head.startswith(_GZIP):
        unpacked: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=opened))
    elif head.startswith(_ZSTD):
        reader = zstandard.ZstdDecompressor().stream_reader(opened, read_across_frames=True)
        unpacked = cast("IO[bytes]", reader)
    else:
        unpacked = opened
    try:
        yield from _in_bytes(unpacked, finder)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError):
        yield "cannot be unpacked"


def _in_archive(opened: IO[bytes], finder: Finder, depth: int) -> Iterator[str]:
    try:
        with zipfile.ZipFile(opened) as archive:
            for member in archive.infolist():
                if finder.finds(member.filename.replace("/", " ")):
                    yield "the name of a member"
                with archive.open(member) as inner:
                    # What is packed once more is looked into only where it fits in memory: an archive may unpack
                    # to anything.
                    if member.file_size <= _CHUNK_BYTES:
                        seekable = io.BytesIO(inner.read(_CHUNK_BYTES))
                    else:
                        seekable = None
                    if seekable:
                        places = _in_stream(seekable, finder, depth + 1)
                    else:
                        places = _in_bytes(inner, finder)
                    yield from (f"{member.filename}, {where}" for where in places)
    except (
        zipfile.BadZipFile,
        OSError,
        EOFError,
        zlib.error,
        # zipfile raises this for a member with a password, the next for a packing that it does not know.
        RuntimeError,
        NotImplementedError,
        ValueError,
    ):
        yield "cannot be unpacked"


def _in_bytes(opened: IO[bytes], finder: Finder) -> Iterator[str]:
    kept, size = b"", 0
    while piece := opened.read(_CHUNK_BYTES):
        size += len(piece)
        if size > _MOST_UNPACKED:
            yield "is too large to be searched"
            return
        window = kept + piece
        if any(finder.finds(text) for text in _texts_of(window)):
            yield "its content"
            return
        kept = window[-_OVERLAP_BYTES:]


def _texts_of(data: bytes) -> Iterator[str]:
    # Bytes that are no text must not hide what stands beside them.
    yield data.decode("utf-8", "replace")
    # Text in UTF-16 has a zero in every second byte: what spreadsheet programs export, and nothing else here.
    if data[:4096].count(0) > len(data[:4096]) // 4:
        yield data.decode("utf-16-le", "replace")
        yield data.decode("utf-16-be", "replace")
