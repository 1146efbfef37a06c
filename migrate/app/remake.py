"""What to plan instead of a plan that must not be loaded any more: the next step that will not be refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from migrate.app.bases import find_broken
from migrate.app.standing import (
    asked_datasets,
    limits_of,
    read_standing,
    remake_command,
    snapshot_options,
)
from migrate.errors import MigrateError
from migrate.load.standing import Standing, refuse_load
from migrate.plan.open_plan import Plan, open_plan
from migrate.snapshot.reading import newest_whole

if TYPE_CHECKING:
    from migrate.plan.document import BaseUsed, SnapshotUsed
    from migrate.workspace import Workspace


def check_loadable(workspace: Workspace, plan: Plan) -> None:
    """Raises Stale for a plan that is overtaken or undone, with the command that makes a new one."""
    standing = read_standing(workspace, plan)
    refuse_load(plan.name, standing, next_plan_command(workspace, plan, standing))


def next_plan_command(workspace: Workspace, plan: Plan, standing: Standing) -> str:
    """The command that plans the same again, of the newest records that are in the target.

    Where those are of a delta whose base is not there (any more), the command that brings the base there.
    """
    newest = _newest_loaded(workspace, plan, standing)
    whole = newest_whole(workspace)
    order = workspace.names(workspace.snapshots)
    if newest is None:
        command, used = remake_command(plan), plan.document.snapshot
    elif whole is not None and order.index(whole) >= order.index(newest.document.snapshot.name):
        return " ".join(["migrate plan", *asked_datasets(plan), *limits_of(plan)])
    else:
        # The newest whole snapshot is older than what this delta has brought, and would take that back.
        of_delta = snapshot_options(newest)
        words = ["migrate plan", *asked_datasets(plan), *of_delta, *limits_of(plan)]
        command, used = " ".join(words), newest.document.snapshot
    broken = find_broken(workspace, list(_below(used)), plan.document.dataset_ids)
    return next((base.remedy for base in broken), command)


def _newest_loaded(workspace: Workspace, plan: Plan, standing: Standing) -> Plan | None:
    """Of the plans that have overtaken one, that of the newest snapshot; None where none is newer than its own."""
    # By the order of snapshots and not by a clock, which may have been set back between two of them.
    order = {name: place for place, name in enumerate(workspace.names(workspace.snapshots))}
    newest, place = None, order.get(plan.document.snapshot.name, -1)
    for newer in standing.overtaken_by:
        # An undo has brought nothing new.
        if newer.undoes:
            continue
        with suppress(MigrateError):  # a plan that cannot be read tells nothing
            other = open_plan(workspace, newer.plan, check_files=False)
            if order.get(other.document.snapshot.name, -1) > place:
                newest, place = other, order[other.document.snapshot.name]
    return newest


def _below(used: SnapshotUsed | BaseUsed) -> Iterator[str]:
    """The snapshots that a delta stands on, the nearest first."""
    while used.base is not None:
        used = used.base
        yield used.name
