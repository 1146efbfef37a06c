"""`migrate undo plan|run`."""

from __future__ import annotations

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, target_option


@command("undo", "migrate undo plan", "migrate undo run --plan 20261121-210551")
@click.argument("step", type=click.Choice(["plan", "run"]), metavar="plan|run")
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--plan", "name", metavar="NAME", help="The plan that was loaded [the newest].")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 3600), default=5.0, show_default=True, metavar="SECONDS",
    help="How long to wait before what is not as it was yet is read again.",
)  # fmt: skip
@target_option
@pass_app
def undo(
    app: App,
    step: str,
    datasets: tuple[str, ...],
    name: str | None,
    wait_s: float,
    target: str | None,
) -> None:
    """Restore what a load updated, by masterid, and list what the API cannot undo.

    `plan` splits what the load did into restorable (updated, the values before are known, unchanged since), changed
    since by others (left alone), created (there is no delete) and merged, and writes nothing to the target. `run`
    restores through the same ledger and limits as a load, and reads back whether it worked. Stopped or killed, the same
    command goes on. What cannot be undone is listed in exports/PLAN/undo-*.csv. Once anything of a plan was restored
    the plan is `undone`: it is not loaded again, and no delta is based on it.
    """
    from migrate.app.remake import next_plan_command
    from migrate.app.standing import read_standing
    from migrate.app.undo import plan_undo, run_undo
    from migrate.plan.open_plan import choose_plan, open_plan
    from migrate.report.undo import judge_undo, render_undo, summarise_undo

    with app.context() as context:
        name = choose_plan(context.workspace, name, target)
        if step == "plan":
            undone = plan_undo(context, name, datasets)
        else:
            undone = run_undo(context, name, datasets, wait_s=wait_s)
        plan = open_plan(context.workspace, undone.plan)
        standing = read_standing(context.workspace, plan)
        planning = next_plan_command(context.workspace, plan, standing)
    exit_code, status = judge_undo(undone)
    to_do = step == "plan" and any(entry.count("restorable") for entry in undone.datasets)
    if to_do or (standing.undone is not None and standing.undone.scope == "unfinished"):
        following = f"migrate undo run --plan {undone.plan}"
    elif step == "run" and standing.undone is not None:
        # Whatever became of it: an undone plan is never loaded again.
        following = planning
    else:
        following = None
    app.finish(
        CommandOutcome(
            f"undo {step}",
            render_undo(undone),
            {**summarise_undo(undone), **standing.summarise()},
            exit_code,
            status,
            following,
        )
    )
