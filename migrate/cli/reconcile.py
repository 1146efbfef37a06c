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
    from migrate.report.reconcile import judge_reconciliation, render_reconciliation, summarise_reconciliation
    from migrate.run import run_reconcile

    with app.job() as job:
        found = run_reconcile(job, name)
    exit_code, status = judge_reconciliation(found)
    app.finish(
        Outcome(
            command="reconcile",
            text=render_reconciliation(found),
            data=summarise_reconciliation(found),
            exit_code=exit_code,
            status=status,
            next=None if found.is_finished else f"migrate load --plan {found.plan}",
        )
    )
