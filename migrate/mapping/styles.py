"""Whether a field's values contradict how a column reads its numbers: asked of all of them, before any is read.

`decimal_comma: or_point` takes 1.299 as it stands, a little more than one. Where another value of the field shows
that a point stands between thousands, it is 1299, and every such row would go out a thousand times too small.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.errors import MappingError
from migrate.mapping.each import read_elements
from migrate.mapping.fields import column_of
from migrate.mapping.model import Mapping

Read = Callable[[str, Collection[str]], Iterator[pl.DataFrame]]
"""Gives the rows of a resource with some of its fields; nothing where the snapshot lacks the resource."""
# 1.234,5 and 1.234.567: here a point parts thousands and nothing else
_THOUSANDS = r"(^|[^0-9.,])[1-9][0-9]{0,2}(\.[0-9]{3})+,[0-9]|(^|[^0-9.,])[1-9][0-9]{0,2}(\.[0-9]{3}){2,}([^0-9.,]|$)"

# 1.299 is a little more than one, or a thousand times as much
_AMBIGUOUS_INSIDE = r"[1-9][0-9]{0,2}\.[0-9]{3}([^0-9.,]|$)"
_AMBIGUOUS = r"^\s*[-+(]?\s*" + _AMBIGUOUS_INSIDE


@dataclass(frozen=True)
class Contradiction:
    """A column whose field shows that a point stands between thousands; `count` values do, one is the example."""

    mapping: Mapping
    column: str
    field: str
    count: int

    def says(self) -> str:
        """The problem in words, with what to write instead."""
        return (
            f"{self.count:,} value{'s' if self.count > 1 else ''} of {self.field!r} show that a point stands between "
            "thousands (as in 1.234,56), so `decimal_comma: or_point` would send 1.299 a thousand times too small; "
            "write `apply: [trim, {amount: nl}]`"
        )


def find_contradictions(mappings: Iterable[Mapping], read: Read) -> list[Contradiction]:
    """Every column that takes a point as it stands although its field's values say otherwise.

    Only where it matters: a field without a single number like 1.299 loses nothing by either reading.
    """
    found = []
    for mapping in mappings:
        for name, column in mapping.columns.items():
            if ("decimal_comma", "or_point") not in column.calls:
                continue
            for field in column.fields:
                seen = _look(mapping, field, read)
                if seen.thousands and seen.ambiguous:
                    found.append(Contradiction(mapping, name, field, seen.thousands))
    return found


@dataclass(frozen=True)
class _Seen:
    """How many values of a field part thousands by a point, and how many may or may not."""

    thousands: int = 0
    ambiguous: int = 0

    def __add__(self, other: _Seen) -> _Seen:
        return _Seen(self.thousands + other.thousands, self.ambiguous + other.ambiguous)


def _look(mapping: Mapping, field: str, read: Read) -> _Seen:
    each = mapping.each
    of_element = each is not None and field.startswith("item.")
    name = each if each is not None and of_element else column_of(field)
    seen = _Seen()
    for frame in read(mapping.resource, [name]):
        if name in frame.columns:
            texts = frame[name].cast(pl.String)
            seen += _count(_of_elements(texts, field) if of_element else texts)
    return seen


def _of_elements(texts: pl.Series, field: str) -> pl.Series:
    # most lists have no such number anywhere, and those need not be taken apart
    is_suspect = texts.str.contains(_THOUSANDS) | texts.str.contains(_AMBIGUOUS_INSIDE)
    suspects = texts.filter(is_suspect.fill_null(value=False))
    if len(suspects):
        return read_elements(suspects, [field]).values[field]
    return suspects


def _count(values: pl.Series) -> _Seen:
    return _Seen(
        int(values.str.contains(_THOUSANDS).sum()), int(values.str.contains(_AMBIGUOUS).sum())
    )


def refuse_contradicted(mappings: Iterable[Mapping], read: Read) -> None:
    """Raises MappingError where a field's values contradict a column's reading of its numbers."""
    found = find_contradictions(mappings, read)
    if found:
        raise MappingError(
            [f"{Path(one.mapping.file).name}: columns.{one.column}: {one.says()}" for one in found],
            hint="correct the file, then: migrate mapping check",
        )
