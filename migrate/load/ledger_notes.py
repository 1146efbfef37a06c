"""What is kept of people and plans beside the records: who ran what, what plans went through, what was discarded.

These tables say nothing of batches, so they are written without the lock of the ledger, each in one short transaction:
while a load runs, a plan can be made, a reject discarded and a command recorded all the same.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from migrate.load import ledger_schema


@dataclass(frozen=True)
class Actor:
    """Who acts: a user on a host, and the recorded command that does it; `run` is None where none was recorded."""

    user: str
    host: str
    pid: int
    command: str = ""
    run: int | None = None

    @property
    def who(self) -> str:
        """The user and the host in one word."""
        return f"{self.user}@{self.host}"


@dataclass(frozen=True)
class RunBegun:
    """A command as it begins. `gates`: the limits that the project file sets to another value than the default."""

    command: str
    command_line: str
    version: str
    gates: Mapping[str, str]


@dataclass(frozen=True)
class Discarded:
    """A record that must not be sent to a dataset: its identity, and of which reject of which plan that was said.

    `resource`: '' in what an earlier version has noted, when one resource made a dataset.
    """

    dataset: str
    source: str | None
    id: str
    position: int | None
    plan: str
    reject: str
    reason: str
    note: str
    resource: str = ""


# One process runs one command. What it does to a ledger is put down to the run that was begun in that very ledger.
_RUNNING: dict[Path, tuple[int, str]] = {}
NO_POSITION = 0
"""Stands for no position in a primary key, which must have no null; positions begin at 1."""


def this_process(ledger: Path) -> Actor:
    """Who acts in this process, and by which recorded command."""
    run, command = _RUNNING.get(ledger.absolute(), (None, ""))
    return Actor(_user(), socket.gethostname(), os.getpid(), command, run)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may run as a number that no user has
        return str(os.getuid()) if hasattr(os, "getuid") else "?"


class LedgerNotes:
    """A ledger opened to add such notes; it never touches a batch or a record.

    **Raises**: as `ledger_schema.connect`.
    """

    def __init__(self, file: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.file = file
        self._clock = clock
        # The file was checked, or is going to be, by whoever reads what matters in it; a check reads all of it.
        self._connection = ledger_schema.connect(file, check=False)

    def __enter__(self) -> LedgerNotes:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()

    def begin_run(self, begun: RunBegun) -> int:
        """The number of a command that begins now; from here on this process acts by it."""
        actor = this_process(self.file)
        with ledger_schema.transaction(self._connection, self.file) as db:
            cursor = db.execute(
                "INSERT INTO runs (command, command_line, user, host, pid, version, began_at, gates)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    begun.command, begun.command_line, actor.user, actor.host, actor.pid,
                    begun.version, self._clock(), _json(begun.gates),
                ),
            )  # fmt: skip
        number = int(cursor.lastrowid or 0)
        _RUNNING[self.file.absolute()] = (number, begun.command)
        return number

    def end_run(self, number: int, exit_code: int, stopped_by: str | None = None) -> None:
        """A command is over; `stopped_by`: the safety gate that ended it."""
        with ledger_schema.transaction(self._connection, self.file) as db:
            query = "UPDATE runs SET ended_at = ?, exit_code = ?, stopped_by = ? WHERE id = ?"
            db.execute(query, (self._clock(), exit_code, stopped_by, number))
        _RUNNING.pop(self.file.absolute(), None)

    def note_plan_of_run(
        self, plan: str, confirmations: Mapping[str, object] | None = None
    ) -> None:
        """The running command works on this plan, and what was confirmed for it by whoever gave the command."""
        run = this_process(self.file).run
        if run is None:
            return
        with ledger_schema.transaction(self._connection, self.file) as db:
            db.execute("UPDATE runs SET plan = ? WHERE id = ?", (plan, run))
            if confirmations:
                db.execute(
                    "UPDATE runs SET confirmations = ? WHERE id = ?", (_json(confirmations), run)
                )

    def note_planned(
        self, plan: str, dataset_ids: Iterable[str], seen: Mapping[tuple[str, str], int]
    ) -> None:
        """A plan was made; `seen`: by dataset id and plan the requests announced when its reading of the target began.

        What any of them, or another plan, announces beyond that was not in the reading: the plan is overtaken.
        """
        ids = set(dataset_ids)
        # Under no plan's name: it says that the dataset was read, also where nothing
        # was ever sent to it.
        rows = [(plan, dataset_id, "", 0) for dataset_id in sorted(ids)]
        rows += [
            (plan, dataset_id, other, count)
            for (dataset_id, other), count in seen.items()
            if dataset_id in ids and other
        ]
        with ledger_schema.transaction(self._connection, self.file) as db:
            # A plan may have been deleted and made again under its name.
            db.execute("DELETE FROM plan_readings WHERE plan = ?", (plan,))
            db.executemany("INSERT INTO plan_readings VALUES (?, ?, ?, ?)", rows)
            self.add_event(db, PlanEvent(plan, "planned"))

    def note_event(self, event: PlanEvent) -> None:
        """Something has come over a plan."""
        with ledger_schema.transaction(self._connection, self.file) as db:
            self.add_event(db, event)

    def add_event(self, db: sqlite3.Connection, event: PlanEvent) -> None:
        """The same within a transaction that is open."""
        add_event(db, event, this_process(self.file), self._clock())

    def discard(self, discarded: Iterable[Discarded]) -> None:
        """Keeps records from every later plan; what was said of one before is replaced."""
        who = this_process(self.file).who
        now = self._clock()
        rows = [
            (
                d.dataset,
                d.resource,
                d.source or "",
                d.id,
                d.position or NO_POSITION,
                d.plan,
                d.reject,
                d.reason,
                d.note,
                who,
                now,
            )
            for d in discarded
        ]
        with ledger_schema.transaction(self._connection, self.file) as db:
            db.executemany(
                "INSERT OR REPLACE INTO discards VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
            )

    def keep(self, discarded: Iterable[Discarded]) -> int:
        """Takes discards back, by their identity; gives how many there were."""
        rows = [
            (d.dataset, d.resource, d.source or "", d.id, d.position or NO_POSITION)
            for d in discarded
        ]
        query = (
            "DELETE FROM discards WHERE dataset = ? AND resource = ? AND source = ? AND id = ?"
            " AND position = ?"
        )
        with ledger_schema.transaction(self._connection, self.file) as db:
            return db.executemany(query, rows).rowcount

    def mark_rejects(self, plan: str, marks: Iterable[tuple[str, str, str]]) -> None:
        """Marks rejects of a plan: name, `discarded` or `replayed`, and a note. Nothing is deleted."""
        who = this_process(self.file).who
        now = self._clock()
        rows = [(plan, reject, mark, note, now, who) for reject, mark, note in marks]
        with ledger_schema.transaction(self._connection, self.file) as db:
            db.executemany("INSERT OR REPLACE INTO reject_marks VALUES (?, ?, ?, ?, ?, ?)", rows)

    def unmark_rejects(self, plan: str, rejects: Iterable[str]) -> None:
        """Opens rejects of a plan again."""
        rows = [(plan, reject) for reject in rejects]
        with ledger_schema.transaction(self._connection, self.file) as db:
            db.executemany("DELETE FROM reject_marks WHERE plan = ? AND reject = ?", rows)


@dataclass(frozen=True)
class PlanEvent:
    """What has come over a plan: `planned`, `loading`, `loaded`, `overtaken` (by `by_plan`), `undoing`, `undone`.

    By files: `handed over`, `uploaded`, `settled`, `taken back`.

    `records`: how many it concerns. `scope`: of an undo, `whole` or `part`.
    """

    plan: str
    event: str
    dataset: str | None = None
    by_plan: str | None = None
    records: int | None = None
    scope: str | None = None


def add_event(db: sqlite3.Connection, event: PlanEvent, actor: Actor, now: float) -> None:
    """Writes an event down, within a transaction that is open."""
    db.execute(
        "INSERT INTO plan_events (plan, event, dataset, at, who, command, run, by_plan, records, scope)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.plan, event.event, event.dataset, now, actor.who, actor.command, actor.run,
            event.by_plan, event.records, event.scope,
        ),
    )  # fmt: skip


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(dict(values), ensure_ascii=False)


__all__ = ["NO_POSITION", "Actor", "Discarded", "LedgerNotes", "PlanEvent", "RunBegun", "add_event"]
