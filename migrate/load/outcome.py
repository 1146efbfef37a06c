"""What an answer does to the ledger, to the schedule and to the run as a whole."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from migrate.config import Gates
from migrate.errors import MigrateError
from migrate.load.changes import Changes
from migrate.load.failing import Patience
from migrate.load.gates import LoadGates
from migrate.load.ledger import Ledger
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.load.readback import ReadBack
from migrate.load.scheduler import Job, Lane, Waits
from migrate.load.stops import gave_up, refuses_all
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
_MOST_WHOLE_REFUSALS = 24
_SINCE_MARGIN_S = 5.0


@dataclass
class Outcomes:
    """Takes the end of every request. `reason` is why the run has to stop, the first that came up."""

    ledger: Ledger
    plan: PlanToLoad
    lanes: Mapping[str, Lane]
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
    _patience: Patience = field(default_factory=Patience)
    _gates: LoadGates = field(init=False)
    _changes: Changes = field(init=False)

    def __post_init__(self) -> None:
        self._gates = LoadGates(self.plan, self.gates, self.strict)
        self._changes = Changes(self.progress.note)

    def start(self, totals: Mapping[str, Totals]) -> None:
        """Takes up the sums of earlier runs."""
        self._datasets = {dataset.name: dataset for dataset in self.plan.datasets}
        for name in self._datasets:
            server_time = totals[name].server_time
            self._since[name] = None if server_time is None else datetime.fromtimestamp(server_time, UTC)
            self._gates.rejected += totals[name].rejected
            self._gates.merged += totals[name].merged
            self._gates.protected += totals[name].protected
            self.lanes[name].ever_written = totals[name].written > 0
        self._check_gates()

    def begin(self, job: Job) -> None:
        """A request leaves."""
        job.left_at = self.clock()
        self.lanes[job.dataset].in_flight += 1
        self._marks.setdefault(job.dataset, job.left_at)

    def unsent(self, job: Job) -> None:
        """A request was called back before it left, or a reading before it was over."""
        lane = self.lanes[job.dataset]
        lane.in_flight -= 1
        if not job.reading:
            self.ledger.mark_unsent(job.dataset, job.batch)
        lane.again.append(job)
        self._defer_rest(lane)

    def unreachable(self, job: Job, error: MigrateError) -> None:
        """The service cannot be reached at all, or cannot be read."""
        self.unsent(job)
        self._halt(error)

    def take(self, job: Job, answer: Answer, body: bytes) -> None:
        """A request was answered, or broke off."""
        lane, dataset = self.lanes[job.dataset], self._datasets[job.dataset]
        lane.in_flight -= 1
        sent = [record.sent for record in job.records]
        reading = dataset.read(answer, sent)
        payload_sha256 = sha256_bytes(body)
        if isinstance(reading, Results):
            self._take_results(job, lane, reading.verdicts, answer, payload_sha256)
        elif isinstance(reading, SplitNeeded):
            self._split(job, lane, reading, answer, payload_sha256)
        elif isinstance(reading, Fatal):
            error = refusal(answer, dataset.place)
            self.ledger.mark_failed(job.dataset, job.batch, answer, error.what, payload_sha256, applied=False)
            lane.again.append(job)
            self._halt(error)
        else:
            self._take_failure(job, lane, reading, answer, payload_sha256)
        self._defer_rest(lane)
        self._add_seconds(job.dataset)

    def take_reading(self, job: Job, found: ReadBack) -> None:
        """The target was read for a batch whose answer was unclear; only what is missing or different is sent again."""
        lane, last = self.lanes[job.dataset], job.doubts >= MOST_DOUBTS
        lane.in_flight -= 1
        # With several keys a missing record may have been merged into another one of the batch: then only the whole
        # batch in its order makes the target what it should be.
        is_whole = bool(found.left) and self._datasets[job.dataset].several_keys and not last
        stored = () if is_whole else found.stored
        self._account(
            job, stored, self.ledger.settle_read_back(job.dataset, job.batch, self._with_changes(job, stored))
        )
        left = [r for r in job.records if is_whole or r.sent.position in found.left]
        rest = Job(job.dataset, job.batch, left, doubts=0 if stored else job.doubts, since=job.since)
        if not left:
            self._succeed(lane)
        elif last and not stored:
            lane.unknown.append(rest)
            self.progress.note(
                f"dataset {job.dataset}, batch {job.batch}: what became of {len(left)} records cannot be told; "
                "they stay unknown until another run"
            )
        else:
            lane.again.append(rest)
        self._defer_rest(lane)
        self._add_seconds(job.dataset)

    def finish(self) -> None:
        """Nothing is left to send: what nobody can tell of becomes unknown in the ledger, unless it is deferred.

        A dataset that has refused all it was sent is a reason to stop: nothing of it is settled.
        """
        for lane in self.lanes.values():
            if lane.deferred:
                continue
            for job in lane.unknown:
                self.ledger.mark_unknown(job.dataset, job.batch)
            if lane.held and lane.is_done:
                place = self._datasets[lane.dataset].place
                self._halt(refuses_all(self.plan.name, place, lane.held[0][1]))

    def raise_reason(self) -> None:
        """Raises the reason to stop, if there is one."""
        if self.reason is not None:
            raise self.reason

    def _take_results(
        self,
        job: Job,
        lane: Lane,
        verdicts: Sequence[Written | Rejected | Again],
        answer: Answer,
        payload_sha256: str,
    ) -> None:
        left = {verdict.sent.position: verdict for verdict in verdicts if isinstance(verdict, Again)}
        self._settle(job, [v for v in verdicts if not isinstance(v, Again)], answer, payload_sha256)
        if any(isinstance(verdict, Written) for verdict in verdicts):
            self._succeed(lane)
        if not left:
            return
        rest = Job(job.dataset, job.batch, [r for r in job.records if r.sent.position in left])
        rest.left_at, rest.halved_at = job.left_at, job.halved_at
        first = next(iter(left.values()))
        if len(left) == len(job.records):
            rest.tries, rest.failing_since = job.tries, job.failing_since
            rest.failures, rest.failing_from = job.failures, job.failing_from
        if all(verdict.status == BUSY for verdict in left.values()):
            self._park(rest, lane, None)
        else:
            reason = f"{first.status}: {first.reason}" if first.status else first.reason
            self._try_again(rest, lane, Transient(reason, first.status))

    def _settle(
        self,
        job: Job,
        settled: Sequence[Written | Rejected],
        answer: Answer | None = None,
        payload_sha256: str = "",
    ) -> None:
        verdicts = self._with_changes(job, settled)
        merged = self.ledger.settle(job.dataset, job.batch, verdicts, answer=answer, payload_sha256=payload_sha256)
        self._account(job, settled, merged)

    def _with_changes(
        self, job: Job, settled: Sequence[Written | Rejected]
    ) -> list[tuple[Written | Rejected, str | None]]:
        dataset, since = self._datasets[job.dataset], self._since[job.dataset]
        planned = {record.sent.position: record for record in job.records}
        return [
            (v, self._changes.of(dataset, planned[v.sent.position], since, v) if isinstance(v, Written) else None)
            for v in settled
        ]

    def _account(self, job: Job, settled: Sequence[Written | Rejected], merged: int) -> None:
        self._gates.merged += merged
        self._gates.rejected += sum(isinstance(verdict, Rejected) for verdict in settled)
        self._gates.protected += sum(isinstance(verdict, Written) and bool(verdict.protected) for verdict in settled)
        self.progress.advance(job.dataset, len(settled))
        self._check_gates()

    def _split(self, job: Job, lane: Lane, reading: SplitNeeded, answer: Answer, payload_sha256: str) -> None:
        lane.whole_refusals += 1
        self.ledger.mark_split(job.dataset, job.batch, answer, payload_sha256)
        refused = Rejected(job.records[0].sent, reading.status, reading.reason)
        if lane.whole_refusals > _MOST_WHOLE_REFUSALS and not lane.ever_written:
            lane.again.append(job)
            self._halt(refuses_all(self.plan.name, self._datasets[job.dataset].place, refused))
        elif len(job.records) > 1:
            lane.again[:0] = job.halves()
        elif lane.ever_written:
            self._settle(job, [refused])
        else:
            lane.held.append((job, refused))

    def _succeed(self, lane: Lane) -> None:
        """The dataset takes writes: a record that it has refused alone is sent once more, and then it is its fault."""
        lane.succeed()
        self._patience.succeeded_at = self.clock()
        lane.again += [job for job, _ in lane.held]
        lane.held.clear()

    def _defer_rest(self, lane: Lane) -> None:
        """What is left of a dataset that was given up waits for another run, once its last answer is known."""
        if lane.deferred and not lane.in_flight:
            self.ledger.defer(lane.dataset)

    def _take_failure(
        self, job: Job, lane: Lane, reading: Transient | Unclear, answer: Answer, payload_sha256: str
    ) -> None:
        failure = reading if isinstance(reading, Transient) else Transient(reading.reason, answer.status)
        applied = answer.applied and answer.status not in (BUSY, 429)
        self.ledger.mark_failed(job.dataset, job.batch, answer, failure.reason, payload_sha256, applied=applied)
        if applied and self._datasets[job.dataset].webhook is not None:
            failure = replace(failure, reason=f"{failure.reason}; what was sent may arrive twice")
        if isinstance(reading, Unclear):
            self._doubt(job, lane, reading, answer)
        elif failure.busy:
            self._park(job, lane, failure.wait_s)
        else:
            self._try_again(job, lane, failure)

    def _doubt(self, job: Job, lane: Lane, reading: Unclear, answer: Answer) -> None:
        if answer.server_time is not None and job.since is None:
            job.since = answer.server_time - timedelta(seconds=answer.elapsed_s + _SINCE_MARGIN_S)
        job.doubts += 1
        job.reading = True
        lane.again.append(job)
        self.progress.note(f"dataset {job.dataset}, batch {job.batch}: {reading.reason}; reading what is stored")

    def _park(self, job: Job, lane: Lane, asked_s: float | None) -> None:
        lane.again.append(job)
        added_s = lane.park(self.clock(), self.waits, asked_s or 0.0)
        if not added_s:
            return
        if lane.busy_total_s > self.client.settings.busy_budget_s:
            lane.deferred = True
            asked = f" (the service asked to wait {asked_s:.0f} s)" if asked_s else ""
            self.progress.note(
                f"dataset {job.dataset} stayed busy{asked}; what is left of it is deferred to another run"
            )
            return
        self.ledger.add_seconds(job.dataset, 0.0, busy=added_s)
        if lane.busy_streak == 1:
            self.progress.note(f"dataset {job.dataset} is busy (423); going on with the others meanwhile")

    def _try_again(self, job: Job, lane: Lane, failure: Transient) -> None:
        now, budget_s = self.clock(), self.client.retry_budget_s
        job.tries += 1
        job.failing_since = now if job.failing_since is None else job.failing_since
        throttled = failure.status == 429
        if not throttled:
            job.failures, job.failing_from = job.failures + 1, min(job.failing_from, job.left_at)
            if self._give_way(job, lane, failure, now - job.failing_since):
                return
        # A refused key is paused by the budget; another key may take the job at once.
        own_wait_s = 0.0 if throttled else self.waits.backoff_s(job.tries, self.rng)
        wait_s = max(own_wait_s, self.client.paused_s() if throttled else failure.wait_s or 0.0)
        lane.again.append(job)
        if now + wait_s - job.failing_since > budget_s:
            self._halt(gave_up(self.plan.name, job, failure, now - job.failing_since))
            return
        job.ready_at = now if throttled else now + wait_s
        if not throttled and job.tries & (job.tries - 1) == 0:
            self.progress.note(
                f"dataset {job.dataset}, batch {job.batch}: {failure.reason}; trying again in {wait_s:.1f} s"
            )

    def _give_way(self, job: Job, lane: Lane, failure: Transient, seconds: float) -> bool:
        """True where the job keeps failing while others are taken, and is halved or left to another run."""
        step = self._patience.judge(job, seconds, self.client.retry_budget_s)
        if step == "wait":
            return False
        told = f"dataset {job.dataset}, batch {job.batch}: {failure.reason}, {job.failures} times, and others are taken"
        if step == "halve":
            self.ledger.mark_halved(job.dataset, job.batch)
            lane.again[:0] = job.halves(self.clock())
            self.progress.note(f"{told}; sending its {len(job.records)} records in two halves")
        else:
            lane.unknown.append(job)
            self.progress.note(f"{told}; the record at place {job.records[0].sent.position} waits for another run")
        return True

    def _check_gates(self) -> None:
        broken = self._gates.judge()
        if broken is not None:
            self._halt(broken)

    def _halt(self, error: MigrateError) -> None:
        self.reason = self.reason or error

    def _add_seconds(self, dataset: str) -> None:
        now, lane = self.clock(), self.lanes[dataset]
        self.ledger.add_seconds(dataset, now - self._marks[dataset])
        if lane.is_done:
            del self._marks[dataset]
        else:
            self._marks[dataset] = now
