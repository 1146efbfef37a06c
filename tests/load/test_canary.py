"""The canary: one record of a dataset first, read back and compared before anything else of it is sent."""

from __future__ import annotations

import dataclasses
import threading

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.config import Gates
from migrate.errors import GateError
from migrate.load.canary_choice import SPARES, choose_canary
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.proof import explain
from migrate.load.scheduler import Waits
from migrate.progress import Silence

QUICK = Options(waits=Waits(0.01, 0.02, 0.05, 0.2), canary=1)


@pytest.fixture
def run(workspace, client_of):
    """Loads a plan, canary first."""

    def go(service, plan, options=QUICK, **settings):
        client = client_of(service, **settings)
        found = load(
            client, workspace, plan, Gates(), Silence(), threading.Event(), options=options
        )
        return found.datasets

    return go


def by_mapping(plan, sha256="one"):
    """The plan, its datasets made by a mapping of that hash."""
    named = tuple(dataclasses.replace(d, mapping_sha256=sha256) for d in plan.datasets)
    return dataclasses.replace(plan, datasets=named)


def test_one_record_goes_first_and_then_the_rest(
    start_sandbox, run, make_plan, contacts, sandbox_state
):
    """Its request is the only one more, and its record counts once."""
    box = start_sandbox()
    totals = run(box, make_plan(contacts=contacts(3, 20)), concurrency=1)["contacts"]
    assert (totals.written, totals.created, totals.requests, totals.open) == (60, 60, 4, 0)
    requests = sandbox_state(box)["requests"]["octolis"]
    assert requests["batch"] == {"200": 4}
    assert requests["get"] == {"200": 1}


def test_each_dataset_has_its_own(start_sandbox, run, make_plan, contacts, sandbox_state):
    """Nothing of any dataset leaves in bulk before all canaries are proven."""
    box = start_sandbox()
    orders = [[{"order_key": f"o{n}", "total": 1.5} for n in range(7)]]
    run(box, make_plan(contacts=contacts(3, 20), orders=orders))
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 4 + 2}


def test_the_next_load_of_the_mapping_needs_none(
    start_sandbox, run, make_plan, contacts, sandbox_state
):
    """Another plan of the same mapping goes at once; one of another mapping has a canary again."""
    box = start_sandbox()
    run(box, by_mapping(make_plan("one", contacts=contacts(1, 20))))
    run(box, by_mapping(make_plan("two", contacts=contacts(1, 20))))
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 2 + 1}
    run(box, by_mapping(make_plan("three", contacts=contacts(1, 20)), "edited"))
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 2 + 1 + 2}


@pytest.mark.parametrize("count", [1, 2])
def test_a_protected_column_is_found_by_the_canary(
    count, start_sandbox, run, make_plan, contacts, sandbox_state, workspace
):
    """Exit code 8, the column, the masterid that is there, and nothing else was written; again the same."""
    rows = contacts(2, 20)
    rows[1][7]["lifetime_value"] = 3.5
    box, plan = start_sandbox(), make_plan(contacts=rows)
    options = dataclasses.replace(QUICK, canary=count)
    for _ in range(2):
        with pytest.raises(GateError, match="lifetime_value: not stored") as caught:
            run(box, plan, options)
        assert caught.value.exit_code == 8
        with LedgerView(workspace.ledger) as view:
            masterids = [record.masterid for record in view.settled("first", "contacts", "written")]
        assert len(masterids) == count
        assert all(masterid in caught.value.what for masterid in masterids)
        says = " ".join(caught.value.said)
        assert "stored in another way than sent: lifetime_value" in says
        assert all(masterid in says for masterid in masterids)
        assert sandbox_state(box)["datasets"]["contacts"]["count"] == count
    totals = run(box, plan, dataclasses.replace(QUICK, canary=0))["contacts"]
    assert (totals.written, totals.created, totals.protected) == (40, 40, 1)


def test_a_canary_that_is_mended_goes_on(start_sandbox, run, make_plan, contacts, datasets_file):
    """Where the dataset was fixed since, the same command writes the record anew and loads the rest."""
    rows = contacts(2, 20)
    rows[1][7]["lifetime_value"] = 3.5
    plan = make_plan(contacts=rows)
    with pytest.raises(GateError, match="lifetime_value"):
        run(start_sandbox(), plan)
    text = datasets_file.read_text()
    datasets_file.write_text(text.replace('protected = ["lifetime_value"]', ""))
    totals = run(start_sandbox(), plan)["contacts"]
    assert (totals.written, totals.protected, totals.open) == (40, 0, 0)


def test_every_canary_is_refused(start_sandbox, run, make_plan, contacts, sandbox_state):
    """Three records are tried; none counts as rejected, nothing else is sent, and the reason is told once."""
    rows = [
        [{k: v for k, v in row.items() if k != "firstname"} for row in batch]
        for batch in contacts(3, 20)
    ]
    box, plan = start_sandbox(), make_plan(contacts=rows)
    with pytest.raises(GateError, match=r"none of 3 records.*\n- .*missing: firstname$") as caught:
        run(box, plan)
    assert caught.value.said[-1].startswith("the target's answer: ")
    assert caught.value.said[-1].endswith("missing: firstname")
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 3}
    assert sandbox_state(box)["datasets"]["contacts"]["count"] == 0


def test_one_bad_record_is_no_bad_dataset(start_sandbox, run, make_plan, contacts):
    """The first choice is refused for its own fault: a spare goes, and the bad one is rejected with its batch."""
    rows = contacts(2, 20)
    rows[0][3] |= {"lifetime_value": "no number"}
    del rows[0][3]["firstname"]
    totals = run(start_sandbox(), make_plan(contacts=rows))["contacts"]
    assert (totals.written, totals.rejected, totals.open) == (39, 1, 0)


def test_without_a_canary_the_first_batch_stops(
    start_sandbox, run, make_plan, contacts, sandbox_state
):
    """All records of the first batch are refused, one by one: none of them is written off."""
    rows = [
        [{k: v for k, v in row.items() if k != "firstname"} for row in batch]
        for batch in contacts(9, 5)
    ]
    box, plan = start_sandbox(), make_plan(contacts=rows)
    with pytest.raises(GateError, match="every record of its first batch") as caught:
        run(box, plan, dataclasses.replace(QUICK, canary=0), concurrency=1)
    assert "missing: firstname" in caught.value.what
    assert "missing: firstname" in caught.value.said[-1]
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 1}


def test_a_preparation_that_takes_its_time(start_sandbox, run, make_plan, contacts):
    """The canary is read until the target shows it."""
    totals = run(start_sandbox(preparation_s=0.3), make_plan(contacts=contacts(2, 5)))["contacts"]
    assert totals.written == 10


def test_a_plan_of_one_record(start_sandbox, run, make_plan, contacts):
    """The canary is all there is."""
    totals = run(start_sandbox(), make_plan(contacts=contacts(1, 1)))["contacts"]
    assert (totals.written, totals.requests, totals.open) == (1, 1, 0)


@pytest.mark.parametrize(
    ("sent", "stored", "says"),
    [
        (b'"1978-06-23 00:00:00"', b'"1978-06-22T22:00:00.000Z"', "stored 2 h earlier than sent"),
        (b'"1978-06-23 00:00:00"', b'"1978-06-23T00:00:00Z"', "another spelling of the same time"),
        (b'"Jan"', b'"JAN"', "other capital letters"),
        (b'" Jan"', b'"Jan"', "other spaces at its ends"),
        (b'"long text"', b'"long"', "cut to 4 of 9 characters"),
        (b"1.23456789", b"1.2346", "rounded to 4 digits"),
        (b"1.5", b"2", "rounded to a whole number"),
        (b"7", b'"7"', "sent as a number, stored as a text"),
        (b"true", b"1", "sent as a boolean, stored as a number"),
        (b"7", b"null", "stored without one"),
        (b"7", None, "no such column"),
        (b"null", b"0", "sent as null"),
    ],
)
def test_a_difference_is_told_without_the_values(sent, stored, says):
    """What happened to a value, in words, since the value itself may be a person's."""
    assert says in explain(sent, stored)


COLUMNS = ["a", "b", "c", "d", "e"]


@given(
    st.lists(st.frozensets(st.sampled_from(COLUMNS)), min_size=1, max_size=30), st.integers(1, 6)
)
def test_the_chosen_fill_what_can_be_filled(tmp_path_factory, rows, count):
    """Each chosen record fills as many new columns as any other could; with enough of them none is left out."""
    file = tmp_path_factory.mktemp("plan") / "records.parquet"
    frame = pl.DataFrame(
        [
            {"batch": at // 7, "position": at % 7, "change": "create"}
            | {name: "x" if name in row else None for name in COLUMNS}
            for at, row in enumerate(rows)
        ],
        schema_overrides=dict.fromkeys(COLUMNS, pl.String),
    )
    frame.write_parquet(file)
    chosen = [one.batch * 7 + one.position for one in choose_canary(file, count)]
    assert len(chosen) == len(set(chosen)) == min(count + SPARES, len(rows))
    filled: frozenset[str] = frozenset()
    for place in chosen:
        most = max(len(row - filled) for row in rows)
        assert len(rows[place] - filled) == most or not most
        filled |= rows[place]
