"""Where a migration stands, for a terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from migrate.report.terminal import render_table

if TYPE_CHECKING:
    from migrate.snapshot.reading import SnapshotState
    from migrate.status import PlanState, Status


def summarise_status(status: Status) -> dict[str, Any]:
    """The status's part of the JSON object."""
    return {
        "snapshots": [asdict(snapshot) for snapshot in status.snapshots],
        "plans": [{**asdict(plan), "left": plan.left} for plan in status.plans],
    }


def render_status(status: Status) -> str:
    """Snapshots, plans and what is left of each."""
    parts = []
    if status.snapshots:
        headers = ["snapshot", "state", "resource", "rows", "pages", "verdict"]
        parts.append(render_table(headers, [row for snapshot in status.snapshots for row in _snapshot_rows(snapshot)]))
    if status.plans:
        headers = ["plan", "state", "snapshot", "dataset", "planned", "written", "refused", "left"]
        parts.append(render_table(headers, [row for plan in status.plans for row in _plan_rows(plan)]))
    return "\n\n".join(parts) or "Nothing here yet: no snapshot, no plan."


def _snapshot_rows(snapshot: SnapshotState) -> list[list[str | int | None]]:
    state = "finished" if snapshot.finished else "unfinished"
    if snapshot.trouble:
        return [[snapshot.name, snapshot.trouble, None, None, None, None]]
    return [
        [snapshot.name, state, name, resource.rows, resource.pages, resource.verdict]
        for name, resource in snapshot.resources.items()
    ]


def _plan_rows(plan: PlanState) -> list[list[str | int | None]]:
    if plan.trouble or not plan.finished:
        return [[plan.name, plan.trouble or "unfinished", plan.snapshot, None, None, None, None, None]]
    if not plan.books:
        return [[plan.name, "not loaded", plan.snapshot, None, plan.planned, None, None, None]]
    state = "loading" if plan.left else "loaded"
    return [
        [plan.name, state, plan.snapshot, name, b.planned, b.written, b.rejected, b.unsent + b.unknown + b.deferred]
        for name, b in plan.books.items()
    ]
