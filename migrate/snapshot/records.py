"""One page of records as a frame of text columns: pure, and tolerant of any single record.

Identity and columns are read from the JSON text itself, so that no number passes through a float and nothing is lost
that a type would not hold. What cannot be read as an object keeps its text in `_raw` and has no fields.

A page's file holds them packed: who they are of first, since identities are wanted alone, and then
the records. The length of the first is in its first eight bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import zstandard

from migrate.snapshot.json_text import MAX_COLUMNS
from migrate.snapshot.literals import RecordFields, is_below, widest_objects

OWN_COLUMNS = ("_source", "_id", "_page", "_raw")
_BEGINNINGS = frozenset('"-0123456789')
_NOTHING = msgspec.Raw(b"")
# More names of fields than this are not kept apart; from then on no new field gets a column.
_REMEMBERED_NAMES = 10_000
_SOURCE_AT = {False: attrgetter("source"), True: attrgetter("source.source")}
PAGE = ".page"
_LENGTH_BYTES = 8
_NAMES = msgspec.msgpack.Decoder(tuple[list[str | None], list[str | None]])
_ITEMS = msgspec.msgpack.Decoder(list[bytes])


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

    **Shape**: `frame` has one row per record in the order sent: `_source`, `_id`, `_page`, `_raw`,
    then text columns.
    """

    frame: pl.DataFrame
    unparsed: int
    shared_names: frozenset[str]


@dataclass
class ChosenColumns:
    """Which fields have a column of their own, over several lists of records.

    `folded`: objects that stay one column, and how many different keys were seen in them.
    `unlisted`: fields for which there was no column left. A field that was passed over once is
    always: a column holds all of its values or does not exist.
    """

    names: dict[str, None] = field(default_factory=dict)
    folded: dict[str, int] = field(default_factory=dict)
    unlisted: dict[str, None] = field(default_factory=dict)

    def choose(self, fields: Iterable[str], folded: Mapping[str, int]) -> list[str]:
        """Those of some records' fields that have a column; where there are too many fields, the
        widest objects are folded first, since what else there is would be lost to them."""
        for name, keys in folded.items():
            self.folded[name] = max(keys, self.folded.get(name, 0))
        seen = dict.fromkeys(fields)
        known = dict.fromkeys((*self.names, *seen))
        self.folded |= widest_objects(self._outside(known), MAX_COLUMNS)
        candidates = [name for name in self._outside(known) if name not in self.unlisted]
        room = MAX_COLUMNS
        # What was passed over is no longer known then, and a new column might lack its earlier values.
        if len(self.unlisted) >= _REMEMBERED_NAMES:
            room = len(self.names)
        self.names = dict.fromkeys(candidates[:room])
        self.unlisted |= dict.fromkeys(candidates[room:][:_REMEMBERED_NAMES])
        return [name for name in seen if name in self.names]

    def _outside(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not is_below(name, self.folded)]


def identify_page(number: int, items: Sequence[bytes], fields: IdentityFields) -> Identified:
    """The records of a page. `items` are valid UTF-8."""
    rows = len(items)
    plain = _plain_identities(items, fields)
    if plain is not None:
        return Identified([number] * rows, *plain, list(items))
    record_fields = RecordFields(items, frozenset(fields.id) | frozenset(fields.source))
    sources = [
        record_fields.value_list(name) for name in fields.source if name in record_fields.columns
    ]
    ids = [_identities(record_fields, name) for name in fields.id if name in record_fields.columns]
    return Identified(
        [number] * rows, _first_filled(sources, rows), _first_filled(ids, rows), list(items)
    )


def joined(parts: Sequence[Identified]) -> Identified:
    """Several lists of records as one."""
    return Identified(
        list(chain.from_iterable(part.pages for part in parts)),
        list(chain.from_iterable(part.sources for part in parts)),
        list(chain.from_iterable(part.ids for part in parts)),
        list(chain.from_iterable(part.items for part in parts)),
    )


def add_fields(records: Identified, chosen: ChosenColumns | None = None) -> ParsedRecords:
    """The records with those of their fields that have a column; `chosen` learns which."""
    chosen = ChosenColumns() if chosen is None else chosen
    own = {series.name: series for series in records.series()}
    record_fields = RecordFields(records.items)
    # Where there are too many, those that most records have come first.
    most_first = sorted(
        record_fields.columns, key=lambda name: record_fields.columns[name].rows is not None
    )
    is_crowded = len(record_fields.columns) > MAX_COLUMNS
    names = chosen.choose(most_first if is_crowded else record_fields.columns, record_fields.folded)
    frame = pl.DataFrame(own | record_fields.values(names))
    return ParsedRecords(frame, record_fields.unparsed, frozenset(record_fields.shared))


def pick_fields(items: Sequence[bytes], names: Sequence[str]) -> pl.DataFrame:
    """These fields of records, as text; null throughout where no record has one."""
    record_fields = RecordFields(items, frozenset(names))
    nothing: list[str | None] = [None] * len(items)
    values = {
        n: record_fields.value_list(n) if n in record_fields.columns else nothing for n in names
    }
    return pl.DataFrame(values, schema=dict.fromkeys(names, pl.String))


def identities_digest(records: Identified) -> str:
    """The digest of the set of identities; of the content, for a record without one."""
    names = []
    for source, id_, item in zip(records.sources, records.ids, records.items, strict=True):
        if id_ is None:
            names.append(hashlib.sha256(item).hexdigest())
        else:
            names.append(f"{source}\0{id_}")
    # Sorted before equal ones go: they come almost in order, which a set would lose.
    names.sort()
    return hashlib.sha256("\n".join(dict.fromkeys(names)).encode()).hexdigest()


def _plain_identities(
    items: Sequence[bytes], fields: IdentityFields
) -> tuple[list[str | None], list[str | None]] | None:
    """Sources and ids where every record has both in the first place to look at; None where it is not so simple."""
    source_at = _SOURCE_AT["." in fields.source[0]]
    try:
        rows = _plain_reader(fields.id[0], fields.source[0]).decode(b"[" + b",".join(items) + b"]")
        ids = [row.id for row in rows]
        sources = list(map(source_at, rows))
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None  # a float, half a surrogate pair, a number of thousands of digits
    # An id of 0 is no plain one, since it may be -0.
    has_both = len(rows) == len(items) and all(ids) and all(sources)
    if not has_both or any(row.folded for row in rows):
        return None
    try:
        return sources, list(map(str, ids))
    except ValueError:
        return None  # a number of thousands of digits


@cache
def _plain_reader(id_: str, source: str) -> msgspec.json.Decoder[list[Any]]:
    """A decoder of records' `id` and `source`, the latter perhaps inside of an object.

    `folded` is what a record has under the dotted name itself.
    """
    outer, _, inner = source.partition(".")
    kind = (
        msgspec.defstruct("Inner", [("source", str, msgspec.field(name=inner))], gc=False)
        if inner
        else str
    )
    members = [
        ("id", str | int, msgspec.field(name=id_)),
        ("source", kind, msgspec.field(name=outer)),
        ("folded", msgspec.Raw, msgspec.field(name=f"{outer}.{inner}", default=_NOTHING)),
    ]
    return msgspec.json.Decoder(list[msgspec.defstruct("Plain", members, gc=False)])  # type: ignore[misc]  # made at run time


def _identities(fields: RecordFields, name: str) -> list[str | None]:
    """Only strings and numbers are identities."""
    values, literals = fields.value_list(name), fields.literal_list(name)
    return [
        value if literal[:1] in _BEGINNINGS else None
        for value, literal in zip(values, literals, strict=True)
    ]


def _first_filled(columns: Sequence[Sequence[str | None]], rows: int) -> list[str | None]:
    if len(columns) == 1:
        return [value or None for value in columns[0]]
    if not columns:
        return [None] * rows
    return [next(filter(None, values), None) for values in zip(*columns, strict=True)]


def pack_page(records: Identified) -> bytes:
    """What the file holds."""
    packer = zstandard.ZstdCompressor(level=1)
    names = packer.compress(msgspec.msgpack.encode((records.sources, records.ids)))
    length = len(names).to_bytes(_LENGTH_BYTES, "big")
    return length + names + packer.compress(msgspec.msgpack.encode(records.items))


def unpack_names(data: bytes) -> tuple[list[str | None], list[str | None]]:
    """The sources and the ids in a page's file."""
    return _NAMES.decode(_unpack(data[_LENGTH_BYTES : _end_of_names(data)]))


def unpack_items(data: bytes) -> list[bytes]:
    """The records in a page's file."""
    return _ITEMS.decode(_unpack(data[_end_of_names(data) :]))


def is_page_file(path: Path) -> bool:
    """Whether a file in the folder of pages holds a page's records, whole or not."""
    return path.suffix == PAGE


def read_page_file(path: Path) -> Identified | None:
    """The records in a page's file, whatever the journal says of it; None where it is not whole."""
    try:
        data = path.read_bytes()
        sources, ids = unpack_names(data)
        items = unpack_items(data)
        is_whole = len(sources) == len(ids) == len(items) and all(map(_is_utf8, items))
    except (OSError, ValueError, MemoryError, msgspec.MsgspecError, zstandard.ZstdError):
        return None
    if is_whole:
        return Identified([0] * len(items), sources, ids, items)
    return None


def _end_of_names(data: bytes) -> int:
    return _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "big")


def _unpack(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def _is_utf8(item: bytes) -> bool:
    try:
        item.decode()
    except UnicodeDecodeError:
        return False
    return True
