"""The records of one Datatrics list, kept as the bytes they are answered with, and their orders."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from migrate.sandbox.raw_json import literal_text

Identity = tuple[str, str]
SortKey = tuple[int, Any]
Place = tuple[SortKey, int]

MISSING: SortKey = (0, 0)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its place in the order of first arrival, its source and its JSON as answered."""

    sequence: int
    source: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A slice of a list and how many records the whole list has."""

    total: int
    items: list[bytes]


@lru_cache(maxsize=64)
def _picker(name: str) -> msgspec.json.Decoder[Any]:
    """A decoder that skips everything but one member of an object."""
    struct = msgspec.defstruct("Picked", [("value", Raw, Raw())], rename={"value": name})
    return msgspec.json.Decoder(struct)


def _pick(data: bytes | Raw, path: tuple[str, ...]) -> Raw:
    value: bytes | Raw = data
    for name in path:
        try:
            value = _picker(name).decode(value).value
        except msgspec.DecodeError:
            return Raw()
    return value if isinstance(value, Raw) else Raw(value)


def sort_key(data: bytes, paths: tuple[tuple[str, ...], ...]) -> SortKey:
    """The first of `paths` that the record has, comparable: absent and null, then numbers, texts, the rest."""
    for path in paths:
        raw = _pick(data, path)
        text = bytes(raw)
        if text and text != b"null":
            return _comparable(raw, text)
    return MISSING


def _comparable(raw: Raw, text: bytes) -> SortKey:
    try:
        value = literal_text(raw)
    except msgspec.DecodeError:
        value = None
    if value is None:
        return (3, text)
    return (2, value) if text[:1] == b'"' else (1, Decimal(value))


@dataclass(slots=True)
class _View:
    """All records, or those of one source, in ascending order of one field.

    Places are worked out of the records whenever they are compared: kept, they would take half as much as the records.
    """

    paths: tuple[tuple[str, ...], ...]
    source: str | None
    records: list[Record] = field(default_factory=list)

    def fill(self, records: Iterable[Record]) -> None:
        self.records = sorted((record for record in records if self.has(record)), key=self.place)

    def place(self, record: Record) -> Place:
        return sort_key(record.data, self.paths), record.sequence

    def has(self, record: Record) -> bool:
        return self.source is None or record.source == self.source

    def add(self, record: Record) -> None:
        if self.has(record):
            bisect.insort(self.records, record, key=self.place)

    def drop(self, record: Record) -> None:
        if self.has(record):
            del self.records[bisect.bisect_left(self.records, self.place(record), key=self.place)]


class Table:
    """One list of records.

    **Guarantees**: a replaced record keeps its place among equals; ties are in order of first arrival, and order -1 is
    the exact reverse of order 1; a sorted order, once asked for, is kept up with every write.
    """

    def __init__(self, created_path: tuple[str, ...]) -> None:
        self._created_path = created_path
        self._records: dict[Identity, Record] = {}
        self._views: dict[tuple[str, str | None], _View] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._records)

    def get(self, identity: Identity) -> Record | None:
        """The record of that identity."""
        return self._records.get(identity)

    def put(self, identity: Identity, data: bytes) -> Record:
        """The record as now kept: new, or in the place of the one it replaces."""
        old = self._records.get(identity)
        # a few sources stand in all records
        identity = (sys.intern(identity[0]), identity[1])
        record = Record(self._next if old is None else old.sequence, identity[0], data)
        self.restore(identity, record)
        return record

    def restore(self, identity: Identity, record: Record) -> None:
        """Keeps a record with the sequence number it has."""
        old = self._records.get(identity)
        self._records[identity] = record
        self._next = max(self._next, record.sequence + 1)
        for view in self._views.values():
            if old is not None:
                view.drop(old)
            view.add(record)

    def delete(self, identity: Identity) -> bool:
        """Whether there was such a record; there is none now."""
        old = self._records.pop(identity, None)
        if old is None:
            return False
        for view in self._views.values():
            view.drop(old)
        return True

    def page(self, sort: str, order: int, source: str | None, number: int, limit: int) -> Page:
        """The `number`-th page, counted from 1; beyond the last one it is empty."""
        # Beyond the last page both ends lie behind the list, which gives an empty slice.
        records = self._view(sort, source).records
        total = len(records)
        start = (number - 1) * limit
        stop = min(start + limit, total)
        if order > 0:
            return Page(total, [record.data for record in records[start:stop]])
        return Page(
            total,
            [
                record.data
                for record in reversed(records[max(total - stop, 0) : max(total - start, 0)])
            ],
        )

    def clear(self) -> None:
        """Forgets every record."""
        self._records.clear()
        self._views.clear()

    def _view(self, sort: str, source: str | None) -> _View:
        view = self._views.get((sort, source))
        if view is None:
            view = self._views[(sort, source)] = _View(self._paths(sort), source)
            view.fill(self._records.values())
        return view

    def _paths(self, sort: str) -> tuple[tuple[str, ...], ...]:
        if sort == "created":
            return (self._created_path,)
        # Where an attribute stands in what is read is not documented:
        # it is looked for in all three.
        return ((sort,), tuple(sort.split(".")), ("metadata", sort))
