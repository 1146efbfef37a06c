"""The end of every request: what `decide` says is done here, to the ledger, the queues, the gates and the progress.

Nothing is decided in this module, and no other one touches these four on account of an answer.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType

from migrate.config import Gates
from migrate.errors import MigrateError
from migrate.load.body_limit import LESSON, BodyLimit, recalled_limit
from migrate.load.canary import Canaries
from migrate.load.changes import Changes
from migrate.load.decide import Answered, History, decide, decide_seen
from migrate.load.failing import Patience
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger
from migrate.load.merged import Merges
from migrate.load.planned import DatasetToLoad, PlannedRecords, PlanToLoad
from migrate.load.proof import Proof
from migrate.load.readback import ReadBack
from migrate.load.scheduler import BatchRequest, DatasetQueue, Waits
from migrate.load.steps import (
    Hold,
    LearnLimit,
    LeaveUnknown,
    MarkFailed,
    MarkHalved,
    MarkSplit,
    Note,
    Park,
    RefuseCanary,
    SendAgain,
    SetAside,
    Settle,
    SettleSeen,
    Step,
    Steps,
    Stop,
    Succeed,
)
from migrate.load.stops import refuses_all
from migrate.load.totals import Totals
from migrate.progress import Progress
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from migrate.target.results import Rejected, Written
from migrate.workspace import sha256_bytes


@dataclass(frozen=True)
class Ended:
    """A request that is over, with what the ledger keeps of it; no answer where it was a reading."""

    request: BatchRequest
    queue: DatasetQueue
    answer: Answer | None = None
    payload_sha256: str = ""


@dataclass
class Outcomes:
    """Takes the end of every request. `reason` is why the run has to stop, the first that came up.

    `patience`: what was done so far about requests that keep failing.
    """

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
    confirmed_merges: int = 0
    reason: MigrateError | None = None
    patience: Patience = field(default_factory=Patience)
    _datasets: dict[str, DatasetToLoad] = field(default_factory=dict)
    _since: dict[str, datetime | None] = field(default_factory=dict)
    _marks: dict[str, float] = field(default_factory=dict)
    _limit: BodyLimit = field(default_factory=BodyLimit)
    _gates: LoadGates = field(init=False)
    _changes: Changes = field(init=False)
    _merges: Merges = field(init=False)
    _canaries: Canaries = field(init=False)

    def __post_init__(self) -> None:
        self._gates = LoadGates(self.plan, self.gates, self.strict, self.confirmed_merges)
        self._merges = Merges(self.ledger.lessons.seen)
        self._changes = Changes(self.progress.note, self._merges.had)
        self._canaries = Canaries(self.ledger, self.plan.name, self.progress)

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
        self._recall_limit()
        for name, dataset in self._datasets.items():
            server_time = totals[name].server_time
            self._since[name] = (
                None if server_time is None else datetime.fromtimestamp(server_time, UTC)
            )
            self._gates.rejected += totals[name].rejected
            self._gates.merged += totals[name].merged
            self._gates.protected += totals[name].protected
            self.queues[name].ever_written = bool(self.plan.undoes or totals[name].written)
            # What failed alone in an earlier load gets one try, at the end of this one.
            self.queues[name].poison = self.ledger.lessons.are_set_aside(name)
            self._canaries.begin(
                self.queues[name],
                dataset,
                records.get(name),
                # An undo gives back what the target has shown itself; there is nothing to find out.
                canary if self.plan.undoes is None else 0,
                totals[name],
                self._since[name],
            )
            # What an undo gives back was there: a refusal is the record's own.
            self.queues[name].is_known |= self.plan.undoes is not None
        self._check_gates()

    def _recall_limit(self) -> None:
        lesson = self.ledger.lessons.known(self.client.settings.base_url, LESSON)
        self._limit = recalled_limit(lesson)
        if self._limit.bytes is not None:
            self.progress.note(
                f"bodies have at most {self._limit.bytes:,} bytes, since an earlier load had larger ones refused (413)"
            )

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
        # One request alone finds the limit: all those beside it would be refused for the same reason.
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
        queue = self.queues[request.dataset]
        dataset = self._datasets[request.dataset]
        queue.in_flight -= 1
        reading = dataset.read(answer, [record.sent for record in request.records])
        answered = Answered(reading, answer, len(body))
        steps = decide(request, answered, self._history(queue), self.clock())
        self._apply(steps, Ended(request, queue, answer, sha256_bytes(body)))
        self._defer_rest(queue)
        self._add_seconds(request.dataset)

    def take_reading(self, request: BatchRequest, seen: ReadBack) -> None:
        """The target was read for a batch whose answer was unclear."""
        queue = self.queues[request.dataset]
        queue.in_flight -= 1
        self._apply(decide_seen(request, seen, self._history(queue)), Ended(request, queue))
        self._defer_rest(queue)
        self._add_seconds(request.dataset)

    def take_proof(self, request: BatchRequest, proof: Proof) -> None:
        """The canary was read: the rest of its dataset may go, or the load has to stop."""
        queue = self.queues[request.dataset]
        queue.in_flight -= 1
        self.halt(self._canaries.judge(queue, proof))
        self._add_seconds(request.dataset)

    def finish(self) -> None:
        """Nothing is left to send: what nobody can tell of becomes unknown in the ledger, unless it is deferred.

        A dataset that has refused all it was sent is a reason to stop: nothing of it is settled.
        """
        for queue in self.queues.values():
            if queue.deferred:
                continue
            for request in queue.unknown:
                self.ledger.mark_unknown(request.dataset, request.batch)
            # All that a dataset was sent it has refused: that may be no record's fault, so none is settled.
            if queue.held and queue.is_done:
                place = self._datasets[queue.dataset].place
                self.halt(refuses_all(self.plan.name, place, queue.held[0][1]))

    def raise_reason(self) -> None:
        """Raises the reason to stop, if there is one."""
        if self.reason is not None:
            raise self.reason

    def halt(self, error: MigrateError | None) -> None:
        """The load has to stop for this reason, where there is one; the first that came up counts."""
        self.reason = self.reason or error

    def _history(self, queue: DatasetQueue) -> History:
        """What decides beside an answer, as it stands now."""
        dataset = self._datasets[queue.dataset]
        settings = self.client.settings
        return History(
            plan=self.plan.name,
            place=dataset.place,
            retry_budget_s=self.client.retry_budget_s,
            busy_budget_s=settings.busy_budget_s,
            takes_writes=queue.takes_writes,
            ever_written=queue.ever_written,
            has_canary=queue.canary is not None,
            is_webhook=dataset.webhook is not None,
            has_several_keys=dataset.several_keys,
            whole_refusals=queue.whole_refusals,
            busy=queue.busy,
            patience=self.patience,
            limit=self._limit,
            waits=self.waits,
            paused_s=self.client.paused_s(),
            spread=self.rng.uniform(0.5, 1.0),
        )

    def _apply(self, steps: Steps, ended: Ended) -> None:
        for step in steps:
            self._take_step(step, ended)

    def _take_step(self, step: Step, ended: Ended) -> None:  # noqa: C901, PLR0912  # one line for each step there is
        request, queue = ended.request, ended.queue
        match step:
            case MarkFailed():
                self._mark_failed(step, ended)
            case MarkSplit():
                self._mark_split(ended)
            case MarkHalved():
                self.ledger.mark_halved(request.dataset, request.batch)
                self.patience = replace(self.patience, halvings=self.patience.halvings + 1)
            case Settle():
                self._settle(step, ended)
            case SettleSeen():
                self._settle_seen(step, ended)
            case Succeed():
                self._succeed(queue)
            case SendAgain():
                place = 0 if step.is_first else len(queue.again)
                queue.again[place:place] = step.requests
            case Park():
                self._park(step, queue)
            case SetAside():
                self._set_aside(step, queue)
            case LeaveUnknown():
                queue.unknown.append(step.request)
            case Hold():
                queue.held.append((step.request, step.refused))
            case RefuseCanary():
                self.halt(self._canaries.refuse(queue, step.refused))
            case LearnLimit():
                self._learn_limit(step.limit)
            case Note():
                self.progress.note(step.text)
            case Stop():
                self.halt(step.error)

    def _mark_failed(self, step: MarkFailed, ended: Ended) -> None:
        request = ended.request
        answer = _answer_of(ended)
        self.ledger.mark_failed(
            request.dataset,
            request.batch,
            answer,
            step.reason,
            ended.payload_sha256,
            applied=step.applied,
        )

    def _mark_split(self, ended: Ended) -> None:
        request = ended.request
        answer = _answer_of(ended)
        ended.queue.whole_refusals += 1
        self.ledger.mark_split(request.dataset, request.batch, answer, ended.payload_sha256)

    def _settle(self, step: Settle, ended: Ended) -> None:
        request = ended.request
        merged = self.ledger.settle(
            request.dataset,
            request.batch,
            self._with_changes(request, step.verdicts),
            answer=None if step.is_refusal_kept else ended.answer,
            payload_sha256="" if step.is_refusal_kept else ended.payload_sha256,
        )
        self._account(request, step.verdicts, merged)

    def _settle_seen(self, step: SettleSeen, ended: Ended) -> None:
        request = ended.request
        verdicts = self._with_changes(request, step.verdicts)
        merged = self.ledger.settle_read_back(request.dataset, request.batch, verdicts)
        self._account(request, step.verdicts, merged)

    def _with_changes(
        self, request: BatchRequest, settled: Sequence[Written | Rejected]
    ) -> list[tuple[Written | Rejected, str | None]]:
        """The verdicts with what each write did to its record, as the ledger keeps them."""
        dataset = self._datasets[request.dataset]
        since = self._since[request.dataset]
        planned = {record.sent.position: record for record in request.records}
        changed: list[tuple[Written | Rejected, str | None]] = []
        for verdict in self._merges.count(dataset, settled):
            change = None
            if isinstance(verdict, Written):
                record = planned[verdict.sent.position]
                change = self._changes.of(dataset, record, since, verdict)
            changed.append((verdict, change))
        return changed

    def _account(
        self, request: BatchRequest, settled: Sequence[Written | Rejected], merged: int
    ) -> None:
        """Tells canary, gates and progress of records that are settled."""
        queue = self.queues[request.dataset]
        written = 0
        for verdict in settled:
            if isinstance(verdict, Written):
                written += 1
                self._canaries.take(queue, request, verdict)
                self._gates.protected += bool(verdict.protected)
        self._gates.merged += merged
        self._gates.rejected += len(settled) - written
        self.progress.advance(request.dataset, len(settled))
        self._check_gates()

    def _check_gates(self) -> None:
        self.halt(self._gates.judge())

    def _succeed(self, queue: DatasetQueue) -> None:
        """The dataset takes writes: a record that it has refused alone is sent once more, and then it is its fault."""
        queue.succeed()
        self.patience = replace(self.patience, succeeded_at=self.clock())
        # Refused before the first success, they may have been refused for the dataset's fault.
        queue.again += [request for request, _ in queue.held]
        queue.held.clear()

    def _park(self, step: Park, queue: DatasetQueue) -> None:
        added_s = step.busy.total_s - queue.busy.total_s
        queue.busy, queue.deferred = step.busy, step.is_over
        if not step.is_over:
            self.ledger.add_seconds(queue.dataset, 0.0, busy=added_s)

    def _set_aside(self, step: SetAside, queue: DatasetQueue) -> None:
        request = step.request
        positions = [record.sent.position for record in request.records]
        self.ledger.lessons.set_aside(request.dataset, request.batch, positions, step.reason)
        queue.unknown.append(request)
        if not step.is_known:
            self.patience = replace(self.patience, set_aside=self.patience.set_aside + 1)

    def _learn_limit(self, limit: BodyLimit) -> None:
        self._limit = limit
        # Only a limit below which a body was taken is a lesson; a guess would bind the next load.
        if not limit.is_probing:
            service = self.client.settings.base_url
            self.ledger.lessons.learn(service, LESSON, str(limit.bytes))

    def _defer_rest(self, queue: DatasetQueue) -> None:
        """What is left of a dataset that was given up waits for another run, once its last answer is known."""
        # An answer that is still to come settles its batch, which must not have moved.
        if queue.deferred and not queue.in_flight:
            self.ledger.defer(queue.dataset)

    def _add_seconds(self, dataset: str) -> None:
        now = self.clock()
        queue = self.queues[dataset]
        self.ledger.add_seconds(dataset, now - self._marks[dataset])
        if queue.is_done:
            del self._marks[dataset]
        else:
            self._marks[dataset] = now


def _answer_of(ended: Ended) -> Answer:
    if ended.answer is None:
        raise AssertionError("a reading fails no request")
    return ended.answer
