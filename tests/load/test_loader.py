"""Loading plans into a real server on loopback."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import time

import polars as pl
import pytest

from migrate.config import Gates
from migrate.config_values import Limit
from migrate.errors import GateError, GaveUp, Interrupted, Locked, Refused, Stale
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.pause import set_pause
from migrate.load.planned import PlanToLoad
from migrate.load.scheduler import Waits
from migrate.progress import Silence
from tests.harness import wait_until

QUICK = Waits(0.01, 0.1, 0.05, 0.2)


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""

    def go(client, plan, *, gates=Gates(), stop=None, progress=None):  # noqa: B008 - Gates is frozen
        stop, progress = stop or threading.Event(), progress or Silence()
        return load(client, workspace, plan, gates, progress, stop, options=Options(waits=QUICK))

    return go


def test_straight_path(start_sandbox, client_of, run, make_plan, contacts, sandbox_state):
    """Every planned record is written once, with as many requests as batches, and the sums agree."""
    box = start_sandbox()
    plan = make_plan(
        contacts=contacts(6, 40), orders=[[{"order_key": f"o{n}", "total": 1.5} for n in range(7)]]
    )
    totals = run(client_of(box), plan).datasets["contacts"]
    assert (totals.planned, totals.sent, totals.written, totals.created, totals.open) == (
        240,
        240,
        240,
        240,
        0,
    )
    assert (
        totals.requests,
        totals.rejected,
        totals.altered,
        totals.protected,
        totals.count_before,
    ) == (6, 0, 0, 0, 0)
    state = sandbox_state(box)
    assert (state["datasets"]["contacts"]["count"], state["datasets"]["orders"]["count"]) == (
        240,
        7,
    )
    assert state["requests"]["octolis"] == {"count": {"200": 2}, "batch": {"200": 7}}


def test_a_second_load_sends_nothing(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """What is acknowledged is not sent again, and the sums stay."""
    box, plan = start_sandbox(), make_plan(contacts=contacts(3, 10))
    first = run(client_of(box), plan)
    assert run(client_of(box), plan).datasets == first.datasets
    assert sandbox_state(box)["requests"]["octolis"] == {"count": {"200": 1}, "batch": {"200": 3}}


def test_a_part_of_a_plan_that_was_begun(start_sandbox, client_of, run, make_plan, contacts):
    """One dataset of a plan is loaded after a load of all was stopped: it goes on, and the other one stays."""
    box = start_sandbox("octolis:401@at=2+3+4,path=*batch")
    orders = [[{"order_key": f"o{n}", "total": 1.5} for n in range(7)]]
    plan = make_plan(contacts=contacts(3, 10), orders=orders)
    with pytest.raises(Refused):
        run(client_of(box, concurrency=1), plan)
    part = dataclasses.replace(plan, datasets=plan.datasets[:1])
    totals = run(client_of(start_sandbox()), part).datasets
    assert {name: (t.written, t.open) for name, t in totals.items()} == {"contacts": (30, 0)}


def test_a_plan_made_again_under_its_name(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """What the first plan of that name has sent is not taken for what the second one plans."""
    box, plan = start_sandbox(), make_plan(contacts=contacts(3, 10))
    document = plan.folder / "plan.json"
    document.write_text('{"made": 1}')
    run(client_of(box), plan)
    assert run(client_of(box), plan).datasets["contacts"].written == 30
    document.write_text('{"made": 2}')
    with pytest.raises(Stale, match="made again after its load had begun"):
        run(client_of(box), plan)
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 3}


def test_a_plan_without_rows(start_sandbox, client_of, run, make_plan):
    """A plan that changes nothing is loaded without a write, and its count is taken all the same."""
    totals = run(client_of(start_sandbox()), make_plan(contacts=[])).datasets["contacts"]
    assert (totals.planned, totals.requests, totals.count_before) == (0, 0, 0)


def test_updates_are_told_from_creations(start_sandbox, client_of, run, make_plan, contacts):
    """Where the plan does not know, the service's own times tell whether a record was made by this load."""
    box = start_sandbox()
    run(client_of(box), make_plan("first", contacts=contacts(1, 10)))
    time.sleep(1.1)
    totals = run(client_of(box), make_plan("second", contacts=contacts(1, 15))).datasets["contacts"]
    assert (totals.written, totals.created, totals.updated, totals.count_before) == (15, 5, 10, 10)


def test_the_crosswalk(start_sandbox, client_of, run, make_plan, contacts, workspace):
    """Every written record is found with its source, its key and the masterid it has in the target."""
    box, plan = start_sandbox(), make_plan(contacts=contacts(3, 5))
    client = client_of(box)
    run(client, plan)
    frame = pl.read_parquet(workspace.exports / "first" / "crosswalk-contacts.parquet")
    assert frame.columns == [
        "source",
        "id",
        "resource",
        "position",
        "key",
        "masterid",
        "change",
        "written_at",
    ]
    assert frame["key"].to_list() == [f"shop:{n}" for n in range(15)]
    assert frame["position"].to_list() == [
        0,
        1,
        2,
        3,
        4,
        500,
        501,
        502,
        503,
        504,
        1000,
        1001,
        1002,
        1003,
        1004,
    ]
    record = client.get_record("contacts", frame["masterid"][7])
    assert record is not None
    assert record["contact_key"] == "shop:7"


@pytest.mark.parametrize(
    "fault",
    [
        "octolis:500@at=2+5,path=*batch",
        "octolis:424@at=2+5,path=*batch,body=html",
        "octolis:429=1@at=2+5,path=*batch",
        "octolis:429=garbage@at=2+5,path=*batch",
        "octolis:423@at=2+5,path=*batch",
        "octolis:reset@at=2+5,path=*batch",
        "octolis:reset-after@at=2+5,path=*batch",
        "octolis:cut@at=2+5,path=*batch",
        "octolis:truncated-json@at=2+5,path=*batch",
        "octolis:html200@at=2+5,path=*batch",
        "octolis:empty200@at=2+5,path=*batch",
        "octolis:error200@at=2+5,path=*batch",
        "octolis:partial=3/500@at=2+5,path=*batch",
        "octolis:partial=1/423@at=2+5,path=*batch",
        "octolis:short-results@at=2+5,path=*batch",
        "octolis:shuffle-results@at=2+5,path=*batch",
        "octolis:null-results@at=2+5,path=*batch",
    ],
)
def test_a_fault_that_passes(
    fault, start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """After any passing fault the target is what it would have been without it, for one request more per fault."""
    box = start_sandbox(fault)
    totals = run(client_of(box), make_plan(contacts=contacts(6, 20))).datasets["contacts"]
    assert (totals.written, totals.created, totals.rejected, totals.open) == (120, 120, 0, 0)
    assert totals.requests <= 6 + 2
    assert sandbox_state(box)["datasets"]["contacts"]["count"] == 120


def test_failures_are_kept_for_support(
    start_sandbox, client_of, run, make_plan, contacts, workspace
):
    """A failed request leaves its status, the service's request id and the hash of what was sent."""
    box = start_sandbox("octolis:500@at=2,path=*batch")
    run(client_of(box), make_plan(contacts=contacts(2, 5)))
    with LedgerView(workspace.ledger) as view:
        [failure] = view.failures("first")
    assert (failure.status, failure.dataset, len(failure.payload_sha256)) == (500, "contacts", 64)


def test_bad_records_are_rejected_alone(
    start_sandbox, client_of, run, make_plan, contacts, workspace
):
    """A record the service refuses is rejected with its reason, without its values; its neighbours are written."""
    batches = contacts(2, 10)
    batches[1][3] = {"contact_key": "shop:bad", "amount": "much"}
    totals = run(client_of(start_sandbox()), make_plan(contacts=batches)).datasets["contacts"]
    assert (totals.written, totals.rejected, totals.requests) == (19, 1, 2)
    with LedgerView(workspace.ledger) as view:
        [rejected] = view.settled("first", "contacts", "rejected")
    assert (rejected.batch, rejected.position, rejected.key, rejected.status) == (
        1,
        3,
        "shop:bad",
        400,
    )
    assert rejected.error
    assert "much" not in rejected.error


def test_protected_and_altered_values_are_counted(
    start_sandbox, client_of, run, make_plan, contacts
):
    """What the service keeps for itself, or stores differently, is counted though it says `written`."""
    batches = contacts(2, 10)
    batches[0][0]["lifetime_value"] = 12.5
    box = start_sandbox("octolis:altered=firstname@at=2,path=*batch")
    totals = run(client_of(box), make_plan(contacts=batches)).datasets["contacts"]
    assert (totals.written, totals.protected, totals.altered) == (20, 1, 10)


def test_a_busy_dataset_lets_the_others_go_first(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """423 is no failure: the dataset waits, the next one is loaded, and what stays busy too long is deferred."""
    box = start_sandbox("octolis:423@path=*contacts*batch")
    plan = make_plan(contacts=contacts(3, 5), orders=[[{"order_key": "o1", "total": 2}]])
    result = run(client_of(box, busy_budget_s=0.3), plan)
    assert (result.datasets["contacts"].deferred, result.datasets["contacts"].written) == (15, 0)
    assert result.datasets["contacts"].busy_423 >= 3
    assert result.datasets["orders"].written == 1
    other = start_sandbox()
    again = run(client_of(other), plan).datasets["contacts"]
    assert (again.written, again.deferred, again.open) == (15, 0, 0)


def test_a_dataset_given_up_at_once(start_sandbox, client_of, run, make_plan, contacts):
    """Without any patience for a busy dataset, all of it is deferred, also what was in flight meanwhile."""
    box = start_sandbox("octolis:423@path=*batch", latency_s=0.02)
    totals = run(client_of(box, busy_budget_s=0), make_plan(contacts=contacts(12, 5))).datasets[
        "contacts"
    ]
    assert (totals.deferred, totals.open, totals.written) == (60, 0, 0)


def test_a_stop_before_the_first_write(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """A stop that is there from the beginning sends no write and names the command that goes on."""
    box, stop = start_sandbox(), threading.Event()
    stop.set()
    with pytest.raises(Interrupted) as caught:
        run(client_of(box, stop=stop), make_plan(contacts=contacts(2, 5)), stop=stop)
    assert caught.value.hint == "migrate load --plan first"
    assert "batch" not in sandbox_state(box)["requests"].get("octolis", {})


def test_a_whole_batch_refused_is_split(start_sandbox, client_of, run, make_plan, contacts):
    """A batch refused as a whole is halved, and no record is lost on the way."""
    box = start_sandbox("octolis:400@at=1+2,path=*batch")
    totals = run(client_of(box, concurrency=1), make_plan(contacts=contacts(1, 8))).datasets[
        "contacts"
    ]
    assert (totals.written, totals.rejected, totals.requests) == (8, 0, 5)


def test_a_read_only_dataset_is_one_clear_message(
    start_sandbox, client_of, run, make_plan, sandbox_state
):
    """A dataset that refuses everything ends the load soon, with the service's own words."""
    plan = make_plan(view=[[{"contact_key": f"k{b}-{n}"} for n in range(100)] for b in range(5)])
    box = start_sandbox()
    with pytest.raises(Refused, match=r"refuses every batch.*SQL dataset"):
        run(client_of(box), plan)
    assert sandbox_state(box)["requests"]["octolis"]["batch"]["400"] < 40


@pytest.mark.parametrize(
    ("fault", "word"), [("401", "key 1 of 1"), ("403", "key 1 of 1"), ("404", "contacts")]
)
def test_final_answers_stop_at_once(
    fault, word, start_sandbox, client_of, make_plan, contacts, sandbox_state, workspace
):
    """A revoked key or a vanished dataset ends the load within the requests in flight; the rest can be resumed.

    Each request is kept as failed, with the id by which the service knows it.
    """
    box = start_sandbox(f"octolis:{fault}@path=*batch")
    with pytest.raises(Refused, match=word) as caught:
        client = client_of(box, concurrency=2)
        plan = make_plan(contacts=contacts(9, 5))
        load(client, workspace, plan, Gates(), Silence(), threading.Event())
    assert "sandbox-octolis-key" not in str(caught.value)
    assert sandbox_state(box)["total_requests"] <= 4
    with LedgerView(workspace.ledger) as view:
        failures = view.failures("first")
    assert {failure.status for failure in failures} == {int(fault)}
    assert all(failure.request_id and failure.payload_sha256 for failure in failures)
    assert all(failure.reason in str(caught.value) for failure in failures)


def test_a_service_that_stays_down(start_sandbox, client_of, run, make_plan, contacts):
    """Tries are bounded by time, and the same plan goes on when the service is well."""
    plan = make_plan(contacts=contacts(3, 5))
    with pytest.raises(GaveUp, match="gave up after") as caught:
        run(client_of(start_sandbox("octolis:503@path=*batch"), retry_budget_s=0.3), plan)
    assert "migrate load --plan first" in str(caught.value.hint)
    assert run(client_of(start_sandbox()), plan).datasets["contacts"].written == 15


def test_an_absurd_retry_after_is_not_waited_for(
    start_sandbox, client_of, run, make_plan, contacts
):
    """A wait beyond the retry budget ends the load and says how long the service asked for."""
    with pytest.raises(GaveUp, match="86400 s"):
        run(
            client_of(start_sandbox("octolis:429=86400@path=*batch")),
            make_plan(contacts=contacts(1, 5)),
        )


def test_the_error_budget(start_sandbox, client_of, run, make_plan, contacts):
    """Too many refused records stop the load; with a higher limit the same plan goes on."""
    batches = contacts(6, 10)
    for payloads in batches:
        payloads[0] = {"contact_key": payloads[0]["contact_key"]}
    box, plan = start_sandbox(), make_plan(contacts=batches)
    with pytest.raises(GateError, match="refused"):
        run(client_of(box, concurrency=1), plan, gates=Gates(max_errors=Limit(text="2", number=2)))
    totals = run(client_of(box), plan).datasets["contacts"]
    assert (totals.written, totals.rejected, totals.open) == (54, 6, 0)


def test_merges_beyond_the_forecast_stop_the_load(start_sandbox, client_of, run, make_plan):
    """Records that fuse in the target though the plan did not foresee it stop the load; confirmed, it goes on."""
    people = [[{"person_key": f"p{n}", "email": f"e{n}@x.nl"} for n in range(4)]]
    bridges = [
        [{"person_key": "p0", "email": "e1@x.nl"}],
        [{"person_key": "p2", "email": "e3@x.nl"}],
    ]
    box, plan = start_sandbox(), make_plan(people=people + bridges)
    with pytest.raises(GateError, match="merged away") as caught:
        run(client_of(box, concurrency=1), plan)
    assert "--confirm-merges 1" in str(caught.value.hint)
    totals = run(client_of(box), plan, gates=Gates(max_merges=2)).datasets["people"]
    assert (totals.written, totals.created, totals.merged) == (6, 4, 2)


def test_merges_of_earlier_loads_are_not_counted_again(
    start_sandbox, client_of, run, make_plan, workspace
):
    """What the service merged long ago it lists for ever; only what this plan merges counts, by ledger or pre-image."""
    people = [
        [{"person_key": f"p{n}", "email": f"e{n}@x.nl"} for n in range(4)],
        [{"person_key": "p0", "email": "e1@x.nl"}],
    ]
    box = start_sandbox()
    first = run(
        client_of(box, concurrency=1), make_plan("first", people=people), gates=Gates(max_merges=1)
    )
    assert first.datasets["people"].merged == 1
    again = make_plan(
        "second", people=[[{"person_key": "p0", "email": "e1@x.nl"}]], change="update"
    )
    assert run(client_of(box), again).datasets["people"].merged == 0
    before = workspace.root / "before.parquet"
    listed = client_of(box).list_records("people", 1, 10)
    ids = [
        {name: bytes(r[name]).decode() for name in ("__masterid__", "__all_masterids__")}
        for r in listed
    ]
    pl.DataFrame([{**i, "__masterid__": i["__masterid__"].strip('"')} for i in ids]).write_parquet(
        before
    )
    workspace.ledger.unlink()
    [dataset] = make_plan(
        "third", people=[[{"person_key": "p0", "email": "e1@x.nl"}]], change="update"
    ).datasets
    plan = PlanToLoad("third", workspace.plans, (dataclasses.replace(dataset, before=(before,)),))
    assert run(client_of(box), plan).datasets["people"].merged == 0


def test_strict_stops_at_a_protected_value(
    start_sandbox, client_of, make_plan, contacts, workspace
):
    """With `strict`, a value in a column that takes no writes ends the load as a gate does; without, it goes on."""
    batches = contacts(3, 4)
    batches[0][0]["lifetime_value"] = 12.5
    box, plan = start_sandbox(), make_plan(contacts=batches)
    with pytest.raises(GateError, match="--strict"):
        load(
            client_of(box),
            workspace,
            plan,
            Gates(),
            Silence(),
            threading.Event(),
            options=Options(strict=True),
        )
    assert (workspace.exports / "first" / "crosswalk-contacts.parquet").exists()
    assert (
        load(client_of(box), workspace, plan, Gates(), Silence(), threading.Event())
        .datasets["contacts"]
        .open
        == 0
    )


def test_a_file_pauses_the_load(
    start_sandbox, client_of, make_plan, contacts, workspace, sandbox_state
):
    """While the file is there nothing leaves; when it is gone the load goes on by itself."""
    box, plan, left = start_sandbox(), make_plan(contacts=contacts(5, 4)), []
    set_pause(workspace, on=True)

    def let_go() -> None:
        wait_until(lambda: "count" in sandbox_state(box)["requests"].get("octolis", {}))
        time.sleep(0.6)
        left.append("batch" in sandbox_state(box)["requests"]["octolis"])
        set_pause(workspace, on=False)

    helper = threading.Thread(target=let_go)
    helper.start()
    totals = load(client_of(box), workspace, plan, Gates(), Silence(), threading.Event()).datasets[
        "contacts"
    ]
    helper.join()
    assert (left, totals.written) == ([False], 20)


def test_counts_are_marked_on_the_way(start_sandbox, client_of, make_plan, contacts, workspace):
    """Every so many batches the target is counted, and the count lies between the ledger's bounds."""
    box, plan = start_sandbox(), make_plan(contacts=contacts(60, 2))
    load(
        client_of(box),
        workspace,
        plan,
        Gates(),
        Silence(),
        threading.Event(),
        options=Options(count_every=10),
    )
    with LedgerView(workspace.ledger) as view:
        marks = view.count_marks("first", "contacts")
    assert marks
    assert all(mark.least <= mark.count <= mark.most for mark in marks)


def test_a_stop_finishes_what_is_in_flight(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """A stop ends the load after the requests in flight, with everything acknowledged recorded."""
    box, plan, stop = (
        start_sandbox(latency_s=0.05),
        make_plan(contacts=contacts(40, 2)),
        threading.Event(),
    )

    class Stopping(Silence):
        def advance(self, task: str, by: int, *, total: int | None = None) -> None:
            stop.set()

    with pytest.raises(Interrupted) as caught:
        run(client_of(box, stop=stop, concurrency=8), plan, stop=stop, progress=Stopping())
    assert caught.value.hint == "migrate load --plan first"
    sent = sandbox_state(box)["requests"]["octolis"]["batch"]["200"]
    assert 0 < sent <= 8
    totals = run(client_of(box), plan).datasets["contacts"]
    assert (totals.written, totals.requests - totals.throttled_429) == (80, 40)


def test_two_loads_at_once(start_sandbox, client_of, run, make_plan, contacts, workspace):
    """The second load is told who is at work, and changes nothing."""
    box, plan = start_sandbox(), make_plan(contacts=contacts(1, 5))
    with (
        workspace.lock(workspace.ledger.with_suffix(".lock"), "the ledger"),
        pytest.raises(Locked, match="process"),
    ):
        run(client_of(box), plan)
    assert not workspace.ledger.exists()


def test_several_keys_share_the_load(start_sandbox, client_of, run, make_plan, contacts):
    """With two keys, both are used."""
    keys = ("first-key", "second-key")
    box = start_sandbox(octolis_keys=keys)
    totals = run(client_of(box, keys=keys), make_plan(contacts=contacts(30, 2))).datasets[
        "contacts"
    ]
    assert (totals.written, totals.open) == (60, 0)


def test_no_key_and_no_payload_in_the_failures(
    start_sandbox, client_of, run, make_plan, contacts, workspace
):
    """The ledger's failures hold neither the key nor a value of a record."""
    run(
        client_of(start_sandbox("octolis:500@at=1,path=*batch")), make_plan(contacts=contacts(1, 3))
    )
    with sqlite3.connect(workspace.ledger) as db:
        text = str(db.execute("SELECT * FROM failures").fetchall())
    db.close()
    assert "sandbox-octolis-key" not in text
    assert "Name 1" not in text
