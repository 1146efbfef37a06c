"""What of a plan is still to be sent, of datasets whose load was never begun too: the ledger knows nothing of those."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrate.load.totals import Totals
    from migrate.plan.open_plan import Plan
    from migrate.workspace import Workspace


def not_begun(plan: Plan, begun: Collection[str]) -> dict[str, int]:
    """The records to send of each of the plan's datasets that is not among `begun`; none of one without any.

    A dataset that has nothing to send is complete without a load.
    """
    counts = {
        name: dataset.create + dataset.update + dataset.unknown
        for name, dataset in plan.document.datasets.items()
    }
    return {name: rows for name, rows in counts.items() if rows and name not in begun}


def not_loaded(workspace: Workspace, plan: Plan, among: Collection[str]) -> dict[str, int]:
    """The records that are still to be sent of the plan's datasets other than `among`, by the sums of the load.

    **Raises**: WorkspaceError where the ledger cannot be read.
    """
    totals = read_totals(workspace, plan.name)
    open_ = {name: entry.open + entry.deferred for name, entry in totals.items()}
    rows = {**open_, **not_begun(plan, totals)}
    return {
        name: rows[name] for name in plan.document.datasets if name not in among and rows.get(name)
    }


def read_totals(workspace: Workspace, plan: str) -> Mapping[str, Totals]:
    """The sums of every dataset whose load was begun; nothing where none was."""
    from migrate.load.ledger_view import LedgerView

    if not workspace.ledger.exists():
        return {}
    with LedgerView(workspace.ledger) as view:
        return view.totals(plan)


def read_busy(workspace: Workspace, plan: str) -> Sequence[str]:
    """The datasets of a load that were busy when they answered last."""
    from migrate.load.ledger_view import LedgerView

    if not workspace.ledger.exists():
        return ()
    with LedgerView(workspace.ledger) as view:
        return view.busy_datasets(plan)


def read_stopping_canaries(
    workspace: Workspace, plan: str, begun: Collection[str]
) -> Mapping[str, str]:
    """By dataset the verdict on each canary of a load that did not go on behind it."""
    from migrate.load.ledger_view import LedgerView

    if not begun:
        return {}
    with LedgerView(workspace.ledger) as view:
        verdicts = view.canaries(plan)
        totals = view.totals(plan)
    # Who goes on with `--canary 0` has seen it.
    return {
        name: canary.verdict
        for name, canary in verdicts.items()
        if canary.verdict != "kept" and totals[name].written <= len(canary.masterids)
    }
