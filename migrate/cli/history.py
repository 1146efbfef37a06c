"""`migrate history`."""

from __future__ import annotations

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app


@command("history", "migrate history", "migrate history --plan 20261121-210551 --json")
@click.option("--plan", "name", metavar="NAME", help="Only what concerns this plan.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Show so many of the last commands; --json has all.",
)
@pass_app
def history(app: App, name: str | None, limit: int) -> None:
    """Show who ran what: user, host, command line, version, begin, end, exit code, confirmations, gates raised.

    Commands that only look are not among them. Below stands what came over each plan: planned, loading, loaded,
    overtaken, undone. Reads files only.
    """
    from migrate.app.history import describe_event, describe_run, read_history
    from migrate.report.history import render_history
    from migrate.workspace import Workspace

    past = read_history(Workspace.of(app.open_project()), name)
    data = {
        "plan": name,
        "runs": [describe_run(run) for run in past.runs],
        "events": [describe_event(event) for event in past.events],
    }
    app.finish(CommandOutcome("history", render_history(past, limit), data))
