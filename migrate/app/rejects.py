"""Rejects of a plan as commands ask for them: read, written to files, discarded and taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
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
    SCHEMA,
    chosen_rejects,
    export_rejects,
    open_rejects,
    reject_frames,
    with_requests,
)
from migrate.load.totals import Failure
from migrate.plan.open_plan import Plan, open_plan
from migrate.workspace import Workspace


@dataclass(frozen=True)
class Rejects:
    """All rejects of a plan, read as often as they are asked for: there may be as many as there are records."""

    workspace: Workspace
    plan: Plan

    def parts(self) -> Iterator[pl.DataFrame]:
        """All of them, some thousand at a time, see `reject_frames`."""
        ledger = self.workspace.ledger
        with LedgerView(ledger) if ledger.exists() else nullcontext() as view:
            yield from reject_frames(self.plan, view)

    def chosen(self, names: Sequence[str], reason: str | None) -> Iterator[pl.DataFrame]:
        """Those of the given names, and with `reason` in theirs; all when neither is given.

        **Raises**: UsageError, once all are read, where a name is none's.
        """
        unknown = set(names)
        for part in self.parts():
            unknown -= set(part["reject"])
            yield chosen_rejects(part, names, reason)
        # Only once all are read: a name may be in the last part.
        if unknown:
            raise UsageError(
                f"there is no reject {min(unknown)!r:.120}",
                hint="`migrate rejects list` shows an example each",
            )


def rejects_of(workspace: Workspace, name: str | None) -> Rejects:
    """The rejects of a plan, of the newest where none is named."""
    return Rejects(workspace, open_plan(workspace, name))


def first_rejects(
    rejects: Rejects, names: Sequence[str], reason: str | None, limit: int
) -> tuple[pl.DataFrame, int]:
    """At most so many of those that are chosen, and how many are in all. Raises UsageError."""
    first, count = pl.DataFrame(schema=SCHEMA), 0
    for part in rejects.chosen(names, reason):
        first = pl.concat([first, part.head(limit - first.height)])
        count += part.height
    return first, count


def failures_of(workspace: Workspace, plan: str) -> list[Failure]:
    """The failed requests of a plan's load."""
    if not workspace.ledger.exists():
        return []
    with LedgerView(workspace.ledger) as view:
        return view.failures(plan)


def undone_replays(workspace: Workspace, plan: Plan) -> dict[str, int]:
    """How many rejects of a plan were sent by a replay that was undone since, by the plan of the replay."""
    if not workspace.ledger.exists():
        return {}
    with LedgerView(workspace.ledger) as view:
        return view.undone_replays(plan.name)


def write_rejects(
    workspace: Workspace, name: str | None, form: str
) -> tuple[Plan, int, list[Path]]:
    """Writes the open rejects of a plan to files in exports/PLAN; gives their number."""
    rejects = rejects_of(workspace, name)
    plan = rejects.plan
    failures = failures_of(workspace, plan.name)
    parts = (with_requests(open_rejects(part), failures) for part in rejects.parts())
    return plan, *export_rejects(parts, workspace.exports / plan.name, form)


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
    rejects = rejects_of(workspace, name)
    plan, count = rejects.plan, 0
    # Nothing is marked before all are known to have an identity.
    for part in _to_discard(rejects, names, reason):
        count += part.height
        _check_named(part)
    if not count:
        raise UsageError(
            "no open permanent reject fits", hint=f"migrate rejects list --plan {plan.name}"
        )
    with LedgerNotes(workspace.ledger) as notes:
        for part in _to_discard(rejects, names, reason):
            marked = part["reject"].to_list()
            notes.discard(identities_of(plan, part, dict.fromkeys(marked, note)))
            notes.mark_rejects(plan.name, [(reject, "discarded", note) for reject in marked])
    return plan, count


def _to_discard(
    rejects: Rejects, names: Sequence[str], reason: str | None
) -> Iterator[pl.DataFrame]:
    for part in rejects.chosen(names, reason):
        yield open_rejects(part).filter(pl.col("kind") == PERMANENT)


def _check_named(rejects: pl.DataFrame) -> None:
    nameless = rejects.filter(pl.col("id").fill_null("") == "")
    if nameless.height:
        raise UsageError(
            f"{nameless.height:,} of these records have no id, such as {nameless['reject'][0]}: no later "
            "plan could tell them from others",
            hint="have them fixed at the source, or leave them out by `where` in the mapping",
        )


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
