"""Trying again."""

from __future__ import annotations

import threading
import time

import pytest

from migrate.errors import GaveUp, Interrupted
from migrate.net.retry import TransientError, call_with_retries


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures: int, wait_s: float | None = 0.0) -> None:
        self.left = failures
        self.calls = 0
        self.wait_s = wait_s

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise TransientError("busy", wait_s=self.wait_s)
        return "done"


def test_a_passing_fault_passes() -> None:
    """The result comes as if nothing had been, and each failure was told."""
    call, told = Flaky(3), []
    result = call_with_retries(
        call,
        what="x",
        budget_s=600,
        stop=threading.Event(),
        on_retry=lambda error, wait_s: told.append(wait_s),
    )
    assert (result, call.calls, told) == ("done", 4, [0.0, 0.0, 0.0])


def test_the_servers_wait_is_kept() -> None:
    """Never before Retry-After."""
    started = time.monotonic()
    call_with_retries(Flaky(1, 0.3), what="x", budget_s=600, stop=threading.Event())
    assert time.monotonic() - started >= 0.3


def test_a_wait_beyond_the_budget_is_not_begun() -> None:
    """A server that asks for a day is not waited for; the message says what it asked."""
    call = Flaky(1, 86_400)
    with pytest.raises(GaveUp, match="asked to wait 86400 s") as caught:
        call_with_retries(call, what="reading page 3", budget_s=900, stop=threading.Event())
    assert "reading page 3" in caught.value.what
    assert call.calls == 1


def test_the_budget_may_grow_meanwhile() -> None:
    """The budget is asked for when it is needed: it may depend on what was answered."""
    call, left = Flaky(1, 0.05), [0.0, 600.0]
    assert (
        call_with_retries(call, what="x", budget_s=lambda: left[call.calls], stop=threading.Event())
        == "done"
    )


def test_waiting_may_be_ended_from_outside() -> None:
    """What the given sleep raises ends the trying."""

    def sleep(_seconds: float) -> None:
        raise Interrupted("called back")

    call = Flaky(9, 5)
    with pytest.raises(Interrupted, match="called back"):
        call_with_retries(call, what="x", budget_s=600, stop=threading.Event(), sleep=sleep)
    assert call.calls == 1


def test_a_stop_ends_the_waiting_at_once() -> None:
    """Ctrl-C does not wait for the back-off."""
    stop = threading.Event()
    threading.Timer(0.1, stop.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        call_with_retries(Flaky(9, 600), what="x", budget_s=900, stop=stop)
    assert time.monotonic() - started < 300


def test_other_errors_are_not_tried_again() -> None:
    """A bug is a bug."""
    calls = []

    def broken() -> None:
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call_with_retries(broken, what="x", budget_s=10, stop=threading.Event())
    assert calls == [1]
