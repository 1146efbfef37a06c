"""A second chance for rejects: reading them, marking them, and sending them through the same rules and gates again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from migrate import parquet
from migrate.app.context import Context
from migrate.app.discards import adopt_old_discards, identities_of, marked_discards
from migrate.app.not_loaded import read_totals
from migrate.app.pipeline import run_load, run_plan
from migrate.app.standing import check_not_undone, read_standing
from migrate.errors import MigrateError, Stale, UsageError
from migrate.load.ledger_facts import Discard
from migrate.load.ledger_notes import Discarded, LedgerNotes
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import LoadResult
from migrate.load.rejects import (
    IDENTITY,
    PERMANENT,
    SCHEMA,
    TRANSIENT,
    chosen_rejects,
    export_rejects,
    open_rejects,
    read_rejects,
    with_requests,
)
from migrate.load.totals import Failure
from migrate.plan.open_plan import Plan, open_plan
from migrate.plan.request import scope_again
from migrate.snapshot.reading import list_snapshots
from migrate.workspace import Workspace

SENT, THERE, COLLAPSED, WAITING, DISCARDED, FILTERED, AGAIN, NOT_SENT = (
    "sent", "there already", "collapsed", "waiting", "discarded", "filtered", "rejected again",
    "not sent yet",
)  # fmt: skip
_SETTLED = (SENT, THERE, COLLAPSED, FILTERED)
"""What became of a reject so that nothing is left to do about it."""


@dataclass(frozen=True)
class Replay:
    """What became of a plan's open rejects in plan `new`: how many of `rejects` came to each end, by `fates`.

    `new` is the plan itself where its transient records only had to be sent again; `loaded` is None where the new plan
    was made and not loaded, and then `sent` is what would be.
    """

    old: str
    new: Plan
    rejects: int
    loaded: LoadResult | None
    fates: Mapping[str, int] = field(default_factory=dict)

    @property
    def released(self) -> int:
        """Rejects that there is nothing left to do about."""
        return sum(count for fate, count in self.fates.items() if fate in _SETTLED)


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


def replay(context: Context, name: str | None, *, plan_only: bool = False) -> Replay:
    """Sends what was rejected through the mappings, the plan's rules, the gates and the load again.

    Permanent rejects need a new plan of the same snapshot, which sees the fixed mapping and what the target holds by
    now: so only what is not there is sent, also rows that waited for a rejected parent. Feeds are left out, since a new
    plan sends a webhook everything again. Where all open rejects are transient, the plan itself is loaded again.

    **Raises**: UsageError where no reject is open; Stale where the plan was undone, or where newer records were loaded
    since; all that `run_plan` and `run_load` raise.
    """
    plan, rejects = rejects_of(context.workspace, name)
    before = open_rejects(rejects)
    if before.is_empty():
        raise UsageError(f"plan {plan.name!r} has no open rejects", hint="migrate rejects list")
    check_not_undone(context.workspace, plan, "a replay would load all of it again")
    if (before["kind"] == TRANSIENT).all():
        loaded = run_load(context, name=plan.name)
        return Replay(plan.name, plan, before.height, loaded, _fates(context, plan, before))
    if before["dataset"].is_in(list(plan.document.webhook_ids)).all():
        raise UsageError(
            "all open rejects are of feeds; a new plan of a feed would send all of its rows to the webhook again",
            hint="fix the mapping, give it a `where` that leaves only these records, and plan that",
        )
    _refuse_older(context.workspace, plan)
    used = plan.document.snapshot
    new = run_plan(
        context,
        list(plan.document.dataset_ids),
        snapshot=used.name,
        base=used.base.name if used.base else None,
        scope=scope_again(plan.document.scope),
        target=plan.document.target,
    )
    if plan_only:
        return Replay(plan.name, new, before.height, None, _fates(context, new, before, sent=SENT))
    loaded = run_load(context, name=new.name)
    fates = _each_fate(context, new, before)
    settled = fates.filter(pl.col("fate").is_in(_SETTLED))
    marks = [
        (reject, "replayed", f"{fate} by plan {new.name}")
        for reject, fate in settled.select("reject", "fate").iter_rows()
    ]
    with LedgerNotes(context.workspace.ledger) as notes:
        notes.mark_rejects(plan.name, marks)
    return Replay(plan.name, new, before.height, loaded, _counted(fates))


def _refuse_older(workspace: Workspace, plan: Plan) -> None:
    """Raises Stale where records of a newer snapshot were loaded since: a new plan of this one would take them back."""
    order = {state.name: place for place, state in enumerate(list_snapshots(workspace))}
    mine = order.get(plan.document.snapshot.name, -1)
    for other in read_standing(workspace, plan).overtaken_by:
        newer = ""
        with suppress(MigrateError):  # a plan that cannot be read tells nothing
            newer = open_plan(workspace, other.plan, check_files=False).document.snapshot.name
        if order.get(newer, -1) > mine:
            raise Stale(
                f"plan {other.plan!r}, of the newer snapshot {newer!r}, was loaded since: a new plan of "
                f"{plan.document.snapshot.name!r} would write older values over it",
                hint="make a whole snapshot and a plan of that: migrate extract, then migrate plan",
            )


def _fates(
    context: Context, new: Plan, before: pl.DataFrame, sent: str | None = None
) -> dict[str, int]:
    return _counted(_each_fate(context, new, before, sent))


def _counted(fates: pl.DataFrame) -> dict[str, int]:
    return dict(Counter(fates["fate"].to_list()).most_common())


def _each_fate(
    context: Context, new: Plan, before: pl.DataFrame, sent: str | None = None
) -> pl.DataFrame:
    """What became of each reject in a plan. `sent`: what to say of planned records instead of asking the ledger.

    **Shape**: the columns of `before` and `fate`.
    """
    known = pl.concat(
        [_ends(context, new, dataset, sent) for dataset in before["dataset"].unique().sort()]
    )
    # A record that went into a row is described by the row, whatever else is said of one of its elements.
    first = known.unique(list(IDENTITY), keep="first", maintain_order=True)
    joined = before.join(
        first, on=list(IDENTITY), how="left", nulls_equal=True, maintain_order="left"
    )
    return joined.with_columns(pl.col("fate").fill_null(FILTERED))


_WHO = ("resource", "source", "id", "position")


def _ends(context: Context, new: Plan, dataset: str, sent: str | None) -> pl.DataFrame:
    """Where each record of a dataset ended in a plan, planned ones first: what is in no list was filtered."""
    schema = {name: SCHEMA[name] for name in IDENTITY}
    found = [pl.DataFrame(schema={**schema, "fate": pl.String})]
    if dataset not in new.document.datasets:
        return found[0]
    settled = {} if sent else _settled(context, new.name, dataset)
    for name, lists in (("records", True), ("unchanged", True), ("collapsed", False),
                        ("rejects", False), ("waiting", False), ("discarded", False)):  # fmt: skip
        file = new.file(dataset, f"{name}.parquet")
        if not file.is_file():
            continue
        scan = parquet.scan(file)
        if name == "records":
            rows = scan.select("batch", "position", "sources").explode("sources").collect()
            fates = [
                sent or settled.get(place, NOT_SENT)
                for place in rows.select("batch", "position").iter_rows()
            ]
            who = rows.select("sources").unnest("sources").select(_WHO)
            found.append(_told(who, dataset, pl.Series("fate", fates, dtype=pl.String)))
            continue
        if lists:
            who = scan.select(pl.col("sources").explode()).unnest("sources").select(_WHO).collect()
        else:
            who = scan.select(_WHO).collect()
        fate = {"unchanged": THERE, "collapsed": COLLAPSED, "rejects": AGAIN, "waiting": WAITING}
        found.append(_told(who, dataset, pl.lit(fate.get(name, DISCARDED)).alias("fate")))
    return pl.concat(found)


def _told(who: pl.DataFrame, dataset: str, fate: Any) -> pl.DataFrame:
    return who.with_columns(pl.lit(dataset).alias("dataset"), fate).select(
        "dataset", *_WHO, pl.col("fate").cast(pl.String)
    )


def _settled(context: Context, plan: str, dataset: str) -> dict[tuple[int, int], str]:
    """By batch and place what the target has made of each record that was sent."""
    ends = {"written": SENT, "rejected": AGAIN, "waiting": WAITING}
    with LedgerView(context.workspace.ledger) as view:
        return {
            (record.batch, record.position): ends[record.state]
            for record in view.settled(plan, dataset)
        }
