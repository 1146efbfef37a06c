"""What of a plan was handed over as files: noted before a file may leave, and ended once by a word on all of it.

    planned ──hand_over──▶ handed over ──Ledger.settle_import──▶ acked   every record of the batch was read back as sent
                               │ ▲  └─settle_import──▶ handed over       some were, the others are not there yet
                               │ └──────────┘
                               └──release──▶ planned   the import is over, or never was: what is left may go by the API

A batch that is handed over keeps its state `planned` and has the number of its handover beside it. As long as it has
one, no request with its records leaves: `Ledger` moves no such batch. So no record is ever on its way by both doors.
And as long as a dataset has a handover that is not ended, no plan sends anything to it: an import that comes late would
put old values over new ones.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.errors import Stale
from migrate.load import ledger_schema
from migrate.load.ledger_notes import PlanEvent, add_event, this_process
from migrate.load.ledger_opening import first_sending

_OPEN = """
SELECT p.name, d.name, h.rows FROM handovers h JOIN datasets d ON d.id = h.dataset JOIN plans p ON p.id = d.plan
WHERE h.ended IS NULL AND d.dataset_id IN (SELECT value FROM json_each(?)) ORDER BY h.id
"""
_HANDOVERS = """
SELECT h.id, p.name, d.name, d.dataset_id, h.folder, h.manifest_sha256, h.rows, h.handed_at, h.uploaded_to, h.ended,
       h.ended_at, h.missing, h.different,
       (SELECT coalesce(sum(b.rows - b.written - b.rejected - b.waiting), 0) FROM batches b
        WHERE b.dataset = d.id AND b.handover = h.id AND b.state <> 'acked')
FROM handovers h JOIN datasets d ON d.id = h.dataset JOIN plans p ON p.id = d.plan
WHERE ? IS NULL OR p.name = ? ORDER BY h.id
"""
_UNCLEAR = """
SELECT coalesce(sum(rows - written - rejected - waiting), 0) FROM batches
WHERE dataset = ? AND state IN ('unknown', 'sending', 'split')
"""


@dataclass(frozen=True)
class HandedFile:
    """A file of a handover; `uploaded`: the server has it whole, or had it. Units: bytes."""

    name: str
    rows: int
    bytes: int
    sha256: str
    uploaded: bool = False


@dataclass(frozen=True)
class Handover:
    """Rows of one dataset of a plan that were handed over as files. Times are seconds since 1970.

    `left`: those of which no last word is known yet. `ended`: `settled`, `taken back`, None while it is under way.
    `missing` and `different`: what the import did not take, by the last reading.
    """

    number: int
    plan: str
    dataset: str
    dataset_id: str
    folder_text: str
    manifest_sha256: str
    rows: int
    handed_at: float
    uploaded_to: str | None
    ended: str | None
    ended_at: float | None
    missing: int
    different: int
    left: int

    @property
    def folder(self) -> Path:
        """Where its files were written."""
        return Path(self.folder_text)

    @property
    def is_open(self) -> bool:
        """Whether its rows may still be imported."""
        return self.ended is None


@dataclass(frozen=True)
class LeftRows:
    """Which rows of a dataset are still to be sent: those of `batches` without the places in `settled`.

    **Shape**: `settled` has `batch` and `position`.
    """

    batches: pl.Series
    settled: pl.DataFrame
    rows: int


@dataclass(frozen=True)
class DatasetFiles:
    """What is handed over of a dataset."""

    dataset: str
    left: LeftRows
    files: Sequence[HandedFile]


def read_handovers(db: sqlite3.Connection, plan: str | None = None) -> list[Handover]:
    """Every handover, of one plan or of all, oldest first."""
    rows = db.execute(_HANDOVERS, (plan, plan))
    return [Handover(*row) for row in rows]


def read_handed_files(db: sqlite3.Connection, handover: int) -> list[HandedFile]:
    """The files of a handover by name."""
    query = (
        "SELECT name, rows, bytes, sha256, uploaded_at IS NOT NULL FROM handover_files"
        " WHERE handover = ? ORDER BY name"
    )
    rows = db.execute(query, (handover,))
    return [
        HandedFile(name, count, size, sha, bool(is_up)) for name, count, size, sha, is_up in rows
    ]


def refuse_handed_over(
    db: sqlite3.Connection, plan: str, dataset_ids: Collection[str], *, by_files: bool
) -> None:
    """Raises Stale where rows of one of the datasets are handed over and not settled.

    `by_files`: the plan's own are no hindrance to who settles them, or takes them back.
    """
    for other, dataset, rows in db.execute(_OPEN, (json.dumps(sorted(dataset_ids)),)):
        if by_files and other == plan:
            continue
        raise Stale(
            f"{rows:,} rows of {dataset} of plan {other!r} are handed over as files and not settled: an import that "
            "comes later would write over what is sent now",
            hint=f"after the import: migrate load --settle --plan {other}; if the files are never going to be "
            f"imported: migrate load --take-back --plan {other}",
        )


class Handovers:
    """The handovers of one open ledger's plan; `ids`: the ledger's numbers of its datasets.

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
        self._connection, self._file = connection, file
        self._plan, self._ids, self._clock = plan, ids, clock

    def open_ones(self) -> list[Handover]:
        """The plan's handovers that are under way, of the datasets that were opened."""
        with ledger_schema.translated(self._file):
            every = read_handovers(self._connection, self._plan)
        return [one for one in every if one.is_open and one.dataset in self._ids]

    def files(self, handover: Handover) -> list[HandedFile]:
        """The files of a handover by name."""
        with ledger_schema.translated(self._file):
            return read_handed_files(self._connection, handover.number)

    def left(self, dataset: str) -> LeftRows:
        """The rows that no request was ever made for, or whose request certainly failed.

        **Raises**: Stale where nobody knows yet what became of a request: its rows may be in the target.
        """
        number = self._ids[dataset]
        with ledger_schema.translated(self._file):
            db = self._connection
            (unclear,) = db.execute(_UNCLEAR, (number,)).fetchone()
            query = "SELECT batch, rows FROM batches WHERE dataset = ? AND state <> 'acked' ORDER BY batch"
            batches = db.execute(query, (number,)).fetchall()
            query = (
                "SELECT r.batch, r.position FROM records r JOIN batches b ON b.dataset = r.dataset"
                " AND b.batch = r.batch WHERE r.dataset = ? AND b.state <> 'acked'"
                " ORDER BY r.batch, r.position"
            )
            places = db.execute(query, (number,)).fetchall()
        if unclear:
            raise Stale(
                f"{dataset}: {unclear:,} records were sent by the API, and nobody knows yet what became of them",
                hint=f"settle them first: migrate load --plan {self._plan}; then hand the rest over",
            )
        settled = pl.DataFrame(places, {"batch": pl.Int32, "position": pl.Int32}, orient="row")
        numbers = pl.Series("batch", [row[0] for row in batches], pl.Int32)
        return LeftRows(numbers, settled, sum(row[1] for row in batches) - settled.height)

    def hand_over(self, folder: Path, manifest_sha256: str, given: Iterable[DatasetFiles]) -> None:
        """Notes that rows are in files which may be imported from now on: all of it, or nothing.

        From here on every other plan that has read these datasets before is overtaken.
        """
        now = self._clock()
        with ledger_schema.transaction(self._connection, self._file) as db:
            for one in given:
                number = self._ids[one.dataset]
                cursor = db.execute(
                    "INSERT INTO handovers (dataset, folder, manifest_sha256, rows, handed_at)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (number, str(folder), manifest_sha256, one.left.rows, now),
                )
                handover = int(cursor.lastrowid or 0)
                files = [(handover, f.name, f.rows, f.bytes, f.sha256) for f in one.files]
                db.executemany(
                    "INSERT INTO handover_files (handover, name, rows, bytes, sha256)"
                    " VALUES (?, ?, ?, ?, ?)",
                    files,
                )
                moved = db.execute(
                    "UPDATE batches SET handover = ?, changed_at = ?"
                    " WHERE dataset = ? AND state = 'planned' AND handover IS NULL",
                    (handover, now, number),
                )
                # A batch that moved since the files were written would be on its way by both doors.
                if moved.rowcount != len(one.left.batches):
                    raise AssertionError(f"{one.dataset}: other batches are left than were written")
                # Before any file leaves: an import may begin on the account's side without telling us.
                self._announce(db, number)
                for event in first_sending(db, self._plan, None, number, one.dataset):
                    self._add_event(db, event)
                handing = PlanEvent(self._plan, "handed over", one.dataset, records=one.left.rows)
                self._add_event(db, handing)

    def mark_destination(self, handover: Handover, place: str) -> None:
        """The handover's files are sent to a server; `place`: its URL, which has no secret."""
        with ledger_schema.transaction(self._connection, self._file) as db:
            query = "UPDATE handovers SET uploaded_to = ? WHERE id = ?"
            db.execute(query, (place, handover.number))

    def mark_uploaded(self, handover: Handover, name: str) -> None:
        """The server has a file whole and under its name: it is not sent again, wherever it goes from there."""
        with ledger_schema.transaction(self._connection, self._file) as db:
            db.execute(
                "UPDATE handover_files SET uploaded_at = ? WHERE handover = ? AND name = ?",
                (self._clock(), handover.number, name),
            )
            query = "SELECT count(*) FROM handover_files WHERE handover = ? AND uploaded_at IS NULL"
            if not db.execute(query, (handover.number,)).fetchone()[0]:
                self._add_event(db, PlanEvent(self._plan, "uploaded", handover.dataset))

    def note_reading(self, handover: Handover, missing: int, different: int) -> None:
        """What the target lacks of it by now; a handover of which nothing is left has come to its end."""
        with ledger_schema.transaction(self._connection, self._file) as db:
            db.execute(
                "UPDATE handovers SET missing = ?, different = ? WHERE id = ?",
                (missing, different, handover.number),
            )
            # What an import has written, plans that were made since the handover may have missed.
            self._announce(db, self._ids[handover.dataset])
            if not missing + different:
                self._end(db, handover, "settled")

    def release(self, handover: Handover, ended: str) -> None:
        """Ends a handover: what is left of it may be sent by the API. `ended`: `settled` or `taken back`."""
        with ledger_schema.transaction(self._connection, self._file) as db:
            db.execute(
                "UPDATE batches SET handover = NULL, changed_at = ? WHERE handover = ? AND state <> 'acked'",
                (self._clock(), handover.number),
            )
            self._end(db, handover, ended)

    def _end(self, db: sqlite3.Connection, handover: Handover, ended: str) -> None:
        query = "UPDATE handovers SET ended = ?, ended_at = ? WHERE id = ? AND ended IS NULL"
        db.execute(query, (ended, self._clock(), handover.number))
        self._add_event(db, PlanEvent(self._plan, ended, handover.dataset, records=handover.rows))

    def _announce(self, db: sqlite3.Connection, dataset: int) -> None:
        db.execute("UPDATE datasets SET shipments = shipments + 1 WHERE id = ?", (dataset,))

    def _add_event(self, db: sqlite3.Connection, event: PlanEvent) -> None:
        add_event(db, event, this_process(self._file), self._clock())
