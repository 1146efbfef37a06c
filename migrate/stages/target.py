"""The target as the stages ask it: one client within one budget, places for what is read, waits that can be ended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from migrate.errors import Interrupted
from migrate.plan.opening import Plan
from migrate.target.client import TargetClient

if TYPE_CHECKING:
    from migrate.stages.run import Job


def open_target(job: Job) -> TargetClient:
    """The target's client, inside the budget that all commands of the workspace share."""
    return TargetClient(
        job.project.octolis,
        job.project.secrets.octolis_keys(),
        state_file=job.workspace.root / "budget.json",
        stop=job.stop,
        note=job.progress.note,
    )


def readings_folder(job: Job, plan: Plan) -> Path:
    """Where a plan's read-backs lie until the verification is done."""
    return job.workspace.reports / f".{plan.name}-read-back"


def reading_folder(job: Job, plan: Plan, dataset: str) -> Path:
    """Where the pages of one dataset are kept."""
    return readings_folder(job, plan) / dataset


def sleeper(job: Job, patience: float = 1.0) -> Callable[[float], None]:
    """A sleep, stretched by `patience`, that ends with Interrupted as soon as the job is asked to stop."""

    def sleep(seconds: float) -> None:
        if job.stop.wait(seconds * patience):
            raise Interrupted("stopped while waiting for the target to rest")

    return sleep
