"""Opens what each stage needs and calls it; and the whole run, stage after stage, stopping where a gate fails."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.errors import CanaryUnseen, GateError, Interrupted, MigrateError
from migrate.hours import SendingHours
from migrate.sentence import Sentence

# A stage's modules are imported when the stage begins, so that no command waits for those of another one.
if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.config import Project
    from migrate.load.loader import LoadResult
    from migrate.mapping.model import Mapping as DatasetMapping
    from migrate.plan.document import GateFinding, PartOf
    from migrate.plan.open_plan import Plan
    from migrate.plan.request import SampleAsked
    from migrate.snapshot.reading import Snapshot
    from migrate.source.extract import Extraction
    from migrate.verify.reconcile import Reconciliation


def run_extract(
    context: Context,
    resources: Sequence[str] = (),
    snapshot: str | None = None,
    *,
    since: str | None = None,
    only_source: str | None = None,
) -> Extraction:
    """The extract of `resources` (all when none is named) into a new or unfinished snapshot.

    With `since`, a time or the name of a snapshot, only what is new or changed; with `only_source`
    only profiles of that source.
    """
    from migrate.source.client import SourceClient
    from migrate.source.extract import ExtractRequest, extract
    from migrate.source.resources import resolve_resources
    from migrate.source.since import resolve_since

    settings = context.project.datatrics
    chosen = resolve_resources(resources)
    # what is read newest first cannot be proven: only where nobody asks for proof
    quick = not context.project.gates.require_proven
    client = SourceClient(
        settings,
        context.project.secrets.datatrics_key(),
        stop=context.stop,
        note=context.progress.note,
    )
    request = ExtractRequest(
        resources=chosen,
        snapshot=snapshot,
        page_sizes={resource.name: settings.page_size_of(resource.name) for resource in chosen},
        project_id=settings.project_id,
        base_url=settings.base_url,
        concurrency=settings.concurrency,
        force_unlock=context.force_unlock,
        since=resolve_since(context.workspace, since, settings.project_id, newest_first=quick)
        if since
        else None,
        only_source=only_source,
    )
    with contextlib.closing(client):
        return extract(
            client, context.workspace, request, context.progress, context.stop, context.now
        )


def run_import(
    context: Context,
    folder: Path,
    resources: Sequence[str] = (),
    snapshot: str | None = None,
    *,
    expect: Mapping[str, int] | None = None,
    encoding: str | None = None,
) -> Extraction:
    """A snapshot of files that were saved from the API earlier.

    `expect`: how many records there are, as whoever runs this vouches for.
    """
    from migrate.load.ledger_notes import this_process
    from migrate.source.import_files import ImportRequest, import_files
    from migrate.source.resources import resolve_resources

    settings = context.project.datatrics
    chosen = resolve_resources(resources)
    request = ImportRequest(
        folder=folder,
        resources=chosen,
        named=tuple(dict.fromkeys(resources)),
        snapshot=snapshot,
        page_sizes={resource.name: settings.page_size_of(resource.name) for resource in chosen},
        project_id=settings.project_id,
        force_unlock=context.force_unlock,
        encoding=encoding,
        expect=expect or {},
        vouched_by=this_process(context.workspace.ledger).who,
    )
    return import_files(context.workspace, request, context.progress, context.stop, context.now)


def run_plan(
    context: Context,
    datasets: Sequence[str] = (),
    *,
    snapshot: str | None = None,
    base: str | None = None,
    name: str | None = None,
    offline: bool = False,
    scope: SampleAsked | PartOf | None = None,
    target: str | None = None,
) -> Plan:
    """A new plan, made from the snapshot, the mappings and, unless `offline`, the live target.

    `scope`: a sample or a part of the snapshot; None for all of it. `target`: another set of datasets of the project.

    A delta is planned as the union with the snapshot it was made since, or with `base` where it was made since a time.
    Of it only what has changed is sent; of a sample or a part of it all that the target lacks.

    **Raises**: UsageError where the ledger has another plan under this name.
    """
    from migrate.app.bases import chain_of, check_bases
    from migrate.app.corrections import corrections_for
    from migrate.app.discards import adopt_old_discards, read_discards
    from migrate.app.other_projects import look_up_others, masterids_of_others
    from migrate.app.shipments import find_shipments
    from migrate.app.standing import note_older, note_planned, read_seen, refuse_loaded
    from migrate.app.target_client import open_target
    from migrate.mapping.files import read_mappings
    from migrate.plan.build import build_plan
    from migrate.plan.request import PlanRequest
    from migrate.snapshot.corrected import corrected_snapshot
    from migrate.snapshot.corrections import corrected_raw
    from migrate.snapshot.union import open_to_plan

    context = replace(context, project=context.project.for_target(target))
    refuse_loaded(context.workspace, name)
    project, workspace = context.project, context.workspace
    mappings = read_mappings(project.mappings)
    sent = find_shipments(project, workspace)
    adopt_old_discards(workspace)
    opened = open_to_plan(workspace, snapshot, base)
    corrections = corrections_for(workspace, opened)
    ids = project.octolis.datasets
    request = PlanRequest(
        name=name,
        datasets=tuple(datasets) or None,
        offline=offline,
        sent=sent,
        discarded=read_discards(workspace),
        scope=scope,
        corrections=corrections,
        theirs={id_: masterids_of_others(project, id_) for id_ in ids.values()},
        foreign=look_up_others(project, mappings, _planned_of(project, mappings, datasets)),
    )
    # Before the target is read, which may take minutes.
    _refuse_wrong_mappings(project, mappings, opened)
    # A sample or a part sends all that it is of, and takes nothing for granted.
    if opened.base is not None and scope is None:
        wanted = {name: ids[name] for name in datasets or ids if name in ids}
        check_bases(workspace, f"delta {opened.name}", chain_of(opened), wanted)
    seen = read_seen(workspace)
    with contextlib.ExitStack() as stack:
        client = None if offline else stack.enter_context(open_target(context))
        plan = build_plan(
            project,
            workspace,
            corrected_snapshot(opened, corrections, corrected_raw),
            mappings,
            client,
            request,
            context.progress,
            context.stop,
            context.now,
        )
    note_planned(workspace, plan, seen)
    note_older(workspace, plan, seen, context.progress.note)
    return plan


def _planned_of(
    project: Project, mappings: Mapping[str, DatasetMapping], datasets: Sequence[str]
) -> list[str]:
    """The datasets that a plan is of: those that are asked for, or all that the project names."""
    known = {*project.octolis.datasets, *project.octolis.webhooks}
    return [name for name in datasets or known if name in mappings]


def _refuse_wrong_mappings(
    project: Project, mappings: Mapping[str, DatasetMapping], opened: Snapshot
) -> None:
    """Raises where the snapshot contradicts a mapping, or where an example in a mapping comes out otherwise."""
    from migrate.mapping.examples import refuse_failing
    from migrate.mapping.model import parts_of
    from migrate.mapping.transform import Settings
    from migrate.mapping.trial import refuse_contradicted

    parts = parts_of(mappings.values())
    refuse_contradicted(parts, opened.rows_of)
    datatrics = project.datatrics
    settings = Settings(
        datatrics.timezones,
        datatrics.source_aliases,
        project.octolis.float_digits,
        datatrics.project_id,
    )
    refuse_failing(parts, settings, opened.rows_of)


def run_load(
    context: Context,
    datasets: Sequence[str] = (),
    *,
    name: str | None = None,
    confirm_merges: int | None = None,
    strict: bool = False,
    canary: int | None = None,
    hours: SendingHours | None = None,
    again: str = "",
) -> LoadResult:
    """The plan's batches, sent; what an earlier call has sent is not sent again.

    `canary`: the records of a dataset that go first, where it needs any; None: as many as the gate says. `hours`:
    when it may send; None: always but in the project's quiet hours. `again`: what the command that goes on is given.

    **Raises**: Interrupted when its hours are over, after what was in flight has ended; Stale when an input of the plan
    has changed, or when it is overtaken or undone; GateError when the plan breaks a gate.
    """
    from migrate.app.discards import check_discards
    from migrate.app.hours import HourStop, stopped_for_hours, wait_for_hours
    from migrate.app.other_projects import refuse_collisions, written_by_others
    from migrate.app.plan_to_load import plan_to_load
    from migrate.app.remake import check_loadable
    from migrate.app.standing import note_loaded, note_loading
    from migrate.app.target_client import open_target
    from migrate.app.webhooks import telling_progress
    from migrate.load.loader import Options, load
    from migrate.plan.open_plan import check_fresh, check_gates, open_plan

    plan = open_plan(context.workspace, name)
    context = replace(context, project=context.project.for_target(plan.document.target))
    hours = hours or SendingHours(quiet=context.project.octolis.quiet_hours)
    command = f"migrate load --plan {plan.name}{again}"

    def check() -> None:
        check_loadable(context.workspace, plan)
        check_fresh(plan, context.project, context.workspace)
        check_discards(context.workspace, plan)
        refuse_collisions(context.project, plan)

    check()
    # Hours may have passed: what held before the wait need not hold any more.
    if wait_for_hours(context, hours, command):
        check()
    stop = HourStop(context.stop, hours, context.now)
    gates = context.project.gates
    accepted = max(gates.max_merges, confirm_merges or 0)
    refuse_broken(plan, check_gates(plan, gates.model_copy(update={"max_merges": accepted})))
    to_load = plan_to_load(plan, context.project.octolis, datasets)
    if confirm_merges is None:
        confirmed = {}
    else:
        confirmed = {"confirm_merges": confirm_merges}
    note_loading(context.workspace, plan, confirmed)
    with open_target(replace(context, stop=stop)) as client:
        first = gates.canary if canary is None else canary
        options = Options(
            force_unlock=context.force_unlock,
            strict=strict,
            canary=first,
            confirmed_merges=confirm_merges or 0,
            others=written_by_others(context.project),
        )
        workspace, progress = context.workspace, context.progress
        try:
            with telling_progress(context, "load", plan.name):
                result = load(client, workspace, to_load, gates, progress, stop, options=options)
        except Interrupted:
            if context.stop.is_set() or not stop.is_over():
                raise
            raise stopped_for_hours(plan.name, hours, context.now(), command) from None
    note_loaded(context.workspace, plan)
    return result


def refuse_broken(plan: Plan, findings: Sequence[GateFinding]) -> None:
    """Nothing, when no gate is broken. Raises GateError naming each one that is."""
    broken = [finding for finding in findings if finding.verdict == "broken"]
    if broken:
        head = Sentence("plan {plan} is stopped by a safety gate", plan=repr(plan.name))
        raise GateError(
            f"{head}:\n" + "\n".join(f"{finding.gate}: {finding.text}" for finding in broken),
            hint="look at the plan; then fix the cause, or raise the limit under [gates] in migrate.toml on purpose",
            said=[head],
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


def run_all(context: Context, *, fresh: bool = False) -> Run:
    """Extract, plan, load, reconcile. A gate that fails ends the run after the stage that it judges.

    A proven snapshot of a run that was stopped is used again while it is young, unless `fresh` asks for a new one.
    """
    from migrate.app.reuse import reusable_extraction

    def extracting() -> Extraction:
        known = None if fresh else reusable_extraction(context)
        return run_extract(context) if known is None else known

    return run_stages(context, extracting, lambda snapshot: run_plan(context, snapshot=snapshot))


def run_stages(
    context: Context,
    extracting: Callable[[], Extraction],
    planning: Callable[[str], Plan],
    *,
    confirm_merges: int | None = None,
    after: Callable[[Run], None] = lambda _run: None,
) -> Run:
    """A run with a way of its own to extract and to plan; `after` is told what stands after each stage."""
    from migrate.app.reconcile import run_reconcile, wait_for_earlier, wait_for_preparation
    from migrate.app.target_client import sleeper

    seconds: dict[str, float] = {}
    with _timed("extract", seconds):
        extraction = extracting()
    run = Run(extraction, seconds=seconds)
    after(run)
    try:
        refuse_unproven(context, extraction)
        with _timed("plan", seconds):
            wait_for_earlier(context)
            plan = planning(extraction.snapshot)
        run = replace(run, plan=plan)
        after(run)
        with _timed("load", seconds):
            loaded = _load_patiently(context, plan.name, confirm_merges)
    except GateError as stopped:
        return replace(run, stopped=stopped)
    run = replace(run, loaded=loaded)
    after(run)
    with _timed("reconcile", seconds):
        reconciliation = wait_for_preparation(
            partial(run_reconcile, context, plan.name),
            context.now,
            sleeper(context),
            context.progress.note,
        )
    run = replace(run, reconciliation=reconciliation)
    after(run)
    return run


def _load_patiently(context: Context, name: str, confirm_merges: int | None) -> LoadResult:
    """A load that goes on as soon as the target shows the canary; it counts as prepared after `settle_minutes`."""
    settled_at = context.now() + timedelta(minutes=context.project.octolis.settle_minutes)
    while True:
        try:
            return run_load(context, name=name, confirm_merges=confirm_merges)
        except CanaryUnseen as unseen:
            if context.now() >= settled_at:
                raise
            left = (settled_at - context.now()).total_seconds() / 60
            context.progress.note(
                f"{unseen.what}; waiting {left:.0f} min more at most ([octolis] settle_minutes)"
            )


def refuse_unproven(context: Context, extraction: Extraction) -> None:
    """Raises GateError where an extract is not proven, unless the gate is open."""
    from migrate.snapshot.layout import advise

    unproven = {name: r for name, r in extraction.resources.items() if r.verdict != "proven"}
    if unproven and context.project.gates.require_proven:
        lines = "\n".join(
            f"{name}: {result.verdict}, {result.reason}" for name, result in unproven.items()
        )
        head = Sentence("snapshot {name} is not proven complete", name=repr(extraction.snapshot))
        raise GateError(
            f"{head}:\n{lines}",
            said=[head],
            hint="; ".join(chain.from_iterable(advise(*resource) for resource in unproven.items()))
            + "; or set require_proven = false under [gates] on purpose",
        )


@contextlib.contextmanager
def _timed(stage: str, seconds: dict[str, float]) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[stage] = round(time.monotonic() - started, 3)
