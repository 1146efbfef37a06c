"""Unclear answers are settled by reading, and by nothing else."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.planned import DatasetToLoad, PlannedRecord
from migrate.load.readback import read_back
from migrate.load.scheduler import Waits
from migrate.progress import Silence
from migrate.target.results import RawRecord, SentRecord

QUICK = Waits(0.01, 0.1, 0.05, 0.2)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Target:
    """Records as an export shows them, latest first."""

    def __init__(self, *rows: dict[str, object]) -> None:
        self.rows = [msgspec.json.decode(json.dumps(row), type=RawRecord) for row in rows]
        self.asked: list[object] = []

    def list_records(self, _dataset_id, page, page_size, any_of=None):
        """A page of the records."""
        self.asked.append(any_of)
        start = (page - 1) * page_size
        return self.rows[start : start + page_size]


def held(key: str, value: object, seconds: int = 0) -> dict[str, object]:
    """A stored record, written so many seconds after the request left."""
    moment = (NOW + timedelta(seconds=seconds)).isoformat()
    return {"id": key, "value": value, "__masterid__": f"m-{key}", "__modified_at__": moment}


def planned(*rows: tuple[str, object]) -> list[PlannedRecord]:
    """Records to send."""
    return [
        PlannedRecord(SentRecord(n, key, json.dumps({"id": key, "value": value})), "create")
        for n, (key, value) in enumerate(rows)
    ]


DATASET = DatasetToLoad("d", "d", ("id",), frozenset(), Path(), None, 3, 1)


def test_stored_missing_and_different():
    """What is stored as sent is settled; what is missing or different is left, and a difference is believed only after
    the same was sent twice."""
    target = Target(held("a", 1, 1), held("b", 2, 1))
    records = planned(("a", 1), ("b", 3), ("c", 1))
    found = read_back(target, DATASET, records, NOW, lambda _s: None)
    assert ([w.masterid for w in found.stored], found.left) == (["m-a"], frozenset({1, 2}))
    found = read_back(target, DATASET, records, NOW, lambda _s: None, believe_differences=True)
    assert [(w.masterid, w.altered) for w in found.stored] == [("m-a", ()), ("m-b", ("value",))]
    old = Target(held("b", 2, -60))
    assert (
        read_back(old, DATASET, records, NOW, lambda _s: None, believe_differences=True).stored
        == ()
    )


def test_keys_are_asked_for_where_they_can_be():
    """Keys go into filters of a bounded size; a key with a separator means reading the latest records."""
    target = Target()
    read_back(target, DATASET, planned(*((f"k{n}", 1) for n in range(120))), NOW, lambda _s: None)
    assert [len(asked[1]) for asked in target.asked] == [50, 50, 20] * 3
    target = Target(held("shop:1", 1, 1))
    found = read_back(target, DATASET, planned(("shop:1", 1)), NOW, lambda _s: None)
    assert (target.asked, found.left) == ([None], frozenset())


def test_it_looks_again_for_what_is_being_prepared():
    """What shows only later is found by a later look."""
    target, waits = Target(), []

    def wait(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            target.rows = Target(held("a", 1, 1)).rows

    assert read_back(target, DATASET, planned(("a", 1)), NOW, wait).left == frozenset()
    assert waits == [0.0, 1.0]


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""

    def go(client, plan):
        from migrate.config import Gates

        return load(
            client,
            workspace,
            plan,
            Gates(),
            Silence(),
            threading.Event(),
            options=Options(waits=QUICK),
        )

    return go


@pytest.mark.parametrize("fault", ["short-results", "shuffle-results", "null-results"])
def test_an_unclear_answer_costs_no_second_write(
    fault, start_sandbox, client_of, run, make_plan, contacts
):
    """Results that cannot be matched are settled by reading: no record is sent twice, and the sums agree."""
    box = start_sandbox(f"octolis:{fault}@at=2,path=*batch")
    totals = run(client_of(box), make_plan(contacts=contacts(4, 20))).datasets["contacts"]
    assert (totals.written, totals.created, totals.requests, totals.readbacks) == (80, 80, 4, 1)


def test_a_service_that_is_never_clear(
    start_sandbox, client_of, run, make_plan, contacts, workspace
):
    """All that was stored is found by reading; a refused record is never guessed at, and ends as unknown."""
    batches = contacts(2, 6)
    batches[1][2] = {"contact_key": "bad", "amount": "much"}
    box = start_sandbox("octolis:null-results@path=*batch")
    plan = make_plan(contacts=batches)
    totals = run(client_of(box), plan).datasets["contacts"]
    assert (totals.written, totals.rejected, totals.unknown, totals.open) == (11, 0, 1, 1)
    assert totals.requests <= 2 + 3
    with LedgerView(workspace.ledger) as view:
        assert view.unfinished("first", "contacts") == [(1, "unknown", frozenset({0, 1, 3, 4, 5}))]
    totals = run(client_of(start_sandbox()), plan).datasets["contacts"]
    assert (totals.written, totals.rejected, totals.unknown) == (11, 1, 0)


def test_altered_values_are_counted_by_column_and_listed(
    start_sandbox, client_of, run, make_plan, contacts, workspace
):
    """What is stored otherwise, or not at all, is counted per column and written to a file with both values."""
    batches = contacts(2, 3)
    batches[0][0]["lifetime_value"] = 12.5
    box = start_sandbox("octolis:altered=firstname@at=2,path=*batch")
    totals = run(client_of(box, concurrency=1), make_plan(contacts=batches)).datasets["contacts"]
    assert (totals.protected_columns, totals.altered_columns) == (
        {"lifetime_value": 1},
        {"firstname": 3},
    )
    frame = pl.read_parquet(workspace.exports / "first" / "altered-contacts.parquet")
    assert frame["loss"].to_list() == ["protected", "altered", "altered", "altered"]
    assert frame.row(0)[4:] == ("lifetime_value", "protected", "12.5", None)
    assert frame.row(1)[2:] == (
        "shop:3",
        frame["masterid"][1],
        "firstname",
        "altered",
        '"Name 3 é"',
        '"Name 3 é?"',
    )
