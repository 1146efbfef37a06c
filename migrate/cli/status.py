"""`migrate status`."""

from __future__ import annotations

import click

from migrate.cli.app import App, Outcome, command, pass_app


@command("status", "migrate status", "migrate status --plan 20261121-210551 --json")
@click.option("--plan", "name", metavar="NAME", help="Only this plan.")
@pass_app
def status(app: App, name: str | None) -> None:
    """Show snapshots, plans and the ledger: what is done, what is left, and the next command. Reads files only."""
    from migrate.report.status import render_status, summarise_status
    from migrate.status import read_status
    from migrate.workspace import Workspace

    found = read_status(Workspace(app.open_project().workspace), name)
    app.finish(Outcome(command="status", text=render_status(found), data=summarise_status(found), next=found.next))
