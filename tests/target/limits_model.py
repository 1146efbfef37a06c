"""The service's limits as documented, and a simulated loader: written apart from the client, in simulated time."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from migrate.target.budget import Budget, Grant, Wait

Delay = Callable[[], float]


@dataclass
class Window:
    """A counter that is emptied when its window is over: one that opens at the first request, or one on the clock."""

    length_s: float
    points: int
    phase_s: float | None
    used: int = 0
    begun: float = -math.inf

    def roll(self, now: float) -> None:
        """Empties the counter if `now` lies in another window."""
        if self.phase_s is not None:
            begun = math.floor((now - self.phase_s) / self.length_s) * self.length_s + self.phase_s
            if begun != self.begun:
                self.used, self.begun = 0, begun
        elif now >= self.begun + self.length_s:
            self.used, self.begun = 0, now

    def has_room(self, cost: int, now: float) -> bool:
        """True when `cost` points fit in the window of `now`."""
        self.roll(now)
        return self.used + cost <= self.points


@dataclass
class Service:
    """25 points a second, then whole from 150 a minute, a key; 2,000 a minute an account."""

    phases: tuple[float, float, float] | None
    keys: int = 1
    seconds: list[Window] = field(init=False)
    bursts: list[Window] = field(init=False)
    account: Window = field(init=False)

    def __post_init__(self) -> None:
        second, minute, account = self.phases or (None, None, None)
        self.seconds = [Window(1.0, 25, second) for _ in range(self.keys)]
        self.bursts = [Window(60.0, 150, minute) for _ in range(self.keys)]
        self.account = Window(60.0, 2_000, account)

    def accepts(self, key: int, cost: int, now: float) -> bool:
        """True when the request is served; it is paid whole from one window, a refused one costs nothing."""
        if not self.account.has_room(cost, now):
            return False
        for window in (self.seconds[key], self.bursts[key]):
            if window.has_room(cost, now):
                window.used += cost
                self.account.used += cost
                return True
        return False

    def retry_after_s(self, key: int, now: float) -> float:
        """Whole seconds until the window that opens first."""
        window = self.account if self.account.used >= 1_990 else self.seconds[key]
        end = window.begun + window.length_s
        return float(max(1, math.ceil(end - now)))


@dataclass
class Outcome:
    """What a simulated run reached."""

    accepted: int = 0
    refused: int = 0

    def per_minute(self, seconds: float) -> float:
        """Accepted requests a minute."""
        return self.accepted / seconds * 60


def simulate(
    service: Service,
    budget: Budget,
    *,
    seconds: float,
    outward: Delay,
    backward: Delay,
    workers: int = 24,
    learn: bool = True,
    cost: Callable[[], int] = lambda: 10,
) -> Outcome:
    """A run of `workers` that always have something to send; events in the order of the simulated clock."""
    outcome, now, busy = Outcome(), 0.0, 0
    events: list[tuple[float, int, str, Grant, float, bool, float | None]] = []
    count, next_cost = 0, cost()
    while now < seconds:
        ready = budget.reserve(next_cost, now) if busy < workers else Wait(math.inf)
        if isinstance(ready, Grant):
            busy, count, next_cost = busy + 1, count + 1, cost()
            heapq.heappush(events, (now + outward(), count, "arrives", ready, now, False, None))
            continue
        if events and events[0][0] <= ready.until:
            now, _, kind, grant, left, refused, wait_s = heapq.heappop(events)
            if kind == "arrives":
                served = service.accepts(grant.key_index, grant.cost, now)
                outcome.accepted += served
                outcome.refused += not served
                again_s = None if served else service.retry_after_s(grant.key_index, now)
                count += 1
                heapq.heappush(
                    events, (now + backward(), count, "answered", grant, left, not served, again_s)
                )
            else:
                busy -= 1
                if learn or refused:
                    budget.settled(
                        grant, started=left, ended=now, refused=refused, retry_after_s=wait_s
                    )
        else:
            now = ready.until
    return outcome


def jitter(rng: random.Random, base_s: float, jitter_s: float) -> Delay:
    """Delays spread evenly over `base_s` … `base_s + jitter_s`."""
    return lambda: base_s + rng.random() * jitter_s
