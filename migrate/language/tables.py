"""Look-up files beside the mappings: a CSV file becomes value lists, one for each of its columns behind the first.

`tables: {stores: stores.csv}` names it; `values: $stores` takes its second column by its first, `values: $stores.city`
the column `city`. A text that the file does not list is unlisted, and `unlisted` says what becomes of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass, field
from pathlib import Path

from migrate.plain_file import read_plain

MAX_BYTES = 16 * 1024 * 1024
_DELIMITERS = ",;\t"


@dataclass
class TableFile:
    """A look-up file: its lists by column name, the hash of its bytes, and what is wrong with it (None: nothing)."""

    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    sha256: str = ""
    problem: str | None = None


def read_table(folder: Path, name: str) -> TableFile:
    """The look-up file of this name in the folder."""
    # A name only: a path would lead out of the folder whose files are hashed into the plan.
    if Path(name).name != name or not name.endswith(".csv"):
        return TableFile(problem=f"{name!r} is no file's name beside the mapping, as stores.csv")
    try:
        data = read_plain(folder / name)
    except OSError as error:
        return TableFile(problem=f"{name} cannot be read ({error.strerror})")
    if len(data) > MAX_BYTES:
        return TableFile(problem=f"{name} has {len(data):,} bytes; a table may have {MAX_BYTES:,}")
    try:
        # Excel's CSV UTF-8 begins with a byte order mark, which would be part of the first column's name.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return TableFile(problem=f"{name} is not UTF-8 text; save it as CSV UTF-8")
    table = TableFile(sha256=hashlib.sha256(data).hexdigest())
    table.problem = _fill(table, name, text)
    return table


def _fill(table: TableFile, name: str, text: str) -> str | None:
    """Fills the lists of a table; gives what is wrong with it."""
    head = text.split("\n", 1)[0]
    # Excel writes the separator of its own country.
    delimiter = max(_DELIMITERS, key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [column.strip() for column in next(rows, [])]
        if len(names) < 2 or "" in names or len(set(names)) < len(names):
            return f"{name}: its first line names two columns or more, each by another name"
        table.columns = {column: {} for column in names[1:]}
        for row in rows:
            if row:
                problem = _add(table, names, row, f"{name}:{rows.line_num}")
            else:
                problem = None
            if problem:
                return problem
    except csv.Error as error:
        return f"{name}:{rows.line_num}: {error}"
    return None


def _add(table: TableFile, names: list[str], row: list[str], where: str) -> str | None:
    if len(row) != len(names):
        return f"{where}: has {len(row)} values; the first line names {len(names)}"
    key, *values = row
    for column, value in zip(names[1:], values, strict=True):
        known = table.columns[column]
        # The last one would win without a word, and nobody knows which is meant.
        if known.get(key, value) != value:
            return f"{where}: {key!r} stands twice, with two values of {column}"
        # an empty cell says nothing: the text is then as unlisted as one that has no line
        if key and value:
            known[key] = value
    return None
