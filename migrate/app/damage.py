"""What of a workspace is not as its manifests say, for a command that came to grief over it.

Not every command compares every file with its hash before it reads: that would cost more than most of them do. So it
is asked afterwards, where one ended with an error that nobody foresaw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from migrate.errors import MigrateError
from migrate.load.ledger_view import LedgerView
from migrate.plan.open_plan import PLAN_FILE, open_plan
from migrate.snapshot.layout import MANIFEST
from migrate.snapshot.reading import open_snapshot
from migrate.workspace import Workspace


def find_damage(workspace: Workspace) -> MigrateError | None:
    """The first finished snapshot, plan or ledger that cannot be used as it is, as the error that says so."""
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
            yield partial(open_plan, workspace, name)
    if workspace.ledger.exists():
        yield lambda: LedgerView(workspace.ledger).close()
