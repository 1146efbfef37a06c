"""`migrate plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, target_option

if TYPE_CHECKING:
    from datetime import datetime

    from migrate.app.context import Context
    from migrate.plan.document import PartOf
    from migrate.plan.request import SampleAsked

DAY = click.DateTime(formats=["%Y-%m-%d"])


@command(
    "plan",
    "migrate plan",
    "migrate plan contacts orders --offline",
    "migrate plan --snapshot weekend --base first-full",
    "migrate plan --sample 200 --target test",
    "migrate plan --source MailChimp --from 2024-01-01",
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
@click.option(
    "--sample",
    type=click.IntRange(min=1),
    metavar="N",
    help="N contacts, or rows of the first DATASET, with everything that belongs to them.",
)
@click.option("--seed", type=int, metavar="S", help="With --sample: another choice of rows [0].")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="S",
    help="Only records of this source; again for more; '' for none.",
)
@click.option(
    "--from", "first_day", type=DAY, metavar="DAY", help="Only records from this day on, in UTC."
)
@click.option(
    "--until",
    "last_day",
    type=DAY,
    metavar="DAY",
    help="Only records up to this day, in UTC, included.",
)
@click.option(
    "--field",
    type=click.Choice(["created", "updated"]),
    help="By which time --from and --until take a record [created].",
)
@target_option
@pass_app
def plan(  # noqa: PLR0913, PLR0917  # one parameter an option
    app: App,
    datasets: tuple[str, ...],
    snapshot: str | None,
    base: str | None,
    name: str | None,
    offline: bool,
    sample: int | None,
    seed: int | None,
    sources: tuple[str, ...],
    first_day: datetime | None,
    last_day: datetime | None,
    field: str | None,
    target: str | None,
) -> None:
    """Work out what a load would do, before anything is written.

    Reads the snapshot, the mappings and the live target; sends no write, ever. DATASET is a logical name such as
    contacts; all datasets with an id in migrate.toml by default. Of a delta only the rows are planned that it touches,
    worked out from all records: the delta's and those of the snapshot it was made since.

    A sample, or a part by source and day, is worked out from all records too, so that its rows are those of the whole
    plan; the rest is counted as `outside`. Parts may overlap: what one has sent the next finds unchanged.
    """
    from migrate.app.pipeline import run_plan
    from migrate.report.hours import render_hours, summarise_hours
    from migrate.report.plan import render_plan, summarise_plan

    scope = _scope_of(sample, seed, sources, first_day, last_day, field)
    with app.context() as context:
        made = run_plan(
            context,
            datasets,
            snapshot=snapshot,
            base=base,
            name=name,
            offline=offline,
            scope=scope,
            target=target,
        )
        text, delta = _tell_delta(context, made.document.snapshot.name, base)
        begins = context.now()
    quiet = context.project.octolis.quiet_hours
    within = summarise_hours(made.document.forecast, quiet, begins)
    hours = render_hours(made.document.forecast, quiet, begins)
    rejected = any(dataset.rejected for dataset in made.document.datasets.values())
    summary = summarise_plan(made)
    is_green = summary["verdict"]["colour"] == "green"
    app.finish(
        CommandOutcome(
            command="plan",
            text="\n\n".join([*text, render_plan(made), *hours]),
            data={**summary, "state": "planned", **delta, "hours": within},
            exit_code=3 if rejected else 0,
            status="done, with rejected rows" if rejected else "done",
            # What is not green wants to be read before it is loaded.
            next=f"migrate {'load' if is_green else 'diff'} --plan {made.name}",
        )
    )


def _scope_of(
    sample: int | None,
    seed: int | None,
    sources: tuple[str, ...],
    first_day: datetime | None,
    last_day: datetime | None,
    field: str | None,
) -> SampleAsked | PartOf | None:
    """What of the snapshot is asked for; None: all of it. Raises click.UsageError where options do not go together."""
    from migrate.plan.document import PartOf
    from migrate.plan.request import SampleAsked

    has_days = first_day is not None or last_day is not None
    if seed is not None and sample is None:
        raise click.UsageError("--seed goes with --sample")
    if field is not None and not has_days:
        raise click.UsageError("--field goes with --from or --until")
    if sample is not None:
        if sources or has_days:
            raise click.UsageError(
                "--sample is of the whole snapshot: leave --source, --from and --until out"
            )
        return SampleAsked(sample, seed or 0)
    if first_day is not None and last_day is not None and last_day < first_day:
        raise click.UsageError(f"--until {last_day:%Y-%m-%d} is before --from {first_day:%Y-%m-%d}")
    if not sources and not has_days:
        return None
    return PartOf(
        sources=tuple(sorted(set(sources))),
        first_day=first_day.date() if first_day else None,
        last_day=last_day.date() if last_day else None,
        field="updated" if field == "updated" else "created",
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
    results = {resource: chosen.result for resource, chosen in snapshot.resources.items()}
    return [render_delta(name, below, results)], {"delta": summarise_delta(below, results)}
