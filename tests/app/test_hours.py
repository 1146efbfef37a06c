"""A load that its hours end, and one that waits for them, with a clock of the test's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from migrate.app.context import Context
from migrate.app.not_loaded import read_totals
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.config import load_project
from migrate.errors import Interrupted
from migrate.hours import SendingHours, parse_hours
from tests.harness import SOURCE_KEY, TARGET_KEY, Project
from tests.verify.conftest import make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
SIX = datetime(2026, 12, 1, 6, tzinfo=UTC)


@pytest.fixture
def job(make_project: Callable[..., Project]) -> Context:
    """A plan of 2,500 interactions in five batches, sent one at a time to a target that takes its time."""
    project = make_project(whole=True, latency_s=0.4)
    project.write(octolis="limit_speed = 100\nconcurrency = 1")
    context = make_job(load_project(project.folder / "migrate.toml", KEYS))
    run_extract(context)
    run_plan(context, ["interactions"], name="night")
    return context


def held(context: Context) -> int:
    """The interactions that the target holds."""
    url = context.project.octolis.base_url.removesuffix("/v1/data")
    found = httpx.get(f"{url}/_sandbox/state").json()["datasets"]["interactions"]["count"]
    return int(found)


def test_a_load_stops_for_its_hours_and_the_same_command_goes_on(job: Context) -> None:
    """Nothing is in flight then, nothing unknown, and the next night sends only what is left."""
    at_six = replace(job, now=lambda: SIX if held(job) else SIX - timedelta(hours=1))
    hours = SendingHours(until=SIX)
    with pytest.raises(Interrupted, match="its hours are over") as caught:
        run_load(at_six, name="night", canary=0, hours=hours, again=" --until 06:00")
    assert caught.value.exit_code == 130
    assert caught.value.hint == "migrate load --plan night --until 06:00"
    first = read_totals(job.workspace, "night")["interactions"]
    assert 0 < first.written < 2_500
    assert (first.unknown, held(job)) == (0, first.written)

    again = run_load(job, name="night").datasets["interactions"]
    assert (again.written, held(job)) == (2_500, 2_500)
    assert again.requests == 5, "no batch left twice"
    assert run_reconcile(job, "night").verdict == "match"


class Passing(threading.Event):
    """A stop that nobody asks for; waiting for it lets an hour pass on the test's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 11, 30, 12, tzinfo=UTC)

    def wait(self, timeout: float | None = None) -> bool:
        """An hour passes where seconds are waited for, as a load in quiet hours does."""
        if timeout is not None and timeout > 1:
            self.now += timedelta(hours=1)
            return False
        return super().wait(timeout)


def test_in_quiet_hours_a_load_waits(job: Context) -> None:
    """Begun at noon it sends nothing before six in the evening, and then all of it."""
    clock = Passing()
    quiet = SendingHours(quiet=(parse_hours("08:00-18:00 UTC"),))
    waiting = replace(job, stop=clock, now=lambda: clock.now)
    written = run_load(waiting, name="night", canary=0, hours=quiet).datasets["interactions"]
    assert clock.now == datetime(2026, 11, 30, 18, tzinfo=UTC)
    assert written.written == 2_500
