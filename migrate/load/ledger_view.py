"""Reading the ledger: for status, reconcile, the crosswalk and the loader's own sums. Changes nothing."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from migrate.load import ledger_schema
from migrate.load.handover import HandedFile, Handover, read_handed_files, read_handovers
from migrate.load.ledger_facts import (
    Discard,
    PastEvent,
    RunRecord,
    read_changed_target,
    read_discards,
    read_events,
    read_overtaking,
    read_put_back,
    read_runs,
    read_shipments,
    read_undone,
)
from migrate.load.lessons import CanaryVerdict, verdict_of
from migrate.load.standing import PlanFacts
from migrate.load.totals import CountMark, Failure, SettledRecord, Totals

_TOTALS = """
SELECT d.name,
       coalesce(sum(b.rows), 0) AS planned,
       coalesce(sum(CASE WHEN b.requests > 0 THEN b.rows END), 0) AS sent,
       coalesce(sum(b.written), 0) AS written,
       coalesce(sum(b.created), 0) AS created,
       (SELECT count(*) FROM merges m WHERE m.dataset = d.id AND m.renamed = 0) AS merged,
       coalesce(sum(b.rejected), 0) AS rejected,
       coalesce(sum(b.waiting), 0) AS waiting,
       coalesce(sum(CASE WHEN b.state = 'deferred' THEN b.rows - b.written - b.rejected - b.waiting END), 0)
           AS deferred,
       coalesce(sum(b.protected), 0) AS protected,
       coalesce(sum(b.altered), 0) AS altered,
       coalesce(sum(b.requests), 0) AS requests,
       coalesce(sum(b.throttled), 0) AS throttled_429,
       coalesce(sum(b.busy), 0) AS busy_423,
       d.seconds AS seconds,
       count(b.batch) AS batches,
       coalesce(sum(b.state = 'acked'), 0) AS batches_done,
       d.count_before, d.server_time,
       coalesce(sum(CASE WHEN b.state IN ('unknown', 'sending')
                         THEN b.rows - b.written - b.rejected - b.waiting END), 0) AS unknown,
       d.busy_s AS busy_s,
       coalesce(sum(b.readbacks), 0) AS readbacks,
       d.target AS target,
       coalesce(sum(CASE WHEN d.target = 'webhook' AND b.doubts > 0 THEN b.written END), 0) AS repeated,
       coalesce(sum(CASE WHEN b.handover IS NOT NULL AND b.state <> 'acked'
                         THEN b.rows - b.written - b.rejected - b.waiting END), 0) AS handed_over
FROM plans p JOIN datasets d ON d.plan = p.id LEFT JOIN batches b ON b.dataset = d.id
WHERE p.name = ?
GROUP BY d.id ORDER BY d.place
"""


_LOSSES = """
SELECT d.name, l.kind, l.column_name, l.records
FROM plans p JOIN datasets d ON d.plan = p.id JOIN losses l ON l.dataset = d.id
WHERE p.name = ? ORDER BY l.records DESC, l.column_name
"""


def read_totals(connection: sqlite3.Connection, plan: str) -> dict[str, Totals]:
    """The sums of each dataset of `plan`, in the plan's order; empty for a plan that was never loaded."""
    cursor = connection.execute(_TOTALS, (plan,))
    names = [column[0] for column in cursor.description]
    sums = {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cursor}
    losses: dict[tuple[str, str], dict[str, int]] = {}
    for dataset, kind, column, records in connection.execute(_LOSSES, (plan,)):
        losses.setdefault((dataset, kind), {})[column] = records
    return {
        name: _totals(
            values, losses.get((name, "protected"), {}), losses.get((name, "altered"), {})
        )
        for name, values in sums.items()
    }


def _totals(values: dict[str, Any], protected: dict[str, int], altered: dict[str, int]) -> Totals:
    ended = ("written", "rejected", "waiting", "deferred")
    still_open = values["planned"] - sum(values[name] for name in ended)
    # A webhook never says whether it made or changed a record.
    if values["target"] == "dataset":
        updated = values["written"] - values["created"]
    else:
        updated = 0
    return Totals(
        **values,
        updated=updated,
        open=still_open,
        protected_columns=protected,
        altered_columns=altered,
    )


class LedgerView:
    """A ledger opened for reading, also while a load writes to it. Raises Damaged, WorkspaceError like the ledger."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._connection = ledger_schema.connect_read_only(file)

    def __enter__(self) -> LedgerView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def facts(
        self, plan: str, dataset_ids: Collection[str], began_at: float | None, left: int
    ) -> PlanFacts:
        """What decides how a plan stands.

        `began_at`: when its making was begun, for a plan of an earlier version; `left`: records of
        it that are still to be sent.
        """
        with ledger_schema.translated(self.file):
            query = (
                "SELECT coalesce(sum(d.shipments), 0) FROM plans p LEFT JOIN datasets d ON d.plan = p.id"
                " WHERE p.name = ? GROUP BY p.id"
            )
            row = self._connection.execute(query, (plan,)).fetchone()
            return PlanFacts(
                is_begun=row is not None,
                sent=int(row[0]) if row else 0,
                left=left,
                overtaken_by=read_overtaking(self._connection, plan, dataset_ids, began_at),
                undone=read_undone(self._connection, plan),
                changed_target=read_changed_target(self._connection, plan),
                handed_over=sum(
                    one.left for one in read_handovers(self._connection, plan) if one.is_open
                ),
            )

    def shipments(self) -> dict[tuple[str, str], int]:
        """By dataset id and plan, the requests that were ever announced; a number that only grows."""
        with ledger_schema.translated(self.file):
            return read_shipments(self._connection)

    def put_back(self, dataset_id: str) -> dict[str, str]:
        """The masterids of records that hold what an undo gave them, with the plan that was undone."""
        with ledger_schema.translated(self.file):
            return read_put_back(self._connection, dataset_id)

    def runs(self) -> list[RunRecord]:
        """Every recorded command, oldest first."""
        with ledger_schema.translated(self.file):
            return read_runs(self._connection)

    def events(self, plan: str | None = None) -> list[PastEvent]:
        """What came over a plan, or over all of them, oldest first."""
        with ledger_schema.translated(self.file):
            return read_events(self._connection, plan)

    def discards(self, dataset: str | None = None) -> list[Discard]:
        """The records that every plan leaves out, of one dataset or of all."""
        with ledger_schema.translated(self.file):
            return read_discards(self._connection, dataset)

    def handovers(self, plan: str | None = None) -> list[Handover]:
        """What was handed over as files, of one plan or of all, oldest first."""
        with ledger_schema.translated(self.file):
            return read_handovers(self._connection, plan)

    def handed_files(self, handover: Handover) -> list[HandedFile]:
        """The files of a handover by name."""
        with ledger_schema.translated(self.file):
            return read_handed_files(self._connection, handover.number)

    def undone_by(self) -> dict[str, str]:
        """The plans that take another one back, with the name of that one."""
        with ledger_schema.translated(self.file):
            query = "SELECT name, undoes FROM plans WHERE undoes IS NOT NULL ORDER BY id"
            return dict(self._connection.execute(query).fetchall())

    def plans(self) -> list[str]:
        """The names of all plans that were begun, oldest first."""
        with ledger_schema.translated(self.file):
            return [
                str(row[0])
                for row in self._connection.execute("SELECT name FROM plans ORDER BY id")
            ]

    def totals(self, plan: str) -> dict[str, Totals]:
        """The sums of each dataset of `plan`, in the plan's order; empty for a plan that was never loaded."""
        with ledger_schema.translated(self.file):
            return read_totals(self._connection, plan)

    def settled(self, plan: str, dataset: str, state: str | None = None) -> Iterator[SettledRecord]:
        """Every record that is written, rejected or waits for another; in sending order, read as it is asked for."""
        query = (
            "SELECT r.batch, r.position, r.key, r.state, r.change, r.masterid, r.protected, r.altered, r.status,"
            " r.error, r.settled_at, r.stored FROM records r JOIN datasets d ON d.id = r.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND d.name = ? AND (? IS NULL OR r.state = ?)"
            " ORDER BY r.batch, r.position"
        )
        with ledger_schema.translated(self.file):
            # Row by row: a load may have settled millions of them.
            for row in self._connection.execute(query, (plan, dataset, state, state)):
                (
                    batch,
                    position,
                    key,
                    kept_state,
                    change,
                    masterid,
                    protected,
                    altered,
                    status,
                    error,
                    at,
                    stored,
                ) = row
                names = _names(protected), _names(altered)
                head = (batch, position, key, kept_state, change, masterid)
                yield SettledRecord(*head, *names, status, error, at, _names(stored))

    def with_losses(self, plan: str, dataset: str) -> Iterator[SettledRecord]:
        """The written records of which a column was not stored, or not as sent."""
        return (
            record
            for record in self.settled(plan, dataset, "written")
            if record.protected or record.altered
        )

    def unfinished(self, plan: str, dataset: str) -> list[tuple[int, str, frozenset[int]]]:
        """The batches that are not done: number, state and the positions that are settled all the same."""
        query = (
            "SELECT b.batch, b.state, (SELECT json_group_array(r.position) FROM records r"
            " WHERE r.dataset = b.dataset AND r.batch = b.batch) FROM batches b JOIN datasets d ON d.id = b.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND d.name = ? AND b.state <> 'acked' ORDER BY b.batch"
        )
        with ledger_schema.translated(self.file):
            rows = self._connection.execute(query, (plan, dataset)).fetchall()
        return [(batch, state, frozenset(json.loads(settled))) for batch, state, settled in rows]

    def reasons(self, plan: str, most: int) -> list[tuple[str, int]]:
        """The most frequent reasons why records were refused, with the number of records."""
        query = (
            "SELECT coalesce(r.error, ''), count(*) AS records FROM records r JOIN datasets d ON d.id = r.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND r.state = 'rejected'"
            " GROUP BY 1 ORDER BY records DESC, 1 LIMIT ?"
        )
        with ledger_schema.translated(self.file):
            return [
                (str(reason), int(count))
                for reason, count in self._connection.execute(query, (plan, most))
            ]

    def canaries(self, plan: str) -> dict[str, CanaryVerdict]:
        """The verdict on the canary of each dataset of a plan that had one."""
        query = (
            "SELECT d.name, c.verdict, c.masterids, c.told FROM canaries c"
            " JOIN datasets d ON d.id = c.dataset JOIN plans p ON p.id = d.plan WHERE p.name = ?"
        )
        with ledger_schema.translated(self.file):
            rows = self._connection.execute(query, (plan,)).fetchall()
        return {name: verdict_of(row) for name, *row in rows}

    def foreign_edits(self, plan: str) -> dict[str, tuple[int, int, int]]:
        """By dataset the records that others were seen to write around a plan's load.

        Those of the plan before it wrote them, those beside the plan, and those of the plan after it wrote them.
        """
        query = (
            "SELECT d.name, sum(f.planned - f.written), sum(1 - f.planned), sum(f.written) FROM foreign_edits f"
            " JOIN datasets d ON d.id = f.dataset JOIN plans p ON p.id = d.plan"
            " WHERE p.name = ? GROUP BY d.name"
        )
        with ledger_schema.translated(self.file):
            rows = self._connection.execute(query, (plan,)).fetchall()
        return {name: (planned, others, written) for name, planned, others, written in rows}

    def busy_datasets(self, plan: str) -> list[str]:
        """The datasets that answered last that they are busy (423), and have rows left for this load."""
        query = (
            "SELECT d.name FROM datasets d JOIN plans p ON p.id = d.plan WHERE p.name = ?"
            # Busy only as long as nothing was taken since: a failure stays in the table for good.
            " AND (SELECT f.status FROM failures f WHERE f.dataset = d.id ORDER BY f.id DESC LIMIT 1) = 423"
            " AND (SELECT max(f.at) FROM failures f WHERE f.dataset = d.id) >"
            " (SELECT coalesce(max(b.changed_at), 0) FROM batches b WHERE b.dataset = d.id AND b.state = 'acked')"
            " AND EXISTS (SELECT 1 FROM batches b WHERE b.dataset = d.id AND b.state NOT IN ('acked', 'deferred'))"
            " ORDER BY d.place"
        )
        with ledger_schema.translated(self.file):
            return [row[0] for row in self._connection.execute(query, (plan,))]

    def foreign_records(self, plan: str, dataset: str) -> list[tuple[str, bool, bool, float]]:
        """The same one by one: masterid, whether the plan sends it, whether it had, and when it was seen.

        **Units**: seconds since 1970.
        """
        query = (
            "SELECT f.masterid, f.planned, f.written, f.seen_at FROM foreign_edits f"
            " JOIN datasets d ON d.id = f.dataset JOIN plans p ON p.id = d.plan"
            " WHERE p.name = ? AND d.name = ? ORDER BY f.seen_at, f.masterid"
        )
        with ledger_schema.translated(self.file):
            rows = self._connection.execute(query, (plan, dataset)).fetchall()
        return [(who, bool(planned), bool(written), at) for who, planned, written, at in rows]

    def count_marks(self, plan: str, dataset: str) -> list[CountMark]:
        """What was counted in the middle of the load, oldest first."""
        query = (
            "SELECT c.batches_done, c.count, c.least, c.most FROM count_marks c JOIN datasets d ON d.id = c.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND d.name = ? ORDER BY c.id"
        )
        with ledger_schema.translated(self.file):
            return [CountMark(*row) for row in self._connection.execute(query, (plan, dataset))]

    def states(
        self, plan: str, dataset: str, places: Iterable[tuple[int, int]]
    ) -> list[tuple[int, int, str]]:
        """Those of some records that are settled: batch, position and `written`, `rejected` or `waiting`."""
        # CROSS JOIN is SQLite's word for: in this order. Each place is looked up, and not looked for in all records.
        query = (
            "SELECT r.batch, r.position, r.state FROM plans p JOIN datasets d ON d.plan = p.id"
            " CROSS JOIN json_each(?) asked CROSS JOIN records r ON r.dataset = d.id"
            " AND r.batch = json_extract(asked.value, '$[0]')"
            " AND r.position = json_extract(asked.value, '$[1]') WHERE p.name = ? AND d.name = ?"
        )
        asked = json.dumps([list(place) for place in places])
        with ledger_schema.translated(self.file):
            return self._connection.execute(query, (asked, plan, dataset)).fetchall()

    def reject_marks(self, plan: str, rejects: Iterable[str]) -> list[tuple[str, str, str]]:
        """Those of some rejects that were discarded or replayed: name, mark and note."""
        query = (
            "SELECT m.reject, m.mark, m.note FROM json_each(?) asked"
            " CROSS JOIN reject_marks m ON m.plan = ? AND m.reject = asked.value"
        )
        with ledger_schema.translated(self.file):
            return self._connection.execute(query, (json.dumps(list(rejects)), plan)).fetchall()

    def discard_marks(self, plan: str, *, only_old: bool = False) -> dict[str, str]:
        """The note of each reject of a plan that was discarded; `only_old`: by a version that kept no identities."""
        query = (
            "SELECT reject, note FROM reject_marks WHERE plan = ? AND mark = 'discarded'"
            " AND (who = '' OR NOT ?)"
        )
        with ledger_schema.translated(self.file):
            return dict(self._connection.execute(query, (plan, only_old)).fetchall())

    def undone_replays(self, plan: str) -> dict[str, int]:
        """How many rejects of a plan were sent by a replay that was taken back since, by the plan of the replay."""
        query = (
            "SELECT u.undoes, count(*) FROM (SELECT DISTINCT p.undoes FROM plans p JOIN datasets d ON d.plan = p.id"
            " WHERE p.undoes IS NOT NULL AND d.shipments > 0) u JOIN reject_marks m ON m.plan = ?"
            " AND m.mark = 'replayed' AND m.note = 'sent by plan ' || u.undoes GROUP BY u.undoes"
        )
        with ledger_schema.translated(self.file):
            return dict(self._connection.execute(query, (plan,)).fetchall())

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
