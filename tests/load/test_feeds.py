"""Feeds: batches that go to a webhook, through the same ledger, budget and faults, and of which nothing can be read."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter

import httpx
import polars as pl
import pytest

from migrate.config import Gates, Webhook
from migrate.errors import GaveUp, Refused
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.scheduler import Waits
from migrate.report.load import render_load, summarise_load
from tests.load.sayings import Sayings

QUICK = Options(waits=Waits(0.01, 0.1, 0.05, 0.2))


@pytest.fixture
def feed(make_plan, contacts):
    """A plan whose one dataset goes to the webhook `hook-1` instead."""

    def make(batches=4, rows=5, **webhook):
        plan = make_plan(contacts=contacts(batches, rows))
        settings = Webhook(id="hook-1", **webhook)
        datasets = [
            dataclasses.replace(d, dataset_id="hook-1", webhook=settings) for d in plan.datasets
        ]
        return dataclasses.replace(plan, datasets=tuple(datasets))

    return make


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""
    return lambda client, plan, notes=None: load(
        client, workspace, plan, Gates(), notes or Sayings(), threading.Event(), options=QUICK
    )


def arrived(box):
    """How often each record reached the webhook."""
    received = httpx.get(f"{box.url}/_sandbox/webhooks").json()["received"]
    assert {entry["id"] for entry in received} <= {"hook-1"}
    return Counter(record["contact_key"] for entry in received for record in entry["body"])


def test_every_record_arrives_once(start_sandbox, client_of, run, feed, sandbox_state):
    """A quiet load hands every record over once, a batch a request, and neither counts nor reads a dataset."""
    box = start_sandbox()
    totals = run(client_of(box), feed()).datasets["contacts"]
    assert arrived(box) == Counter({f"shop:{n}": 1 for n in range(20)})
    assert (totals.target, totals.written, totals.open, totals.requests) == ("webhook", 20, 0, 4)
    assert (totals.created, totals.updated, totals.repeated, totals.count_before) == (0, 0, 0, None)
    assert sandbox_state(box)["requests"]["octolis"] == {"webhook": {"200": 4}}


def test_a_second_load_sends_nothing(start_sandbox, client_of, run, feed):
    """What was handed over is not sent again."""
    box, plan = start_sandbox(), feed()
    run(client_of(box), plan)
    run(client_of(box), plan)
    assert set(arrived(box).values()) == {1}


def test_method_and_headers_are_the_configured_ones(
    datasets_file, start_sandbox, client_of, run, feed
):
    """A webhook that takes only PUT with a header of its own gets just that; without it the load says where to look."""
    hook = '\n[webhooks.hook-1]\nmethods = ["PUT"]\nheaders = { x-origin = "migration" }\n'
    datasets_file.write_text(datasets_file.read_text() + hook)
    box = start_sandbox()
    for wrong in ({"method": "POST", "headers": {"x-origin": "migration"}}, {"method": "PUT"}):
        with pytest.raises(Refused) as caught:
            run(client_of(box), feed(**wrong))
        assert "the method and headers under [octolis.webhooks]" in str(caught.value.hint)
    run(client_of(box), feed(method="PUT", headers={"x-origin": "migration"}))
    assert sum(arrived(box).values()) == 20


@pytest.mark.parametrize(
    ("fault", "most"),
    [
        ("octolis:500@at=2,path=*webhook*", 1),
        ("octolis:429=0.05@at=2,path=*webhook*", 1),
        ("octolis:reset@at=2,path=*webhook*", 1),
        ("octolis:reset-after@at=2,path=*webhook*", 2),
        ("octolis:504@at=2,path=*webhook*,applied=1", 2),
    ],
)
def test_an_answer_that_is_lost(fault, most, start_sandbox, client_of, run, feed):
    """Nothing is ever missing; what may have arrived twice is said, and is at most the batch whose answer was lost."""
    box, notes = start_sandbox(fault), Sayings()
    result = run(client_of(box, concurrency=1), feed(), notes)
    seen, totals = arrived(box), result.datasets["contacts"]
    assert (len(seen), totals.written, totals.open) == (20, 20, 0)
    twice = sum(count > 1 for count in seen.values())
    assert max(seen.values()) == most
    assert twice <= totals.repeated <= 5
    assert ("may arrive twice" in notes.text) is (totals.repeated > 0)
    assert (totals.repeated == 0) is ("429" in fault)


def test_a_load_that_died_says_what_may_arrive_twice(
    start_sandbox, client_of, run, feed, workspace
):
    """A batch that was announced and never answered is sent again by the next run, which says so."""
    box, plan = start_sandbox("octolis:503@path=*webhook*"), feed(batches=1)
    with pytest.raises(GaveUp):
        run(client_of(box, retry_budget_s=0.1), plan)
    notes = Sayings()
    totals = run(client_of(start_sandbox()), plan, notes).datasets["contacts"]
    assert (totals.written, totals.repeated) == (5, 5)
    assert "5 records left without an answer and are sent again" in notes.text


def test_unverifiable_is_said(start_sandbox, client_of, run, feed):
    """The report and the summary of a load tell a feed from a dataset."""
    result = run(client_of(start_sandbox("octolis:reset-after@at=1,path=*webhook*")), feed())
    text, entry = render_load(result), summarise_load(result)["datasets"]["contacts"]
    assert "contacts went to a webhook: not verifiable" in text
    assert "up to 5 records may have arrived twice" in text
    assert (entry["target"], entry["repeated"]) == ("webhook", 5)


@pytest.mark.parametrize(
    ("status", "word"), [("401", "OCTOLIS_API_KEYS"), ("404", "[octolis.webhooks]")]
)
def test_a_webhook_that_refuses_ends_the_load(status, word, start_sandbox, client_of, run, feed):
    """The message names the key, the webhook and the feed, and where to look."""
    box = start_sandbox(f"octolis:{status}@path=*webhook*")
    with pytest.raises(Refused, match=r"key 1 of 1 for webhook hook-1 \(contacts\)") as caught:
        run(client_of(box), feed())
    assert word in str(caught.value.hint)
    assert arrived(box) == Counter()


def test_the_crosswalk_has_no_masterids(start_sandbox, client_of, run, feed, workspace):
    """A feed's crosswalk says which source record was handed over; there is no record of the target to name."""
    run(client_of(start_sandbox()), feed())
    frame = pl.read_parquet(workspace.exports / "first" / "crosswalk-contacts.parquet")
    assert frame["masterid"].null_count() == frame.height == 20
    assert set(frame["change"]) == {"sent"}


def test_the_ledger_keeps_what_it_was_sent_to(start_sandbox, client_of, run, feed, workspace):
    """Whoever reads the ledger later sees that these records went to a webhook."""
    run(client_of(start_sandbox()), feed())
    with LedgerView(workspace.ledger) as view:
        assert view.totals("first")["contacts"].target == "webhook"
