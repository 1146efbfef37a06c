"""What plan and ledger say of each dataset, read from their files only: the verifier trusts no code of the other side.

The ledger's single records are counted, not the sums that the loader keeps beside them.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from migrate.errors import Damaged, WorkspaceError
from migrate.verify.known import UNREADABLE
from migrate.verify.reconcile import DatasetBooks

_DATASETS = """
SELECT d.id, d.name, d.dataset_id, d.count_before
FROM plans p JOIN datasets d ON d.plan = p.id WHERE p.name = ? ORDER BY d.place
"""
_RECORDS = """
SELECT coalesce(sum(state = 'written' AND change = 'create'), 0) AS created,
       coalesce(sum(state = 'written' AND change IS NOT 'create'), 0) AS updated,
       coalesce(sum(state = 'written'), 0) AS written,
       coalesce(sum(state = 'rejected'), 0) AS rejected
FROM records WHERE dataset = ?
"""
_BATCHES = """
SELECT CASE WHEN b.handover IS NULL THEN b.state ELSE 'handed over' END AS stands,
       sum(b.rows - (SELECT count(*) FROM records r WHERE r.dataset = b.dataset AND r.batch = b.batch))
FROM batches b WHERE b.dataset = ? AND b.state != 'acked' GROUP BY stands
"""
_OLD_BATCHES = _BATCHES.replace(
    "CASE WHEN b.handover IS NULL THEN b.state ELSE 'handed over' END", "b.state"
)
"""Of a ledger of an earlier version, which knows no files."""
# One that is `renamed` is gone without a record less: counted, it would be missing from the equation.
_MERGES = "SELECT count(*) FROM merges WHERE dataset = ? AND renamed = 0"


def read_books(ledger: Path, plan_folder: Path, plan: str) -> dict[str, DatasetBooks]:
    """The books of every dataset whose load was begun, in the plan's order; none for a plan that was never loaded.

    **Raises**: WorkspaceError or Damaged where a file cannot be read.
    """
    planned = _read_plan(plan_folder / "plan.json")
    if not ledger.exists():
        return {}
    try:
        with contextlib.closing(
            sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            rows = connection.execute(_DATASETS, (plan,)).fetchall()
            return {row[1]: _books(connection, row, planned["datasets"][row[1]]) for row in rows}
    except sqlite3.Error as error:
        raise WorkspaceError(
            f"the ledger {ledger} cannot be read: {error}", hint=UNREADABLE
        ) from None


def _books(
    connection: sqlite3.Connection, row: tuple[int, str, str, int | None], planned: dict[str, Any]
) -> DatasetBooks:
    number, name, dataset_id, count_before = row
    created, updated, written, rejected = connection.execute(_RECORDS, (number,)).fetchone()
    columns = {column[1] for column in connection.execute("PRAGMA table_info(batches)")}
    query = _BATCHES if "handover" in columns else _OLD_BATCHES
    left = dict(connection.execute(query, (number,)).fetchall())
    merged = connection.execute(_MERGES, (number,)).fetchone()[0]
    deferred = left.pop("deferred", 0)
    handed_over = left.pop("handed over", 0)
    unsettled = left.pop("sending", 0) + left.pop("unknown", 0)
    return DatasetBooks(
        dataset=name,
        dataset_id=dataset_id,
        planned=planned["planned"],
        count_before=count_before,
        created=created,
        updated=updated,
        merged=merged,
        written=written,
        rejected=rejected,
        deferred=deferred,
        unknown=unsettled,
        unsent=sum(left.values()),
        by_source=planned["by_source"],
        handed_over=handed_over,
    )


def _read_plan(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_bytes())
        return dict(document)
    except (OSError, ValueError, TypeError):
        raise Damaged(
            f"{file} cannot be read", hint="make a new plan with `migrate plan`"
        ) from None
