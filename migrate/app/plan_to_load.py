"""What the loader is given of a plan: it knows neither the plan's document nor the project's settings."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.app.standing import remake_command
from migrate.config import Octolis
from migrate.errors import UsageError
from migrate.load.planned import DatasetToLoad, ParentLink, PlanToLoad, time_columns_of
from migrate.plan.open_plan import Plan


def plan_to_load(plan: Plan, octolis: Octolis, datasets: Sequence[str] = ()) -> PlanToLoad:
    """What the loader needs of a plan. Raises UsageError for a dataset that the plan does not have."""
    names = list(plan.document.datasets)
    for dataset in datasets:
        if dataset not in names:
            raise UsageError(
                f"plan {plan.name!r} has no dataset {dataset!r}", hint=f"it has {', '.join(names)}"
            )
    chosen = [name for name in names if not datasets or name in datasets]
    return PlanToLoad(
        plan.name,
        plan.folder,
        tuple(_dataset_to_load(plan, octolis, name) for name in chosen),
        remake=remake_command(plan),
    )


def _dataset_to_load(plan: Plan, octolis: Octolis, dataset: str) -> DatasetToLoad:
    document = plan.document
    counts = document.datasets[dataset]
    used = document.mappings[dataset]
    reading = document.target_reading.get(dataset)
    return DatasetToLoad(
        name=dataset,
        dataset_id={**document.dataset_ids, **document.webhook_ids}[dataset],
        key_columns=used.key,
        recipe_columns=frozenset((*used.recipe_columns, *counts.recipes)),
        records=plan.file(dataset, "records.parquet"),
        unchanged=plan.file(dataset, "unchanged.parquet"),
        rows=counts.create + counts.update + counts.unknown,
        batches=counts.batches,
        merge_forecast=counts.merge_forecast,
        counted=None if reading is None else reading.count,
        several_keys=bool(used.alternative_keys),
        mapping_sha256=used.sha256,
        alternative_keys=used.alternative_keys,
        parents=tuple(ParentLink(one.dataset, one.columns) for one in used.parents),
        time_columns=_time_columns(plan, dataset),
        before=tuple(sorted((plan.folder / dataset).glob("before-*.parquet"))),
        webhook=octolis.webhooks[dataset] if dataset in document.webhook_ids else None,
    )


def _time_columns(plan: Plan, dataset: str) -> frozenset[str]:
    records = plan.file(dataset, "records.parquet")
    if records.exists():
        return time_columns_of(records, plan.document.mappings[dataset].stored_columns)
    return frozenset()
