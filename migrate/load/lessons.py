"""What a load has learnt, kept in the ledger for the rest of it and for the next one.

Which canaries were stored as they were sent; which records make the service fail; what the service takes at most; what
others have written meanwhile. Nothing here moves a batch or settles a record.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from migrate.load import ledger_schema

_ADD_FOREIGN = """
INSERT INTO foreign_edits (dataset, masterid, planned, seen_at, written) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET planned = 1, seen_at = excluded.seen_at, written = 1 WHERE excluded.written > written
"""


@dataclass(frozen=True)
class CanaryVerdict:
    """What reading a dataset's canary gave: `kept`, `differs` or `refused`; `told`: a sentence for each difference."""

    verdict: str
    masterids: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenPlace:
    """A record of the plan that the ledger knows as written; `merged_from`: the ids that its write took away."""

    batch: int
    position: int
    masterid: str
    protected: tuple[str, ...] = ()
    merged_from: tuple[str, ...] = ()


class Lessons:
    """The tables of one open ledger; `ids`: the ledger's numbers of the plan's datasets.

    **Raises**: WorkspaceError, Damaged.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        file: Path,
        plan: str,
        ids: Mapping[str, int],
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._file = file
        self._plan = plan
        self._ids = ids
        self._clock = clock

    def note_mapping(self, dataset: str, mapping_sha256: str) -> None:
        """Keeps by which mapping a dataset of the plan is written."""
        with ledger_schema.transaction(self._connection, self._file) as db:
            query = "UPDATE datasets SET mapping_sha256 = ? WHERE id = ? AND mapping_sha256 <> ?"
            db.execute(query, (mapping_sha256, self._ids[dataset], mapping_sha256))

    def was_loaded_before(self, dataset: str) -> bool:
        """Whether the target dataset has taken records of the same mapping before, by another plan or a kept canary."""
        query = (
            "SELECT EXISTS (SELECT 1 FROM datasets own JOIN datasets d ON d.dataset_id = own.dataset_id"
            " AND d.mapping_sha256 = own.mapping_sha256 LEFT JOIN canaries c ON c.dataset = d.id"
            # A dataset whose canary differed or was refused is no witness, whatever was
            # written to it since.
            " WHERE own.id = ? AND own.mapping_sha256 <> '' AND (c.verdict = 'kept' OR (d.id <> own.id"
            " AND c.verdict IS NULL AND EXISTS (SELECT 1 FROM batches b WHERE b.dataset = d.id AND b.written > 0))))"
        )
        with ledger_schema.translated(self._file):
            return bool(self._connection.execute(query, (self._ids[dataset],)).fetchone()[0])

    def canary(self, dataset: str) -> CanaryVerdict | None:
        """The verdict on the canary of the plan's dataset, None where there is none yet."""
        query = "SELECT verdict, masterids, told FROM canaries WHERE dataset = ?"
        with ledger_schema.translated(self._file):
            row = self._connection.execute(query, (self._ids[dataset],)).fetchone()
        return None if row is None else verdict_of(row)

    def judge_canary(self, dataset: str, judgement: CanaryVerdict) -> None:
        """Keeps the verdict, in place of an earlier one."""
        texts = (
            json.dumps(judgement.masterids),
            json.dumps(judgement.told, ensure_ascii=False),
        )
        row = (self._ids[dataset], judgement.verdict, *texts, self._clock())
        with ledger_schema.transaction(self._connection, self._file) as db:
            db.execute("INSERT OR REPLACE INTO canaries VALUES (?, ?, ?, ?, ?)", row)

    def written_places(self, dataset: str, places: Iterable[tuple[int, int]]) -> list[WrittenPlace]:
        """Those of the given batches and positions that are written."""
        query = (
            "SELECT batch, position, coalesce(masterid, ''), protected, merged_from FROM records"
            " WHERE dataset = ? AND batch = ? AND position = ? AND state = 'written'"
        )
        with ledger_schema.translated(self._file):
            rows = [
                self._connection.execute(query, (self._ids[dataset], *place)).fetchone()
                for place in places
            ]
        return [
            WrittenPlace(batch, position, masterid, _names(protected), _names(merged_from))
            for batch, position, masterid, protected, merged_from in filter(None, rows)
        ]

    def set_aside(self, dataset: str, batch: int, positions: Iterable[int], reason: str) -> None:
        """Keeps which records make the service fail by themselves."""
        number = self._ids[dataset]
        now = self._clock()
        rows = [(number, batch, position, reason, now) for position in positions]
        with ledger_schema.transaction(self._connection, self._file) as db:
            db.executemany("INSERT OR REPLACE INTO set_aside VALUES (?, ?, ?, ?, ?)", rows)

    def are_set_aside(self, dataset: str) -> frozenset[tuple[int, int]]:
        """Batch and position of each record that has made the service fail before."""
        query = "SELECT batch, position FROM set_aside WHERE dataset = ?"
        with ledger_schema.translated(self._file):
            rows = self._connection.execute(query, (self._ids[dataset],)).fetchall()
        return frozenset((batch, position) for batch, position in rows)

    def learn(self, service: str, lesson: str, value: str) -> None:
        """Keeps one value about a service, in place of an earlier one."""
        with ledger_schema.transaction(self._connection, self._file) as db:
            row = (service, lesson, value, self._clock())
            db.execute("INSERT OR REPLACE INTO lessons VALUES (?, ?, ?, ?)", row)

    def known(self, service: str, lesson: str) -> str | None:
        """The value that was learnt about a service, None where none was."""
        query = "SELECT value FROM lessons WHERE service = ? AND lesson = ?"
        with ledger_schema.translated(self._file):
            row = self._connection.execute(query, (service, lesson)).fetchone()
        return None if row is None else str(row[0])

    def add_foreign_edits(
        self,
        dataset: str,
        planned: Iterable[str],
        others: Iterable[str],
        written: Iterable[str] = (),
    ) -> int:
        """Keeps which records others have written: of the plan, beside it, and after this load wrote them.

        Gives how many are newly seen. One that was seen before our write, and again after it, is new once more.
        """
        number = self._ids[dataset]
        now = self._clock()
        rows = [(number, masterid, 1, now, 0) for masterid in planned]
        rows += [(number, masterid, 0, now, 0) for masterid in others]
        rows += [(number, masterid, 1, now, 1) for masterid in written]
        with ledger_schema.transaction(self._connection, self._file) as db:
            before = db.total_changes
            db.executemany(_ADD_FOREIGN, rows)
            return db.total_changes - before

    def yet_to_overwrite(self, dataset: str) -> list[str]:
        """The masterids of planned records that others were seen to write and that this load has not written yet."""
        query = (
            "SELECT f.masterid FROM foreign_edits f WHERE f.dataset = ? AND f.planned AND NOT f.written"
            " AND NOT EXISTS (SELECT 1 FROM records r WHERE r.dataset = f.dataset AND r.masterid = f.masterid)"
        )
        with ledger_schema.translated(self._file):
            rows = self._connection.execute(query, (self._ids[dataset],)).fetchall()
        return [row[0] for row in rows]

    def last_written(self, dataset: str) -> float | None:
        """When the last record of the dataset was settled, in seconds since 1970; None where none was."""
        query = "SELECT max(settled_at) FROM records WHERE dataset = ?"
        with ledger_schema.translated(self._file):
            moment = self._connection.execute(query, (self._ids[dataset],)).fetchone()[0]
        return None if moment is None else float(moment)

    def written_at(self, dataset: str, masterids: Sequence[str]) -> dict[str, float]:
        """When loads of the same target dataset have written some masterids last, in seconds since 1970."""
        query = (
            # One parameter for all of them: SQLite takes a bounded number of parameters,
            # and a page has 50,000.
            "SELECT r.masterid, max(r.settled_at) FROM records r JOIN datasets d ON d.id = r.dataset"
            " JOIN datasets own ON own.dataset_id = d.dataset_id"
            " WHERE own.id = ? AND r.masterid IN (SELECT value FROM json_each(?)) GROUP BY r.masterid"
        )
        asked = (self._ids[dataset], json.dumps(list(masterids)))
        with ledger_schema.translated(self._file):
            return dict(self._connection.execute(query, asked).fetchall())

    def left_out(self, plan_dataset: str) -> list[tuple[int, int]]:
        """Batch and position of each record that is not in the target for good: refused, or waiting for such a one.

        `plan_dataset`: any dataset of the plan, also one that this load is not of.
        """
        query = (
            "SELECT r.batch, r.position FROM records r JOIN datasets d ON d.id = r.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND d.name = ? AND r.state <> 'written'"
        )
        with ledger_schema.translated(self._file):
            return self._connection.execute(query, (self._plan, plan_dataset)).fetchall()

    def count_left_out(self, plan_dataset: str) -> int:
        """How many these are."""
        query = (
            "SELECT coalesce(sum(b.rejected + b.waiting), 0) FROM batches b JOIN datasets d ON d.id = b.dataset"
            " JOIN plans p ON p.id = d.plan WHERE p.name = ? AND d.name = ?"
        )
        with ledger_schema.translated(self._file):
            row = self._connection.execute(query, (self._plan, plan_dataset)).fetchone()
        return int(row[0])

    def seen(self, dataset: str, masterids: Collection[str]) -> tuple[set[str], set[str]]:
        """Which of some masterids this plan has written, and which it has merged away."""
        number = self._ids[dataset]
        asked = json.dumps(sorted(masterids))
        with ledger_schema.translated(self._file):
            among = "IN (SELECT value FROM json_each(?))"
            written = f"SELECT masterid FROM records WHERE dataset = ? AND masterid {among}"  # noqa: S608  fixed words
            gone = f"SELECT gone FROM merges WHERE dataset = ? AND gone {among}"  # noqa: S608  fixed words
            return self._masterids(written, number, asked), self._masterids(gone, number, asked)

    def _masterids(self, query: str, dataset: int, asked: str) -> set[str]:
        return {row[0] for row in self._connection.execute(query, (dataset, asked))}

    def begun_batches(self, dataset: str) -> list[int]:
        """The batches of which a request has left and that are not settled: what is there may be our own doing."""
        query = "SELECT batch FROM batches WHERE dataset = ? AND requests > 0"
        with ledger_schema.translated(self._file):
            return [row[0] for row in self._connection.execute(query, (self._ids[dataset],))]


def verdict_of(row: Sequence[str]) -> CanaryVerdict:
    """A row of the table: verdict, masterids, told."""
    return CanaryVerdict(row[0], _names(row[1]), _names(row[2]))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(json.loads(text or "[]"))
