"""The one door for Parquet files: polars opens none of them but through here.

polars takes a path for a pattern unless it is told not to, and a path that begins like a URL for one. A customer's
folder may be called `acme [2026]`, and then `[2026]` is one of four characters: the files of a neighbour, `acme 2`,
would be read instead, without a word. So nothing here takes a pattern: a path is the name of one file, whatever
characters are in it. A test looks that no other module calls the functions of polars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import polars as pl

Files = Path | Sequence[Path]


def scan(files: Files) -> pl.LazyFrame:
    """The rows of one file, or of several one after the other, to be read when they are collected."""
    return pl.scan_parquet(_named(files), glob=False, hive_partitioning=False)


def scan_stored(urls: Sequence[str], options: Mapping[str, str]) -> pl.LazyFrame:
    """The same of objects in an object store, each by its whole URL."""
    return pl.scan_parquet(
        list(urls), glob=False, hive_partitioning=False, storage_options=dict(options)
    )


def read(files: Files, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of one file, or of several one after the other."""
    wanted = None if columns is None else list(columns)
    return pl.read_parquet(_named(files), columns=wanted, glob=False, hive_partitioning=False)


def parse(content: IO[bytes] | bytes, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of a file that is in memory."""
    return pl.read_parquet(content, columns=None if columns is None else list(columns))


def schema(file: Path) -> pl.Schema:
    """The columns of a file and their types."""
    return scan(file).collect_schema()


def metadata(file: Path) -> dict[str, str]:
    """What the writer of a file has noted in it, beside the rows."""
    with file.open("rb") as content:
        return pl.read_parquet_metadata(content)


def write(frame: pl.DataFrame, target: Path | IO[bytes], **settings: Any) -> None:
    """Writes a frame to a file or a buffer; `settings` are those of polars."""
    frame.write_parquet(_one(target) if isinstance(target, Path) else target, **settings)


def sink(rows: pl.LazyFrame, file: Path, **settings: Any) -> None:
    """Writes rows to a file as they are worked out, without having all of them in memory."""
    rows.sink_parquet(_one(file), **settings)


def _named(files: Files) -> Path | list[Path]:
    return _one(files) if isinstance(files, Path) else [_one(file) for file in files]


def _one(file: Path) -> Path:
    # An absolute path begins with no scheme: `s3:` may be a folder here, and is no store.
    return file.absolute()
