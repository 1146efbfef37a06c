"""What the ledger keeps of people and plans: runs, events, readings, discards; and what follows from them."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from migrate.errors import Stale
from migrate.load import ledger_schema
from migrate.load.ledger import Ledger
from migrate.load.ledger_facts import read_put_back
from migrate.load.ledger_notes import Discarded, LedgerNotes, PlanEvent, RunBegun
from migrate.load.ledger_opening import PlannedDataset
from migrate.load.ledger_tables import STEPS
from migrate.load.ledger_view import LedgerView
from migrate.load.standing import Standing, judge_standing, refuse_load
from migrate.target.results import SentRecord, Written

CONTACTS = [PlannedDataset("contacts", "id-1", [1, 1])]
ORDERS = [PlannedDataset("orders", "id-2", [1])]
BEGUN = RunBegun("load", "migrate load --confirm-merges 744", "1.0", {"max_merges": "744"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A ledger that is not there yet."""
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def notes(file: Path) -> Iterator[LedgerNotes]:
    """The ledger opened for notes, at a time of its own."""
    with LedgerNotes(file, clock=lambda: 1_700_000_000.0) as opened:
        yield opened


def plan(notes: LedgerNotes, name: str, *ids: str) -> None:
    """A plan is made of what the ledger has now."""
    with LedgerView(notes.file) as view:
        seen = view.shipments()
    notes.note_planned(name, ids or ("id-1",), seen)


def send(
    file: Path,
    name: str,
    datasets: list[PlannedDataset] = CONTACTS,
    *,
    batch: int = 0,
    undoes: str | None = None,
) -> None:
    """One batch of a plan is sent and taken."""
    with Ledger(file) as ledger:
        ledger.open_plan(name, datasets, undoes=undoes)
        ledger.mark_sending(datasets[0].name, batch)
        written = Written(SentRecord(0, f"k{batch}", "{}"), f"m{batch}")
        ledger.settle(datasets[0].name, batch, [(written, "update")])


def standing(
    file: Path, name: str, *ids: str, left: int = 0, began_at: float | None = None
) -> Standing:
    """How a plan stands."""
    with LedgerView(file) as view:
        return judge_standing(view.facts(name, ids or ("id-1",), began_at, left))


def test_the_way_of_a_plan(file: Path, notes: LedgerNotes) -> None:
    """Planned, loading, loaded, undone: by what was sent, with who and when from the events."""
    plan(notes, "a")
    assert standing(file, "a", left=2).state == "planned"
    send(file, "a")
    assert standing(file, "a", left=1).state == "loading"
    send(file, "a", batch=1)
    assert standing(file, "a").state == "loaded"
    send(file, "undo-a-1", undoes="a")
    found = standing(file, "a")
    assert (found.state, found.undone and found.undone.scope) == ("undone", "unfinished")
    notes.note_event(PlanEvent("a", "undone", records=1, scope="part"))
    found = standing(file, "a")
    assert found.undone is not None
    assert (found.undone.scope, found.undone.records) == ("part", {"contacts": 1})
    assert "2023-11-14 22:13:20 UTC" in found.told
    with LedgerView(file) as view:
        events = [event.event for event in view.events("a")]
    assert events == ["planned", "loading", "undoing", "undone"]


def test_a_load_that_sent_nothing_changes_nothing(file: Path, notes: LedgerNotes) -> None:
    """Opened and stopped by a gate: the plan is as it was; one that has nothing to send is loaded by that."""
    plan(notes, "a")
    with Ledger(file) as ledger:
        ledger.open_plan("a", CONTACTS)
    assert standing(file, "a", left=2).state == "planned"
    assert standing(file, "a", left=0).state == "loaded"


def test_overtaken(file: Path, notes: LedgerNotes) -> None:
    """A plan that read a dataset before another was loaded into it must not be loaded any more."""
    plan(notes, "a")
    plan(notes, "b")
    assert standing(file, "a", left=2).state == "planned"
    send(file, "b")
    found = standing(file, "a", left=2)
    assert (found.state, [one.plan for one in found.overtaken_by]) == ("overtaken", ["b"])
    assert standing(file, "b", left=1).state == "loading"
    with pytest.raises(Stale, match="plan b was later loaded into contacts") as caught:
        refuse_load("a", found, "migrate plan --snapshot s")
    assert "migrate plan --snapshot s" in str(caught.value.hint)
    plan(notes, "c")
    assert standing(file, "c", left=2).state == "planned"


def test_the_rest_of_a_load_overtakes_what_was_planned_in_between(
    file: Path, notes: LedgerNotes
) -> None:
    """A plan made while another one is half loaded is overtaken by the other half."""
    send(file, "a")
    plan(notes, "b")
    assert standing(file, "b", left=2).state == "planned"
    send(file, "a", batch=1)
    assert standing(file, "b", left=2).state == "overtaken"


def test_other_datasets_overtake_nothing(file: Path, notes: LedgerNotes) -> None:
    """Only what went to the same dataset of the target counts, whatever it is called here."""
    plan(notes, "a", "id-1")
    send(file, "b", ORDERS)
    assert standing(file, "a", left=1).state == "planned"
    send(file, "c", [PlannedDataset("people", "id-1", [1])])
    assert standing(file, "a", left=1).state == "overtaken"


def test_an_undo_overtakes_what_was_read_before_it(file: Path, notes: LedgerNotes) -> None:
    """A plan that found nothing to do after a load is wrong once that load was undone; and says whose undo it was."""
    send(file, "a")
    plan(notes, "b")
    send(file, "undo-a-1", undoes="a")
    found = standing(file, "b")
    assert (found.state, found.overtaken_by[0].undoes) == ("overtaken", "a")
    assert "plan a was later undone in contacts" in found.told


def test_plans_whose_names_begin_alike(file: Path, notes: LedgerNotes) -> None:
    """The undo of `night-2` is none of `night`."""
    send(file, "night")
    send(file, "night-2")
    send(file, "undo-night-2-20261129-101500", undoes="night-2")
    assert standing(file, "night", "no-other").state == "loaded"
    assert standing(file, "night-2").state == "undone"


def test_a_plan_of_an_earlier_version(file: Path, notes: LedgerNotes) -> None:
    """Where the ledger has no reading of a plan, the time at which it was begun tells."""
    send(file, "b")
    assert standing(file, "a", began_at=0.0, left=1).state == "overtaken"
    assert standing(file, "a", began_at=9e9, left=1).state == "planned"


def test_what_an_undo_put_back(file: Path, notes: LedgerNotes) -> None:
    """Records whose last writer was an undo are known, until something is loaded over them."""
    send(file, "a")
    send(file, "a", batch=1)
    send(file, "undo-a-1", undoes="a")
    with LedgerView(file) as view:
        assert view.put_back("id-1") == {"m0": "a"}
        assert view.put_back("id-2") == {}
    send(file, "c")
    with LedgerView(file) as view:
        assert view.put_back("id-1") == {}


def test_a_replay_that_was_undone_is_told_of_what_it_sent(file: Path, notes: LedgerNotes) -> None:
    """By its plan, and only of the rejects that it sent: what was filtered has nothing to be taken back."""
    marks = [("c/p0", "sent by plan b"), ("c/p1", "sent by plan b"), ("c/p2", "filtered by plan b")]
    notes.mark_rejects("a", [(reject, "replayed", note) for reject, note in marks])
    notes.mark_rejects("a", [("c/p3", "replayed", "sent by plan c")])
    for name in ("a", "b", "c"):
        send(file, name)
    with LedgerView(file) as view:
        assert view.undone_replays("a") == {}
    send(file, "undo-b-1", undoes="b")
    with LedgerView(file) as view:
        assert view.undone_replays("a") == {"b": 2}
        assert view.undone_replays("b") == {}


def steps_of_put_back(file: Path, rows: int) -> int:
    """The steps (in hundreds) of SQLite's machine to tell what an undo of so many records has put back."""
    with Ledger(file) as ledger:
        for name, undoes in (("a", None), ("undo-a-1", "a")):
            ledger.open_plan(name, [PlannedDataset("contacts", "id-1", [rows])], undoes=undoes)
            ledger.mark_sending("contacts", 0)
            sent = (SentRecord(n, f"k{n}", "{}") for n in range(rows))
            written = [Written(one, f"m{one.position}") for one in sent]
            ledger.settle("contacts", 0, [(one, "update") for one in written])
    steps = itertools.count()
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.set_progress_handler(lambda: next(steps) < 0, 100)
        assert len(read_put_back(db, "id-1")) == rows
    return next(steps)


def test_what_was_put_back_is_told_in_one_pass(tmp_path: Path) -> None:
    """Twice the records take about twice the steps: four times as many were each record held against all others."""
    once, twice = (steps_of_put_back(tmp_path / f"{n}.sqlite", n) for n in (1_000, 2_000))
    assert 1.5 < twice / once < 2.7


def steps_of_states(file: Path, rows: int) -> int:
    """The same to tell what became of every second one of so many records."""
    with Ledger(file) as ledger:
        ledger.open_plan("a", [PlannedDataset("contacts", "id-1", [rows])])
        ledger.mark_sending("contacts", 0)
        written = (Written(SentRecord(n, f"k{n}", "{}"), f"m{n}") for n in range(rows))
        ledger.settle("contacts", 0, [(one, "create") for one in written])
    steps = itertools.count()
    with LedgerView(file) as view:
        view._connection.set_progress_handler(lambda: next(steps) < 0, 100)
        asked = [(0, n) for n in range(0, rows, 2)]
        told = view.states("a", "contacts", [*asked, (1, 0)])
    assert told == [(batch, position, "written") for batch, position in asked]
    return next(steps)


def test_each_state_is_looked_up(tmp_path: Path) -> None:
    """Twice the records take about twice the steps: a replay asks for as many as there were rejects."""
    once, twice = (steps_of_states(tmp_path / f"{n}.sqlite", n) for n in (1_000, 2_000))
    assert 1.5 < twice / once < 2.7


def test_runs(file: Path, notes: LedgerNotes) -> None:
    """Who gave which command, what they confirmed, how it ended; a killed one has no end."""
    number = notes.begin_run(BEGUN)
    notes.note_plan_of_run("a", {"confirm_merges": 744})
    send(file, "a")
    notes.end_run(number, 8, "max_errors")
    notes.begin_run(BEGUN)
    with LedgerView(file) as view:
        first, second = view.runs()
        [event] = view.events("a")
    assert (first.exit_code, first.stopped_by, first.plan) == (8, "max_errors", "a")
    assert (first.confirmations, first.gates) == ({"confirm_merges": 744}, {"max_merges": "744"})
    assert (second.ended_at, second.exit_code) == (None, None)
    assert (event.run, event.deed.command) == (first.number, "load")
    assert event.deed.who == f"{first.user}@{first.host}"


def test_discards(file: Path, notes: LedgerNotes) -> None:
    """A discard is kept by identity and dataset, and taken back by them."""
    line = Discarded("lines", "Shop", "7", 2, "a", "lines/p0", "required_missing", "a test")
    order = Discarded("orders", None, "7", None, "a", "orders/p0", "orphan", "a test")
    notes.discard([line, order])
    with LedgerView(file) as view:
        assert [entry.what for entry in view.discards()] == [line, order]
        assert [entry.what for entry in view.discards("orders")] == [order]
    assert notes.keep([replace(line, position=1)]) == 0
    assert notes.keep([replace(line, resource="interactions")]) == 0
    assert notes.keep([line]) == 1
    with LedgerView(file) as view:
        assert [entry.what for entry in view.discards()] == [order]


def test_marks_of_rejects(file: Path, notes: LedgerNotes) -> None:
    """A mark can be changed, and taken back."""
    notes.mark_rejects("p", [("a", "discarded", "why"), ("b", "discarded", "why")])
    notes.mark_rejects("p", [("b", "replayed", "by q")])
    with LedgerView(file) as view:
        assert view.reject_marks("p", "abc") == [
            ("a", "discarded", "why"),
            ("b", "replayed", "by q"),
        ]
    notes.unmark_rejects("p", ["a"])
    with LedgerView(file) as view:
        assert view.reject_marks("p", "abc") == [("b", "replayed", "by q")]


def test_an_undo_of_an_earlier_version(file: Path) -> None:
    """The version before told undos by their names only; they are known by the plan they take back from now on."""
    with sqlite3.connect(file) as db:
        for step in STEPS[:4]:
            db.executescript(step)
        names = ["a-b", "undo-a-b-20261129-101500", "undo-a-b-20261129-101500-2", "undo-list"]
        db.executemany(
            "INSERT INTO plans (name, begun_at) VALUES (?, 1)", [(name,) for name in names]
        )
        db.execute(f"PRAGMA application_id = {ledger_schema.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 4")
    db.close()
    with LedgerView(file) as view:
        assert view.undone_by() == {names[1]: "a-b", names[2]: "a-b"}
