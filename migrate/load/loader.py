"""Executes a plan. One thread owns the ledger and decides; workers only send.

The order of things for every request: the ledger says `sending` and is on disk, the request leaves, its results are on
disk, and only then does anything count as done.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime

from migrate.config import Gates
from migrate.errors import Interrupted, MigrateError
from migrate.load.crosswalk import write_crosswalks
from migrate.load.ledger import Ledger, OpenBatch, PlannedDataset
from migrate.load.ledger_view import LedgerView
from migrate.load.outcome import Outcomes
from migrate.load.planned import DatasetToLoad, PlannedRecord, PlannedRecords, PlanToLoad
from migrate.load.scheduler import Job, Lane, Waits, idle_s, next_job
from migrate.load.totals import Totals
from migrate.progress import Progress
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.workspace import Workspace

_STOP_CHECK_S = 0.25


@dataclass(frozen=True)
class LoadResult:
    """The sums per dataset over all runs of the plan, in the plan's order."""

    plan: str
    datasets: dict[str, Totals]


def load(
    client: TargetClient,
    workspace: Workspace,
    plan: PlanToLoad,
    gates: Gates,
    progress: Progress,
    stop: threading.Event,
    *,
    force_unlock: bool = False,
    waits: Waits | None = None,
) -> LoadResult:
    """Sends what the ledger does not know as done, until everything is settled or deferred; then writes the crosswalk.

    **Guarantees**: resumable after a stop, a crash or a kill at any moment; no record is in two requests at a time.

    **Raises**: Locked when another process loads; Refused, GaveUp, Unreachable; GateError when too many records are
    refused or merged; Interrupted when `stop` was set, after what was in flight has ended.
    """
    with workspace.lock(workspace.ledger.with_suffix(".lock"), "the ledger", force=force_unlock):
        with Ledger(workspace.ledger) as ledger:
            run = _Run(
                client, ledger, plan, gates, progress, stop, waits or Waits().at_speed(client.settings.limit_speed)
            )
            run.execute()
            totals = ledger.totals()
        with LedgerView(workspace.ledger) as view:
            write_crosswalks(view, workspace, plan)
    return LoadResult(plan.name, {dataset.name: totals[dataset.name] for dataset in plan.datasets})


class _Run:
    def __init__(
        self,
        client: TargetClient,
        ledger: Ledger,
        plan: PlanToLoad,
        gates: Gates,
        progress: Progress,
        stop: threading.Event,
        waits: Waits,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._plan = plan
        self._progress = progress
        self._stop = stop
        self._datasets = {dataset.name: dataset for dataset in plan.datasets}
        self._in_flight: dict[Future[Answer], Job] = {}
        records = {dataset.name: PlannedRecords(dataset) for dataset in plan.datasets}
        ledger.open_plan(
            plan.name, [PlannedDataset(d.name, d.dataset_id, records[d.name].batch_rows) for d in plan.datasets]
        )
        self._lanes = [self._lane(dataset, records[dataset.name]) for dataset in plan.datasets]
        self._outcomes = Outcomes(
            ledger=ledger,
            plan=plan,
            lanes={lane.dataset: lane for lane in self._lanes},
            gates=gates,
            client=client,
            progress=progress,
            waits=waits,
            clock=time.monotonic,
            rng=random.Random(),  # noqa: S311 - spreads retries, guards nothing
        )

    def execute(self) -> None:
        """Everything, or the first reason to stop."""
        self._take_baselines()
        self._begin_progress()
        workers = ThreadPoolExecutor(self._client.settings.concurrency, thread_name_prefix="send")
        try:
            self._send_all(lambda dataset_id, body: workers.submit(self._client.upsert_batch, dataset_id, body))
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            self._end_progress()
        self._outcomes.raise_reason()
        if self._stop.is_set() and not all(lane.is_done for lane in self._lanes):
            raise self._interrupted()

    def _send_all(self, submit: Callable[[str, bytes], Future[Answer]]) -> None:
        while True:
            self._dispatch(submit)
            if self._in_flight:
                self._receive()
            elif self._is_halting() or all(lane.is_done for lane in self._lanes):
                return
            else:
                self._stop.wait(idle_s(self._lanes, time.monotonic(), _STOP_CHECK_S))

    def _is_halting(self) -> bool:
        return self._stop.is_set() or self._outcomes.reason is not None

    def _dispatch(self, submit: Callable[[str, bytes], Future[Answer]]) -> None:
        while len(self._in_flight) < self._client.settings.concurrency and not self._is_halting():
            job = next_job(self._lanes, time.monotonic())
            if job is None:
                return
            self._ledger.mark_sending(job.dataset, job.batch)
            self._outcomes.begin(job)
            future = submit(self._datasets[job.dataset].dataset_id, body_of(job.records))
            self._in_flight[future] = job

    def _receive(self) -> None:
        timeout_s = idle_s(self._lanes, time.monotonic(), _STOP_CHECK_S)
        full = len(self._in_flight) >= self._client.settings.concurrency
        done, _ = wait(self._in_flight, None if full or self._is_halting() else max(timeout_s, 0.01), FIRST_COMPLETED)
        for future in done:
            job = self._in_flight.pop(future)
            try:
                answer = future.result()
            except Interrupted:
                self._outcomes.unsent(job)
            except MigrateError as error:
                self._outcomes.unreachable(job, error)
            else:
                self._outcomes.take(job, answer, body_of(job.records))

    def _lane(self, dataset: DatasetToLoad, records: PlannedRecords) -> Lane:
        def read(entry: OpenBatch) -> Sequence[PlannedRecord]:
            planned = records.batch(entry.batch)
            settled = self._ledger.settled_positions(dataset.name, entry.batch) if entry.settled else frozenset()
            return [record for record in planned if record.sent.position not in settled]

        return Lane(dataset.name, deque(self._ledger.open_batches(dataset.name)), read)

    def _take_baselines(self) -> None:
        totals = self._ledger.totals()
        for dataset in self._plan.datasets:
            if totals[dataset.name].count_before is None:
                counted = self._client.count(dataset.dataset_id)
                self._ledger.set_baseline(dataset.name, counted.count, counted.server_time or datetime.now(UTC))

    def _begin_progress(self) -> None:
        totals = self._ledger.totals()
        self._outcomes.start(totals)
        for dataset in self._plan.datasets:
            done = totals[dataset.name].written + totals[dataset.name].rejected
            self._progress.begin(dataset.name, total=dataset.rows, unit="records", done=done)

    def _end_progress(self) -> None:
        for dataset in self._plan.datasets:
            self._progress.end(dataset.name)

    def _interrupted(self) -> Interrupted:
        return Interrupted(
            f"load of plan {self._plan.name} interrupted; what was acknowledged is recorded",
            hint=f"migrate load --plan {self._plan.name}",
        )


def body_of(records: Sequence[PlannedRecord]) -> bytes:
    """The body of a request: the planned payloads as a JSON array."""
    return ("[" + ",".join(record.sent.payload for record in records) + "]").encode()
