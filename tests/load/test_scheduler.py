"""Which batch leaves next."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from migrate.load.ledger import OpenBatch
from migrate.load.planned import PlannedRecord
from migrate.load.scheduler import BatchRequest, Busy, DatasetQueue, Waits, idle_s, next_request
from migrate.target.results import SentRecord


def queue(name: str, batches: int) -> DatasetQueue:
    """A dataset with batches of three records."""
    records = [PlannedRecord(SentRecord(n, f"{name}{n}", "{}"), "create") for n in range(3)]
    return DatasetQueue(
        name, deque(OpenBatch(n, 3, "planned", 0) for n in range(batches)), lambda _entry: records
    )


def test_datasets_in_the_plans_order():
    """The second dataset comes when the first has nothing left to send."""
    queues = [queue("a", 2), queue("b", 1)]
    jobs = [next_request(queues, 0.0) for _ in range(4)]
    assert [(request.dataset, request.batch) for request in jobs if request] == [
        ("a", 0),
        ("a", 1),
        ("b", 0),
    ]
    assert jobs[3] is None


def test_a_batch_that_keeps_failing_holds_up_none_that_was_never_sent():
    """Its wait is over before anything else could leave: it is tried again in turn with the others, until they end."""
    one, left = queue("a", 4), []
    while len(left) < 9:
        request = one.next_request(100.0)
        if request is None:
            continue
        left.append(request.batch)
        if request.batch == 0:
            request.failures += 1
            one.again.append(request)
    assert left == [0, 0, 1, 0, 2, 0, 3, 0, 0]


def test_a_busy_dataset_is_parked_and_then_probed():
    """While parked nothing leaves; afterwards a single request finds out; its success frees the rest."""
    one, waits = queue("a", 3), Waits()
    one.busy = one.busy.longer(100.0, waits)
    assert one.busy.longer(101.0, waits) == one.busy
    assert one.next_request(104.9) is None
    assert one.next_request(105.0) is not None
    one.in_flight = 1
    assert one.next_request(105.0) is None
    one.in_flight = 0
    one.succeed()
    assert one.next_request(105.0) is not None


def test_a_busy_dataset_that_asks_for_longer():
    """The longest wait that was asked for counts, also by an answer that comes when the dataset is parked already."""
    waits = Waits()
    busy = Busy().longer(100.0, waits, 60.0)
    assert busy == Busy(160.0, 1, 60.0)
    busy = busy.longer(101.0, waits, 60.0)
    assert busy == Busy(161.0, 1, 61.0)
    assert busy.longer(102.0, waits, 3.0) == busy
    # 5 s and half as much again, since it is busy for the second time in a row
    assert busy.longer(161.0, waits, 2.0) == Busy(168.5, 2, 68.5)
    assert busy.over() == Busy(161.0)


def test_busy_waits_grow_to_a_bound():
    """5 s at first, never more than 30."""
    waits = [Waits().busy_s(streak) for streak in range(1, 9)]
    assert waits[0] == 5
    assert waits == sorted(waits)
    assert waits[-1] == 30


@given(st.integers(1, 500), st.floats(0.5, 1.0))
def test_backoff_grows_and_is_spread(tries, spread):
    """Each wait is the chosen part of a doubling time, at most thirty seconds."""
    top = min(30.0, 0.5 * 2.0 ** min(tries, 20))
    assert Waits().backoff_s(tries, spread) == top * spread


@given(st.integers(1, 200))
def test_halves_lose_nothing(count):
    """The two halves hold every record once, in order, and neither is empty from two records on."""
    records = [PlannedRecord(SentRecord(n, str(n), "{}"), "create") for n in range(count)]
    first, second = BatchRequest("a", 0, records).halves()
    assert [*first.records, *second.records] == records
    assert abs(len(first.records) - len(second.records)) <= 1


def test_idle_until_something_is_ready():
    """The wait ends when the first retry or park ends, and at the given bound."""
    one = queue("a", 0)
    one.again.append(BatchRequest("a", 0, [], ready_at=10.4))
    assert one.next_request(10.0) is None
    assert round(idle_s([one], 10.0, 5.0), 3) == 0.4
    assert idle_s([one], 0.0, 0.25) == 0.25
    assert idle_s([], 0.0, 0.25) == 0.0
