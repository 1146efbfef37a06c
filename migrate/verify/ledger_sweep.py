"""One person out of the ledger: every table and column, whatever later versions of it keep.

The tables are asked for what they are instead of being known by heart, so that a table that somebody adds cannot be
forgotten here.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.errors import WorkspaceError
from migrate.privacy.frames import mask_of
from migrate.privacy.person import Person
from migrate.privacy.spellings import Finder

ERASED = "(erased)"
_ROWS_AT_ONCE = 50_000
_RANDOM = "hex(randomblob(16))"
# What was merged away is counted; only which one it was is the person's.
_COUNTED_BY_KEY = frozenset({"merges", "merged_before"})
_EMPTY_KEY = {("records", "key"): "''", ("merges", "survivor"): "''"}


@dataclass(frozen=True)
class _Column:
    name: str
    is_text: bool
    is_needed: bool
    place_in_key: int


@dataclass(frozen=True)
class _Table:
    name: str
    columns: tuple[_Column, ...]
    has_rowid: bool

    @property
    def key(self) -> tuple[str, ...]:
        """What names a row."""
        if self.has_rowid:
            return ("rowid",)
        keyed = [column for column in self.columns if column.place_in_key]
        return tuple(column.name for column in sorted(keyed, key=lambda one: one.place_in_key))


Hit = tuple[tuple[object, ...], frozenset[str]]
"""A row by its key, and the columns that say something of the person; none of them: the whole row is theirs."""


def sweep_ledger(
    ledger: Path,
    person: Person,
    finder: Finder,
    resources: Mapping[str, Sequence[str]],
    *,
    dry_run: bool,
) -> dict[str, int]:
    """How many rows of each table say something of the person; without `dry_run` they are emptied or removed.

    `resources`: what each dataset is made of. The caller holds the ledger's lock. **Guarantees**: nothing of what was
    emptied stays in free pages or in SQLite's journals.
    """
    if not ledger.exists():
        return {}
    counts: dict[str, int] = {}
    with open_to_erase(ledger) as connection:
        with connection:
            for table in _tables(connection):
                # All before the first change: a cursor over rows that change may give one twice or never.
                hits = list(_hits(connection, table, person, finder, resources))
                if hits:
                    counts[table.name] = len(hits)
                if not dry_run:
                    for hit in hits:
                        _empty(connection, table, hit)
        if not dry_run:
            forget_old_pages(connection)
    return counts


def forget_old_pages(connection: sqlite3.Connection) -> None:
    """Writes the whole file anew and empties its journal."""
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextlib.contextmanager
def open_to_erase(ledger: Path) -> Iterator[sqlite3.Connection]:
    """The ledger, opened so that what is deleted is overwritten. Raises WorkspaceError where it cannot be purged."""
    try:
        with contextlib.closing(sqlite3.connect(ledger, timeout=5)) as connection:
            connection.execute("PRAGMA secure_delete = ON")
            yield connection
    except sqlite3.Error as error:
        raise WorkspaceError(
            f"the ledger {ledger} cannot be purged: {error}", hint="migrate status"
        ) from None


def _tables(connection: sqlite3.Connection) -> list[_Table]:
    listed = connection.execute("PRAGMA table_list").fetchall()
    tables = []
    for _schema, name, kind, _columns, without_rowid, _strict in listed:
        if kind == "table" and not str(name).startswith("sqlite_"):
            described = connection.execute(f"PRAGMA table_info({_quoted(name)})").fetchall()
            columns = tuple(
                _Column(column, type_ in ("TEXT", "BLOB", "ANY", ""), bool(needed), place)
                for _number, column, type_, needed, _default, place in described
            )
            # A table without row ids has its key for a name, whatever columns that has.
            tables.append(_Table(name, columns, not without_rowid))
    return tables


def _hits(
    connection: sqlite3.Connection,
    table: _Table,
    person: Person,
    finder: Finder,
    resources: Mapping[str, Sequence[str]],
) -> Iterator[Hit]:
    texts = [column.name for column in table.columns if column.is_text]
    if not texts:
        return
    names = [*table.key, *texts]
    cursor = connection.execute(f"SELECT {_list(names)} FROM {_quoted(table.name)}")  # noqa: S608  its own names
    datasets = _dataset_names(connection)
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        keys = [row[: len(table.key)] for row in rows]
        cells = {
            name: pl.Series(name, [_text(row[at]) for row in rows], dtype=pl.String)
            for at, name in enumerate(names)
            if at >= len(table.key)
        }
        hits = {
            name: mask_of(column.to_frame(), finder).to_list() for name, column in cells.items()
        }
        identified = _identified(cells, person, resources)
        keyed = _keyed(table, connection, rows, names, person, datasets)
        for at, key in enumerate(keys):
            columns = frozenset(name for name in texts if hits[name][at])
            if identified[at]:
                yield key, frozenset()
            elif columns or keyed[at]:
                yield key, columns | keyed[at]


def _identified(
    cells: Mapping[str, pl.Series], person: Person, resources: Mapping[str, Sequence[str]]
) -> list[bool]:
    """Which rows name one of the person's records by source and id."""
    rows = len(next(iter(cells.values())))
    if not {"source", "id"} <= set(cells):
        return [False] * rows
    known: dict[tuple[str, str], set[str]] = {}
    for resource, source, id_ in person.identities:
        known.setdefault((source or "", id_), set()).add(resource)
    identified = []
    for at in range(rows):
        of = known.get((cells["source"][at] or "", cells["id"][at] or ""), set())
        dataset = cells["dataset"][at] if "dataset" in cells else None
        says = cells["resource"][at] if "resource" in cells else None
        if says:
            possible = {says}
        else:
            possible = set(resources.get(dataset or "", of))
        identified.append(bool(of & possible))
    return identified


def _keyed(
    table: _Table,
    connection: sqlite3.Connection,
    rows: Sequence[Sequence[object]],
    names: Sequence[str],
    person: Person,
    datasets: Mapping[object, str],
) -> list[frozenset[str]]:
    """Which columns of a table of a dataset's records hold a key or masterid of the person, however short it is."""
    wanted = [name for name in ("key", "masterid", "gone", "survivor") if name in names]
    own = {column.name for column in table.columns}
    if not wanted or "dataset" not in own:
        return [frozenset()] * len(rows)
    # An undo's records have the masterid for a key.
    known = person.keys | person.masterids
    numbers = _dataset_column(table, connection, rows, names)
    places = {name: names.index(name) for name in wanted}
    return [
        frozenset(
            name
            for name, place in places.items()
            if (datasets.get(number, str(number)), str(row[place])) in known
        )
        for row, number in zip(rows, numbers, strict=True)
    ]


def _dataset_column(
    table: _Table,
    connection: sqlite3.Connection,
    rows: Sequence[Sequence[object]],
    names: Sequence[str],
) -> list[object]:
    if "dataset" in names:
        place = names.index("dataset")
        return [row[place] for row in rows]
    query = f"SELECT dataset FROM {_quoted(table.name)} WHERE rowid = ?"  # noqa: S608  its own names
    return [connection.execute(query, (row[0],)).fetchone()[0] for row in rows]


def _dataset_names(connection: sqlite3.Connection) -> dict[object, str]:
    try:
        return dict(connection.execute("SELECT id, name FROM datasets").fetchall())
    except sqlite3.Error:
        return {}


def _empty(connection: sqlite3.Connection, table: _Table, hit: Hit) -> None:
    key, columns = hit
    # IS instead of =, which finds no row where a part of its key is NULL.
    where = " AND ".join(f"{_quoted(name)} IS ?" for name in table.key)
    remove = f"DELETE FROM {_quoted(table.name)} WHERE {where}"  # noqa: S608  its own names
    changes = {
        column.name: _emptied(table, column) for column in table.columns if column.name in columns
    }
    if table.name == "records" and columns & {"key", "masterid"}:
        # Whatever else stands there of a record of theirs is theirs as well.
        personal = ("masterid", "merged_from", "error", "stored")
        there = {column.name for column in table.columns}
        changes = {"key": "''", **{name: "NULL" for name in personal if name in there}}
    if not columns or None in changes.values():
        connection.execute(remove, key)
        return
    sets = ", ".join(f"{_quoted(name)} = {value}" for name, value in changes.items())
    try:
        connection.execute(f"UPDATE {_quoted(table.name)} SET {sets} WHERE {where}", key)  # noqa: S608  its own names
    # Emptied, it would have the key of another row.
    except sqlite3.IntegrityError:
        connection.execute(remove, key)


def _emptied(table: _Table, column: _Column) -> str | None:
    """What stands in a column's place, None where the row has to go."""
    empty = _EMPTY_KEY.get((table.name, column.name))
    if empty is not None:
        return empty
    if column.place_in_key:
        return _RANDOM if table.name in _COUNTED_BY_KEY else None
    if column.is_needed:
        return _emptied_text(_quoted(column.name))
    return "NULL"


def _emptied_text(cell: str) -> str:
    """What a text that has to be there becomes; who reads JSON from it still finds a list or an object."""
    kind = f"CASE WHEN json_valid({cell}) THEN json_type({cell}) END"
    return f"CASE {kind} WHEN 'array' THEN '[]' WHEN 'object' THEN '{{}}' ELSE '{ERASED}' END"


def _text(cell: object) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell)


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
