"""Which parts of a whole snapshot are in the target, and which are not. Reads files only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.app.not_loaded import read_totals
from migrate.app.standing import is_repair, read_standing
from migrate.plan.document import SCOPE_FOLDER, PartOf
from migrate.plan.open_plan import Plan, readable_plans
from migrate.plan.scope import WHOLE_FILE, Covered, add_parts

if TYPE_CHECKING:
    from migrate.workspace import Workspace


@dataclass(frozen=True)
class Parts:
    """The parts of one snapshot in one target. `said`: by plan what part it is, of those that are there as a whole.

    `datasets`: how much of the whole they are together. `apart`: plans whose days are of another field of the records,
    so that they cannot be added up with the others. `is_of_delta`: they are parts of a delta; what loads of its base
    have brought is not counted.
    """

    snapshot: str
    target: str | None
    said: Mapping[str, str]
    datasets: Mapping[str, Covered]
    apart: tuple[str, ...] = ()
    is_of_delta: bool = False

    @property
    def are_all(self) -> bool:
        """Whether nothing of the whole is missing."""
        return all(covered.inside == covered.records for covered in self.datasets.values())


def read_parts(workspace: Workspace, plans: Sequence[Plan]) -> list[Parts]:
    """The parts of every snapshot of which there are some, oldest first. `plans`: all that can be opened."""
    groups: dict[tuple[str, str | None], list[Plan]] = {}
    for plan in plans:
        groups.setdefault(_place_of(plan), []).append(plan)
    with_parts = filter(_has_part, groups.values())
    return [_add_up(workspace, group) for group in with_parts]


def _has_part(plans: Sequence[Plan]) -> bool:
    return any(isinstance(plan.document.scope, PartOf) for plan in plans)


def parts_beside(workspace: Workspace, plan: Plan) -> Parts | None:
    """What the parts of a plan's snapshot are together; None where the plan is no part."""
    if not isinstance(plan.document.scope, PartOf):
        return None
    place = _place_of(plan)
    return _add_up(
        workspace, [other for other in readable_plans(workspace) if _place_of(other) == place]
    )


def _place_of(plan: Plan) -> tuple[str, str | None]:
    """The snapshot and the target of which plans are parts of one whole."""
    # By hash: a snapshot that was made again under the same name is another whole.
    return plan.document.snapshot.manifest_sha256, plan.document.target


@dataclass
class _Loaded:
    """What of a dataset is in the target: parts, or all of it."""

    parts: list[PartOf] = field(default_factory=list)
    is_whole: bool = False


def _add_up(workspace: Workspace, plans: Sequence[Plan]) -> Parts:
    parts = [(plan, scope) for plan in plans if isinstance(scope := plan.document.scope, PartOf)]
    newest, kind = parts[-1]
    said: dict[str, str] = {}
    apart: list[str] = []
    loaded: dict[str, _Loaded] = {}
    for plan in plans:
        scope = plan.document.scope
        if scope is not None and not isinstance(scope, PartOf):
            continue  # a sample is no part of the whole
        # A record created in May and updated in June is in a part of each: added up, it would count twice.
        is_other = scope is not None and scope.has_days and scope.field != kind.field
        there = list(_whole_datasets(workspace, plan, newest))
        if is_other and there:
            apart.append(plan.name)
        elif scope is None:
            for dataset in there:
                loaded.setdefault(dataset, _Loaded()).is_whole = True
        else:
            said |= {plan.name: scope.told} if there else {}
            for dataset in there:
                loaded.setdefault(dataset, _Loaded()).parts.append(scope)
    datasets = {}
    for plan in (plan for plan, scope in parts if scope.field == kind.field):
        for dataset in plan.document.datasets:
            known = loaded.get(dataset, _Loaded())
            cells = _cells_of(plan, dataset)
            datasets[dataset] = add_parts(cells, known.parts, is_whole=known.is_whole)
    snapshot, target = newest.document.snapshot.name, newest.document.target
    is_of_delta = newest.document.snapshot.base is not None
    return Parts(snapshot, target, said, datasets, tuple(apart), is_of_delta)


def _whole_datasets(workspace: Workspace, plan: Plan, beside: Plan) -> Iterator[str]:
    """The datasets of which all that a plan has is in the target, where `beside` puts them too."""
    # A repair has a few rows, and its being loaded says nothing of the rest.
    if is_repair(plan):
        return
    undone = read_standing(workspace, plan).undone
    totals = read_totals(workspace, plan.name)
    ids = _ids_of(beside)
    for dataset, counts in plan.document.datasets.items():
        is_elsewhere = dataset in ids and ids[dataset] != _ids_of(plan).get(dataset)
        is_undone = undone is not None and dataset in undone.records
        entry = totals.get(dataset)
        to_send = counts.create + counts.update + counts.unknown
        if entry is None:
            left = to_send
        else:
            left = entry.open + entry.deferred
        if not (left or is_elsewhere or is_undone):
            yield dataset


def _ids_of(plan: Plan) -> Mapping[str, str]:
    return {**plan.document.dataset_ids, **plan.document.webhook_ids}


def _cells_of(plan: Plan, dataset: str) -> pl.DataFrame:
    used = plan.document.mappings[dataset]
    resources = [used.resource, *(file.resource for file in used.after)]
    every = parquet.read(plan.folder / SCOPE_FOLDER / WHOLE_FILE)
    return every.filter(pl.col("resource").is_in(resources))
