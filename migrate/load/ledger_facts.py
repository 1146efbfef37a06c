"""What the ledger tells of plans as a whole: who overtook whom, what was undone, what was run, what was discarded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields

from migrate.load.ledger_notes import NO_POSITION, Discarded
from migrate.load.standing import ChangedTarget, Deed, Overtaking, Undone

_SHIPMENTS = """
SELECT d.dataset_id, p.name, d.shipments FROM datasets d JOIN plans p ON p.id = d.plan
"""
_WAS_READ = "SELECT 1 FROM plan_readings WHERE plan = ? LIMIT 1"
# A plan's own undo does not overtake it: it has a state of its own.
_OTHERS_SINCE_READING = """
SELECT p.name, p.undoes, d.name
FROM datasets d JOIN plans p ON p.id = d.plan
LEFT JOIN plan_readings r ON r.plan = :plan AND r.dataset_id = d.dataset_id AND r.other = p.name
WHERE p.name <> :plan AND p.undoes IS NOT :plan
  AND d.dataset_id IN (SELECT value FROM json_each(:ids)) AND d.shipments > coalesce(r.shipments, 0)
ORDER BY p.id DESC, d.place
"""
_OTHERS_SINCE_TIME = """
SELECT p.name, p.undoes, d.name
FROM datasets d JOIN plans p ON p.id = d.plan
WHERE p.name <> :plan AND p.undoes IS NOT :plan AND d.dataset_id IN (SELECT value FROM json_each(:ids))
  AND EXISTS (SELECT 1 FROM batches b WHERE b.dataset = d.id AND b.requests > 0 AND b.changed_at > :since)
ORDER BY p.id DESC, d.place
"""
_LAST_DEED = """
SELECT at, who, command FROM plan_events WHERE plan = ? AND event IN (SELECT value FROM json_each(?))
ORDER BY id DESC LIMIT 1
"""
_UNDOS = """
SELECT d.name, (SELECT count(*) FROM records r WHERE r.dataset = d.id AND r.state = 'written'), d.shipments,
       EXISTS (SELECT 1 FROM batches b WHERE b.dataset = d.id AND b.state <> 'acked')
FROM datasets d JOIN plans p ON p.id = d.plan WHERE p.undoes = ? ORDER BY p.id, d.place
"""
_LAST_UNDO = """
SELECT event, scope, at, who, command FROM plan_events
WHERE plan = ? AND event IN ('undoing', 'undone') ORDER BY id DESC LIMIT 1
"""
# As many requests have left as when it was stopped: nobody has gone on with it since.
_CHANGED_TARGETS = """
SELECT d.name, c.at, c.who, c.command
FROM plans p JOIN datasets d ON d.plan = p.id JOIN changed_targets c ON c.dataset = d.id
WHERE p.name = ? AND c.shipments = d.shipments ORDER BY d.place
"""
# The last word on a record is the write of the plan with the highest number: an overtaken plan is
# never loaded on, so that plans of one dataset follow each other.
_PUT_BACK = """
SELECT masterid, undoes FROM (
    -- beside max(), SQLite takes the other columns from the row that has the maximum
    SELECT r.masterid, p.undoes, max(p.id)
    FROM plans p
    -- CROSS JOIN keeps this order: begun with the records, each would be held against all others
    CROSS JOIN datasets d ON d.plan = p.id
    CROSS JOIN records r ON r.dataset = d.id
    WHERE p.id >= (SELECT min(id) FROM plans WHERE undoes IS NOT NULL)
      AND d.dataset_id = :dataset_id AND r.state = 'written' AND r.masterid IS NOT NULL
    GROUP BY r.masterid)
WHERE undoes IS NOT NULL
"""


@dataclass(frozen=True)
class RunRecord:
    """A command that was given. Times are seconds since 1970; `ended_at` and `exit_code` are None where it was killed.

    `confirmations`: what whoever gave it has confirmed; `gates`: limits that differ from their defaults;
    `stopped_by`: the safety gate that ended it.
    """

    number: int
    command: str
    command_line: str
    user: str
    host: str
    pid: int
    version: str
    began_at: float
    ended_at: float | None
    exit_code: int | None
    plan: str | None
    confirmations: Mapping[str, object] = field(default_factory=dict)
    gates: Mapping[str, str] = field(default_factory=dict)
    stopped_by: str | None = None


@dataclass(frozen=True)
class PastEvent:
    """What came over a plan, and whose doing it was."""

    plan: str
    event: str
    dataset: str | None
    deed: Deed
    run: int | None
    by_plan: str | None
    records: int | None
    scope: str | None


@dataclass(frozen=True)
class Discard:
    """A record that every plan leaves out, and who said so."""

    what: Discarded
    who: str
    at: float


def read_shipments(db: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """By dataset id and plan, the requests that were ever announced; a number that only grows."""
    return {(dataset_id, plan): count for dataset_id, plan, count in db.execute(_SHIPMENTS)}


def read_overtaking(
    db: sqlite3.Connection, plan: str, dataset_ids: Collection[str], began_at: float | None
) -> list[Overtaking]:
    """Who has sent to these datasets since `plan` has read them, the newest first.

    `began_at`: when the plan was begun, which is all there is to go by for a plan of an earlier version.
    """
    values: dict[str, object] = {
        "plan": plan,
        "ids": json.dumps(sorted(dataset_ids)),
        "since": began_at,
    }
    was_read = db.execute(_WAS_READ, (plan,)).fetchone() is not None
    if not was_read and began_at is None:
        return []
    rows = db.execute(_OTHERS_SINCE_READING if was_read else _OTHERS_SINCE_TIME, values).fetchall()
    return [
        Overtaking(
            other, dataset, _last_deed(db, undoes or other, undoing=undoes is not None), undoes
        )
        for other, undoes, dataset in rows
    ]


def _last_deed(db: sqlite3.Connection, plan: str, *, undoing: bool) -> Deed:
    if undoing:
        events = ("undoing", "undone")
    else:
        events = ("loading", "loaded")
    row = db.execute(_LAST_DEED, (plan, json.dumps(events))).fetchone()
    return Deed(*row) if row else Deed()


def read_undone(db: sqlite3.Connection, plan: str) -> Undone | None:
    """What was taken back of a plan; None as long as no request of an undo has left."""
    records: dict[str, int] = {}
    is_open = was_sent = False
    for dataset, written, shipments, unsettled in db.execute(_UNDOS, (plan,)):
        if shipments:
            was_sent = True
            records[dataset] = records.get(dataset, 0) + written
        is_open = is_open or bool(unsettled)
    if not was_sent:
        return None
    row = db.execute(_LAST_UNDO, (plan,)).fetchone()
    if row is None:
        # Of an earlier version, which kept no events: its batches tell whether it came to its end.
        return Undone("unfinished" if is_open else "whole", records)
    event, scope, *deed = row
    return Undone("unfinished" if event == "undoing" else scope or "whole", records, Deed(*deed))


def read_changed_target(db: sqlite3.Connection, plan: str) -> ChangedTarget | None:
    """Where the last load of a plan was stopped, since others had written to the target; None where none was."""
    rows = db.execute(_CHANGED_TARGETS, (plan,)).fetchall()
    if not rows:
        return None
    _name, *deed = max(rows, key=lambda row: row[1])
    return ChangedTarget(tuple(row[0] for row in rows), Deed(*deed))


def read_put_back(db: sqlite3.Connection, dataset_id: str) -> dict[str, str]:
    """The masterids of records that hold what an undo gave them, with the plan that was undone."""
    return {
        masterid: undoes for masterid, undoes in db.execute(_PUT_BACK, {"dataset_id": dataset_id})
    }


def read_runs(db: sqlite3.Connection) -> list[RunRecord]:
    """Every recorded command, oldest first."""
    query = (
        "SELECT id, command, command_line, user, host, pid, version, began_at, ended_at, exit_code, plan,"
        " confirmations, gates, stopped_by FROM runs ORDER BY id"
    )
    runs = []
    names = [one.name for one in fields(RunRecord)]
    for row in db.execute(query):
        values = dict(zip(names, row, strict=True))
        values |= {name: json.loads(values[name]) for name in ("confirmations", "gates")}
        runs.append(RunRecord(**values))
    return runs


def read_events(db: sqlite3.Connection, plan: str | None = None) -> list[PastEvent]:
    """What came over a plan, over all where none is named, oldest first."""
    query = (
        "SELECT plan, event, dataset, at, who, command, run, by_plan, records, scope FROM plan_events"
        " WHERE ? IS NULL OR plan = ? ORDER BY id"
    )
    return [
        PastEvent(row[0], row[1], row[2], Deed(*row[3:6]), *row[6:])
        for row in db.execute(query, (plan, plan))
    ]


def read_discards(db: sqlite3.Connection, dataset: str | None = None) -> list[Discard]:
    """The records that plans leave out, of one dataset or of all."""
    query = (
        "SELECT dataset, source, id, position, plan, reject, reason, note, resource, who, at"
        " FROM discards WHERE ? IS NULL OR dataset = ? ORDER BY dataset, resource, source, id, position"
    )
    return [
        Discard(
            Discarded(name, source or None, id_, None if place == NO_POSITION else place, *rest),
            who,
            at,
        )
        for name, source, id_, place, *rest, who, at in db.execute(query, (dataset, dataset))
    ]
