"""The points that a key and the account may spend, counted the way the document words it.

Source: Octolis data API, "Rate limiting": per key 25 points per second plus 150 points per minute; per account 2,000
points per minute; a GET costs 1, a write 10; as soon as one limit is reached the request is rejected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from migrate.errors import UsageError

READ_POINTS = 1
WRITE_POINTS = 10
# The numbers of "Rate limiting", word for word.
SECOND_POINTS = 25
MINUTE_POINTS = 150
ACCOUNT_POINTS = 2000
WINDOWS = ("first-use", "clock")


@dataclass(frozen=True, slots=True)
class Limits:
    """How the documented limits are enforced.

    `speed` 20 makes every window 20 times shorter. `windows` says when one opens: at the first request after the last
    one ended, or at multiples of its length shifted by `phase_s`. The document does not say which, nor whether a
    refused request is charged.
    """

    enforce: bool = True
    speed: float = 1.0
    windows: str = "first-use"
    phase_s: float = 0.0
    charge_refused: bool = False

    def __post_init__(self) -> None:
        if self.windows not in WINDOWS:
            raise UsageError(
                f"limits: windows cannot be {self.windows!r}", hint=f"one of {', '.join(WINDOWS)}"
            )
        if self.speed <= 0:
            raise UsageError(
                "limits: speed must be above 0", hint="1 is real time, 20 is twenty times as fast"
            )


@dataclass(slots=True)
class _Window:
    """A span in which at most `points` are spent."""

    points: int
    length_s: float
    start_s: float = -math.inf
    spent: int = 0

    def open(self, now_s: float, limits: Limits) -> None:
        if now_s < self.start_s + self.length_s:
            return
        phase = limits.phase_s % self.length_s
        # The last multiple of the length, shifted by the phase, that is not in the future.
        aligned = math.floor((now_s - phase) / self.length_s) * self.length_s + phase
        self.start_s = aligned if limits.windows == "clock" else now_s
        self.spent = 0

    def has_room(self, cost: int) -> bool:
        return self.spent + cost <= self.points

    def wait_s(self, now_s: float) -> float:
        return self.start_s + self.length_s - now_s


@dataclass(slots=True)
class _Key:
    second: _Window
    minute: _Window


@dataclass(slots=True)
class Limiter:
    """Spends points; the clock is the caller's, in seconds."""

    limits: Limits
    _keys: dict[str, _Key] = field(default_factory=dict)
    _account: _Window = field(init=False)

    def __post_init__(self) -> None:
        self._account = self._window(ACCOUNT_POINTS, 60.0)

    def spend(self, key: str, cost: int, now_s: float) -> float | None:
        """None where the request may pass, else the seconds after which it would.

        A request that does not fit the second's points is drawn as a whole from the minute's: that alone gives the
        document's 17 writes in the first second and 135 in the first minute.
        """
        if not self.limits.enforce:
            return None
        pair = self._keys.get(key) or self._add_key(key)
        for window in (pair.second, pair.minute, self._account):
            window.open(now_s, self.limits)
        if pair.second.has_room(cost):
            purse = pair.second
        else:
            purse = pair.minute
        if purse.has_room(cost) and self._account.has_room(cost):
            purse.spent += cost
            self._account.spent += cost
            return None
        if self.limits.charge_refused:
            purse.spent += cost
            self._account.spent += cost
        return self._wait_s(pair, cost, now_s)

    def _wait_s(self, pair: _Key, cost: int, now_s: float) -> float:
        waits = [0.0]
        if not (pair.second.has_room(cost) or pair.minute.has_room(cost)):
            waits.append(min(pair.second.wait_s(now_s), pair.minute.wait_s(now_s)))
        if not self._account.has_room(cost):
            waits.append(self._account.wait_s(now_s))
        return max(waits)

    def retry_after(self, wait_s: float) -> str:
        """The header's text: whole seconds, as documented; thousandths where time runs faster."""
        # Rounded up: a client that waits so long must not be refused again.
        if self.limits.speed == 1:
            return str(max(1, math.ceil(wait_s)))
        return f"{math.ceil(max(wait_s, 0.001) * 1000) / 1000:.3f}"

    def _add_key(self, key: str) -> _Key:
        pair = _Key(self._window(SECOND_POINTS, 1.0), self._window(MINUTE_POINTS, 60.0))
        self._keys[key] = pair
        return pair

    def _window(self, points: int, length_s: float) -> _Window:
        return _Window(points, length_s / self.limits.speed)
