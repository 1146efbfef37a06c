"""`migrate load`."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, target_option
from migrate.cli.file_door import FileDoor, Within, file_options, go_by_files
from migrate.cli.streams import say
from migrate.errors import GateError, Interrupted, MigrateError, RemoteError, TargetChanged

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.hours import SendingHours
    from migrate.load.loader import LoadResult
    from migrate.workspace import Workspace


@command("load", "migrate load", "migrate load contacts --plan 20261121-210551")
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--plan", "name", metavar="NAME", help="The plan to execute [the newest].")
@click.option(
    "--confirm-merges",
    type=click.IntRange(min=0),
    metavar="N",
    help="Accept up to N merges, which cannot be undone.",
)
@click.option(
    "--canary",
    type=click.IntRange(min=0, max=500),
    metavar="N",
    help="Write N records of each dataset first and compare them; 0: none [gates.canary].",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Stop when a value is not stored because its column is protected.",
)
@click.option(
    "--until",
    metavar="TIME",
    help="Stop in time for this hour, such as 06:00, with what is in flight settled.",
)
@click.option(
    "--not-before",
    metavar="TIME",
    help="Wait for this hour, such as 22:00, before anything is sent.",
)
@file_options
@target_option
@pass_app
def load(  # noqa: PLR0913, PLR0917  # one parameter an option
    app: App,
    datasets: tuple[str, ...],
    name: str | None,
    target: str | None,
    confirm_merges: int | None,
    canary: int | None,
    strict: bool,
    until: str | None,
    not_before: str | None,
    door: FileDoor,
) -> None:
    """Execute exactly a plan: batch upserts inside the documented points budget.

    Called again, it resumes: what was acknowledged is not sent again. A file PAUSE in the workspace holds it up while
    it is there; the signals USR1 and USR2 make and remove that file.

    A load that its hours have ended (--until, or quiet_hours in migrate.toml) ends with exit code 130, as after Ctrl-C.
    The same command goes on; where nothing may be sent yet, it waits.

    With --files the rows become files for the account's own import, a canary by the API first; --settle reads the
    target back once they are imported, and only then do they count as written.
    """
    from migrate.app.pipeline import run_load
    from migrate.plan.open_plan import choose_plan

    with app.context() as context, pausable(context.workspace):
        name = choose_plan(context.workspace, name, target)
        if door.is_asked and not door.is_handover and (until or not_before):
            raise click.UsageError(
                "--until and --not-before do not go together with --settle or --take-back, which send nothing."
            )
        hours = _hours_of(context, not_before, until)
        given = (("--not-before", not_before), ("--until", until))
        again = "".join(f" {option} {text}" for option, text in given if text)
        try:
            if door.is_asked:
                within = Within(hours, again)
                asked = (context, door, datasets, name, within)
                outcome = go_by_files(*asked, canary=canary, confirm_merges=confirm_merges)
            else:
                result = run_load(
                    context,
                    datasets,
                    name=name,
                    confirm_merges=confirm_merges,
                    strict=strict,
                    canary=canary,
                    hours=hours,
                    again=again,
                )
                outcome = outcome_of(result, read_not_loaded(context, result))
        except (RemoteError, GateError, Interrupted) as error:
            # These come in the middle of a load; what refuses it at the start has nothing to tell.
            tell_stopped(app, context, name, error, f"{door.asked_again}{again}")
            raise
        send_outcome(context, outcome)
    app.finish(outcome)


def _hours_of(context: Context, not_before: str | None, until: str | None) -> SendingHours:
    """When the load may send. Raises click.UsageError for what is no time."""
    from migrate.hours import sending_hours

    try:
        return sending_hours(not_before, until, context.project.octolis.quiet_hours, context.now())
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def read_not_loaded(context: Context, result: LoadResult) -> Mapping[str, int]:
    """What is still to be sent of the plan's datasets that this load was not asked for."""
    from migrate.app.not_loaded import not_loaded
    from migrate.plan.open_plan import open_plan

    return not_loaded(
        context.workspace,
        open_plan(context.workspace, result.plan, check_files=False),
        result.datasets,
    )


def outcome_of(result: LoadResult, others: Mapping[str, int]) -> CommandOutcome:
    """How a load that was not stopped ended; `others`: records to send of the datasets that it was not asked for."""
    from migrate.report.load import left_behind, render_load, summarise_load

    behind = left_behind(result)
    unfinished = bool(others) or any(
        dataset.deferred or dataset.open for dataset in result.datasets.values()
    )
    return CommandOutcome(
        command="load",
        text=render_load(result, others),
        data={**summarise_load(result, others), "not_loaded": dict(others)},
        exit_code=3 if behind else 0,
        status="done, with rejected or deferred records" if behind else "done",
        next=f"migrate {'load' if unfinished else 'reconcile'} --plan {result.plan}",
    )


def tell_stopped(
    app: App, context: Context, name: str | None, error: MigrateError, again: str = ""
) -> None:
    """Says what was done before the load was stopped, where it had begun, and sends that to the webhook.

    `again`: the options of the command that goes on.
    """
    from migrate.load.loader import result_so_far
    from migrate.plan.open_plan import open_plan
    from migrate.report.load import render_load, summarise_load

    try:
        result = result_so_far(
            context.workspace, open_plan(context.workspace, name, check_files=False).name
        )
    except MigrateError:
        # What stopped the load is what its user should see, not that there is nothing to say of it.
        return
    if result is None:
        return
    if isinstance(error, Interrupted):
        following = error.hint
    elif isinstance(error, TargetChanged):
        # The same load again would be stopped alike.
        following = error.remake
    else:
        following = None
    following = following or f"migrate load{again} --plan {result.plan}"
    app.achieved = {**summarise_load(result), "next": following}
    if not app.as_json:
        say(render_load(result), err=True)
    status = "interrupted" if error.exit_code == 130 else "stopped"
    send_outcome(
        context, CommandOutcome("load", "", summarise_load(result), error.exit_code, status)
    )


def send_outcome(context: Context, outcome: CommandOutcome) -> None:
    """Sends the numbers of an outcome to the webhook, where one is configured."""
    from migrate.app.webhooks import send_summary

    head: dict[str, Any] = {
        "command": outcome.command,
        "exit_code": outcome.exit_code,
        "status": outcome.status,
    }
    send_summary(context, {**head, **outcome.data})


@contextmanager
def pausable(workspace: Workspace) -> Iterator[None]:
    """While the block runs, USR1 pauses the load and USR2 lets it go on, where the system has these signals."""
    from migrate.load.pause import set_pause

    def on_signal(number: int, _frame: object) -> None:
        set_pause(workspace, on=number == signal.SIGUSR1)

    # Windows has no such signals; there the file PAUSE is the way.
    numbers = (signal.SIGUSR1, signal.SIGUSR2) if hasattr(signal, "SIGUSR1") else ()
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
