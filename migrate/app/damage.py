"""What of a workspace is not as its manifests say, for a command that came to grief over it.

Not every command compares every file with its hash before it reads, nor looks at every cell: that would cost more than
most of them do. So it is asked afterwards, where one ended with an error that nobody foresaw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from migrate import parquet
from migrate.errors import MigrateError
from migrate.load.ledger_view import LedgerView
from migrate.plan.carried import check_carried
from migrate.plan.open_plan import PLAN_FILE, open_plan, readable_plans
from migrate.privacy.own import own_files
from migrate.snapshot.layout import MANIFEST
from migrate.snapshot.reading import list_snapshots, open_snapshot
from migrate.workspace import Workspace


def find_damage(workspace: Workspace) -> MigrateError | None:
    """The first snapshot, plan, ledger or file of rows that cannot be used as it is, as the error that says so.

    A file whose hash is right may be one that somebody has changed together with its hash: so each is read to its end.
    """
    for check in _checks(workspace):
        try:
            check()
        except MigrateError as error:
            return error
    return None


def _checks(workspace: Workspace) -> Iterator[Callable[[], object]]:
    for name in workspace.names(workspace.snapshots):
        if (workspace.snapshots / name / MANIFEST).exists():
            yield partial(open_snapshot, workspace, name)
    for name in workspace.names(workspace.plans):
        if (workspace.plans / name / PLAN_FILE).exists():
            yield partial(_check_plan, workspace, name)
    if workspace.ledger.exists():
        yield lambda: LedgerView(workspace.ledger).close()
    # Only now: manifests that are damaged have raised above, and a row count from them would mislead.
    rows = _rows_by_manifests(workspace)
    for file in sorted(own_files(workspace.root)):
        if file.suffix == ".parquet":
            # To its last row: its hash may have been changed together with it.
            yield partial(parquet.check_whole, file, rows.get(file))


def _check_plan(workspace: Workspace, name: str) -> None:
    plan = open_plan(workspace, name)
    # The texts that it was made from are in no list of its files.
    check_carried(plan.folder, plan.document)


def _rows_by_manifests(workspace: Workspace) -> dict[Path, int]:
    """How many rows each file has by the plan or the manifest that names it; asked once all of those are read."""
    rows: dict[Path, int] = {}
    for plan in readable_plans(workspace):
        rows |= {plan.folder / file.path: file.rows for file in plan.document.files}
    for state in list_snapshots(workspace):
        if state.finished:
            snapshot = open_snapshot(workspace, state.name, check_files=False)
            for resource in snapshot.resources.values():
                rows |= {resource.folder / part.path: part.rows for part in resource.parts}
    return rows
