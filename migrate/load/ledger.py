"""What is done: a set of batches and records in SQLite, never an offset.

The states of a batch, and what moves it. Only `Ledger` moves states, only the process that holds the workspace's ledger
lock has a `Ledger`, and only the thread that opened it calls it. A move is durable before the act it announces.

    planned ──mark_sending──▶ sending ──settle──▶ acked       every record is written or rejected
       ▲                       │ │ │ └─settle──▶ planned     some are settled, the others certainly not taken
       │                       │ │ └──mark_split──▶ split    refused as a whole; its pieces are sent one by one
       │                       │ └──mark_failed(applied=True)──▶ unknown   the service may have taken it
       └──mark_failed(applied=False), mark_unsent──┘
    sending ──open_plan (after a crash)──▶ unknown
    unknown ──mark_sending──▶ sending        the same bytes again: an upsert of the same keys changes nothing twice
    unknown ──settle_read_back──▶ unknown, or acked when the target was seen to hold every record of it
    split ──mark_sending──▶ split            a piece leaves
    split ──settle, settle_read_back──▶ split, or acked when nothing of it is left
    planned, unknown ──mark_halved──▶ split  it keeps failing while others are taken; its pieces are sent one by one
    planned, split ──mark_unknown──▶ unknown no answer settled it, or a piece of it, and the run is over
    planned ──settle_waiting──▶ planned, or acked when nothing of it is left to send
    planned, unknown, split ──defer──▶ deferred ──open_plan──▶ planned     once nothing of the dataset is in flight

A record has no row until it is settled: `written` or `rejected`, or `waiting` where the target has refused one that it
refers to, once and for all. A record without a row belongs to a batch that is not `acked` and is sent again. So nothing
that was acknowledged is lost, nothing settled is sent again, and
`planned = written + rejected + waiting + deferred + open` holds at any moment.

A batch may be handed over as files instead of being sent, see `handover`: while it is, nothing here moves it but
`settle_import`.

`doubts` counts the requests of a batch that may have been taken without our learning it. Where the target is a dataset
that is of no consequence; a webhook takes what is sent again as something new.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from pathlib import Path

from migrate.load import ledger_schema
from migrate.load.handover import Handovers, refuse_handed_over
from migrate.load.ledger_notes import add_event, this_process
from migrate.load.ledger_opening import PlannedDataset, check_standing, first_sending, take_up
from migrate.load.ledger_records import add_records, make_records
from migrate.load.ledger_rows import (
    RecordRow,
    Verdicts,
    continued_in,
    counts_of,
    losses_of,
    waiting_row,
)
from migrate.load.ledger_view import read_totals
from migrate.load.lessons import Lessons
from migrate.load.totals import CountMark, Totals
from migrate.target.answer import Answer
from migrate.target.results import SentRecord


@dataclass(frozen=True)
class OpenBatch:
    """A batch that is not done."""

    batch: int
    rows: int
    state: str
    settled: int


class Ledger:
    """The open ledger of one plan; `open_plan` comes first. See the module for the states."""

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self._clock = clock
        self._connection = ledger_schema.connect(file)
        self._plan = ""
        self._undoes: str | None = None
        self._announced: set[str] = set()
        self._ids: dict[str, int] = {}

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def open_plan(
        self,
        plan: str,
        datasets: Sequence[PlannedDataset],
        sha256: str = "",
        undoes: str | None = None,
        *,
        by_files: bool = False,
    ) -> None:
        """Makes `plan` known, or takes it up: what was being sent is now unknown, what was deferred gets its chance.

        `sha256`: the hash of the document that describes the plan and all its files. `undoes`: the
        plan whose load this one takes back. `by_files`: nothing is sent, and rows are handed over as
        files, settled, or taken back.

        **Raises**: Stale when the ledger knows a plan of that name with other batches or of another
        hash, when it is overtaken or undone, or when rows of a dataset are handed over.
        """
        dataset_ids = [dataset.dataset_id for dataset in datasets]
        with ledger_schema.transaction(self._connection, self.file) as db:
            refuse_handed_over(db, plan, dataset_ids, by_files=by_files)
            if undoes is None:
                check_standing(db, plan, dataset_ids)
            self._ids = take_up(db, plan, datasets, sha256, self._clock(), undoes)
        self._plan, self._undoes = plan, undoes
        self._announced.clear()

    @property
    def lessons(self) -> Lessons:
        """What loads have learnt, of the open plan."""
        return Lessons(self._connection, self.file, self._plan, self._ids, self._clock)

    @property
    def handovers(self) -> Handovers:
        """What of the open plan was handed over as files."""
        return Handovers(self._connection, self.file, self._plan, self._ids, self._clock)

    def open_batches(self, dataset: str) -> list[OpenBatch]:
        """The batches that are not done, in sending order."""
        with ledger_schema.translated(self.file):
            query = (
                "SELECT batch, rows, state, written + rejected + waiting FROM batches"
                " WHERE dataset = ? AND state <> 'acked' ORDER BY batch"
            )
            return [
                OpenBatch(*row) for row in self._connection.execute(query, (self._ids[dataset],))
            ]

    def settled_positions(self, dataset: str, batch: int) -> frozenset[int]:
        """The places in a batch whose records are written or rejected."""
        with ledger_schema.translated(self.file):
            query = "SELECT position FROM records WHERE dataset = ? AND batch = ?"
            return frozenset(
                row[0] for row in self._connection.execute(query, (self._ids[dataset], batch))
            )

    def totals(self) -> dict[str, Totals]:
        """The sums of every dataset that was opened with the plan: a load may be of some of them only."""
        with ledger_schema.translated(self.file):
            every = read_totals(self._connection, self._plan)
        return {name: every[name] for name in self._ids}

    def set_baseline(
        self,
        dataset: str,
        count: int,
        server_time: datetime | None,
    ) -> None:
        """Keeps what the target held before the first write; only the first call counts.

        What other plans of this ledger have merged in the same dataset is known, too.
        """
        number = self._ids[dataset]
        with ledger_schema.transaction(self._connection, self.file) as db:
            moved = db.execute(
                "UPDATE datasets SET count_before = ?, server_time = ? WHERE id = ? AND count_before IS NULL",
                (count, server_time.timestamp() if server_time else None, number),
            )
            if moved.rowcount:
                db.execute(
                    # The service goes on listing what an earlier load has merged; that is no merge of this one.
                    "INSERT OR IGNORE INTO merged_before SELECT own.id, m.gone FROM merges m"
                    " JOIN datasets d ON d.id = m.dataset JOIN datasets own ON own.id = ?"
                    " WHERE d.dataset_id = own.dataset_id AND d.id <> own.id",
                    (number,),
                )

    def note_changed_target(self, datasets: Collection[str]) -> None:
        """A load was stopped since others have written to these datasets; it holds until the next request leaves."""
        actor = this_process(self.file)
        query = "INSERT OR REPLACE INTO changed_targets SELECT id, shipments, ?, ?, ? FROM datasets WHERE id = ?"
        with ledger_schema.transaction(self._connection, self.file) as db:
            for dataset in datasets:
                db.execute(query, (self._clock(), actor.who, actor.command, self._ids[dataset]))

    def mark_sending(self, dataset: str, batch: int) -> None:
        """A request with records of this batch is about to leave.

        From here on every other plan that has read this dataset before is overtaken.
        """
        with ledger_schema.transaction(self._connection, self.file) as db:
            self._set(
                dataset,
                batch,
                "state = CASE state WHEN 'split' THEN 'split' ELSE 'sending' END, requests = requests + 1",
                allowed=("planned", "unknown", "split"),
            )
            # Apart from the batch's count, which goes down where a request never left.
            query = "UPDATE datasets SET shipments = shipments + 1 WHERE id = ?"
            db.execute(query, (self._ids[dataset],))
            if dataset not in self._announced:
                events = first_sending(db, self._plan, self._undoes, self._ids[dataset], dataset)
                for event in events:
                    add_event(db, event, this_process(self.file), self._clock())
        self._announced.add(dataset)

    def mark_unsent(self, dataset: str, batch: int) -> None:
        """The request announced last never left."""
        self._move(
            dataset,
            batch,
            "state = CASE WHEN state = 'split' THEN 'split' WHEN requests > 1 THEN 'unknown' ELSE 'planned' END,"
            " requests = requests - 1",
            allowed=("sending", "split"),
        )

    def mark_split(self, dataset: str, batch: int, answer: Answer, payload_sha256: str) -> None:
        """The service refused the batch, or a piece of it, as a whole; nothing of it was taken."""
        with ledger_schema.transaction(self._connection, self.file):
            self._set(
                dataset, batch, "state = 'split', attempts = attempts + 1", ("sending", "split")
            )
            self._add_failure(dataset, batch, answer, "refused as a whole", payload_sha256)

    def mark_halved(self, dataset: str, batch: int) -> None:
        """A batch, or a piece of it, keeps failing: its halves are sent one by one."""
        self._move(dataset, batch, "state = 'split'", allowed=("planned", "unknown", "split"))

    def mark_failed(
        self,
        dataset: str,
        batch: int,
        answer: Answer,
        reason: str,
        payload_sha256: str,
        *,
        applied: bool,
    ) -> None:
        """A request failed; `applied` tells whether the service may have taken it. 423 and 429 are no attempts."""
        state = "CASE state WHEN 'split' THEN 'split' ELSE '{}' END".format(
            "unknown" if applied else "planned"
        )
        # Nothing was attempted: the dataset was busy, or the key had no points.
        counter = {423: "busy = busy + 1", 429: "throttled = throttled + 1"}.get(answer.status)
        with ledger_schema.transaction(self._connection, self.file):
            change = f"state = {state}, doubts = doubts + {applied:d}, {counter or 'attempts = attempts + 1'}"
            self._set(dataset, batch, change, ("sending", "split"))
            self._add_failure(dataset, batch, answer, reason, payload_sha256)

    def settle(
        self,
        dataset: str,
        batch: int,
        verdicts: Verdicts,
        *,
        seconds: float = 0.0,
        answer: Answer | None = None,
        payload_sha256: str = "",
    ) -> int:
        """Keeps the last word on some records of a batch, each with its change; gives the masterids newly merged away.

        The batch is `acked` as soon as all its records are settled. The ids of the last `answer` are kept with it, and
        where records were refused, all that support asks for.
        """
        rows = self._rows(dataset, batch, verdicts)
        with ledger_schema.transaction(self._connection, self.file) as db:
            state = f"CASE WHEN {_done(rows)} THEN 'acked' WHEN state = 'split' THEN 'split' ELSE 'planned' END"
            merged = self._add_rows(dataset, rows, continued_in(verdicts))
            change = f"{_sums(rows)}, state = {state}, attempts = attempts + 1"
            self._set(dataset, batch, change, ("sending", "split"))
            if answer is not None:
                ids = (answer.request_id, answer.traceparent, self._ids[dataset], batch)
                db.execute(
                    "UPDATE batches SET request_id = ?, traceparent = ? WHERE dataset = ? AND batch = ?",
                    ids,
                )
            db.execute(
                "UPDATE datasets SET seconds = seconds + ? WHERE id = ?",
                (seconds, self._ids[dataset]),
            )
            refused = [row for row in rows if row.state == "rejected"]
            if refused and answer is not None:
                self._add_failure(
                    dataset, batch, answer, f"{len(refused)} records refused", payload_sha256
                )
        return merged

    def settle_read_back(self, dataset: str, batch: int, verdicts: Verdicts) -> int:
        """Keeps what was seen in the target of a batch whose answer was unclear; gives the masterids newly merged."""
        rows = self._rows(dataset, batch, verdicts)
        with ledger_schema.transaction(self._connection, self.file):
            merged = self._add_rows(dataset, rows, continued_in(verdicts))
            change = f"{_sums(rows)}, state = CASE WHEN {_done(rows)} THEN 'acked' ELSE state END"
            self._set(dataset, batch, f"{change}, readbacks = readbacks + 1", ("unknown", "split"))
        return merged

    def settle_import(self, dataset: str, found: Mapping[int, Verdicts]) -> int:
        """Keeps what was read back of batches that were handed over; gives the masterids newly merged away."""
        merged = 0
        made = {batch: self._rows(dataset, batch, verdicts) for batch, verdicts in found.items()}
        with ledger_schema.transaction(self._connection, self.file) as db:
            for batch, rows in made.items():
                merged += self._add_rows(dataset, rows, continued_in(found[batch]))
                change = (
                    f"{_sums(rows)}, state = CASE WHEN {_done(rows)} THEN 'acked' ELSE state END"
                )
                moved = db.execute(
                    f"UPDATE batches SET {change}, changed_at = ?"  # noqa: S608 - only literals of this module
                    " WHERE dataset = ? AND batch = ? AND state = 'planned' AND handover IS NOT NULL",
                    (self._clock(), self._ids[dataset], batch),
                )
                if moved.rowcount != 1:
                    raise AssertionError(f"batch {batch} of {dataset} is not handed over")
        return merged

    def settle_waiting(self, dataset: str, batch: int, waiting: Mapping[SentRecord, str]) -> None:
        """Some records of a batch that was never sent are not sent at all, each for the reason given."""
        number = self._ids[dataset]
        rows = [
            waiting_row(number, batch, sent, why, self._clock()) for sent, why in waiting.items()
        ]
        with ledger_schema.transaction(self._connection, self.file):
            self._add_rows(dataset, rows, ())
            state = f"CASE WHEN {_done(rows)} THEN 'acked' ELSE 'planned' END"
            self._set(dataset, batch, f"{_sums(rows)}, state = {state}", ("planned",))

    def unsettle(self, dataset: str, batch: int, positions: Sequence[int]) -> None:
        """Takes back that records of a batch are written: they are to be sent once more, as if they never were."""
        number = self._ids[dataset]
        fields = ", ".join(RecordRow._fields)
        marks = ", ".join("?" for _ in positions)
        place = f"dataset = ? AND batch = ? AND position IN ({marks})"
        with ledger_schema.transaction(self._connection, self.file) as db:
            query = f"SELECT {fields} FROM records WHERE {place}"  # noqa: S608  fixed names
            rows = [RecordRow(*row) for row in db.execute(query, (number, batch, *positions))]
            db.execute(f"DELETE FROM records WHERE {place}", (number, batch, *positions))  # noqa: S608  fixed names
            db.executemany(
                "UPDATE losses SET records = records - ?"
                " WHERE dataset = ? AND kind = ? AND column_name = ?",
                [(count, number, *loss) for loss, count in losses_of(rows).items()],
            )
            less = ", ".join(f"{name} = {name} - {n}" for name, n in counts_of(rows).items())
            state = "state = CASE state WHEN 'acked' THEN 'planned' ELSE state END"
            every = ("acked", "planned", "unknown", "split")
            self._set(dataset, batch, f"{less}, {state}", every)

    def mark_unknown(self, dataset: str, batch: int) -> None:
        """Nobody can tell what became of what is left of a batch; another run sends it again."""
        self._move(dataset, batch, "state = 'unknown'", allowed=("planned", "unknown", "split"))

    def _add_rows(self, dataset: str, rows: Sequence[RecordRow], continued: Collection[str]) -> int:
        return add_records(self._connection, self._ids[dataset], rows, continued)

    def _rows(self, dataset: str, batch: int, verdicts: Verdicts) -> list[RecordRow]:
        with ledger_schema.translated(self.file):
            number = self._ids[dataset]
            return make_records(self._connection, number, batch, verdicts, self._clock())

    def defer(self, dataset: str) -> None:
        """What is left of the dataset has to wait for another run. Nothing of it may be in flight."""
        with ledger_schema.transaction(self._connection, self.file) as db:
            db.execute(
                "UPDATE batches SET state = 'deferred', changed_at = ?"
                " WHERE dataset = ? AND state IN ('planned', 'unknown', 'split') AND handover IS NULL",
                (self._clock(), self._ids[dataset]),
            )

    def add_seconds(self, dataset: str, seconds: float, *, busy: float = 0.0) -> None:
        """Adds time spent on a dataset, and time it was busy for others."""
        with ledger_schema.transaction(self._connection, self.file) as db:
            query = "UPDATE datasets SET seconds = seconds + ?, busy_s = busy_s + ? WHERE id = ?"
            db.execute(query, (seconds, busy, self._ids[dataset]))

    def add_count_mark(self, dataset: str, mark: CountMark) -> None:
        """Keeps what the service counted in the middle of the load, and between which numbers that should lie."""
        with ledger_schema.transaction(self._connection, self.file) as db:
            db.execute(
                "INSERT INTO count_marks (dataset, at, batches_done, count, least, most) VALUES (?, ?, ?, ?, ?, ?)",
                (self._ids[dataset], self._clock(), *astuple(mark)),
            )

    def _move(self, dataset: str, batch: int, change: str, allowed: tuple[str, ...]) -> None:
        with ledger_schema.transaction(self._connection, self.file):
            self._set(dataset, batch, change, allowed)

    def _set(self, dataset: str, batch: int, change: str, allowed: tuple[str, ...]) -> None:
        marks = ", ".join("?" for _ in allowed)
        cursor = self._connection.execute(
            f"UPDATE batches SET {change}, changed_at = ? WHERE dataset = ? AND batch = ?"  # noqa: S608 - only literals of this module
            f" AND state IN ({marks}) AND handover IS NULL",
            (self._clock(), self._ids[dataset], batch, *allowed),
        )
        if cursor.rowcount != 1:
            raise AssertionError(
                f"batch {batch} of {dataset} is handed over, or in none of the states {', '.join(allowed)}"
            )

    def _add_failure(
        self, dataset: str, batch: int, answer: Answer, reason: str, payload_sha256: str
    ) -> None:
        self._connection.execute(
            "INSERT INTO failures (at, dataset, batch, status, reason, request_id, traceparent, payload_sha256)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._clock(),
                self._ids[dataset],
                batch,
                answer.status,
                reason[:300],
                answer.request_id,
                answer.traceparent,
                payload_sha256,
            ),
        )


def _sums(rows: Sequence[RecordRow]) -> str:
    return ", ".join(f"{name} = {name} + {count}" for name, count in counts_of(rows).items())


def _done(rows: Sequence[RecordRow]) -> str:
    return f"written + rejected + waiting + {len(rows)} >= rows"
