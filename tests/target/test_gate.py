"""The shared gate."""

from __future__ import annotations

import json
import threading
import time

import pytest

from migrate.errors import GaveUp, Interrupted
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
    gate = Gate(Budget(1), stop, clock=lambda: 0.0)
    for _ in range(17):
        gate.acquire(10)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(Interrupted):
        gate.acquire(10)


def refuse(gate: Gate, retry_after_s: float) -> None:
    """One request that the service refuses, asking for a wait."""
    gate.settled(
        gate.acquire(10), started=0.0, ended=0.0, refused=True, retry_after_s=retry_after_s
    )


def test_a_long_pause_is_not_waited_for(tmp_path):
    """Who waits already, who comes and who starts later are told at once how long the service asked for."""
    file, clocks = tmp_path / "budget.json", {"clock": lambda: 0.0, "wall_clock": lambda: 1000.0}
    gate = Gate(Budget(1), threading.Event(), file, longest_pause_s=600, **clocks)
    granted, waiting, ends = [gate.acquire(10) for _ in range(16)], threading.Event(), []

    def work() -> None:
        waiting.set()
        try:
            while True:
                gate.acquire(10)
        except GaveUp as error:
            ends.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    waiting.wait()
    gate.settled(granted[0], started=0.0, ended=0.0, refused=True, retry_after_s=86_400)
    thread.join(60)
    assert [error.what for error in ends] == [
        "Octolis asked to wait another 86400 s; retry_budget_s allows 600 s"
    ]
    assert "after 1970-01-02 00:16:40 UTC" in (ends[0].hint or "")
    later = Gate(Budget(1), threading.Event(), file, longest_pause_s=600, **clocks)
    with pytest.raises(GaveUp, match="86400 s"):
        later.acquire(1)


def test_any_asked_wait_can_be_named():
    """A wait beyond every calendar is refused like any other."""
    gate = Gate(Budget(1), threading.Event(), longest_pause_s=600, clock=lambda: 0.0)
    refuse(gate, 1e300)
    with pytest.raises(GaveUp):
        gate.acquire(1)


def test_another_key_goes_on():
    """A key that has to wait for a day stops nobody while there is a second one."""
    gate = Gate(Budget(2), threading.Event(), longest_pause_s=600, clock=lambda: 0.0)
    refuse(gate, 86_400)
    assert {gate.acquire(10).key_index for _ in range(5)} == {1}


def test_points_are_waited_for_however_long():
    """Only a pause that the service asked for is refused: the own windows are no reason to give up."""
    gate = Gate(Budget(1, speed=100), threading.Event(), longest_pause_s=0.0)
    for _ in range(25):
        gate.acquire(10)


def test_a_recall_ends_the_waiting_of_those_who_wait():
    """Who waits for points or to ask again is called back; who comes afterwards is served."""
    gate, ends = Gate(Budget(1), threading.Event(), longest_pause_s=600), []
    refuse(gate, 0.5)

    def wait(call) -> None:
        try:
            call()
        except Interrupted:
            ends.append(call)

    threads = [
        threading.Thread(target=wait, args=(call,))
        for call in (lambda: gate.sleep(300), lambda: take(gate))
    ]
    for thread in threads:
        thread.start()
    while len(ends) < 2:
        time.sleep(0.1)
        gate.recall()  # each time, since a thread may have begun to wait only just now
    for thread in threads:
        thread.join()
    gate.acquire(1)


def take(gate: Gate) -> None:
    """Asks for points until nothing is left."""
    while True:
        gate.acquire(10)


def test_sleeping_ends_by_itself_and_by_a_stop():
    """It is a sleep first of all."""
    stop = threading.Event()
    gate, begun = Gate(Budget(1), stop), time.monotonic()
    gate.sleep(0.05)
    assert time.monotonic() - begun >= 0.05
    stop.set()
    with pytest.raises(Interrupted):
        gate.sleep(300)


def test_the_state_survives(tmp_path):
    """A gate that is opened a moment later has nothing left to burst; much later it has."""
    file, now = tmp_path / "budget.json", [1000.0]
    clocks = {"clock": lambda: now[0], "wall_clock": lambda: now[0]}
    first = Gate(Budget(1), threading.Event(), file, **clocks)
    for _ in range(17):
        first.acquire(10)
    now[0] += 30
    budget = Budget(1)
    Gate(budget, threading.Event(), file, **clocks)
    [state] = json.loads(file.read_text())["processes"].values()
    assert len(state["keys"][0]["burst"]) == 15
    assert sum(hold.cost for key in budget._keys for hold in key.burst) == 150
    now[0] += 60
    late = Budget(1)
    Gate(late, threading.Event(), file, **clocks)
    assert not late._keys[0].burst


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"saved_at": 1, "keys": []}',
        '{"processes": [1]}',
        '{"processes": {"a": 1, "b": {"saved_at": "x"}, "c": {"saved_at": 1, "keys": {}}}}',
    ],
)
def test_an_unreadable_state_is_a_fresh_budget(tmp_path, text):
    """A damaged file stops nobody."""
    file = tmp_path / "budget.json"
    file.write_text(text)
    gate = Gate(Budget(1), threading.Event(), file)
    gate.acquire(10)
    assert json.loads(file.read_text())["processes"]


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


def steps(tmp_path):
    """A file, clocks that can be moved, and gates that share them."""
    file, clock, wall = tmp_path / "budget.json", [500.0], [1e9]

    def gate(**settings) -> Gate:
        clocks = {"clock": lambda: clock[0], "wall_clock": lambda: wall[0]}
        return Gate(Budget(1), threading.Event(), file, **clocks, **settings)

    return file, clock, wall, gate


def test_two_gates_spend_from_one_account(tmp_path):
    """What one process takes is gone for the other at once, and a third one that starts knows of both."""
    _, _, _, gate = steps(tmp_path)
    load, beside = gate(), gate()
    for _ in range(16):
        load.acquire(10)
    beside.acquire(10)
    assert gate().points_left() == 5
    load.acquire(1)
    assert load.points_left() == 4


def test_what_a_process_has_spent_outlives_the_word_of_another(tmp_path):
    """A look from beside, in the middle of a load, does not hide from the next load what this one has spent."""
    _, clock, wall, gate = steps(tmp_path)
    load, beside = gate(), gate()
    for _ in range(17):
        load.acquire(10)
    beside.acquire(1)
    clock[0] += 5
    wall[0] += 5
    assert gate().points_left() == 25


def test_a_step_of_the_clock_frees_nothing(tmp_path):
    """A wall clock that is put forward or back while nothing runs does not end the windows."""
    for step_s in (3600.0, -3600.0):
        (tmp_path / str(step_s)).mkdir()
        _, clock, wall, gate = steps(tmp_path / str(step_s))
        first = gate()
        for _ in range(17):
            first.acquire(10)
        clock[0] += 5
        wall[0] += step_s
        assert gate().points_left() == 25


def test_a_new_start_of_the_machine(tmp_path):
    """Then the wall clock is the one to believe, since the other one has begun again."""
    _, clock, wall, gate = steps(tmp_path)
    first = gate()
    for _ in range(17):
        first.acquire(10)
    clock[0], wall[0] = 3.0, wall[0] + 90
    assert gate().points_left() == 175


def test_a_pause_reaches_who_runs_beside(tmp_path):
    """A wait that one process was asked for is kept by all; one of a day ends them all, long after as well."""
    _, clock, wall, gate = steps(tmp_path)
    beside, load = gate(longest_pause_s=600), gate(longest_pause_s=600)
    granted = load.acquire(10)
    load.settled(granted, started=0.0, ended=clock[0], refused=True, retry_after_s=86_400)
    with pytest.raises(GaveUp, match="86400 s"):
        beside.acquire(1)
    clock[0] += 3600
    wall[0] += 3600
    with pytest.raises(GaveUp, match="82800 s"):
        gate(longest_pause_s=600).acquire(1)


def test_what_is_over_is_forgotten(tmp_path):
    """The file does not grow with the processes there were."""
    file, clock, wall, gate = steps(tmp_path)
    for _ in range(30):
        gate().acquire(10)
        clock[0] += 60
        wall[0] += 60
    assert len(json.loads(file.read_text())["processes"]) <= 3


def test_a_file_that_cannot_be_written_stops_nobody(tmp_path):
    """Points are counted here all the same."""
    gate = Gate(Budget(1, speed=100), threading.Event(), tmp_path / "gone" / "budget.json")
    for _ in range(20):
        gate.acquire(10)
