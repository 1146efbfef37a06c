"""`migrate reconcile`."""

from __future__ import annotations

import click

from migrate.cli.app import App, Outcome, command, pass_app


@command("reconcile", "migrate reconcile", "migrate reconcile --plan 20261121-210551 --json")
@click.option("--plan", "name", metavar="NAME", help="The plan that was loaded [the newest].")
@pass_app
def reconcile(app: App, name: str | None) -> None:
    """Explain the target's counts: before + created - merged = after, for every dataset.

    The count before was taken by the load before its first write; what was created and merged stands in the ledger;
    the count after comes from the count endpoint, asked until it rests.
    """
    from migrate.report.reconcile import render_reconciliation, summarise_reconciliation
    from migrate.run import run_reconcile

    project = app.open_project()
    workspace = app.open_workspace(project)
    with app.interruptible() as stop:
        found = run_reconcile(project, workspace, name, app.progress(), stop)
    app.finish(
        Outcome(
            command="reconcile",
            text=render_reconciliation(found),
            data=summarise_reconciliation(found),
            exit_code=0 if found.matches else 4,
            status="match" if found.matches else "mismatch",
            next=None if found.matches else f"migrate status --plan {found.plan}",
        )
    )
