"""Real processes that load, and are killed, interrupted or doubled."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrate.load.ledger_view import LedgerView
from migrate.load.totals import Totals
from tests import forked
from tests.forked import Process
from tests.harness import PATIENCE_S, from_batch, wait_until

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("load_process.py")
BATCHES, ROWS, CONCURRENCY = 120, 5, 8


@pytest.fixture
def start(start_sandbox, make_plan, contacts, workspace):
    """Starts a process that loads 120 batches into a sandbox; gives the sandbox and the starter."""
    box = start_sandbox(latency_s=0.01)
    [dataset] = make_plan(contacts=contacts(BATCHES, ROWS)).datasets

    started: list[Process] = []

    def go(canary: int = 0) -> Process:
        arguments = (
            box.octolis_url,
            str(workspace.root),
            str(dataset.records),
            str(dataset.rows),
            str(BATCHES),
            str(canary),
        )
        started.append(forked.start([str(PROGRAM), *arguments], ROOT, os.environ))
        return started[-1]

    yield box, go
    for process in started:
        process.kill()
        process.wait()


def finish(process: Process) -> tuple[int, str]:
    """The exit code and what the process said."""
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said or ""


def batches_taken(box: Any) -> int:
    """The batches the sandbox answered with 200."""
    requests = httpx.get(f"{box.url}/_sandbox/state").json()["requests"]
    return int(requests.get("octolis", {}).get("batch", {}).get("200", 0))


def set_faults(box: Any, *faults: str) -> None:
    """Replaces the sandbox's faults."""
    httpx.post(f"{box.url}/_sandbox/faults", json=faults).raise_for_status()


def kill_at(process: Process, box: Any, goal: int) -> None:
    """Kills the process when the sandbox has taken `goal` batches."""
    wait_until(lambda: batches_taken(box) >= goal or process.poll() is not None)
    process.kill()
    finish(process)


def totals_of(workspace: Any) -> Totals:
    """The ledger's sums of the one dataset."""
    with LedgerView(workspace.ledger) as view:
        return view.totals("first")["contacts"]


@pytest.mark.end_to_end
def test_killed_at_any_moment(start, workspace):
    """After a dozen kills the same command ends in the same target; only what was in flight is sent again."""
    box, go = start
    rng, kills = random.Random(7), 0
    for goal in sorted(rng.sample(range(1, BATCHES - 10), 12)):
        kill_at(go(), box, goal)
        kills += 1
    assert finish(go()) == (0, "")
    totals = totals_of(workspace)
    assert (totals.written, totals.created, totals.open) == (BATCHES * ROWS, BATCHES * ROWS, 0)
    assert (
        httpx.get(f"{box.url}/_sandbox/state").json()["datasets"]["contacts"]["count"]
        == BATCHES * ROWS
    )
    assert batches_taken(box) <= BATCHES + kills * CONCURRENCY
    sent = batches_taken(box)
    assert finish(go()) == (0, "")
    assert batches_taken(box) == sent


def test_interrupted_once(start, workspace):
    """Ctrl-C ends the process with code 130 and the command that goes on; nothing acknowledged is sent again."""
    box, go = start
    set_faults(box, from_batch(21, "slow=2"))
    process = go()
    wait_until(lambda: batches_taken(box) >= 20)
    process.send_signal(signal.SIGINT)
    code, said = finish(process)
    set_faults(box)
    assert (code, "migrate load --plan first" in said) == (130, True)
    assert totals_of(workspace).batches_done == batches_taken(box)
    assert finish(go()) == (0, "")
    assert batches_taken(box) == BATCHES


def test_two_at_once(start):
    """The second process ends at once with code 7 and names the first; the first one is not disturbed."""
    box, go = start
    set_faults(box, from_batch(6, "slow=2"))
    first = go()
    wait_until(lambda: batches_taken(box) >= 5)
    code, said = finish(go())
    assert (code, f"process {first.pid} on host" in said) == (7, True)
    set_faults(box)
    assert finish(first) == (0, "")
    assert batches_taken(box) == BATCHES


def faults_met(box: Any) -> int:
    """The requests that met a fault."""
    requests = httpx.get(f"{box.url}/_sandbox/state").json()["requests"]
    return sum(requests.get("octolis", {}).get("fault", {}).values())


@pytest.mark.parametrize(
    ("faults", "is_known"),
    [
        (("octolis:500@path=*records/*-*",), True),
        (("octolis:reset-after@path=*batch,at=1", "octolis:503@path=*batch"), False),
    ],
    ids=["while it is read back", "before its answer"],
)
def test_killed_in_the_canary(start, workspace, faults, is_known):
    """The next call goes on with the canary: it is written once more only where no answer had come."""
    box, go = start
    set_faults(box, *faults)
    process = go(canary=1)
    # Its reading, or its second try, fails as long as it is asked for: it is in the middle of the canary.
    wait_until(lambda: faults_met(box) >= 2 or process.poll() is not None)
    assert process.poll() is None
    process.kill()
    finish(process)
    known = totals_of(workspace)
    assert (known.written, known.batches_done) == (int(is_known), 0)
    set_faults(box)
    assert finish(go(canary=1)) == (0, "")
    totals = totals_of(workspace)
    assert (totals.written, totals.created, totals.open) == (BATCHES * ROWS, BATCHES * ROWS, 0)
    count = httpx.get(f"{box.url}/_sandbox/state").json()["datasets"]["contacts"]["count"]
    assert count == BATCHES * ROWS
    assert batches_taken(box) <= BATCHES + 1 + (not is_known)
    with LedgerView(workspace.ledger) as view:
        assert view.canaries("first")["contacts"].verdict == "kept"
