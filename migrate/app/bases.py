"""Whether what a delta stands on is in the target: loaded to its end, and not taken back since."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrate.app.standing import is_repair, read_standing, remake_command
from migrate.errors import Stale
from migrate.load.ledger_view import LedgerView
from migrate.plan.open_plan import Plan, readable_plans

if TYPE_CHECKING:
    from migrate.snapshot.reading import Snapshot
    from migrate.workspace import Workspace


@dataclass(frozen=True)
class BrokenBase:
    """A dataset that does not hold what a delta takes for granted; `told` says why, `remedy` is a command."""

    dataset: str
    told: str
    remedy: str


def chain_of(snapshot: Snapshot) -> list[str]:
    """The names of the snapshots that a delta stands on, the nearest first."""
    names: list[str] = []
    below = snapshot.base
    while below is not None:
        names.append(below.name)
        below = below.base
    return names


def check_bases(
    workspace: Workspace, delta: str, chain: Collection[str], dataset_ids: Mapping[str, str]
) -> None:
    """Raises Stale where a dataset does not hold what the snapshots of `chain` were loaded for.

    A delta sends what has changed since; what it does not touch nobody would ever send.
    """
    refuse_broken_bases(delta, list(find_broken(workspace, chain, dataset_ids)))


def refuse_broken_bases(delta: str, broken: Sequence[BrokenBase]) -> None:
    """Raises Stale naming each dataset that a delta cannot stand on."""
    if not broken:
        return
    lines = "\n".join(f"- {base.dataset}: {base.told}" for base in broken)
    raise Stale(
        f"{delta} is based on what is not in the target any more, or not yet:\n{lines}",
        hint=f"bring the target there first: {broken[0].remedy}",
    )


def find_broken(
    workspace: Workspace, chain: Collection[str], dataset_ids: Mapping[str, str]
) -> Iterator[BrokenBase]:
    """The datasets that do not hold what the snapshots of `chain` were loaded for. Reads files only."""
    if not workspace.ledger.exists() or not chain:
        return
    with LedgerView(workspace.ledger) as view:
        plans = {plan.name: plan for plan in readable_plans(workspace, view.plans())}
        for dataset, dataset_id in dataset_ids.items():
            mine = {n: p for n, p in plans.items() if _is_into(p, dataset, dataset_id)}
            broken = _find_put_back(view, mine, chain, dataset, dataset_id)
            broken = broken or _find_unfinished(workspace, view, mine, chain, dataset)
            if broken is not None:
                yield broken


def _find_put_back(
    view: LedgerView,
    plans: Mapping[str, Plan],
    chain: Collection[str],
    dataset: str,
    dataset_id: str,
) -> BrokenBase | None:
    """Records that hold what they held before a load of the chain: by key they are there, by value they are not.

    What was put back of a later plan is no harm: the record then holds what the chain gave it.
    """
    order = {name: place for place, name in enumerate(view.plans())}
    of_chain = [name for name, plan in plans.items() if _is_of(plan, dataset, chain)]
    last = max((order[name] for name in of_chain), default=-1)
    harmed: dict[str, int] = {}
    for undone in view.put_back(dataset_id).values():
        # Also of an earlier plan: what it gave these records is gone, and the chain found it there.
        if undone in of_chain or order.get(undone, -1) <= last:
            harmed[undone] = harmed.get(undone, 0) + 1
    if not harmed:
        return None
    worst = max(harmed, key=lambda name: harmed[name])
    count = sum(harmed.values())
    reason = (
        f"{count:,} record{'' if count == 1 else 's'} hold what they held before plan {worst}, "
        "which was undone, and no delta sends them"
    )
    return BrokenBase(dataset, reason, _remedy(plans, worst, of_chain))


def _find_unfinished(
    workspace: Workspace,
    view: LedgerView,
    plans: Mapping[str, Plan],
    chain: Collection[str],
    dataset: str,
) -> BrokenBase | None:
    """The last load of the chain that was begun and neither ended nor done again by another one."""
    unfinished: BrokenBase | None = None
    for name, plan in plans.items():
        if not _is_of(plan, dataset, chain):
            continue
        totals = view.totals(name).get(dataset)
        # A load that failed before its first request has changed nothing.
        if totals is None or not totals.requests:
            continue
        left = totals.open + totals.deferred
        undone = read_standing(workspace, plan).undone
        if undone is not None and undone.scope == "unfinished" and dataset in undone.records:
            reason = (
                f"the undo of plan {name} was interrupted, and nobody knows what it has put back"
            )
            # First the undo to its end: until then nobody can say which records hold what.
            unfinished = BrokenBase(dataset, reason, f"migrate undo run --plan {name}")
        elif left:
            reason = f"{left:,} of {totals.planned:,} records of plan {name} are not loaded"
            unfinished = BrokenBase(dataset, reason, f"migrate load --plan {name}")
        # Only a whole plan makes up for one that was left: a repair, a sample or a part has some rows of it.
        elif not is_repair(plan) and plan.document.scope is None:
            unfinished = None
    return unfinished


def _is_of(plan: Plan, dataset: str, chain: Collection[str]) -> bool:
    return dataset in plan.document.datasets and plan.document.snapshot.name in chain


def _is_into(plan: Plan, dataset: str, dataset_id: str) -> bool:
    """Whether a plan goes to that very dataset of the target: one for another target says nothing of it."""
    document = plan.document
    return {**document.dataset_ids, **document.webhook_ids}.get(dataset) == dataset_id


def _remedy(plans: Mapping[str, Plan], undone: str, of_chain: Collection[str]) -> str:
    name = undone if undone in plans else next(iter(of_chain), None)
    if name is not None:
        return remake_command(plans[name])
    return "migrate plan"
