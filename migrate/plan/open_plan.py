"""Plans on disk: opening a finished one, and telling whether it still holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from migrate import parquet
from migrate.config import Gates, Project
from migrate.errors import Damaged, MigrateError, Stale, Unfinished, UsageError, WorkspaceError
from migrate.plan.carried import TextChange, mapping_name, text_changes
from migrate.plan.corrections import correction_changes
from migrate.plan.document import (
    FORMAT,
    BaseUsed,
    GateFinding,
    PartOf,
    PlanDocument,
    PlannedFile,
    SampleOf,
    SnapshotUsed,
)
from migrate.plan.gates import judge_gates
from migrate.plan.totals import read_tables
from migrate.sentence import Sentence
from migrate.totals.table import Table
from migrate.workspace import Workspace, purged_on, sha256_bytes, sha256_file

PLAN_FILE = "plan.json"
SINCE = frozenset({"datatrics.project_id"})
"""Settings that a plan of an earlier version does not name: what it lacks is no change of it."""
PlanSettings = dict[str, str | int | dict[str, str]]


@dataclass(frozen=True)
class Plan:
    """A finished plan: its name, its folder and what its `plan.json` says."""

    name: str
    folder: Path
    document: PlanDocument

    def file(self, dataset: str, name: str) -> Path:
        """The path of one of a dataset's files, such as `records.parquet`."""
        return self.folder / dataset / name

    def summary(self) -> dict[str, object]:
        """The plan's part of the JSON summary of `migrate plan`."""
        document = self.document
        return {
            "plan": self.name,
            "snapshot": document.snapshot.name,
            "target": document.target,
            "scope": describe_scope(document.scope),
            "corrections": document.corrections.model_dump() if document.corrections else None,
            "offline": document.offline,
            "datasets": {name: plan.model_dump() for name, plan in document.datasets.items()},
            "skipped": document.skipped,
            "forecast": document.forecast.model_dump(mode="json"),
            "gates": [finding.model_dump() for finding in document.gates],
        }


def open_plan(workspace: Workspace, name: str | None = None, *, check_files: bool = True) -> Plan:
    """The plan of that name, or the newest finished one.

    **Raises** WorkspaceError where there is none, Unfinished where it was never finished, Stale where another format of
    the tool wrote it, Damaged where a file is not what `plan.json` says.
    """
    chosen = name or _newest(workspace)
    folder = workspace.folder_of(workspace.plans, chosen, "plan")
    if not folder.is_dir():
        known = ", ".join(workspace.names(workspace.plans))
        hint = f"there are {known}" if known else "run `migrate plan`"
        raise WorkspaceError(f"there is no plan {chosen!r} in {workspace.plans}", hint=hint)
    if not (folder / PLAN_FILE).is_file():
        raise Unfinished(
            f"plan {chosen!r} was never finished", hint=f"run `migrate plan --plan {chosen}`"
        )
    plan = Plan(chosen, folder, _read_document(folder / PLAN_FILE))
    if check_files:
        for file in plan.document.files:
            _check_file(plan, file)
    return plan


def readable_plans(workspace: Workspace, names: Iterable[str] | None = None) -> Iterator[Plan]:
    """The finished plans of these names, or all from the oldest on, as far as they can be read. No hash is checked."""
    for name in workspace.names(workspace.plans) if names is None else names:
        try:
            plan = open_plan(workspace, name, check_files=False)
        except MigrateError:
            continue
        yield plan


def choose_plan(workspace: Workspace, name: str | None, target: str | None) -> str:
    """The plan of that name, or without one the newest finished plan for a target; None is [octolis].

    **Raises** UsageError where the named plan is for another target than the one asked for; else like `open_plan`.
    """
    if name is not None:
        planned_for = open_plan(workspace, name, check_files=False).document.target
        if target is not None and planned_for != target:
            raise UsageError(
                f"plan {name!r} is for {_words_of_target(planned_for)}, not for {_words_of_target(target)}",
                hint="leave --target out, since a plan itself says where it goes; or make one: "
                f"migrate plan --target {target}",
            )
        return name
    others: list[str] = []
    for known in reversed(workspace.names(workspace.plans)):
        if not (workspace.plans / known / PLAN_FILE).is_file():
            continue
        if _target_of(workspace.plans / known / PLAN_FILE) == target:
            return known
        others.append(known)
    if not others:
        return _newest(workspace)
    raise WorkspaceError(
        f"no plan is for {_words_of_target(target)}; the newest, {others[0]!r}, is for another target",
        hint=f"name it with --plan {others[0]}; or make one: migrate plan"
        + (f" --target {target}" if target else ""),
    )


def _target_of(file: Path) -> str | None:
    """The target of a plan; None, the usual one, also where that cannot be read: opening it says why."""
    try:
        document = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    if isinstance(document, dict):
        return document.get("target")
    return None


def _words_of_target(target: str | None) -> str:
    if target:
        return f"target {target!r}"
    return "the target of [octolis]"


def describe_scope(scope: SampleOf | PartOf | None) -> dict[str, object] | None:
    """What of its snapshot a plan is, for a JSON object; None for all of it."""
    if scope is None:
        return None
    return {**scope.model_dump(mode="json"), "said": scope.told}


def _newest(workspace: Workspace) -> str:
    names = workspace.names(workspace.plans)
    finished = [name for name in names if (workspace.plans / name / PLAN_FILE).is_file()]
    if finished:
        return finished[-1]
    if names:
        raise Unfinished(
            f"no plan is finished; the newest is {names[-1]!r}",
            hint=f"run `migrate plan --plan {names[-1]}`",
        )
    raise WorkspaceError(f"there is no plan in {workspace.plans}", hint="run `migrate plan`")


def _read_document(file: Path) -> PlanDocument:
    remake = "make a new plan with `migrate plan`"
    try:
        values = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise Damaged(f"{file} is not readable JSON", hint=remake) from None
    if isinstance(values, dict):
        version = values.get("format")
    else:
        version = None
    # Before anything else is read: another version's words may mean something else.
    if version != FORMAT:
        raise Stale(
            f"{file} has format {version!r:.20}, this version of the tool writes {FORMAT}",
            hint=remake,
        )
    try:
        document = PlanDocument.model_validate(values)
    except ValidationError as error:
        problems = error.errors(include_input=False)
        places = [".".join(map(str, problem["loc"])) for problem in problems]
        raise Damaged(f"{file} is not a plan: {', '.join(places[:5])}", hint=remake) from None
    named = {*document.dataset_ids, *document.webhook_ids} & document.mappings.keys()
    nameless = sorted(document.datasets.keys() - named)
    if nameless:
        what = f"{file} is not a plan: it says no id or no mapping of {', '.join(nameless[:5])}"
        raise Damaged(what, hint=remake)
    return document


def _check_file(plan: Plan, entry: PlannedFile) -> None:
    path = plan.folder / entry.path
    if not path.resolve().is_relative_to(plan.folder.resolve()):
        raise Damaged(f"plan {plan.name!r} names a file outside its folder: {entry.path!r:.120}")
    remake = "make a new plan with `migrate plan`; a plan's files must not be edited"
    if not path.is_file():
        day = purged_on(plan.folder.parents[1], path)
        if day is not None:
            raise Damaged(
                f"{path} is missing: `migrate purge` removed the records of plan {plan.name!r} on {day}; what it "
                "counted is left in plan.json and in the reports",
                hint="`migrate status` says what is left; to begin again: migrate extract",
            )
        raise Damaged(f"{path} is missing", hint=remake)
    # The size first: it costs nothing, and what was cut off need not be hashed.
    size = path.stat().st_size
    if size != entry.bytes:
        raise Damaged(f"{path} has {size:,} bytes, plan.json says {entry.bytes:,}", hint=remake)
    if sha256_file(path) != entry.sha256:
        raise Damaged(f"{path} is not what plan.json says (its sha256 differs)", hint=remake)
    if path.suffix == ".parquet":
        parquet.check_columns(path)


def check_fresh(plan: Plan, project: Project, workspace: Workspace) -> None:
    """Nothing, when the plan's inputs are what they were. Raises Stale naming each one that is not."""
    changed = [
        *snapshot_changes(plan, workspace),
        *_mapping_changes(plan, project),
        *_setting_changes(plan, project),
        *correction_changes(plan.folder, plan.document, workspace),
    ]
    if changed:
        raise Stale(
            f"plan {plan.name!r} no longer holds, since it was made:\n"
            + "\n".join(f"- {change}" for change in changed),
            hint="make a new plan with `migrate plan`, look at it with `migrate diff`, then load that one",
            said=[change.said for change in changed],
        )


def snapshot_changes(plan: Plan, workspace: Workspace) -> Iterator[TextChange]:
    """What of the snapshots that a plan was made from is not there as it was."""
    used: SnapshotUsed | BaseUsed | None = plan.document.snapshot
    while used is not None:
        manifest = workspace.snapshots / used.name / "manifest.json"
        if not manifest.is_file():
            yield TextChange(
                Sentence("snapshot {name} is gone or unfinished", name=repr(used.name))
            )
        elif sha256_file(manifest) != used.manifest_sha256:
            yield TextChange(Sentence("snapshot {name} has another manifest", name=repr(used.name)))
        used = used.base


def _mapping_changes(plan: Plan, project: Project) -> Iterator[TextChange]:
    if plan.document.carried:
        yield from text_changes(plan.folder, plan.document, project.mappings)
        return
    # a plan of an earlier version, which knew one file a dataset
    for dataset, used in plan.document.mappings.items():
        file = project.mappings / used.file
        if not file.is_file():
            yield TextChange(Sentence("{what} is gone", what=mapping_name(used.file, dataset)))
        elif sha256_file(file) != used.sha256:
            yield TextChange(Sentence("{what} was edited", what=mapping_name(used.file, dataset)))
        for name, sha256 in used.includes.items():
            beside = project.mappings / name
            if not beside.is_file() or sha256_file(beside) != sha256:
                yield TextChange(
                    Sentence(
                        "{name}, which mapping {file} ({dataset}) takes from, is gone or was edited",
                        name=name,
                        file=used.file,
                        dataset=dataset,
                    )
                )


def _setting_changes(plan: Plan, project: Project) -> Iterator[TextChange]:
    now = settings_that_matter(project)
    file = project.file.name
    for name, was in plan.document.settings.items():
        if now.get(name) != was:
            changed = Sentence("{name} in {file} was changed", name=name, file=file)
            yield TextChange(changed, f": {_describe_setting(was, now.get(name))}")
    for name in sorted(now.keys() - plan.document.settings.keys() - SINCE):
        yield TextChange(Sentence("{name} in {file} is new", name=name, file=file))
    for dataset, was_id in plan.document.dataset_ids.items():
        if project.octolis.datasets.get(dataset) != was_id:
            yield TextChange(
                Sentence(
                    "the id of dataset {name} in {file} was changed", name=repr(dataset), file=file
                )
            )
    for feed, webhook_id in plan.document.webhook_ids.items():
        webhook = project.octolis.webhooks.get(feed)
        if webhook is None or webhook.id != webhook_id:
            yield TextChange(
                Sentence(
                    "the id of webhook {name} in {file} was changed", name=repr(feed), file=file
                )
            )


def _describe_setting(was: object, now: object) -> str:
    """What a setting was and is; of a table only the entries that differ."""
    if not isinstance(was, dict) or not isinstance(now, dict):
        return f"{was!r} then, {now!r} now"
    names = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    return ", ".join(f"{name!r}: {was.get(name)!r} then, {now.get(name)!r} now" for name in names)


def check_gates(plan: Plan, gates: Gates) -> list[GateFinding]:
    """How the plan stands to each gate of the project file now."""
    document = plan.document
    return list(
        judge_gates(document.datasets, document.snapshot.verdicts, gates, read_totals(plan))
    )


def read_totals(plan: Plan) -> dict[str, Table]:
    """The business totals of a plan's datasets, as they were when it was made."""
    return read_tables(plan.folder, plan.document.datasets)


def settings_that_matter(project: Project) -> PlanSettings:
    """What decides values, keys, batches and where they go; a change of these makes a plan stale."""
    return {
        "datatrics.project_id": project.datatrics.project_id,
        "datatrics.timezones": dict(sorted(project.datatrics.timezones.items())),
        "datatrics.source_aliases": dict(sorted(project.datatrics.source_aliases.items())),
        "octolis.base_url": project.octolis.base_url,
        "octolis.float_digits": project.octolis.float_digits,
        # It decides where batches end, and the ledger knows a record by its batch and place.
        "octolis.batch_bytes": project.octolis.batch_bytes,
    }


def settings_sha256(settings: PlanSettings) -> str:
    """A fingerprint that does not depend on the order of the lines in the project file."""
    return sha256_bytes(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode())
