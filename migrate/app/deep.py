"""Opens what the read-back of every record needs and calls it, one dataset after another."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.app.as_loaded import as_loaded, check_snapshot
from migrate.app.other_projects import masterids_of_others, open_other
from migrate.app.remake import check_loadable
from migrate.app.standing import note_planned, read_seen
from migrate.app.target_client import reading_folder, readings_folder, sleeper
from migrate.errors import Interrupted, MigrateError
from migrate.plan.corrections import read_carried
from migrate.plan.open_plan import PLAN_FILE, Plan, open_plan
from migrate.plan.repair import make_repair_plan
from migrate.snapshot.corrected import corrected_snapshot
from migrate.snapshot.reading import Snapshot, open_snapshot
from migrate.snapshot.union import living, put_on_base
from migrate.target.client import TargetClient
from migrate.verify.corrected import corrected_raw
from migrate.verify.deep import DeepDataset, verify_dataset
from migrate.verify.expected import Expected, FileRecords, Scope, expect_files
from migrate.verify.known import read_known
from migrate.verify.lookup import TOUCHED, LookupTable, looked_up_columns
from migrate.verify.made import Identity
from migrate.verify.readback import Reading, forget_reading
from migrate.verify.reconcile import Reconciliation
from migrate.verify.rules import Conventions, DatasetRules, read_rules
from migrate.verify.scope import are_inside
from migrate.verify.typed import Unverifiable
from migrate.workspace import Workspace, sha256_file

if TYPE_CHECKING:
    from migrate.app.context import Context

# Writing these again would change nothing: the plan has no row of them, the column takes none, or two rows share
# one record.
_NOT_REPAIRED = ("not_planned", "protected", "fused")


@dataclass(frozen=True)
class Beside:
    """What else is to be done with each dataset of the plan once it is worked out, before it is put away.

    `keep`: the columns that it needs of records that make no row, too. `option`: of the command that asks for it.
    """

    keep: Callable[[DatasetRules], Sequence[str]]
    take: Callable[[TargetClient, Expected], None]
    option: str


def verify_deeply(
    context: Context,
    client: TargetClient,
    plan: Plan,
    datasets: Sequence[str],
    wait_s: float,
    beside: Beside | None = None,
    preparing: Mapping[str, bool] = MappingProxyType({}),
) -> Iterator[DeepDataset]:
    """Each dataset read back and compared, in the mappings' order; its differences are written to a file.

    Given again after an interruption, it takes up the pages that were read.
    """
    check_snapshot(context, plan, "reading back", f"`migrate reconcile --deep --plan {plan.name}`")
    if beside:
        # All of them, since totals are over the whole plan and not only over what was begun.
        every = expect_all(context, plan, list(plan.document.datasets), beside.keep)
    else:
        every = expect_all(context, plan, datasets)
    try:
        for dataset, expected in every:
            if isinstance(expected, str):
                if dataset in datasets:
                    rows = plan.document.datasets[dataset].planned
                    why = {"*": expected}
                    yield DeepDataset(dataset, 0, 0, unverified=rows, unverifiable=why)
                continue
            with contextlib.closing(expected.shelf):
                if dataset in datasets:
                    yield _verify(context, client, plan, expected, wait_s, preparing.get(dataset))
                if beside:
                    beside.take(client, expected)
    except Interrupted as error:
        option = f" {beside.option}" if beside else ""
        raise Interrupted(
            error.what, hint=f"migrate reconcile --deep{option} --plan {plan.name}"
        ) from None
    # Only at the end: a verification that was interrupted goes on with the pages that are there.
    forget_reading(readings_folder(context, plan))


def expect_all(
    context: Context,
    plan: Plan,
    datasets: Sequence[str],
    keep: Callable[[DatasetRules], Sequence[str]] = lambda _rules: (),
    beside: str = "",
) -> Iterator[tuple[str, Expected | str]]:
    """What each dataset should hold, worked out from the snapshot; a sentence instead where that cannot be done.

    One dataset at a time; whoever is given it closes its shelf. `keep` says which columns are wanted of records that
    make no row, too. `beside`: for whom, where that is not the plan itself: what is put aside then does not meet.
    """
    work = _Evaluation(context, plan, beside)
    for name, rule in work.rules.items():
        made = work.expect(rule, keep(rule))
        if isinstance(made, Expected):
            work.keep_lookups(made)
        if name in datasets:
            yield name, made
        elif isinstance(made, Expected):
            made.shelf.close()


class _Evaluation:
    """The datasets of a plan worked out one after another; kept of each is what later ones look up."""

    def __init__(self, context: Context, plan: Plan, beside: str = "") -> None:
        self.context, self.plan, self.beside = context, plan, beside
        self.snapshot = open_used_snapshot(context, plan)
        every = read_rules(context.project.mappings)
        self.rules = {name: rule for name, rule in every.items() if name in plan.document.mappings}
        datatrics, octolis = context.project.datatrics, context.project.octolis
        self.conventions = Conventions(
            datatrics.timezones,
            datatrics.source_aliases,
            octolis.float_digits,
            datatrics.project_id,
            octolis.batch_bytes,
        )
        said = plan.document.scope
        self.scope = None if said is None else said.model_dump(mode="json")
        self._tables: dict[tuple[str, str, str], LookupTable] = {}
        self._failed: dict[str, str] = {}

    def expect(self, rule: DatasetRules, keep: Sequence[str] = ()) -> Expected | str:
        """One dataset, or why it cannot be worked out."""
        made = self._expect(rule, keep)
        if isinstance(made, str):
            self._failed[rule.dataset] = made
        return made

    def keep_lookups(self, made: Expected) -> None:
        """Keeps the columns that other datasets take from this one."""
        for part in chain.from_iterable(rule.parts for rule in self.rules.values()):
            for lookup, asked in part.lookups.items():
                if asked.dataset == made.rules.dataset and asked.project is None:
                    wanted = looked_up_columns(part, lookup)
                    self._tables[part.dataset, part.resource, lookup] = made.lookup_table(
                        wanted, self.conventions.source_aliases, asked.resource
                    )

    def _expect(self, rule: DatasetRules, keep: Sequence[str]) -> Expected | str:
        records = [self._records_of(part) for part in rule.parts]
        missing = next((why for why in records if isinstance(why, str)), None)
        if missing is not None:
            return missing
        files = [one for one in records if not isinstance(one, str)]
        task = f"work out {rule.dataset}"
        rows = sum(file.rows for file in files)
        self.context.progress.begin(task, total=rows, unit="records")
        try:
            if self.beside:
                place = f"{rule.dataset}.{self.beside}"
            else:
                place = rule.dataset
            folder = work_folder(self.context, self.plan, place) / "expected"
            tick = Ticker(self.context, task)
            scope = Scope(keep=keep, folder=folder, rows=rows)
            return expect_files(rule, files, self.conventions, tick, scope)
        except Unverifiable as doubt:
            return str(doubt)
        finally:
            self.context.progress.end(task)

    def _records_of(self, part: DatasetRules) -> FileRecords | str:
        """What one of a dataset's files is worked out from, or why there is nothing to do it from."""
        resource = self.snapshot.resource(part.resource)
        if resource is None:
            return f"the snapshot has no {part.resource}"
        tables: dict[str, LookupTable] = {}
        for name, lookup in part.lookups.items():
            if lookup.project is not None:
                theirs = self._look_up_elsewhere(part, name, lookup.project)
                if isinstance(theirs, str):
                    return theirs
                tables[name] = theirs
                continue
            if (part.dataset, part.resource, name) not in self._tables:
                why = self._failed.get(lookup.dataset, "it has no mapping")
                return f"look-up {name}: {lookup.dataset} cannot be verified: {why}"
            tables[name] = self._tables[part.dataset, part.resource, name]
        # Of a delta without the records that are gone: they win nothing and fill nothing.
        alive = living(resource)
        discarded = read_discarded(self.plan.folder / part.dataset, part.resource)
        inside = are_inside(
            self.plan.folder, self.scope, part.resource, alive.frames([]), self.conventions
        )
        return FileRecords(
            alive.frames([]), tables, alive.touched_from, discarded, alive.rows, inside
        )

    def _look_up_elsewhere(
        self, part: DatasetRules, name: str, project_id: str
    ) -> LookupTable | str:
        """What a look-up in another project finds, worked out from that project's own snapshot; or why it cannot be."""
        lookup = part.lookups[name]
        id_ = self.plan.document.dataset_ids.get(
            lookup.dataset
        ) or self.context.project.octolis.datasets.get(lookup.dataset)
        try:
            other = open_other(self.context.project, project_id)
            context = replace(self.context, project=other, workspace=Workspace.of(other))
            for used in self.plan.document.looked_up:
                if used.project != project_id:
                    continue
                plan = open_plan(context.workspace, used.plan)
                names = [n for n, theirs in plan.document.dataset_ids.items() if theirs == id_]
                # A plan made anew under that name has other rows than those that were looked up.
                if not names or sha256_file(plan.folder / PLAN_FILE) != used.sha256:
                    continue
                every = expect_all(as_loaded(context, plan), plan, names, beside=self.plan.name)
                return self._table_elsewhere(part, name, dict(every)[names[0]])
        except MigrateError as error:
            return f"look-up {name}: project {project_id}: {error.what}"
        return f"look-up {name}: the plan of project {project_id} is not there as it was"

    def _table_elsewhere(
        self, part: DatasetRules, name: str, made: Expected | str
    ) -> LookupTable | str:
        if isinstance(made, str):
            return f"look-up {name}: {made}"
        with contextlib.closing(made.shelf):
            wanted = looked_up_columns(part, name)
            aliases, resource = self.conventions.source_aliases, part.lookups[name].resource
            table = made.lookup_table(wanted, aliases, resource)
        # what has changed there is no change of ours, and what was rejected there is an orphan here
        rows = table.rows.with_columns(pl.lit(value=False).alias(TOUCHED))
        return replace(table, rows=rows, withheld=frozenset())


class Ticker:
    """Shows progress, and ends the work with Interrupted as soon as the job is asked to stop."""

    def __init__(self, context: Context, task: str) -> None:
        self._job, self._task = context, task

    def __call__(self, records: int) -> None:
        """So many more records are done."""
        self._job.progress.advance(self._task, records)
        if self._job.stop.is_set():
            raise Interrupted("stopped before the verification was finished")


def read_discarded(folder: Path, resource: str) -> frozenset[Identity]:
    """What of a resource the plan of a dataset left out since a person has discarded it; nothing in an old plan."""
    file = folder / "discarded.parquet"
    if not file.is_file():
        return frozenset()
    discarded = parquet.read(file)
    if "resource" in discarded.columns:
        discarded = discarded.filter(pl.col("resource") == resource)
    return frozenset(discarded.select("source", "id", "position").iter_rows())


def open_used_snapshot(context: Context, plan: Plan) -> Snapshot:
    """The snapshot that a plan was made from, with the right values that the plan had, put in by the verifier."""
    snapshot = open_as_sent(context, plan)
    return corrected_snapshot(snapshot, read_carried(plan.folder), corrected_raw)


def open_as_sent(context: Context, plan: Plan) -> Snapshot:
    """The snapshot that a plan was made from, as it was sent; a delta together with what it was made since.

    **Raises**: Damaged where a file is not what its manifest says: what is proven by it would prove nothing.
    """
    used = plan.document.snapshot
    snapshot = open_snapshot(context.workspace, used.name)
    if snapshot.manifest.since is None:
        return snapshot
    return put_on_base(context.workspace, snapshot, used.base.name if used.base else None)


def work_folder(context: Context, plan: Plan, dataset: str) -> Path:
    """Where a dataset that does not fit in memory is put aside; beside its pages, which may be there for longer."""
    return reading_folder(context, plan, f"{dataset}.work")


def _verify(
    context: Context,
    client: TargetClient,
    plan: Plan,
    expected: Expected,
    wait_s: float,
    coming: bool | None,
) -> DeepDataset:
    dataset = expected.rules.dataset
    known = read_known(
        context.workspace.ledger, plan.folder, plan.name, expected.rules, expected.unverifiable,
        work_folder(context, plan, dataset), expected.shelf.buckets,
    )  # fmt: skip
    recipes = plan.document.datasets[dataset].recipes
    # Rows of other projects in the same dataset are theirs, and no surplus of ours.
    theirs = masterids_of_others(context.project, plan.document.dataset_ids[dataset])
    known = replace(known, rest=replace(known.rest, recipes=recipes, coming=coming, theirs=theirs))
    task = f"read back {dataset}"
    progress = context.progress
    reading = Reading(
        reading_folder(context, plan, dataset),
        context.now,
        context.stop,
        # What differs is read again after a while, all of it: each round has a bar of its own.
        begin=lambda done, total: progress.begin(task, total=total, unit="records", done=done),
        tick=lambda records, total: progress.advance(task, records, total=total),
    )
    file = context.workspace.exports / plan.name / f"differences-{dataset}.parquet"
    dataset_id = plan.document.dataset_ids[dataset]
    try:
        return verify_dataset(
            expected, known, client, dataset_id, reading, sleeper(context), file, wait_s
        )
    finally:
        progress.end(task)
        known.close()


def run_repair(context: Context, reconciliation: Reconciliation) -> str | None:
    """The name of a plan of only the records that a deep verification found missing or different; None without any."""
    keys: dict[str, dict[str, set[str]]] = {"missing": {}, "different": {}}
    for dataset, result in reconciliation.datasets.items():
        if result.deep is None or result.deep.file is None:
            continue
        scan = parquet.scan(result.deep.file).filter(~pl.col("name").is_in(_NOT_REPAIRED))
        for finding, sets in keys.items():
            chosen = (
                scan.filter(pl.col("finding") == finding)
                .select(pl.col("key").drop_nulls().unique())
                .collect()
            )
            sets[dataset] = set(chosen.get_column("key"))
    if not any(chain.from_iterable(sets.values() for sets in keys.values())):
        return None
    plan = open_plan(context.workspace, reconciliation.plan)
    # What differs since another load, or since an undo, is to differ: this plan's values are old.
    check_loadable(context.workspace, plan)
    seen = read_seen(context.workspace)
    repair = make_repair_plan(
        context.project, context.workspace, plan, keys["missing"], keys["different"], context.now
    )
    note_planned(context.workspace, repair, seen)
    return repair.name
