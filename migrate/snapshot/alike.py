"""The fields of records that look alike, quickly: what they look like is told from the first of them; pure.

A member whose first values are strings is read as text, any other as the literal it is. Where a record has a member
that the first ones lack, or the same column from two places, None says that these records are not so simple.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from typing import Any

import msgspec
import polars as pl

from migrate.snapshot.columns import (
    MAX_COLUMNS,
    MAX_DEPTH,
    Literal,
    SnapshotColumn,
    column_name,
    column_of,
    text_series,
    value_series,
)
from migrate.snapshot.literals import FEW_KEYS

_FIRST_RECORDS = 16
_NULL = msgspec.Raw(b"null")
_EMPTY_BYTES = len(b"{}")
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
Shape = tuple[tuple[str, bool], ...]
"""Names of members in the order seen, and whether their values are strings."""


@dataclass
class _Found:
    names: dict[str, None] = field(default_factory=dict)
    texts: dict[str, Sequence[str | None]] = field(default_factory=dict)
    columns: dict[str, SnapshotColumn] = field(default_factory=dict)


def alike_values(items: Sequence[bytes]) -> tuple[dict[str, pl.Series], int] | None:
    """The same values under the same names and in the same order as those of `Fields`, and how many could not be read.

    None where it cannot be told so quickly.
    """
    found = _Found()
    level: list[tuple[str, Sequence[Literal]]] = [("", items)] if items else []
    try:
        for _ in range(MAX_DEPTH):
            level = list(
                chain.from_iterable(_add(found, prefix, objects) for prefix, objects in level)
            )
    except (
        msgspec.DecodeError,
        RecursionError,
        ValueError,
    ):  # a ValueError is of a name that no reader can be made for
        return None
    series, unread = value_series(found.columns, len(items))
    series |= zip(found.texts, text_series(list(found.texts.values())), strict=True)
    return {name: series[name] for name in found.names}, unread


def _add(
    found: _Found, prefix: str, objects: Sequence[Literal]
) -> Iterator[tuple[str, Sequence[Literal]]]:
    """Takes one object for each row; gives back the objects found in them, with their prefix."""
    members = list(_members(objects))
    if prefix and len(members) > FEW_KEYS:
        raise ValueError("an object that may have ids for keys")
    for (key, is_text), values in members:
        name = column_name(prefix + key)
        if name in found.names or len(found.names) == MAX_COLUMNS:
            raise ValueError("a column from two places, or one too many")
        found.names[name] = None
        if is_text:
            found.texts[name] = values
            continue
        found.columns[name] = column = column_of(values)
        if column.has_objects:
            yield f"{name}.", column.objects()


def _members(objects: Sequence[Literal]) -> Iterator[tuple[tuple[str, bool], Any]]:
    shape = _shape_of(
        list(islice((one for one in objects if len(bytes(one)) > _EMPTY_BYTES), _FIRST_RECORDS))
    )
    data = b"[" + b",".join(objects) + b"]"
    try:
        rows = _reader(shape).decode(data)
    except msgspec.ValidationError:
        shape = tuple((name, False) for name, _ in shape)
        rows = _reader(shape).decode(data)
    if len(rows) != len(objects):
        raise ValueError("more objects than records")
    yield from zip(shape, zip(*map(msgspec.structs.astuple, rows), strict=True), strict=True)


def _shape_of(sample: Sequence[Literal]) -> Shape:
    kinds: dict[str, set[bytes]] = {}
    for one in sample:
        members: Mapping[str, msgspec.Raw] = _MEMBERS.decode(one)
        for name, literal in members.items():
            kinds.setdefault(name, set()).add(bytes(literal)[:1])
    return tuple((name, b'"' in seen and seen <= {b'"', b"n"}) for name, seen in kinds.items())


@lru_cache(maxsize=256)
def _reader(shape: Shape) -> msgspec.json.Decoder[list[Any]]:
    """A decoder of objects with these members and no others."""
    members = [
        (f"f{at}", str | None, msgspec.field(name=name, default=None))
        if is_text
        else (f"f{at}", msgspec.Raw, msgspec.field(name=name, default=_NULL))
        for at, (name, is_text) in enumerate(shape)
    ]
    alike = msgspec.defstruct("Alike", members, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(list[alike])  # type: ignore[valid-type]  # made at run time
