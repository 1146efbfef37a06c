"""What becomes of a request that was not taken: tried again, parked, halved, or left to another run.

Each method gives the reason to stop the load, None where it goes on.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from migrate.errors import GaveUp
from migrate.load.failing import FailurePatience
from migrate.load.ledger import Ledger
from migrate.load.scheduler import BatchRequest, DatasetQueue, Waits
from migrate.load.stops import gave_up
from migrate.progress import Progress
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.target.results import Transient, Unclear

_SINCE_MARGIN_S = 5.0


@dataclass
class Retries:
    """The failed requests of one load."""

    plan: str
    ledger: Ledger
    client: TargetClient
    progress: Progress
    waits: Waits
    clock: Callable[[], float]
    rng: random.Random
    patience: FailurePatience = field(default_factory=FailurePatience)

    def succeeded(self) -> None:
        """The service has taken something."""
        self.patience.succeeded_at = self.clock()

    def doubt(
        self, request: BatchRequest, queue: DatasetQueue, reading: Unclear, answer: Answer
    ) -> None:
        """An answer that does not fit: what is stored is read before anything is sent again."""
        if answer.server_time is not None and request.since is None:
            margin = timedelta(seconds=answer.elapsed_s + _SINCE_MARGIN_S)
            request.since = answer.server_time - margin
        request.doubts += 1
        request.reading = True
        queue.again.append(request)
        self.progress.note(
            f"dataset {request.dataset}, batch {request.batch}: {reading.reason}; reading what is stored"
        )

    def park(self, request: BatchRequest, queue: DatasetQueue, asked_s: float | None) -> None:
        """The dataset is busy, and the others go on; beyond its budget the rest of it is left to another run."""
        queue.again.append(request)
        added_s = queue.park(self.clock(), self.waits, asked_s or 0.0)
        if not added_s:
            return
        if queue.busy_total_s > self.client.settings.busy_budget_s:
            queue.deferred = True
            asked = f" (the service asked to wait {asked_s:.0f} s)" if asked_s else ""
            self.progress.note(
                f"dataset {request.dataset} stayed busy{asked}; what is left of it is deferred to another run"
            )
            return
        self.ledger.add_seconds(request.dataset, 0.0, busy=added_s)
        if queue.busy_streak == 1:
            self.progress.note(
                f"dataset {request.dataset} is busy (423); going on with the others meanwhile"
            )

    def try_again(
        self, request: BatchRequest, queue: DatasetQueue, failure: Transient
    ) -> GaveUp | None:
        """The request waits for its next try, within the retry budget."""
        now, budget_s = self.clock(), self.client.retry_budget_s
        request.tries += 1
        request.failing_since = now if request.failing_since is None else request.failing_since
        throttled = failure.status == 429
        if not throttled:
            request.failures += 1
            request.failing_from = min(request.failing_from, request.left_at)
            if self._give_way(request, queue, failure, now - request.failing_since):
                return None
        # A refused key is paused by the budget; another key may take the request at once.
        own_wait_s = 0.0 if throttled else self.waits.backoff_s(request.tries, self.rng)
        wait_s = max(own_wait_s, self.client.paused_s() if throttled else failure.wait_s or 0.0)
        queue.again.append(request)
        if now + wait_s - request.failing_since > budget_s:
            return gave_up(self.plan, request, failure, now - request.failing_since)
        request.ready_at = now if throttled else now + wait_s
        if not throttled and request.tries & (request.tries - 1) == 0:
            self.progress.note(
                f"dataset {request.dataset}, batch {request.batch}: {failure.reason}; trying again in {wait_s:.1f} s"
            )
        return None

    def _give_way(
        self, request: BatchRequest, queue: DatasetQueue, failure: Transient, seconds: float
    ) -> bool:
        """True where the request keeps failing while others are taken, and is halved or left to another run."""
        if request.is_poison and failure.status:
            # It has failed alone before while others were taken: one try a load tells whether that has changed.
            self._set_aside(request, queue, failure, "as before")
            return True
        step = self.patience.judge(request, seconds, self.client.retry_budget_s)
        if step == "wait":
            return False
        times = f"{request.failures} times, and others are taken"
        if step == "set aside":
            self._set_aside(request, queue, failure, times)
            return True
        self.ledger.mark_halved(request.dataset, request.batch)
        queue.again[:0] = request.halves(self.clock())
        self.progress.note(
            f"dataset {request.dataset}, batch {request.batch}: {failure.reason}, {times}; sending its "
            f"{len(request.records)} records in two halves"
        )
        return True

    def _set_aside(
        self, request: BatchRequest, queue: DatasetQueue, failure: Transient, times: str
    ) -> None:
        positions = [record.sent.position for record in request.records]
        self.ledger.lessons.set_aside(request.dataset, request.batch, positions, failure.reason)
        queue.unknown.append(request)
        self.progress.note(
            f"dataset {request.dataset}, batch {request.batch}: {failure.reason}, {times}; the record at place "
            f"{positions[0]} waits for another run"
        )
