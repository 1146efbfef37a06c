"""`migrate load`."""

from __future__ import annotations

import click

from migrate.cli.app import App, Outcome, command, pass_app


@command("load", "migrate load", "migrate load contacts --plan 20261121-210551")
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--plan", "name", metavar="NAME", help="The plan to execute [the newest].")
@click.option(
    "--confirm-merges", type=click.IntRange(min=0), metavar="N", help="Accept up to N merges, which cannot be undone."
)
@click.option("--force-unlock", is_flag=True, help="Break a lock that a process on another host left behind.")
@pass_app
def load(app: App, datasets: tuple[str, ...], name: str | None, confirm_merges: int | None, force_unlock: bool) -> None:
    """Execute exactly a plan: batch upserts inside the documented points budget.

    Called again, it resumes: what was acknowledged is not sent again.
    """
    from migrate.report.load import left_behind, render_load, summarise_load
    from migrate.run import run_load

    with app.job(force_unlock=force_unlock) as job:
        result = run_load(job, datasets, name=name, confirm_merges=confirm_merges)
    behind = left_behind(result)
    app.finish(
        Outcome(
            command="load",
            text=render_load(result),
            data=summarise_load(result),
            exit_code=3 if behind else 0,
            status="done, with rejected or deferred records" if behind else "done",
            next=f"migrate reconcile --plan {result.plan}",
        )
    )
