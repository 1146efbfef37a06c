"""Even pacing of requests, shared by all threads, so that we throttle ourselves before the server has to."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Pacer:
    """Lets one caller through every `1 / per_second` seconds.

    **Units**: seconds of `clock`, which must be monotonic. `sleep` waits at most that long and may return early.
    """

    def __init__(self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._gap_s = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = clock()

    def wait(self) -> None:
        """Returns when it is the caller's turn."""
        with self._lock:
            now = self._clock()
            turn = max(now, self._free_at)
            self._free_at = turn + self._gap_s
        if turn > now:
            self._sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Lets no new caller through for `seconds`, as a server asked."""
        with self._lock:
            self._free_at = max(self._free_at, self._clock() + seconds)
