"""A plan of some of another plan's records: the same payloads, sent once more."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.config import Project
from migrate.errors import UsageError
from migrate.plan.batches import Cutter
from migrate.plan.carried import FOLDER
from migrate.plan.corrections_used import CORRECTIONS_FOLDER
from migrate.plan.cost import POINTS_A_BATCH, forecast_cost, minutes_of
from migrate.plan.document import DatasetPlan, PlannedFile, dump_document
from migrate.plan.files import LEADING, write_parquet
from migrate.plan.open_plan import PLAN_FILE, Plan
from migrate.plan.plan_folder import begin_plan
from migrate.plan.tally import count_values
from migrate.workspace import Workspace, write_bytes

_EMPTY = ("rejects", "collapsed", "samples", "foreign")
Keys = Mapping[str, Collection[str]]


def make_repair_plan(
    project: Project,
    workspace: Workspace,
    plan: Plan,
    missing: Keys,
    different: Keys,
    now: Callable[[], datetime],
) -> Plan:
    """A new plan that sends, of `plan`'s records, the `missing` (to create) and the `different` (to update), by key.

    Payloads and their order are the plan's own, so it holds for the same snapshot, mappings and settings.

    **Raises**: UsageError where the plan has none of these records.
    """
    wanted = {
        name: {*missing.get(name, ()), *different.get(name, ())} for name in plan.document.datasets
    }
    chosen = {
        name: _records(plan, name, keys, missing.get(name, ()))
        for name, keys in wanted.items()
        if keys
    }
    chosen = {name: rows for name, rows in chosen.items() if rows.height}
    if not chosen:
        raise UsageError(f"plan {plan.name!r} has no record that could repair what was found")
    with begin_plan(workspace, None, {"repairs": plan.name}, now) as (name, folder):
        files: list[PlannedFile] = []
        datasets: dict[str, DatasetPlan] = {}
        for dataset, rows in chosen.items():
            (folder / dataset).mkdir(mode=0o700)
            cut = Cutter(project.octolis.batch_bytes).number(rows.rename(LEADING))
            records = cut.rename({working: stored for stored, working in LEADING.items()}).select(
                _columns(plan, dataset)
            )
            files += _write(plan, folder, dataset, records)
            datasets[dataset] = _count(plan.document.datasets[dataset], records, project)
        # Undo and verification read the texts that a plan carries, whatever was edited since.
        for carried in (FOLDER, CORRECTIONS_FOLDER):
            if (plan.folder / carried).is_dir():
                shutil.copytree(plan.folder / carried, folder / carried)
        used = plan.document
        files += [file for file in used.files if file.path.startswith(f"{CORRECTIONS_FOLDER}/")]
        document = used.model_copy(
            update={
                "dataset_ids": {dataset: used.dataset_ids[dataset] for dataset in datasets},
                # A repair reads nothing, so it knows no number of records that the load could hold the target against.
                "target_reading": {},
                "datasets": datasets,
                "forecast": forecast_cost(
                    {name: counts.batches for name, counts in datasets.items()}, project
                ),
                "files": tuple(files),
            }
        )
        write_bytes(folder / PLAN_FILE, dump_document(document))
    return Plan(name, folder, document)


def _columns(plan: Plan, dataset: str) -> list[str]:
    return list(parquet.schema(plan.file(dataset, "records.parquet")))


def _records(
    plan: Plan, dataset: str, keys: Collection[str], missing: Collection[str]
) -> pl.DataFrame:
    """The plan's records of these keys, in sending order, without their old places."""
    names = [name for name in _columns(plan, dataset) if name not in ("batch", "position")]
    files = [plan.file(dataset, name) for name in ("records.parquet", "unchanged.parquet")]
    # A record that needed no sending then may be missing now.
    every = pl.concat([parquet.read(file, columns=names) for file in files])
    is_missing = pl.col("key").is_in(list(missing))
    return every.filter(pl.col("key").is_in(list(keys))).with_columns(
        pl.when(is_missing).then(pl.lit("create")).otherwise(pl.lit("update")).alias("change"),
        batch=pl.lit(0, pl.Int32), position=pl.lit(0, pl.Int32),
    )  # fmt: skip


def _write(plan: Plan, folder: Path, dataset: str, records: pl.DataFrame) -> list[PlannedFile]:
    frames = {"records": records, "unchanged": records.clear().drop("batch", "position")}
    frames |= {name: parquet.read(plan.file(dataset, f"{name}.parquet")).clear() for name in _EMPTY}
    return [
        write_parquet(frame, folder / dataset / f"{name}.parquet", folder)
        for name, frame in frames.items()
    ]


def _count(counts: DatasetPlan, records: pl.DataFrame, project: Project) -> DatasetPlan:
    changes = count_values(records.get_column("change"))
    batches = records.get_column("batch").n_unique()
    by_source = count_values(
        records.get_column("sources").list.first().struct.field("source").fill_null("")
    )
    return counts.model_copy(
        update={name: _nothing(counts, name) for name in DatasetPlan.model_fields}
        | {
            "read": records.height,
            "planned": records.height,
            "create": changes.get("create", 0),
            "update": changes.get("update", 0),
            "batches": batches,
            "points": batches * POINTS_A_BATCH,
            "minutes": minutes_of(batches, project),
            "by_source": by_source,
        }
    )


def _nothing(counts: DatasetPlan, name: str) -> object:
    """The empty value of a field: 0, nothing listed, or the field's own default."""
    field = DatasetPlan.model_fields[name]
    if field.is_required():
        return type(getattr(counts, name))()
    return field.get_default(call_default_factory=True)
