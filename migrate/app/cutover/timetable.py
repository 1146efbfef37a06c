"""The night of the cut-over as a timetable: forecast step by step before it begins, with actual times as it goes. Pure.

Where a rate was measured it is taken, and said; what was never measured is assumed, and said too. The forecast is that
of the real night, however fast a sandbox may be told to run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from migrate.hours import DailyHours, SendingHours
from migrate.names import BATCH_ROWS
from migrate.plan.cost import forecast_cost
from migrate.source.page_tails import count_tails
from migrate.target.budget import forecast

if TYPE_CHECKING:
    from migrate.config import Datatrics, Project
    from migrate.plan.document import PlanDocument
    from migrate.snapshot.layout import ResourceResult

Stage = Literal["extract", "plan", "load", "reconcile"]
ASSUMED_LATENCY_S = 0.5
ASSUMED_PLAN_ROWS_PER_S = 20_000
ASSUMED_COUNT_S = 0.3
# As long as `reconcile` waits by default before it looks again.
SETTLE_S = 5.0
TRIED_REQUESTS = 4
"""The empty page at the end, and three that tell whether the server can sort."""
# So few say nothing of a pace.
_FEW_REQUESTS = 3


@dataclass(frozen=True)
class Step:
    """One line of the timetable; `basis` says where `forecast_s` comes from. `actual_s` is None until it is over."""

    stage: Stage
    part: str
    forecast_s: float
    basis: str
    actual_s: float | None = None


@dataclass(frozen=True)
class Night:
    """The timetable. Steps follow each other; `start` has a time zone.

    `stages`: how long each stage took as a whole, once it is over; more than its steps, by what lies between them.
    `quiet`: hours in which the load rests.
    """

    start: datetime
    steps: tuple[Step, ...]
    stages: Mapping[str, float]
    quiet: tuple[DailyHours, ...] = ()

    @property
    def forecast_s(self) -> float:
        """Seconds of work from the start to the end of the freeze, without those in which the load rests."""
        return sum(step.forecast_s for step in self.steps)

    @property
    def freeze_ends(self) -> datetime:
        """When the shops may be opened again, by the forecast."""
        return self.ends()[-1] if self.steps else self.start

    @property
    def actual_s(self) -> float | None:
        """Seconds that it took; None while it is not over."""
        if "reconcile" in self.stages:
            return sum(self.stages.values())
        return None

    def begins(self) -> list[datetime]:
        """When each step begins, by the forecast."""
        return [begins for begins, _ in self._times()]

    def ends(self) -> list[datetime]:
        """When each step ends, by the forecast."""
        return [ends for _, ends in self._times()]

    def _times(self) -> list[tuple[datetime, datetime]]:
        times = []
        now = self.start
        for step in self.steps:
            hours = SendingHours(quiet=self.quiet if step.stage == "load" else ())
            begins = hours.opens_at(now)
            now = hours.done_at(begins, step.forecast_s)
            times.append((begins, now))
        return times

    def with_stage(self, stage: Stage, steps: Sequence[Step]) -> Night:
        """The same with other steps for one stage."""
        before = [step for step in self.steps if _ORDER[step.stage] < _ORDER[stage]]
        after = [step for step in self.steps if _ORDER[step.stage] > _ORDER[stage]]
        return replace(self, steps=(*before, *steps, *after))

    def done(self, stage: Stage, seconds: float, parts: Mapping[str, float]) -> Night:
        """The same with what a stage took, and what its parts took of it; the only part took all of it."""
        steps = [step for step in self.steps if step.stage == stage]
        known = parts or ({steps[0].part: seconds} if len(steps) == 1 else {})
        filled = [
            replace(step, actual_s=known.get(step.part, 0.0 if known else None)) for step in steps
        ]
        return replace(self.with_stage(stage, filled), stages={**self.stages, stage: seconds})


_ORDER: dict[Stage, int] = {"extract": 0, "plan": 1, "load": 2, "reconcile": 3}


@dataclass(frozen=True)
class CutoverHistory:
    """What is known before the night.

    `read`: of each resource what its last whole reading found, `snapshot` the name it has. `changes`: records of each
    resource that are new or changed, as `told` says. `planned`: the last plan, and the seconds it took, where known.
    """

    snapshot: str
    read: Mapping[str, ResourceResult]
    changes: Mapping[str, int]
    told: str
    planned: PlanDocument | None = None
    plan_s: float | None = None


def expect_night(known: CutoverHistory, project: Project, start: datetime) -> Night:
    """The forecast of the whole night."""
    steps = [
        extract_step(name, result, project.datatrics, known.snapshot)
        for name, result in known.read.items()
    ]
    steps.append(plan_step(known))
    steps += load_steps(expected_batches(known), project, known.told)
    steps.append(reconcile_step(known.planned, known.read, project))
    return Night(start, tuple(steps), {}, project.octolis.quiet_hours)


def extract_step(name: str, result: ResourceResult, settings: Datatrics, snapshot: str) -> Step:
    """Reading the whole list and the ends of its pages, after it was tried newest first: the most that it takes."""
    pages = max(math.ceil(result.distinct / settings.page_size_of(name)), 1)
    requests = pages + count_tails(pages) + TRIED_REQUESTS
    rate, how = read_rate(result, settings, snapshot)
    return Step(
        "extract", name, requests / rate, f"up to {requests:,} requests, {rate:.1f}/s {how}"
    )


def read_rate(result: ResourceResult, settings: Datatrics, snapshot: str) -> tuple[float, str]:
    """Requests a second, and where the number comes from; never more than the project file allows."""
    if result.requests >= _FEW_REQUESTS and result.seconds > 0:
        measured = result.requests / result.seconds
        if measured < settings.requests_per_second:
            return measured, f"as in {snapshot}"
        return settings.requests_per_second, "as allowed"
    assumed = min(settings.concurrency / ASSUMED_LATENCY_S, settings.requests_per_second)
    return assumed, "assumed"


def plan_step(known: CutoverHistory) -> Step:
    """Mapping every record and reading the target, at the pace of the last plan."""
    rows = sum(result.distinct for result in known.read.values())
    if known.planned is None or not known.plan_s:
        seconds = rows / ASSUMED_PLAN_ROWS_PER_S
        return Step("plan", "", seconds, f"{rows:,} records, {ASSUMED_PLAN_ROWS_PER_S:,}/s assumed")
    rows = sum(dataset.read for dataset in known.planned.datasets.values())
    return Step(
        "plan", "", known.plan_s, f"{rows:,} rows, {rows / known.plan_s:,.0f}/s as last time"
    )


def expected_batches(known: CutoverHistory) -> dict[str, int]:
    """By dataset the requests that the changes make: rows in the proportion in which the last plan had them."""
    if known.planned is None:
        return {name: math.ceil(changes / BATCH_ROWS) for name, changes in known.changes.items()}
    batches = {}
    for name, dataset in known.planned.datasets.items():
        made_of = [used.resource for used in known.planned.mappings[name].files]
        records = sum(known.read[one].distinct for one in made_of if one in known.read)
        changes = sum(known.changes.get(one, 0) for one in made_of if one in known.read)
        share = changes / records if records else 0.0
        batches[name] = math.ceil(dataset.planned * share / BATCH_ROWS)
    return batches


def load_steps(batches: Mapping[str, int], project: Project, reason: str) -> list[Step]:
    """Sending at the target's documented limits, one dataset after another, simulated request by request."""
    keys = max(1, len(project.secrets.octolis))
    ends = {
        stretch.dataset: stretch.ends[keys] for stretch in forecast_cost(batches, project).timeline
    }
    steps = []
    before = 0.0
    for name, number in batches.items():
        # A dataset without a request has no stretch, and takes no time.
        end_s = ends.get(name, before / 60) * 60
        steps.append(
            Step(
                "load",
                name,
                end_s - before,
                f"{number:,} request{'' if number == 1 else 's'}, {reason}",
            )
        )
        before = end_s
    return steps


def planned_steps(plan: PlanDocument, project: Project) -> list[Step]:
    """The load as the night's own plan has it."""
    return load_steps(
        {name: dataset.batches for name, dataset in plan.datasets.items()}, project, "as planned"
    )


def reconcile_step(plan: PlanDocument | None, read: Mapping[str, Any], project: Project) -> Step:
    """Counting each dataset and each source in it, one after another, until the counts rest."""
    if plan:
        counts = sum(1 + len(dataset.by_source) for dataset in plan.datasets.values())
    else:
        counts = 4 * len(read)
    keys = max(1, len(project.secrets.octolis))
    budget_s = forecast(0, counts, keys, account_share=project.octolis.account_share)
    seconds = max(budget_s, counts * ASSUMED_COUNT_S) + SETTLE_S
    return Step("reconcile", "", seconds, f"{counts:,} counts, {SETTLE_S:g} s to rest")
