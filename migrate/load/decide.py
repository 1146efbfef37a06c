"""What the end of a request means for the load: the steps that follow. Pure: facts go in, steps come out.

`outcome.py` takes the steps one after the other, and decides nothing. So the rules of a load are one table of cases,
and the ledger, the queues and the gates are touched in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from migrate.load.body_limit import BodyLimit
from migrate.load.failing import Patience, judge_failing
from migrate.load.readback import ReadBack
from migrate.load.scheduler import BatchRequest, Busy, Waits
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
from migrate.load.stops import gave_up, refuses_all, refuses_first
from migrate.target.answer import Answer, refusal
from migrate.target.results import (
    BUSY,
    Again,
    Fatal,
    Reading,
    Rejected,
    Results,
    SplitNeeded,
    Transient,
    Unclear,
    Written,
)

MOST_DOUBTS = 3
MOST_WHOLE_REFUSALS = 24
"""Refusals of whole batches after which a dataset that has taken nothing is at fault, and no record of it."""
TOO_LARGE = 413
THROTTLED = 429
_SINCE_MARGIN_S = 5.0


@dataclass(frozen=True)
class Answered:
    """An answer and what it says of the records. `size`: the bytes of the body that was sent."""

    reading: Reading
    answer: Answer
    size: int


@dataclass(frozen=True)
class History:
    """What decides beside the answer. Units: seconds; moments are of the load's clock.

    `takes_writes`: the dataset has taken records of this mapping, in this plan or before; `ever_written`: in this plan.
    `has_canary`: its canary is on its way. `whole_refusals`: of batches or pieces of them. `paused_s`: until a key may
    be used again. `spread`: between 0.5 and 1, so that retries do not come all at once. `place`: the dataset in words.
    """

    plan: str
    place: str
    retry_budget_s: float
    busy_budget_s: float
    takes_writes: bool = False
    ever_written: bool = False
    has_canary: bool = False
    is_webhook: bool = False
    has_several_keys: bool = False
    whole_refusals: int = 0
    busy: Busy = field(default_factory=Busy)
    patience: Patience = field(default_factory=Patience)
    limit: BodyLimit = field(default_factory=BodyLimit)
    waits: Waits = field(default_factory=Waits)
    paused_s: float = 0.0
    spread: float = 1.0

    def with_success(self, now: float) -> History:
        """The same once the dataset has taken something."""
        return replace(
            self, busy=self.busy.over(), patience=replace(self.patience, succeeded_at=now)
        )


def decide(request: BatchRequest, answered: Answered, history: History, now: float) -> Steps:
    """The steps that follow from an answer to a request, in the order in which they are to be taken."""
    reading = answered.reading
    if isinstance(reading, Results):
        known = _known_limit(history.limit.taken(answered.size), history)
        return (*known, *_decide_results(request, reading.verdicts, history, now))
    if isinstance(reading, SplitNeeded):
        return _decide_refusal(request, reading, answered.size, history)
    if isinstance(reading, Fatal):
        # 401, 403, 404 and redirects stay what they are however often one asks.
        error = refusal(answered.answer, history.place)
        return MarkFailed(error.what, applied=False), SendAgain((request,)), Stop(error)
    return _decide_failure(request, reading, answered.answer, history, now)


def decide_seen(request: BatchRequest, seen: ReadBack, history: History) -> Steps:
    """The steps once the target was read for a request whose answer was unclear: only what is missing goes again."""
    # An answer that stays unclear is not asked for without end: the records stay `unknown`, and the rest goes on.
    is_last = request.doubts >= MOST_DOUBTS
    # With several keys a missing record may have been merged into another one of the batch: then only the whole
    # batch in its order makes the target what it should be.
    is_whole = bool(seen.left) and history.has_several_keys and not is_last
    stored = () if is_whole else seen.stored
    left = [one for one in request.records if is_whole or one.sent.position in seen.left]
    if not left:
        return SettleSeen(stored), Succeed()
    rest = BatchRequest(
        request.dataset,
        request.batch,
        left,
        doubts=0 if stored else request.doubts,
        since=request.since,
        is_poison=request.is_poison,
    )
    if not is_last or stored:
        return SettleSeen(stored), SendAgain((rest,))
    text = f"what became of {len(left)} records is not known; they stay `unknown` until another run"
    return SettleSeen(stored), LeaveUnknown(rest), Note(f"{_named(request)}: {text}")


def _decide_results(
    request: BatchRequest,
    verdicts: Sequence[Written | Rejected | Again],
    history: History,
    now: float,
) -> Steps:
    refused = tuple(verdict for verdict in verdicts if isinstance(verdict, Rejected))
    if len(refused) == len(verdicts) and not history.takes_writes:
        # A dataset that has taken nothing refuses all of a request: that may be no fault of its records.
        failed = MarkFailed(f"all {len(refused)} records refused", applied=False)
        return failed, *_refuse_first(request, refused, history)
    settled = tuple(verdict for verdict in verdicts if not isinstance(verdict, Again))
    left = {verdict.sent.position: verdict for verdict in verdicts if isinstance(verdict, Again)}
    steps: list[Step] = [Settle(settled)]
    if any(isinstance(verdict, Written) for verdict in verdicts):
        steps.append(Succeed())
        history = history.with_success(now)
    if left:
        steps += _decide_rest(_rest_of(request, set(left)), list(left.values()), history, now)
    return tuple(steps)


def _rest_of(request: BatchRequest, positions: set[int]) -> BatchRequest:
    """The records at these places; as long as nothing was taken, it is the same request that keeps failing."""
    records = [record for record in request.records if record.sent.position in positions]
    if len(records) == len(request.records):
        return replace(request, records=records)
    return BatchRequest(
        request.dataset,
        request.batch,
        records,
        left_at=request.left_at,
        halved_at=request.halved_at,
        is_poison=request.is_poison,
    )


def _decide_rest(
    rest: BatchRequest, verdicts: Sequence[Again], history: History, now: float
) -> Steps:
    # 423 says nothing about the records: the dataset is being edited, or another source is running.
    if all(verdict.status == BUSY for verdict in verdicts):
        return _park(rest, None, history, now)
    first = verdicts[0]
    if first.status:
        reason = f"{first.status}: {first.reason}"
    else:
        reason = first.reason
    return _try_again(rest, Transient(reason, first.status), history, now)


def _decide_refusal(
    request: BatchRequest, reading: SplitNeeded, size: int, history: History
) -> Steps:
    """The request was refused as a whole; a record alone may have been refused for the dataset's fault."""
    is_one = len(request.records) == 1
    limit = history.limit
    if reading.status == TOO_LARGE and not is_one:
        limit = limit.refused(size)
    begun = (*_known_limit(limit, history), MarkSplit())
    refused = Rejected(request.records[0].sent, reading.status, reading.reason)
    if history.whole_refusals + 1 > MOST_WHOLE_REFUSALS and not history.ever_written:
        stop = Stop(refuses_all(history.plan, history.place, refused))
        return *begun, SendAgain((request,)), stop
    if not is_one:
        # 413 is about the size, so the cut is made by size; the others do not tell where to cut.
        if reading.status == TOO_LARGE:
            pieces = limit.pieces(request)
        else:
            pieces = [request]
        chosen = tuple(pieces) if len(pieces) > 1 else request.halves()
        return *begun, SendAgain(chosen, is_first=True)
    if history.ever_written:
        return *begun, Settle((refused,), is_refusal_kept=True)
    if history.has_canary:
        return *begun, *_refuse_first(request, (refused,), history)
    return *begun, Hold(request, refused)


def _refuse_first(request: BatchRequest, refused: tuple[Rejected, ...], history: History) -> Steps:
    if history.has_canary:
        return (RefuseCanary(refused),)
    return SendAgain((request,)), Stop(refuses_first(history.plan, history.place, refused))


def _decide_failure(
    request: BatchRequest,
    reading: Transient | Unclear,
    answer: Answer,
    history: History,
    now: float,
) -> Steps:
    # Both refuse before anything is written: the dataset is busy, or the key has no points.
    applied = answer.applied and answer.status not in (BUSY, THROTTLED)
    failed = MarkFailed(reading.reason, applied=applied)
    if isinstance(reading, Unclear):
        text = f"{_named(request)}: {reading.reason}; reading what is stored"
        return failed, SendAgain((_doubted(request, answer),)), Note(text)
    if reading.busy:
        return failed, *_park(request, reading.wait_s, history, now)
    # An upsert of the same key changes nothing twice; a webhook takes what comes again as something new.
    if applied and history.is_webhook:
        reason = f"{reading.reason}; what was sent may arrive twice"
        reading = replace(reading, reason=reason)
    return failed, *_try_again(request, reading, history, now)


def _doubted(request: BatchRequest, answer: Answer) -> BatchRequest:
    """The request as a reading: what is stored is looked at before anything is sent again."""
    since = request.since
    if since is None and answer.server_time is not None:
        # In the service's own time: this machine's clock may be wrong.
        since = answer.server_time - timedelta(seconds=answer.elapsed_s + _SINCE_MARGIN_S)
    return replace(request, doubts=request.doubts + 1, reading=True, since=since)


def _park(request: BatchRequest, asked_s: float | None, history: History, now: float) -> Steps:
    """The dataset is busy, and the others go on; beyond its budget the rest of it is left to another run."""
    again = SendAgain((request,))
    busy = history.busy.longer(now, history.waits, asked_s or 0.0)
    if busy == history.busy:
        return (again,)
    if busy.total_s > history.busy_budget_s:
        if asked_s:
            asked = f" (the service asked to wait {asked_s:.0f} s)"
        else:
            asked = ""
        text = f"stayed busy{asked}; what is left of it is deferred to another run"
        return again, Park(busy, is_over=True), Note(f"dataset {request.dataset} {text}")
    parked = (again, Park(busy))
    if busy.streak > 1:
        return parked
    text = f"dataset {request.dataset} is busy (423); going on with the others meanwhile"
    return *parked, Note(text)


def _try_again(request: BatchRequest, failure: Transient, history: History, now: float) -> Steps:
    """The request waits for its next try, within the retry budget; or it gives way to others."""
    if request.failing_since is None:
        since = now
    else:
        since = request.failing_since
    request = replace(request, tries=request.tries + 1, failing_since=since)
    failing_s = now - since
    is_throttled = failure.status == THROTTLED
    if not is_throttled:
        request = replace(
            request,
            failures=request.failures + 1,
            failing_from=min(request.failing_from, request.left_at),
        )
        steps = _give_way(request, failure, history, now, failing_s)
        if steps:
            return steps
    # A refused key is paused by the budget; another key may take the request at once.
    if is_throttled:
        wait_s, ready_at = history.paused_s, now
    else:
        own_s = history.waits.backoff_s(request.tries, history.spread)
        wait_s = max(own_s, failure.wait_s or 0.0)
        ready_at = now + wait_s
    if wait_s + failing_s > history.retry_budget_s:
        error = gave_up(history.plan, request, failure, failing_s)
        return SendAgain((request,)), Stop(error)
    again = SendAgain((replace(request, ready_at=ready_at),))
    # Of many tries the first, the second, the fourth … is told.
    if is_throttled or request.tries & (request.tries - 1):
        return (again,)
    text = f"{_named(request)}: {failure.reason}; trying again in {wait_s:.1f} s"
    return again, Note(text)


def _give_way(
    request: BatchRequest, failure: Transient, history: History, now: float, failing_s: float
) -> Steps:
    """What is done about a request that keeps failing while others are taken; nothing where it only waits."""
    what = f"{_named(request)}: {failure.reason}"
    place = request.records[0].sent.position
    waits = f"the record at place {place} waits for another run"
    if request.is_poison and failure.status:
        # It has failed alone before while others were taken: one try a load tells whether that has changed.
        aside = SetAside(request, failure.reason, is_known=True)
        return aside, Note(f"{what}, as before; {waits}")
    step = judge_failing(request, failing_s, history.retry_budget_s, history.patience)
    often = f"{request.failures} times, and others are taken"
    if step == "halve":
        halves = SendAgain(request.halves(now), is_first=True)
        text = f"{what}, {often}; sending its {len(request.records)} records in two halves"
        return MarkHalved(), halves, Note(text)
    if step == "set aside":
        return SetAside(request, failure.reason), Note(f"{what}, {often}; {waits}")
    return ()


def _known_limit(limit: BodyLimit, history: History) -> Steps:
    """What has changed of what is known about the largest body, and what is said of it."""
    if limit == history.limit:
        return ()
    if limit.is_probing:
        return (LearnLimit(limit),)
    return LearnLimit(limit), Note(limit.told)


def _named(request: BatchRequest) -> str:
    return f"dataset {request.dataset}, batch {request.batch}"
