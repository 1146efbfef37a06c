"""The records that a snapshot keeps beside its parts: other versions, damaged and vanished ones.

They are records like those in the parts, so the same rule says whose each is; vanished ones stand in lines of JSON.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.app.erasure_files import lines_of
from migrate.errors import Damaged
from migrate.snapshot.layout import DAMAGED, DOUBLES, VANISHED
from migrate.snapshot.records import OWN_COLUMNS, identify_page
from migrate.source.resources import RESOURCES
from migrate.workspace import replacing

_LINES_AT_ONCE = 2_000


def holds_rows(file: Path) -> bool:
    """Whether rows can be told apart in a file, so that a person's are taken out and others' stay."""
    return file.suffix == ".parquet" or file.name == VANISHED


def records_beside(folder: Path, resource: str) -> Iterator[pl.DataFrame]:
    """The records in the files beside the parts in a resource's folder: `_source`, `_id`, `_page`, `_raw`.

    A file that cannot be read is passed over: the second look after an erasure names it.
    """
    for name in (DOUBLES, DAMAGED):
        try:
            yield parquet.read(folder / name).select(OWN_COLUMNS)
        except (pl.exceptions.PolarsError, OSError, Damaged):
            continue
    if (folder / VANISHED).is_file():
        yield from line_records(folder / VANISHED, resource)


def line_records(file: Path, resource: str) -> Iterator[pl.DataFrame]:
    """The records of a file that has one a line, some at a time, in the order of the lines; one row for each line."""
    lines = lines_of(file)
    while some := list(islice(lines, _LINES_AT_ONCE)):
        items = [line.strip().encode() for line in some]
        yield identify_page(0, items, RESOURCES[resource].fields).frame()


def without_rows(file: Path, numbers: Sequence[int], columns: Sequence[str]) -> None:
    """Writes a file again without some rows, by their numbers from 0, and without some columns, where it has any."""
    with replacing(file) as temporary:
        if file.suffix == ".parquet":
            parquet.without_rows(file, numbers, temporary, columns)
        else:
            _write_lines(temporary, _lines_but(file, frozenset(numbers)))


def _lines_but(file: Path, numbers: Collection[int]) -> Iterator[str]:
    return (line for number, line in enumerate(lines_of(file)) if number not in numbers)


def _write_lines(file: Path, lines: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(lines)
