"""What is known of a workspace before a cut-over night: how long things took, and how much has changed so far."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.app.cutover.timetable import CutoverHistory
from migrate.plan.open_plan import PLAN_FILE, Plan, readable_plans
from migrate.snapshot.reading import Snapshot, list_snapshots, open_snapshot
from migrate.snapshot.union import UnionResource, open_union
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from migrate.demo.drift import Shares
    from migrate.plan.document import PlanDocument

# Files that were copied or brought back from a backup have times that say nothing.
_PLAUSIBLE_PLAN = timedelta(days=1)


def gather_known(workspace: Workspace, base: str, shares: Shares, now: datetime) -> CutoverHistory:
    """What the forecast of a night on the snapshot `base` goes by. Reads files only.

    `shares` are taken where no delta on the same base tells how much changes.
    """
    chain = open_chain(workspace, base)
    newest = chain[0]
    whole = chain[-1]
    read = {
        name: replace(resource.result, distinct=_living_rows(newest, name))
        for name, resource in whole.resources.items()
    }
    changes, spans = _changes_before(workspace, newest, now) or (
        # What is gone makes no request: there is no delete.
        {name: sum(shares.of(result.distinct)[:2]) for name, result in read.items()},
        f"if {shares.changed + shares.new:.1%} are new or changed",
    )
    planned, plan_s = _planned_before(workspace, whole.name)
    return CutoverHistory(whole.name, read, changes, spans, planned, plan_s)


def open_chain(workspace: Workspace, base: str) -> list[Snapshot]:
    """The base and the snapshots below it, the whole one last."""
    newest = open_snapshot(workspace, base, check_files=False)
    chain = [
        newest if newest.manifest.since is None else open_union(workspace, base, check_files=False)
    ]
    while chain[-1].base is not None:
        chain.append(chain[-1].base)
    return chain


def _living_rows(snapshot: Snapshot, name: str) -> int:
    resource = snapshot.resources[name]
    return resource.rows - (resource.gone.height if isinstance(resource, UnionResource) else 0)


def _changes_before(
    workspace: Workspace, base: Snapshot, now: datetime
) -> tuple[dict[str, int], str] | None:
    """What the newest other delta on the same base found, carried on to now at the same pace."""
    began = datetime.fromisoformat(base.manifest.started)
    for state in reversed(list_snapshots(workspace)):
        if not (state.finished and state.is_delta and not state.trouble):
            continue
        delta = open_snapshot(workspace, state.name, check_files=False)
        length = datetime.fromisoformat(delta.manifest.started) - began
        if (
            delta.manifest.since is None
            or delta.manifest.since.snapshot != base.name
            or length <= timedelta()
        ):
            continue
        # Never less than that delta has found already.
        growth = max((now - began) / length, 1.0)
        counts = {name: resource.result.delta for name, resource in delta.resources.items()}
        changes = {
            name: round(((c.new or 0) + (c.changed or 0)) * growth)
            for name, c in counts.items()
            if c
        }
        return changes, f"at the pace of {delta.name}"
    return None


def _planned_before(
    workspace: Workspace, snapshot: str
) -> tuple[PlanDocument | None, float | None]:
    """The plan of the snapshot with the most datasets, the newest of several; and the seconds it took, by its files."""
    best: Plan | None = None
    for plan in readable_plans(workspace):
        if plan.document.snapshot.name == snapshot:
            size = len(plan.document.datasets)
        else:
            size = 0
        best = plan if size and (best is None or size >= len(best.document.datasets)) else best
    if best:
        return (best.document, _made_in_s(best.folder))
    return (None, None)


def _made_in_s(folder: Path) -> float | None:
    try:
        begun = datetime.fromisoformat(json.loads((folder / "begun.json").read_bytes())["started"])
        seconds = (folder / PLAN_FILE).stat().st_mtime - begun.timestamp()
    except (OSError, ValueError, KeyError):
        return None
    if 0 < seconds < _PLAUSIBLE_PLAN.total_seconds():
        return seconds
    return None
