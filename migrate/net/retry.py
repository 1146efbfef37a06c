"""Trying again: jittered back-off inside a budget of time, by Retry-After where the server says so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import tenacity

from migrate.errors import GaveUp, Interrupted

T = TypeVar("T")
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


class TransientError(Exception):
    """A fault that may pass. `wait_s` is what the server asked for, None when it did not say."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


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
    backoff = tenacity.wait_random_exponential(multiplier=_FIRST_WAIT_S, max=_LONGEST_WAIT_S)

    def wait_s(state: tenacity.RetryCallState) -> float:
        error = _error_of(state)
        return backoff(state) + 0.05 if error.wait_s is None else error.wait_s

    def is_over(state: tenacity.RetryCallState) -> bool:
        allowed_s = budget_s() if callable(budget_s) else budget_s
        return (
            stop.is_set() or (state.seconds_since_start or 0.0) + state.upcoming_sleep > allowed_s
        )

    def give_up(state: tenacity.RetryCallState) -> T:
        if stop.is_set():
            raise Interrupted(f"{what}: interrupted")
        error = _error_of(state)
        raise GaveUp(
            f"{what}: gave up after {state.attempt_number} tries in {state.seconds_since_start or 0:.0f} s: "
            f"{error.reason}{_asked(error)}",
            hint="nothing is lost: give the same command again when the service is well",
        ) from None

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


def _asked(error: TransientError) -> str:
    return "" if error.wait_s is None else f" (the server asked to wait {error.wait_s:.0f} s)"
