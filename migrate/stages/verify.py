"""Opens what the verifier needs and calls it: the count equation, and the read-back of every record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.errors import Interrupted
from migrate.plan.opening import Plan, check_fresh, open_plan
from migrate.plan.repair import make_repair_plan
from migrate.report.reconcile import summarise_reconciliation
from migrate.snapshot.reading import Snapshot, open_snapshot
from migrate.target.client import TargetClient
from migrate.verify.books import read_books
from migrate.verify.buckets import explain_difference, find_interval
from migrate.verify.business import Total, add_up, possible_totals, set_side_by_side
from migrate.verify.deep import DeepDataset, verify_dataset
from migrate.verify.expected import Expected, expect_dataset
from migrate.verify.known import planned_texts, read_known, read_marks, read_written
from migrate.verify.readback import Reading, forget_reading, read_back
from migrate.verify.reconcile import (
    DatasetBooks,
    DatasetReconciliation,
    Reconciliation,
    SourceCount,
    can_filter,
    expected_count,
    judge,
    settled_count,
)
from migrate.verify.rules import Conventions, DatasetRules, read_rules
from migrate.verify.totals import TotalsTable
from migrate.verify.typed import Unverifiable
from migrate.workspace import replacing, write_json

if TYPE_CHECKING:
    from migrate.stages.run import Job


_USUAL_WAIT_S = 5.0


def run_reconcile(
    job: Job, name: str | None = None, *, deep: bool = False, wait_s: float = _USUAL_WAIT_S
) -> Reconciliation:
    """The count equation of every dataset of a loaded plan; with `deep` every record read back and compared.

    What was found is also kept, without values, in `reports/PLAN-reconcile.json`.

    **Raises**: Stale for a deep verification of a plan whose snapshot, mappings or settings have changed.
    """
    plan = open_plan(job.workspace, name)
    books = read_books(job.workspace.ledger, plan.folder, plan.name)
    rules = read_rules(job.project.mappings)
    with open_target(job) as client:
        found = {
            dataset: _Equation(job, client, plan, entry, rules.get(dataset)).reconcile(wait_s / _USUAL_WAIT_S)
            for dataset, entry in books.items()
        }
        if deep:
            for dataset in verify_deeply(job, client, plan, list(books), wait_s):
                found[dataset.dataset] = replace(found[dataset.dataset], deep=dataset)
    result = Reconciliation(plan.name, found)
    report = {"verdict": result.verdict, "made_at": job.now().isoformat(), **summarise_reconciliation(result)}
    write_json(job.workspace.reports / f"{plan.name}-reconcile.json", report)
    return result


def open_target(job: Job) -> TargetClient:
    """The target's client, inside the budget that all commands of the workspace share."""
    return TargetClient(
        job.project.octolis,
        job.project.secrets.octolis_keys(),
        state_file=job.workspace.root / "budget.json",
        stop=job.stop,
        note=job.progress.note,
    )


def reading_folder(job: Job, plan: Plan, dataset: str) -> Path:
    """Where the pages of a read-back are kept until the verification is done."""
    return job.workspace.reports / f".{plan.name}-read-back" / dataset


class _Equation:
    """One dataset's equation; the target is read back only where a count alone cannot tell."""

    def __init__(
        self, job: Job, client: TargetClient, plan: Plan, books: DatasetBooks, rules: DatasetRules | None
    ) -> None:
        self.job, self.client, self.plan, self.books = job, client, plan, books
        self.source_column = rules.source_column() if rules else None
        self._held: pl.DataFrame | None = None

    def reconcile(self, patience: float) -> DatasetReconciliation:
        """The equation with its verdict, its buckets and the counts by source; `patience` stretches the waits."""
        books = self.books
        after = settled_count(
            lambda: self.client.count(books.dataset_id).count, expected_count(books), sleeper(self.job, patience)
        )
        by_source = {source: self._count(source, planned) for source, planned in books.by_source.items()}
        written = partial(read_written, self.job.workspace.ledger, self.plan.name, books.dataset)
        found = judge(books, after, by_source, lambda n, left: explain_difference(n, left, self.held(), written()))
        forget_reading(self._folder())
        interval = find_interval(read_marks(self.job.workspace.ledger, self.plan.name, books.dataset))
        if found.difference and interval:
            found = replace(found, explanations=(*found.explanations, interval))
        return found

    def held(self) -> pl.DataFrame:
        """The dataset's records, read back once."""
        if self._held is None:
            reading = Reading(self._folder(), self.job.now, self.job.stop, lambda _rows: None)
            self._held = read_back(self.client, self.books.dataset_id, reading)
        return self._held

    def _folder(self) -> Path:
        """A folder apart from the deep verification's, which may have pages to go on with."""
        return reading_folder(self.job, self.plan, f"{self.books.dataset}.count")

    def _count(self, source: str, planned: int) -> SourceCount:
        column = self.source_column
        if column is None:
            return SourceCount(planned, None, "no column holds the source")
        if can_filter(source):
            return SourceCount(planned, self.client.count(self.books.dataset_id, {column: source}).count)
        if column not in self.held().columns:
            return SourceCount(planned, None, f"the target shows no column {column}")
        counted = int((self.held().get_column(column).fill_null("") == source).sum())
        return SourceCount(planned, counted, "':' and ',' cannot be filtered: counted from the records read back")


def verify_deeply(
    job: Job, client: TargetClient, plan: Plan, datasets: Sequence[str], wait_s: float
) -> Iterator[DeepDataset]:
    """Each dataset read back and compared, in the mappings' order; its differences are written to a file.

    Given again after an interruption, it takes up the pages that were read.
    """
    check_fresh(plan, job.project, job.workspace)
    try:
        for dataset, expected in expect_all(job, plan, datasets):
            if isinstance(expected, str):
                yield DeepDataset(dataset, expected=0, compared=0, unverifiable={"*": expected})
                continue
            yield _verify(job, client, plan, expected, wait_s)
    except Interrupted as error:
        raise Interrupted(error.what, hint=f"migrate reconcile --deep --plan {plan.name}") from None
    forget_reading(reading_folder(job, plan, "").parent / f".{plan.name}-read-back")


def expect_all(job: Job, plan: Plan, datasets: Sequence[str]) -> Iterator[tuple[str, Expected | str]]:
    """What each dataset should hold, worked out from the snapshot; a sentence instead where that cannot be done."""
    snapshot = open_snapshot(job.workspace, plan.document.snapshot.name, check_files=False)
    rules = {name: rule for name, rule in read_rules(job.project.mappings).items() if name in plan.document.mappings}
    datatrics, octolis = job.project.datatrics, job.project.octolis
    conventions = Conventions(datatrics.timezones, datatrics.source_aliases, octolis.float_digits)
    made: dict[str, Expected | str] = {}
    for name, rule in rules.items():
        made[name] = _expect(job, snapshot, rule, conventions, made)
        if name in datasets:
            yield name, made[name]
        if not any(lookup.dataset == name for other in rules.values() for lookup in other.lookups.values()):
            made[name] = "not kept"


def _expect(
    job: Job, snapshot: Snapshot, rule: DatasetRules, conventions: Conventions, made: dict[str, Expected | str]
) -> Expected | str:
    resource = snapshot.resource(rule.resource)
    if resource is None:
        return f"the snapshot has no {rule.resource}"
    task = f"work out {rule.dataset}"
    job.progress.begin(task, total=resource.rows, unit="records")

    def tick(records: int) -> None:
        job.progress.advance(task, records)
        if job.stop.is_set():
            raise Interrupted("stopped before the verification was finished")

    try:
        tables = {}
        for name, lookup in rule.lookups.items():
            other = made.get(lookup.dataset, "it has no mapping")
            if isinstance(other, str):
                return f"look-up {name}: {lookup.dataset} cannot be verified: {other}"
            tables[name] = other.lookup_table(other.columns, conventions.source_aliases)
        return expect_dataset(rule, resource.frames([]), conventions, tables, tick)
    except Unverifiable as doubt:
        return str(doubt)
    finally:
        job.progress.end(task)


def _verify(job: Job, client: TargetClient, plan: Plan, expected: Expected, wait_s: float) -> DeepDataset:
    dataset = expected.rules.dataset
    known = read_known(job.workspace.ledger, plan.folder, plan.name, dataset, frozenset(expected.unverifiable))
    known = replace(known, recipes=frozenset(plan.document.datasets[dataset].recipes))
    task = f"read back {dataset}"
    job.progress.begin(task, total=expected.rows.height, unit="records")
    reading = Reading(
        reading_folder(job, plan, dataset), job.now, job.stop, lambda rows: job.progress.advance(task, rows)
    )
    found = verify_dataset(expected, known, client, plan.document.dataset_ids[dataset], reading, sleeper(job), wait_s)
    job.progress.end(task)
    file = job.workspace.exports / plan.name / f"differences-{dataset}.parquet"
    with replacing(file) as temporary:
        found.findings.write_parquet(temporary)
    return replace(found, file=file)


def sleeper(job: Job, patience: float = 1.0) -> Callable[[float], None]:
    """A sleep, stretched by `patience`, that ends with Interrupted as soon as the job is asked to stop."""

    def sleep(seconds: float) -> None:
        if job.stop.wait(seconds * patience):
            raise Interrupted("stopped while waiting for the target to rest")

    return sleep


def run_totals(job: Job, name: str) -> list[TotalsTable]:
    """Business totals of snapshot, plan and target, side by side; of the target only records that the plan has."""
    plan = _origin(job, open_plan(job.workspace, name, check_files=False))
    check_fresh(plan, job.project, job.workspace)
    tables: list[TotalsTable] = []
    with open_target(job) as client:
        for dataset, expected in expect_all(job, plan, list(plan.document.datasets)):
            if isinstance(expected, str):
                continue
            wanted = possible_totals({dataset: expected.columns})
            if wanted:
                tables += _totals_of(job, client, plan, expected, wanted)
    forget_reading(job.workspace.reports / f".{plan.name}-read-back")
    return tables


def _origin(job: Job, plan: Plan) -> Plan:
    """The plan itself, or the one that it repairs: a repair has only a few of the records."""
    try:
        repaired = json.loads((plan.folder / "begun.json").read_bytes()).get("repairs")
    except (OSError, ValueError):
        return plan
    return _origin(job, open_plan(job.workspace, repaired, check_files=False)) if repaired else plan


def _totals_of(
    job: Job, client: TargetClient, plan: Plan, expected: Expected, wanted: Sequence[Total]
) -> list[TotalsTable]:
    dataset = expected.rules.dataset
    columns = sorted({name for total in wanted for name in total.columns} | set(expected.rules.key))
    snapshot = expected.rows.select(pl.col(f"c:{name}").alias(name) for name in columns)
    planned = pl.concat(
        [planned_texts(plan.file(dataset, f"{file}.parquet"), columns) for file in ("records", "unchanged")]
    )
    reading = Reading(reading_folder(job, plan, dataset), job.now, job.stop, lambda _rows: None)
    held = read_back(client, plan.document.dataset_ids[dataset], reading)
    absent = [pl.lit(None, pl.String).alias(name) for name in columns if name not in held.columns]
    held = held.with_columns(absent).select(columns)
    ours = held.join(planned.select(expected.rules.key), on=list(expected.rules.key), how="semi")
    places = {"snapshot": snapshot, "plan": planned, "target": ours}
    return [set_side_by_side(total, {place: add_up(total, rows) for place, rows in places.items()}) for total in wanted]


def run_repair(job: Job, found: Reconciliation) -> str | None:
    """The name of a plan of only the records that a deep verification found missing or different; None without any."""
    keys: dict[str, dict[str, set[str]]] = {"missing": {}, "different": {}}
    for dataset, result in found.datasets.items():
        if result.deep is None or not result.deep.findings.height:
            continue
        for finding, sets in keys.items():
            of_kind = result.deep.findings.filter(
                (pl.col("finding") == finding) & ~pl.col("name").is_in(["not_planned", "protected"])
            )
            sets[dataset] = set(of_kind.get_column("key").drop_nulls())
    if not any(chosen for sets in keys.values() for chosen in sets.values()):
        return None
    plan = open_plan(job.workspace, found.plan)
    repair = make_repair_plan(job.project, job.workspace, plan, keys["missing"], keys["different"], job.now)
    return repair.name
