"""`migrate plan`."""

from __future__ import annotations

import click

from migrate.cli.app import App, Outcome, command, pass_app


@command("plan", "migrate plan", "migrate plan contacts orders --offline")
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--snapshot", metavar="NAME", help="The snapshot to plan from [the newest].")
@click.option("--plan", "name", metavar="NAME", help="Name of the new plan [the time].")
@click.option("--offline", is_flag=True, help="Do not read the target; every change is then `unknown`.")
@pass_app
def plan(app: App, datasets: tuple[str, ...], snapshot: str | None, name: str | None, offline: bool) -> None:
    """Work out what a load would do, before anything is written.

    Reads the snapshot, the mappings and the live target; sends no write, ever. DATASET is a logical name such as
    contacts; all datasets with an id in migrate.toml by default.
    """
    from migrate.report.plan import render_plan, summarise_plan
    from migrate.stages.run import run_plan

    with app.job() as job:
        made = run_plan(job, datasets, snapshot=snapshot, name=name, offline=offline)
    broken = any(finding.verdict == "broken" for finding in made.document.gates)
    rejected = any(dataset.rejected for dataset in made.document.datasets.values())
    app.finish(
        Outcome(
            command="plan",
            text=render_plan(made),
            data=summarise_plan(made),
            exit_code=3 if rejected else 0,
            status="done, with rejected rows" if rejected else "done",
            next=f"migrate {'diff' if broken else 'load'} --plan {made.name}",
        )
    )
