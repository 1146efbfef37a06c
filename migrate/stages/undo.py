"""Undoing a load: what can be restored is sent by masterid through the same ledger, budget and faults as a load."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.errors import UsageError
from migrate.load.loader import load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.plan.files import SOURCE
from migrate.plan.opening import Plan, check_fresh, open_plan
from migrate.stages.verify import reading_folder
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.verify.readback import MASTERID, Reading, forget_reading, read_back
from migrate.verify.rules import read_rules
from migrate.verify.undo import DatasetUndo, payload, split_load
from migrate.workspace import replacing, write_bytes

if TYPE_CHECKING:
    from migrate.stages.run import Job

_BATCH_ROWS = 500


class RestoringClient(TargetClient):
    """A client whose batches update by masterid instead of upserting by key."""

    def upsert_batch(self, dataset_id: str, body: bytes) -> Answer:
        """What one attempt to update a batch by masterid came to."""
        return self.patch_batch(dataset_id, body)


@dataclass(frozen=True)
class Undo:
    """What an undo can do or has done; `lists` are the files that name what the API cannot undo."""

    plan: str
    datasets: tuple[DatasetUndo, ...]
    lists: tuple[Path, ...] = ()
    restored: int | None = None
    verified: int | None = None


def plan_undo(job: Job, name: str | None) -> Undo:
    """What of a load can be undone. Sends no write; writes lists of what cannot into `exports/PLAN/`."""
    plan = open_plan(job.workspace, name)
    check_fresh(plan, job.project, job.workspace)
    with _client(job) as client:
        found = _split(job, client, plan)
    return Undo(plan.name, found, tuple(_write_lists(job, plan, found)))


def run_undo(job: Job, name: str | None) -> Undo:
    """Restores what can be restored, and reads back whether it is.

    Called again it resumes: what was restored is as it was, and is not sent again.
    """
    plan = open_plan(job.workspace, name)
    check_fresh(plan, job.project, job.workspace)
    with _client(job) as client:
        found = _split(job, client, plan)
        lists = tuple(_write_lists(job, plan, found))
        wanted = [entry for entry in found if entry.restorable]
        if not wanted:
            return Undo(plan.name, found, lists, restored=0, verified=0)
        to_load = _to_load(job, plan, wanted)
        result = load(client, job.workspace, to_load, job.project.gates, job.progress, job.stop)
        written = sum(totals.written for totals in result.datasets.values())
        verified = _verify(job, client, plan, wanted)
    return Undo(plan.name, found, lists, restored=written, verified=verified)


def _client(job: Job) -> RestoringClient:
    return RestoringClient(
        job.project.octolis,
        job.project.secrets.octolis_keys(),
        state_file=job.workspace.root / "budget.json",
        stop=job.stop,
        note=job.progress.note,
    )


def _split(job: Job, client: TargetClient, plan: Plan) -> tuple[DatasetUndo, ...]:
    if not job.workspace.ledger.exists():
        raise UsageError("nothing was loaded, so there is nothing to undo", hint="migrate status")
    rules = read_rules(job.project.mappings)
    found = []
    for dataset, dataset_id in plan.document.dataset_ids.items():
        held = _held(job, client, plan, dataset)
        found.append(
            split_load(job.workspace.ledger, plan.name, plan.folder / dataset, rules[dataset], dataset_id, held)
        )
    return tuple(found)


def _held(job: Job, client: TargetClient, plan: Plan, dataset: str) -> pl.DataFrame:
    folder = reading_folder(job, plan, dataset)
    forget_reading(folder)
    reading = Reading(folder, job.now, job.stop, lambda _rows: None)
    held = read_back(client, plan.document.dataset_ids[dataset], reading)
    forget_reading(folder)
    return held


def _to_load(job: Job, plan: Plan, wanted: Sequence[DatasetUndo]) -> PlanToLoad:
    """The records to restore as a plan that the loader takes, below `undo/NAME`; its name is of this moment."""
    name = f"undo-{plan.name}-{job.now().strftime('%Y%m%d-%H%M%S')}"
    folder = job.workspace.root / "undo" / name
    datasets = []
    for entry in wanted:
        records = folder / entry.dataset / "records.parquet"
        with replacing(records) as temporary:
            frame = _records(entry)
            frame.write_parquet(temporary)
        datasets.append(
            DatasetToLoad(
                name=entry.dataset,
                dataset_id=entry.dataset_id,
                key_columns=(MASTERID,),
                recipe_columns=frozenset(),
                records=records,
                unchanged=None,
                rows=frame.height,
                batches=frame.get_column("batch").n_unique(),
            )
        )
    return PlanToLoad(name=name, folder=folder, datasets=tuple(datasets))


def _records(entry: DatasetUndo) -> pl.DataFrame:
    assert entry.rules is not None  # what was split knows its rules
    rules = entry.rules
    rows = [(record.masterid, payload(rules, record)) for record in entry.restorable]
    place = pl.int_range(pl.len(), dtype=pl.Int32)
    return pl.DataFrame(rows, schema={"key": pl.String, "payload": pl.String}, orient="row").select(
        (place // _BATCH_ROWS).alias("batch"),
        (place % _BATCH_ROWS).alias("position"),
        pl.lit("update").alias("change"),
        "key",
        "payload",
        pl.lit([], dtype=pl.List(SOURCE)).alias("sources"),
        pl.col("key").alias("masterid"),
    )


def _verify(job: Job, client: TargetClient, plan: Plan, wanted: Sequence[DatasetUndo]) -> int:
    """How many of the restored records read back as they were before the load."""
    sound = 0
    for entry in wanted:
        assert entry.rules is not None  # what was split knows its rules
        held = _held(job, client, plan, entry.dataset)
        again = split_load(
            job.workspace.ledger, plan.name, plan.folder / entry.dataset, entry.rules, entry.dataset_id, held
        )
        sound += len(set(again.restored) & {record.masterid for record in entry.restorable})
    return sound


def _write_lists(job: Job, plan: Plan, found: Sequence[DatasetUndo]) -> list[Path]:
    """What the API cannot undo, as CSV files that the vendor's support can act on: dataset id and masterid."""
    files = []
    for entry in found:
        for what, rows in (
            ("created", [(entry.dataset_id, masterid) for masterid in entry.created]),
            ("changed-since", [(entry.dataset_id, masterid) for masterid in entry.changed_since]),
            ("merged", [(entry.dataset_id, gone, survivor, len(lost)) for gone, survivor, lost in entry.merged]),
        ):
            if rows:
                file = job.workspace.exports / plan.name / f"undo-{what}-{entry.dataset}.csv"
                headers = ["dataset_id", "masterid", "merged_into", "columns_lost"][: len(rows[0])]
                write_bytes(file, _csv([headers, *rows]))
                files.append(file)
    return files


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
