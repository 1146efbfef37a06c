"""One page of records as a frame of text columns: pure, and tolerant of any single record.

Identity and columns are read from the JSON text itself, so that no number passes through a float and nothing is lost
that a type would not hold. What cannot be read as an object keeps its text in `_raw` and has no fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from migrate.snapshot.literals import Fields

OWN_COLUMNS = ("_source", "_id", "_page", "_raw")
_BEGINNINGS = frozenset('"-0123456789')


@dataclass(frozen=True)
class IdentityFields:
    """Where a resource keeps its identity: names in the order they are tried; `source` may use dotted names."""

    id: tuple[str, ...]
    source: tuple[str, ...]
    updated: tuple[str, ...]


@dataclass(frozen=True)
class Identified:
    """Records in the order sent, with their identities and the pages they came on."""

    pages: list[int]
    sources: list[str | None]
    ids: list[str | None]
    items: list[bytes]

    def rows(self, chosen: Sequence[int]) -> Identified:
        """Some of the records, by their row numbers."""
        return Identified(
            [self.pages[row] for row in chosen],
            [self.sources[row] for row in chosen],
            [self.ids[row] for row in chosen],
            [self.items[row] for row in chosen],
        )

    def series(self) -> list[pl.Series]:
        """`_source`, `_id`, `_page`, `_raw`."""
        return [
            pl.Series("_source", self.sources, dtype=pl.String),
            pl.Series("_id", self.ids, dtype=pl.String),
            pl.Series("_page", self.pages, dtype=pl.Int64),
            pl.Series("_raw", [item.decode() for item in self.items], dtype=pl.String),
        ]

    def frame(self) -> pl.DataFrame:
        """The records, one a row: `_source`, `_id`, `_page`, `_raw`."""
        return pl.DataFrame(self.series())


@dataclass(frozen=True)
class ParsedRecords:
    """Records as a frame, and what was noticed on the way.

    **Shape**: `frame` has one row per record in the order sent: `_source`, `_id`, `_page`, `_raw`, then text columns.
    """

    frame: pl.DataFrame
    unparsed: int
    shared_names: frozenset[str]
    unlisted_fields: int


def identify_page(number: int, items: Sequence[bytes], fields: IdentityFields) -> Identified:
    """The records of a page. `items` are valid UTF-8."""
    found = Fields(items, frozenset(fields.id) | frozenset(fields.source))
    rows = len(items)
    sources = [found.value_list(name) for name in fields.source if name in found.columns]
    ids = [_identities(found, name) for name in fields.id if name in found.columns]
    return Identified([number] * rows, _first_filled(sources, rows), _first_filled(ids, rows), list(items))


def joined(parts: Sequence[Identified]) -> Identified:
    """Several lists of records as one."""
    return Identified(
        [page for part in parts for page in part.pages],
        [source for part in parts for source in part.sources],
        [id_ for part in parts for id_ in part.ids],
        [item for part in parts for item in part.items],
    )


def add_fields(records: Identified) -> ParsedRecords:
    """The records with their fields."""
    found = Fields(records.items)
    values = found.values()
    own = {series.name: series for series in records.series()}
    return ParsedRecords(
        pl.DataFrame(own | {name: values[name] for name in values.columns}),
        found.unparsed,
        frozenset(found.shared),
        len(found.unlisted),
    )


def pick_fields(items: Sequence[bytes], names: Sequence[str]) -> pl.DataFrame:
    """These fields of records, as text; null throughout where no record has one."""
    found = Fields(items, frozenset(names))
    nothing: list[str | None] = [None] * len(items)
    values = {name: found.value_list(name) if name in found.columns else nothing for name in names}
    return pl.DataFrame(values, schema=dict.fromkeys(names, pl.String))


def identities_digest(records: Identified) -> str:
    """The digest of the set of identities; of the content, for a record without one."""
    names = {f"{source}\0{id_}" for source, id_ in zip(records.sources, records.ids, strict=True) if id_ is not None}
    if None in records.ids:
        nameless = (item for item, id_ in zip(records.items, records.ids, strict=True) if id_ is None)
        names.update(hashlib.sha256(item).hexdigest() for item in nameless)
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()


def _identities(found: Fields, name: str) -> list[str | None]:
    """Only strings and numbers are identities."""
    values, literals = found.value_list(name), found.columns[name].texts()
    return [value if literal[:1] in _BEGINNINGS else None for value, literal in zip(values, literals, strict=True)]


def _first_filled(columns: Sequence[Sequence[str | None]], rows: int) -> list[str | None]:
    if len(columns) == 1:
        return [value or None for value in columns[0]]
    return [next((value for value in values if value), None) for values in zip(*columns, strict=True)] or [None] * rows
