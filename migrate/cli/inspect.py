"""`migrate inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, utc_now
from migrate.cli.language import language_of, language_option
from migrate.cli.user_path import UserPath
from migrate.errors import UsageError, WorkspaceError


@command(
    "inspect",
    "migrate inspect",
    "migrate inspect sales --html sales.html",
    "migrate inspect profiles --json",
)
@click.argument("resources", nargs=-1, metavar="[RESOURCE]...")
@click.option(
    "--snapshot", metavar="NAME", help="The snapshot to look into [the newest that is no delta]."
)
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=UserPath(path_type=Path),
    help="Write a page with plots as well.",
)
@click.option("--show-values", is_flag=True, help="Show examples as they are instead of masked.")
@language_option
@pass_app
def inspect(
    app: App,
    resources: tuple[str, ...],
    snapshot: str | None,
    page: Path | None,
    show_values: bool,
) -> None:
    """Say what is in a snapshot, field by field and source by source, and which traps it holds.

    RESOURCE as for extract. Examples are masked: the same value has the same mask, and nobody can read it.
    """
    from migrate.privacy.mask import workspace_masker
    from migrate.privacy.written import note_written
    from migrate.report.inspect import render_inspection, summarise_inspection
    from migrate.report.inspect_html import render_inspection_page
    from migrate.report.shown import Shown
    from migrate.report.words import words_of
    from migrate.snapshot.inspection import inspect_snapshot
    from migrate.snapshot.layout import disk_errors
    from migrate.snapshot.reading import newest_whole, open_snapshot
    from migrate.source.resources import resolve_resources
    from migrate.workspace import write_bytes

    project = app.open_project()
    workspace = app.open_workspace(project)
    opened = open_snapshot(workspace, snapshot or newest_whole(workspace))
    inspection = inspect_snapshot(
        opened, [resource.name for resource in resolve_resources(resources)]
    )
    if not inspection.resources:
        raise WorkspaceError(
            f"snapshot {opened.name} has none of these resources",
            hint=f"it has {', '.join(opened.resources)}",
        )
    shown = Shown(None if show_values else workspace_masker(workspace.root), longest=None)
    summary = summarise_inspection(inspection, shown)
    if page is not None:
        if not page.absolute().parent.is_dir():
            raise UsageError(
                f"there is no folder {page.parent} for the page",
                hint="make it, or choose another --html FILE",
            )
        words = words_of(language_of(app, project))
        made_at = words.moment(utc_now().astimezone())
        with disk_errors(page):
            write_bytes(
                page, render_inspection_page(summary, made_at=made_at, words=words).encode()
            )
            # The page may hold personal data, outside of the workspace: `purge` has to know where.
            note_written(workspace.root, page, "migrate inspect")
    app.finish(
        CommandOutcome(
            command="inspect",
            text=render_inspection(summary) + (f"\n\nThe page with plots: {page}" if page else ""),
            data={**summary, **({"html": str(page)} if page else {})},
            next=f"migrate mapping check --snapshot {opened.name}",
        )
    )
