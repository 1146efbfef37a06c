"""What the loads of a workspace have sent to the datasets of its project, as the ledger has it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from migrate.config import Project
from migrate.errors import MigrateError
from migrate.load.ledger_view import LedgerView
from migrate.plan.open_plan import open_plan
from migrate.plan.shipments import Shipment, Shipments
from migrate.workspace import Workspace


def find_shipments(project: Project, workspace: Workspace) -> Shipments:
    """By dataset what was sent to it from this workspace. Reads files only, and only once it is asked."""

    @cache
    def find(dataset: str) -> Sequence[Shipment]:
        return _shipments(project, workspace, dataset)

    return find


def _shipments(project: Project, workspace: Workspace, dataset: str) -> Sequence[Shipment]:
    """Oldest first; none at all where a plan that was loaded is no longer there: what it sent last nobody knows."""
    if not workspace.ledger.exists():
        return ()
    shipments = []
    with LedgerView(workspace.ledger) as view:
        every = {name: view.totals(name).get(dataset) for name in view.plans()}
        # an undo is a load of its own, whose plan does not stand among the plans
        undos = view.undone_by()
    for name, totals in every.items():
        if totals is None or name in undos:
            continue
        try:
            plan = open_plan(workspace, name)
        # One that cannot be read may have been the last word: then nothing at all is proven.
        except MigrateError:
            return ()
        document = plan.document
        records = plan.file(dataset, "records.parquet")
        # What was sent to the dataset of a trial proves nothing of the one that is loaded now.
        same = document.dataset_ids.get(dataset), document.settings.get("octolis.base_url")
        if not records.is_file():
            return ()
        if same == (project.octolis.datasets.get(dataset), project.octolis.base_url):
            # Half a load, or one that was undone, proves nothing of what the target makes of a value.
            is_whole = totals.batches == totals.batches_done and totals.written > 0
            arrived = is_whole and name not in undos.values()
            shipments.append(Shipment(records, document.mappings[dataset].stored_columns, arrived))
    return tuple(shipments)
