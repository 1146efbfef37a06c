"""`migrate plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app

if TYPE_CHECKING:
    from migrate.app.context import Context


@command(
    "plan",
    "migrate plan",
    "migrate plan contacts orders --offline",
    "migrate plan --snapshot weekend --base first-full",
)
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option(
    "--snapshot",
    metavar="NAME",
    help="The snapshot to plan from, whole or a delta [the newest whole].",
)
@click.option("--base", metavar="NAME", help="The snapshot that a delta since a time is put on.")
@click.option("--plan", "name", metavar="NAME", help="Name of the new plan [the time].")
@click.option(
    "--offline", is_flag=True, help="Do not read the target; every change is then `unknown`."
)
@pass_app
def plan(
    app: App,
    datasets: tuple[str, ...],
    snapshot: str | None,
    base: str | None,
    name: str | None,
    offline: bool,
) -> None:
    """Work out what a load would do, before anything is written.

    Reads the snapshot, the mappings and the live target; sends no write, ever. DATASET is a logical name such as
    contacts; all datasets with an id in migrate.toml by default. Of a delta only the rows are planned that it touches,
    worked out from all records: the delta's and those of the snapshot it was made since.
    """
    from migrate.app.pipeline import run_plan
    from migrate.report.plan import render_plan, summarise_plan

    with app.context() as context:
        made = run_plan(context, datasets, snapshot=snapshot, base=base, name=name, offline=offline)
        text, delta = _tell_delta(context, made.document.snapshot.name, base)
    broken = any(finding.verdict == "broken" for finding in made.document.gates)
    rejected = any(dataset.rejected for dataset in made.document.datasets.values())
    app.finish(
        CommandOutcome(
            command="plan",
            text="\n\n".join([*text, render_plan(made)]),
            data={**summarise_plan(made), "state": "planned", **delta},
            exit_code=3 if rejected else 0,
            status="done, with rejected rows" if rejected else "done",
            next=f"migrate {'diff' if broken else 'load'} --plan {made.name}",
        )
    )


def _tell_delta(context: Context, name: str, base: str | None) -> tuple[list[str], dict[str, Any]]:
    """What the plan's snapshot is, if it is a delta: as a sentence and for the JSON object; else nothing."""
    from migrate.report.delta import render_delta, summarise_delta
    from migrate.snapshot.reading import open_snapshot

    snapshot = open_snapshot(context.workspace, name, check_files=False)
    since = snapshot.manifest.since
    if since is None:
        return [], {}
    below = since.snapshot or base or ""
    results = {resource: found.result for resource, found in snapshot.resources.items()}
    return [render_delta(name, below, results)], {"delta": summarise_delta(below, results)}
