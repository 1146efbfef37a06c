"""Other projects that are loaded into the same datasets: their keys must not be ours, or two records become one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate import parquet
from migrate.app.not_loaded import not_loaded
from migrate.app.standing import is_repair, read_standing
from migrate.config import load_project
from migrate.errors import ConfigError, MigrateError, Stale, UsageError
from migrate.load.crosswalk import SCHEMA as CROSSWALK
from migrate.load.ledger_view import LedgerView
from migrate.mapping.model import parts_of
from migrate.mapping.transform import lookup_columns
from migrate.plan.document import OtherPlanUsed
from migrate.plan.open_plan import PLAN_FILE, Plan, open_plan, read_totals, readable_plans
from migrate.plan.request import OtherRows, looked_up_by
from migrate.verify.known import read_last_written, read_masterids
from migrate.workspace import Workspace, replacing, sha256_file

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.config import Project
    from migrate.mapping.model import Mapping as DatasetMapping
    from migrate.totals.table import Table

_ROWS = ("records.parquet", "unchanged.parquet")
_REMEDY = (
    "put the project into the key of each project's mapping, such as  "
    "{sql: \"project || ':' || $record_key\", type: text}, and make new plans"
)


@dataclass(frozen=True)
class Collision:
    """Keys of a dataset that a plan has and that another project has planned for the same dataset too."""

    dataset: str
    project_id: str
    plan: str
    keys: int

    @property
    def told(self) -> str:
        """The sentence about it."""
        return (
            f"{self.dataset}: {self.keys:,} keys are also those of project {self.project_id} (its plan {self.plan}): "
            "its records and ours would become one"
        )


@dataclass(frozen=True)
class WrittenByOthers:
    """What other projects have written to the datasets of this one's target, by their ledgers. Reads files only."""

    ledgers: tuple[Path, ...]

    def every(self, dataset_id: str) -> frozenset[str]:
        """The masterids of all that they have written to a dataset."""
        return frozenset[str]().union(
            *(read_masterids(ledger, dataset_id) for ledger in self.ledgers)
        )

    def among(self, dataset_id: str, masterids: Collection[str]) -> frozenset[str]:
        """Those of some masterids that one of them has written."""
        return frozenset(self.last_written(dataset_id, masterids))

    def last_written(self, dataset_id: str, masterids: Collection[str]) -> dict[str, float]:
        """The same, each with when it was written last, in seconds since 1970."""
        latest: dict[str, float] = {}
        for ledger in self.ledgers:
            for masterid, at in read_last_written(ledger, dataset_id, masterids).items():
                latest[masterid] = max(at, latest.get(masterid, at))
        return latest


def written_by_others(project: Project) -> WrittenByOthers | None:
    """What tells which records of the target other projects have written; None where there are no others.

    Of a project that cannot be read here nothing is known: its records then count as those of strangers.
    """
    ledgers = []
    for file in project.other_projects:
        with suppress(ConfigError):
            other = load_project(file, {})
            if _is_beside(project, other):
                ledgers.append(Workspace.of(other).ledger)
    return WrittenByOthers(tuple(ledgers)) if ledgers else None


def _is_beside(project: Project, other: Project) -> bool:
    """Whether another project file is of other records that go into the same account."""
    # The same records planned from another folder are not somebody else's.
    is_same = other.datatrics.project_id == project.datatrics.project_id
    return not is_same and other.octolis.base_url == project.octolis.base_url


def masterids_of_others(project: Project, dataset_id: str) -> frozenset[str]:
    """The masterids of what other projects have written to a dataset of this project's target."""
    others = written_by_others(project)
    if others is None:
        return frozenset()
    return others.every(dataset_id)


def find_collisions(project: Project, plan: Plan) -> Iterator[Collision]:
    """Where a plan has keys that a plan of another project has, in the same dataset of the same target. Reads files.

    **Raises**: ConfigError where another project's file cannot be read: then nobody can tell.
    """
    for file in project.other_projects:
        other = load_project(file, {})
        if other.datatrics.project_id == project.datatrics.project_id:
            continue  # the same records once more are no others
        for theirs in readable_plans(Workspace.of(other)):
            yield from _between(plan, theirs, other.datatrics.project_id)


def _between(plan: Plan, theirs: Plan, project_id: str) -> Iterator[Collision]:
    place = "octolis.base_url"
    # Ids of datasets are those of one account; another address may use them for something else.
    if plan.document.settings.get(place) != theirs.document.settings.get(place):
        return
    by_id = {id_: name for name, id_ in theirs.document.dataset_ids.items()}
    for dataset, id_ in plan.document.dataset_ids.items():
        if id_ in by_id:
            ours = _keys(plan.folder / dataset)
            shared = ours.join(_keys(theirs.folder / by_id[id_]), on="key", how="semi")
            count = int(shared.select(pl.len()).collect().item())
            if count:
                yield Collision(dataset, project_id, theirs.name, count)


def _keys(folder: Path) -> pl.LazyFrame:
    files = [folder / name for name in _ROWS if (folder / name).is_file()]
    nothing = pl.LazyFrame(schema={"key": pl.String})
    return pl.concat([nothing, *(parquet.scan(file).select("key") for file in files)])


def refuse_collisions(project: Project, plan: Plan) -> None:
    """Raises ConfigError where records of a plan and of another project would become one, and as `check_looked_up`."""
    check_looked_up(project, plan)
    # A project may have many plans with the same keys; one line says it all.
    worst: dict[tuple[str, str], Collision] = {}
    for clash in find_collisions(project, plan):
        place = (clash.dataset, clash.project_id)
        if place not in worst or worst[place].keys < clash.keys:
            worst[place] = clash
    if worst:
        lines = "\n".join(f"- {collision.told}" for collision in worst.values())
        raise ConfigError(f"plan {plan.name!r} meets another project:\n{lines}", hint=_REMEDY)


def newest_collisions(project: Project, workspace: Workspace) -> list[str]:
    """What the newest plan of a project shares with the others, as sentences; none where there is no plan yet."""
    with suppress(ConfigError):
        try:
            plan = open_plan(workspace, check_files=False)
        except MigrateError:
            return []
        return [collision.told for collision in find_collisions(project, plan)]
    return ["another project's file cannot be read, so nobody can tell whether keys meet"]


@dataclass(frozen=True)
class ProjectShare:
    """What one project has in the target. `records`: by dataset how many records, by the crosswalks of all its plans.

    `plan`: the newest one of a whole snapshot, or of a delta, that was loaded; `tables` are its totals. None where only
    samples and parts were, which cannot be added up.
    """

    project_id: str
    records: Mapping[str, int]
    plan: str | None
    tables: Mapping[str, Table]


@dataclass(frozen=True)
class AllProjects:
    """Several projects side by side, this one first. `records`: by dataset those of all of them, each counted once.

    `unread`: project files that could not be read, so that what is theirs is missing. `files`: the crosswalks of all.
    """

    projects: Sequence[ProjectShare]
    records: Mapping[str, int]
    unread: Sequence[Path] = ()
    files: Sequence[Path] = ()


def add_up_projects(context: Context, plan_name: str | None) -> AllProjects:
    """What this project and the others have in the datasets of a plan, each and together. Reads files only.

    The crosswalks of all are written beside the plan's own, with the project of each row.

    **Raises**: UsageError where the project file names no other project.
    """
    plan = open_plan(context.workspace, plan_name, check_files=False)
    project = context.project.for_target(plan.document.target)
    if not project.other_projects:
        raise UsageError(
            f"{project.file} names no other project",
            hint='other_projects = ["../other/migrate.toml"] names those that go into the same datasets',
        )
    projects, unread = [project], list[Path]()
    for file in project.other_projects:
        try:
            other = load_project(file, {})
        except ConfigError:
            unread.append(file)
            continue
        if _is_beside(project, other):
            projects.append(other)
    ids = plan.document.dataset_ids
    shares: list[ProjectShare] = []
    walks: dict[str, list[pl.LazyFrame]] = {name: [] for name in ids}
    for one in projects:
        loaded = list(_loaded_plans(one, ids.values()))
        records = {}
        for name, id_ in ids.items():
            walk = _crosswalk_of(one, loaded, id_)
            walks[name].append(walk)
            records[name] = _count_records(walk)
        shares.append(_share_of(one, loaded, ids, records))
    together = {name: _count_records(pl.concat(each)) for name, each in walks.items()}
    folder = context.workspace.exports / plan.name
    files = [_write_walk(folder, name, pl.concat(each)) for name, each in walks.items()]
    return AllProjects(shares, together, unread, files)


def _loaded_plans(project: Project, ids: Collection[str]) -> Iterator[Plan]:
    """The plans of a project of which something went to one of these datasets, oldest first."""
    workspace = Workspace.of(project)
    if not workspace.ledger.exists():
        return
    with LedgerView(workspace.ledger) as view:
        names = view.plans()
    for plan in readable_plans(workspace, names):
        is_there = plan.document.settings.get("octolis.base_url") == project.octolis.base_url
        if is_there and set(plan.document.dataset_ids.values()) & set(ids):
            yield plan


def _crosswalk_of(project: Project, plans: Sequence[Plan], dataset_id: str) -> pl.LazyFrame:
    """Which record of a project became which of a dataset, by all its plans: of two words the later one."""
    exports = Workspace.of(project).exports
    schema = {"project": pl.String(), **CROSSWALK, "_age": pl.Int64()}
    walks = [pl.LazyFrame(schema=schema)]
    for age, plan in enumerate(plans):
        names = [name for name, id_ in plan.document.dataset_ids.items() if id_ == dataset_id]
        for name in names:
            file = exports / plan.name / f"crosswalk-{name}.parquet"
            if file.is_file():
                number = pl.lit(project.datatrics.project_id).alias("project")
                walk = parquet.scan(file).select(number, pl.col(list(CROSSWALK)))
                walks.append(walk.with_columns(pl.lit(age, pl.Int64).alias("_age")))
    # The number of the project too: the same identity in two projects is two people.
    who = ["project", "resource", "source", "id", "position"]
    every = pl.concat(walks).sort("_age", maintain_order=True)
    return every.unique(who, keep="last", maintain_order=True).drop("_age")


def _count_records(walk: pl.LazyFrame) -> int:
    # By masterid: several records of the source may have become one, also across projects.
    return int(walk.select(pl.col("masterid").drop_nulls().n_unique()).collect().item())


def _share_of(
    project: Project, plans: Sequence[Plan], ids: Mapping[str, str], records: Mapping[str, int]
) -> ProjectShare:
    whole = [plan for plan in plans if plan.document.scope is None]
    newest = whole[-1] if whole else None
    tables: dict[str, Table] = {}
    if newest is not None:
        by_id = {id_: name for name, id_ in newest.document.dataset_ids.items()}
        read = read_totals(newest)
        tables = {name: read[by_id[id_]] for name, id_ in ids.items() if by_id.get(id_) in read}
    number = project.datatrics.project_id
    return ProjectShare(number, records, None if newest is None else newest.name, tables)


def _write_walk(folder: Path, dataset: str, walk: pl.LazyFrame) -> Path:
    target = folder / f"crosswalk-projects-{dataset}.parquet"
    with replacing(target) as temporary:
        parquet.sink(walk, temporary)
    return target


def look_up_others(
    project: Project, mappings: Mapping[str, DatasetMapping], datasets: Collection[str]
) -> OtherRows:
    """The rows of other projects that mappings look up, for a plan of these datasets. Reads files only.

    They are those of the project's newest plan that is loaded, of a whole snapshot; of a delta also those of what it
    stands on, without the records that are gone.

    **Raises**: ConfigError where the project is not named, or has nothing loaded.
    """
    needed = set[str]().union(*(looked_up_by(name, mappings) for name in datasets))
    rows: dict[tuple[str, str], pl.DataFrame] = {}
    used: dict[tuple[str, str], OtherPlanUsed] = {}
    for part in parts_of(mappings[name] for name in mappings if name in needed):
        columns = lookup_columns(part)
        for name, lookup in part.lookups.items():
            if lookup.project is None:
                continue
            id_ = project.dataset_id(lookup.dataset)
            plans = _plans_to_look_in(project, lookup.project, id_)
            resource = mappings[lookup.dataset].part_of(lookup.resource).resource
            rows[part.file, name] = _rows_of(plans, id_, str(resource), sorted(columns[name]))
            for plan in plans:
                sha256 = sha256_file(plan.folder / PLAN_FILE)
                used[lookup.project, plan.name] = OtherPlanUsed(
                    project=lookup.project, plan=plan.name, sha256=sha256
                )
    return OtherRows(rows, tuple(used.values()))


def open_other(project: Project, project_id: str) -> Project:
    """The project of that number among those that this one names. Raises ConfigError."""
    for file in project.other_projects:
        other = load_project(file, {})
        if other.datatrics.project_id == project_id:
            return other
    raise ConfigError(
        f"a mapping looks up records of project {project_id}, which {project.file} does not name",
        hint='other_projects = ["../other/migrate.toml"] names it',
    )


def _plans_to_look_in(project: Project, project_id: str, dataset_id: str) -> list[Plan]:
    """The plan whose rows are looked up, and those that it stands on, the newest first."""
    other = open_other(project, project_id)
    loaded = [
        plan
        for plan in _loaded_plans(other, [dataset_id])
        # A sample or half a load lacks rows, and what looks them up would be an orphan.
        if plan.document.scope is None and _is_loaded(other, plan, dataset_id)
    ]
    if not loaded:
        raise ConfigError(
            f"a mapping looks up records of project {project_id}, which has loaded no whole plan into {dataset_id}",
            hint=f"load it first: migrate --project {other.file} load",
        )
    chosen, below = [loaded[-1]], loaded[-1].document.snapshot.base
    while below is not None:
        of_base = [plan for plan in loaded if plan.document.snapshot.name == below.name]
        # Of several loads of one snapshot the last word counts.
        chosen += of_base[-1:]
        below = below.base
    return chosen


def _is_loaded(project: Project, plan: Plan, dataset_id: str) -> bool:
    workspace = Workspace.of(project)
    (name,) = [name for name, id_ in plan.document.dataset_ids.items() if id_ == dataset_id]
    if is_repair(plan) or read_standing(workspace, plan).undone is not None:
        return False
    return name not in {**not_loaded(workspace, plan, ())}


def _rows_of(
    plans: Sequence[Plan], dataset_id: str, resource: str, columns: Sequence[str]
) -> pl.DataFrame:
    """Where each record of a resource ended: `source`, `id` and the columns; of two rows the newest plan's counts."""
    schema = dict.fromkeys(("source", "id"), pl.String)
    made = [pl.DataFrame(schema=schema)]
    gone = pl.DataFrame(schema=schema)
    for plan in plans:
        (name,) = [name for name, id_ in plan.document.dataset_ids.items() if id_ == dataset_id]
        stored = plan.document.mappings[name].stored_columns
        wanted = [pl.col(stored.get(one, one)).alias(f"v:{one}") for one in columns]
        for file in _ROWS:
            rows = parquet.scan(plan.folder / name / file).select("sources", *wanted).collect()
            who = rows.explode("sources", empty_as_null=False).unnest("sources")
            mine = who.filter(pl.col("resource") == resource).sort("position", nulls_last=False)
            values = (pl.col(f"v:{one}").alias(one) for one in columns)
            made.append(
                mine.select("source", "id", *values).join(gone, on=["source", "id"], how="anti")
            )
        left = plan.folder / name / "gone.parquet"
        if left.is_file():
            # For the plans below: what a delta says is gone must not be looked up in its base.
            gone = pl.concat([gone, parquet.read(left).select("source", "id")])
    every = pl.concat(made, how="diagonal_relaxed")
    return every.unique(["source", "id"], keep="first", maintain_order=True)


def check_looked_up(project: Project, plan: Plan) -> None:
    """Raises Stale where a plan of another project, in whose rows this one looks up, is not what it was."""
    for used in plan.document.looked_up:
        workspace = Workspace.of(open_other(project, used.project))
        file = workspace.plans / used.plan / PLAN_FILE
        if not file.is_file() or sha256_file(file) != used.sha256:
            raise Stale(
                f"plan {plan.name!r} looks up rows of plan {used.plan!r} of project {used.project}, which is not there "
                "any more as it was",
                hint="make a new plan with `migrate plan`",
            )
