"""JSON text cut into its elements or members without building values; and columns of JSON literals.

The usual decoder refuses what some servers write: `NaN`, escapes of half a surrogate pair, raw control characters,
nesting of thousands. The one here goes through the text with a stack of its own, so that depth costs nothing, and hands
each value on as it was written.

Values go from JSON to column without a Python object of their own type, many at a time: that is what an extract spends
its time on. Every short cut checks what it relies on, and falls back to one value at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import msgspec
import polars as pl

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\],:]|[^\s{{}}\[\],:"]+', re.DOTALL)
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|NaN|-?Infinity")
_MEMBER = re.compile(rf"\s*({_STRING})\s*:\s*(.+?)\s*\Z", re.DOTALL)
_CLOSES = {"{": "}", "[": "]"}
_DEEPEST = 200_000
"""Levels that no writer means. Going through hundreds of megabytes of brackets would take many minutes."""


def split_array(text: str, *, lenient: bool = False) -> list[str]:
    """The elements of a JSON array, each as written. `lenient` takes a comma behind the last one.

    Raises ValueError when it is none, or not whole.
    """
    return _split(text, "[", lenient=lenient)


def split_object(text: str, *, lenient: bool = False) -> dict[str, str]:
    """The members of a JSON object, values as written; of equal names the last wins.

    `lenient` takes a comma behind the last one. Raises ValueError.
    """
    members = {}
    for part in _split(text, "{", lenient=lenient):
        match = _MEMBER.match(part)
        if match is None:
            raise ValueError("a member of an object has no name or no value")
        members[decode_string(match[1])] = match[2]
    return members


def decode_string(literal: str) -> str:
    """The text of a JSON string. Raises ValueError for an unknown escape.

    Half a surrogate pair, which no UTF-8 text can hold, stays the six characters of its escape, in lower case
    (`\\ud83d`): so whoever reads the text can see that it is no text to send on. `_raw` tells it from a text that has
    these six characters.
    """
    value = json.loads(literal, strict=False)
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004  one kind of error for everything that is not as expected
    return value.encode("utf-8", "backslashreplace").decode()


def _split(text: str, opening: str, *, lenient: bool) -> list[str]:
    parts: list[str] = []
    begin = 0
    for kind, start, end in _marks(text, opening):
        if kind == "open":
            begin = end
        elif kind == "," or text[begin:start].strip() or (parts and not lenient):
            part = text[begin:start].strip()
            if not part:
                raise ValueError(f"nothing between two commas at character {start}")
            parts.append(part)
            begin = end
    return parts


def _marks(text: str, opening: str) -> Iterator[tuple[str, int, int]]:
    """The outermost opening, its commas and its closing, with their places."""
    stack: list[str] = []
    ended = False
    for sign, start, end in _tokens(text):
        if ended or not (stack or sign == opening):
            raise ValueError(f"unexpected text at character {start}")
        if sign in _CLOSES:
            _push(stack, _CLOSES[sign])
            if len(stack) == 1:
                yield "open", start, end
        elif sign in ("}", "]"):
            if stack.pop() != sign:
                raise ValueError(f"{sign} closes what it did not open at character {start}")
            ended = not stack
            if ended:
                yield "close", start, end
        elif sign == "," and len(stack) == 1:
            yield ",", start, end
    if not ended:
        raise ValueError("ends too early")


def _push(stack: list[str], closing: str) -> None:
    if len(stack) == _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST:,} levels")
    stack.append(closing)


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Signs, strings and scalars with their places; white space is left out. Raises ValueError for anything else."""
    at = 0
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if text[at:start].strip() or (
            match[0][0] not in '",:{}[]' and not _SCALAR.fullmatch(match[0])
        ):
            raise ValueError(f"no JSON at character {at}")
        at = end
        yield match[0], start, end
    if text[at:].strip():
        raise ValueError("ends too early")


# Ids in the place of names would make columns without end; what has none is read from the record.
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
    texts: list[str | None] = [None] * height
    for row, value in zip(column.rows, values, strict=True):
        texts[row] = value
    return texts


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
        name: nothing.clone().scatter(columns[name].rows or [], pl.Series(texts, dtype=pl.String))
        for name, (texts, _) in values.items()
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
        return decode_string(literal)
