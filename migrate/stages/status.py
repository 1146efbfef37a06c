"""Where a migration stands: snapshots, plans, what the ledger has of them, and the next command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from migrate.config import Octolis
from migrate.errors import MigrateError
from migrate.load.ledger_view import LedgerView
from migrate.load.pace import Means, remaining_s
from migrate.load.pause import pause_file
from migrate.load.totals import Totals
from migrate.plan.opening import PLAN_FILE, open_plan
from migrate.snapshot.reading import SnapshotState, list_snapshots
from migrate.target.gate import read_points_left
from migrate.verify.books import read_books
from migrate.verify.reconcile import DatasetBooks
from migrate.workspace import Workspace


@dataclass(frozen=True)
class PlanState:
    """One plan: finished or not, what was loaded of it (no books before its first load), and why it is unusable."""

    name: str
    finished: bool
    snapshot: str | None = None
    planned: int = 0
    books: Mapping[str, DatasetBooks] = field(default_factory=dict)
    trouble: str | None = None

    @property
    def left(self) -> int:
        """Records that are still to be sent, settled or sent again."""
        return sum(entry.unsent + entry.unknown + entry.deferred for entry in self.books.values())


@dataclass(frozen=True)
class Status:
    """The whole workspace; `next` is the command that continues."""

    snapshots: tuple[SnapshotState, ...]
    plans: tuple[PlanState, ...]
    next: str


def read_status(workspace: Workspace, plan: str | None = None) -> Status:
    """What is there, oldest first; only `plan` where one is named. Reads files only."""
    snapshots = tuple(list_snapshots(workspace))
    names = [plan] if plan else workspace.names(workspace.plans)
    plans = tuple(_plan_state(workspace, name) for name in names)
    return Status(snapshots, plans, choose_next(snapshots, plans))


def _plan_state(workspace: Workspace, name: str) -> PlanState:
    if not (workspace.folder_of(workspace.plans, name, "plan") / PLAN_FILE).is_file():
        return PlanState(name, finished=False)
    try:
        plan = open_plan(workspace, name, check_files=False)
        books = read_books(workspace.ledger, plan.folder, name) if workspace.ledger.exists() else {}
    except MigrateError as error:
        return PlanState(name, finished=True, trouble=error.what)
    planned = sum(dataset.planned for dataset in plan.document.datasets.values())
    return PlanState(name, True, plan.document.snapshot.name, planned, books)


@dataclass(frozen=True)
class LoadState:
    """A load as it stands: the ledger's sums, what may be spent at once, and the seconds that are left.

    `points` is None where no load has run yet.
    """

    plan: str
    totals: Mapping[str, Totals]
    points: int | None
    left_s: float
    paused: bool

    @property
    def done(self) -> int:
        """Records that are written or refused."""
        return sum(entry.written + entry.rejected for entry in self.totals.values())

    @property
    def planned(self) -> int:
        """Records to send."""
        return sum(entry.planned for entry in self.totals.values())

    @property
    def is_over(self) -> bool:
        """True when nothing is left to send."""
        return bool(self.totals) and all(entry.batches == entry.batches_done for entry in self.totals.values())


def read_load(workspace: Workspace, octolis: Octolis, keys: int, plan: str | None, now: float) -> LoadState:
    """How the load of a plan, the newest where none is named, stands. Reads files only. `now`: wall time in seconds."""
    name = open_plan(workspace, plan, check_files=False).name
    totals: Mapping[str, Totals] = {}
    if workspace.ledger.exists():
        with LedgerView(workspace.ledger) as view:
            totals = view.totals(name)
    means = Means(max(1, keys), octolis.account_share, octolis.limit_speed)
    budget = workspace.root / "budget.json"
    points = read_points_left(budget, now, means.keys, means.speed, means.account_share)
    return LoadState(name, totals, points, remaining_s(totals.values(), means), pause_file(workspace).exists())


def choose_next(snapshots: tuple[SnapshotState, ...], plans: tuple[PlanState, ...]) -> str:
    """The command that continues: the first stage, of the newest snapshot and plan, that is not finished."""
    whole = [snapshot for snapshot in snapshots if not snapshot.is_delta]
    if not whole:
        return "migrate check"
    snapshot = whole[-1]
    if not snapshot.finished:
        return f"migrate extract --snapshot {snapshot.name}"
    usable = [plan for plan in plans if plan.finished and not plan.trouble]
    # a plan of a delta goes on from the whole snapshot's
    later = {delta.name for delta in snapshots[snapshots.index(snapshot) :]}
    if not usable or usable[-1].snapshot not in later:
        return f"migrate plan --snapshot {snapshot.name}"
    plan = usable[-1]
    return f"migrate {'load' if not plan.books or plan.left else 'reconcile'} --plan {plan.name}"
