"""Settled records put into the ledger's tables: each with its losses, and the masterids that it has merged away."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Sequence

from migrate.load.ledger_rows import RecordRow, Verdicts, gone_of, losses_of, once_created, row_of

_ADD_LOSS = (
    "INSERT INTO losses VALUES (?, ?, ?, ?)"
    " ON CONFLICT (dataset, kind, column_name) DO UPDATE SET records = records + excluded.records"
)
_ADD_MERGE = (
    "INSERT OR IGNORE INTO merges (dataset, gone, survivor, batch, position, renamed)"
    " SELECT ?, ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM merged_before WHERE dataset = ? AND gone = ?)"
)


def make_records(
    db: sqlite3.Connection, dataset: int, batch: int, verdicts: Verdicts, now: float
) -> list[RecordRow]:
    """The rows of some verdicts; a record that was written before is an update, whatever its answer calls it."""
    rows = [row_of(dataset, batch, verdict, change, now) for verdict, change in verdicts]
    query = "SELECT masterid FROM records WHERE dataset = ? AND masterid IN (SELECT value FROM json_each(?))"
    masterids = json.dumps([row.masterid for row in rows if row.masterid])
    known = {known_row[0] for known_row in db.execute(query, (dataset, masterids))}
    return list(once_created(rows, known))


def add_records(
    db: sqlite3.Connection, dataset: int, rows: Sequence[RecordRow], continued: Collection[str]
) -> int:
    """Keeps the rows, within a transaction that is open; gives the masterids newly merged away.

    `continued`: ids that are gone without a record less.
    """
    marks = ", ".join("?" for _ in RecordRow._fields)
    columns = ", ".join(RecordRow._fields)
    db.executemany(f"INSERT INTO records ({columns}) VALUES ({marks})", rows)  # noqa: S608  fixed names
    losses = losses_of(rows).items()
    db.executemany(_ADD_LOSS, [(dataset, kind, name, count) for (kind, name), count in losses])
    gone = gone_of(rows)
    # An id that gave way to a new one of the same record is no record less, so it is no merge.
    renamed = [(*row, 1, *row[:2]) for row in gone if row[1] in continued]
    db.executemany(_ADD_MERGE, renamed)
    before = db.total_changes
    db.executemany(_ADD_MERGE, [(*row, 0, *row[:2]) for row in gone if row[1] not in continued])
    return db.total_changes - before
