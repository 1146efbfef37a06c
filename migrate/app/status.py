"""Where a migration stands: snapshots, plans, what the ledger has of them, and the next command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from migrate.app.not_loaded import (
    not_begun,
    read_busy,
    read_stopping_canaries,
    read_totals,
)
from migrate.app.parts import Parts, read_parts
from migrate.app.remake import next_plan_command
from migrate.app.standing import read_standing
from migrate.config import Octolis
from migrate.errors import MigrateError
from migrate.load.pace import Means, remaining_s
from migrate.load.pause import pause_file
from migrate.load.standing import Standing
from migrate.load.totals import Totals
from migrate.plan.open_plan import PLAN_FILE, Plan, open_plan, readable_plans
from migrate.snapshot.reading import SnapshotState, list_snapshots
from migrate.target.gate import read_points_left
from migrate.target.spent import windows_file
from migrate.verify.ledger_counts import read_books
from migrate.verify.reconcile import DatasetBooks
from migrate.workspace import PURGED_FILE, Workspace


@dataclass(frozen=True)
class PlanState:
    """One plan: finished or not, what was loaded of it (no books before its first load), and why it is unusable.

    `target` and `scope`: which other target it is for, and what of its snapshot it is, where it is not all of it.
    `not_begun`: the records to send of datasets whose load was never begun. `counted`: its counts were explained after
    all was loaded; `proved`: its evidence was packed after that. `remake`: the command that makes a new
    plan of the same. `canaries`: by dataset the verdict on a canary that stopped the load (`refused`, `differs`).
    """

    name: str
    finished: bool
    snapshot: str | None = None
    planned: int = 0
    books: Mapping[str, DatasetBooks] = field(default_factory=dict)
    trouble: str | None = None
    not_begun: Mapping[str, int] = field(default_factory=dict)
    unchanged: Mapping[str, int] = field(default_factory=dict)
    counted: bool = False
    proved: bool = False
    standing: Standing = field(default_factory=lambda: Standing("planned"))
    remake: str = ""
    canaries: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    scope: str | None = None

    @property
    def left(self) -> int:
        """Records that are still to be sent, settled or sent again."""
        return sum(entry.left for entry in self.books.values()) + sum(self.not_begun.values())


@dataclass(frozen=True)
class Status:
    """The whole workspace; `next` is the command that continues, None where nothing is left to do.

    `paused`: loads wait for the file PAUSE to go. `parts`: which parts of a whole are in the target. `purged_at`: when
    the records of all that is listed here were removed, None where they are there.
    """

    snapshots: tuple[SnapshotState, ...]
    plans: tuple[PlanState, ...]
    next: str | None
    paused: bool = False
    parts: tuple[Parts, ...] = ()
    purged_at: str | None = None


def read_status(workspace: Workspace, plan: str | None = None) -> Status:
    """What is there, oldest first; only `plan` where one is named. Reads files only.

    **Raises**: WorkspaceError where there is no plan of that name.
    """
    if plan and not workspace.folder_of(workspace.plans, plan, "plan").is_dir():
        open_plan(workspace, plan)  # says which plans there are
    snapshots = tuple(list_snapshots(workspace))
    names = [plan] if plan else workspace.names(workspace.plans)
    # Opened once for all: each state, part and next command would read every plan again.
    opened = {known.name: known for known in readable_plans(workspace)}
    plans = tuple(_plan_state(workspace, name, opened.get(name)) for name in names)
    is_paused = pause_file(workspace).exists()
    parts = tuple(read_parts(workspace, list(opened.values())))
    purged_at = _purged_at(workspace, snapshots)
    if purged_at is None:
        following = choose_next(snapshots, plans)
    else:
        # Manifests, counts and verdicts stay, and every command that they suggest would miss the records.
        following = None
    return Status(snapshots, plans, following, is_paused, parts, purged_at)


def _purged_at(workspace: Workspace, snapshots: Sequence[SnapshotState]) -> str | None:
    """When the newest snapshot lost its records to `migrate purge`, if it has."""
    try:
        purges = json.loads((workspace.root / PURGED_FILE).read_bytes())
        last = datetime.fromisoformat(purges[-1]["purged_at"])
        if snapshots and datetime.fromisoformat(snapshots[-1].started) < last:
            return last.isoformat(timespec="seconds")
    except (OSError, ValueError, TypeError, LookupError):
        return None
    return None


def _plan_state(workspace: Workspace, name: str, opened: Plan | None) -> PlanState:
    if not (workspace.folder_of(workspace.plans, name, "plan") / PLAN_FILE).is_file():
        return PlanState(name, finished=False)
    try:
        # Opening one that could not be opened says why.
        plan = opened or open_plan(workspace, name, check_files=False)
        if workspace.ledger.exists():
            books = read_books(workspace.ledger, plan.folder, name)
        else:
            books = {}
        standing = read_standing(workspace, plan)
    except MigrateError as error:
        return PlanState(name, finished=True, trouble=error.what)
    datasets = plan.document.datasets
    counted = _was_counted(workspace, name, books)
    return PlanState(
        name,
        finished=True,
        snapshot=plan.document.snapshot.name,
        planned=sum(dataset.planned for dataset in datasets.values()),
        books=books,
        not_begun=not_begun(plan, books),
        unchanged={dataset: counts.unchanged for dataset, counts in datasets.items()},
        standing=standing,
        remake=next_plan_command(workspace, plan, standing),
        canaries=read_stopping_canaries(workspace, name, books),
        target=plan.document.target,
        scope=plan.document.scope.told if plan.document.scope else None,
        counted=counted is not None,
        proved=counted is not None
        and _is_younger(workspace.reports / f"{name}-evidence.zip", counted),
    )


def _was_counted(workspace: Workspace, plan: str, books: Mapping[str, DatasetBooks]) -> Path | None:
    """The report of a reconciliation that matched, None where there is none or something was written since."""
    file = workspace.reports / f"{plan}-reconcile.json"
    try:
        report = json.loads(file.read_bytes())
        written = {name: entry["written"] for name, entry in report["datasets"].items()}
        # A report in which some datasets were not loaded yet says nothing of those.
        is_match = report["verdict"] == "match" and not report["not_loaded"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    # What was written after the report is not in it.
    is_current = all(books[name].written == rows for name, rows in written.items() if name in books)
    return file if is_match and is_current else None


def _is_younger(file: Path, than: Path) -> bool:
    return file.is_file() and file.stat().st_mtime_ns >= than.stat().st_mtime_ns


@dataclass(frozen=True)
class LoadState:
    """A load as it stands: the ledger's sums, what may be spent at once, and the seconds that are left.

    `points` is None where no load has run yet. `not_begun`: records to send of datasets whose load was never begun.
    `busy`: datasets that answered last that they are (423).
    """

    plan: str
    totals: Mapping[str, Totals]
    points: int | None
    left_s: float
    paused: bool
    not_begun: Mapping[str, int] = field(default_factory=dict)
    busy: Sequence[str] = ()

    @property
    def done(self) -> int:
        """Records that are written or refused, or that wait for a refused one."""
        return sum(entry.done for entry in self.totals.values())

    @property
    def planned(self) -> int:
        """Records to send."""
        return sum(entry.planned for entry in self.totals.values())

    @property
    def is_over(self) -> bool:
        """True when nothing is left to send of what was begun; also where no load was begun at all."""
        return all(entry.batches == entry.batches_done for entry in self.totals.values())


def read_load(
    workspace: Workspace,
    octolis: Octolis,
    keys: int,
    plan: str | None,
    now: float,
    names: Sequence[str] = (),
) -> LoadState:
    """How the load of a plan, the newest where none is named, stands. Reads files only.

    `names`: the fingerprints of the keys. `now`: wall time in seconds.
    """
    opened = open_plan(workspace, plan, check_files=False)
    totals = read_totals(workspace, opened.name)
    means = Means(max(1, keys), octolis.account_share, octolis.limit_speed)
    budget = windows_file(octolis.base_url, workspace.root)
    limits = (means.keys, means.speed, means.account_share)
    points = read_points_left(budget, now, *limits, names)
    left_s = remaining_s(totals.values(), means)
    paused = pause_file(workspace).exists()
    busy = tuple(read_busy(workspace, opened.name))
    return LoadState(opened.name, totals, points, left_s, paused, not_begun(opened, totals), busy)


def choose_next(snapshots: tuple[SnapshotState, ...], plans: tuple[PlanState, ...]) -> str | None:
    """The command that continues: the first stage, of the newest snapshot and plan, that is not finished.

    None where all is loaded, counted and proved.
    """
    # A delta is no beginning: without the snapshot below it nothing can be planned.
    whole = [snapshot for snapshot in snapshots if not snapshot.is_delta]
    if not whole:
        return "migrate check"
    snapshot = whole[-1]
    if not snapshot.finished:
        # one without a page has nothing to go on with, and may have been begun with what was wrong
        return (
            f"migrate extract --snapshot {snapshot.name}"
            if snapshot.holds_pages
            else "migrate extract"
        )
    usable = [plan for plan in plans if plan.finished and not plan.trouble]
    # a plan of a delta goes on from the whole snapshot's
    later = {delta.name for delta in snapshots[snapshots.index(snapshot) :]}
    if not usable or usable[-1].snapshot not in later:
        return f"migrate plan --snapshot {snapshot.name}"
    plan = usable[-1]
    is_whole = plan.target is None and plan.scope is None
    if not is_whole and plan.standing.state != "planned" and plan.counted and not plan.left:
        # what was to be seen of it can be seen; the whole is next
        return f"migrate plan --snapshot {snapshot.name}"
    return _next_of_plan(plan)


def _next_of_plan(plan: PlanState) -> str | None:
    """What comes next of the newest plan that can be used."""
    if plan.standing.undone is not None and plan.standing.undone.scope == "unfinished":
        # Until it came to its end nobody can say which records hold what.
        return f"migrate undo run --plan {plan.name}"
    if plan.standing.needs_new_plan:
        return plan.remake
    if plan.standing.state == "handed over":
        return f"migrate load --settle --plan {plan.name}"
    if plan.proved and not plan.left:
        return None
    if plan.left:
        command = "load"
    else:
        command = "evidence" if plan.counted else "reconcile"
    return f"migrate {command} --plan {plan.name}"
