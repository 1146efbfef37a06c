"""How a plan of the workspace stands, and the command that makes a new one of the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from migrate.app.not_loaded import not_begun, read_totals
from migrate.errors import MigrateError, Stale, UsageError
from migrate.load.ledger_notes import LedgerNotes, PlanEvent
from migrate.load.ledger_view import LedgerView
from migrate.load.standing import PlanFacts, Standing, judge_standing
from migrate.plan.open_plan import PLAN_FILE, open_plan
from migrate.plan.plan_folder import BEGUN_FILE
from migrate.plan.request import scope_options, target_options

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan
    from migrate.workspace import Workspace


def read_standing(workspace: Workspace, plan: Plan) -> Standing:
    """How a plan stands. Reads files only. Raises Damaged, WorkspaceError like the ledger."""
    if not workspace.ledger.exists():
        return judge_standing(PlanFacts(left=sum(not_begun(plan, ()).values())))
    with LedgerView(workspace.ledger) as view:
        totals = view.totals(plan.name)
        open_records = sum(entry.open + entry.deferred for entry in totals.values())
        left = open_records + sum(not_begun(plan, totals).values())
        ids = {*plan.document.dataset_ids.values(), *plan.document.webhook_ids.values()}
        return judge_standing(view.facts(plan.name, ids, begun_at(plan), left))


def check_not_undone(workspace: Workspace, plan: Plan, what: str) -> None:
    """Raises Stale where the load of a plan was taken back, wholly or in part; `what` needs it to stand."""
    standing = read_standing(workspace, plan)
    if standing.undone is not None:
        raise Stale(
            f"plan {plan.name!r} was {standing.told}; {what}",
            hint=f"make a new one and load that: {remake_command(plan)}",
        )


def check_settled(workspace: Workspace, plan: Plan, what: str) -> None:
    """Raises Stale while rows of a plan are handed over as files: `what` would be overtaken by their import."""
    if not workspace.ledger.exists():
        return
    with LedgerView(workspace.ledger) as view:
        open_ones = [one for one in view.handovers(plan.name) if one.is_open]
    # An import that comes late would put old values over new ones.
    if open_ones:
        rows = sum(one.left for one in open_ones)
        raise Stale(
            f"{rows:,} rows of plan {plan.name!r} are handed over as files and not settled: {what} cannot know what "
            "their import does",
            hint=f"after the import: migrate load --settle --plan {plan.name}; if the files are never going to be "
            f"imported: migrate load --take-back --plan {plan.name}",
        )


def read_seen(workspace: Workspace) -> Mapping[tuple[str, str], int]:
    """By dataset id and plan the requests announced so far: what a reading of the target that begins now may show."""
    if not workspace.ledger.exists():
        return {}
    with LedgerView(workspace.ledger) as view:
        return view.shipments()


def note_planned(workspace: Workspace, plan: Plan, seen: Mapping[tuple[str, str], int]) -> None:
    """Keeps that a plan was made, and what its reading of the target may have shown of other plans' loads."""
    document = plan.document
    with LedgerNotes(workspace.ledger) as notes:
        notes.note_planned(
            plan.name, [*document.dataset_ids.values(), *document.webhook_ids.values()], seen
        )
        notes.note_plan_of_run(plan.name)


def note_loading(workspace: Workspace, plan: Plan, confirmations: Mapping[str, object]) -> None:
    """Keeps which plan the running command loads, and what whoever gave it has confirmed."""
    with LedgerNotes(workspace.ledger) as notes:
        notes.note_plan_of_run(plan.name, confirmations)


def note_loaded(workspace: Workspace, plan: Plan) -> None:
    """Keeps that a plan is loaded, once it is and as long as nobody has said so."""
    if read_standing(workspace, plan).state != "loaded":
        return  # some of it is left, or of other datasets
    with LedgerView(workspace.ledger) as view:
        is_known = any(event.event == "loaded" for event in view.events(plan.name))
    # The first time counts: a load that had nothing left to do has loaded nothing.
    if not is_known:
        with LedgerNotes(workspace.ledger) as notes:
            notes.note_event(PlanEvent(plan.name, "loaded"))


def refuse_loaded(workspace: Workspace, name: str | None) -> None:
    """Nothing, unless a plan of that name was loaded whose files are gone: its records would count as the new one's."""

    if name is None or (workspace.plans / name / PLAN_FILE).is_file():
        return
    if read_totals(workspace, name):
        raise UsageError(
            f"a plan {name!r} was loaded before; what was loaded of it would be counted as the new one's",
            hint="choose another --plan NAME, or let it be named by the time",
        )


def remake_command(plan: Plan) -> str:
    """The command that makes a new plan of the same: snapshot, datasets, sample or part, and target."""
    words = ["migrate plan", *asked_datasets(plan), *snapshot_options(plan), *limits_of(plan)]
    return " ".join(words)


def snapshot_options(plan: Plan) -> list[str]:
    """The words of a command line that name a plan's snapshot, and what it was put on."""
    used = plan.document.snapshot
    if used.base is not None:
        base = ["--base", used.base.name]
    else:
        base = []
    return ["--snapshot", used.name, *base]


def asked_datasets(plan: Plan) -> list[str]:
    """The datasets that whoever made the plan has named."""
    asked = _begun(plan).get("datasets")
    if isinstance(asked, list):
        return [str(name) for name in asked]
    return []


def limits_of(plan: Plan) -> list[str]:
    """The words of a command line for a plan's sample or part, and its target."""
    return [*scope_options(plan.document.scope), *target_options(plan.document.target)]


def newer_load(workspace: Workspace, snapshot: str, plans: Iterable[str]) -> tuple[str, str] | None:
    """The first of some plans that was made of a newer snapshot, and that snapshot."""
    # By the order of snapshots and not by a clock, which may have been set back between two of them.
    order = {name: place for place, name in enumerate(workspace.names(workspace.snapshots))}
    mine = order.get(snapshot, -1)
    for name in plans:
        with suppress(MigrateError):  # a plan that cannot be read tells nothing
            other = open_plan(workspace, name, check_files=False).document.snapshot.name
            if order.get(other, -1) > mine:
                return name, other
    return None


def note_older(
    workspace: Workspace,
    plan: Plan,
    seen: Mapping[tuple[str, str], int],
    note: Callable[[str], None],
) -> None:
    """Tells where a plan is of an older snapshot than what was loaded into one of its datasets before."""
    ids = set(plan.document.dataset_ids.values())
    loaded = dict.fromkeys(name for dataset_id, name in seen if dataset_id in ids)
    newer = newer_load(workspace, plan.document.snapshot.name, loaded)
    if newer is not None:
        note(
            f"plan {plan.name} is of snapshot {plan.document.snapshot.name}, and plan {newer[0]} of the newer snapshot "
            f"{newer[1]} was loaded before: where they differ, this one gives back what was true then"
        )


def is_repair(plan: Plan) -> bool:
    """Whether a plan only sends some records of another one again, which says nothing of the rest."""
    return "repairs" in _begun(plan)


def begun_at(plan: Plan) -> float | None:
    """When a plan was begun, in seconds since 1970; None where nothing says so."""
    with suppress(ValueError, TypeError, OverflowError):
        return datetime.fromisoformat(str(_begun(plan)["started"])).timestamp()
    return None


def _begun(plan: Plan) -> dict[str, object]:
    try:
        mark = json.loads((plan.folder / BEGUN_FILE).read_bytes())
    except (OSError, ValueError):
        return {"started": None}
    if isinstance(mark, dict) and "started" in mark:
        return mark
    return {"started": None}
