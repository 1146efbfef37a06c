"""Undoing a load: what can be restored is sent by masterid through the same ledger, budget and faults as a load."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.errors import Interrupted, MigrateError, UsageError
from migrate.load.loader import load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.plan.files import SOURCE
from migrate.plan.opening import Plan, open_plan
from migrate.stages.fresh import check_as_loaded
from migrate.stages.left import not_begun, read_totals
from migrate.stages.target import reading_folder, sleeper
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.verify.readback import MASTERID, Reading, forget_reading, read_back
from migrate.verify.rules import read_rules
from migrate.verify.undo import DatasetUndo, count_restored, payload, refused_records, split_load
from migrate.workspace import new_name, replacing, write_bytes

if TYPE_CHECKING:
    from migrate.stages.run import Job

_BATCH_ROWS = 500
_USUAL_WAIT_S = 5.0
_LOOKS = 4
_IDS = ("dataset_id", "masterid")
Refusals = Mapping[str, Mapping[str, int]]
"""By dataset, the masterids of records that were refused, with the HTTP status."""


class RestoringClient(TargetClient):
    """A client whose batches update by masterid instead of upserting by key."""

    def upsert_batch(self, dataset_id: str, body: bytes) -> Answer:
        """What one attempt to update a batch by masterid came to."""
        return self.patch_batch(dataset_id, body)


@dataclass(frozen=True)
class Undo:
    """What an undo can do or has done; `lists` are the files that name what the API cannot undo.

    `restored`: records that were written back, `partly` of them without columns that cannot be emptied; `refused`:
    records that the target did not take at all; `verified`: records that read back as they were written. `not_loaded`:
    records that were never sent, of datasets whose load was not begun.
    """

    plan: str
    datasets: tuple[DatasetUndo, ...]
    lists: tuple[Path, ...] = ()
    restored: int | None = None
    verified: int | None = None
    partly: int = 0
    refused: int = 0
    not_loaded: Mapping[str, int] = field(default_factory=dict)


def plan_undo(job: Job, name: str | None) -> Undo:
    """What of a load can be undone. Sends no write; writes lists of what cannot into `exports/PLAN/`."""
    plan = _open(job, name)
    with _client(job) as client:
        found = _split(job, client, plan)
    return Undo(plan.name, found, tuple(_write_lists(job, plan, found)), not_loaded=_never_sent(job, plan))


def run_undo(job: Job, name: str | None, *, wait_s: float = _USUAL_WAIT_S) -> Undo:
    """Restores what can be restored, and reads back whether it is; `wait_s` is the wait between two such looks.

    Called again it resumes: what was restored is as it was, and is not sent again.
    """
    plan = _open(job, name)
    try:
        with _client(job) as client:
            found = _split(job, client, plan)
            lists = _write_lists(job, plan, found)
            wanted = [entry for entry in found if entry.restorable]
            taken, refused = _restore(job, client, plan, wanted)
            verified = _verify(job, client, plan, taken, wait_s)
    except Interrupted as error:
        raise Interrupted(error.what, hint=_command(plan)) from None
    lists += _write_left(job, plan, taken, refused)
    records = [record for entry in taken for record in entry.restorable]
    return Undo(
        plan.name,
        found,
        tuple(lists),
        restored=len(records),
        verified=verified,
        partly=sum(bool(record.left) for record in records),
        refused=sum(len(rows) for rows in refused.values()),
        not_loaded=_never_sent(job, plan),
    )


def _open(job: Job, name: str | None) -> Plan:
    plan = open_plan(job.workspace, name)
    check_as_loaded(job, plan, "an undo", "undo")
    return plan


def _never_sent(job: Job, plan: Plan) -> Mapping[str, int]:
    return not_begun(plan, read_totals(job.workspace, plan.name))


def _command(plan: Plan) -> str:
    """What goes on with a plan's undo."""
    return f"migrate undo run --plan {plan.name}"


def _client(job: Job) -> RestoringClient:
    return RestoringClient(
        job.project.octolis,
        job.project.secrets.octolis_keys(),
        state_file=job.workspace.root / "budget.json",
        stop=job.stop,
        note=job.progress.note,
    )


def _split(job: Job, client: TargetClient, plan: Plan) -> tuple[DatasetUndo, ...]:
    if not read_totals(job.workspace, plan.name):
        raise UsageError(
            f"nothing of plan {plan.name!r} was loaded, so there is nothing to undo", hint="migrate status"
        )
    rules = read_rules(job.project.mappings)
    found = []
    for dataset, dataset_id in plan.document.dataset_ids.items():
        if rules[dataset].is_feed:
            continue
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


def _restore(
    job: Job, client: TargetClient, plan: Plan, wanted: Sequence[DatasetUndo]
) -> tuple[list[DatasetUndo], Refusals]:
    """The records that were taken back, by dataset, and those that were not.

    What is refused is sent once more without the columns that would become null: the target may not let them.
    """
    first = [replace(entry, restorable=tuple(r for r in entry.restorable if r.before)) for entry in wanted]
    refused = _send(job, client, plan, first)
    again = [_without_nulls(entry, refused.get(entry.dataset, {})) for entry in first]
    still = _send(job, client, plan, again)
    taken: list[DatasetUndo] = []
    lost: dict[str, dict[str, int]] = {}
    for entry, bare in zip(first, again, strict=True):
        no, never = refused.get(entry.dataset, {}), still.get(entry.dataset, {})
        records = [r for r in entry.restorable if r.masterid not in no]
        records += [r for r in bare.restorable if r.masterid not in never]
        taken.append(replace(entry, restorable=tuple(records)))
        done = {r.masterid for r in records}
        lost[entry.dataset] = {masterid: status for masterid, status in no.items() if masterid not in done}
    return taken, lost


def _without_nulls(entry: DatasetUndo, refused: Collection[str]) -> DatasetUndo:
    """The refused records without columns to empty, as far as that leaves something to send and changes anything."""
    bare = (record.without_nulls() for record in entry.restorable if record.masterid in refused)
    known = {record.masterid: len(record.left) for record in entry.restorable}
    return replace(entry, restorable=tuple(r for r in bare if r.before and len(r.left) > known[r.masterid]))


def _send(job: Job, client: TargetClient, plan: Plan, entries: Sequence[DatasetUndo]) -> Refusals:
    """Sends records through the loader; gives those that were refused."""
    entries = [entry for entry in entries if entry.restorable]
    if not entries:
        return {}
    to_load = _to_load(job, plan, entries)
    try:
        load(client, job.workspace, to_load, job.project.gates, job.progress, job.stop)
    except MigrateError as error:
        error.hint = (error.hint or "").replace(f"migrate load --plan {to_load.name}", _command(plan)) or None
        raise
    found = {entry.dataset: refused_records(job.workspace.ledger, to_load.name, entry.dataset) for entry in entries}
    return {dataset: refused for dataset, refused in found.items() if refused}


def _to_load(job: Job, plan: Plan, wanted: Sequence[DatasetUndo]) -> PlanToLoad:
    """The records to restore as a plan that the loader takes, below `undo/NAME`; its name is of this moment."""
    place = job.workspace.root / "undo"
    name = f"undo-{plan.name}-" + new_name(job.now(), lambda at: (place / f"undo-{plan.name}-{at}").exists())
    folder = place / name
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


def _verify(job: Job, client: TargetClient, plan: Plan, taken: Sequence[DatasetUndo], wait_s: float) -> int:
    """How many of the restored records read back as they were before the load, once the target has prepared them."""
    sound = 0
    sleep = sleeper(job)
    for entry in taken:
        if not entry.restorable:
            continue
        assert entry.rules is not None  # what was split knows its rules
        for look in range(_LOOKS):
            if look:
                sleep(wait_s)
            found = count_restored(entry.rules, entry.restorable, _held(job, client, plan, entry.dataset))
            if found == len(entry.restorable):
                break
        sound += found
    return sound


def _write_lists(job: Job, plan: Plan, found: Sequence[DatasetUndo]) -> list[Path]:
    """What the API cannot undo, as CSV files that the vendor's support can act on: dataset id and masterid.

    Of merged records what they held is listed, and what the record held that they went into: it is nowhere else any
    more.
    """
    files = []
    for entry in found:
        for what, headers, rows in _lists(entry):
            full = [(entry.dataset_id, *row) for row in rows]
            files += _write_list(job, plan, f"undo-{what}-{entry.dataset}", (*_IDS, *headers), full)
    return files


def _lists(entry: DatasetUndo) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[object]]]]:
    """Each list's name, its columns beside the ids, and its rows without the dataset's id."""
    yield "created", (), [(masterid,) for masterid in entry.created]
    yield "changed-since", (), [(masterid,) for masterid in entry.changed_since]
    lost = [*entry.merged, *((masterid, masterid, held) for masterid, held in entry.survivors)]
    rows = [(gone, into, len(held), json.dumps(held, ensure_ascii=False)) for gone, into, held in lost]
    yield "merged", ("merged_into", "columns_lost", "lost"), rows


def _write_left(job: Job, plan: Plan, taken: Sequence[DatasetUndo], refused: Refusals) -> list[Path]:
    """Records that were restored without some columns, and records that were refused altogether."""
    files = []
    for entry in taken:
        partly = [(entry.dataset_id, r.masterid, " ".join(r.left)) for r in entry.restorable if r.left]
        files += _write_list(job, plan, f"undo-partly-{entry.dataset}", (*_IDS, "columns_not_restored"), partly)
        rows = [(entry.dataset_id, masterid, status) for masterid, status in refused.get(entry.dataset, {}).items()]
        files += _write_list(job, plan, f"undo-refused-{entry.dataset}", (*_IDS, "status"), rows)
    return files


def _write_list(
    job: Job, plan: Plan, name: str, headers: Sequence[str], rows: Sequence[Sequence[object]]
) -> list[Path]:
    file = job.workspace.exports / plan.name / f"{name}.csv"
    if not rows:
        file.unlink(missing_ok=True)
        return []
    write_bytes(file, _csv([headers, *rows]))
    return [file]


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
