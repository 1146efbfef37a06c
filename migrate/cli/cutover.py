"""`migrate cutover`."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, utc_now
from migrate.cli.language import language_of, language_option
from migrate.cli.load import pausable
from migrate.cli.run import judge
from migrate.cli.streams import say
from migrate.errors import UsageError

if TYPE_CHECKING:
    from migrate.app.context import Context
    from migrate.app.cutover.rehearse import RehearsedCutover
    from migrate.app.cutover.run import Cutover, CutoverRequest
    from migrate.app.cutover.timetable import Stage

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class Share(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.2 on only
    """A share of all records: `2%` or `0.02`."""

    name = "share"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The share as a number from 0 to 1. Fails for anything else."""
        if isinstance(value, float):
            return value
        try:
            share = float(value.removesuffix("%")) / (100 if value.endswith("%") else 1)
        except ValueError:
            # As any number outside of 0 to 1: NaN, which float() takes, fails the same test.
            share = -1.0
        if not 0 <= share <= 1:
            self.fail(f"{value!r} is no share; write 2% or 0.02", param, ctx)
        return share


@command(
    "cutover",
    "migrate cutover --forecast --start 22:00",
    "migrate cutover --rehearse --changed 3% --speed 20",
    "migrate cutover --since first-full",
)
@click.option(
    "--since", metavar="SNAPSHOT", help="The snapshot to build on [what was loaded last]."
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the night's snapshot and plan; of one that was begun, to go on.",
)
@click.option(
    "--start",
    metavar="HH:MM",
    help="When the freeze begins, for the clock times of the forecast [now].",
)
@click.option(
    "--forecast", "only_forecast", is_flag=True, help="Print the timetable and do nothing."
)
@click.option(
    "--rehearse",
    is_flag=True,
    help="Do it all against the sandbox, with your snapshot and a made-up delta.",
)
@click.option(
    "--changed",
    type=Share(),
    default="2%",
    show_default=True,
    help="Records expected to have changed.",
)
@click.option(
    "--new", type=Share(), default="1%", show_default=True, help="Records expected to be new."
)
@click.option(
    "--gone", type=Share(), default="0.1%", show_default=True, help="Records expected to be gone."
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=999),
    default=1.0,
    show_default=True,
    help="In a rehearsal: make the sandbox this much faster than the services.",
)
@click.option(
    "--confirm-merges",
    type=click.IntRange(min=0),
    metavar="N",
    help="Accept up to N merges, for good.",
)
@language_option
@pass_app
def cutover(  # noqa: PLR0913, PLR0917  # one parameter per option
    app: App,
    since: str | None,
    name: str | None,
    start: str | None,
    only_forecast: bool,
    rehearse: bool,
    changed: float,
    new: float,
    gone: float,
    speed: float,
    confirm_merges: int | None,
) -> None:
    """The night of the cut-over: what changed since a snapshot is extracted, planned, loaded and counted.

    A timetable with clock times is printed before it begins, and again with what each step took. Called again, it goes
    on where it stopped. A gate that fails stops it before the load, like `migrate run`.
    """
    from migrate.app.cutover.run import CutoverRequest
    from migrate.demo.drift import Shares

    if rehearse and only_forecast:
        raise UsageError(
            "--rehearse and --forecast do not go together",
            hint="a rehearsal prints the forecast first",
        )
    request = CutoverRequest(
        since, name, parse_start(start), Shares(changed, new, gone), confirm_merges
    )
    with app.context() as context:
        # `finish` does not come back: each of the three ways ends there.
        if only_forecast:
            app.finish(_forecast(context, request))
        if rehearse:
            app.finish(_rehearse(app, context, request, speed))
        with pausable(context.workspace):
            app.finish(_run(app, context, request))


def parse_start(text: str | None) -> datetime | None:
    """Today at that time of day, in this machine's time zone. Raises UsageError."""
    if text is None:
        return None
    clock = _CLOCK.fullmatch(text)
    if not clock:
        raise UsageError(f"--start {text!r:.40} is no time of day", hint="write it as 22:00")
    return (
        utc_now()
        .astimezone()
        .replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    )


def _forecast(context: Context, request: CutoverRequest) -> CommandOutcome:
    from migrate.app.cutover.run import prepare_cutover
    from migrate.report.cutover import render_night, summarise_cutover

    night = prepare_cutover(context, request)
    following = f"migrate cutover --since {night.base}"
    return CommandOutcome(
        "cutover", render_night(night), summarise_cutover(night), status="forecast", next=following
    )


def _run(app: App, context: Context, request: CutoverRequest) -> CommandOutcome:
    from migrate.app.cutover.run import again, prepare_cutover, run_cutover
    from migrate.app.webhooks import send_summary

    ready = prepare_cutover(context, request)
    _show(app, ready, "extract")
    done = run_cutover(context, ready, request, lambda found, stage: _show(app, found, stage))
    outcome = _outcome(app, context, done)
    facts = {"command": outcome.command, "exit_code": outcome.exit_code, "status": outcome.status}
    send_summary(context, {**facts, **outcome.data})
    if done.run and done.run.stopped:
        return replace(outcome, next=again(done))
    return outcome


def _rehearse(app: App, context: Context, request: CutoverRequest, speed: float) -> CommandOutcome:
    from migrate.app.cutover.rehearse import rehearse_cutover
    from migrate.report.cutover import render_made_up

    with rehearse_cutover(
        context, request, speed=speed, show=lambda found, stage: _show(app, found, stage)
    ) as done:
        note = _rehearsal_note(done, speed)
        outcome = _outcome(app, context, done.cutover, note)
    made_up = {
        name: dict(zip(("changed", "new", "gone"), counts, strict=True))
        for name, counts in done.made_up.items()
    }
    return replace(
        outcome,
        text="\n\n".join([outcome.text, render_made_up(done.made_up), note]),
        data={**outcome.data, "made_up": made_up, "speed": speed},
        # 3 is done, with something left over: it keeps nobody from the night itself.
        next=f"migrate cutover --since {done.base}" if outcome.exit_code in (0, 3) else None,
    )


def _rehearsal_note(done: RehearsedCutover, speed: float) -> str:
    from migrate.sentence import Sentence

    if speed == 1:
        pace = Sentence("at the services' speed")
    else:
        pace = Sentence("{times} times as fast as the services", times=float(speed))
    return Sentence(
        "A rehearsal: snapshot {base} and these mappings against the sandbox, {pace}. Neither service was asked "
        "anything, and nothing of it is left but this report.",
        base=done.base,
        pace=pace,
    )


def _show(app: App, cutover: Cutover, stage: Stage) -> None:
    """The timetable before the night, and again once its own plan is known; on stderr, since it is not the result."""
    from migrate.report.cutover import render_night

    begins = not cutover.night.stages
    # Of all stages only the plan's makes the forecast better: it knows the load's requests.
    if not app.quiet and (begins or stage == "plan"):
        if begins:
            head = ""
        else:
            head = "The plan is made; what is left, by it:\n\n"
        say(f"{head}{render_night(cutover)}\n", err=True)


def _outcome(app: App, context: Context, done: Cutover, rehearsal: str = "") -> CommandOutcome:
    """How a night ended, its page written; `rehearsal`: what it says of being none."""
    from migrate.report.cutover import render_cutover, summarise_cutover
    from migrate.report.run import write_report

    if done.run is None:
        raise RuntimeError("a night ends with a run")
    summary = summarise_cutover(done, {"rehearsal": rehearsal})
    language = language_of(app, context.project)
    page = write_report(context.workspace.reports, done.name, summary, utc_now(), language)
    exit_code, status, following = judge(done.run)
    lines = [render_cutover(done)]
    if done.run.stopped:
        lines += [
            f"Stopped: {done.run.stopped.what}",
            f"  -> {app.full(done.run.stopped.hint or '')}",
        ]
    lines.append(f"Report: {page}")
    stopped = done.run.stopped.what if done.run.stopped else None
    data = {**summary, "report": str(page), "stopped": stopped}
    return CommandOutcome("cutover", "\n\n".join(lines), data, exit_code, status, following)
