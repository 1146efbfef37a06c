"""Executes a plan. One thread owns the ledger and decides; workers only send.

The order of things for every request: the ledger says `sending` and is on disk, the request leaves, its results are on
disk, and only then does anything count as done.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import polars as pl

from migrate.config import Gates
from migrate.errors import (
    GateError,
    Interrupted,
    MigrateError,
    RemoteError,
    TargetChanged,
    WorkspaceError,
)
from migrate.load.altered import write_altered
from migrate.load.baselines import take_baselines
from migrate.load.canary import Canary
from migrate.load.crosswalk import write_crosswalks
from migrate.load.foreign import OtherProjects
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger, OpenBatch
from migrate.load.ledger_opening import PlannedDataset
from migrate.load.ledger_view import LedgerView
from migrate.load.lessons import CanaryVerdict
from migrate.load.outcome import Outcomes
from migrate.load.parents import RefusedParents
from migrate.load.pause import Pause, pause_file
from migrate.load.planned import DatasetToLoad, PlannedRecord, PlannedRecords, PlanToLoad
from migrate.load.proof import Proof, prove
from migrate.load.readback import ReadBack, read_back
from migrate.load.scheduler import BatchRequest, DatasetQueue, Waits, idle_s, next_request
from migrate.load.totals import Totals
from migrate.load.watch import Watch
from migrate.progress import Progress
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.workspace import Workspace

Came = Answer | ReadBack | Proof
_STOP_CHECK_S = 0.25
_SHORTEST_WAIT_S = 0.01
_TOP_REASONS = 3


@dataclass(frozen=True)
class LoadResult:
    """The sums per dataset over all runs of the plan, in the plan's order.

    `reasons`: the most frequent reasons of the service to refuse records, with their number. `exports`: the folder of
    the crosswalk and the altered values. `canaries`: the verdict on each that there was. `foreign`: by dataset the
    records that others were seen to write meanwhile: of the plan, beside it, and of the plan after it wrote them.
    """

    plan: str
    datasets: dict[str, Totals]
    reasons: tuple[tuple[str, int], ...] = ()
    exports: Path | None = None
    canaries: Mapping[str, CanaryVerdict] = field(default_factory=dict)
    foreign: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """What may be asked of a load besides its plan. Units: `count_every` batches, `pace_every_s` seconds.

    `canary`: the records of each dataset that are written, read back and compared before the others.
    `strict`: a value in a column that does not accept writes stops the load. `only_canaries`: nothing goes but them.
    `confirmed_merges`: how many of the plan's merges a person has accepted, those that it foresaw among them.
    `others`: what other projects have written to the same datasets; None where there are none.
    """

    force_unlock: bool = False
    strict: bool = False
    confirmed_merges: int = 0
    canary: int = 0
    waits: Waits | None = None
    count_every: int = 100
    pace_every_s: float = 30.0
    only_canaries: bool = False
    others: OtherProjects | None = None


def load(
    client: TargetClient,
    workspace: Workspace,
    plan: PlanToLoad,
    gates: Gates,
    progress: Progress,
    stop: threading.Event,
    *,
    options: Options = Options(),
) -> LoadResult:
    """Sends what the ledger does not know as done, until everything is settled, deferred or found to be unknown.

    However it ends, the crosswalk and the list of altered values are written of what is done.

    **Guarantees**: resumable after a stop, a crash or a kill at any moment; no record is in two requests at a time.

    **Raises**: Locked when another process loads; Refused, GaveUp, Unreachable; GateError when too many records are
    refused or merged; Interrupted when `stop` was set, after what was in flight has ended.
    """
    with workspace.lock(
        workspace.ledger.with_suffix(".lock"), "the ledger", force=options.force_unlock
    ):
        with Ledger(workspace.ledger) as ledger:
            try:
                _Run(client, ledger, plan, gates, progress, stop, workspace, options).execute()
            except (RemoteError, GateError, Interrupted) as error:
                if isinstance(error, TargetChanged):
                    # The next load would be refused alike: whoever asks how the plan stands has to hear of it.
                    ledger.note_changed_target(error.datasets)
                # The first error is the one to act on; that the exports failed as well must not hide it.
                with contextlib.suppress(OSError, WorkspaceError, pl.exceptions.PolarsError):
                    write_exports(workspace, plan)
                raise
        return write_exports(workspace, plan)


def write_exports(workspace: Workspace, plan: PlanToLoad) -> LoadResult:
    """Writes the crosswalk and the list of altered values of what is done, and gives the sums."""
    with LedgerView(workspace.ledger) as view:
        write_crosswalks(view, workspace, plan)
        write_altered(view, workspace, plan)
        return _result(view, workspace, plan.name, [dataset.name for dataset in plan.datasets])


def result_so_far(workspace: Workspace, plan: str) -> LoadResult | None:
    """What the ledger has of a plan, None when its load was never begun. Raises WorkspaceError."""
    if not workspace.ledger.exists():
        return None
    with LedgerView(workspace.ledger) as view:
        names = list(view.totals(plan))
        if names:
            return _result(view, workspace, plan, names)
        return None


def _result(
    view: LedgerView, workspace: Workspace, plan: str, datasets: Sequence[str]
) -> LoadResult:
    totals = view.totals(plan)
    reasons = tuple(view.reasons(plan, _TOP_REASONS))
    return LoadResult(
        plan,
        {name: totals[name] for name in datasets},
        reasons,
        workspace.exports / plan,
        view.canaries(plan),
        view.foreign_edits(plan),
    )


class _Run:
    def __init__(
        self,
        client: TargetClient,
        ledger: Ledger,
        plan: PlanToLoad,
        gates: Gates,
        progress: Progress,
        stop: threading.Event,
        workspace: Workspace,
        options: Options,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._plan = plan
        self._gates = gates
        self._progress = progress
        self._stop = stop
        self._datasets = {dataset.name: dataset for dataset in plan.datasets}
        self._countable = {
            name: dataset for name, dataset in self._datasets.items() if dataset.webhook is None
        }
        self._in_flight: dict[Future[Came], BatchRequest] = {}
        self._canary, self._only_canaries = options.canary, options.only_canaries
        records = self._records = {
            dataset.name: PlannedRecords(dataset) for dataset in plan.datasets
        }
        ledger.open_plan(
            plan.name,
            [
                PlannedDataset(d.name, d.dataset_id, records[d.name].batch_rows, d.target)
                for d in plan.datasets
            ],
            # By its hash, not its name: a plan that was made again under the same name is another plan.
            plan.sha256(),
            plan.undoes,
        )
        for dataset in plan.datasets:
            ledger.lessons.note_mapping(dataset.name, dataset.mapping_sha256)
        self._parents = RefusedParents(ledger, plan.folder, progress)
        self._queues = [self._queue(dataset, records[dataset.name]) for dataset in plan.datasets]
        by_name = {queue.dataset: queue for queue in self._queues}
        for dataset in plan.datasets:
            linked = {link.dataset for link in dataset.parents} & by_name.keys()
            by_name[dataset.name].parents = [by_name[name] for name in sorted(linked)]
        self._pause = Pause(pause_file(workspace), progress.note, time.monotonic)
        self._watch = Watch(
            ledger,
            client,
            progress,
            options.count_every,
            options.pace_every_s,
            LoadGates(plan, gates),
            options.others,
        )
        self._others = options.others
        self._outcomes = Outcomes(
            ledger=ledger,
            plan=plan,
            queues={queue.dataset: queue for queue in self._queues},
            gates=gates,
            client=client,
            progress=progress,
            waits=options.waits or Waits().at_speed(client.settings.limit_speed),
            clock=time.monotonic,
            rng=random.Random(),  # noqa: S311 - spreads retries, guards nothing
            strict=options.strict,
            confirmed_merges=options.confirmed_merges,
        )

    def execute(self) -> None:
        """Everything, or the first reason to stop."""
        try:
            newest = take_baselines(
                self._client,
                self._ledger,
                self._plan,
                LoadGates(self._plan, self._gates),
                self._others,
                self._progress.note,
            )
        except Interrupted:
            raise self._interrupted() from None
        self._begin_progress(newest)
        # One more than may send: a look at the target must not wait for a sender, nor keep one from sending.
        self._workers = ThreadPoolExecutor(
            self._client.settings.concurrency + 1, thread_name_prefix="send"
        )
        try:
            self._outcomes.halt(self._watch.recall(self._countable))
            self._send_all()
            if not self._is_halting():
                self._outcomes.halt(self._watch.finish(self._countable))
            self._outcomes.finish()
        finally:
            self._client.recall()  # a look that still asks again and again would hold the process
            self._workers.shutdown(wait=False, cancel_futures=True)
            self._end_progress()
        self._outcomes.raise_reason()
        if self._stop.is_set() and not all(queue.is_done for queue in self._queues):
            raise self._interrupted()

    def _send_all(self) -> None:
        while True:
            self._dispatch()
            now = time.monotonic()
            parked = [q.dataset for q in self._queues if q.busy.until > now and not q.is_done]
            flying = list(self._in_flight.values())
            self._outcomes.halt(self._watch.look(self._workers, self._countable, flying, parked))
            if self._in_flight:
                self._receive()
            elif self._is_halting() or all(queue.is_done for queue in self._queues):
                return
            else:
                self._stop.wait(
                    max(idle_s(self._queues, time.monotonic(), _STOP_CHECK_S), _SHORTEST_WAIT_S)
                )

    def _is_halting(self) -> bool:
        return self._stop.is_set() or self._outcomes.reason is not None

    def _leave_rest(self) -> None:
        """Takes away what is behind the canaries, where only they are asked for."""
        for queue in self._queues if self._only_canaries else ():
            if queue.canary is None:
                queue.backlog.clear()

    def _dispatch(self) -> None:
        self._leave_rest()
        while len(self._in_flight) < self._client.settings.concurrency and not self._is_halting():
            if self._pause.is_on():
                request = None
            else:
                request = next_request(self._queues, time.monotonic())
            if request is None:
                return
            writing = sum(not other.is_read for other in self._in_flight.values())
            if not self._outcomes.may_leave(request, writing):
                if writing:
                    return
                continue
            self._outcomes.begin(request)
            self._in_flight[self._submit(request)] = request

    def _submit(self, request: BatchRequest) -> Future[Came]:
        # On disk before it leaves: after a kill the batch is known as one that may have arrived.
        if not request.is_read:
            self._ledger.mark_sending(request.dataset, request.batch)
        return self._workers.submit(self._ask, self._datasets[request.dataset], request)

    def _ask(self, dataset: DatasetToLoad, request: BatchRequest) -> Came:
        if request.proving:
            return self._prove(request)
        if request.reading:
            return self._read_back(dataset, request)
        if dataset.webhook is not None:
            return self._client.send_feed(dataset.webhook, body_of(request.records))
        return self._client.upsert_batch(dataset.dataset_id, body_of(request.records))

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds / self._client.settings.limit_speed):
            raise Interrupted("interrupted while reading what is stored")

    def _prove(self, request: BatchRequest) -> Proof:
        canary = next(q.canary for q in self._queues if q.dataset == request.dataset)
        taken = canary.taken if isinstance(canary, Canary) else ()
        return prove(self._client, self._datasets[request.dataset], tuple(taken), self._wait)

    def _read_back(self, dataset: DatasetToLoad, request: BatchRequest) -> ReadBack:
        return read_back(
            self._client,
            dataset,
            request.records,
            request.since,
            self._wait,
            believe_differences=request.doubts > 1,
        )

    def _receive(self) -> None:
        if self._outcomes.reason is not None:
            # Each time, since a worker may have begun to wait only just now.
            self._client.recall()
        timeout_s = idle_s(self._queues, time.monotonic(), _STOP_CHECK_S)
        full = len(self._in_flight) >= self._client.settings.concurrency
        # Never without end: polars' own handler of SIGINT lets no wait be broken off, and Ctrl-C would be seen by the
        # next answer only.
        if full or self._is_halting():
            longest_s = _STOP_CHECK_S
        else:
            longest_s = max(timeout_s, _SHORTEST_WAIT_S)
        done, _ = wait(self._in_flight, longest_s, FIRST_COMPLETED)
        for future in done:
            request = self._in_flight.pop(future)
            try:
                came = future.result()
            except Interrupted:
                self._outcomes.unsent(request)
            except MigrateError as error:
                self._outcomes.unreachable(request, error)
            else:
                self._take(request, came)

    def _take(self, request: BatchRequest, came: Came) -> None:
        if isinstance(came, Proof):
            self._outcomes.take_proof(request, came)
        elif isinstance(came, ReadBack):
            self._outcomes.take_reading(request, came)
        else:
            self._outcomes.take(request, came, body_of(request.records))

    def _queue(self, dataset: DatasetToLoad, records: PlannedRecords) -> DatasetQueue:
        def read(entry: OpenBatch) -> Sequence[PlannedRecord]:
            planned = records.batch(entry.batch)
            if entry.settled:
                settled = self._ledger.settled_positions(dataset.name, entry.batch)
            else:
                settled = frozenset()
            left = [record for record in planned if record.sent.position not in settled]
            return self._parents.settle_waiting(dataset, entry, left)

        return DatasetQueue(dataset.name, deque(self._ledger.open_batches(dataset.name)), read)

    def _begin_progress(self, newest: Mapping[str, datetime]) -> None:
        totals = self._ledger.totals()
        self._outcomes.start(totals, self._records, self._canary)
        self._watch.start(totals, newest)
        for dataset in self._plan.datasets:
            done = totals[dataset.name].done
            if dataset.webhook is not None and totals[dataset.name].unknown:
                self._progress.note(
                    f"{dataset.place}: {totals[dataset.name].unknown} records left without an answer and are sent "
                    "again; a webhook cannot be read back, so they may arrive twice"
                )
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
