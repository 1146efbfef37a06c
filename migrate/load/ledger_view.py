"""Reading the ledger: for status, reconcile, the crosswalk and the loader's own sums. Changes nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from migrate.load import ledger_schema
from migrate.load.totals import Failure, SettledRecord, Totals

_TOTALS = """
SELECT d.name,
       coalesce(sum(b.rows), 0) AS planned,
       coalesce(sum(CASE WHEN b.requests > 0 THEN b.rows END), 0) AS sent,
       coalesce(sum(b.written), 0) AS written,
       coalesce(sum(b.created), 0) AS created,
       (SELECT count(*) FROM merges m WHERE m.dataset = d.id) AS merged,
       coalesce(sum(b.rejected), 0) AS rejected,
       coalesce(sum(CASE WHEN b.state = 'deferred' THEN b.rows - b.written - b.rejected END), 0) AS deferred,
       coalesce(sum(b.protected), 0) AS protected,
       coalesce(sum(b.altered), 0) AS altered,
       coalesce(sum(b.requests), 0) AS requests,
       coalesce(sum(b.throttled), 0) AS throttled_429,
       coalesce(sum(b.busy), 0) AS busy_423,
       d.seconds AS seconds,
       count(b.batch) AS batches,
       coalesce(sum(b.state = 'acked'), 0) AS batches_done,
       d.count_before, d.server_time
FROM plans p JOIN datasets d ON d.plan = p.id LEFT JOIN batches b ON b.dataset = d.id
WHERE p.name = ?
GROUP BY d.id ORDER BY d.place
"""


def read_totals(connection: sqlite3.Connection, plan: str) -> dict[str, Totals]:
    """The sums of each dataset of `plan`, in the plan's order; empty for a plan that was never loaded."""
    cursor = connection.execute(_TOTALS, (plan,))
    names = [column[0] for column in cursor.description]
    return {row[0]: _totals(dict(zip(names[1:], row[1:], strict=True))) for row in cursor}


def _totals(values: dict[str, int]) -> Totals:
    still_open = values["planned"] - values["written"] - values["rejected"] - values["deferred"]
    return Totals(**values, updated=values["written"] - values["created"], open=still_open)


class LedgerView:
    """A ledger opened for reading, also while a load writes to it. Raises Damaged, WorkspaceError like the ledger."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._connection = ledger_schema.connect_read_only(file)

    def __enter__(self) -> LedgerView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def plans(self) -> list[str]:
        """The names of all plans that were begun, oldest first."""
        with ledger_schema.translated(self.file):
            return [str(row[0]) for row in self._connection.execute("SELECT name FROM plans ORDER BY id")]

    def totals(self, plan: str) -> dict[str, Totals]:
        """The sums of each dataset of `plan`, in the plan's order; empty for a plan that was never loaded."""
        with ledger_schema.translated(self.file):
            return read_totals(self._connection, plan)

    def settled(self, plan: str, dataset: str, state: str | None = None) -> Iterator[SettledRecord]:
        """Every record that is written or rejected, in sending order; read as it is asked for."""
        query = (
            "SELECT r.batch, r.position, r.key, r.state, r.change, r.masterid, r.protected, r.altered, r.status,"
            " r.error, r.settled_at FROM records r JOIN datasets d ON d.id = r.dataset JOIN plans p ON p.id = d.plan"
            " WHERE p.name = ? AND d.name = ? AND (? IS NULL OR r.state = ?) ORDER BY r.batch, r.position"
        )
        with ledger_schema.translated(self.file):
            for row in self._connection.execute(query, (plan, dataset, state, state)):
                batch, position, key, found, change, masterid, protected, altered, status, error, at = row
                names = _names(protected), _names(altered)
                yield SettledRecord(batch, position, key, found, change, masterid, *names, status, error, at)

    def survivors(self, plan: str, dataset: str) -> dict[str, str]:
        """For every masterid that a merge of this plan ended, the one that took its place."""
        query = (
            "SELECT m.gone, m.survivor FROM merges m JOIN datasets d ON d.id = m.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND d.name = ?"
        )
        with ledger_schema.translated(self.file):
            return dict(self._connection.execute(query, (plan, dataset)).fetchall())

    def failures(self, plan: str) -> list[Failure]:
        """The requests that failed, oldest first."""
        query = (
            "SELECT f.at, d.name, f.batch, f.status, f.reason, f.request_id, f.traceparent, f.payload_sha256"
            " FROM failures f JOIN datasets d ON d.id = f.dataset JOIN plans p ON p.id = d.plan"
            " WHERE p.name = ? ORDER BY f.id"
        )
        with ledger_schema.translated(self.file):
            return [Failure(*row) for row in self._connection.execute(query, (plan,))]


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text)) if text else ()
