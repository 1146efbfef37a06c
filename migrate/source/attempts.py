"""How often one thing is asked for: back-off inside a budget of time, and when it was one too many.

The loop stands where the answer is understood, and not around it:

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

from migrate.errors import GaveUp, Interrupted
from migrate.net.retry import TransientError

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
_SHORTEST_WAIT_S = 0.05


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
            longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** min(self.failures - 1, 16))
            wait_s = random.uniform(0, longest_s) + _SHORTEST_WAIT_S  # noqa: S311  no secret
        self._check_stop()
        if self.elapsed_s + wait_s > self._budget_s:
            asked = "" if error.wait_s is None else f" (the server asked to wait {wait_s:.0f} s)"
            raise GaveUp(
                f"{self._what}: gave up after {self.failures} tries in {self.elapsed_s:.0f} s: "
                f"{error.reason}{asked}",
                hint="nothing is lost: give the same command again when the service is well",
            )
        self._note(f"{self._what}: {error.reason}; trying again in {wait_s:.1f} s")
        self._stop.wait(wait_s)
        self._check_stop()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Interrupted(f"{self._what}: interrupted")
