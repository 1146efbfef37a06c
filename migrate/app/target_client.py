"""The target as the stages ask it: one client within one budget, places for what is read, waits that can be ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.errors import Interrupted
from migrate.plan.open_plan import Plan
from migrate.target.client import TargetClient
from migrate.target.spent import windows_file

if TYPE_CHECKING:
    from migrate.app.context import Context


def open_target(context: Context) -> TargetClient:
    """The target's client, inside the budget that all commands of the workspace share."""
    return TargetClient(
        context.project.octolis,
        context.project.secrets.octolis_keys(),
        # What a key has spent is kept with the user: commands in other workspaces spend from the same window.
        state_file=windows_file(context.project.octolis.base_url, context.workspace.root),
        stop=context.stop,
        note=context.progress.note,
    )


def readings_folder(context: Context, plan: Plan) -> Path:
    """Where a plan's read-backs lie until the verification is done."""
    return context.workspace.reports / f".{plan.name}-read-back"


def reading_folder(context: Context, plan: Plan, dataset: str) -> Path:
    """Where the pages of one dataset are kept."""
    return readings_folder(context, plan) / dataset


def sleeper(context: Context, patience: float = 1.0) -> Callable[[float], None]:
    """A sleep, stretched by `patience`, that ends with Interrupted as soon as the job is asked to stop."""

    def sleep(seconds: float) -> None:
        # Not time.sleep: Ctrl-C must end a wait of minutes at once.
        if context.stop.wait(seconds * patience):
            raise Interrupted("stopped while waiting for the target to rest")

    return sleep
