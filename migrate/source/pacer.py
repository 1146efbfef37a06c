"""Even pacing of requests, shared by all threads, so that we throttle ourselves before the server has to."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pacer:
    """Lets one caller through every `1 / per_second` seconds.

    **Units**: seconds of `clock`, which must be monotonic. `sleep` waits at most that long and may return early.
    """

    def __init__(
        self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self._gap_s = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = self._held_until = clock()

    def wait(self) -> None:
        """Returns when it is the caller's turn; a hold that begins meanwhile takes the turn away, for a later one."""
        turn = self._take_turn()
        while (wait_s := turn - self._clock()) > 0:
            self._sleep(wait_s)
            if turn >= self._held_until:
                return
            turn = self._take_turn()

    def hold(self, seconds: float) -> None:
        """Lets no caller through for `seconds`, as a server asked, also of those who wait already."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)
            self._free_at = max(self._free_at, self._held_until)

    def _take_turn(self) -> float:
        with self._lock:
            turn = max(self._clock(), self._free_at)
            self._free_at = turn + self._gap_s
            return turn
