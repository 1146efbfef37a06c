"""`migrate extract`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, Outcome, command, pass_app, utc_now

if TYPE_CHECKING:
    from migrate.source.extract import Extraction


@command("extract", "migrate extract", "migrate extract sales interactions --snapshot first-try")
@click.argument("resources", nargs=-1, metavar="[RESOURCE]...")
@click.option("--snapshot", metavar="NAME", help="Start or resume the snapshot of this name.")
@click.option("--force-unlock", is_flag=True, help="Break a lock that a process on another host left behind.")
@pass_app
def extract(app: App, resources: tuple[str, ...], snapshot: str | None, force_unlock: bool) -> None:
    """Read every record out of Datatrics into a snapshot, and say whether it is proven complete.

    RESOURCE is one of profiles, content, content_items, content_categories, sales, interactions; all of them by
    default. Called again, an unfinished snapshot is resumed.
    """
    from migrate.run import run_extract

    project = app.open_project()
    workspace = app.open_workspace(project)
    with app.interruptible() as stop:
        extraction = run_extract(
            project, workspace, resources, snapshot, app.progress(), stop, utc_now, force_unlock=force_unlock
        )
    app.finish(describe(extraction))


def describe(extraction: Extraction) -> Outcome:
    """The command's outcome."""
    from migrate.report.extract import render_extraction, summarise_extraction

    data: dict[str, Any] = summarise_extraction(extraction)
    return Outcome(
        command="extract",
        text=render_extraction(extraction),
        data=data,
        next=f"migrate plan --snapshot {extraction.snapshot}",
    )
