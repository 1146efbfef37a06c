"""Pacing with a clock of its own."""

from __future__ import annotations

from migrate.source.pacer import Pacer


class Clock:
    """A clock that moves only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def sleep(self, seconds: float) -> None:
        """Moves on."""
        self.now += seconds


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
