"""The fields of JSON records as columns of literals, each value exactly as written; pure.

Fields go from JSON to column without a Python object of their own type, many values at a time: that is what an extract
spends its time on. Every short cut checks what it relies on, and falls back to one value at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from migrate.snapshot import scan

MAX_COLUMNS = 1_000
MAX_DEPTH = 16
Literal = bytes | msgspec.Raw
Members = dict[str, Any]

# No JSON text holds this byte but inside a string of a lenient writer, which is noticed by counting.
_SEPARATOR = b"\x01"
_OBJECT_BEHIND = _SEPARATOR + b"{"
_ABSENT = b""
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ALL_MEMBERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)
_TEXTS = msgspec.json.Decoder(list[str | None])
# `_position` is not stored, but readers add it; a field of that name must not be shadowed.
_RESERVED = frozenset({"source", "id", "page", "raw", "position"})


@dataclass(frozen=True)
class Column:
    """One field's literals, b"" where a record does not have it; `joined` is the same in one piece."""

    literals: Sequence[Literal]
    joined: bytes

    def texts(self) -> list[str]:
        """The literals as text."""
        if self.joined.count(_SEPARATOR) == len(self.literals) - 1:
            return self.joined.decode().split("\x01")
        return [str(literal, "utf-8") for literal in self.literals]


class Fields:
    """The fields of records by column name, in the order they were seen; of `only` these names, if given."""

    def __init__(self, items: Sequence[Literal], only: frozenset[str] | None = None) -> None:
        self.columns: dict[str, Column] = {}
        self.unlisted: set[str] = set()
        self.shared: set[str] = set()
        self.unparsed = 0
        self._rows = len(items)
        self._only = only
        level = [("", items)] if items else []
        for _ in range(MAX_DEPTH):
            level = [deeper for prefix, objects in level for deeper in self._add(prefix, objects)]

    def values(self) -> pl.DataFrame:
        """The columns with strings decoded and null for absent and null alike."""
        whole = {n: c for n, c in self.columns.items() if c.joined.count(_SEPARATOR) == self._rows - 1}
        series = dict(zip(whole, self._plain_values([c.joined for c in whole.values()]), strict=True))
        for name, column in self.columns.items():
            if name not in series or b"\\" in column.joined:
                series[name] = pl.Series(self._decoded(column), dtype=pl.String)
        return pl.DataFrame({name: series[name] for name in self.columns})

    def value_list(self, name: str) -> list[str | None]:
        """The values of one column."""
        column = self.columns[name]
        return self._decoded(column) if b"\\" in column.joined else [_plain_value(text) for text in column.texts()]

    def _add(self, prefix: str, items: Sequence[Literal]) -> Iterator[tuple[str, Sequence[Literal]]]:
        """Takes one object for each row; gives back the objects found in them, with their prefix."""
        for key, literals in self._members(prefix, items):
            name = column_name(prefix + key)
            if name not in self.columns and len(self.columns) >= MAX_COLUMNS:
                self.unlisted.add(name)
                continue
            column = Column(literals, _SEPARATOR.join(literals))
            if column.joined[:1] == b"{" or _OBJECT_BEHIND in column.joined:
                yield f"{name}.", _objects_only(column)
            self.columns[name] = self._merged(name, column) if name in self.columns else column

    def _members(self, prefix: str, items: Sequence[Literal]) -> Iterator[tuple[str, Sequence[Literal]]]:
        if self._only is None:
            yield from _by_member(self._objects(items))
            return
        keys = _keys_under(prefix, self._only)
        try:
            objects = _picker(keys).decode(b"[" + b",".join(items) + b"]") if keys else []
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            objects = []
        if len(objects) == len(items):
            columns = ((key, list(map(attrgetter(f"f{at}"), objects))) for at, key in enumerate(keys))
            yield from ((key, literals) for key, literals in columns if any(literals))
        elif keys:
            yield from ((key, literals) for key, literals in _by_member(self._objects(items)) if key in keys)

    def _objects(self, items: Sequence[Literal]) -> Sequence[Members]:
        try:
            objects = _ALL_MEMBERS.decode(b"[" + b",".join(items) + b"]")
            if len(objects) == len(items):
                return objects
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        found = [members_of(bytes(item)) for item in items]
        self.unparsed += sum(members is None for members in found)
        return [members or {} for members in found]

    def _merged(self, name: str, second: Column) -> Column:
        first = self.columns[name]
        if any(a and b for a, b in zip(first.literals, second.literals, strict=True)):
            self.shared.add(name)
        literals = [a or b for a, b in zip(first.literals, second.literals, strict=True)]
        return Column(literals, _SEPARATOR.join(literals))

    def _plain_values(self, joined: Sequence[bytes]) -> Iterator[pl.Series]:
        """The values of columns without escapes; others come out wrong."""
        if not joined:
            return
        text = pl.Series("all", [_SEPARATOR.join(joined).decode()]).str.split("\x01").explode().to_frame()
        literal = pl.col("all")
        # No literal but a string has quotes around it, and without escapes none has quotes inside.
        value = pl.when((literal != "null") & (literal != "")).then(literal.str.strip_chars('"'))
        values = text.select(value.alias("all")).to_series()
        yield from (values.slice(at, self._rows) for at in range(0, len(values), self._rows))

    def _decoded(self, column: Column) -> list[str | None]:
        try:
            return _TEXTS.decode(b"[" + b",".join([literal or b"null" for literal in column.literals]) + b"]")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [self._value(literal) for literal in column.texts()]

    def _value(self, literal: str) -> str | None:
        if literal in ("", "null"):
            return None
        if literal[0] != '"':
            return literal
        try:
            return _TEXT.decode(literal)
        except msgspec.DecodeError:
            pass
        try:
            return scan.decode_string(literal)
        except ValueError:
            self.unparsed += 1
            return None


def _plain_value(literal: str) -> str | None:
    """The value of a literal without escapes."""
    return None if literal in ("", "null") else literal[1:-1] if literal[0] == '"' else literal


def column_name(name: str) -> str:
    """The column of a field: its own name, with one more underscore where it would collide with a column of ours."""
    return f"_{name}" if name[:1] == "_" and name.lstrip("_") in _RESERVED else name


def members_of(item: bytes) -> Members | None:
    """The members of a JSON object with their literals, None where it is none."""
    try:
        return _MEMBERS.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {name: value.encode() for name, value in scan.split_object(item.decode()).items()}
    except ValueError:
        return None


def _objects_only(column: Column) -> Sequence[Literal]:
    if column.joined[:1] == b"{" and column.joined.count(_OBJECT_BEHIND) == len(column.literals) - 1:
        return column.literals
    return [literal if bytes(literal)[:1] == b"{" else b"{}" for literal in column.literals]


@cache
def _keys_under(prefix: str, names: frozenset[str]) -> tuple[str, ...]:
    """The members to look for in objects with this prefix: a dotted name may be one member, or lead through several."""
    rests = [name[len(prefix) :] for name in sorted(names) if name.startswith(prefix)]
    return tuple(dict.fromkeys(key for rest in rests for key in (rest, rest.partition(".")[0])))


@cache
def _picker(keys: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    """A decoder that reads these members of each object, and passes over the others unread."""
    members = [(f"f{at}", msgspec.Raw, msgspec.field(name=key, default=_ABSENT)) for at, key in enumerate(keys)]
    return msgspec.json.Decoder(list[msgspec.defstruct("Picked", members)])  # type: ignore[misc]  # made at run time


def _by_member(objects: Sequence[Members]) -> Iterator[tuple[str, Sequence[Literal]]]:
    """Each member's name with its literals, in the order first seen."""
    shapes = set(map(tuple, objects))
    if len(shapes) == 1:
        yield from zip(shapes.pop(), zip(*map(dict.values, objects), strict=True), strict=True)
        return
    for name in dict.fromkeys(chain.from_iterable(objects)):
        yield name, [found.get(name, _ABSENT) for found in objects]
