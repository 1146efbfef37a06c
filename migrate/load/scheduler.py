"""Which batch leaves next. Pure: the clock is a parameter.

Datasets have priority in the plan's order. One that is busy is parked, and the ones after it go on; when its time is
over a single request finds out whether it is free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from migrate.load.ledger import OpenBatch
from migrate.load.planned import PlannedRecord
from migrate.target.results import Rejected

_BUSY_GROWTH = 1.5


@dataclass(frozen=True)
class Waits:
    """How long to wait before trying again. Units: seconds."""

    first_s: float = 0.5
    longest_s: float = 30.0
    # The service's own word on 423: usually free again after five seconds.
    busy_first_s: float = 5.0
    busy_longest_s: float = 30.0

    def at_speed(self, speed: float) -> Waits:
        """The same for a sandbox whose limits run `speed` times faster."""
        times = (self.first_s, self.longest_s, self.busy_first_s, self.busy_longest_s)
        return Waits(*(time_s / speed for time_s in times))

    def backoff_s(self, tries: int, spread: float) -> float:
        """A wait that grows with the number of failed tries; `spread`: between 0.5 and 1, by chance."""
        return min(self.longest_s, self.first_s * 2.0 ** min(tries, 20)) * spread

    def busy_s(self, streak: int) -> float:
        """The wait after the dataset was found busy `streak` times in a row."""
        return min(self.busy_longest_s, self.busy_first_s * _BUSY_GROWTH ** min(streak - 1, 20))


@dataclass(frozen=True)
class Busy:
    """How a dataset was found busy (423). `until`: nothing is sent to it before; `streak`: times in a row that it was
    found so; `total_s`: the seconds that it was waited for since it last took anything."""

    until: float = float("-inf")
    streak: int = 0
    total_s: float = 0.0

    def longer(self, now: float, waits: Waits, asked_s: float = 0.0) -> Busy:
        """The same once it is busy again: it waits longer each time, at least the `asked_s` of the service.

        Nothing changes where it waits for as long already.
        """
        is_new = now >= self.until
        streak = self.streak + is_new
        until = now + max(asked_s, waits.busy_s(streak) if is_new else 0.0)
        added_s = until - (now if is_new else self.until)
        if added_s > 0:
            return Busy(until, streak, self.total_s + added_s)
        return self

    def over(self) -> Busy:
        """The same once it has taken something."""
        return Busy(self.until)


@dataclass
class BatchRequest:
    """Records of one batch that go into one request: all of them, what is left, or a piece of a split batch.

    `reading`: the answer was unclear, and the target is read before anything of it is sent again. `doubts`: unclear
    answers in a row; `since`: a moment before the first of them was asked for, in the service's time. `failures`:
    failed tries in a row that are neither 423 nor 429, the first of which left at `failing_from`; `left_at`: when it
    left last. `halved_at`: when it was cut from a batch that kept failing. `proving`: nothing is sent, and the canary's
    records are read until the target has prepared them. `is_poison`: one record that has made the service fail before.
    """

    dataset: str
    batch: int
    records: Sequence[PlannedRecord]
    tries: int = 0
    failing_since: float | None = None
    ready_at: float = float("-inf")
    reading: bool = False
    doubts: int = 0
    since: datetime | None = None
    failures: int = 0
    failing_from: float = float("inf")
    left_at: float = float("-inf")
    halved_at: float | None = None
    proving: bool = False
    is_poison: bool = False

    @property
    def is_read(self) -> bool:
        """Whether it writes nothing."""
        return self.reading or self.proving

    def halves(self, failing_at: float | None = None) -> tuple[BatchRequest, BatchRequest]:
        """Two jobs with half of the records each; `failing_at`: now, where it was cut because it kept failing."""
        middle = len(self.records) // 2
        first, second = (
            BatchRequest(self.dataset, self.batch, part)
            for part in (self.records[:middle], self.records[middle:])
        )
        for half in (first, second) if failing_at is not None else ():
            half.halved_at, half.failing_from = failing_at, self.failing_from
        return first, second


class FirstRequests(Protocol):
    """What goes before everything else of a dataset."""

    def next_request(self) -> BatchRequest | None:
        """The next request, None where there is none any more."""


@dataclass
class DatasetQueue:
    """What is left of one dataset. `read` gives the records of an open batch that are not settled.

    `unknown`: jobs of which this run cannot find out what became of them. `held`: single records that were refused
    before the dataset has taken any, and why: that may be no fault of theirs. `canary`: what goes first, None
    once it is proven. `is_known`: the dataset has taken records of this mapping before this load. `poison`: batch and
    position of records that have made the service fail before; they go `last`, each alone. `has_retried`: what left
    last had failed before, and a batch that was never sent has its turn. `parents`: what its records refer to.
    """

    dataset: str
    backlog: deque[OpenBatch]
    read: Callable[[OpenBatch], Sequence[PlannedRecord]]
    again: list[BatchRequest] = field(default_factory=list)
    unknown: list[BatchRequest] = field(default_factory=list)
    held: list[tuple[BatchRequest, Rejected]] = field(default_factory=list)
    in_flight: int = 0
    busy: Busy = field(default_factory=Busy)
    whole_refusals: int = 0
    ever_written: bool = False
    deferred: bool = False
    canary: FirstRequests | None = None
    is_known: bool = False
    poison: frozenset[tuple[int, int]] = frozenset()
    last: deque[BatchRequest] = field(default_factory=deque)
    has_retried: bool = False
    parents: Sequence[DatasetQueue] = ()

    @property
    def takes_writes(self) -> bool:
        """Whether it has taken a record, now or before: then one that it refuses is at fault itself."""
        return self.ever_written or self.is_known

    @property
    def is_done(self) -> bool:
        """True when nothing is left to send and nothing in flight."""
        is_left = self.backlog or self.again or self.last or self.canary is not None
        return not self.in_flight and (self.deferred or not is_left)

    def is_moving(self, now: float) -> bool:
        """Whether it will soon be known what becomes of its records: then what refers to them waits for that.

        One that is busy or keeps failing holds nobody up.
        """
        if self.deferred or self.busy.streak or now < self.busy.until:
            return False
        is_any_ready = any(request.ready_at <= now for request in self.again)
        return bool(self.in_flight or self.backlog or is_any_ready)

    def next_request(self, now: float) -> BatchRequest | None:
        """The next request's records, None when nothing may leave now."""
        # One request finds out whether a busy dataset is free; more of them would only spend points.
        if self.deferred or now < self.busy.until or (self.busy.streak and self.in_flight):
            return None
        # Whose wait is over before anything else leaves would hold up all others for as long as it fails; and only
        # where others are taken can a failure be told to be its own.
        is_new_due = self.has_retried and bool(self.backlog) and self.canary is None
        for index, request in enumerate(self.again):
            if request.ready_at <= now and not (request.failures and is_new_due):
                self.has_retried = bool(request.failures)
                return self.again.pop(index)
        self.has_retried = False
        if self.canary is not None:
            # One request after the other: each decides about the next.
            if self.again or self.in_flight:
                return None
            return self.canary.next_request()
        # The target may refuse a parent, and lines that were sent before would be orphans.
        if any(parent.is_moving(now) for parent in self.parents):
            return None
        while self.backlog:
            request = self._take_up(self.backlog.popleft())
            if request.records:
                return request
        # At the end and alone: it has made the service fail before.
        if self.last and not self.in_flight:
            return self.last.popleft()
        return None

    def _take_up(self, entry: OpenBatch) -> BatchRequest:
        """What is left of a batch, but for records that are known to make the service fail."""
        records = self.read(entry)
        poison = [r for r in records if (entry.batch, r.sent.position) in self.poison]
        for record in poison:
            self.last.append(BatchRequest(self.dataset, entry.batch, [record], is_poison=True))
        request = BatchRequest(
            self.dataset, entry.batch, [record for record in records if record not in poison]
        )
        if entry.settled and len(request.records) == 1:
            # An earlier run had its neighbours written and left it: what it does now says nothing of the service.
            request.failing_from = float("-inf")
        return request

    def ready_at(self, now: float) -> float:
        """When something may leave at the earliest, as it stands now."""
        is_waiting = self.in_flight and (self.busy.streak or self.canary is not None)
        if self.deferred or self.is_done or is_waiting:
            return float("inf")
        if self.canary is not None:
            is_any_ready = not self.again
        elif any(parent.is_moving(now) for parent in self.parents):
            is_any_ready = False
        else:
            is_any_ready = bool(self.backlog or (self.last and not self.in_flight))
        if is_any_ready:
            first = float("-inf")
        else:
            first = min((request.ready_at for request in self.again), default=float("inf"))
        return max(first, self.busy.until)

    def succeed(self) -> None:
        """The dataset takes writes."""
        self.busy = self.busy.over()
        self.ever_written = True


def next_request(queues: Sequence[DatasetQueue], now: float) -> BatchRequest | None:
    """The next request of the first dataset that has one ready."""
    ready = (queue.next_request(now) for queue in _may_send(queues, now))
    return next((request for request in ready if request is not None), None)


def idle_s(queues: Sequence[DatasetQueue], now: float, longest_s: float) -> float:
    """Seconds to wait until something may leave, at most `longest_s`."""
    parked = (queue.busy.until for queue in queues if queue.canary and queue.busy.until > now)
    times = [*(queue.ready_at(now) for queue in _may_send(queues, now)), *parked]
    return min(longest_s, max(0.0, min(times, default=now) - now))


def _may_send(queues: Sequence[DatasetQueue], now: float) -> Sequence[DatasetQueue]:
    """Those whose turn it is: while a canary is on its way nothing else is sent, to no dataset.

    One that is busy holds nobody up: the datasets whose canary is proven go on.
    """
    probing = [queue for queue in queues if queue.canary is not None and not queue.deferred]
    if not probing:
        return queues
    free = [queue for queue in probing if queue.busy.until <= now]
    return free[:1] or [queue for queue in queues if queue.canary is None]
