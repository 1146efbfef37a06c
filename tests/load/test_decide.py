"""What the end of a request means: a table of cases, each with the steps that follow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrate.load.body_limit import BodyLimit
from migrate.load.decide import Answered, History, decide, decide_seen
from migrate.load.failing import Patience
from migrate.load.planned import PlannedRecord
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
    Stop,
    Succeed,
)
from migrate.target.answer import Answer
from migrate.target.results import (
    Again,
    Fatal,
    Rejected,
    Results,
    SentRecord,
    SplitNeeded,
    Transient,
    Unclear,
    Written,
)

NOW = 100.0
SIZE = 8_000
RECORDS = [PlannedRecord(SentRecord(n, f"k{n}", f'{{"id":"{n}"}}'), "create") for n in range(4)]
SENT = [record.sent for record in RECORDS]
REQUEST = BatchRequest("contacts", 3, RECORDS, left_at=90.0)
NEW = History(plan="p", place="dataset d", retry_budget_s=900.0, busy_budget_s=60.0, spread=0.5)
KNOWN = replace(NEW, takes_writes=True)
WRITING = replace(KNOWN, ever_written=True)
WRITTEN = [Written(sent, f"m{sent.position}") for sent in SENT]
REFUSED = [Rejected(sent, 400, "Bad") for sent in SENT]


def alone(place: int = 0, **facts) -> BatchRequest:
    """A request of one record."""
    return BatchRequest("contacts", 3, [RECORDS[place]], left_at=90.0, **facts)


def after(reading, history=WRITING, request=REQUEST, answer=Answer(200), now=NOW):  # noqa: B008 - frozen
    """The steps that follow."""
    return decide(request, Answered(reading, answer, SIZE), history, now)


def parts(steps, kind):
    """The steps of one kind."""
    return [step for step in steps if isinstance(step, kind)]


def test_all_written():
    """They are settled, and the dataset takes writes."""
    assert after(Results(tuple(WRITTEN)), NEW) == (Settle(tuple(WRITTEN)), Succeed())


def test_some_refused():
    """Of a request in which one is written, the others are at fault themselves, whatever is known of the dataset."""
    verdicts = (WRITTEN[0], REFUSED[1], REFUSED[2], REFUSED[3])
    assert after(Results(verdicts), NEW) == (Settle(verdicts), Succeed())


@pytest.mark.parametrize("history", [KNOWN, WRITING])
def test_all_refused_by_a_dataset_that_takes_writes(history):
    """It is their fault, and no success."""
    assert after(Results(tuple(REFUSED)), history) == (Settle(tuple(REFUSED)),)


def test_all_refused_by_a_dataset_that_has_taken_nothing():
    """That may be no fault of theirs: nothing is settled, the request stays, and the load stops with the reasons."""
    failed, again, stop = after(Results(tuple(REFUSED)), NEW)
    assert failed == MarkFailed("all 4 records refused", applied=False)
    assert again == SendAgain((REQUEST,))
    assert "4 of 4" in stop.error.what
    assert stop.error.exit_code == 8


def test_a_refused_canary():
    """The canary says what follows; the request is not sent again by itself."""
    history = replace(NEW, has_canary=True)
    steps = after(Results((REFUSED[0],)), history, alone())
    assert steps == (
        MarkFailed("all 1 records refused", applied=False),
        RefuseCanary((REFUSED[0],)),
    )


def test_some_not_taken():
    """What was taken is settled; the rest goes alone, as a new request that has failed once."""
    again = Again(SENT[2], 500, "Later")
    verdicts = Results((WRITTEN[0], WRITTEN[1], again, WRITTEN[3]))
    failing = replace(REQUEST, tries=3, failures=2, failing_since=50.0, failing_from=49.0)
    for request in (REQUEST, replace(failing, halved_at=60.0, doubts=2)):
        settled, succeeded, send, note = after(verdicts, request=request)
        assert (settled, succeeded) == (Settle((WRITTEN[0], WRITTEN[1], WRITTEN[3])), Succeed())
        [rest] = send.requests
        assert (rest.records, rest.tries, rest.failures) == ([RECORDS[2]], 1, 1)
        assert (rest.failing_since, rest.failing_from, rest.left_at) == (NOW, 90.0, 90.0)
        assert rest.halved_at == request.halved_at
        assert rest.doubts == 0
        assert "500: Later" in note.text


def test_a_reason_without_a_status():
    """Where no status was given for a record, none is told."""
    verdicts = (Again(SENT[0], 0, "Later"), *WRITTEN[1:])
    [note] = parts(after(Results(verdicts)), Note)
    assert note.text.startswith("dataset contacts, batch 3: Later; ")


def test_none_taken():
    """It is the same request that fails once more."""
    failing = replace(REQUEST, tries=3, failures=2, failing_since=50.0, failing_from=49.0)
    verdicts = tuple(Again(sent, 500, "Later") for sent in SENT)
    settled, send, note = after(Results(verdicts), request=failing)
    assert settled == Settle(())
    [rest] = send.requests
    assert (rest.tries, rest.failures, rest.failing_since, rest.failing_from) == (4, 3, 50.0, 49.0)
    assert "trying again" in note.text


def test_a_part_that_is_busy_is_parked():
    """423 for a record is no failure of it."""
    busy = Again(SENT[1], 423, "busy")
    steps = after(Results((WRITTEN[0], busy, WRITTEN[2], WRITTEN[3])))
    [send], [park] = parts(steps, SendAgain), parts(steps, Park)
    assert (send.requests[0].records, send.requests[0].tries) == ([RECORDS[1]], 0)
    assert park == Park(Busy(105.0, 1, 5.0))


def test_busy_and_something_else_is_a_failure():
    """Only where all that is left is busy it is the dataset that is."""
    verdicts = (Again(SENT[0], 423, "busy"), Again(SENT[1], 500, "x"), WRITTEN[2], WRITTEN[3])
    steps = after(Results(verdicts))
    assert not parts(steps, Park)
    assert parts(steps, SendAgain)[0].requests[0].failures == 1


def test_a_success_ends_what_was_busy_before_the_rest_is_judged():
    """The wait begins anew, since the dataset has taken something in between."""
    history = replace(WRITING, busy=Busy(90.0, 4, 59.0))
    verdicts = (WRITTEN[0], *(Again(sent, 423, "busy") for sent in SENT[1:]))
    [park] = parts(after(Results(verdicts), history), Park)
    assert park == Park(Busy(105.0, 1, 5.0))


@pytest.mark.parametrize(
    ("status", "history", "follows"),
    [
        (400, WRITING, Settle((REFUSED[0],), is_refusal_kept=True)),
        (400, KNOWN, Hold(alone(), REFUSED[0])),
        (400, NEW, Hold(alone(), REFUSED[0])),
        (400, replace(NEW, has_canary=True), RefuseCanary((REFUSED[0],))),
        (400, replace(WRITING, has_canary=True), Settle((REFUSED[0],), is_refusal_kept=True)),
    ],
)
def test_one_record_refused_as_a_whole(status, history, follows):
    """It is rejected where the dataset has taken others in this plan; before that it is held back."""
    assert after(SplitNeeded(status, "Bad"), history, alone()) == (MarkSplit(), follows)


def test_a_batch_refused_as_a_whole():
    """Its halves go before all else."""
    mark, again = after(SplitNeeded(422, "Bad"))
    assert (mark, again.is_first) == (MarkSplit(), True)
    assert [part.records for part in again.requests] == [RECORDS[:2], RECORDS[2:]]


def test_a_refusal_that_is_not_about_the_size_is_halved():
    """Where a limit of the body is known, too: it is the bad record that is looked for."""
    history = replace(WRITING, limit=BodyLimit(13))
    _, again = after(SplitNeeded(400, "Bad"), history)
    assert [part.records for part in again.requests] == [RECORDS[:2], RECORDS[2:]]


def test_a_batch_that_is_too_large():
    """Half its size is the limit from now on, nobody knows whether that will do, and the pieces keep it."""
    payload = '{"id":"' + "x" * 3_000 + '"}'
    large = [PlannedRecord(SentRecord(n, f"k{n}", payload), "create") for n in range(4)]
    request = BatchRequest("contacts", 3, large)
    learn, mark, again = after(SplitNeeded(413, "Too large"), request=request)
    assert learn == LearnLimit(BodyLimit(SIZE // 2, is_probing=True))
    assert mark == MarkSplit()
    assert [len(part.records) for part in again.requests] == [1, 1, 1, 1]


def test_pieces_of_a_batch_that_is_too_large_are_as_few_as_fit():
    """Of four records the last is the large one: the first three fit into one body, and no halves are made."""
    sizes = (1_000, 1_000, 1_000, 3_000)
    large = [
        PlannedRecord(SentRecord(n, f"k{n}", f'"{"x" * size}"'), "create")
        for n, size in enumerate(sizes)
    ]
    request = BatchRequest("contacts", 3, large)
    [again] = parts(after(SplitNeeded(413, "Too large"), request=request), SendAgain)
    assert [part.records for part in again.requests] == [large[:3], large[3:]]


def test_one_record_that_is_too_large_teaches_nothing():
    """It is at fault alone; no limit is learnt from it."""
    assert not parts(after(SplitNeeded(413, "Too large"), request=alone()), LearnLimit)


def test_a_body_that_is_taken_ends_the_search():
    """What is not larger will be taken: that is kept and told, once."""
    history = replace(WRITING, limit=BodyLimit(SIZE, is_probing=True))
    learn, note, *_ = after(Results(tuple(WRITTEN)), history)
    assert learn == LearnLimit(BodyLimit(SIZE))
    assert f"batch_bytes = {SIZE}" in note.text
    small = replace(WRITING, limit=BodyLimit(SIZE * 5, is_probing=True))
    assert not parts(after(Results(tuple(WRITTEN)), small), LearnLimit)


@pytest.mark.parametrize(
    ("refusals", "history", "is_stopped"), [(23, NEW, False), (24, NEW, True), (24, WRITING, False)]
)
def test_a_dataset_that_refuses_every_batch(refusals, history, is_stopped):
    """After twenty-four refusals and nothing taken the dataset is at fault: the load stops, and nothing is settled."""
    steps = after(SplitNeeded(400, "Closed"), replace(history, whole_refusals=refusals))
    assert bool(parts(steps, Stop)) is is_stopped
    if is_stopped:
        assert steps[:2] == (MarkSplit(), SendAgain((REQUEST,)))
        assert "refuses every batch: Closed" in steps[2].error.what


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_a_final_answer(status):
    """The request is marked as failed, stays for another run, and the load stops."""
    failed, again, stop = after(Fatal(status), answer=Answer(status))
    assert failed == MarkFailed(stop.error.what, applied=False)
    assert again == SendAgain((REQUEST,))
    assert (stop.error.exit_code, stop.error.status) == (6, status)


def test_an_unclear_answer():
    """Nothing is sent again before the target was read; `since` is before the request left, by the service's clock."""
    at = datetime(2026, 11, 30, 12, 0, 30, tzinfo=UTC)
    answer = Answer(200, server_time=at, elapsed_s=2.0)
    failed, again, note = after(Unclear("3 results for 4 records"), answer=answer)
    assert failed == MarkFailed("3 results for 4 records", applied=True)
    [reading] = again.requests
    assert (reading.reading, reading.doubts, reading.since) == (True, 1, at - timedelta(seconds=7))
    assert "reading what is stored" in note.text
    second = after(
        Unclear("odd"), request=reading, answer=Answer(200, server_time=at + timedelta(1))
    )
    assert second[1].requests[0].since == reading.since


@pytest.mark.parametrize(
    ("status", "is_sent", "applied"),
    [(500, True, True), (0, True, True), (0, False, False), (423, True, False), (429, True, False)],
)
def test_whether_the_service_may_have_acted(status, is_sent, applied):
    """Not where it says that it was busy or that it was too much, nor where nothing left."""
    reading = Transient("why", status, busy=status == 423)
    failed, *_ = after(reading, answer=Answer(status, applied=is_sent))
    assert failed == MarkFailed("why", applied=applied)


def test_busy():
    """The dataset is parked, the request stays as it is, and the first time that is told."""
    reading = Transient("423 Locked", 423, 7.0, busy=True)
    _, again, park, note = after(reading)
    assert (again, park) == (SendAgain((REQUEST,)), Park(Busy(107.0, 1, 7.0)))
    assert "busy (423)" in note.text
    second = after(reading, replace(WRITING, busy=Busy(99.0, 1, 9.0)))
    assert second[1:] == (SendAgain((REQUEST,)), Park(Busy(107.5, 2, 16.5)))
    # parked for longer already, be it for half a second
    short = replace(WRITING, busy=Busy(NOW + 0.5, 1, 9.0))
    assert after(Transient("423 Locked", 423, busy=True), short)[1:] == (SendAgain((REQUEST,)),)
    assert after(reading, replace(WRITING, busy=Busy(150.0, 1, 9.0)))[1:] == (
        SendAgain((REQUEST,)),
    )


@pytest.mark.parametrize(("total_s", "is_over"), [(55.0, False), (55.1, True)])
def test_busy_beyond_its_budget(total_s, is_over):
    """Sixty seconds in all are waited for; then the rest of the dataset is for another run."""
    history = replace(WRITING, busy=Busy(99.0, 0, total_s))
    [park] = parts(after(Transient("423", 423, busy=True), history), Park)
    assert park.is_over is is_over


@pytest.mark.parametrize(
    ("asked_s", "said"), [(3_600.0, " (the service asked to wait 3600 s)"), (None, "")]
)
def test_a_wait_beyond_the_budget_is_told_as_the_services(asked_s, said):
    """An hour is more than the sixty seconds: the rest is deferred, and the note says who asked for it."""
    history = replace(WRITING, busy=Busy(99.0, 0, 55.1))
    steps = after(Transient("423", 423, asked_s, busy=True), history)
    [note] = parts(steps, Note)
    assert note.text == (
        f"dataset contacts stayed busy{said}; what is left of it is deferred to another run"
    )


@pytest.mark.parametrize(
    ("tries", "wait_s", "is_told"),
    [(0, 0.5, True), (1, 1.0, True), (2, 2.0, False), (3, 4.0, True)],
)
def test_a_failure_waits_longer_each_time(tries, wait_s, is_told):
    """0.5 s doubled with each try, the half of it here; the first, second and fourth are told."""
    failing = replace(REQUEST, tries=tries, failing_since=NOW)
    steps = after(Transient("500", 500), NEW, failing)
    [again] = parts(steps, SendAgain)
    assert again.requests[0].ready_at == NOW + wait_s
    assert bool(parts(steps, Note)) is is_told


def test_a_service_that_asks_for_longer():
    """Its wait counts."""
    [again] = parts(after(Transient("503", 503, 20.0), NEW), SendAgain)
    assert again.requests[0].ready_at == 120.0


def test_too_many_requests():
    """429 is no failure of the batch: another key may take it at once, and patience is not used up."""
    failing = replace(REQUEST, tries=1, failing_since=80.0)
    history = replace(WRITING, paused_s=30.0, patience=Patience(succeeded_at=95.0))
    steps = after(Transient("429", 429, 30.0), history, failing)
    [again] = parts(steps, SendAgain)
    [request] = again.requests
    assert (request.ready_at, request.failures, request.tries) == (NOW, 0, 2)
    assert not parts(steps, Note)


@pytest.mark.parametrize(
    ("since", "paused_s", "is_over"),
    [(NOW - 870.0, 30.0, False), (NOW - 870.1, 30.0, True), (NOW, 900.1, True)],
)
def test_the_retry_budget(since, paused_s, is_over):
    """What was waited and what is to be waited may be 900 s together; then the load gives up and loses nothing."""
    failing = replace(REQUEST, tries=5, failing_since=since)
    steps = after(Transient("429", 429), replace(NEW, paused_s=paused_s), failing)
    [again], stops = parts(steps, SendAgain), parts(steps, Stop)
    assert again.requests[0].records == RECORDS
    assert bool(stops) is is_over
    if is_over:
        assert "after 6 tries" in stops[0].error.what


def test_a_batch_that_fails_while_others_are_taken():
    """The fourth failure halves it: the pieces remember since when, and go first."""
    failing = replace(REQUEST, tries=3, failures=3, failing_since=20.0, failing_from=15.0)
    history = replace(WRITING, patience=Patience(succeeded_at=50.0))
    steps = after(Transient("500", 500), history, failing, answer=Answer(500))
    assert steps[:2] == (MarkFailed("500", applied=True), MarkHalved())
    again, note = steps[2:]
    assert again.is_first
    assert [len(part.records) for part in again.requests] == [2, 2]
    assert [(p.halved_at, p.failing_from) for p in again.requests] == [(NOW, 15.0)] * 2
    assert "4 times" in note.text
    # where nothing was taken meanwhile it is the service that is not well
    down = replace(WRITING, patience=Patience(succeeded_at=14.0))
    assert not parts(after(Transient("500", 500), down, failing), MarkHalved)


def test_a_record_that_fails_while_others_are_taken():
    """The sixth failure leaves it to another run."""
    failing = alone(2, tries=5, failures=5, failing_since=20.0, failing_from=15.0)
    history = replace(WRITING, patience=Patience(succeeded_at=50.0))
    _, aside, note = after(Transient("500 Oops", 500), history, failing)
    assert (aside.reason, aside.is_known, aside.request.records) == (
        "500 Oops",
        False,
        [RECORDS[2]],
    )
    assert "the record at place 2 waits for another run" in note.text


@pytest.mark.parametrize(("status", "is_aside"), [(500, True), (0, False)])
def test_a_record_that_made_the_service_fail_before(status, is_aside):
    """One try a load; a connection that broke says nothing of the record."""
    steps = after(Transient("why", status), WRITING, alone(is_poison=True))
    found = parts(steps, SetAside)
    assert [step.is_known for step in found] == ([True] if is_aside else [])


def test_a_feed_may_get_it_twice():
    """Where a webhook may have taken what is sent again, that is said."""
    history = replace(WRITING, is_webhook=True)
    failed, _, note = after(Transient("500", 500), history)
    assert failed == MarkFailed("500", applied=True)
    assert "may arrive twice" in note.text
    refused = after(Transient("0", 0), history, answer=Answer(0, applied=False))
    assert "twice" not in parts(refused, Note)[0].text


SEEN = (WRITTEN[0], WRITTEN[1], WRITTEN[3])


@pytest.mark.parametrize(
    ("seen", "doubts", "several", "steps"),
    [
        (ReadBack(tuple(WRITTEN), frozenset()), 1, False, (SettleSeen(tuple(WRITTEN)), Succeed())),
        (ReadBack(tuple(WRITTEN), frozenset()), 3, True, (SettleSeen(tuple(WRITTEN)), Succeed())),
    ],
)
def test_all_seen(seen, doubts, several, steps):
    """All is settled, and the dataset takes writes."""
    request = replace(REQUEST, doubts=doubts, reading=True)
    assert decide_seen(request, seen, replace(NEW, has_several_keys=several)) == steps


def test_some_seen():
    """What is there is settled, and only what is missing goes again, without any doubt."""
    at = datetime(2026, 11, 30, tzinfo=UTC)
    request = replace(REQUEST, doubts=1, reading=True, since=at, is_poison=True)
    settled, again = decide_seen(request, ReadBack(SEEN, frozenset({2})), NEW)
    assert settled == SettleSeen(SEEN)
    [rest] = again.requests
    assert (rest.records, rest.doubts, rest.reading, rest.since, rest.is_poison) == (
        [RECORDS[2]], 0, False, at, True,
    )  # fmt: skip


def test_some_seen_where_records_merge():
    """With several keys the whole batch goes again, in its order; the doubts add up."""
    request = replace(REQUEST, doubts=2, reading=True)
    history = replace(NEW, has_several_keys=True)
    settled, again = decide_seen(request, ReadBack(SEEN, frozenset({2})), history)
    assert (settled, again.requests[0].records, again.requests[0].doubts) == (
        SettleSeen(()), RECORDS, 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "doubts", "is_left"), [(SEEN, 3, False), ((), 2, False), ((), 3, True)]
)
def test_the_third_doubt(stored, doubts, is_left):
    """Where three answers were unclear and nothing is there, nobody can tell; another run sends it."""
    request = replace(REQUEST, doubts=doubts, reading=True)
    left = frozenset({2}) if stored else frozenset(range(4))
    steps = decide_seen(request, ReadBack(stored, left), NEW)
    unknown = parts(steps, LeaveUnknown)
    assert bool(unknown) is is_left
    if is_left:
        assert unknown[0].request.records == RECORDS
        assert "what became of 4 records is not known" in steps[2].text
    else:
        assert parts(steps, SendAgain)


def test_waits_are_what_the_options_say():
    """The first wait and the longest are the load's."""
    history = replace(NEW, waits=Waits(2.0, 3.0), spread=1.0)
    for tries, wait_s in ((0, 3.0), (4, 3.0)):
        failing = replace(REQUEST, tries=tries, failing_since=NOW)
        [again] = parts(after(Transient("500", 500), history, failing), SendAgain)
        assert again.requests[0].ready_at == NOW + wait_s
