"""Undoing a load: what can be restored is sent by masterid through the same ledger, budget and faults as a load."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.app.as_loaded import as_loaded
from migrate.app.not_loaded import not_begun, read_totals
from migrate.app.other_projects import written_by_others
from migrate.app.standing import check_settled, read_standing
from migrate.app.target_client import reading_folder, readings_folder, sleeper
from migrate.app.undo_lists import RestoredDataset, write_foreign, write_left, write_lists
from migrate.errors import Interrupted, MigrateError, UsageError
from migrate.load.ledger_notes import LedgerNotes, PlanEvent
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.names import MASTERID
from migrate.plan.batches import Cutter
from migrate.plan.files import SOURCE, write_frames
from migrate.plan.open_plan import Plan, open_plan
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.target.spent import windows_file
from migrate.verify.readback import Pages, Reading, forget_reading, read_pages
from migrate.verify.rules import read_rules
from migrate.verify.undo import kinds_of
from migrate.verify.undo_split import (
    DatasetUndo,
    Loaded,
    count_restored,
    refused_records,
    split_load,
)
from migrate.workspace import new_name

if TYPE_CHECKING:
    from migrate.app.context import Context

_USUAL_WAIT_S = 5.0
_LOOKS = 4
_KEY_ROUNDS = 3
# So many of the newest records show in which JSON types the target has its columns.
_SEEN_RECORDS = 500


# By masterid, since a key may be one of the values that are to be given back.
class RestoringClient(TargetClient):
    """A client whose batches update by masterid instead of upserting by key."""

    def upsert_batch(self, dataset_id: str, body: bytes) -> Answer:
        """What one attempt to update a batch by masterid came to."""
        return self.patch_batch(dataset_id, body)


@dataclass(frozen=True)
class Undo:
    """What an undo can do or has done; `lists` are the files that name what the API cannot undo.

    `restored`: records that were written back, `partly` of them, or others, keep columns that cannot be given back;
    `refused`: records that the target did not take at all; `verified`: records that read back as they were.
    `not_loaded`: records that were never sent, of datasets whose load was not begun. `foreign`: by dataset the records
    that others were seen to write between the plan's reading and the end of its load; they are listed.
    """

    plan: str
    datasets: tuple[DatasetUndo, ...]
    lists: tuple[Path, ...] = ()
    restored: int | None = None
    verified: int | None = None
    partly: int = 0
    refused: int = 0
    not_loaded: Mapping[str, int] = field(default_factory=dict)
    foreign: Mapping[str, int] = field(default_factory=dict)


def plan_undo(context: Context, name: str | None, datasets: Sequence[str] = ()) -> Undo:
    """What of a load can be undone. Sends no write; writes lists of what cannot into `exports/PLAN/`."""
    plan = open_plan(context.workspace, name)
    context = as_loaded(context, plan, "an undo", "undo")
    with _client(context) as client:
        undone = _split(context, client, plan, datasets)
    lists = write_lists(context.workspace.exports / plan.name, undone)
    foreign = _list_foreign(context, plan, undone, lists)
    _forget(context, plan)
    not_loaded = _never_sent(context, plan)
    return Undo(plan.name, undone, tuple(lists), not_loaded=not_loaded, foreign=foreign)


def run_undo(
    context: Context,
    name: str | None,
    datasets: Sequence[str] = (),
    *,
    wait_s: float = _USUAL_WAIT_S,
) -> Undo:
    """Restores what can be restored, of some datasets or all, and reads back whether it is.

    `wait_s` is the wait between two such looks. Called again it resumes: what was restored is as it was, and is not
    sent again.
    """
    plan = open_plan(context.workspace, name)
    context = as_loaded(context, plan, "an undo", "undo")
    # What a file has brought in would come after the undo, and over what it gave back.
    check_settled(context.workspace, plan, "an undo")
    with LedgerNotes(context.workspace.ledger) as notes:
        notes.note_plan_of_run(plan.name)
    try:
        with _client(context) as client:
            undone = _split(context, client, plan, datasets)
            folder = context.workspace.exports / plan.name
            lists = write_lists(folder, undone)
            foreign = _list_foreign(context, plan, undone, lists)
            taken = [_restore(context, client, plan, entry) for entry in undone]
            verified = sum(_verify(context, client, plan, entry, wait_s) for entry in taken)
    except Interrupted as error:
        raise Interrupted(error.what, hint=_command(plan)) from None
    lists += chain.from_iterable(write_left(folder, entry) for entry in taken)
    done = Undo(
        plan.name,
        undone,
        tuple(lists),
        restored=sum(entry.restored for entry in taken),
        verified=verified,
        partly=sum(entry.partly for entry in taken),
        refused=sum(len(entry.refused) for entry in taken),
        not_loaded=_never_sent(context, plan),
        foreign=foreign,
    )
    _note_undone(context, plan, done, datasets)
    _forget(context, plan)
    return done


def _note_undone(context: Context, plan: Plan, done: Undo, datasets: Sequence[str]) -> None:
    """Keeps that the undo came to its end, where it has changed anything at all, now or in an earlier call."""
    before = read_standing(context.workspace, plan).undone
    # Nothing was changed, so the plan stands as loaded.
    if not done.restored and before is None:
        return
    left_alone = sum(
        entry.count("changed_since") + entry.count("survivors") for entry in done.datasets
    )
    # A record that others have changed or that was merged keeps what it has: the load is not undone whole.
    is_part = bool(datasets or done.partly or done.refused or left_alone)
    if is_part or done.verified != done.restored:
        scope = "part"
    else:
        scope = "whole"
    if not done.restored and before is not None and before.scope == scope:
        return  # nothing was left to do: who did it, and when, stays what it was
    with LedgerNotes(context.workspace.ledger) as notes:
        notes.note_event(PlanEvent(plan.name, "undone", records=done.restored, scope=scope))


def _list_foreign(
    context: Context, plan: Plan, datasets: Sequence[DatasetUndo], lists: list[Path]
) -> dict[str, int]:
    """How many records of each dataset others were seen to write; adds the files that name them to `lists`."""
    folder = context.workspace.exports / plan.name
    counts = {}
    with LedgerView(context.workspace.ledger) as view:
        for entry in datasets:
            edits = view.foreign_records(plan.name, entry.dataset)
            theirs = _others(context, entry.dataset_id)([who for who, *_ in edits])
            # of the plan's own records it matters that they were changed, whoever has done it
            edits = [edit for edit in edits if edit[1] or edit[0] not in theirs]
            lists += write_foreign(folder, entry, edits)
            if edits:
                counts[entry.dataset] = len(edits)
    return counts


def _never_sent(context: Context, plan: Plan) -> Mapping[str, int]:
    return not_begun(plan, read_totals(context.workspace, plan.name))


def _command(plan: Plan) -> str:
    """What goes on with a plan's undo."""
    return f"migrate undo run --plan {plan.name}"


def _client(context: Context) -> RestoringClient:
    return RestoringClient(
        context.project.octolis,
        context.project.secrets.octolis_keys(),
        state_file=windows_file(context.project.octolis.base_url, context.workspace.root),
        stop=context.stop,
        note=context.progress.note,
    )


def _split(
    context: Context, client: TargetClient, plan: Plan, datasets: Sequence[str]
) -> tuple[DatasetUndo, ...]:
    loaded = read_totals(context.workspace, plan.name)
    if not loaded:
        raise UsageError(
            f"nothing of plan {plan.name!r} was loaded, so there is nothing to undo",
            hint="migrate status",
        )
    for dataset in datasets:
        if dataset not in plan.document.dataset_ids:
            known = ", ".join(plan.document.dataset_ids)
            raise UsageError(
                f"plan {plan.name!r} has no dataset {dataset!r} that can be undone",
                hint=f"it has {known}",
            )
    rules = read_rules(context.project.mappings)
    parts = []
    # The other way round than they were loaded: what looks another dataset up goes first.
    for dataset, dataset_id in reversed(plan.document.dataset_ids.items()):
        # What went to a webhook cannot be read back, so nobody knows what to give back.
        if rules[dataset].is_feed or dataset not in (datasets or loaded):
            continue
        used = plan.document.mappings[dataset]
        keys = {*used.key, *chain.from_iterable(used.alternative_keys)}
        where = Loaded(
            context.workspace.ledger,
            plan.name,
            plan.folder / dataset,
            frozenset(keys),
            _others(context, dataset_id),
        )
        with _pages(context, client, plan, dataset) as pages:
            # The export shows every value as text; only the list shows whether a number goes back as a number.
            kinds = kinds_of(client.list_records(dataset_id, 1, _SEEN_RECORDS))
            work = _work(context, plan, dataset)
            parts.append(split_load(where, rules[dataset], dataset_id, pages, kinds, work))
    return tuple(reversed(parts))


def _others(context: Context, dataset_id: str) -> Callable[[Collection[str]], Mapping[str, float]]:
    """Tells which records of a dataset other projects have written, and when."""
    others = written_by_others(context.project)
    if others is None:
        return lambda _masterids: {}
    return lambda masterids: others.last_written(dataset_id, masterids)


@contextlib.contextmanager
def _pages(context: Context, client: TargetClient, plan: Plan, dataset: str) -> Iterator[Pages]:
    """The dataset as it is now, read anew; its pages are gone when the block ends."""
    folder = reading_folder(context, plan, dataset)
    forget_reading(folder)
    reading = Reading(folder, context.now, context.stop)
    yield read_pages(client, plan.document.dataset_ids[dataset], reading)
    forget_reading(folder)


def _work(context: Context, plan: Plan, dataset: str) -> Path:
    """An empty folder for what is put aside of a dataset."""
    folder = reading_folder(context, plan, f"{dataset}.undo")
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _forget(context: Context, plan: Plan) -> None:
    forget_reading(readings_folder(context, plan))


def _restore(
    context: Context, client: TargetClient, plan: Plan, entry: DatasetUndo
) -> RestoredDataset:
    """What was taken back of a dataset.

    A key that another record has by now is free once that one got its own back: what was refused is sent again as long
    as that helps. Then it is sent once more without what a target may refuse.
    """
    sending = _Sending(context, client, plan, entry)
    refused = sending.send(None)
    # Two records may have taken each other's keys: the one is free only once the other has its own again.
    for _ in range(_KEY_ROUNDS):
        again = {masterid for masterid in refused if masterid in sending.restores_keys(refused)}
        if not again:
            break
        still = sending.send(again)
        gained = len(again) - len(still)
        refused = {m: status for m, status in refused.items() if m not in again} | dict(still)
        if not gained:
            break
    # One value that the target refuses would keep all others of the record from coming back.
    bare = sending.worth_again(refused)
    never = sending.send(bare, bare=True) if bare else {}
    lost = {m: never.get(m, status) for m, status in refused.items() if m not in bare or m in never}
    return RestoredDataset(entry, frozenset(bare - never.keys()), lost)


@dataclass(frozen=True)
class _Sending:
    """Records of one dataset on their way back, through the loader."""

    context: Context
    client: TargetClient
    plan: Plan
    entry: DatasetUndo

    def send(self, chosen: Collection[str] | None, *, bare: bool = False) -> Mapping[str, int]:
        """Sends these records, or all; gives those that were refused, with the HTTP status."""
        to_load = self._to_load(chosen, bare=bare)
        if not to_load.datasets[0].rows:
            return {}
        context = self.context
        try:
            load(
                self.client, context.workspace, to_load, context.project.gates,
                context.progress, context.stop,
            )  # fmt: skip
        except MigrateError as error:
            # The loader knows its own command only; an undo that is told to `migrate load` would end with a stale
            # plan.
            hint = (error.hint or "").replace(
                f"migrate load --plan {to_load.name}", _command(self.plan)
            )
            error.hint = hint or None
            raise
        return refused_records(context.workspace.ledger, to_load.name, self.entry.dataset)

    def restores_keys(self, among: Collection[str]) -> set[str]:
        """Those of some records that get a key back."""
        used = self.plan.document.mappings[self.entry.dataset]
        keys = [*used.key, *chain.from_iterable(used.alternative_keys)]
        masterids: set[str] = set()
        for frame in self._frames(among):
            has_key = pl.col("columns").list.set_intersection(keys).list.len() > 0
            masterids.update(frame.filter(has_key).get_column("masterid"))
        return masterids

    def worth_again(self, refused: Collection[str]) -> set[str]:
        """Those of the refused ones of which something is left to send, and not the same as before."""
        masterids: set[str] = set()
        for frame in self._frames(refused):
            is_less = pl.col("bare_columns").list.len() < pl.col("columns").list.len()
            is_some = pl.col("bare_columns").list.len() > 0
            masterids.update(frame.filter(is_less & is_some).get_column("masterid"))
        return masterids

    def _frames(self, chosen: Collection[str] | None) -> Iterator[pl.DataFrame]:
        for frame in self.entry.frames("restorable"):
            yield frame if chosen is None else frame.filter(pl.col("masterid").is_in(list(chosen)))

    def _to_load(self, chosen: Collection[str] | None, *, bare: bool) -> PlanToLoad:
        """The records as a plan that the loader takes, below `undo/NAME`; its name is of this moment."""
        place = self.context.workspace.root / "undo"
        head = f"undo-{self.plan.name}-"
        # A name of its own each time: the ledger knows a plan by its name, and a second call has other records.
        name = head + new_name(self.context.now(), lambda at: (place / f"{head}{at}").exists())
        folder = place / name
        dataset = self.entry.dataset
        cutter = Cutter(self.context.project.octolis.batch_bytes)
        (folder / dataset).mkdir(parents=True, mode=0o700)
        records = folder / dataset / "records.parquet"
        if bare:
            columns = ("bare_payload", "bare_columns")
        else:
            columns = ("payload", "columns")
        frames = (
            cutter.number(
                frame.filter(pl.col(columns[1]).list.len() > 0).select(
                    pl.col(columns[0]).alias("_payload"), "masterid"
                )
            ).select(_AS_RECORDS)
            for frame in self._frames(chosen)
        )
        written = write_frames(frames, _RECORDS_SCHEMA, records, folder)
        to_load = DatasetToLoad(
            name=dataset,
            dataset_id=self.entry.dataset_id,
            key_columns=(MASTERID,),
            recipe_columns=frozenset(),
            records=records,
            unchanged=None,
            rows=written.rows,
            batches=cutter.batches,
        )
        return PlanToLoad(name=name, folder=folder, datasets=(to_load,), undoes=self.plan.name)


_AS_RECORDS = (
    pl.col("_batch").alias("batch"),
    pl.col("_slot").alias("position"),
    pl.lit("update").alias("change"),
    pl.col("masterid").alias("key"),
    pl.col("_payload").alias("payload"),
    pl.lit([], dtype=pl.List(SOURCE)).alias("sources"),
    "masterid",
)
_RECORDS_SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "batch": pl.Int32, "position": pl.Int32, "change": pl.String, "key": pl.String,
    "payload": pl.String, "sources": pl.List(SOURCE), "masterid": pl.String,
}  # fmt: skip


def _verify(
    context: Context, client: TargetClient, plan: Plan, done: RestoredDataset, wait_s: float
) -> int:
    """How many of the restored records read back as they were before the load, once the target has prepared them."""
    if not done.restored:
        return 0
    sleep = sleeper(context)
    sound = 0
    rules, dataset = done.entry.rules, done.entry.dataset
    # The target shows a write only once it has prepared it, so one look may come too soon.
    for look in range(_LOOKS):
        if look:
            sleep(wait_s)
        with _pages(context, client, plan, dataset) as pages:
            work = reading_folder(context, plan, f"{dataset}.undone")
            sound = count_restored(rules, done.frames(), pages, done.restored, work)
        if sound == done.restored:
            break
    return sound
