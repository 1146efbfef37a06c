"""Trying again: jittered back-off inside a budget of time, by Retry-After where the server says so.

`call_with_retries` is for a call that understands its own answer. Where the answer is understood
only later, the loop stands there, and `Attempts` counts:

    while True:
        try:
            return understand(service.ask(wanted))
        except TransientError as error:
            attempts.wait_after(error)
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from migrate.errors import GaveUp, Interrupted

T = TypeVar("T")
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
# Jitter may come to nothing at all, and then a tight loop would ask without a pause.
_SHORTEST_WAIT_S = 0.05


class TransientError(Exception):
    """A fault that may pass. `wait_s` is what the server asked for, None when it did not say.

    `is_said`: whoever raised it has said so, and nobody need say it again.
    """

    def __init__(self, reason: str, *, wait_s: float | None = None, is_said: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s
        self.is_said = is_said


def call_with_retries(
    call: Callable[[], T],
    *,
    what: str,
    budget_s: float | Callable[[], float],
    stop: threading.Event,
    on_retry: Callable[[TransientError, float], None] = lambda _error, _wait_s: None,
    sleep: Callable[[float], None] | None = None,
) -> T:
    """What `call` returns once it does not raise TransientError.

    `budget_s` may be asked for at each failure; `sleep` replaces the waiting on `stop`, what it raises ends the trying.

    **Units**: seconds. **Guarantees**: never asks before the wait the server asked for is over; a `stop` that is set
    ends the waiting at once.

    **Raises**: GaveUp when the next try would lie beyond the budget, naming the last reason; Interrupted on `stop`.
    """
    backoff = tenacity.wait_random_exponential(multiplier=FIRST_WAIT_S, max=LONGEST_WAIT_S)

    def wait_s(state: tenacity.RetryCallState) -> float:
        asked_s = _error_of(state).wait_s
        if asked_s is None:
            return backoff(state) + _SHORTEST_WAIT_S
        return asked_s

    def is_over(state: tenacity.RetryCallState) -> bool:
        allowed_s = budget_s() if callable(budget_s) else budget_s
        return (
            stop.is_set() or (state.seconds_since_start or 0.0) + state.upcoming_sleep > allowed_s
        )

    def give_up(state: tenacity.RetryCallState) -> T:
        if stop.is_set():
            raise Interrupted(f"{what}: interrupted")
        elapsed_s = state.seconds_since_start or 0.0
        raise _gave_up(what, state.attempt_number, elapsed_s, _error_of(state)) from None

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(TransientError),
        wait=wait_s,
        stop=is_over,
        sleep=sleep or tenacity.sleep_using_event(stop),
        before_sleep=lambda state: on_retry(_error_of(state), state.upcoming_sleep),
        retry_error_callback=give_up,
    )
    return retrying(call)


def _error_of(state: tenacity.RetryCallState) -> TransientError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, TransientError):
        raise TypeError("retried something that is not transient")
    return error


def _gave_up(what: str, tries: int, elapsed_s: float, error: TransientError) -> GaveUp:
    if error.wait_s is None:
        asked = ""
    else:
        asked = f" (the server asked to wait {error.wait_s:.0f} s)"
    return GaveUp(
        f"{what}: gave up after {tries} tries in {elapsed_s:.0f} s: {error.reason}{asked}",
        hint="nothing is lost: give the same command again when the service is well",
    )


class Attempts:
    """The tries of one thing, which `what` names in messages. One for each, in one thread.

    **Units**: seconds.
    """

    def __init__(
        self,
        what: str,
        *,
        budget_s: float,
        stop: threading.Event,
        note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._budget_s = budget_s
        self._stop = stop
        self._note = note
        self._clock = clock
        self._began = clock()
        self.failures = 0

    @property
    def elapsed_s(self) -> float:
        """The time since the first try began."""
        return self._clock() - self._began

    def wait_after(self, error: TransientError) -> None:
        """Counts a failure, and returns when the next try is due; a `stop` that is set ends the wait.

        **Raises**: GaveUp where that would be beyond the budget, with the reason; Interrupted.
        """
        self.failures += 1
        wait_s = error.wait_s
        if wait_s is None:
            # Full jitter: clients that were refused together do not come back together.
            doublings = min(self.failures - 1, 16)
            longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**doublings)
            wait_s = random.uniform(0, longest_s) + _SHORTEST_WAIT_S  # noqa: S311  no secret
        self._check_stop()
        # Given up at once and not after the wait: nothing is gained by sleeping through the rest of the budget.
        if self.elapsed_s + wait_s > self._budget_s:
            raise _gave_up(self._what, self.failures, self.elapsed_s, error)
        if not error.is_said:
            self._note(f"{self._what}: {error.reason}; trying again in {wait_s:.1f} s")
        self._stop.wait(wait_s)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Interrupted(f"{self._what}: interrupted")
