"""The fields of any JSON records as columns of literals, each value exactly as written; pure.

Records need not have the same fields, nor one kind of value in a field, nor be objects. An object
whose keys are ids rather than names (PHP writes an array with ids for keys so) stays one column:
its members are things, not fields, and each page has others. What has no column of its own is
counted, and whoever wants it by name reads it from the record itself, with `only`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

from migrate.snapshot.json_text import (
    MAX_DEPTH,
    Literal,
    SnapshotColumn,
    column_name,
    column_of,
    split_object,
    spread,
    value_list,
    value_series,
)

Members = dict[str, Any]
Rows = Sequence[int] | None
Level = tuple[str, Rows, Sequence[Literal]]
FEW_KEYS = 24
"""An object with no more different keys than this is taken for one with fields."""

_ABSENT = b""
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ALL_MEMBERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
# A field that fewer records than one in so many have is kept as a list of rows and values.
_SPARSE_FROM = 4


class RecordFields:
    """The fields of records by column name, in the order they were seen.

    `only` these names are looked for, if given, wherever they stand. `folded` are objects that stay
    one column, and how many different keys were seen in them; 0 where one is nested too deep to
    look inside. Where they are given, no others are looked for.
    """

    def __init__(
        self,
        items: Sequence[Literal],
        only: frozenset[str] | None = None,
        folded: Mapping[str, int] | None = None,
    ) -> None:
        self.height = len(items)
        self.columns: dict[str, SnapshotColumn] = {}
        self.folded: dict[str, int] = dict(folded or {})
        self._looks_for_ids = only is None and folded is None
        self.shared: set[str] = set()
        self.unparsed = 0
        self._only = only
        # Level by level and not record by record: so a field's literals of all records are one run.
        level: list[Level] = [("", None, items)] if items else []
        depth = 0
        while level and (only is not None or depth < MAX_DEPTH):
            level = list(chain.from_iterable(self._add(*one) for one in level))
            depth += 1
        for prefix, _, _ in level:
            self.folded.setdefault(prefix.removesuffix("."), 0)

    def values(self, names: Iterable[str] | None = None) -> dict[str, pl.Series]:
        """The columns, or some of them, with strings decoded and null for absent and null alike."""
        if names is None:
            wanted = self.columns
        else:
            wanted = {name: self.columns[name] for name in names}
        series, unread = value_series(wanted, self.height)
        self.unparsed += unread
        return {name: series[name] for name in wanted}

    def value_list(self, name: str) -> list[str | None]:
        """The values of one column, one for each record."""
        column = self.columns[name]
        return spread(value_list(column)[0], column, self.height)

    def literal_list(self, name: str) -> list[str]:
        """The literals of one column, one for each record; '' where it does not have the field."""
        column = self.columns[name]
        return [text or "" for text in spread(column.texts(), column, self.height)]

    def fold(self, names: Mapping[str, int]) -> None:
        """Takes the columns inside of these objects away."""
        self.folded |= names
        self.columns = {n: column for n, column in self.columns.items() if not is_below(n, names)}

    def _add(self, prefix: str, rows: Rows, items: Sequence[Literal]) -> Iterator[Level]:
        """Takes one object for each of `rows`; gives back the objects found in them."""
        for key, at, literals in self._members(prefix, items):
            name = column_name(prefix + key)
            column = column_of(literals, _picked(rows, at))
            # Of two fields of one name the first gives the column; what is inside of either is read.
            self.columns[name] = self._merged(name, column) if name in self.columns else column
            if column.has_objects and (self._only is not None or name not in self.folded):
                yield f"{name}.", column.rows, column.objects()

    def _members(
        self, prefix: str, items: Sequence[Literal]
    ) -> Iterator[tuple[str, Rows, Sequence[Literal]]]:
        if self._only is None:
            objects = self._objects(items)
            if prefix and self._looks_for_ids and self._is_folded(prefix, objects):
                return
            yield from _by_member(objects)
            return
        keys = _keys_under(prefix, self._only)
        picked = _pick(keys, items)
        if picked is not None:
            yield from ((key, None, literals) for key, literals in picked if any(literals))
        elif keys:
            by_name = _by_member(self._objects(items))
            yield from (member for member in by_name if member[0] in keys)

    def _is_folded(self, prefix: str, objects: Sequence[Members]) -> bool:
        """Whether these objects' keys are ids; noted, if so."""
        if len(set().union(*objects)) <= FEW_KEYS:
            return False
        counts = Counter(chain.from_iterable(objects))
        if not has_ids_for_keys(counts, sum(map(bool, objects))):
            return False
        self.folded[prefix.removesuffix(".")] = len(counts)
        return True

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
        """Two fields of one name as one column: where a record has both, the one seen first."""
        first = self.columns[name]
        found = list(_literals(first, self.height))
        for row, literal in enumerate(_literals(second, self.height)):
            if literal and found[row]:
                self.shared.add(name)
            found[row] = found[row] or literal
        return column_of(found)


def has_ids_for_keys(counts: Mapping[str, int], objects: int) -> bool:
    """Whether the keys of objects name things rather than fields: there are many, each in few objects.

    `counts`: how many of the `objects` have each key. Ids mostly have a digit in them and may well
    come again; words have to be new nearly every time, since records may have many fields that are
    rarely filled.
    """
    if len(counts) <= FEW_KEYS:
        return False
    members = sum(counts.values())
    # Each in a quarter of the objects at most: fields of a record are mostly in most of them.
    is_rare = members * 4 <= len(counts) * objects
    numbered = sum(any(map(str.isdigit, key)) for key in counts)
    return is_rare and (numbered * 5 >= len(counts) * 4 or members < 3 * len(counts))


def is_below(name: str, objects: Collection[str]) -> bool:
    """Whether a name leads into one of these objects."""
    if not objects:
        return False
    at = name.find(".")
    while at >= 0:
        if name[:at] in objects:
            return True
        at = name.find(".", at + 1)
    return False


def widest_objects(names: Iterable[str], at_most: int) -> dict[str, int]:
    """The objects to keep as one column, widest first, so that at most `at_most` names are left.

    By name, with the number of different keys. Empty where that cannot help: the names at the top
    are the records' own.
    """
    with_column = list(names)
    widest_first: dict[str, int] = {}
    while len(with_column) > at_most:
        widths = Counter(name.rpartition(".")[0] for name in with_column)
        widths.pop("", None)
        if not widths:
            break
        ((widest, width),) = widths.most_common(1)
        # An object with few keys has fields, and to fold it would gain next to nothing.
        if width <= FEW_KEYS:
            break
        widest_first[widest] = width
        with_column = [name for name in with_column if not is_below(name, {widest})]
    return widest_first


def members_of(item: bytes) -> Members | None:
    """The members of a JSON object with their literals, None where it is none."""
    try:
        return _MEMBERS.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {
            name: value.encode()
            for name, value in split_object(item.decode(), lenient=True).items()
        }
    except ValueError:
        return None


def _picked(rows: Rows, at: Rows) -> Rows:
    """The rows of some of the objects that stand in `rows`."""
    if rows is None or at is None:
        return rows if at is None else at
    return [rows[place] for place in at]


def _literals(column: SnapshotColumn, height: int) -> Sequence[Literal]:
    """A column's literals, one for each row."""
    if column.rows is None:
        return column.literals
    literals: list[Literal] = [_ABSENT] * height
    for row, literal in zip(column.rows, column.literals, strict=True):
        literals[row] = literal
    return literals


@cache
def _keys_under(prefix: str, names: frozenset[str]) -> tuple[str, ...]:
    """The members to look for in objects with this prefix.

    A dotted name may be one member, or lead through several, and each of these may have dots.
    """
    rests = [name[len(prefix) :] for name in sorted(names) if name.startswith(prefix)]
    return tuple(dict.fromkeys(chain.from_iterable(map(_beginnings, rests))))


def _beginnings(name: str) -> Iterator[str]:
    """A dotted name and all that it begins with, the whole first."""
    yield name
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _pick(
    keys: tuple[str, ...], items: Sequence[Literal]
) -> Iterator[tuple[str, Sequence[Literal]]] | None:
    """These members of objects that are as they should be, each with its literals; else None."""
    if not keys:
        return None
    try:
        objects = _picker(keys).decode(b"[" + b",".join(items) + b"]")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if len(objects) != len(items):
        return None
    return ((key, list(map(attrgetter(f"f{at}"), objects))) for at, key in enumerate(keys))


@cache
def _picker(keys: tuple[str, ...]) -> msgspec.json.Decoder[list[Any]]:
    """A decoder that reads these members of each object, and passes over the others unread."""
    members = [
        (f"f{at}", msgspec.Raw, msgspec.field(name=key, default=_ABSENT))
        for at, key in enumerate(keys)
    ]
    picked = msgspec.defstruct("Picked", members)
    return msgspec.json.Decoder(list[picked])  # type: ignore[valid-type]  # made at run time


def _by_member(objects: Sequence[Members]) -> Iterator[tuple[str, Rows, Sequence[Literal]]]:
    """Each member's name with its literals, in the order first seen."""
    # Records of one program mostly have the same members in the same order.
    shapes = set(map(tuple, objects))
    if len(shapes) == 1:
        members = zip(*map(dict.values, objects), strict=True)
        yield from ((name, None, found) for name, found in zip(shapes.pop(), members, strict=True))
        return
    names = dict.fromkeys(chain.from_iterable(objects))
    if len(names) * len(objects) <= _SPARSE_FROM * sum(map(len, objects)):
        for name in names:
            yield name, None, [found.get(name, _ABSENT) for found in objects]
        return
    places: dict[str, tuple[list[int], list[Literal]]] = {name: ([], []) for name in names}
    for place, members_ in enumerate(objects):
        for name, literal in members_.items():
            rows, literals = places[name]
            rows.append(place)
            literals.append(literal)
    yield from ((name, rows, literals) for name, (rows, literals) in places.items())
