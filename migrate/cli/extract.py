"""`migrate extract`."""

from __future__ import annotations

import click

from migrate.cli.app import App, Outcome, command, pass_app


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
    from migrate.report.extract import render_extraction, summarise_extraction
    from migrate.run import run_extract

    with app.job(force_unlock=force_unlock) as job:
        extraction = run_extract(job, resources, snapshot)
    app.finish(
        Outcome(
            command="extract",
            text=render_extraction(extraction),
            data=summarise_extraction(extraction),
            next=f"migrate plan --snapshot {extraction.snapshot}",
        )
    )
