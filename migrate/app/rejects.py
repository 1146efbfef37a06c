"""Rejects of a plan as commands ask for them: read, written to files, discarded and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import polars as pl

from migrate.app.discards import adopt_old_discards, identities_of, marked_discards
from migrate.app.not_loaded import read_totals
from migrate.errors import UsageError
from migrate.load.ledger_facts import Discard
from migrate.load.ledger_notes import Discarded, LedgerNotes
from migrate.load.ledger_view import LedgerView
from migrate.load.rejects import (
    PERMANENT,
    chosen_rejects,
    export_rejects,
    open_rejects,
    read_rejects,
    with_requests,
)
from migrate.load.totals import Failure
from migrate.plan.open_plan import Plan, open_plan
from migrate.workspace import Workspace


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
    chosen = with_requests(open_rejects(rejects), failures_of(workspace, plan.name))
    return plan, chosen, export_rejects(chosen, workspace.exports / plan.name, form)


def count_waiting(workspace: Workspace, plan: Plan) -> int:
    """The rows that wait for another record: of one that the plan rejected, or that the target refused."""
    of_load = sum(entry.waiting for entry in read_totals(workspace, plan.name).values())
    return of_load + sum(entry.waiting for entry in plan.document.datasets.values())


def discard(
    workspace: Workspace, name: str | None, names: Sequence[str], reason: str | None, note: str
) -> tuple[Plan, int]:
    """Discards rejects, with the reason why; gives their number. Every later plan leaves these records out.

    **Raises**: UsageError where none fits, or where a record has no identity that could be told again.
    """
    plan, rejects = rejects_of(workspace, name)
    chosen = open_rejects(chosen_rejects(rejects, names, reason)).filter(
        pl.col("kind") == PERMANENT
    )
    if chosen.is_empty():
        raise UsageError(
            "no open permanent reject fits", hint=f"migrate rejects list --plan {plan.name}"
        )
    nameless = chosen.filter(pl.col("id").fill_null("") == "")
    if nameless.height:
        raise UsageError(
            f"{nameless.height:,} of these records have no id, such as {nameless['reject'][0]}: no later "
            "plan could tell them from others",
            hint="have them fixed at the source, or leave them out by `where` in the mapping",
        )
    rejected = chosen["reject"].to_list()
    with LedgerNotes(workspace.ledger) as notes:
        notes.discard(identities_of(plan, chosen, dict.fromkeys(rejected, note)))
        notes.mark_rejects(plan.name, [(reject, "discarded", note) for reject in rejected])
    return plan, chosen.height


def discards_of(workspace: Workspace) -> list[Discard]:
    """All that plans leave out since a person has said so, whichever plan it was said of."""
    if not workspace.ledger.exists():
        return []
    adopt_old_discards(workspace)
    with LedgerView(workspace.ledger) as view:
        return view.discards()


def keep(
    workspace: Workspace, name: str | None, names: Sequence[str], reason: str | None
) -> list[Discard]:
    """Takes discards back, of one plan or of all; gives them. Later plans have these records again.

    **Raises**: UsageError where none fits.
    """
    chosen = [
        discard
        for discard in discards_of(workspace)
        if name in (None, discard.what.plan)
        and (not names or discard.what.reject in names)
        and (reason is None or reason in discard.what.reason)
    ]
    if not chosen:
        raise UsageError("nothing that is discarded fits", hint="migrate rejects list")
    kept = {_identity(discard.what) for discard in chosen}
    marks = {(discard.what.plan, discard.what.reject) for discard in chosen}
    with LedgerView(workspace.ledger) as view:
        # The same record may have been discarded as a reject of another plan, too.
        every = marked_discards(workspace, view)
        marks |= {(one.plan, one.reject) for one in every if _identity(one) in kept}
    with LedgerNotes(workspace.ledger) as notes:
        notes.keep(discard.what for discard in chosen)
        for plan, reject in sorted(marks):
            notes.unmark_rejects(plan, [reject])
    return chosen


def _identity(what: Discarded) -> tuple[object, ...]:
    return what.dataset, what.resource, what.source, what.id, what.position
