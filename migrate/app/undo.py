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

from migrate import parquet
from migrate.app.as_loaded import as_loaded
from migrate.app.not_loaded import not_begun, read_totals
from migrate.app.standing import read_standing
from migrate.app.target_client import reading_folder, sleeper
from migrate.errors import Interrupted, MigrateError, UsageError
from migrate.load.ledger_notes import LedgerNotes, PlanEvent
from migrate.load.loader import load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.names import BATCH_ROWS, MASTERID
from migrate.plan.files import SOURCE
from migrate.plan.open_plan import Plan, open_plan
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.verify.readback import Reading, forget_reading, read_back
from migrate.verify.rules import read_rules
from migrate.verify.undo import DatasetUndo, count_restored, payload, refused_records, split_load
from migrate.workspace import new_name, replacing, write_bytes

if TYPE_CHECKING:
    from migrate.app.context import Context

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


def plan_undo(context: Context, name: str | None) -> Undo:
    """What of a load can be undone. Sends no write; writes lists of what cannot into `exports/PLAN/`."""
    plan = open_plan(context.workspace, name)
    context = as_loaded(context, plan, "an undo", "undo")
    with _client(context) as client:
        found = _split(context, client, plan)
    return Undo(
        plan.name,
        found,
        tuple(_write_lists(context, plan, found)),
        not_loaded=_never_sent(context, plan),
    )


def run_undo(context: Context, name: str | None, *, wait_s: float = _USUAL_WAIT_S) -> Undo:
    """Restores what can be restored, and reads back whether it is; `wait_s` is the wait between two such looks.

    Called again it resumes: what was restored is as it was, and is not sent again.
    """
    plan = open_plan(context.workspace, name)
    context = as_loaded(context, plan, "an undo", "undo")
    try:
        with _client(context) as client:
            found = _split(context, client, plan)
            lists = _write_lists(context, plan, found)
            wanted = [entry for entry in found if entry.restorable]
            taken, refused = _restore(context, client, plan, wanted)
            verified = _verify(context, client, plan, taken, wait_s)
    except Interrupted as error:
        raise Interrupted(error.what, hint=_command(plan)) from None
    lists += _write_left(context, plan, taken, refused)
    records = [record for entry in taken for record in entry.restorable]
    is_whole = not any(refused.values()) and not any(record.left for record in records)
    if records or read_standing(context.workspace, plan).undone is not None:
        event = PlanEvent(
            plan.name, "undone", records=len(records), scope="whole" if is_whole else "part"
        )
        with LedgerNotes(context.workspace.ledger) as notes:
            notes.note_event(event)
    return Undo(
        plan.name,
        found,
        tuple(lists),
        restored=len(records),
        verified=verified,
        partly=sum(bool(record.left) for record in records),
        refused=sum(len(rows) for rows in refused.values()),
        not_loaded=_never_sent(context, plan),
    )


def _never_sent(context: Context, plan: Plan) -> Mapping[str, int]:
    return not_begun(plan, read_totals(context.workspace, plan.name))


def _command(plan: Plan) -> str:
    """What goes on with a plan's undo."""
    return f"migrate undo run --plan {plan.name}"


def _client(context: Context) -> RestoringClient:
    return RestoringClient(
        context.project.octolis,
        context.project.secrets.octolis_keys(),
        state_file=context.workspace.root / "budget.json",
        stop=context.stop,
        note=context.progress.note,
    )


def _split(context: Context, client: TargetClient, plan: Plan) -> tuple[DatasetUndo, ...]:
    if not read_totals(context.workspace, plan.name):
        raise UsageError(
            f"nothing of plan {plan.name!r} was loaded, so there is nothing to undo",
            hint="migrate status",
        )
    rules = read_rules(context.project.mappings)
    found = []
    for dataset, dataset_id in plan.document.dataset_ids.items():
        if rules[dataset].is_feed:
            continue
        held = _held(context, client, plan, dataset)
        found.append(
            split_load(
                context.workspace.ledger,
                plan.name,
                plan.folder / dataset,
                rules[dataset],
                dataset_id,
                held,
            )
        )
    return tuple(found)


def _held(context: Context, client: TargetClient, plan: Plan, dataset: str) -> pl.DataFrame:
    folder = reading_folder(context, plan, dataset)
    forget_reading(folder)
    reading = Reading(folder, context.now, context.stop, lambda _rows: None)
    held = read_back(client, plan.document.dataset_ids[dataset], reading)
    forget_reading(folder)
    return held


def _restore(
    context: Context, client: TargetClient, plan: Plan, wanted: Sequence[DatasetUndo]
) -> tuple[list[DatasetUndo], Refusals]:
    """The records that were taken back, by dataset, and those that were not.

    What is refused is sent once more without the columns that would become null: the target may not let them.
    """
    first = [
        replace(entry, restorable=tuple(r for r in entry.restorable if r.before))
        for entry in wanted
    ]
    refused = _send(context, client, plan, first)
    again = [_without_nulls(entry, refused.get(entry.dataset, {})) for entry in first]
    still = _send(context, client, plan, again)
    taken: list[DatasetUndo] = []
    lost: dict[str, dict[str, int]] = {}
    for entry, bare in zip(first, again, strict=True):
        no, never = refused.get(entry.dataset, {}), still.get(entry.dataset, {})
        records = [r for r in entry.restorable if r.masterid not in no]
        records += [r for r in bare.restorable if r.masterid not in never]
        taken.append(replace(entry, restorable=tuple(records)))
        done = {r.masterid for r in records}
        lost[entry.dataset] = {
            masterid: status for masterid, status in no.items() if masterid not in done
        }
    return taken, lost


def _without_nulls(entry: DatasetUndo, refused: Collection[str]) -> DatasetUndo:
    """The refused records without columns to empty, as far as that leaves something to send and changes anything."""
    bare = (record.without_nulls() for record in entry.restorable if record.masterid in refused)
    known = {record.masterid: len(record.left) for record in entry.restorable}
    return replace(
        entry, restorable=tuple(r for r in bare if r.before and len(r.left) > known[r.masterid])
    )


def _send(
    context: Context, client: TargetClient, plan: Plan, entries: Sequence[DatasetUndo]
) -> Refusals:
    """Sends records through the loader; gives those that were refused."""
    entries = [entry for entry in entries if entry.restorable]
    if not entries:
        return {}
    to_load = _to_load(context, plan, entries)
    try:
        load(
            client,
            context.workspace,
            to_load,
            context.project.gates,
            context.progress,
            context.stop,
        )
    except MigrateError as error:
        error.hint = (error.hint or "").replace(
            f"migrate load --plan {to_load.name}", _command(plan)
        ) or None
        raise
    found = {
        entry.dataset: refused_records(context.workspace.ledger, to_load.name, entry.dataset)
        for entry in entries
    }
    return {dataset: refused for dataset, refused in found.items() if refused}


def _to_load(context: Context, plan: Plan, wanted: Sequence[DatasetUndo]) -> PlanToLoad:
    """The records to restore as a plan that the loader takes, below `undo/NAME`; its name is of this moment."""
    place = context.workspace.root / "undo"
    name = f"undo-{plan.name}-" + new_name(
        context.now(), lambda at: (place / f"undo-{plan.name}-{at}").exists()
    )
    folder = place / name
    datasets = []
    for entry in wanted:
        records = folder / entry.dataset / "records.parquet"
        with replacing(records) as temporary:
            frame = _records(entry)
            parquet.write(frame, temporary)
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
    return PlanToLoad(name=name, folder=folder, datasets=tuple(datasets), undoes=plan.name)


def _records(entry: DatasetUndo) -> pl.DataFrame:
    assert entry.rules is not None  # what was split knows its rules
    rules = entry.rules
    rows = [(record.masterid, payload(rules, record)) for record in entry.restorable]
    place = pl.int_range(pl.len(), dtype=pl.Int32)
    return pl.DataFrame(rows, schema={"key": pl.String, "payload": pl.String}, orient="row").select(
        (place // BATCH_ROWS).alias("batch"),
        (place % BATCH_ROWS).alias("position"),
        pl.lit("update").alias("change"),
        "key",
        "payload",
        pl.lit([], dtype=pl.List(SOURCE)).alias("sources"),
        pl.col("key").alias("masterid"),
    )


def _verify(
    context: Context, client: TargetClient, plan: Plan, taken: Sequence[DatasetUndo], wait_s: float
) -> int:
    """How many of the restored records read back as they were before the load, once the target has prepared them."""
    sound = 0
    sleep = sleeper(context)
    for entry in taken:
        if not entry.restorable:
            continue
        assert entry.rules is not None  # what was split knows its rules
        for look in range(_LOOKS):
            if look:
                sleep(wait_s)
            found = count_restored(
                entry.rules, entry.restorable, _held(context, client, plan, entry.dataset)
            )
            if found == len(entry.restorable):
                break
        sound += found
    return sound


def _write_lists(context: Context, plan: Plan, found: Sequence[DatasetUndo]) -> list[Path]:
    """What the API cannot undo, as CSV files that the vendor's support can act on: dataset id and masterid.

    Of merged records what they held is listed, and what the record held that they went into: it is nowhere else any
    more.
    """
    files = []
    for entry in found:
        for what, headers, rows in _lists(entry):
            full = [(entry.dataset_id, *row) for row in rows]
            files += _write_list(
                context, plan, f"undo-{what}-{entry.dataset}", (*_IDS, *headers), full
            )
    return files


def _lists(entry: DatasetUndo) -> Iterator[tuple[str, Sequence[str], Sequence[Sequence[object]]]]:
    """Each list's name, its columns beside the ids, and its rows without the dataset's id."""
    yield "created", (), [(masterid,) for masterid in entry.created]
    yield "changed-since", (), [(masterid,) for masterid in entry.changed_since]
    lost = [*entry.merged, *((masterid, masterid, held) for masterid, held in entry.survivors)]
    rows = [
        (gone, into, len(held), json.dumps(held, ensure_ascii=False)) for gone, into, held in lost
    ]
    yield "merged", ("merged_into", "columns_lost", "lost"), rows


def _write_left(
    context: Context, plan: Plan, taken: Sequence[DatasetUndo], refused: Refusals
) -> list[Path]:
    """Records that were restored without some columns, and records that were refused altogether."""
    files = []
    for entry in taken:
        partly = [
            (entry.dataset_id, r.masterid, " ".join(r.left)) for r in entry.restorable if r.left
        ]
        files += _write_list(
            context, plan, f"undo-partly-{entry.dataset}", (*_IDS, "columns_not_restored"), partly
        )
        rows = [
            (entry.dataset_id, masterid, status)
            for masterid, status in refused.get(entry.dataset, {}).items()
        ]
        files += _write_list(
            context, plan, f"undo-refused-{entry.dataset}", (*_IDS, "status"), rows
        )
    return files


def _write_list(
    context: Context,
    plan: Plan,
    name: str,
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> list[Path]:
    file = context.workspace.exports / plan.name / f"{name}.csv"
    if not rows:
        file.unlink(missing_ok=True)
        return []
    write_bytes(file, _csv([headers, *rows]))
    return [file]


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
