"""Making a plan known to the ledger, or taking it up where another process left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from migrate.errors import Stale
from migrate.load.ledger_facts import read_overtaking, read_undone
from migrate.load.ledger_notes import PlanEvent
from migrate.load.standing import PlanFacts, judge_standing, refuse_load


@dataclass(frozen=True)
class PlannedDataset:
    """A dataset of a plan as the ledger has to know it: the rows of each batch, by batch number.

    `target`: `dataset`, or `webhook` where `dataset_id` is a webhook's.
    """

    name: str
    dataset_id: str
    batch_rows: Sequence[int]
    target: str = "dataset"


def take_up(
    db: sqlite3.Connection,
    plan: str,
    datasets: Sequence[PlannedDataset],
    sha256: str,
    now: float,
    undoes: str | None = None,
) -> dict[str, int]:
    """The ledger's numbers of the datasets. What was being sent is now unknown, what was deferred is planned again.

    `undoes`: the plan whose load this one takes back.

    **Raises**: Stale when the ledger knows a plan of that name with other batches or of another hash.
    """
    plan_id = _open_plan(db, plan, sha256, now, undoes)
    ids = {
        dataset.name: _open_dataset(db, plan_id, place, dataset)
        for place, dataset in enumerate(datasets)
    }
    for number in ids.values():
        db.execute(
            # Whoever was killed may have been killed after the service took the batch.
            "UPDATE batches SET state = replace(state, 'sending', 'unknown'), changed_at = ?,"
            " doubts = doubts + 1, attempts = attempts + (state = 'sending')"
            " WHERE dataset = ? AND state IN ('sending', 'split')",
            (now, number),
        )
        db.execute(
            "UPDATE batches SET state = 'planned' WHERE dataset = ? AND state = 'deferred'",
            (number,),
        )
    return ids


def _open_plan(
    db: sqlite3.Connection, plan: str, sha256: str, now: float, undoes: str | None
) -> int:
    db.execute(
        "INSERT OR IGNORE INTO plans (name, begun_at, sha256, undoes) VALUES (?, ?, ?, ?)",
        (plan, now, sha256, undoes),
    )
    # A ledger of an earlier format does not know the hash: the plan that is there now is taken at its word.
    db.execute("UPDATE plans SET sha256 = ? WHERE name = ? AND sha256 IS NULL", (sha256, plan))
    number, known = db.execute("SELECT id, sha256 FROM plans WHERE name = ?", (plan,)).fetchone()
    # Batch numbers of another plan of this name would settle records that were never sent.
    if known != sha256:
        raise Stale(
            f"plan {plan!r} was made again after its load had begun: the ledger knows another plan of this name",
            hint="make the plan under a new name with `migrate plan` and load that one: what is in the target already "
            "it finds there",
        )
    return int(number)


def _open_dataset(db: sqlite3.Connection, plan_id: int, place: int, dataset: PlannedDataset) -> int:
    known = db.execute(
        "SELECT id, dataset_id FROM datasets WHERE plan = ? AND name = ?", (plan_id, dataset.name)
    ).fetchone()
    if known is None:
        cursor = db.execute(
            "INSERT INTO datasets (plan, name, dataset_id, place, target) VALUES (?, ?, ?, ?, ?)",
            (plan_id, dataset.name, dataset.dataset_id, place, dataset.target),
        )
        number = int(cursor.lastrowid or 0)
        db.executemany(
            "INSERT INTO batches (dataset, batch, rows, state) VALUES (?, ?, ?, 'planned')",
            ((number, batch, rows) for batch, rows in enumerate(dataset.batch_rows)),
        )
        return number
    rows = [
        row[0]
        for row in db.execute(
            "SELECT rows FROM batches WHERE dataset = ? ORDER BY batch", known[:1]
        )
    ]
    if rows != list(dataset.batch_rows) or known[1] != dataset.dataset_id:
        raise Stale(
            f"the ledger knows dataset {dataset.name!r} of this plan with other batches or another dataset id",
            hint="make a new plan with `migrate plan`",
        )
    return int(known[0])


def first_sending(
    db: sqlite3.Connection, plan: str, undoes: str | None, dataset: int, name: str
) -> list[PlanEvent]:
    """What the first request of a load to a dataset brings over plans, as far as it is news.

    The plan itself, or the one that it takes back, is being worked on; others that have read the
    dataset are overtaken.
    """
    events = []
    if undoes:
        mine = PlanEvent(undoes, "undoing", name)
    else:
        mine = PlanEvent(plan, "loading", name)
    if undoes or not _has_event(db, plan, "loading"):
        events.append(mine)
    query = (
        "SELECT DISTINCT r.plan FROM plan_readings r JOIN datasets d ON d.dataset_id = r.dataset_id"
        " WHERE d.id = ? AND r.plan <> ? AND r.plan IS NOT ? ORDER BY r.plan"
    )
    others = [row[0] for row in db.execute(query, (dataset, plan, undoes))]
    events += [
        PlanEvent(other, "overtaken", name, by_plan=plan)
        for other in others
        if not _has_event(db, other, "overtaken")
    ]
    return events


def _has_event(db: sqlite3.Connection, plan: str, event: str) -> bool:
    query = "SELECT 1 FROM plan_events WHERE plan = ? AND event = ? LIMIT 1"
    return db.execute(query, (plan, event)).fetchone() is not None


def check_standing(db: sqlite3.Connection, plan: str, dataset_ids: Sequence[str]) -> None:
    """Raises Stale for a plan that must not be loaded any more.

    Asked once more under the lock: another load may have come between the first look and this one.
    """
    overtaken_by = read_overtaking(db, plan, dataset_ids, None)
    facts = PlanFacts(overtaken_by=overtaken_by, undone=read_undone(db, plan))
    refuse_load(plan, judge_standing(facts), "migrate plan")
