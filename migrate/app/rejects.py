"""A second chance for rejects: reading them, marking them, and sending them through the same rules and gates again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from migrate.app.context import Context
from migrate.app.pipeline import run_load, run_plan
from migrate.errors import UsageError
from migrate.load.ledger_notes import LedgerNotes
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import LoadResult
from migrate.load.rejects import (
    PERMANENT,
    TRANSIENT,
    chosen_rejects,
    export_rejects,
    open_rejects,
    read_rejects,
    released,
)
from migrate.load.totals import Failure
from migrate.plan.open_plan import Plan, open_plan
from migrate.workspace import Workspace


@dataclass(frozen=True)
class Replay:
    """What became of a plan's open rejects: `released` of `rejects` were brought through by plan `new`.

    `new` is the plan itself where its transient records only had to be sent again; `loaded` is None where the new plan
    was made and not loaded.
    """

    old: str
    new: Plan
    rejects: int
    released: int
    loaded: LoadResult | None


def rejects_of(workspace: Workspace, name: str | None) -> tuple[Plan, pl.DataFrame]:
    """A plan, the newest where none is named, and all its rejects."""
    plan = open_plan(workspace, name, check_files=False)
    with LedgerView(workspace.ledger) if workspace.ledger.exists() else nullcontext() as view:
        return plan, read_rejects(plan, view)


def failures_of(workspace: Workspace, plan: str) -> list[Failure]:
    """The failed requests of a plan's load."""
    if not workspace.ledger.exists():
        return []
    with LedgerView(workspace.ledger) as view:
        return view.failures(plan)


def write_rejects(
    workspace: Workspace, name: str | None, form: str
) -> tuple[Plan, pl.DataFrame, list[Path]]:
    """The open rejects of a plan as files in exports/PLAN."""
    plan, rejects = rejects_of(workspace, name)
    chosen = open_rejects(rejects)
    return plan, chosen, export_rejects(chosen, workspace.exports / plan.name, form)


def discard(
    workspace: Workspace, name: str | None, names: Sequence[str], reason: str | None, note: str
) -> tuple[Plan, int]:
    """Marks rejects as discarded, with the reason why; gives their number. Nothing is deleted.

    **Raises**: UsageError where none fits.
    """
    plan, rejects = rejects_of(workspace, name)
    chosen = open_rejects(chosen_rejects(rejects, names, reason)).filter(
        pl.col("kind") == PERMANENT
    )
    if chosen.is_empty():
        raise UsageError(
            "no open permanent reject fits", hint=f"migrate rejects list --plan {plan.name}"
        )
    _mark(workspace, plan.name, chosen["reject"].to_list(), "discarded", note)
    return plan, chosen.height


def replay(context: Context, name: str | None, *, plan_only: bool = False) -> Replay:
    """Sends what was rejected through the mappings, the plan's rules, the gates and the load again.

    Permanent rejects need a new plan of the same snapshot, which sees the mended mapping and what the target holds by
    now: so only what is not there is sent, also rows that were rejected because their parent was. Feeds are left out,
    since a new plan sends a webhook everything again. Where all open rejects are transient, the plan itself is loaded
    again.

    **Raises**: UsageError where no reject is open; all that `run_plan` and `run_load` raise.
    """
    plan, rejects = rejects_of(context.workspace, name)
    before = open_rejects(rejects)
    if before.is_empty():
        raise UsageError(f"plan {plan.name!r} has no open rejects", hint="migrate rejects list")
    only_again = (before["kind"] == TRANSIENT).all()
    if not only_again and before["dataset"].is_in(list(plan.document.webhook_ids)).all():
        raise UsageError(
            "all open rejects are of feeds; a new plan of a feed would send all of its rows to the webhook again",
            hint="mend the mapping, give it a `where` that leaves only these records, and plan that",
        )
    if only_again:
        loaded = run_load(context, name=plan.name)
        after = open_rejects(rejects_of(context.workspace, plan.name)[1])
        return Replay(plan.name, plan, before.height, len(released(before, after)), loaded)
    new = run_plan(context, list(plan.document.dataset_ids), snapshot=plan.document.snapshot.name)
    if plan_only:
        after = rejects_of(context.workspace, new.name)[1]
        return Replay(plan.name, new, before.height, len(released(before, after)), None)
    loaded = run_load(context, name=new.name)
    brought = released(before, rejects_of(context.workspace, new.name)[1])
    _mark(context.workspace, plan.name, brought, "replayed", f"by plan {new.name}")
    return Replay(plan.name, new, before.height, len(brought), loaded)


def _mark(
    workspace: Workspace,
    plan: str,
    names: Sequence[str],
    mark: Literal["discarded", "replayed"],
    note: str,
) -> None:
    if not names:
        return
    with LedgerNotes(workspace.ledger) as notes:
        notes.mark_rejects(plan, [(name, mark, note) for name in names])
