"""Opens what each stage needs and calls it; and the whole run, stage after stage, stopping where a gate fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from migrate.config import Project
from migrate.errors import GateError, MigrateError, UsageError
from migrate.load.loader import LoadResult, Options, load
from migrate.load.planned import DatasetToLoad, PlanToLoad, time_columns_of
from migrate.mapping.files import read_mappings
from migrate.plan.build import build_plan
from migrate.plan.document import GateFinding
from migrate.plan.opening import Plan, check_fresh, check_gates, open_plan
from migrate.plan.request import PlanRequest
from migrate.progress import Progress
from migrate.snapshot.reading import open_whole_snapshot
from migrate.source.client import SourceClient
from migrate.source.extract import Extraction, ExtractRequest, extract
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import resolve_resources
from migrate.source.since import resolve_since
from migrate.stages.verify import open_target, run_reconcile
from migrate.verify.reconcile import Reconciliation
from migrate.workspace import Workspace

Clock = Callable[[], datetime]
_NOTIFY_BUDGET_S = 30.0


@dataclass(frozen=True)
class Job:
    """What every stage is given: the project, its workspace, where to show progress, when to stop, the wall clock."""

    project: Project
    workspace: Workspace
    progress: Progress
    stop: threading.Event
    now: Clock
    force_unlock: bool = False


def run_extract(
    job: Job, resources: Sequence[str] = (), snapshot: str | None = None, *, since: str | None = None
) -> Extraction:
    """The extract of `resources` (all when none is named) into a new or unfinished snapshot.

    With `since`, a time or the name of a snapshot, only what is new or changed.
    """
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
        since=resolve_since(job.workspace, since, settings.project_id) if since else None,
    )
    with contextlib.closing(client):
        return extract(client, job.workspace, request, job.progress, job.stop, job.now)


def run_import(job: Job, folder: Path, resources: Sequence[str] = (), snapshot: str | None = None) -> Extraction:
    """A snapshot of files that were saved from the API earlier."""
    settings = job.project.datatrics
    chosen = resolve_resources(resources)
    request = ImportRequest(
        folder=folder,
        resources=chosen,
        named=tuple(dict.fromkeys(resources)),
        snapshot=snapshot,
        page_sizes={resource.name: settings.page_size_of(resource.name) for resource in chosen},
        project_id=settings.project_id,
        force_unlock=job.force_unlock,
    )
    return import_files(job.workspace, request, job.progress, job.stop, job.now)


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
    found = open_whole_snapshot(job.workspace, snapshot)
    with contextlib.ExitStack() as stack:
        client = None if offline else stack.enter_context(open_target(job))
        return build_plan(job.project, job.workspace, found, mappings, client, request, job.progress, job.stop, job.now)


def run_load(
    job: Job,
    datasets: Sequence[str] = (),
    *,
    name: str | None = None,
    confirm_merges: int | None = None,
    strict: bool = False,
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
    with open_target(job) as client:
        options = Options(force_unlock=job.force_unlock, strict=strict)
        return load(client, job.workspace, to_load, gates, job.progress, job.stop, options=options)


def send_summary(job: Job, summary: Mapping[str, object]) -> None:
    """Sends the summary to the webhook `notify`, where one is configured; that it fails is a note and no error."""
    webhook = job.project.octolis.webhooks.get("notify")
    if webhook is None:
        return
    settings = job.project.octolis.model_copy(update={"retry_budget_s": _NOTIFY_BUDGET_S})
    project = job.project.model_copy(update={"octolis": settings})
    with open_target(replace(job, project=project, stop=threading.Event())) as client:
        try:
            client.send_webhook(webhook, summary)
        except MigrateError as error:
            job.progress.note(f"the summary could not be sent to webhook notify: {error.what}")


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
                recipe_columns=frozenset((*document.mappings[dataset].recipe_columns, *counts.recipes)),
                records=plan.file(dataset, "records.parquet"),
                unchanged=plan.file(dataset, "unchanged.parquet"),
                rows=counts.create + counts.update + counts.unknown,
                batches=counts.batches,
                merge_forecast=counts.merge_forecast,
                several_keys=bool(document.mappings[dataset].alternative_keys),
                time_columns=_time_columns(plan, dataset),
                before=tuple(sorted((plan.folder / dataset).glob("before-*.parquet"))),
            )
            for dataset, counts in document.datasets.items()
            if not datasets or dataset in datasets
        ),
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


def _time_columns(plan: Plan, dataset: str) -> frozenset[str]:
    records = plan.file(dataset, "records.parquet")
    return time_columns_of(records, plan.document.mappings[dataset].stored_columns) if records.exists() else frozenset()


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
