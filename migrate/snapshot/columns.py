"""Columns of JSON literals, and the values in them; pure.

Values go from JSON to column without a Python object of their own type, many at a time: that is
what an extract spends its time on. Every short cut checks what it relies on, and falls back to one
value at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import polars as pl

from migrate.snapshot import scan

MAX_COLUMNS = 1_000
MAX_DEPTH = 16
Literal = bytes | msgspec.Raw

# No JSON text holds this byte but inside a string of a lenient writer, which is noticed by counting.
_SEPARATOR = b"\x01"
_OBJECT_BEHIND = _SEPARATOR + b"{"
_STRING_BEHIND = _SEPARATOR + b'"'
_TEXT = msgspec.json.Decoder(str)
_TEXTS = msgspec.json.Decoder(list[str | None])
# `_position` is not stored, but readers add it; a field of that name must not be shadowed.
_RESERVED = frozenset({"source", "id", "page", "raw", "position"})


@dataclass(frozen=True)
class SnapshotColumn:
    """One field's literals, b"" where a record does not have it; `joined` is the same in one piece.

    `rows`: of a field that few records have, the rows whose literals these are; None for all rows.
    """

    literals: Sequence[Literal]
    joined: bytes
    rows: Sequence[int] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether `joined` can be taken apart again."""
        return self.joined.count(_SEPARATOR) == len(self.literals) - 1

    @property
    def has_objects(self) -> bool:
        """Whether a literal is an object."""
        return self.joined[:1] == b"{" or _OBJECT_BEHIND in self.joined

    @property
    def is_plain(self) -> bool:
        """Whether no string in it has an escape."""
        has_strings = self.joined[:1] == b'"' or _STRING_BEHIND in self.joined
        return b"\\" not in self.joined or not has_strings

    def texts(self) -> list[str]:
        """The literals as text."""
        if self.is_whole:
            return self.joined.decode().split("\x01")
        return [str(literal, "utf-8") for literal in self.literals]

    def objects(self) -> Sequence[Literal]:
        """The literals that are objects, and empty objects in the place of all others."""
        objects_behind = self.joined.count(_OBJECT_BEHIND)
        if self.joined[:1] == b"{" and objects_behind == len(self.literals) - 1:
            return self.literals
        return [literal if bytes(literal)[:1] == b"{" else b"{}" for literal in self.literals]


def column_of(literals: Sequence[Literal], rows: Sequence[int] | None = None) -> SnapshotColumn:
    """A column of these literals."""
    return SnapshotColumn(literals, _SEPARATOR.join(literals), rows)


def column_name(name: str) -> str:
    """The column of a field: its name, with one more underscore where it is that of one of ours."""
    if name[:1] == "_" and name.lstrip("_") in _RESERVED:
        return f"_{name}"
    return name


def value_list(column: SnapshotColumn) -> tuple[list[str | None], int]:
    """The values of a column's literals, and how many could not be read.

    Strings are decoded; None stands for absent and null alike.
    """
    if column.is_plain:
        return [_plain_value(text) for text in column.texts()], 0
    literals = b",".join([literal or b"null" for literal in column.literals])
    try:
        return _TEXTS.decode(b"[" + literals + b"]"), 0
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _one_by_one(column.texts())


def value_series(
    columns: Mapping[str, SnapshotColumn], height: int
) -> tuple[dict[str, pl.Series], int]:
    """The values of columns over `height` rows, by name; and how many could not be read."""
    dense = {name: column for name, column in columns.items() if column.rows is None}
    sparse = {name: column for name, column in columns.items() if column.rows is not None}
    dense_series, dense_unread = _dense_series(dense)
    sparse_series, sparse_unread = _sparse_series(sparse, height)
    return dense_series | sparse_series, dense_unread + sparse_unread


def spread(values: Sequence[str | None], column: SnapshotColumn, height: int) -> list[str | None]:
    """The values of a column's literals, one for each of `height` rows."""
    if column.rows is None:
        return list(values)
    found: list[str | None] = [None] * height
    for row, value in zip(column.rows, values, strict=True):
        found[row] = value
    return found


def _dense_series(columns: Mapping[str, SnapshotColumn]) -> tuple[dict[str, pl.Series], int]:
    quick = {
        name: column for name, column in columns.items() if column.is_plain and column.is_whole
    }
    series = dict(zip(quick, _plain_series(list(quick.values())), strict=True))
    unread = 0
    for name, column in columns.items():
        if name not in series:
            values, missed = value_list(column)
            series[name] = pl.Series(values, dtype=pl.String)
            unread += missed
    return series, unread


def _sparse_series(
    columns: Mapping[str, SnapshotColumn], height: int
) -> tuple[dict[str, pl.Series], int]:
    """What few records have. The values are read together, so that a column costs what is in it."""
    plain = {n: column for n, column in columns.items() if column.is_plain and column.is_whole}
    values = {n: value_list(column) for n, column in columns.items() if n not in plain}
    nothing = pl.Series([None], dtype=pl.String).new_from_index(0, height)
    series = {
        name: nothing.clone().scatter(columns[name].rows or [], pl.Series(found, dtype=pl.String))
        for name, (found, _) in values.items()
    }
    end = 0
    together = [column_of(list(chain.from_iterable(c.literals for c in plain.values())))]
    every = next(_plain_series(together)) if plain else nothing
    for name, column in plain.items():
        begin, end = end, end + len(column.literals)
        series[name] = nothing.clone().scatter(column.rows or [], every.slice(begin, end - begin))
    return series, sum(unread for _, unread in values.values())


def _plain_series(columns: Sequence[SnapshotColumn]) -> Iterator[pl.Series]:
    if not columns:
        return
    texts = _SEPARATOR.join([column.joined for column in columns]).decode().split("\x01")
    literal = pl.col("all")
    # No literal but a string has quotes around it, and without escapes none has quotes inside.
    value = pl.when((literal != "null") & (literal != "")).then(literal.str.strip_chars('"'))
    values = pl.Series("all", texts, dtype=pl.String).to_frame().select(value.alias("all"))
    rows = len(columns[0].literals)
    yield from (values.to_series().slice(at, rows) for at in range(0, values.height, rows))


def _plain_value(literal: str) -> str | None:
    """The value of a literal without escapes."""
    if literal in ("", "null"):
        return None
    return literal[1:-1] if literal[0] == '"' else literal


def _one_by_one(texts: Sequence[str]) -> tuple[list[str | None], int]:
    values: list[str | None] = []
    unread = 0
    for text in texts:
        try:
            values.append(_value(text))
        except ValueError:
            values.append(None)
            unread += 1
    return values, unread


def _value(literal: str) -> str | None:
    """The value of any literal. Raises ValueError for a string with an unknown escape."""
    if literal[:1] != '"':
        return None if literal in ("", "null") else literal
    try:
        return _TEXT.decode(literal)
    except msgspec.DecodeError:
        return scan.decode_string(literal)
