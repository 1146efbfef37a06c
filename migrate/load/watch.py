"""What a long load does beside sending: it counts the target now and then, and tells how far it is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from migrate.errors import GateError, MigrateError
from migrate.load.foreign import OtherProjects
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger
from migrate.load.pace import Means, describe_pace, remaining_s
from migrate.load.planned import DatasetToLoad
from migrate.load.scheduler import BatchRequest
from migrate.load.totals import CountMark, Totals
from migrate.load.writer_watch import WriterWatch
from migrate.progress import Progress
from migrate.target.client import TargetClient
from migrate.target.reads import Count


@dataclass
class _Asked:
    future: Future[Count]
    batches_done: int
    created: int
    merged: int


class Watch:
    """Looks at the ledger's sums once a second. A read rides free beside two writes, so counting costs no time."""

    def __init__(
        self,
        ledger: Ledger,
        client: TargetClient,
        progress: Progress,
        count_every: int,
        pace_every_s: float,
        gates: LoadGates,
        others: OtherProjects | None = None,
    ) -> None:
        self._writers = WriterWatch(ledger, client, gates, progress, count_every, others)
        self._ledger = ledger
        self._client = client
        self._progress = progress
        self._count_every = count_every
        self._pace_every_s = pace_every_s
        self._asked: dict[str, _Asked] = {}
        self._counted_at: dict[str, int] = {}
        # The first look is due at once: it is at what happened between two runs, and a short load has no second one.
        self._looked_at = float("-inf")
        self._told_at = time.monotonic()
        self._told_done = 0

    def start(
        self,
        totals: Mapping[str, Totals],
        newest: Mapping[str, datetime] = MappingProxyType({}),
    ) -> None:
        """Takes up the sums of earlier runs; `newest`: what was seen of each dataset before its first write."""
        self._counted_at = {name: entry.batches_done for name, entry in totals.items()}
        self._told_done = _done(totals)
        self._writers.start(totals, newest)

    def recall(self, datasets: Mapping[str, DatasetToLoad]) -> GateError | None:
        """Why a load that was stopped must not go on as it is."""
        return self._writers.recall(datasets)

    def look(
        self,
        workers: ThreadPoolExecutor,
        datasets: Mapping[str, DatasetToLoad],
        flying: Sequence[BatchRequest],
        parked: Sequence[str] = (),
    ) -> GateError | None:
        """Asks for counts that are due, keeps those that came, and says how far the load is.

        `parked`: datasets that are busy. Gives why the load has to stop: others write to what it is yet to send.
        """
        now = time.monotonic()
        # The target's second, which a sandbox may make shorter.
        if now - self._looked_at < 1 / self._client.settings.limit_speed:
            return None
        self._looked_at = now
        totals = self._ledger.totals()
        for name, asked in list(self._asked.items()):
            if asked.future.done():
                self._keep(name, self._asked.pop(name), totals[name], flying)
        for name, dataset in datasets.items():
            done = totals[name].batches_done
            if name not in self._asked and done - self._counted_at[name] >= self._count_every:
                self._counted_at[name] = done
                future = workers.submit(self._client.count, dataset.dataset_id)
                self._asked[name] = _Asked(future, done, totals[name].created, totals[name].merged)
        if now - self._told_at >= self._pace_every_s:
            self._tell(totals, now, parked)
        return self._writers.look(workers, datasets, totals)

    def finish(self, datasets: Mapping[str, DatasetToLoad]) -> GateError | None:
        """Takes what the looks at others' writes have seen that are still under way when all is sent."""
        return self._writers.finish(datasets)

    def _keep(
        self, name: str, asked: _Asked, totals: Totals, flying: Sequence[BatchRequest]
    ) -> None:
        try:
            counted = asked.future.result().count
        # A count that fails is one mark less, and nothing of the load hangs on it.
        except MigrateError:
            return
        # The count was asked while these were on their way: it may hold them or not.
        in_flight = sum(len(request.records) for request in flying if request.dataset == name)
        before = totals.count_before or 0
        least = before + asked.created - totals.merged
        most = before + totals.created + in_flight - asked.merged
        self._ledger.add_count_mark(name, CountMark(asked.batches_done, counted, least, most))

    def _tell(self, totals: Mapping[str, Totals], now: float, parked: Sequence[str]) -> None:
        done = _done(totals)
        rate = (done - self._told_done) / (now - self._told_at)
        settings = self._client.settings
        left_s = remaining_s(
            totals.values(), Means(self._client.keys, settings.account_share, settings.limit_speed)
        )
        planned = sum(entry.planned for entry in totals.values())
        points = self._client.points_left()
        self._progress.note(describe_pace(done, planned, rate, points, left_s, parked))
        self._told_at, self._told_done = now, done


def _done(totals: Mapping[str, Totals]) -> int:
    return sum(entry.done for entry in totals.values())
