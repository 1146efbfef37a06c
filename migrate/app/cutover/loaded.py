"""What a cut-over night can build on: which datasets were loaded, from which snapshot, and which only in part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrate.app.status import PlanState, Status
from migrate.errors import WorkspaceError
from migrate.plan.open_plan import open_plan
from migrate.plan.plan_folder import BEGUN_FILE
from migrate.snapshot.reading import list_snapshots, newest_whole, open_snapshot
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from migrate.plan.document import BaseUsed, SnapshotUsed
    from migrate.verify.reconcile import DatasetBooks


@dataclass(frozen=True)
class CutShort:
    """A plan of which a dataset was loaded in part only. Units: records."""

    plan: str
    snapshot: str
    left: int
    planned: int

    @property
    def told(self) -> str:
        """The part that is missing, in words."""
        return f"{self.left:,} of {self.planned:,} records of plan {self.plan} are not loaded"


@dataclass(frozen=True)
class Loaded:
    """What the plans of a workspace have loaded, by dataset.

    `snapshots`: the one that it was last loaded from, whole or in part. `cut_short`: where that part has to be finished
    first: nothing else would ever send the rest. `again`: where a plan was cut short, but all that it was to send has
    changed since the last whole load, so that the night plans it anew. `never_sent`: the plan of which it was to be
    loaded, where not one record of it was sent. `unreadable`: plans of which nobody can tell.
    """

    snapshots: dict[str, str] = field(default_factory=dict)
    cut_short: dict[str, CutShort] = field(default_factory=dict)
    again: dict[str, CutShort] = field(default_factory=dict)
    never_sent: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def read_loaded(workspace: Workspace, status: Status, night: str) -> Loaded:
    """What was loaded before the night of that name, whose own plan does not count. Reads files only."""
    loaded = Loaded()
    for plan in status.plans:
        # What went to another target says nothing of what this one holds.
        if plan.name == night or plan.target is not None or _is_repair(workspace, plan.name):
            continue
        if plan.trouble:
            loaded.unreadable.append(plan.name)
        for dataset, books in plan.books.items():
            _take(loaded, plan, dataset, books)
    for dataset, cut in list(loaded.cut_short.items()):
        whole = loaded.snapshots.setdefault(dataset, cut.snapshot)
        if whole != cut.snapshot and whole in _below(workspace, cut.plan):
            loaded.again[dataset] = loaded.cut_short.pop(dataset)
    return loaded


def _take(loaded: Loaded, plan: PlanState, dataset: str, books: DatasetBooks) -> None:
    """One dataset of one plan, the plans coming in their order: the last one tells."""
    if plan.snapshot is None:
        return
    undone = plan.standing.undone
    if undone is not None and dataset in undone.records:
        # What was loaded before it is what the target holds now; where there is nothing, it says so.
        loaded.snapshots.setdefault(dataset, plan.snapshot)
        return
    left = books.left
    if left and books.count_before is None and not books.written + books.rejected + books.unknown:
        loaded.never_sent[dataset] = plan.name
        return
    loaded.never_sent.pop(dataset, None)
    if left:
        loaded.cut_short[dataset] = CutShort(
            plan.name, plan.snapshot, left, left + books.written + books.rejected
        )
        return
    if plan.scope is None:  # of a sample or a part most of the snapshot is not there
        loaded.snapshots[dataset] = plan.snapshot
    loaded.cut_short.pop(dataset, None)


def _is_repair(workspace: Workspace, plan: str) -> bool:
    """Whether a plan only sends some records of another one again, which says nothing of the rest."""
    try:
        return "repairs" in json.loads((workspace.plans / plan / BEGUN_FILE).read_bytes())
    except (OSError, ValueError):
        return False


def _below(workspace: Workspace, plan: str) -> Iterator[str]:
    """The snapshots that the snapshot of a plan of a delta was put on."""
    used: SnapshotUsed | BaseUsed = open_plan(workspace, plan, check_files=False).document.snapshot
    while used.base is not None:
        used = used.base
        yield used.name


def refuse_cut_short(cut_short: Mapping[str, CutShort]) -> None:
    """Nothing, where every dataset that was begun is loaded. Raises WorkspaceError naming each one that is not."""
    if not cut_short:
        return
    lines = "\n".join(f"- {dataset}: {cut.told}" for dataset, cut in cut_short.items())
    first = next(iter(cut_short.values()))
    raise WorkspaceError(
        f"the night sends what has changed, and so would never send the rest of what was loaded in part:\n{lines}",
        hint=f"migrate load --plan {first.plan}; where that plan no longer holds, make and load another one: "
        f"migrate plan --snapshot {first.snapshot}",
    )


def choose_base(workspace: Workspace, loaded: Loaded) -> str:
    """The oldest of the snapshots that the datasets were last loaded from, so that nothing is missed of any of them.

    The newest whole one where nothing was loaded.
    """
    last = set(loaded.snapshots.values())
    known = [
        state.name for state in list_snapshots(workspace) if state.finished and state.name in last
    ]
    # where there is none at all, opening it says so
    if known:
        return known[0]
    return newest_whole(workspace) or open_snapshot(workspace, None, check_files=False).name


def doubts_of(workspace: Workspace, loaded: Loaded, base: str) -> Iterator[str]:
    """What to know before a night on the snapshot `base` begins."""
    if not loaded.snapshots:
        yield f"no plan of snapshot {base} was loaded from this workspace: what only it holds is not sent tonight"
    before = workspace.names(workspace.snapshots)
    older = before[: before.index(base)] if base in before else []
    for dataset, snapshot in loaded.snapshots.items():
        if snapshot in older:
            between = f"what changed from then to {base} is not sent tonight"
            yield f"{dataset} was last loaded from snapshot {snapshot}: {between}"
    for dataset, cut in loaded.cut_short.items():
        yield f"{dataset}: {cut.told}, and the night does not begin before they are"
    for dataset, cut in loaded.again.items():
        yield f"{dataset}: {cut.told}; the night plans them again"
    for dataset, plan in loaded.never_sent.items():
        if loaded.snapshots and dataset not in loaded.snapshots:
            yield f"{dataset} is not part of the night: a load of plan {plan} was begun, but nothing of it was sent"
    for plan in loaded.unreadable:
        yield f"plan {plan} cannot be read: what was loaded of it is not taken into account (migrate status)"
