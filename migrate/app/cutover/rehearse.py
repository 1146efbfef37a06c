"""The night of the cut-over rehearsed: the user's own records and mappings, a made-up delta, and the sandbox.

Neither service is asked anything: the project that the rehearsal runs with has the sandbox's addresses and keys only.
What it writes holds personal data as the workspace does, stands in `rehearsal/` of the workspace, and goes at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from migrate.app.context import Context
from migrate.app.cutover.run import Cutover, CutoverRequest, Show, prepare_cutover, run_cutover
from migrate.app.cutover.timetable import read_rate
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.rehearsal import SandboxProcess, sandbox_process
from migrate.app.rehearsal_memory import forecast_need, read_memory, refuse_too_large
from migrate.config import Gates, Project
from migrate.demo.drift import Drift, DriftFields, Row, Shares, make_drift, pick_fields
from migrate.demo.feed import SandboxSource
from migrate.errors import Interrupted
from migrate.mapping.fields import sql_names
from migrate.mapping.files import read_mappings
from migrate.mapping.model import parts_of
from migrate.privacy.own import forget_rehearsal, mark_rehearsal
from migrate.privacy.secrets import Secrets
from migrate.snapshot.union import open_living
from migrate.source.resources import RESOURCES
from migrate.workspace import Workspace, new_name

if TYPE_CHECKING:
    from migrate.mapping.model import Mapping as Rules
    from migrate.snapshot.reading import Snapshot, SnapshotResource

_FAST = 1000.0
# Fixed, so that a rehearsal that went wrong can be given again.
_SEED = 7
_SHARES = (
    "rejected",
    "collapsed",
    "placeholder",
    "updates",
    "missing",
    "unequal",
    "errors",
    "target_change",
)
_OPEN = Gates.model_validate(
    {
        **{f"max_{name}": "100%" for name in _SHARES},
        "max_merges": 1_000_000_000,
        "require_proven": False,
    }
)
"""No gate stops what was loaded before the night; those of the project are for the night."""


@dataclass(frozen=True)
class RehearsedCutover:
    """A rehearsed night, with the records made up for it by resource: changed, new, gone."""

    cutover: Cutover
    made_up: Mapping[str, tuple[int, int, int]]
    base: str


@contextlib.contextmanager
def rehearse_cutover(
    context: Context, request: CutoverRequest, *, speed: float, show: Show
) -> Iterator[RehearsedCutover]:
    """The whole night against the sandbox, over when the block begins; its files are gone when the block ends.

    The sandbox is first brought to where the night begins: its source holds the snapshot, its target what the mappings
    make of it. `speed` shortens the windows of the target's limits and quickens the source likewise.

    **Raises**: whatever a stage raises; UsageError where this machine clearly has too little memory; Locked where
    another rehearsal is at work in the workspace.
    """
    name = request.name or f"rehearsal-{new_name(context.now(), lambda _: False)}"
    forecast = prepare_cutover(context, replace(request, name=name))
    snapshot = open_living(context.workspace, forecast.base)
    _check_memory(context, snapshot, forecast.datasets)
    with _room(context.workspace) as folder:
        try:
            done = _rehearse(context, forecast, request, snapshot, folder, speed, show)
        except Interrupted:
            what = "the rehearsal was stopped; neither service was asked anything, and nothing of it is left"
            raise Interrupted(what, hint="migrate cutover --rehearse") from None
        yield done


def _check_memory(context: Context, snapshot: Snapshot, datasets: Collection[str]) -> None:
    """Says what it will take. Raises UsageError where this machine clearly has too little."""
    known = context.project.octolis.datasets
    planned = {
        name: rules
        for name, rules in read_mappings(context.project.mappings).items()
        if name in known
    }
    need = forecast_need(
        snapshot, [rules for name, rules in planned.items() if not datasets or name in datasets]
    )
    memory = read_memory()
    refuse_too_large(need, memory)
    context.progress.note(need.told(memory))


def _rehearse(  # what the night is made of
    context: Context,
    forecast: Cutover,
    request: CutoverRequest,
    snapshot: Snapshot,
    folder: Path,
    speed: float,
    show: Show,
) -> RehearsedCutover:
    store = (
        "--db",
        str(folder / "sandbox.sqlite"),
        "--project-id",
        context.project.datatrics.project_id,
    )
    keys = max(1, len(context.project.secrets.octolis))
    with sandbox_process(
        context.project.mappings, _FAST, *store, "--limits", "off", keys=keys
    ) as sandbox:
        theirs = _sandbox_job(context, sandbox, folder, _OPEN)
        made_up = _bring_up(theirs, sandbox, snapshot, forecast, request.shares)
    with sandbox_process(context.project.mappings, speed, *store, keys=keys) as sandbox:
        pace = _pace(context.project, snapshot) * speed
        theirs = _sandbox_job(
            context, sandbox, folder, context.project.gates, speed=speed, pace=pace
        )
        show(forecast, "extract")
        return RehearsedCutover(_run(theirs, forecast, request, show), made_up, forecast.base)


def _run(context: Context, forecast: Cutover, request: CutoverRequest, show: Show) -> Cutover:
    """The night, told as one on the user's own snapshot."""

    def as_forecast(cutover: Cutover) -> Cutover:
        return replace(cutover, doubts=forecast.doubts)

    # in the sandbox every dataset was loaded to the end
    night = replace(forecast, cut_short={})
    done = as_forecast(
        run_cutover(
            context, night, request, lambda cutover, stage: show(as_forecast(cutover), stage)
        )
    )
    if done.run is None or done.run.loaded is None:
        return done
    # Files that are gone in a moment are not named to a reader.
    return replace(done, run=replace(done.run, loaded=replace(done.run.loaded, exports=None)))


@contextlib.contextmanager
def _room(workspace: Workspace) -> Iterator[Path]:
    """An empty folder that nobody else uses and that is gone afterwards, also what a killed rehearsal left."""
    with workspace.lock(workspace.root / ".rehearsal.lock", "a rehearsal"):
        try:
            yield mark_rehearsal(workspace.root)
        finally:
            forget_rehearsal(workspace.root)


def _pace(project: Project, snapshot: Snapshot) -> float:
    """Requests a second as the real source answered them, over all resources; where it was not measured, as assumed."""
    results = [resource.result for resource in snapshot.resources.values()]
    every = replace(
        results[0],
        requests=sum(one.requests for one in results),
        seconds=sum(one.seconds for one in results),
    )
    return read_rate(every, project.datatrics, snapshot.name)[0]


def _sandbox_job(
    context: Context,
    sandbox: SandboxProcess,
    folder: Path,
    gates: Gates,
    *,
    speed: float = _FAST,
    pace: float = _FAST,
) -> Context:
    """The user's project with the sandbox in place of both services, and a workspace of its own."""
    theirs = context.project
    source = {"base_url": sandbox.datatrics, "requests_per_second": pace}
    target = {
        "base_url": sandbox.octolis,
        "limit_speed": speed,
        "datasets": {n: n for n in theirs.octolis.datasets},
    }
    project = theirs.model_copy(
        update={
            "workspace": folder / "migration",
            "snapshots": None,
            "datatrics": theirs.datatrics.model_copy(update=source),
            "octolis": theirs.octolis.model_copy(update=target),
            "gates": gates,
            "secrets": Secrets(
                datatrics=SecretStr(sandbox.datatrics_key),
                octolis=tuple(map(SecretStr, sandbox.octolis_keys.split(","))),
            ),
        }
    )
    workspace = Workspace(project.workspace)
    workspace.create()
    return replace(context, project=project, workspace=workspace)


def _bring_up(
    context: Context, sandbox: SandboxProcess, snapshot: Snapshot, night: Cutover, shares: Shares
) -> dict[str, tuple[int, int, int]]:
    """Records made up: the source holds the snapshot, the target was loaded with it, and then the shops went on."""
    mappings = read_mappings(context.project.mappings)
    source = SandboxSource(
        sandbox.url,
        context.project.datatrics.project_id,
        key=SecretStr(sandbox.datatrics_key),
        control_token=SecretStr(sandbox.control_token),
    )
    with contextlib.closing(source):
        for name, resource in snapshot.resources.items():
            _plant(context, source, name, resource)
        # By the names that the night goes by, since its report shows them.
        run_extract(context, list(snapshot.resources), night.base)
        plan = run_plan(context, night.datasets, snapshot=night.base, name=night.base)
        run_load(context, name=plan.name)
        return {
            name: _go_on(context, source, name, resource, fields_of(name, mappings), shares)
            for name, resource in snapshot.resources.items()
        }


def _plant(context: Context, source: SandboxSource, name: str, resource: SnapshotResource) -> None:
    task = f"rehearsal: {name}"
    context.progress.begin(task, total=resource.rows, unit="records")
    for frame in resource.frames([]):
        context.progress.advance(task, source.plant(name, (raw.encode() for raw in frame["_raw"])))
        if context.stop.is_set():
            raise Interrupted("stopped before the night began")
    context.progress.end(task)


def _go_on(
    context: Context,
    source: SandboxSource,
    name: str,
    resource: SnapshotResource,
    fields: DriftFields,
    shares: Shares,
) -> tuple[int, int, int]:
    drift = make_drift(_rows(resource), resource.rows, fields, shares, context.now(), _SEED)
    source.plant(name, drift.changed + drift.new)
    about = RESOURCES[name]
    for from_source, id_ in drift.gone:
        source.delete(about.path, dict(about.query), from_source, id_)
    return _counts(drift)


def _counts(drift: Drift) -> tuple[int, int, int]:
    return len(drift.changed), len(drift.new), len(drift.gone)


def _rows(resource: SnapshotResource) -> Iterable[Row]:
    for frame in resource.frames([]):
        yield from frame.select("_source", "_id", "_raw").iter_rows()


def fields_of(resource: str, mappings: Mapping[str, Rules]) -> DriftFields:
    """Which fields of a resource may change so that the mappings see it, and keep every row where it belongs."""
    columns: set[str] = set()
    unique: set[str] = set()
    fixed = {"source", "id", *RESOURCES[resource].fields.source}
    for mapping in parts_of(mappings.values()):
        if mapping.resource != resource:
            continue
        for name, column in mapping.columns.items():
            (unique if name in mapping.key else columns).update(
                (*column.fields, *sql_names(column.sql))
            )
        lookups = mapping.lookups.values()
        looked_up = set(chain.from_iterable((one.source, *one.ids) for one in lookups))
        fixed |= (
            looked_up
            | set(sql_names(mapping.where))
            | set(mapping.collapse.order_by)
            | {mapping.each or ""}
        )
    return pick_fields(RESOURCES[resource].fields.id, columns, fixed, unique - fixed)
