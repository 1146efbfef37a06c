"""`migrate run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, utc_now
from migrate.cli.language import language_of, language_option
from migrate.cli.load import pausable

if TYPE_CHECKING:
    from migrate.app.pipeline import Run


@command("run", "migrate run", "migrate run --json > run.json")
@click.option("--fresh", is_flag=True, help="Extract again, even where there is a snapshot.")
@language_option
@pass_app
def run(app: App, fresh: bool) -> None:
    """Extract, plan, load and reconcile, stopping where a gate fails.

    Ends with a report in the workspace. Called again after a stop, it goes on: with an extract that is unfinished, or
    with the last snapshot, where that is proven, less than 24 hours old and not loaded to the end yet (it says so);
    else it begins with a new extract.
    """
    from migrate.app.pipeline import run_all
    from migrate.app.webhooks import send_summary
    from migrate.report.run import render_run_text, summarise_run, write_report

    with app.context() as context, pausable(context.workspace):
        done = run_all(context, fresh=fresh)
        summary = summarise_run(done)
        page = write_report(
            context.workspace.reports,
            done.extraction.snapshot,
            summary,
            utc_now(),
            language_of(app, context.project),
        )
        exit_code, status, following = judge(done)
        send_summary(
            context, {"command": "run", "exit_code": exit_code, "status": status, **summary}
        )
    lines = [render_run_text(done)]
    if done.stopped:
        lines += [f"Stopped: {done.stopped.what}", f"  -> {app.full(done.stopped.hint or '')}"]
    lines.append(f"Report: {page}")
    app.finish(
        CommandOutcome(
            command="run",
            text="\n\n".join(lines),
            data={
                **summary,
                "report": str(page),
                "stopped": done.stopped.what if done.stopped else None,
            },
            exit_code=exit_code,
            status=status,
            next=following,
        )
    )


def judge(done: Run) -> tuple[int, str, str | None]:
    """Exit code, status and next command of a run."""
    from migrate.report.load import left_behind
    from migrate.report.reconcile import judge_reconciliation

    if done.stopped:
        return done.stopped.exit_code, "stopped by a gate", _after_stop(done)
    if done.plan is None or done.loaded is None or done.reconciliation is None:
        # No stage ends a run without saying why, so this is a bug of the tool.
        return 1, "incomplete", "migrate status"
    exit_code, status = judge_reconciliation(done.reconciliation)
    # That the target was too busy for some is no difference: the same load goes on with them.
    if status == "unfinished" and done.reconciliation.only_deferred:
        return 3, "done, with rejected or deferred rows", f"migrate load --plan {done.plan.name}"
    if exit_code:
        return exit_code, status, f"migrate reconcile --plan {done.plan.name}"
    following = f"migrate evidence --plan {done.plan.name}"
    rejected = any(dataset.rejected for dataset in done.plan.document.datasets.values())
    if rejected or left_behind(done.loaded):
        return 3, "done, with rejected or deferred rows", following
    return 0, "done", following


def _after_stop(done: Run) -> str:
    """Where to look for the cause of a stop: in the snapshot, in the plan, or in what the target refused."""
    if done.plan is None:
        return f"migrate inspect --snapshot {done.extraction.snapshot}"
    if done.loaded is None:
        return f"migrate diff --plan {done.plan.name}"
    return f"migrate rejects list --plan {done.plan.name}"
