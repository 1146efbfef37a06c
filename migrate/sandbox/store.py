"""The sandbox's memory on disk: one SQLite file, written before an answer goes out.

**Guarantees**: what was acknowledged survives the death of the process at any moment.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from migrate.errors import UsageError
from migrate.sandbox.datatrics import Record
from migrate.sandbox.datatrics_routes import Change
from migrate.sandbox.octolis import Row
from migrate.sandbox.octolis_routes import RowChange

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  resource TEXT NOT NULL, source TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY (resource, source, id)) STRICT;
CREATE TABLE IF NOT EXISTS rows (
  dataset TEXT NOT NULL, masterid TEXT NOT NULL, sequence INTEGER NOT NULL, data BLOB NOT NULL, merged TEXT NOT NULL,
  created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, PRIMARY KEY (dataset, masterid)) STRICT;
CREATE TABLE IF NOT EXISTS webhooks (n INTEGER PRIMARY KEY, id TEXT NOT NULL, body BLOB NOT NULL) STRICT;
"""


class Store:
    """Keeps changes; `path` None keeps nothing, for a sandbox that lives in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._connection = None if path is None else _connect(path)

    def save_changes(self, changes: list[Change]) -> None:
        """Keeps changes of Datatrics records."""
        if self._connection is None:
            return
        kept = [
            (c.table, *c.identity, c.record.sequence, c.record.data)
            for c in changes
            if c.record is not None
        ]
        gone = [(c.table, *c.identity) for c in changes if c.record is None]
        with self._connection as connection:
            connection.executemany(
                "DELETE FROM records WHERE resource = ? AND source = ? AND id = ?", gone
            )
            connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)", kept)

    def save_rows(self, changes: list[RowChange]) -> None:
        """Keeps changes of Octolis rows."""
        if self._connection is None or not changes:
            return
        with self._connection as connection:
            for change in changes:
                if change.removed:
                    gone = [(change.dataset, masterid) for masterid in change.removed]
                    connection.executemany(
                        "DELETE FROM rows WHERE dataset = ? AND masterid = ?", gone
                    )
            removed = set(chain.from_iterable(change.removed for change in changes))
            # A row that a later record of the same batch has merged away is not put back.
            kept = [_row_values(c.dataset, c.row) for c in changes if c.row.masterid not in removed]
            connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)", kept)

    def save_webhook(self, webhook_id: str, body: bytes) -> None:
        """Keeps what a webhook received."""
        if self._connection is not None:
            with self._connection as connection:
                connection.execute(
                    "INSERT INTO webhooks (id, body) VALUES (?, ?)", (webhook_id, body)
                )

    def records(self, resource: str) -> Iterator[tuple[tuple[str, str], Record]]:
        """The kept records of a resource, in order of arrival."""
        query = (
            "SELECT source, id, sequence, data FROM records WHERE resource = ? ORDER BY sequence"
        )
        for name, record_id, sequence, data in self._select(query, resource):
            source = sys.intern(name)
            yield (source, record_id), Record(sequence, source, data)

    def rows(self, dataset: str) -> Iterator[Row]:
        """The kept rows of a dataset, in order of modification."""
        fields = "sequence, masterid, data, merged, created_ms, updated_ms"
        query = f"SELECT {fields} FROM rows WHERE dataset = ? ORDER BY sequence"  # noqa: S608 - fixed names
        for sequence, masterid, data, merged, created_ms, updated_ms in self._select(
            query, dataset
        ):
            yield Row(sequence, masterid, data, tuple(json.loads(merged)), created_ms, updated_ms)

    def webhooks(self) -> list[tuple[str, bytes]]:
        """What the webhooks received, oldest first."""
        return [
            (name, body) for name, body in self._select("SELECT id, body FROM webhooks ORDER BY n")
        ]

    def clear(self) -> None:
        """Forgets everything."""
        if self._connection is not None:
            with self._connection as connection:
                for table in ("records", "rows", "webhooks"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - three fixed names

    def close(self) -> None:
        """Closes the file."""
        if self._connection is not None:
            self._connection.close()

    def _select(self, query: str, *parameters: str) -> Iterator[tuple[Any, ...]]:
        if self._connection is None:
            return iter(())
        return self._connection.execute(query, parameters)


def _connect(path: Path) -> sqlite3.Connection:
    """WAL without a sync at each commit: the death of the process loses nothing, only that of the machine might."""
    try:
        _make_private(path)
        # Opened by whoever starts the sandbox, used by its server's one thread.
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(SCHEMA)
    except (sqlite3.Error, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"{path}: cannot be used as the sandbox's file: {reason}", hint="give another --db"
        ) from None
    return connection


def _make_private(path: Path) -> None:
    """Makes the file, or takes one that is there, so that only its owner may read it; SQLite's journals follow it."""
    # Not through a link, and without waiting for the other end of a pipe; where the system knows of either.
    careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | careful, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        if os.name == "posix":
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _row_values(dataset: str, row: Row) -> tuple[object, ...]:
    merged = json.dumps(row.merged)
    return (dataset, row.masterid, row.sequence, row.values, merged, row.created_ms, row.updated_ms)
