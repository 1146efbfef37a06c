"""A search of its own for texts in a workspace's files: it shares no code with the search of an erasure."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import html
import io
import re
import sqlite3
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl

_LAYERS = 4
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def files_with(root: Path, values: Iterable[str]) -> dict[str, set[str]]:
    """By file, relative to `root`, the values that stand in it: as words in any encoding, or as a hash."""
    patterns = {value: _pattern_of(value) for value in values}
    hits: dict[str, set[str]] = {}
    for path in sorted(file for file in root.rglob("*") if file.is_file()):
        readings = [reading for text in texts_of(path.read_bytes()) for reading in _readings(text)]
        there = {
            value
            for value, pattern in patterns.items()
            if any(map(pattern.search, [*readings, path.name.casefold()]))
        }
        if there:
            hits[path.relative_to(root).as_posix()] = there
    return hits


def _pattern_of(value: str) -> re.Pattern[str]:
    word = re.escape(unicodedata.normalize("NFKC", value).casefold())
    spelled = {value, value.strip().lower()}
    names = ("md5", "sha1", "sha256", "sha512")
    hashes = [hashlib.new(name, text.encode()).hexdigest() for name in names for text in spelled]
    return re.compile("|".join([rf"(?<![\w.@+-]){word}(?![\w@])(?!\.\w)", *hashes]))


def _readings(text: str) -> Iterator[str]:
    """A text in lower case, as it is and with one layer of encoding after another taken off."""
    for _ in range(_LAYERS):
        yield unicodedata.normalize("NFKC", text).casefold()
        plain = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text).replace("\\/", "/")
        plain = html.unescape(unquote(plain))
        if plain == text:
            return
        text = plain


def texts_of(data: bytes) -> Iterator[str]:
    """Every text in the bytes of a file, by what the bytes are and not by its name."""
    if data.startswith(b"PAR1"):
        frame = pl.read_parquet(io.BytesIO(data))
        yield from frame.columns
        yield from _leaves(frame.rows())
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from archive.namelist()
            for name in archive.namelist():
                yield from texts_of(archive.read(name))
    elif data.startswith(b"\x1f\x8b"):
        yield from texts_of(gzip.decompress(data))
    elif data.startswith(b"SQLite format 3"):
        # Free pages as well: what is deleted may stand there.
        yield data.decode("latin-1")
        yield from _cells(data)
    else:
        yield data.decode("utf-8", "replace")


def _cells(data: bytes) -> Iterator[str]:
    with contextlib.closing(sqlite3.connect(":memory:")) as copy:
        # Marked as one without a log of its own, which memory cannot have; the log is a file that is read as well.
        copy.deserialize(data[:18] + b"\x01\x01" + data[20:])
        tables = copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            yield from _leaves(copy.execute(f'SELECT * FROM "{table}"').fetchall())


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from map(str, value)
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif value is not None:
        yield str(value)
