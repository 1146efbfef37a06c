"""One page of records as a frame of text columns: pure, and tolerant of any single record.

Identity and columns are read from the JSON text itself, so that no number passes through a float and nothing is lost
that a type would not hold. What cannot be read as an object keeps its text in `_raw` and has no fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import polars as pl

from migrate.snapshot import scan

OWN_COLUMNS = ("_source", "_id", "_page", "_raw")
MAX_COLUMNS = 1_000
MAX_DEPTH = 16
# `_position` is not stored, but readers add it; a field of that name must not be shadowed.
_RESERVED = frozenset({"source", "id", "page", "raw", "position"})
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
Members = Mapping[str, bytes | msgspec.Raw]


@dataclass(frozen=True)
class IdentityFields:
    """Where a resource keeps its identity: names in the order they are tried; `source` may use dotted names."""

    id: tuple[str, ...]
    source: tuple[str, ...]
    updated: tuple[str, ...]


@dataclass(frozen=True)
class ParsedPage:
    """A page as a frame, and what was noticed on the way.

    **Shape**: `frame` has one row per record in the order sent: `_source`, `_id`, `_page`, `_raw`, then text columns.
    `identities_sha256` is the digest of the set of identities, in any order; equal digests mean the same records.
    """

    frame: pl.DataFrame
    identities_sha256: str
    unparsed: int
    shared_names: tuple[str, ...]
    unlisted_fields: int


class _Columns:
    """The page's fields as JSON literals by column; None where a record does not have the field."""

    def __init__(self) -> None:
        self.literals: dict[str, list[str | None]] = {}
        self.unlisted: set[str] = set()
        self.shared: set[str] = set()
        self.unparsed = 0
        self._known: dict[str, dict[str, list[str | None] | None]] = {}

    def add_level(self, level: list[tuple[int, str, Members]]) -> list[tuple[int, str, Members]]:
        """Takes the fields of objects, given with their row and prefix; gives back the objects found in them.

        This is the innermost loop of an extract: a field costs a quarter of a microsecond, most of it in `str`.
        """
        deeper: list[tuple[int, str, Members]] = []
        for row, prefix, members in level:
            known = self._known.setdefault(prefix, {})
            for key, raw in members.items():
                try:
                    column = known[key]
                except KeyError:
                    column = known[key] = self._column(column_name(prefix + key))
                if column is None:
                    continue
                text = str(raw, "utf-8")
                if text[0] == "{":
                    deeper.append((row, f"{column_name(prefix + key)}.", _members_of(bytes(raw)) or {}))
                missing = row - len(column)
                if missing >= 0:
                    if missing:
                        column.extend([None] * missing)
                    column.append(text)
                elif column[row] is None:
                    column[row] = text
                else:
                    self.shared.add(prefix + key)
        return deeper

    def _column(self, name: str) -> list[str | None] | None:
        if name not in self.literals and len(self.literals) >= MAX_COLUMNS:
            self.unlisted.add(name)
            return None
        return self.literals.setdefault(name, [])

    def values(self, rows: int) -> pl.DataFrame:
        """The columns with strings decoded and null for absent and null alike."""
        literals = {
            name: pl.Series(column + [None] * (rows - len(column)), dtype=pl.String)
            for name, column in self.literals.items()
        }
        frame = pl.DataFrame(literals)
        if not literals:
            return frame
        escaped = frame.select(pl.all().str.contains("\\", literal=True).any()).row(0)
        # No literal but a string begins or ends with a quote, so taking one off leaves all others alone.
        plain = frame.select(
            pl.when(pl.col(name) != "null").then(pl.col(name).str.strip_prefix('"').str.strip_suffix('"')).alias(name)
            for name in literals
        )
        decoded = [
            pl.Series(name, [self._value(literal) for literal in literals[name]], dtype=pl.String)
            for name, has_escapes in zip(literals, escaped, strict=True)
            if has_escapes
        ]
        return plain.with_columns(decoded)

    def _value(self, literal: str | None) -> str | None:
        if literal is None or literal == "null":
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


def parse_page(number: int, items: Sequence[bytes], fields: IdentityFields) -> ParsedPage:
    """The page's records as text columns; see ParsedPage. `items` are valid UTF-8."""
    columns = _Columns()
    level: list[tuple[int, str, Members]] = []
    for row, item in enumerate(items):
        members = _members_of(item)
        columns.unparsed += members is None
        level.append((row, "", members or {}))
    for _ in range(MAX_DEPTH):
        level = columns.add_level(level)
    values = columns.values(len(items))
    own = _own_columns(number, items, values, columns.literals, fields)
    return ParsedPage(
        pl.concat([own, values], how="horizontal") if values.width else own,
        _digest(own),
        columns.unparsed,
        tuple(sorted(columns.shared)),
        len(columns.unlisted),
    )


def column_name(name: str) -> str:
    """The column of a field: its own name, with one more underscore where it would collide with a column of ours."""
    return f"_{name}" if name[:1] == "_" and name.lstrip("_") in _RESERVED else name


def _members_of(item: bytes) -> Members | None:
    try:
        return _MEMBERS.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {name: value.encode() for name, value in scan.split_object(item.decode()).items()}
    except ValueError:
        return None


def _own_columns(
    number: int,
    items: Sequence[bytes],
    values: pl.DataFrame,
    literals: Mapping[str, list[str | None]],
    fields: IdentityFields,
) -> pl.DataFrame:
    sources = [values[name] for name in fields.source if name in literals]
    ids = [_identity(values[name], literals[name]) for name in fields.id if name in literals]
    return pl.DataFrame(
        {
            "_source": _first_filled(sources, len(items)),
            "_id": _first_filled(ids, len(items)),
            "_page": pl.Series([number] * len(items), dtype=pl.Int64),
            "_raw": pl.Series([item.decode() for item in items], dtype=pl.String),
        }
    )


def _identity(values: pl.Series, literals: Sequence[str | None]) -> pl.Series:
    """Only strings and numbers are identities."""
    written = pl.Series([*literals, *[None] * (len(values) - len(literals))], dtype=pl.String)
    return values.zip_with(written.str.contains('^["0-9-]').fill_null(False), pl.Series([None], dtype=pl.String))


def _first_filled(columns: Sequence[pl.Series], rows: int) -> pl.Series:
    found = pl.Series([None] * rows, dtype=pl.String)
    for column in reversed(columns):
        found = column.zip_with((column != "").fill_null(False), found)
    return found


def _digest(own: pl.DataFrame) -> str:
    def identities() -> Iterator[str]:
        for source, id_, _, raw in own.iter_rows():
            yield hashlib.sha256(raw.encode()).hexdigest() if id_ is None else f"{source}\0{id_}"

    return hashlib.sha256("\n".join(sorted(set(identities()))).encode()).hexdigest()
