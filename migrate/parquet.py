"""The one door for Parquet files: polars opens none of them but through here.

polars takes a path for a pattern unless it is told not to, and a path that begins like a URL for one. A customer's
folder may be called `acme [2026]`, and then `[2026]` is one of four characters: the files of a neighbour, `acme 2`,
would be read instead, without a word. So nothing here takes a pattern: a path is the name of one file, whatever
characters are in it. A test looks that no other module calls the functions of polars.

A file that the tool keeps must have the columns that `migrate.shapes` says, or it is Damaged: somebody may have changed
it together with the hash that would tell. `pieces` alone reads whatever there is, for an erasure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

import polars as pl
from polars.io.plugins import register_io_source

from migrate.errors import Damaged
from migrate.shapes import Shape, shape_of

Files = Path | Sequence[Path]
_ROWS_AT_ONCE = 16_000
_MOST_TOLD = 3
_FIRST_DAY, _LAST_DAY = date(1, 1, 1), date(9999, 12, 31)


def scan(files: Files) -> pl.LazyFrame:
    """The rows of one file, or of several one after the other, to be read when they are collected.

    **Raises**: Damaged for a file that the tool keeps and that has not the columns of its kind.
    """
    for file in _each(files):
        check_columns(file)
    return _scan(files)


def _scan(files: Files) -> pl.LazyFrame:
    return pl.scan_parquet(_named(files), glob=False, hive_partitioning=False)


def scan_stored(urls: Sequence[str], options: Mapping[str, str]) -> pl.LazyFrame:
    """The same of objects in an object store, each by its whole URL."""
    return pl.scan_parquet(
        list(urls), glob=False, hive_partitioning=False, storage_options=dict(options)
    )


def read(files: Files, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """The rows of one file, or of several one after the other.

    **Raises**: Damaged, as `scan`, for odd cells and unreadable bytes; PolarsError for a file of no kind.
    """
    wanted = None if columns is None else list(columns)
    some = _each(files)
    for file in some:
        check_columns(file)
    try:
        frame = pl.read_parquet(_named(files), columns=wanted, glob=False, hive_partitioning=False)
    except pl.exceptions.PanicException:
        # Bytes that no writer makes: polars gives up with what is no Exception, and nobody would catch it.
        for file in some:
            check_whole(file)
        raise pl.exceptions.ComputeError(f"{some[0]} cannot be read") from None
    if some and (shape := shape_of(some[0])) is not None:
        _refuse(some[0], shape, odd_cells(frame, shape))
    return frame


def pieces(file: Path) -> Iterator[pl.DataFrame]:
    """The rows of a file some at a time, with whatever columns it has: for who has to look into any file.

    **Raises**: PolarsError, PanicException or OSError for one that cannot be read to its end.
    """
    yield from _scan(file).collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True)


def columns_of_any(file: Path) -> list[str]:
    """The names of a file's columns, whatever they are. **Raises**: as `pieces`."""
    return _scan(file).collect_schema().names()


def without_rows(
    file: Path, rows: Sequence[int], target: Path, columns: Sequence[str] = ()
) -> None:
    """Writes a file again without some rows, by their numbers from 0, and some columns; few rows are in memory."""
    number = "number of the row, for the time of this writing"
    left_out = pl.Series(rows, dtype=pl.UInt32).implode()

    def kept(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        start = 0
        for piece in pieces(file):
            numbered = piece.with_row_index(number, offset=start)
            start += piece.height
            yield numbered.filter(~pl.col(number).is_in(left_out)).drop(number, *columns)

    schema = pl.Schema(
        (name, kind) for name, kind in _scan(file).collect_schema().items() if name not in columns
    )
    settings = {"compression": "zstd", "statistics": False, "row_group_size": _ROWS_AT_ONCE}
    sink(register_io_source(kept, schema=schema), target, **settings)


def parse(
    content: IO[bytes] | bytes, columns: Sequence[str] | None = None, *, name: Path | None = None
) -> pl.DataFrame:
    """The rows of a file that is in memory; where it has a `name`, it must be of that kind, as for `read`."""
    shape = None if name is None else shape_of(name)
    try:
        frame = pl.read_parquet(content, columns=None if columns is None else list(columns))
    except pl.exceptions.PanicException:
        if name is not None and shape is not None:
            _refuse(name, shape, ["it cannot be read"])
        raise pl.exceptions.ComputeError("these are no rows that can be read") from None
    if name is not None and shape is not None:
        there = {kept: kind for kept, kind in shape.columns.items() if kept in frame.columns}
        part = Shape(shape.what, shape.remedy, there, filled=shape.filled, others=shape.others)
        _refuse(name, shape, [*part.troubles(frame.schema), *odd_cells(frame, shape)])
    return frame


def schema(file: Path) -> pl.Schema:
    """The columns of a file and their types. **Raises**: Damaged, as `scan`."""
    check_columns(file)
    return _scan(file).collect_schema()


def check_columns(file: Path) -> None:
    """Looks at a file's columns only. **Raises**: Damaged where they are not those of its kind; FileNotFoundError."""
    shape = shape_of(file)
    if shape is not None:
        said = file.stat()
        _refuse(file, shape, _troubles_of(file, shape, said.st_ino, said.st_mtime_ns, said.st_size))


def count_rows(file: Path) -> int:
    """How many rows a file has."""
    return int(_scan(file).select(pl.len()).collect().item())


def check_whole(file: Path, rows: int | None = None) -> None:
    """Reads a file to its end and looks at every cell, a piece at a time; for a file that something came to grief over.

    `rows`: how many it should have. **Raises**: Damaged.
    """
    shape = shape_of(file)
    if shape is None:
        return
    try:
        _refuse(file, shape, shape.troubles(_scan(file).collect_schema(), strict=True))
        there = count_rows(file)
        if rows is not None and rows != there:
            _refuse(file, shape, [f"it has {there:,} rows, its manifest says {rows:,}"])
        for piece in pieces(file):
            _refuse(file, shape, odd_cells(piece, shape))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        _refuse(file, shape, [f"it cannot be read ({type(error).__name__})"])


def odd_cells(frame: pl.DataFrame, shape: Shape) -> Iterator[str]:
    """What cells a frame of a kind of file has that it cannot have: none where one must be, no number, no day."""
    for name, kind in frame.schema.items():
        column = frame.get_column(name)
        if name in shape.filled and column.null_count():
            yield f"column {name!r} lacks {column.null_count():,} values"
        if kind.is_float() and not column.is_finite().all():
            yield f"column {name!r} holds what is no finite number"
        if isinstance(kind, pl.Date | pl.Datetime) and not _is_in_calendar(column):
            yield f"column {name!r} holds a day that no calendar has"


def _is_in_calendar(column: pl.Series) -> bool:
    # compared as they are stored: as a Python value such a day would be an error of Python's
    if column.dtype == pl.Date:
        return bool(column.is_between(_FIRST_DAY, _LAST_DAY).all())
    years = column.dt.year()
    return bool(years.is_between(_FIRST_DAY.year, _LAST_DAY.year).all())


@lru_cache(maxsize=10_000)
def _troubles_of(file: Path, shape: Shape, _inode: int, _changed: int, _size: int) -> list[str]:
    """Of one file as it is now: a load asks for the same one thousands of times."""
    try:
        return list(shape.troubles(_scan(file).collect_schema()))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return [f"it cannot be read ({type(error).__name__})"]


def _refuse(file: Path, shape: Shape, troubles: Iterable[str]) -> None:
    shown = list(islice(troubles, _MOST_TOLD))
    if shown:
        what = f"{file} is not {shape.what} as this tool writes it: {'; '.join(shown)}"
        raise Damaged(what, hint=shape.remedy)


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


def _each(files: Files) -> list[Path]:
    return [files] if isinstance(files, Path) else list(files)


def _named(files: Files) -> Path | list[Path]:
    return _one(files) if isinstance(files, Path) else [_one(file) for file in files]


def _one(file: Path) -> Path:
    # An absolute path begins with no scheme: `s3:` may be a folder here, and is no store.
    return file.absolute()
