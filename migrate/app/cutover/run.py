"""The night of the cut-over in one command: a delta since the last snapshot, its plan, the load, the count.

Every stage can be resumed. What was begun and how long each stage took is kept in `reports/NAME-cutover.json`.

How old the delta is that is gone on with is told: what changed after it was extracted is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from migrate.app.bases import BrokenBase, find_broken, refuse_broken_bases
from migrate.app.context import Context
from migrate.app.cutover.history import gather_known, open_chain
from migrate.app.cutover.loaded import (
    CutShort,
    choose_base,
    doubts_of,
    read_loaded,
    refuse_cut_short,
)
from migrate.app.cutover.timetable import Night, Stage, expect_night, planned_steps, reconcile_step
from migrate.app.pipeline import Run, run_extract, run_plan, run_stages
from migrate.app.status import Status, read_status
from migrate.demo.drift import Shares
from migrate.errors import Interrupted, TargetChanged, UsageError
from migrate.plan.open_plan import PLAN_FILE, Plan, open_plan
from migrate.wording import format_duration
from migrate.workspace import Workspace, check_name, new_name, write_json

STATE = "-cutover.json"
USUAL = Shares()
Show = Callable[["Cutover", Stage], None]
RESUMABLE = timedelta(hours=12)
"""A night is gone on with for so long; nobody keeps shops closed for longer without thinking again."""
TOLD_FROM = timedelta(hours=1)

if TYPE_CHECKING:
    from migrate.config import Project


@dataclass(frozen=True)
class CutoverRequest:
    """What is asked for; None: the base is what was loaded last, the name is by the time, the start is now.

    `shares` are expected where no delta tells how much changes.
    """

    since: str | None = None
    name: str | None = None
    start: datetime | None = None
    shares: Shares = USUAL
    confirm_merges: int | None = None


@dataclass(frozen=True)
class Cutover:
    """A night: its name, which is also that of its snapshot and plan, what it builds on, its timetable.

    `resources`: those of the base; `datasets`: those that were loaded, none for all. `doubts`: what to know
    before it begins; `cut_short`: datasets that were loaded in part, which keep it from beginning, as
    do `broken` ones, of which a load was undone. `before`: seconds
    that stages took in earlier calls; `delta`: what they extracted. `run`: what became of it so far.
    """

    name: str
    base: str
    resources: tuple[str, ...]
    datasets: tuple[str, ...]
    night: Night
    doubts: tuple[str, ...] = ()
    cut_short: Mapping[str, CutShort] = field(default_factory=dict)
    broken: tuple[BrokenBase, ...] = ()
    before: Mapping[str, float] = field(default_factory=dict)
    delta: Delta | None = None
    run: Run | None = field(default=None, compare=False)


def prepare_cutover(context: Context, request: CutoverRequest) -> Cutover:
    """The night with its forecast. Reads files only, writes nothing.

    Without a name, a night that is not over is taken up again, unless it was begun too long ago or its plan can never
    be loaded.

    **Raises**: UsageError, WorkspaceError where there is no snapshot to build on.
    """
    now = context.now()
    status = read_status(context.workspace)
    begun = _begun(context.workspace, request, status, now)
    name = check_name(
        request.name or begun.name or f"cutover-{new_name(now, lambda _: False)}", "cut-over"
    )
    loaded = read_loaded(context.workspace, status, name)
    base = request.since or begun.base or choose_base(context.workspace, loaded)
    known = gather_known(context.workspace, base, request.shares, now)
    night = expect_night(known, context.project, request.start or now.astimezone())
    delta = find_delta(status, name)
    old = delta.doubt(now) if delta else None
    snapshots = [snapshot.name for snapshot in open_chain(context.workspace, base)]
    datasets = tuple(loaded.snapshots)
    ids = context.project.octolis.datasets
    wanted = {dataset: ids[dataset] for dataset in datasets or ids if dataset in ids}
    broken = tuple(find_broken(context.workspace, snapshots, wanted))
    doubts = (
        *doubts_of(context.workspace, loaded, base),
        *([old] if old else []),
        *(
            f"{one.dataset}: {one.told}; the night does not begin before that is fixed"
            for one in broken
            if one.dataset not in loaded.cut_short
        ),
    )
    return Cutover(
        name,
        base,
        tuple(known.read),
        datasets,
        night,
        doubts,
        loaded.cut_short,
        broken,
        begun.stages,
        delta,
    )


def run_cutover(
    context: Context,
    cutover: Cutover,
    request: CutoverRequest,
    show: Show = lambda _cutover, _stage: None,
) -> Cutover:
    """The whole night; `show` is told after each stage. A gate that fails ends it after the stage that it judges.

    **Raises**: WorkspaceError where a dataset was loaded in part; UsageError where the delta is of long ago; what a
    stage raises; Interrupted with the command that goes on.
    """
    refuse_cut_short(cutover.cut_short)
    refuse_broken_bases(f"cut-over {cutover.name}", cutover.broken)
    refuse_old(cutover.delta, cutover.name, cutover.base, context.now())
    states = [cutover]
    # Before the first request: a night that is killed at once is gone on with all the same.
    _keep(context, cutover)

    def after(run: Run) -> None:
        # A stage that was interrupted has cost the time of all its calls.
        seconds = {
            stage: s + cutover.before.get(stage, 0.0) for stage, s in (run.seconds or {}).items()
        }
        stage, night = _tell(states[-1].night, run, seconds, context.project)
        states.append(replace(cutover, night=night, run=run))
        _keep(context, states[-1])
        show(states[-1], stage)

    try:
        run = run_stages(
            context,
            lambda: run_extract(context, cutover.resources, cutover.name, since=cutover.base),
            lambda snapshot: _plan(context, snapshot, cutover.datasets),
            confirm_merges=request.confirm_merges,
            after=after,
        )
    except Interrupted as error:
        raise Interrupted(error.what, hint=again(cutover)) from None
    return replace(states[-1], run=run)


def again(cutover: Cutover) -> str:
    """The command that goes on with this night, or begins another one where this one's delta or plan is of no use."""
    stopped = cutover.run.stopped if cutover.run is not None else None
    is_unproven = stopped is not None and cutover.run is not None and cutover.run.plan is None
    if is_unproven or isinstance(stopped, TargetChanged):
        name = "ANOTHER"
    else:
        name = cutover.name
    return f"migrate cutover --since {cutover.base} --name {name}"


def _plan(context: Context, snapshot: str, datasets: tuple[str, ...]) -> Plan:
    """The plan of the night's own name: a finished one, which was made before an interruption, or a new one."""
    if not (context.workspace.plans / snapshot / PLAN_FILE).is_file():
        return run_plan(context, datasets, snapshot=snapshot, name=snapshot)
    plan = open_plan(context.workspace, snapshot)
    if plan.document.snapshot.name != snapshot:
        raise UsageError(
            f"there is a plan {snapshot!r} already, made from snapshot {plan.document.snapshot.name!r}",
            hint="choose another --name",
        )
    return plan


def _tell(
    night: Night, run: Run, seconds: Mapping[str, float], project: Project
) -> tuple[Stage, Night]:
    """The stage that is over, and the timetable with what it took; a plan also tells what is to come."""
    if run.reconciliation:
        return "reconcile", night.done("reconcile", seconds["reconcile"], {})
    if run.loaded:
        parts = {name: dataset.seconds for name, dataset in run.loaded.datasets.items()}
        return "load", night.done("load", seconds["load"], parts)
    if run.plan:
        document = run.plan.document
        night = night.done("plan", seconds["plan"], {}).with_stage(
            "load", planned_steps(document, project)
        )
        return "plan", night.with_stage("reconcile", [reconcile_step(document, {}, project)])
    parts = {name: result.seconds for name, result in run.extraction.resources.items()}
    return "extract", night.done("extract", seconds["extract"], parts)


@dataclass(frozen=True)
class _Begun:
    """What is kept of a night that was begun, nothing where there is none to go on with."""

    name: str | None = None
    base: str | None = None
    stages: Mapping[str, float] = field(default_factory=dict)


def _begun(workspace: Workspace, request: CutoverRequest, status: Status, now: datetime) -> _Begun:
    """The night that the request goes on with: the one it names, else the newest unfinished one.

    One that is over, was begun too long ago, or has a plan that would be refused again is gone on with only by name.
    """
    nights = []
    useless = {plan.name for plan in status.plans if plan.standing.needs_new_plan}
    for file in workspace.reports.glob(f"*{STATE}"):
        try:
            state = json.loads(file.read_bytes())
            begun = datetime.fromisoformat(state["begun"])
            is_over = state["over"]
            night = _Begun(state["name"], state["base"], state["stages"])
        except (OSError, ValueError, KeyError):
            continue
        is_current = not is_over and now - begun < RESUMABLE and night.name not in useless
        named = request.name == night.name or (request.name is None and is_current)
        if named and request.since in (None, night.base):
            nights.append((begun, night))
    if nights:
        return max(nights, key=lambda one: one[0])[1]
    return _Begun()


def _keep(context: Context, cutover: Cutover) -> None:
    file = context.workspace.reports / f"{cutover.name}{STATE}"
    try:
        begun = json.loads(file.read_bytes())["begun"]
    except (OSError, ValueError, KeyError):
        begun = context.now().isoformat()
    steps = [asdict(step) for step in cutover.night.steps]
    state = {
        "name": cutover.name,
        "base": cutover.base,
        "begun": begun,
        "over": _is_over(cutover),
        "steps": steps,
    }
    write_json(file, {**state, "stages": {**cutover.before, **cutover.night.stages}})


def _is_over(cutover: Cutover) -> bool:
    """True when all was counted and nothing is left to send."""
    reconciliation = cutover.run.reconciliation if cutover.run else None
    return reconciliation is not None and reconciliation.is_finished


@dataclass(frozen=True)
class Delta:
    """What the night's delta is as old as, and whether anything of its plan was sent."""

    started: datetime
    was_sent: bool

    def doubt(self, now: datetime) -> str | None:
        """What to know where it is not from just now."""
        age = now - self.started
        if age < TOLD_FROM:
            return None
        begun = f"{self.started:%Y-%m-%d %H:%M} UTC"
        return (
            f"the delta is {format_age(age)} old, begun at {begun}: what changed since is not sent"
        )


def find_delta(status: Status, night: str) -> Delta | None:
    """The delta of the night of that name, None where it has none yet."""
    begun = [state.started for state in status.snapshots if state.name == night and state.started]
    if not begun:
        return None
    plans = [plan for plan in status.plans if plan.name == night]
    datasets = chain.from_iterable(plan.books.values() for plan in plans)
    was_sent = any(counts.was_sent for counts in datasets)
    return Delta(datetime.fromisoformat(begun[0]), was_sent)


def refuse_old(delta: Delta | None, night: str, base: str, now: datetime) -> None:
    """Nothing, unless the night would now load a delta of long ago for the first time. Raises UsageError."""
    if delta is None or delta.was_sent or now - delta.started <= RESUMABLE:
        return
    raise UsageError(
        f"the delta of night {night!r} is {format_age(now - delta.started)} old and nothing of it "
        "was loaded; what changed since would be missing",
        hint=f"migrate cutover --since {base} --name ANOTHER makes a new one; to load the old one on purpose: "
        f"migrate load --plan {night}",
    )


def format_age(age: timedelta) -> str:
    """An age; from two days on in days."""
    if age.days > 1:
        return f"{age.days} days"
    return format_duration(age.total_seconds())
