"""Pacing with a clock of its own."""

from __future__ import annotations

import threading

from migrate.source.client import Pacer
from tests.harness import wait_until


class Clock:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        """Moves on."""
        self.now += seconds


class SharedClock:
    """A clock for several threads that stands until it is moved; `until`: when those who sleep will wake."""

    def __init__(self) -> None:
        self.now = 100.0
        self.until: list[float] = []
        self._moved = threading.Condition()

    def sleep(self, seconds: float) -> None:
        """Returns when the clock was moved so far."""
        with self._moved:
            until = self.now + seconds
            self.until.append(until)
            self._moved.wait_for(lambda: self.now >= until)
            self.until.remove(until)

    def move(self, seconds: float) -> None:
        """Moves it, and wakes those whose time has come."""
        with self._moved:
            self.now += seconds
            self._moved.notify_all()


def test_requests_are_spread_evenly() -> None:
    """Ten a second means one every tenth, however fast they are asked for."""
    clock = Clock()
    pacer = Pacer(10, lambda: clock.now, clock.sleep)
    times = []
    for _ in range(5):
        pacer.wait()
        times.append(round(clock.now - 100, 6))
    assert times == [0, 0.1, 0.2, 0.3, 0.4]


def test_time_that_passed_is_not_saved_up() -> None:
    """After a pause there is no burst."""
    clock = Clock()
    pacer = Pacer(10, lambda: clock.now, clock.sleep)
    clock.now += 60
    pacer.wait()
    pacer.wait()
    assert round(clock.now - 160, 6) == 0.1


def test_a_hold_stops_everyone() -> None:
    """Nobody goes before the time a server asked for."""
    clock = Clock()
    pacer = Pacer(10, lambda: clock.now, clock.sleep)
    pacer.hold(5)
    pacer.wait()
    assert clock.now == 105


def test_a_hold_stops_those_who_wait_already() -> None:
    """Whoever sleeps when the server asks for a wait sleeps on, and nobody leaves in a bunch afterwards."""
    clock = SharedClock()
    pacer = Pacer(100, lambda: clock.now, clock.sleep)
    left: list[float] = []

    def ask() -> None:
        pacer.wait()
        left.append(clock.now)

    def all_others_sleep() -> bool:
        return len(left) + sum(until > clock.now for until in list(clock.until)) == len(threads)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(8)]
    pacer.hold(0.2)
    for thread in threads:
        thread.start()
    wait_until(all_others_sleep)
    pacer.hold(0.6)
    while len(left) < len(threads):
        clock.move(0.01)
        wait_until(all_others_sleep)
    assert min(left) >= 100.6 - 1e-6
    assert max(left) - min(left) >= 0.05


def test_a_hold_leaves_later_turns_alone() -> None:
    """Who waits until after the hold anyhow keeps the turn."""
    clock = Clock()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        pacer.hold(0.5)
        clock.sleep(seconds)

    pacer = Pacer(1, lambda: clock.now, sleep)
    pacer.wait()
    pacer.wait()
    assert slept == [1]


def test_a_sleep_that_is_cut_short_ends_the_waiting() -> None:
    """When the run stops nobody is kept: the sleep returns at once, also while a server's wait is on."""
    clock, slept = Clock(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 1:
            pacer.hold(86_400)

    pacer = Pacer(1, lambda: clock.now, sleep)
    pacer.wait()
    pacer.wait()
    assert len(slept) == 2
