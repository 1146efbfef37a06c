"""Tables that people send back: CSV and workbooks, read cell by cell with where each stands.

A spreadsheet changes what it opens: it drops leading zeros, makes dates of days and floats of long numbers. A cell that
may have lost something is never guessed at: it comes as a `Spoilt`, which says why.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from migrate.errors import UsageError
from migrate.spreadsheet import undefuse_text

_MOST_BYTES = 256 << 20
"""Unpacked, a workbook or a CSV file of more than this is not read."""
_MOST_CELLS = 20_000_000
"""Of a sheet, from its first cell to the last one in both directions: all of them are made, however few are filled."""
_CELL = re.compile(rb"""<(?:\w+:)?c\b[^>]*?\br\s*=\s*["']([A-Za-z]{1,3})([0-9]{1,7})["']""")
_ROW = re.compile(rb"""<(?:\w+:)?row\b[^>]*?\br\s*=\s*["']([0-9]{1,7})["']""")
_UNPACKING = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, NotImplementedError, ValueError,
    OverflowError, OSError,
)  # fmt: skip
"""What the standard library raises for an archive that is none, packed in odd ways, or locked by a password."""
_MOST_EXACT = 10**15
_SEPARATORS = (";", "\t", ",")
_PLAIN_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_LEFT_OUT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Number:
    """A cell that holds a number: its plain text, and whether leading zeros may have stood before it."""

    text: str
    is_whole: bool


@dataclass(frozen=True)
class Spoilt:
    """A cell of which the text that was typed is not to be known any more, and why."""

    why: str


Cell = str | Number | Spoilt | None


@dataclass(frozen=True)
class SheetRow:
    """A row: where it stands, for people (`Sheet1, row 3`), and its cells by the head of their column."""

    place: str
    cells: dict[str, Cell]


def read_rows(file: Path) -> Iterator[SheetRow]:
    """The rows of a CSV file, or of every sheet of a workbook; the first row of each has the heads.

    Guards against formulas are undone. Rows without a text are left out.

    **Raises**: UsageError for what is neither, or cannot be read.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from None
    if data[:4] == b"PK\x03\x04":
        yield from _rows_of_workbook(file, data)
    else:
        yield from _rows_of_csv(file, data)


def _rows_of_csv(file: Path, data: bytes) -> Iterator[SheetRow]:
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{file} has {len(data):,} bytes, too many for a list of corrections")
    try:
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(
            f"{file} is neither a workbook nor text in UTF-8",
            hint="save it as xlsx, or as `CSV UTF-8`",
        ) from None
    head = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise UsageError(f"{file} is no CSV that can be read: {error}") from None
    yield from _rows_of("", rows)


def _rows_of_workbook(file: Path, data: bytes) -> Iterator[SheetRow]:
    # Costs some milliseconds, which no command pays that reads no workbook.
    import python_calamine

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            _check_size(file, packed)
        book = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        sheets = {
            name: book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            for name in book.sheet_names
        }
    except (python_calamine.CalamineError, *_UNPACKING) as error:
        raise UsageError(
            f"{file} is no workbook that can be read: {type(error).__name__}",
            hint="save it again as xlsx, without a password",
        ) from None
    for name, rows in sheets.items():
        yield from _rows_of(name, rows)


def _check_size(file: Path, packed: zipfile.ZipFile) -> None:
    """Raises UsageError for what would fill the memory: few bytes can unpack to gigabytes, two cells span a sheet.

    Every member is unpacked here, which BadZipFile ends where it is more than it says.
    """
    unpacked = sum(member.file_size for member in packed.infolist())
    if unpacked > _MOST_BYTES:
        raise UsageError(f"{file} unpacks to {unpacked:,} bytes, too many for a workbook of rows")
    if "xl/workbook.xml" not in packed.namelist():
        raise UsageError(f"{file} is no workbook of Excel's", hint="save it as xlsx")
    for member in packed.infolist():
        content = packed.read(member)
        rows = max((int(match[1]) for match in _ROW.finditer(content)), default=0)
        columns = 0
        for match in _CELL.finditer(content):
            columns, rows = max(columns, _column_of(match[1])), max(rows, int(match[2]))
        if rows * columns > _MOST_CELLS:
            raise UsageError(
                f"{file} has a sheet of {rows:,} rows and {columns:,} columns, too many for a list of rows",
                hint="delete the rows and columns that only look empty, or save it as CSV",
            )


def _column_of(letters: bytes) -> int:
    """`A` is 1, `XFD` 16384."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - 64
    return number


def _rows_of(sheet: str, rows: Sequence[Sequence[Any]]) -> Iterator[SheetRow]:
    heads = [str(head).strip() for head in rows[0]] if rows else []
    for number, row in enumerate(rows[1:], start=2):
        cells = {head: _cell(value) for head, value in zip(heads, row, strict=False) if head}
        if any(cell is not None for cell in cells.values()):
            yield SheetRow(f"{sheet}, row {number}" if sheet else f"row {number}", cells)


def _cell(value: Any) -> Cell:
    if value is None or value == "":  # 0 and False are cells
        return None
    if isinstance(value, str):
        if _LEFT_OUT.search(value):
            return Spoilt("it has control characters in it")
        return undefuse_text(value)
    if isinstance(value, bool):
        return Spoilt("the spreadsheet has made it true or false")
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, datetime | date | time | timedelta):
        return Spoilt("the spreadsheet has made it a date or a time")
    return Spoilt("it is no text")


def _number(value: float) -> Cell:
    if value != value or abs(value) >= _MOST_EXACT:  # noqa: PLR0124  # not a number
        return Spoilt("the spreadsheet keeps fifteen digits of a number")
    text = str(int(value)) if value == int(value) else repr(float(value))
    if "e" in text:
        return Spoilt("the spreadsheet has made it a power of ten")
    return Number(text, _PLAIN_WHOLE.fullmatch(text) is not None)
