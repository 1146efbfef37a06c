"""`migrate extract`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.user_path import UserPath
from migrate.errors import UsageError
from migrate.names import RESOURCE_NAMES

if TYPE_CHECKING:
    from migrate.source.extract import Extraction
    from migrate.workspace import Workspace

_DOUBTFUL = 3
_ASKED_NOTHING = (
    "This snapshot was finished already; nothing was asked. For a new one: migrate extract"
)


@command(
    "extract",
    "migrate extract",
    "migrate extract sales interactions --snapshot first-try",
    "migrate extract --since first-try",
    "migrate extract profiles --source Magento2",
    "migrate extract --from-files saved-pages",
)
@click.argument("resources", nargs=-1, metavar="[RESOURCE]...")
@click.option("--snapshot", metavar="NAME", help="Start or resume the snapshot of this name.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only what is new or changed since a time, or since a snapshot's name.",
)
@click.option(
    "--source",
    "only_source",
    metavar="NAME",
    help="Profiles of this source only. The service can choose nothing else; see plan --source.",
)
@click.option(
    "--from-files",
    "folder",
    metavar="DIR",
    type=UserPath(path_type=Path),
    help="Take JSON or NDJSON files (.gz, .zst) saved from the API, and ask the API nothing.",
)
@click.option(
    "--expect",
    "expected",
    metavar="RESOURCE=N",
    multiple=True,
    help="With --from-files: how many records there are, where nothing in the files says so. Kept "
    "with your name. May be given again.",
)
@click.option(
    "--encoding",
    metavar="NAME",
    help="With --from-files: what the files are written in where they are no UTF-8 or UTF-16.",
)
@pass_app
def extract(
    app: App,
    resources: tuple[str, ...],
    snapshot: str | None,
    since: str | None,
    only_source: str | None,
    folder: Path | None,
    expected: tuple[str, ...],
    encoding: str | None,
) -> None:
    """Read every record out of Datatrics into a snapshot, and say whether it is proven complete.

    RESOURCE is one of profiles, content, content_items, content_categories, sales, interactions; all of them by
    default. Exit code 3: something is not proven, or could not be read, is damaged or has vanished; a line each
    says what to do. Called again, an unfinished snapshot is resumed; one that is finished, named by --snapshot, is only
    shown.
    """
    from migrate.app.pipeline import run_extract, run_import
    from migrate.report.extract import render_extraction, summarise_extraction
    from migrate.snapshot.layout import needs_attention

    if since and folder:
        raise UsageError(
            "--since and --from-files do not go together",
            hint="files say nothing about what changed",
        )
    if folder is None and (expected or encoding):
        raise UsageError(
            f"{'--expect' if expected else '--encoding'} goes with --from-files",
            hint="what the API sends says itself how much there is, and how it is written",
        )
    if only_source is not None:
        _check_source_can_be_chosen(resources, since=since, folder=folder)
    expect = _counts(expected)
    with app.context() as context:
        # Asked before: afterwards every snapshot is finished.
        known = snapshot is not None and _is_finished(context.workspace, snapshot)
        if folder:
            extraction = run_import(
                context, folder, resources, snapshot, expect=expect, encoding=encoding
            )
        else:
            extraction = run_extract(
                context, resources, snapshot, since=since, only_source=only_source
            )
    is_doubtful = any(needs_attention(result) for result in extraction.resources.values())
    app.finish(
        CommandOutcome(
            command="extract",
            text="\n\n".join([render_extraction(extraction), *([_ASKED_NOTHING] if known else [])]),
            data=summarise_extraction(extraction),
            exit_code=_DOUBTFUL if is_doubtful else 0,
            status=_status(known=known, is_doubtful=is_doubtful),
            next=_next(extraction),
        )
    )


def _status(*, known: bool, is_doubtful: bool) -> str:
    if known:
        words = "finished already; nothing was asked"
    else:
        words = "done"
    if is_doubtful:
        return f"{words}; something is to do"
    return words


def _check_source_can_be_chosen(
    resources: Sequence[str], *, since: str | None, folder: Path | None
) -> None:
    """Raises UsageError where the service cannot choose the records of one source.

    **Source**: the documents name the filter `source` for the list of profiles only.
    """
    if folder is not None or since is not None:
        raise UsageError(
            f"--source and {'--from-files' if folder else '--since'} do not go together",
            hint="choose when the plan is made: migrate plan --source NAME",
        )
    if set(resources) != {"profiles"}:
        raise UsageError(
            "--source is for profiles: the service cannot choose by source in its other lists",
            hint="migrate extract profiles --source NAME; or extract everything and choose when "
            "the plan is made: migrate plan --source NAME",
        )


def _counts(expected: Sequence[str]) -> dict[str, int]:
    """The numbers of `--expect RESOURCE=N`, by resource."""
    counts: dict[str, int] = {}
    for text in expected:
        name, _, number = text.partition("=")
        if name not in RESOURCE_NAMES or not (number.isascii() and number.isdigit()):
            raise UsageError(
                f"--expect {text!r:.80} is not RESOURCE=N",
                hint=f"write a number without signs, as in --expect sales=69659; RESOURCE is one "
                f"of {', '.join(RESOURCE_NAMES)}",
            )
        # The same number twice is no contradiction.
        if counts.setdefault(name, int(number)) != int(number):
            raise UsageError(
                f"--expect names two numbers for {name}", hint="give the one that is right"
            )
    return counts


def _is_finished(workspace: Workspace, name: str) -> bool:
    from migrate.snapshot.reading import list_snapshots

    return any(state.finished for state in list_snapshots(workspace) if state.name == name)


def _next(extraction: Extraction) -> str:
    """A look at it; of a delta a plan, which needs a whole snapshot where nothing is known before."""
    if extraction.since is None:
        return f"migrate inspect --snapshot {extraction.snapshot}"
    if extraction.since.snapshot is None:
        return "migrate extract"
    return f"migrate plan --snapshot {extraction.snapshot}"
