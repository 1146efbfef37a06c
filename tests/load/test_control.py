"""A load in a process of its own, held up, let go, asked for its time to go, killed and taken up again."""

from __future__ import annotations

import json
import signal
import time

import pytest

from migrate.app.status import LoadState, read_load
from migrate.config import Octolis
from migrate.load.ledger_view import LedgerView
from migrate.load.totals import Totals
from migrate.workspace import Workspace
from tests.forked import Process
from tests.harness import PATIENCE_S, Project, wait_until
from tests.load.projects import MakeProject, prepared

SLOW = "octolis:slow=0.1@path=*batch"


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A project with a plan of many small batches, and a service that takes a tenth of a second for each."""
    made = prepared(make_project(), "batch_bytes = 10000\nconcurrency = 2")
    made.set_faults((SLOW,))
    return made


def taken(project: Project) -> int:
    """The batches that the service has answered."""
    return int(sum(project.state()["requests"].get("octolis", {}).get("batch", {}).values()))


def state_of(project: Project) -> LoadState:
    """What `status --watch` shows."""
    workspace = Workspace(project.folder / "migration")
    return read_load(workspace, Octolis(limit_speed=100), 1, None, time.time())


def says_it_is_paused(process: Process) -> None:
    """Waits until the load has seen that it is to pause."""
    assert process.stderr is not None
    assert any(
        "paused: what is in flight ends" in line for line in iter(process.stderr.readline, "")
    )


def rests(process: Process, project: Project) -> int:
    """The batches taken, once the load says that it is paused and nothing is in flight; asserts that nothing leaves."""
    says_it_is_paused(process)
    wait_until(lambda: not any(entry.unknown for entry in state_of(project).totals.values()))
    before = taken(project)
    time.sleep(0.8)
    assert taken(project) == before
    assert process.poll() is None
    return before


def finished(process: Process) -> tuple[int, str]:
    """The exit code and what was said on stderr."""
    _, stderr = process.communicate(timeout=PATIENCE_S)
    return process.returncode, stderr


def test_paused_and_resumed_by_signals(project: Project) -> None:
    """USR1: what is in flight ends, nothing more leaves, `status` says paused. USR2: it goes on and ends well."""
    process = project.start("load")
    wait_until(lambda: taken(project) >= 3)
    process.send_signal(signal.SIGUSR1)
    at = rests(process, project)
    assert state_of(project).paused
    process.send_signal(signal.SIGUSR2)
    wait_until(lambda: taken(project) > at)
    project.set_faults(())
    code, stderr = finished(process)
    assert (code, "going on" in stderr) == (0, True), stderr
    assert not (project.folder / "migration" / "PAUSE").exists()


def test_paused_and_resumed_by_a_file(project: Project) -> None:
    """The file holds a load that is running, and one that is only beginning; without it both go on."""
    file = project.folder / "migration" / "PAUSE"
    process = project.start("load")
    wait_until(lambda: taken(project) >= 3)
    file.touch()
    at = rests(process, project)
    process.kill()
    process.communicate()
    process = project.start("load")
    assert rests(process, project) == at
    file.unlink()
    project.set_faults(())
    assert finished(process)[0] == 0
    assert state_of(project).is_over


def test_a_paused_load_can_be_stopped(project: Project) -> None:
    """SIGTERM ends it at once, and the next load waits for the file to go as this one did."""
    process = project.start("load", "--json")
    wait_until(lambda: taken(project) >= 3)
    process.send_signal(signal.SIGUSR1)
    rests(process, project)
    process.send_signal(signal.SIGTERM)
    stdout, _ = process.communicate(
        timeout=60
    )  # the file stays where it is: the load would never end by itself
    assert (process.returncode, json.loads(stdout)["status"]) == (130, "interrupted")
    assert (project.folder / "migration" / "PAUSE").exists()


def test_the_time_to_go_survives_a_restart(project: Project) -> None:
    """It comes from the ledger: a kill and a restart change neither the pace so far nor what is said to be left."""
    process = project.start("load", "-q")
    wait_until(lambda: taken(project) >= 24)
    process.kill()
    process.communicate()
    before = state_of(project)
    assert left_of(before) * 0.02 < before.left_s < left_of(before) * 60
    (project.folder / "migration" / "PAUSE").touch()
    process = project.start("load")
    says_it_is_paused(process)
    after = state_of(project)
    assert (after.left_s, after.done, left_of(after)) == (
        before.left_s,
        before.done,
        left_of(before),
    )
    (project.folder / "migration" / "PAUSE").unlink()
    project.set_faults(())
    assert finished(process)[0] == 0
    assert state_of(project).left_s == 0


def left_of(state: LoadState) -> int:
    """The batches that are not done."""
    return sum(entry.batches - entry.batches_done for entry in state.totals.values())


def test_the_sums_of_all_lives_are_told_at_the_end(project: Project) -> None:
    """After a kill in the middle, the last lines count the whole plan, not only the second half."""
    process = project.start("load", "-q")
    wait_until(lambda: taken(project) >= 8)
    process.kill()
    process.communicate()
    project.set_faults(())
    summary = project.run("load", "--json", "-q").summary
    with LedgerView(project.folder / "migration" / "ledger.sqlite") as view:
        books: dict[str, Totals] = view.totals(summary["plan"])
    for name, entry in summary["datasets"].items():
        assert (entry["written"], entry["requests"]) == (books[name].planned, books[name].requests)
    assert sum(entry["requests"] for entry in summary["datasets"].values()) >= 8
