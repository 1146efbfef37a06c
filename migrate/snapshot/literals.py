"""The fields of any JSON records as columns of literals, each value exactly as written; pure.

Records need not have the same fields, nor one kind of value in a field, nor be objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from migrate.snapshot import scan
from migrate.snapshot.columns import (
    MAX_COLUMNS,
    MAX_DEPTH,
    Literal,
    SnapshotColumn,
    column_name,
    column_of,
    value_list,
    value_series,
)

Members = dict[str, Any]
_ABSENT = b""
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ALL_MEMBERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


class RecordFields:
    """The fields of records by column name, in the order they were seen; of `only` these names, if given."""

    def __init__(self, items: Sequence[Literal], only: frozenset[str] | None = None) -> None:
        self.columns: dict[str, SnapshotColumn] = {}
        self.unlisted: set[str] = set()
        self.shared: set[str] = set()
        self.unparsed = 0
        self._only = only
        level = [("", items)] if items else []
        for _ in range(MAX_DEPTH):
            level = [deeper for prefix, objects in level for deeper in self._add(prefix, objects)]

    def values(self) -> dict[str, pl.Series]:
        """The columns with strings decoded and null for absent and null alike."""
        series, unread = value_series(self.columns)
        self.unparsed += unread
        return {name: series[name] for name in self.columns}

    def value_list(self, name: str) -> list[str | None]:
        """The values of one column."""
        return value_list(self.columns[name])[0]

    def _add(
        self, prefix: str, items: Sequence[Literal]
    ) -> Iterator[tuple[str, Sequence[Literal]]]:
        """Takes one object for each row; gives back the objects found in them, with their prefix."""
        for key, literals in self._members(prefix, items):
            name = column_name(prefix + key)
            if name not in self.columns and len(self.columns) >= MAX_COLUMNS:
                self.unlisted.add(name)
                continue
            column = column_of(literals)
            if column.has_objects:
                yield f"{name}.", column.objects()
            self.columns[name] = self._merged(name, column) if name in self.columns else column

    def _members(
        self, prefix: str, items: Sequence[Literal]
    ) -> Iterator[tuple[str, Sequence[Literal]]]:
        if self._only is None:
            yield from _by_member(self._objects(items))
            return
        keys = _keys_under(prefix, self._only)
        try:
            objects = _picker(keys).decode(b"[" + b",".join(items) + b"]") if keys else []
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            objects = []
        if len(objects) == len(items):
            columns = (
                (key, list(map(attrgetter(f"f{at}"), objects))) for at, key in enumerate(keys)
            )
            yield from ((key, literals) for key, literals in columns if any(literals))
        elif keys:
            yield from (
                (key, literals) for key, literals in _by_member(self._objects(items)) if key in keys
            )

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

    def _merged(self, name: str, second: SnapshotColumn) -> SnapshotColumn:
        first = self.columns[name]
        if any(a and b for a, b in zip(first.literals, second.literals, strict=True)):
            self.shared.add(name)
        return column_of([a or b for a, b in zip(first.literals, second.literals, strict=True)])


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


@cache
def _keys_under(prefix: str, names: frozenset[str]) -> tuple[str, ...]:
    """The members to look for in objects with this prefix: a dotted name may be one member, or lead through several."""
    rests = [name[len(prefix) :] for name in sorted(names) if name.startswith(prefix)]
    return tuple(dict.fromkeys(key for rest in rests for key in (rest, rest.partition(".")[0])))


@cache
def _picker(keys: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    """A decoder that reads these members of each object, and passes over the others unread."""
    members = [
        (f"f{at}", msgspec.Raw, msgspec.field(name=key, default=_ABSENT))
        for at, key in enumerate(keys)
    ]
    return msgspec.json.Decoder(list[msgspec.defstruct("Picked", members)])  # type: ignore[misc]  # made at run time


def _by_member(objects: Sequence[Members]) -> Iterator[tuple[str, Sequence[Literal]]]:
    """Each member's name with its literals, in the order first seen."""
    shapes = set(map(tuple, objects))
    if len(shapes) == 1:
        yield from zip(shapes.pop(), zip(*map(dict.values, objects), strict=True), strict=True)
        return
    for name in dict.fromkeys(chain.from_iterable(objects)):
        yield name, [found.get(name, _ABSENT) for found in objects]
