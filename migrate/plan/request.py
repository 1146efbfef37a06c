"""What is asked for, and which datasets that means."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from itertools import chain

import polars as pl

from migrate.config import Project
from migrate.errors import ConfigError, UsageError
from migrate.mapping.model import Mapping
from migrate.plan.corrections import NO_CORRECTIONS
from migrate.plan.document import OtherPlanUsed, PartOf, SampleOf
from migrate.plan.set_aside import NO_DISCARDS
from migrate.plan.shipments import Shipments, nothing_sent
from migrate.sentence import Sentence


@dataclass(frozen=True)
class OtherRows:
    """What look-ups in other projects find: by mapping file and look-up, and the plans that have the rows."""

    found: Dict[tuple[str, str], pl.DataFrame] = field(default_factory=dict)
    plans: tuple[OtherPlanUsed, ...] = ()


@dataclass(frozen=True)
class PlanRequest:
    """A plan to make: its name (None: by the time), its datasets (None: all that have an id), offline or not.

    `sent`: what earlier loads have sent, the proof of a recipe of the target. `scope`: what of the snapshot; None: all.
    `theirs`: by dataset id the masterids of what other projects have loaded.
    `foreign`: what look-ups in other projects find.
    `corrections`: the right values that the snapshot is given with, and what became of each, as PLANNED.
    """

    name: str | None = None
    datasets: tuple[str, ...] | None = None
    offline: bool = False
    sent: Shipments = nothing_sent
    discarded: pl.DataFrame = field(default_factory=lambda: NO_DISCARDS)
    scope: SampleAsked | PartOf | None = None
    corrections: pl.DataFrame = field(default_factory=lambda: NO_CORRECTIONS)
    theirs: Dict[str, frozenset[str]] = field(default_factory=dict)
    foreign: OtherRows = field(default_factory=OtherRows)


@dataclass(frozen=True)
class SampleAsked:
    """So many rows of the first dataset, drawn by `seed`, with all that hangs together with them."""

    rows: int
    seed: int = 0


def first_dataset(request: PlanRequest, choice: Choice) -> str:
    """The dataset that a sample is drawn of: the first that is named, else the contacts, else the first there is."""
    if request.datasets:
        return request.datasets[0]
    # Orders, interactions and consents hang on a person, so contacts bring most of the rest along.
    if "contacts" in choice.ids:
        return "contacts"
    return next(iter(choice.ids))


def scope_again(scope: SampleOf | PartOf | None) -> SampleAsked | PartOf | None:
    """What to ask for to have a finished plan's scope again."""
    if isinstance(scope, SampleOf):
        return SampleAsked(scope.rows, scope.seed)
    return scope


def scope_options(scope: SampleAsked | SampleOf | PartOf | None) -> list[str]:
    """The words of a command line that ask for the same again."""
    if scope is None:
        return []
    if isinstance(scope, SampleAsked | SampleOf):
        return ["--sample", str(scope.rows), *(["--seed", str(scope.seed)] if scope.seed else [])]
    words = list(chain.from_iterable(("--source", shlex.quote(source)) for source in scope.sources))
    words += ["--from", str(scope.first_day)] if scope.first_day else []
    words += ["--until", str(scope.last_day)] if scope.last_day else []
    return [*words, *(["--field", scope.field] if scope.field != "created" else [])]


def target_options(target: str | None) -> list[str]:
    """The words of a command line that name a target; none for that of [octolis]."""
    return ["--target", target] if target else []


def looked_up_by(dataset: str, mappings: Dict[str, Mapping]) -> set[str]:
    """A dataset and all that it looks up, directly or through others."""
    return _closure({dataset}, mappings)


@dataclass(frozen=True)
class Choice:
    """`ids`: the datasets to plan, in the mappings' order, with their Octolis ids; of `feeds` that of their webhook.

    `needed`: those and what they look up. `skipped`: mappings that are not planned, and why.
    """

    ids: dict[str, str]
    needed: frozenset[str]
    skipped: dict[str, str]
    feeds: frozenset[str] = frozenset()


def words_again(request: PlanRequest, snapshot: str, target: str | None) -> str:
    """The command that asks for the same plan again, but for its name."""
    words = ["migrate plan", *(request.datasets or ()), "--snapshot", snapshot]
    words += [*scope_options(request.scope), *target_options(target)]
    return " ".join([*words, "--offline"] if request.offline else words)


def words_of(
    request: PlanRequest, snapshot: str, target_url: str, target: str | None = None
) -> dict[str, object]:
    """What an interrupted plan was asked for, to tell whether it is the one asked for again."""
    return {
        "datasets": sorted(request.datasets or ()),
        "snapshot": snapshot,
        "target": None if request.offline else target_url,
        "target_name": target,
        "scope": scope_options(request.scope),
    }


def choose_datasets(request: PlanRequest, mappings: Dict[str, Mapping], project: Project) -> Choice:
    """What to plan.

    **Raises** UsageError for a dataset without a mapping, ConfigError for an id that is missing or shared.
    """
    for name in request.datasets or ():
        if name not in mappings:
            raise UsageError(
                f"no mapping makes dataset {name!r}{_near(name, mappings)}",
                hint=f"mappings: {project.mappings}",
            )
    if request.datasets:
        wanted = set(request.datasets)
    else:
        octolis = project.octolis
        wanted = {
            n
            for n in mappings
            if n in (octolis.webhooks if mappings[n].is_feed else octolis.datasets)
        }
    # Nothing has an id yet: asked for that of the first, the project says what is missing.
    if not wanted:
        _target_id(_first(mappings, project), mappings, project)
    ids = {name: _target_id(name, mappings, project) for name in mappings if name in wanted}
    feeds = frozenset(name for name in ids if mappings[name].is_feed)
    _refuse_shared(
        {name: dataset_id for name, dataset_id in ids.items() if name not in feeds}, project
    )
    if request.datasets:
        skipped = {}
    else:
        skipped = {name: _why_not(mappings[name]) for name in mappings if name not in ids}
    return Choice(ids, frozenset(_closure(wanted, mappings)), skipped, feeds)


def _target_id(name: str, mappings: Dict[str, Mapping], project: Project) -> str:
    if mappings[name].is_feed:
        return project.webhook(name).id
    return project.dataset_id(name)


def _why_not(mapping: Mapping) -> str:
    if mapping.is_feed:
        return Sentence("no [octolis.webhooks.{dataset}]", dataset=mapping.dataset)
    return Sentence("no id in [octolis.datasets]")


def _refuse_shared(ids: Dict[str, str], project: Project) -> None:
    by_id: dict[str, str] = {}
    for name, dataset_id in ids.items():
        # Canary, undo and crosswalk go by the id: two of ours under one id would be taken for each other.
        if dataset_id in by_id:
            raise ConfigError(
                f"{project.file}: [octolis.datasets] gives {by_id[dataset_id]!r} and {name!r} the same id",
                hint="each of our datasets is one dataset there; correct one of the two lines",
            )
        by_id[dataset_id] = name


def _first(mappings: Dict[str, Mapping], project: Project) -> str:
    if not mappings:
        raise ConfigError(f"there are no mappings in {project.mappings}", hint="run `migrate init`")
    return next(iter(mappings))


def _near(name: str, mappings: Dict[str, Mapping]) -> str:
    near = difflib.get_close_matches(name, mappings, 1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there are {', '.join(mappings)}"


def _closure(wanted: set[str], mappings: Dict[str, Mapping]) -> set[str]:
    closure = set[str]()
    left = list(wanted)
    while left:
        name = left.pop()
        if name not in closure:
            closure.add(name)
            left.extend(mappings[name].looked_up)
    return closure
