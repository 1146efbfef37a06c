"""`migrate trace`."""

from __future__ import annotations

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app


@command(
    "trace",
    "migrate trace profiles 12345 --source 'Magento 2'",
    "migrate trace sales 000000123 --json --show-values",
)
@click.argument("resource")
@click.argument("record_id", metavar="ID")
@click.option(
    "--source", metavar="S", help="The record's source; needed where several sources have the id."
)
@click.option("--plan", "name", metavar="NAME", help="The plan to follow it through [the newest].")
@click.option("--offline", is_flag=True, help="Ask neither source nor target.")
@click.option("--show-values", is_flag=True, help="Show values as they are instead of masked.")
@pass_app
def trace(
    app: App,
    resource: str,
    record_id: str,
    source: str | None,
    name: str | None,
    offline: bool,
    show_values: bool,
) -> None:
    """Follow one record through every stage: source, snapshot, mapping, plan, batch, target.

    Shows each column after each step of its mapping, what it was collapsed with, why it was rejected or in which batch
    it was sent, the ids of requests that failed, and what the target shows otherwise.
    """
    from migrate.app.trace import run_trace
    from migrate.plan.open_plan import open_plan
    from migrate.privacy.mask import workspace_masker
    from migrate.report.shown import Shown
    from migrate.report.trace import render_trace, shown_in_trace, summarise_trace

    with app.context() as context:
        traced = run_trace(context, resource, record_id, source, name, live=not offline)
        if show_values:
            masker = None
        else:
            masker = workspace_masker(context.workspace.root)
        plan = open_plan(context.workspace, traced["plan"], check_files=False)
        shown = shown_in_trace(traced, plan, Shown(masker, longest=None))
    app.finish(CommandOutcome("trace", render_trace(traced, shown), summarise_trace(traced, shown)))
