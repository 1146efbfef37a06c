"""What an answer does to the ledger, to the schedule and to the run as a whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from migrate.config import Gates
from migrate.errors import MigrateError
from migrate.load.body_limit import BodyLimit
from migrate.load.canary import Canaries
from migrate.load.changes import Changes
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger
from migrate.load.merged import Merges
from migrate.load.planned import DatasetToLoad, PlannedRecords, PlanToLoad
from migrate.load.proof import Proof
from migrate.load.readback import ReadBack
from migrate.load.retries import Retries
from migrate.load.scheduler import BatchRequest, DatasetQueue, Waits
from migrate.load.stops import refuses_all, refuses_first
from migrate.load.totals import Totals
from migrate.progress import Progress
from migrate.target.answer import Answer, refusal
from migrate.target.client import TargetClient
from migrate.target.results import (
    BUSY,
    Again,
    Fatal,
    Rejected,
    Results,
    SplitNeeded,
    Transient,
    Unclear,
    Written,
)
from migrate.workspace import sha256_bytes

MOST_DOUBTS = 3
TOO_LARGE = 413
_MOST_WHOLE_REFUSALS = 24


@dataclass
class Outcomes:
    """Takes the end of every request. `reason` is why the run has to stop, the first that came up."""

    ledger: Ledger
    plan: PlanToLoad
    queues: Mapping[str, DatasetQueue]
    gates: Gates
    client: TargetClient
    progress: Progress
    waits: Waits
    clock: Callable[[], float]
    rng: random.Random
    strict: bool = False
    reason: MigrateError | None = None
    _datasets: dict[str, DatasetToLoad] = field(default_factory=dict)
    _since: dict[str, datetime | None] = field(default_factory=dict)
    _marks: dict[str, float] = field(default_factory=dict)
    _gates: LoadGates = field(init=False)
    _changes: Changes = field(init=False)
    _merges: Merges = field(init=False)
    _canaries: Canaries = field(init=False)
    _retries: Retries = field(init=False)
    _limit: BodyLimit = field(init=False)

    def __post_init__(self) -> None:
        self._gates = LoadGates(self.plan, self.gates, self.strict)
        self._merges = Merges(self.ledger.seen)
        self._changes = Changes(self.progress.note, self._merges.had)
        self._canaries = Canaries(self.ledger, self.plan.name, self.progress)
        self._limit = BodyLimit(self.ledger, self.client.settings.base_url, self.progress)
        self._retries = Retries(
            self.plan.name,
            self.ledger,
            self.client,
            self.progress,
            self.waits,
            self.clock,
            self.rng,
        )

    def start(
        self,
        totals: Mapping[str, Totals],
        records: Mapping[str, PlannedRecords] = MappingProxyType({}),
        canary: int = 0,
    ) -> None:
        """Takes up the sums of earlier runs, and puts a canary before each dataset that needs one.

        `canary`: of so many records.
        """
        self._datasets = {dataset.name: dataset for dataset in self.plan.datasets}
        self._limit.recall()
        for name, dataset in self._datasets.items():
            server_time = totals[name].server_time
            self._since[name] = (
                None if server_time is None else datetime.fromtimestamp(server_time, UTC)
            )
            self._gates.rejected += totals[name].rejected
            self._gates.merged += totals[name].merged
            self._gates.protected += totals[name].protected
            self.queues[name].ever_written = bool(self.plan.undoes or totals[name].written)
            self.queues[name].poison = self.ledger.lessons.are_set_aside(name)
            self._canaries.begin(
                self.queues[name],
                dataset,
                records.get(name),
                canary if self.plan.undoes is None else 0,
                totals[name],
                self._since[name],
            )
            # What an undo gives back was there: a refusal is the record's own.
            self.queues[name].is_known |= self.plan.undoes is not None
        self._check_gates()

    def may_leave(self, request: BatchRequest, writing: int) -> bool:
        """Whether a request is small enough for the service, and nobody is finding out what that is.

        One that is not goes back to its queue: in pieces, or to wait for those that are on their way (`writing`).
        """
        queue = self.queues[request.dataset]
        pieces = self._limit.pieces(request)
        if len(pieces) > 1:
            self.ledger.mark_halved(request.dataset, request.batch)
            queue.again[:0] = pieces
            return False
        if self._limit.is_probing and writing and not request.is_read:
            queue.again.insert(0, request)
            return False
        return True

    def begin(self, request: BatchRequest) -> None:
        """A request leaves."""
        request.left_at = self.clock()
        self.queues[request.dataset].in_flight += 1
        self._marks.setdefault(request.dataset, request.left_at)

    def unsent(self, request: BatchRequest) -> None:
        """A request was called back before it left, or a reading before it was over."""
        queue = self.queues[request.dataset]
        queue.in_flight -= 1
        if not request.is_read:
            self.ledger.mark_unsent(request.dataset, request.batch)
        queue.again.append(request)
        self._defer_rest(queue)

    def unreachable(self, request: BatchRequest, error: MigrateError) -> None:
        """The service cannot be reached at all, or cannot be read."""
        self.unsent(request)
        self.halt(error)

    def take(self, request: BatchRequest, answer: Answer, body: bytes) -> None:
        """A request was answered, or broke off."""
        queue, dataset = self.queues[request.dataset], self._datasets[request.dataset]
        queue.in_flight -= 1
        sent = [record.sent for record in request.records]
        reading = dataset.read(answer, sent)
        payload_sha256 = sha256_bytes(body)
        if isinstance(reading, Results):
            self._limit.taken(len(body))
            self._take_results(request, queue, reading.verdicts, answer, payload_sha256)
        elif isinstance(reading, SplitNeeded):
            if reading.status == TOO_LARGE and len(request.records) > 1:
                self._limit.refused(len(body))
            self._split(request, queue, reading, answer, payload_sha256)
        elif isinstance(reading, Fatal):
            error = refusal(answer, dataset.place)
            self.ledger.mark_failed(
                request.dataset, request.batch, answer, error.what, payload_sha256, applied=False
            )
            queue.again.append(request)
            self.halt(error)
        else:
            self._take_failure(request, queue, reading, answer, payload_sha256)
        self._defer_rest(queue)
        self._add_seconds(request.dataset)

    def take_reading(self, request: BatchRequest, found: ReadBack) -> None:
        """The target was read for a batch whose answer was unclear; only what is missing or different is sent again."""
        queue, last = self.queues[request.dataset], request.doubts >= MOST_DOUBTS
        queue.in_flight -= 1
        # With several keys a missing record may have been merged into another one of the batch: then only the whole
        # batch in its order makes the target what it should be.
        is_whole = bool(found.left) and self._datasets[request.dataset].several_keys and not last
        stored = () if is_whole else found.stored
        self._account(
            request,
            stored,
            self.ledger.settle_read_back(
                request.dataset, request.batch, self._with_changes(request, stored)
            ),
        )
        left = [r for r in request.records if is_whole or r.sent.position in found.left]
        rest = BatchRequest(
            request.dataset,
            request.batch,
            left,
            doubts=0 if stored else request.doubts,
            since=request.since,
            is_poison=request.is_poison,
        )
        if not left:
            self._succeed(queue)
        elif last and not stored:
            queue.unknown.append(rest)
            self.progress.note(
                f"dataset {request.dataset}, batch {request.batch}: what became of {len(left)} records cannot be told; "
                "they stay unknown until another run"
            )
        else:
            queue.again.append(rest)
        self._defer_rest(queue)
        self._add_seconds(request.dataset)

    def take_proof(self, request: BatchRequest, proof: Proof) -> None:
        """The canary was read: the rest of its dataset may go, or the load has to stop."""
        queue = self.queues[request.dataset]
        queue.in_flight -= 1
        self.halt(self._canaries.judge(queue, proof))
        self._add_seconds(request.dataset)

    def _refuse_first(
        self, request: BatchRequest, queue: DatasetQueue, refused: Sequence[Rejected]
    ) -> None:
        """A dataset that has taken nothing refuses all of a request: that may be no fault of its records."""
        if queue.canary is not None:
            self.halt(self._canaries.refuse(queue, refused))
            return
        queue.again.append(request)
        place = self._datasets[queue.dataset].place
        self.halt(refuses_first(self.plan.name, place, refused))

    def finish(self) -> None:
        """Nothing is left to send: what nobody can tell of becomes unknown in the ledger, unless it is deferred.

        A dataset that has refused all it was sent is a reason to stop: nothing of it is settled.
        """
        for queue in self.queues.values():
            if queue.deferred:
                continue
            for request in queue.unknown:
                self.ledger.mark_unknown(request.dataset, request.batch)
            if queue.held and queue.is_done:
                place = self._datasets[queue.dataset].place
                self.halt(refuses_all(self.plan.name, place, queue.held[0][1]))

    def raise_reason(self) -> None:
        """Raises the reason to stop, if there is one."""
        if self.reason is not None:
            raise self.reason

    def _take_results(
        self,
        request: BatchRequest,
        queue: DatasetQueue,
        verdicts: Sequence[Written | Rejected | Again],
        answer: Answer,
        payload_sha256: str,
    ) -> None:
        refused = [verdict for verdict in verdicts if isinstance(verdict, Rejected)]
        if len(refused) == len(verdicts) and not queue.takes_writes:
            self.ledger.mark_failed(
                request.dataset,
                request.batch,
                answer,
                f"all {len(refused)} records refused",
                payload_sha256,
                applied=False,
            )
            self._refuse_first(request, queue, refused)
            return
        left = {
            verdict.sent.position: verdict for verdict in verdicts if isinstance(verdict, Again)
        }
        self._settle(
            request, [v for v in verdicts if not isinstance(v, Again)], answer, payload_sha256
        )
        if any(isinstance(verdict, Written) for verdict in verdicts):
            self._succeed(queue)
        if not left:
            return
        rest = BatchRequest(
            request.dataset, request.batch, [r for r in request.records if r.sent.position in left]
        )
        rest.left_at, rest.halved_at = request.left_at, request.halved_at
        rest.is_poison = request.is_poison
        first = next(iter(left.values()))
        if len(left) == len(request.records):
            rest.tries, rest.failing_since = request.tries, request.failing_since
            rest.failures, rest.failing_from = request.failures, request.failing_from
        if all(verdict.status == BUSY for verdict in left.values()):
            self._retries.park(rest, queue, None)
        else:
            reason = f"{first.status}: {first.reason}" if first.status else first.reason
            failure = Transient(reason, first.status)
            self.halt(self._retries.try_again(rest, queue, failure))

    def _settle(
        self,
        request: BatchRequest,
        settled: Sequence[Written | Rejected],
        answer: Answer | None = None,
        payload_sha256: str = "",
    ) -> None:
        verdicts = self._with_changes(request, settled)
        merged = self.ledger.settle(
            request.dataset, request.batch, verdicts, answer=answer, payload_sha256=payload_sha256
        )
        self._account(request, settled, merged)

    def _with_changes(
        self, request: BatchRequest, settled: Sequence[Written | Rejected]
    ) -> list[tuple[Written | Rejected, str | None]]:
        dataset, since = self._datasets[request.dataset], self._since[request.dataset]
        settled = self._merges.count(dataset, settled)
        planned = {record.sent.position: record for record in request.records}
        return [
            (
                v,
                self._changes.of(dataset, planned[v.sent.position], since, v)
                if isinstance(v, Written)
                else None,
            )
            for v in settled
        ]

    def _account(
        self, request: BatchRequest, settled: Sequence[Written | Rejected], merged: int
    ) -> None:
        for verdict in settled:
            if isinstance(verdict, Written):
                self._canaries.take(self.queues[request.dataset], request, verdict)
        self._gates.merged += merged
        self._gates.rejected += sum(isinstance(verdict, Rejected) for verdict in settled)
        self._gates.protected += sum(
            isinstance(verdict, Written) and bool(verdict.protected) for verdict in settled
        )
        self.progress.advance(request.dataset, len(settled))
        self._check_gates()

    def _split(
        self,
        request: BatchRequest,
        queue: DatasetQueue,
        reading: SplitNeeded,
        answer: Answer,
        payload_sha256: str,
    ) -> None:
        queue.whole_refusals += 1
        self.ledger.mark_split(request.dataset, request.batch, answer, payload_sha256)
        refused = Rejected(request.records[0].sent, reading.status, reading.reason)
        if queue.whole_refusals > _MOST_WHOLE_REFUSALS and not queue.ever_written:
            queue.again.append(request)
            self.halt(refuses_all(self.plan.name, self._datasets[request.dataset].place, refused))
        elif len(request.records) > 1:
            pieces = self._limit.pieces(request) if reading.status == TOO_LARGE else []
            queue.again[:0] = pieces if len(pieces) > 1 else request.halves()
        elif queue.canary is not None and not queue.ever_written:
            self._refuse_first(request, queue, [refused])
        elif queue.ever_written:
            self._settle(request, [refused])
        else:
            queue.held.append((request, refused))

    def _succeed(self, queue: DatasetQueue) -> None:
        """The dataset takes writes: a record that it has refused alone is sent once more, and then it is its fault."""
        queue.succeed()
        self._retries.succeeded()
        queue.again += [request for request, _ in queue.held]
        queue.held.clear()

    def _defer_rest(self, queue: DatasetQueue) -> None:
        """What is left of a dataset that was given up waits for another run, once its last answer is known."""
        if queue.deferred and not queue.in_flight:
            self.ledger.defer(queue.dataset)

    def _take_failure(
        self,
        request: BatchRequest,
        queue: DatasetQueue,
        reading: Transient | Unclear,
        answer: Answer,
        payload_sha256: str,
    ) -> None:
        failure = (
            reading if isinstance(reading, Transient) else Transient(reading.reason, answer.status)
        )
        applied = answer.applied and answer.status not in (BUSY, 429)
        self.ledger.mark_failed(
            request.dataset, request.batch, answer, failure.reason, payload_sha256, applied=applied
        )
        if applied and self._datasets[request.dataset].webhook is not None:
            failure = replace(failure, reason=f"{failure.reason}; what was sent may arrive twice")
        if isinstance(reading, Unclear):
            self._retries.doubt(request, queue, reading, answer)
        elif failure.busy:
            self._retries.park(request, queue, failure.wait_s)
        else:
            self.halt(self._retries.try_again(request, queue, failure))

    def _check_gates(self) -> None:
        self.halt(self._gates.judge())

    def halt(self, error: MigrateError | None) -> None:
        """The load has to stop for this reason, where there is one; the first that came up counts."""
        self.reason = self.reason or error

    def _add_seconds(self, dataset: str) -> None:
        now, queue = self.clock(), self.queues[dataset]
        self.ledger.add_seconds(dataset, now - self._marks[dataset])
        if queue.is_done:
            del self._marks[dataset]
        else:
            self._marks[dataset] = now
