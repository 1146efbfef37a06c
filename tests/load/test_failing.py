"""A batch that keeps failing while others are taken, and a dataset that refuses all it is sent."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from migrate.config import Gates
from migrate.errors import GaveUp, Refused
from migrate.load.failing import Patience, judge_failing
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.planned import PlannedRecord
from migrate.load.scheduler import BatchRequest, Waits
from migrate.target.results import SentRecord
from tests.load.sayings import Sayings
from tests.load.scripted import scripted

QUICK = Options(waits=Waits(0.01, 0.02, 0.05, 0.2))
POISON = "shop:7"


@pytest.fixture
def run(workspace, client_of):
    """Loads a plan into a service with short waits."""

    def go(service, plan, *, progress=None, **settings):
        client = client_of(SimpleNamespace(octolis_url=service.url), **settings)
        progress, stop = progress or Sayings(), threading.Event()
        return load(client, workspace, plan, Gates(), progress, stop, options=QUICK).datasets[
            "contacts"
        ]

    return go


def holds(records, key=POISON):
    """True for a batch with that record."""
    return any(record["contact_key"] == key for record in records)


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_record_that_breaks_its_batch_is_left_to_another_run(
    concurrency, run, make_plan, contacts, workspace
):
    """Its neighbours get in, it is told and open; when the service is well another run brings it in."""
    ill, plan, progress = [True], make_plan(contacts=contacts(4, 8)), Sayings()

    def judge(records):
        return (500, {"title": "Internal", "status": 500}) if ill and holds(records) else None

    with scripted(judge=judge) as service:
        totals = run(service, plan, progress=progress, concurrency=concurrency)
        assert (totals.written, totals.rejected, totals.open, totals.unknown) == (31, 0, 1, 1)
        assert len(service.asked_at) <= 3 + 4 + 3 * (2 + 1) + 6
        assert "in two halves" in progress.text
        assert "the record at place 7 waits for another run" in progress.text
        assert POISON not in progress.text
        before = len(service.asked_at)
        again = run(service, plan, concurrency=concurrency)
        assert (again.open, again.unknown, len(service.asked_at) - before) == (1, 1, 1)
        ill.clear()
        assert run(service, plan).open == 0
    assert len(service.stored) == 32


def test_a_result_that_always_fails_is_left_to_another_run(run, make_plan, contacts):
    """The same where the service answers for each record and fails for one: that one ends as unknown, not the load."""

    def judge(records):
        if not holds(records):
            return None
        done = [
            {"written": True, "record": {**r, "__masterid__": f"m-{r['contact_key']}"}}
            for r in records
        ]
        bad = [r["contact_key"] for r in records].index(POISON)
        done[bad] = {"written": False, "error": {"title": "Internal", "status": 500}}
        return 200, {"results": done}

    plan, progress = make_plan(contacts=contacts(3, 8)), Sayings()
    with scripted(judge=judge) as service:
        for _ in range(2):
            totals = run(service, plan, progress=progress)
            assert (totals.written, totals.rejected, totals.open, totals.unknown) == (23, 0, 1, 1)
    # This service answers no list: the load does not hang on its last look, and says what it does not know.
    assert "whether others have written to it since" in progress.text


@pytest.mark.parametrize("good", [0, 2])
def test_a_service_that_is_down_is_no_reason_to_halve(good, run, make_plan, contacts):
    """Where nothing is taken, from the beginning or from some batch on, the budget is waited for with whole batches."""
    taken: list[int] = []

    def judge(records):
        taken.append(len(records))
        return None if len(taken) <= good else (503, {"title": "down", "status": 503})

    with scripted(judge=judge) as service, pytest.raises(GaveUp, match="gave up after"):
        run(service, make_plan(contacts=contacts(4, 8)), concurrency=1, retry_budget_s=2)
    assert set(service.sizes) == {8}
    assert len(service.sizes) > good + 4


def request(records: int, **facts):
    """A job that has failed as told."""
    planned = [PlannedRecord(SentRecord(n, str(n), "{}"), "create") for n in range(records)]
    return BatchRequest("d", 0, planned, failing_from=10.0, **facts)


@pytest.mark.parametrize(
    ("records", "facts", "seconds", "step"),
    [
        (8, {"failures": 3}, 1.0, "wait"),
        (8, {"failures": 4}, 1.0, "halve"),
        (8, {"failures": 2}, 225.0, "halve"),
        (8, {"failures": 1}, 225.0, "wait"),
        (8, {"failures": 2, "halved_at": 30.0}, 1.0, "halve"),
        (1, {"failures": 5}, 1.0, "wait"),
        (1, {"failures": 6}, 1.0, "set aside"),
        (1, {"failures": 6, "halved_at": 15.0}, 1.0, "set aside"),
        (1, {"failures": 6, "halved_at": 30.0}, 1.0, "wait"),
    ],
)
def test_patience(records, facts, seconds, step):
    """A whole batch fails four times, a piece twice, a record six times; a quarter of the budget comes before that.

    A record that was alone only after the last success may be no worse than the rest.
    """
    failing = request(records, **facts)
    assert judge_failing(failing, seconds, 900.0, Patience(succeeded_at=20.0)) == step
    assert judge_failing(failing, seconds, 900.0, Patience(succeeded_at=9.0)) == "wait"
    # What was taken in the very moment of the first failure was taken meanwhile.
    if failing.halved_at is None:
        assert judge_failing(failing, seconds, 900.0, Patience(succeeded_at=10.0)) == step


def test_patience_at_the_beginning():
    """Nothing was halved or set aside yet, and nothing has succeeded: whatever fails, it waits."""
    assert (Patience().halvings, Patience().set_aside) == (0, 0)
    assert judge_failing(request(8, failures=9), 1.0, 900.0, Patience()) == "wait"


@pytest.mark.parametrize(("records", "step", "most"), [(8, "halve", 100), (1, "set aside", 20)])
def test_patience_is_bounded(records, step, most):
    """Where hundreds of batches fail it is the service, whatever it takes between them."""
    failing = request(records, failures=9)
    done = {"halvings": most - 1, "set_aside": most - 1}
    assert judge_failing(failing, 1.0, 900.0, Patience(20.0, **done)) == step
    done = {"halvings": most, "set_aside": most}
    assert judge_failing(failing, 1.0, 900.0, Patience(20.0, **done)) == "wait"


@pytest.mark.parametrize("concurrency", [1, 2, 8])
@pytest.mark.parametrize("batches", [[20, 20, 20], [3]])
def test_a_fault_of_the_whole_dataset_rejects_nothing(
    concurrency, batches, run, make_plan, contacts, workspace
):
    """A dataset that refuses all it is sent stops the load; when its cause is fixed, all of it gets in."""
    ill = [True]
    rows = [row for [row] in contacts(sum(batches), 1)]
    plan = make_plan(contacts=[[rows.pop() for _ in range(count)] for count in batches])

    def judge(_records):
        return (400, {"title": "the dataset is being changed", "status": 400}) if ill else None

    with scripted(judge=judge) as service:
        with pytest.raises(
            Refused, match=r"refuses every batch: the dataset is being changed"
        ) as caught:
            run(service, plan, concurrency=concurrency)
        assert "none of its records counts as rejected" in str(caught.value.hint)
        with LedgerView(workspace.ledger) as view:
            assert view.totals("first")["contacts"].rejected == 0
        ill.clear()
        totals = run(service, plan, concurrency=concurrency)
    assert (totals.written, totals.rejected, totals.open) == (sum(batches), 0, 0)


def test_a_record_refused_before_the_first_success(run, make_plan, contacts):
    """It is sent once more when the dataset has taken another one. Refused again it is rejected; taken, it is in."""
    refused: list[list[str]] = []

    def judge(records):
        keys = [record["contact_key"] for record in records]
        if "shop:0" not in keys and (keys != ["shop:1"] or keys in refused):
            return None
        refused.append(keys)
        return 400, {"title": "Invalid", "status": 400}

    with scripted(judge=judge) as service:
        totals = run(service, make_plan(contacts=contacts(1, 4)), concurrency=1)
    assert (totals.written, totals.rejected, totals.open) == (3, 1, 0)
    assert service.sizes == [4, 2, 1, 1, 2, 1, 1]
    assert refused[2:] == [["shop:0"], ["shop:1"], ["shop:0"]]
