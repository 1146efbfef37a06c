"""The shared gate."""

from __future__ import annotations

import json
import threading
import time

import pytest

from migrate.errors import Interrupted
from migrate.target.budget import Budget
from migrate.target.gate import Gate, read_points_left


def test_threads_share_the_budget():
    """Eight threads together get no more than the windows hold."""
    gate, taken, begun = Gate(Budget(1, speed=20), threading.Event()), [], time.monotonic()

    def work() -> None:
        for _ in range(5):
            gate.acquire(10)
            taken.append(time.monotonic() - begun)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.sort()
    assert len(taken) == 40
    assert taken[-1] > (40 - 17) / 2 * 0.05 * 0.9


def test_a_stop_ends_the_waiting():
    """Who waits for points is told at once that the run stops."""
    stop = threading.Event()
    gate = Gate(Budget(1), stop)
    for _ in range(17):
        gate.acquire(10)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Interrupted):
        gate.acquire(10)


def test_the_state_survives(tmp_path):
    """A gate that is opened a moment later has nothing left to burst; much later it has."""
    file, now = tmp_path / "budget.json", [1000.0]
    first = Gate(Budget(1), threading.Event(), file, wall_clock=lambda: now[0])
    for _ in range(17):
        first.acquire(10)
    now[0] += 30
    budget = Budget(1)
    Gate(budget, threading.Event(), file, wall_clock=lambda: now[0])
    assert len(json.loads(file.read_text())["keys"][0]["burst"]) == 15
    assert sum(hold.cost for key in budget._keys for hold in key.burst) == 150
    now[0] += 60
    late = Budget(1)
    Gate(late, threading.Event(), file, wall_clock=lambda: now[0])
    assert not late._keys[0].burst


@pytest.mark.parametrize("text", ["", "{", "[]", '{"saved_at": "x"}', "null"])
def test_an_unreadable_state_is_a_fresh_budget(tmp_path, text):
    """A damaged file stops nobody."""
    file = tmp_path / "budget.json"
    file.write_text(text)
    gate = Gate(Budget(1), threading.Event(), file)
    gate.acquire(10)
    assert json.loads(file.read_text())["keys"]


def test_points_left_are_seen_from_outside(tmp_path):
    """What a process has spent another one can read, until the windows are over; without a file nothing is said."""
    file = tmp_path / "budget.json"
    gate = Gate(Budget(1), threading.Event(), file, clock=lambda: 0.0, wall_clock=lambda: 1000.0)
    assert gate.points_left() == 175
    gate.acquire(10)
    assert gate.points_left() == 165
    assert read_points_left(file, 1000.0, 1, 1.0, 1.0) == 165
    assert read_points_left(file, 1100.0, 1, 1.0, 1.0) == 175
    assert read_points_left(tmp_path / "none.json", 1000.0, 1, 1.0, 1.0) is None
