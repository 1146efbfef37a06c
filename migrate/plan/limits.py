"""What of the snapshot a plan is of, found out before its first row: a sample is drawn, a part is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import polars as pl

from migrate.errors import UsageError
from migrate.mapping.model import Mapping as DatasetMapping
from migrate.mapping.transform import Settings
from migrate.plan.document import PartOf, PlannedFile, SampleOf
from migrate.plan.request import Choice, PlanRequest, SampleAsked, first_dataset
from migrate.plan.sample import Drawn, HangingTogether
from migrate.plan.scope import (
    Inside,
    InsidePart,
    InsideSample,
    add_days,
    count_days,
    part_fields,
    words_of_whole,
    write_days,
    write_identities,
)
from migrate.snapshot.reading import Snapshot
from migrate.snapshot.union import has_field, state_of

Draw = Callable[[str, SampleAsked], Drawn]
"""Draws rows of a dataset of the whole snapshot."""


@dataclass(frozen=True)
class Limits:
    """What of a snapshot a plan is of, all None for all of it. `days`: of a part, the whole as `CELLS`."""

    scope: SampleOf | PartOf | None = None
    inside: Inside | None = None
    days: pl.DataFrame | None = None

    def write(self, plan_folder: Path) -> list[PlannedFile]:
        """Writes what a reader of the finished plan needs to tell the same."""
        if self.days is not None:
            return write_days(self.days, plan_folder)
        if isinstance(self.inside, InsideSample):
            return write_identities(self.inside.identities, plan_folder)
        return []


def limit_plan(  # called once, with what a plan is made of
    request: PlanRequest,
    choice: Choice,
    snapshot: Snapshot,
    mappings: Mapping[str, DatasetMapping],
    settings: Settings,
    draw: Draw,
) -> Limits:
    """The sample or the part that a plan is asked to be. `mappings`: those that are needed, looked-up datasets first.

    Of a delta it is one of all that the source held at the delta's time, whether the delta has changed it or not: a
    sample of changes alone would not hang together, and the target may lack what has not changed.

    **Raises** UsageError for a part that no record is of.
    """
    if request.scope is None:
        return Limits()
    snapshot = state_of(snapshot)
    if isinstance(request.scope, PartOf):
        parts = chain.from_iterable(mappings[name].parts for name in choice.ids)
        resources = sorted({str(part.resource) for part in parts})
        return _limit_to_part(request.scope, snapshot, resources, settings)
    first = first_dataset(request, choice)
    drawn = draw(first, request.scope)
    hanging = HangingTogether(snapshot, mappings, settings.source_aliases)
    scope = SampleOf(dataset=first, rows=drawn.rows, of=drawn.of, seed=request.scope.seed)
    return Limits(scope, hanging.gather(drawn.identities))


def _limit_to_part(
    part: PartOf, snapshot: Snapshot, resources: list[str], settings: Settings
) -> Limits:
    inside = InsidePart(part, settings)
    counted: list[pl.DataFrame] = []
    of_part = 0
    for name in resources:
        resource = snapshot.resources[name]
        fields = [field for field in part_fields(part) if has_field(resource, field)]
        for frame in resource.frames(fields, raw=False):
            counted.append(count_days(part, name, frame, settings))
            of_part += int(inside.of(name, frame).sum())
    days = add_days(counted)
    if not of_part:
        raise UsageError(
            f"no record of snapshot {snapshot.name!r} is of {part.told}", hint=words_of_whole(days)
        )
    return Limits(part, inside, days)
