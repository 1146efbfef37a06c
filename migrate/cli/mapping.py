"""`migrate mapping`: check, new, preview, functions, schema."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from migrate.cli.app import App, CommandOutcome, command, group, pass_app
from migrate.cli.user_path import UserPath
from migrate.names import RESOURCE_NAMES, ResourceName

if TYPE_CHECKING:
    import polars as pl

    from migrate.config import Project
    from migrate.mapping.model import Mapping
    from migrate.mapping.transform import Settings
    from migrate.report.mapping import Looked
    from migrate.report.shown import Shown
    from migrate.snapshot.reading import Snapshot, SnapshotResource

_OWN = ("_source", "_id", "_page", "_raw")
# records that a proposal shows
_EXAMPLES = 2
_FILE = UserPath(dir_okay=False, path_type=Path)


@group(
    "mapping", "migrate mapping check", "migrate mapping preview mappings/contacts.yaml --rows 10"
)
def mapping() -> None:
    """Propose, check and preview mapping files; list their functions; print their JSON Schema."""


@command(
    "check", "migrate mapping check", "migrate mapping check mappings/contacts.yaml --no-snapshot"
)
@click.argument("files", nargs=-1, type=_FILE, metavar="[FILE]...")
@click.option(
    "--snapshot",
    metavar="NAME",
    help="The snapshot to hold the files against [the newest that is no delta, if there is one].",
)
@click.option("--no-snapshot", is_flag=True, help="Look at the files alone.")
@pass_app
def check(app: App, files: tuple[Path, ...], snapshot: str | None, no_snapshot: bool) -> None:
    """Report every problem of the mapping files at once, as file:line:column: what.

    Without FILE it reads all files of the project's mappings folder together. With a snapshot it also reports fields
    that no record has or that no mapping uses, and sources that the snapshot does not have.
    """
    from migrate.errors import MappingError
    from migrate.mapping.against import LEFT_OVER, PROBLEM
    from migrate.report.mapping import Looked, render_check

    if not files or snapshot or app.project_file.exists():
        project = app.open_project()
    else:
        project = None
    mappings, wrong = _read(files, project)
    if project and not no_snapshot:
        against = _newest(project, snapshot)
    else:
        against = None
    if project and against:
        looked = _look(app, project, against, mappings)
    else:
        looked = Looked()
    remarks = looked.remarks
    problems = [*wrong, *(remark.text for remark in remarks if remark.level == "problem")]
    # the examples run what the files say, so they wait until the files are sound
    problems += [] if wrong else _failing(project, against, mappings)
    if problems:
        # what costs rows or values is told in the same round: it may be why an example fails
        costly = [one.text for one in remarks if PROBLEM < one.harm < LEFT_OVER]
        raise MappingError(
            [*problems, *costly], hint="correct the file, then: migrate mapping check"
        )
    name = against.name if against else None
    app.finish(
        CommandOutcome(
            command="mapping check",
            text=render_check(mappings, remarks, looked.told(name))
            + (_as_sent(project) if name else ""),
            data={
                "datasets": [m.dataset for m in mappings],
                "problems": [],
                "warnings": [remark.text for remark in remarks],
                "snapshot": name,
                "read": looked.records,
                "seconds": looked.seconds,
            },
            next=_after_check(against, snapshot, no_snapshot=no_snapshot) if not files else None,
        )
    )


def _as_sent(project: Project | None) -> str:
    """What to know where values were put right by hand: only a plan takes them. Empty where there are none."""
    from migrate.report.terminal import say_count
    from migrate.snapshot.corrections import read_corrections
    from migrate.workspace import Workspace

    count = 0 if project is None else read_corrections(Workspace.of(project)).height
    note = f"{say_count(count, 'value')} put right by hand: taken by a plan, not here, where all is as it was sent"
    return f"\n\n{note}" if count else ""


def _after_check(against: Snapshot | None, named: str | None, *, no_snapshot: bool) -> str:
    """A plan, of the snapshot that was named; but first an extract, where there is none to plan from."""
    if against and named:
        return f"migrate plan --snapshot {named}"
    return "migrate plan" if against or no_snapshot else "migrate extract"


@command(
    "new", "migrate mapping new profiles", "migrate mapping new sales --out mappings/orders.yaml"
)
@click.argument("resource", type=click.Choice(RESOURCE_NAMES))
@click.option(
    "--snapshot", metavar="NAME", help="The snapshot to look at [the newest that is no delta]."
)
@click.option(
    "--out",
    type=_FILE,
    metavar="FILE",
    help="Where to write it [proposed/DATASET.yaml in the mappings folder].",
)
@pass_app
def new(app: App, resource: str, snapshot: str | None, out: Path | None) -> None:
    """Write a first mapping of RESOURCE, proposed from a snapshot, each line with its reason.

    Types, shares of records with a value, keys it could have, consents, ids too big for a number and the bookkeeping of
    shop plug-ins are found in the data. No value of a record is written. An existing file is never overwritten.
    """
    from migrate.mapping.proposal import write_proposal
    from migrate.mapping.survey import survey_records

    project = app.open_project()
    opened = _open(project, snapshot)
    chosen = _resource(opened, resource)
    names = _fields(chosen)
    survey = survey_records(chosen.frames(names), names)
    path = write_proposal(
        cast("ResourceName", resource), survey, opened.name, project.mappings, out
    )
    _add_examples(project, path, opened)
    app.finish(
        CommandOutcome(
            command="mapping new",
            text=f"Wrote {path}: {len(names)} fields of {survey.rows:,} records. Read it, change it, then check it.",
            data={
                "file": str(path),
                "snapshot": opened.name,
                "records": survey.rows,
                "fields": len(names),
            },
            next=f"migrate mapping check {path}",
        )
    )


@command(
    "preview",
    "migrate mapping preview mappings/contacts.yaml",
    "migrate mapping preview new.yaml --rows 20",
)
@click.argument("file", type=_FILE)
@click.option(
    "--rows",
    type=click.IntRange(1, 500),
    default=5,
    show_default=True,
    help="How many rows of each kind.",
)
@click.option(
    "--snapshot",
    metavar="NAME",
    help="The snapshot to take records from [the newest that is no delta].",
)
@click.option("--show-values", is_flag=True, help="Show values as they are, not masked.")
@click.option(
    "--as-example",
    "example",
    metavar="ID",
    help="Print the record of this id as an entry of the file's `examples`, and nothing else.",
)
@pass_app
def preview(
    app: App, file: Path, rows: int, snapshot: str | None, show_values: bool, example: str | None
) -> None:
    """Show rows before and after a mapping FILE, then rejected rows with the reason.

    The snapshot's first 5,000 records of the resource are looked at. Values are masked unless --show-values is given.
    """
    from migrate.mapping import preview as room
    from migrate.mapping.files import read_mapping, read_mappings
    from migrate.privacy.mask import workspace_masker
    from migrate.report.mapping import render_preview, summarise_preview
    from migrate.report.shown import Shown, shown_of_mapping

    project = app.open_project()
    made = read_mapping(file)
    opened = _open(project, snapshot)
    if example is not None:
        text = _example(project, opened, made, example, masked=not show_values)
        data = {"dataset": made.dataset, "snapshot": opened.name, "example": text}
        app.finish(CommandOutcome(command="mapping preview", text=text, data=data))

    def read(resource: str, fields: Collection[str]) -> Iterator[pl.DataFrame]:
        return _resource(opened, resource).frames(fields)

    several = made.precedence is not None
    others: dict[str, Mapping] = {}
    # Only where they are needed: a broken neighbour must not stop the preview of a file that stands alone.
    if made.lookups or several:
        others = read_mappings(project.mappings)
    previewed = room.preview(made, others, read, _settings(project), rows)
    if show_values:
        shown = Shown(None, longest=None)
    else:
        shown = shown_of_mapping(Shown(workspace_masker(project.workspace)), made)
    app.finish(
        CommandOutcome(
            command="mapping preview",
            text=render_preview(previewed, shown, others.get(made.dataset) if several else None)
            + _as_sent(project),
            data={
                "dataset": made.dataset,
                "snapshot": opened.name,
                **summarise_preview(previewed, shown),
            },
            next=f"migrate mapping check {file}",
        )
    )


@command("functions", "migrate mapping functions", "migrate mapping functions --json")
@pass_app
def functions(app: App) -> None:
    """List the functions of `apply`, each with an example."""
    from migrate.mapping.functions import FUNCTIONS
    from migrate.report.mapping import render_functions, summarise_functions

    known = list(FUNCTIONS.values())
    app.finish(
        CommandOutcome(
            command="mapping functions",
            text=render_functions(known),
            data={"functions": summarise_functions(known)},
        )
    )


@command(
    "schema", "migrate mapping schema", "migrate mapping schema > mappings/mapping.schema.json"
)
def schema() -> None:
    """Print the JSON Schema of mapping files, for editors and other tools."""
    from migrate.mapping.model import json_schema

    click.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))


def _read(files: Sequence[Path], project: Project | None) -> tuple[list[Mapping], list[str]]:
    """The mappings that can be looked at, and everything that is wrong with their files."""
    from migrate.language.shared import SHARED_FILE, read_shared
    from migrate.mapping.files import list_mappings, read_leniently

    if files or project is None:
        return read_leniently(files, whole=False)
    mappings, wrong = read_leniently(list_mappings(project.mappings), whole=True)
    shared = read_shared(project.mappings).problems
    problems = [f"{SHARED_FILE}:{one.place.line}:{one.place.column}: {one.what}" for one in shared]
    return mappings, [*problems, *wrong]


def _failing(
    project: Project | None, against: Snapshot | None, mappings: list[Mapping]
) -> list[str]:
    """The examples of the files that do not come out as they say."""
    from migrate.mapping.examples import failing_examples, finder
    from migrate.mapping.transform import Settings

    settings = _settings(project) if project else Settings()
    rows_of = against.rows_of if against else None
    return list(
        chain.from_iterable(
            failing_examples(made, settings, finder(made, rows_of) if rows_of else None)
            for made in mappings
        )
    )


def _add_examples(project: Project, path: Path, snapshot: Snapshot) -> None:
    """Puts a few records, masked, at the end of a proposal as its examples."""
    from migrate.mapping.examples import make_example, masked_record, read_record
    from migrate.mapping.files import read_mapping

    made = read_mapping(path)
    frame = next(iter(snapshot.rows_of(made.resource, ["_raw"])), None)
    if frame is None:
        return
    records = [read_record(raw) for raw in frame["_raw"].drop_nulls().head(_EXAMPLES)]
    shown = dict.fromkeys(
        make_example(made, masked_record(record), _settings(project))
        for record in records
        if record is not None
    )
    if shown:
        head = "# Records with letters as a and digits as 1, and what becomes of them: put your own odd ones beside."
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write("\n".join([head, "examples:", *shown, ""]))


def _example(
    project: Project, snapshot: Snapshot, made: Mapping, record_id: str, *, masked: bool
) -> str:
    """One record of the snapshot as an example of the file."""
    from migrate.errors import UsageError
    from migrate.mapping.examples import finder, make_example, masked_record

    record = finder(made, snapshot.rows_of)(record_id, None)
    if record is None:
        raise UsageError(
            f"snapshot {snapshot.name} has no record {record_id!r} of {made.resource} that an example can hold",
            hint=f"migrate mapping preview {made.file}",
        )
    return make_example(made, masked_record(record) if masked else record, _settings(project))


def _settings(project: Project) -> Settings:
    from migrate.mapping.transform import Settings

    return Settings(
        project.datatrics.timezones,
        project.datatrics.source_aliases,
        project.octolis.float_digits,
        project.datatrics.project_id,
    )


def _open(project: Project, name: str | None) -> Snapshot:
    """The snapshot of that name, else the newest one that is no delta: a delta may hold nothing to look at."""
    from migrate.snapshot.reading import newest_whole, open_snapshot
    from migrate.workspace import Workspace

    workspace = Workspace.of(project)
    return open_snapshot(workspace, name or newest_whole(workspace), check_files=False)


def _newest(project: Project, name: str | None) -> Snapshot | None:
    """The snapshot of that name, else the newest finished one that is no delta, if there is one."""
    from migrate.snapshot.reading import list_snapshots
    from migrate.workspace import Workspace

    if name is None and not any(state.finished for state in list_snapshots(Workspace.of(project))):
        return None
    return _open(project, name)


def _resource(snapshot: Snapshot, name: str) -> SnapshotResource:
    from migrate.errors import WorkspaceError

    chosen = snapshot.resource(name)
    if chosen is None:
        raise WorkspaceError(
            f"snapshot {snapshot.name} was made without {name}", hint=f"migrate extract {name}"
        )
    return chosen


def _look(app: App, project: Project, snapshot: Snapshot, mappings: list[Mapping]) -> Looked:
    """What the records of a snapshot say against some files: all of them are read."""
    from migrate.mapping.against import check_against, look_at
    from migrate.mapping.trial import find_contradictions, try_all
    from migrate.privacy.mask import workspace_masker
    from migrate.report.mapping import Looked
    from migrate.report.shown import Shown, shown_of_mapping
    from migrate.snapshot.traps import describe_uncolumned

    looked = Looked()
    began = time.monotonic()
    masked = Shown(workspace_masker(project.workspace))
    known = [*mappings, *_others(project, mappings)]
    progress = app.progress()
    task = "mapping check"

    def read(resource: str, fields: Collection[str]) -> Iterator[pl.DataFrame]:
        chosen = snapshot.resource(resource)
        return iter(()) if chosen is None else chosen.frames(fields)

    progress.begin(task, total=None, unit="records")
    trials = try_all(
        known,
        {made.file for made in mappings},
        read,
        _settings(project),
        lambda records: progress.advance(task, records),
    )
    for name in dict.fromkeys(made.resource for made in mappings):
        chosen = snapshot.resource(name)
        if chosen is None:
            continue
        looked.records[name] = chosen.rows
        same = [made for made in known if made.resource == name]
        seen = look_at(_fields(chosen), chosen.frames, same, describe_uncolumned(chosen.result))
        for made in same:
            if made in mappings:
                contradicted = find_contradictions([made], snapshot.rows_of)
                tried = trials.get(made.file)
                show = partial(_show, shown_of_mapping(masked, made))
                looked.remarks += check_against(made, seen, same, tried, show, contradicted)
    progress.end(task)
    looked.remarks.sort(key=lambda remark: remark.harm)
    looked.seconds = round(time.monotonic() - began, 1)
    return looked


def _show(shown: Shown, value: str, column: str) -> str:
    return shown.cell(value, column) or ""


def _others(project: Project, mappings: list[Mapping]) -> list[Mapping]:
    """The project's other mapping files: a field that one of them uses is no unused field."""
    from migrate.errors import MappingError
    from migrate.mapping.files import read_mappings
    from migrate.mapping.model import parts_of

    try:
        known = read_mappings(project.mappings)
    except MappingError:
        return []  # what is wrong with them is told where they are checked
    mine = {Path(made.file).resolve() for made in mappings}
    return [made for made in parts_of(known.values()) if Path(made.file).resolve() not in mine]


def _fields(resource: SnapshotResource) -> list[str]:
    return [name for name in resource.columns if name not in _OWN]


for _command in (check, new, preview, functions, schema):
    mapping.add_command(_command)
