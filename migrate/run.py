"""Opens what each stage needs and calls it; and the whole run, stage after stage, stopping where a gate fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrate.config import Project
from migrate.errors import GateError, MigrateError, UsageError
from migrate.load.loader import LoadResult, load
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.mapping.files import read_mappings
from migrate.mapping.model import Mapping as DatasetMapping
from migrate.plan.build import build_plan
from migrate.plan.document import GateFinding
from migrate.plan.opening import Plan, check_fresh, check_gates, open_plan
from migrate.plan.request import PlanRequest
from migrate.progress import Progress
from migrate.snapshot.reading import open_snapshot
from migrate.source.client import SourceClient
from migrate.source.extract import Extraction, ExtractRequest, extract
from migrate.source.resources import resolve_resources
from migrate.target.client import TargetClient
from migrate.verify.books import read_books
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
from migrate.workspace import Workspace

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class Job:
    """What every stage is given: the project, its workspace, where to show progress, when to stop, the wall clock."""

    project: Project
    workspace: Workspace
    progress: Progress
    stop: threading.Event
    now: Clock
    force_unlock: bool = False


def run_extract(job: Job, resources: Sequence[str] = (), snapshot: str | None = None) -> Extraction:
    """The extract of `resources` (all when none is named) into a new or unfinished snapshot."""
    settings = job.project.datatrics
    chosen = resolve_resources(resources)
    client = SourceClient(settings, job.project.secrets.datatrics_key(), stop=job.stop, note=job.progress.note)
    request = ExtractRequest(
        resources=chosen,
        snapshot=snapshot,
        page_sizes={resource.name: settings.page_size_of(resource.name) for resource in chosen},
        project_id=settings.project_id,
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        force_unlock=job.force_unlock,
    )
    with contextlib.closing(client):
        return extract(client, job.workspace, request, job.progress, job.stop, job.now)


def run_plan(
    job: Job,
    datasets: Sequence[str] = (),
    *,
    snapshot: str | None = None,
    name: str | None = None,
    offline: bool = False,
) -> Plan:
    """A new plan, made from the snapshot, the mappings and, unless `offline`, the live target."""
    mappings = read_mappings(job.project.mappings)
    request = PlanRequest(name=name, datasets=tuple(datasets) or None, offline=offline)
    found = open_snapshot(job.workspace, snapshot)
    with contextlib.ExitStack() as stack:
        client = None if offline else stack.enter_context(_target(job))
        return build_plan(job.project, job.workspace, found, mappings, client, request, job.progress, job.stop, job.now)


def run_load(
    job: Job, datasets: Sequence[str] = (), *, name: str | None = None, confirm_merges: int | None = None
) -> LoadResult:
    """The plan's batches, sent; what an earlier call has sent is not sent again.

    **Raises**: Stale when an input of the plan has changed, GateError when the plan breaks a gate.
    """
    plan = open_plan(job.workspace, name)
    check_fresh(plan, job.project, job.workspace)
    gates = job.project.gates
    if confirm_merges is not None:
        gates = gates.model_copy(update={"max_merges": max(gates.max_merges, confirm_merges)})
    refuse_broken(plan, check_gates(plan, gates))
    to_load = plan_to_load(plan, datasets)
    with _target(job) as client:
        return load(client, job.workspace, to_load, gates, job.progress, job.stop, force_unlock=job.force_unlock)


def refuse_broken(plan: Plan, findings: Sequence[GateFinding]) -> None:
    """Nothing, when no gate is broken. Raises GateError naming each one that is."""
    broken = [finding for finding in findings if finding.verdict == "broken"]
    if broken:
        raise GateError(
            f"plan {plan.name!r} is stopped by a safety gate:\n"
            + "\n".join(f"{finding.gate}: {finding.text}" for finding in broken),
            hint="look at the plan; then mend the cause, or raise the limit under [gates] in migrate.toml on purpose",
        )


def plan_to_load(plan: Plan, datasets: Sequence[str] = ()) -> PlanToLoad:
    """What the loader needs of a plan. Raises UsageError for a dataset that the plan does not have."""
    document = plan.document
    for dataset in datasets:
        if dataset not in document.datasets:
            raise UsageError(
                f"plan {plan.name!r} has no dataset {dataset!r}", hint=f"it has {', '.join(document.datasets)}"
            )
    return PlanToLoad(
        name=plan.name,
        folder=plan.folder,
        datasets=tuple(
            DatasetToLoad(
                name=dataset,
                dataset_id=document.dataset_ids[dataset],
                key_columns=document.mappings[dataset].key,
                recipe_columns=frozenset(document.mappings[dataset].recipe_columns),
                records=plan.file(dataset, "records.parquet"),
                unchanged=plan.file(dataset, "unchanged.parquet"),
                rows=counts.create + counts.update + counts.unknown,
                batches=counts.batches,
                merge_forecast=counts.merge_forecast,
            )
            for dataset, counts in document.datasets.items()
            if not datasets or dataset in datasets
        ),
    )


def run_reconcile(job: Job, name: str | None = None) -> Reconciliation:
    """The count equation of every dataset of a loaded plan."""
    plan = open_plan(job.workspace, name)
    books = read_books(job.workspace.ledger, plan.folder, plan.name)
    columns = {dataset: source_column(m) for dataset, m in read_mappings(job.project.mappings).items()}
    with _target(job) as client:
        found = {dataset: _reconcile(client, entry, columns.get(dataset), job.stop) for dataset, entry in books.items()}
    return Reconciliation(plan.name, found)


def source_column(mapping: DatasetMapping) -> str | None:
    """The column that holds a record's source as sent, by which the target can be counted; None without one."""
    for name, column in mapping.columns.items():
        if column.fields == ("source",) and not column.apply and not column.values:
            return name
    return None


def _reconcile(
    client: TargetClient, books: DatasetBooks, column: str | None, stop: threading.Event
) -> DatasetReconciliation:
    after = settled_count(
        lambda: client.count(books.dataset_id).count, expected_count(books), lambda wait_s: _sleep(stop, wait_s)
    )
    by_source = {
        source: _count_source(client, books.dataset_id, column, source, planned)
        for source, planned in books.by_source.items()
    }
    return judge(books, after, by_source)


def _count_source(client: TargetClient, dataset_id: str, column: str | None, source: str, planned: int) -> SourceCount:
    if column is None:
        return SourceCount(planned, None, "no column holds the source")
    if not can_filter(source):
        return SourceCount(planned, None, "a name with ':' or ',' cannot be filtered")
    return SourceCount(planned, client.count(dataset_id, {column: source}).count)


def _sleep(stop: threading.Event, seconds: float) -> None:
    stop.wait(seconds)


def _target(job: Job) -> TargetClient:
    return TargetClient(
        job.project.octolis,
        job.project.secrets.octolis_keys(),
        state_file=job.workspace.root / "budget.json",
        stop=job.stop,
        note=job.progress.note,
    )


@dataclass(frozen=True)
class Run:
    """What each stage of a run gave; a stage that was not reached is None, and `stopped` says why."""

    extraction: Extraction
    plan: Plan | None = None
    loaded: LoadResult | None = None
    reconciliation: Reconciliation | None = None
    stopped: MigrateError | None = None
    seconds: Mapping[str, float] | None = None


def run_all(job: Job) -> Run:
    """Extract, plan, load, reconcile. A gate that fails ends the run after the stage that it judges."""
    seconds: dict[str, float] = {}
    with _timed("extract", seconds):
        extraction = run_extract(job)
    try:
        refuse_unproven(job, extraction)
    except GateError as stopped:
        return Run(extraction, stopped=stopped, seconds=seconds)
    with _timed("plan", seconds):
        plan = run_plan(job, snapshot=extraction.snapshot)
    try:
        with _timed("load", seconds):
            loaded = run_load(job, name=plan.name)
    except GateError as stopped:
        return Run(extraction, plan, stopped=stopped, seconds=seconds)
    with _timed("reconcile", seconds):
        found = run_reconcile(job, plan.name)
    return Run(extraction, plan, loaded, found, seconds=seconds)


def refuse_unproven(job: Job, extraction: Extraction) -> None:
    """Nothing, when every extract is proven or the gate is open. Raises GateError."""
    unproven = {name: r for name, r in extraction.resources.items() if r.verdict != "proven"}
    if unproven and job.project.gates.require_proven:
        lines = "\n".join(f"{name}: {result.verdict}, {result.reason}" for name, result in unproven.items())
        raise GateError(
            f"snapshot {extraction.snapshot!r} is not proven complete:\n{lines}",
            hint="extract again, or set require_proven = false under [gates] in migrate.toml on purpose",
        )


@contextlib.contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 3)
