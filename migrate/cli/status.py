"""`migrate status`."""

from __future__ import annotations

import time

import click

from migrate.cli.app import App, CommandOutcome, command, pass_app
from migrate.cli.streams import say


@command(
    "status",
    "migrate status",
    "migrate status --plan 20261121-210551 --json",
    "migrate status --watch",
)
@click.option("--plan", "name", metavar="NAME", help="Only this plan.")
@click.option(
    "--watch", is_flag=True, help="Follow the plan's load, from any terminal, until it is done."
)
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    help="Seconds between looks.",
)
@pass_app
def status(app: App, name: str | None, watch: bool, every: float) -> None:
    """Show snapshots, plans and the ledger: what is done, what is left, and the next command. Reads files only."""
    # --json promises one object at the end, and a watch has no end of its own.
    if watch and not app.as_json:
        follow(app, name, every)
    from migrate.app.status import read_status
    from migrate.report.status import render_status, summarise_status
    from migrate.workspace import Workspace

    state = read_status(Workspace.of(app.open_project()), name)
    app.finish(
        CommandOutcome(
            command="status",
            text=render_status(state),
            data=summarise_status(state),
            next=state.next,
        )
    )


def follow(app: App, name: str | None, every_s: float) -> None:
    """Shows the load of a plan again and again until it is over, or Ctrl-C; once, where it has not begun."""
    from migrate.app.status import read_load
    from migrate.report.status import render_load_state
    from migrate.target.spent import fingerprints
    from migrate.workspace import Workspace

    project = app.open_project()
    workspace = Workspace.of(project)
    keys = fingerprints(project.secrets.octolis)
    begun_s = time.monotonic()
    first = None
    with app.interruptible(announce=False) as stop:
        while True:
            state = read_load(workspace, project.octolis, len(keys), name, time.time(), keys)
            # The speed is that of the watch: what was done before it began took who knows how long.
            first = state.done if first is None else first
            waited_s = time.monotonic() - begun_s
            click.clear()
            if waited_s > 0:
                speed = (state.done - first) / waited_s
            else:
                speed = 0.0
            say(f"{render_load_state(state, speed)}\n")
            if state.is_over or stop.wait(every_s):
                break
    if state.not_begun:
        app.suggest(f"migrate load --plan {state.plan}")
