"""What a service may answer, in real loads over real sockets: waits, drips, redirects, refusals, too many errors."""

from __future__ import annotations

import dataclasses
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from migrate.config import Gates, Octolis
from migrate.config_values import Limit
from migrate.errors import GateError, GaveUp, Refused
from migrate.load.loader import Options, load
from migrate.load.scheduler import Waits
from migrate.progress import Silence
from migrate.target.budget import Budget
from tests.load.scripted import scripted

QUICK = Options(waits=Waits(0.01, 0.1, 0.05, 0.2))
FAR = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def http_date(moment: datetime) -> str:
    """As a header says it."""
    return format_datetime(moment, usegmt=True)


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""

    def go(client, plan, gates=Gates()):  # noqa: B008 - Gates is frozen
        return load(client, workspace, plan, gates, Silence(), threading.Event(), options=QUICK)

    return go


@pytest.mark.parametrize(
    ("headers", "pause_s"),
    [
        pytest.param({"Retry-After": "1"}, 1.0, id="seconds"),
        pytest.param({"Retry-After": "0.4"}, 0.4, id="fraction"),
        pytest.param(
            {"Retry-After": http_date(FAR + timedelta(seconds=1)), "Date": http_date(FAR)},
            1.0,
            id="date",
        ),
        pytest.param(
            {"Retry-After": http_date(FAR), "Date": http_date(FAR)}, 0.0, id="date that is over"
        ),
        pytest.param({"Retry-After": "0"}, 0.0, id="zero"),
        pytest.param({"Retry-After": "-3"}, 0.0, id="negative"),
        pytest.param({}, 0.02, id="missing"),
        pytest.param({"Retry-After": "soon"}, 0.02, id="garbage"),
        pytest.param({"Retry-After": "inf"}, 0.02, id="infinite"),
        pytest.param({"Retry-After": "Wed, 99 Foo 2031 07:08:09 GMT"}, 0.02, id="broken date"),
    ],
)
def test_retry_after(headers, pause_s, client_of, run, make_plan, contacts, monkeypatch):
    """A refused key asks again when it was told, by the service's own clock; untold, after a pause of its own."""
    refuse, pauses = Budget._refuse, []

    def refused(self, key, grant, now, retry_after_s):
        refuse(self, key, grant, now, retry_after_s)
        pauses.append(round(key.paused_until - now, 6))

    monkeypatch.setattr(Budget, "_refuse", refused)
    with scripted((429, headers)) as service:
        plan = make_plan(contacts=contacts(2, 3))
        totals = run(
            client_of(SimpleNamespace(octolis_url=service.url), concurrency=1), plan
        ).datasets["contacts"]
    assert pauses == [pause_s]
    assert service.asked_at[1] - service.asked_at[0] >= pause_s
    assert (totals.written, totals.throttled_429, totals.requests, len(service.asked_at)) == (
        6,
        1,
        3,
        3,
    )


def test_a_busy_dataset_is_asked_again_when_it_said(client_of, run, make_plan, contacts):
    """Not before, as long as it asks for less than `busy_budget_s`; the wait is in the report."""
    with scripted((423, {"Retry-After": "0.7"})) as service:
        client = client_of(SimpleNamespace(octolis_url=service.url), concurrency=1)
        totals = run(client, make_plan(contacts=contacts(2, 3))).datasets["contacts"]
    assert service.asked_at[1] - service.asked_at[0] >= 0.7
    assert (totals.written, totals.busy_423, round(totals.busy_s, 1)) == (6, 1, 0.7)


def test_a_dataset_busy_for_longer_than_the_budget_is_deferred_at_once(
    client_of, run, make_plan, contacts
):
    """It is not asked again before it said: what is left waits for another run, and nobody sleeps."""
    with scripted((423, {"Retry-After": "60"})) as service:
        client = client_of(
            SimpleNamespace(octolis_url=service.url), concurrency=1, busy_budget_s=30
        )
        totals = run(client, make_plan(contacts=contacts(2, 3))).datasets["contacts"]
    assert (totals.deferred, totals.open, totals.requests, totals.busy_s) == (6, 0, 1, 0)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "86400"},
        {"Retry-After": http_date(FAR + timedelta(days=1)), "Date": http_date(FAR)},
    ],
    ids=["seconds", "date"],
)
def test_an_absurd_wait_ends_the_load(headers, client_of, run, make_plan, contacts):
    """The load does not sleep for a day: it says how long was asked for, and goes on when it is called again."""
    plan = make_plan(contacts=contacts(2, 3))
    with scripted((429, headers)) as service:
        begun = time.monotonic()
        with pytest.raises(GaveUp, match="asked to wait 86400 s") as caught:
            run(client_of(SimpleNamespace(octolis_url=service.url)), plan)
        assert time.monotonic() - begun < 300
        assert "migrate load --plan first" in str(caught.value.hint)
        totals = run(client_of(SimpleNamespace(octolis_url=service.url)), plan).datasets["contacts"]
    assert (totals.written, len(service.stored)) == (6, 6)


def test_a_key_that_must_wait_for_a_day_leaves_the_work_to_the_other(
    client_of, run, make_plan, contacts
):
    """With two keys, one that is told to wait absurdly long rests, and the load goes on with the other alone."""
    with scripted((429, {"Retry-After": "86400"})) as service:
        client = client_of(
            SimpleNamespace(octolis_url=service.url), keys=("one", "two"), concurrency=1
        )
        totals = run(client, make_plan(contacts=contacts(6, 3))).datasets["contacts"]
    assert (totals.written, totals.throttled_429) == (18, 1)
    refused, *others = service.keys
    assert refused not in others


def test_an_answer_that_drips_is_cut_off_and_asked_for_again(
    start_sandbox, client_of, run, make_plan, contacts
):
    """The deadline is for the whole answer; the batch, which was applied, is sent again and changes nothing twice."""
    box = start_sandbox("octolis:drip=2@at=1,path=*batch")
    totals = run(
        client_of(box, request_deadline_s=1), make_plan(contacts=contacts(2, 20))
    ).datasets["contacts"]
    assert (totals.written, totals.created) == (40, 40)
    assert totals.requests >= 3


def test_a_service_that_only_drips_is_given_up(start_sandbox, client_of, run, make_plan, contacts):
    """Tries and deadlines are bounded together."""
    box, begun = start_sandbox("octolis:drip=0.2@path=*batch"), time.monotonic()
    with pytest.raises(GaveUp, match=r"not whole after 1 s"):
        run(
            client_of(box, request_deadline_s=1, retry_budget_s=2),
            make_plan(contacts=contacts(1, 20)),
        )
    assert time.monotonic() - begun < 300


def test_a_redirect_is_not_followed(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """The batch and the key stay with the configured host, and the message says what to write."""
    elsewhere = start_sandbox()
    box = start_sandbox(
        f"octolis:redirect={elsewhere.octolis_url}/datasets/contacts/records/batch@path=*batch"
    )
    with pytest.raises(Refused, match=r"30[1278]") as caught:
        run(client_of(box), make_plan(contacts=contacts(3, 5)))
    assert "redirects are not followed" in str(caught.value.hint)
    assert sandbox_state(elsewhere)["total_requests"] == 0


@pytest.mark.parametrize(
    ("status", "hint"),
    [("401", "OCTOLIS_API_KEYS"), ("403", "OCTOLIS_API_KEYS"), ("404", "[octolis.datasets]")],
)
def test_a_refusal_names_key_and_dataset(
    status, hint, start_sandbox, client_of, run, make_plan, contacts
):
    """By the key's number and the dataset's id and name: what has to be looked up to fix it."""
    plan = make_plan(contacts=contacts(3, 5))
    [dataset] = plan.datasets
    named = dataclasses.replace(plan, datasets=(dataclasses.replace(dataset, name="people"),))
    box = start_sandbox(f"octolis:{status}@path=*batch")
    with pytest.raises(
        Refused, match=r"key 1 of 1 for dataset contacts \(people\): " + status
    ) as caught:
        run(client_of(box), named)
    assert hint in str(caught.value.hint)


def test_the_key_that_was_refused_is_named(start_sandbox, client_of, run, make_plan, contacts):
    """The other key does all the work; which one is wrong is told once, and never the key itself."""
    box = start_sandbox(octolis_keys=("good-key",))
    client, notes = client_of(box, keys=("good-key", "revoked-key")), list[str]()
    client._note = notes.append
    totals = run(client, make_plan(contacts=contacts(30, 2))).datasets["contacts"]
    assert (totals.written, totals.rejected, totals.open) == (60, 0, 0)
    [note] = [text for text in notes if "refuses key 2 of 2 (403" in text]
    assert "not used again" in note
    assert "key 1 of 2" not in "".join(notes)
    assert "revoked-key" not in "".join(notes)


def test_where_no_key_is_taken_the_load_ends(start_sandbox, client_of, run, make_plan, contacts):
    """Nobody is left to ask: the error names a key by its number, and never the key itself."""
    client = client_of(start_sandbox(octolis_keys=("good-key",)), keys=("worn-1", "worn-2"))
    with pytest.raises(Refused, match=r"key [12] of 2") as caught:
        run(client, make_plan(contacts=contacts(30, 2)))
    assert "worn-" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    "limit", [Limit(text="6", number=6), Limit(text="10%", share=0.1)], ids=["number", "share"]
)
@pytest.mark.parametrize("bad", [6, 7])
def test_the_error_budget_is_exact(limit, bad, start_sandbox, client_of, run, make_plan, contacts):
    """As many refused records as the gate allows, of 60, end the load well; one more stops it with exit code 8."""
    batches = contacts(6, 10)
    for n in range(bad):
        del batches[n % 6][n // 6]["firstname"]
    client, plan, gates = (
        client_of(start_sandbox()),
        make_plan(contacts=batches),
        Gates(max_errors=limit),
    )
    if bad == 6:
        assert run(client, plan, gates).datasets["contacts"].rejected == 6
        return
    with pytest.raises(GateError, match=f"gates.max_errors is {limit.text}") as caught:
        run(client, plan, gates)
    assert caught.value.exit_code == 8


@pytest.mark.parametrize("several_keys", [True, False])
def test_with_several_keys_a_whole_batch_is_sent_again(
    several_keys, start_sandbox, client_of, run, make_plan
):
    """A record that is missing by its key may have been merged into a later one of its batch: sent alone, it would win.

    Only the whole batch in its order makes the target what one undisturbed load makes it.
    """
    people = [[{"person_key": f"p{n}", "email": f"e{n % 2}@x.nl"} for n in range(3)]]
    plan = make_plan(people=people)
    plan = dataclasses.replace(
        plan,
        datasets=(
            dataclasses.replace(plan.datasets[0], several_keys=several_keys, merge_forecast=9),
        ),
    )
    client = client_of(start_sandbox("octolis:null-results@at=1,path=*batch"))
    totals = run(client, plan).datasets["people"]
    assert (totals.written, totals.open, totals.readbacks) == (3, 0, 1)
    held = {bytes(row["person_key"]) for row in client.list_records("people", 1, 10)}
    assert held == ({b'"p1"', b'"p2"'} if several_keys else {b'"p1"', b'"p0"'})


def test_the_settings_bound_what_is_waited_for():
    """The documented defaults: two minutes a request, a quarter of an hour of tries, an hour for a busy dataset."""
    settings = Octolis()
    assert (settings.request_deadline_s, settings.retry_budget_s, settings.busy_budget_s) == (
        120,
        900,
        3600,
    )
