"""The ledger's file and its states."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest

from migrate.errors import Damaged, Stale, WorkspaceError
from migrate.load import ledger_schema
from migrate.load.ledger import Ledger
from migrate.load.ledger_opening import PlannedDataset
from migrate.load.ledger_tables import STEPS
from migrate.load.ledger_view import LedgerView
from migrate.target.answer import Answer
from migrate.target.results import Rejected, SentRecord, Written

PLAN = [PlannedDataset("contacts", "id-1", [2, 1])]
RECORDS = [SentRecord(n, f"k{n}", "{}") for n in range(2)]


@pytest.fixture
def ledger(tmp_path):
    """A ledger with a plan of one dataset: batches of two records and of one."""
    with Ledger(tmp_path / "ledger.sqlite", clock=lambda: 1_700_000_000.0) as opened:
        opened.open_plan("p", PLAN)
        yield opened


def states(ledger: Ledger) -> list[str]:
    """The states of the batches that are not done."""
    return [batch.state for batch in ledger.open_batches("contacts")]


def test_a_batch_goes_its_way(ledger):
    """Planned, sending, acked; totals follow."""
    assert states(ledger) == ["planned", "planned"]
    ledger.mark_sending("contacts", 0)
    assert states(ledger) == ["sending", "planned"]
    written = Written(RECORDS[0], "m1", merged_from=("m0",), protected=("a",), altered=("b",))
    ledger.settle(
        "contacts", 0, [(written, "create"), (Rejected(RECORDS[1], 400, "bad"), None)], seconds=1.5
    )
    assert states(ledger) == ["planned"]
    totals = ledger.totals()["contacts"]
    assert (totals.planned, totals.sent, totals.written, totals.created, totals.rejected) == (
        3,
        2,
        1,
        1,
        1,
    )
    assert (totals.merged, totals.protected, totals.altered, totals.open, totals.seconds) == (
        1,
        1,
        1,
        1,
        1.5,
    )


def test_the_ids_of_the_answer_are_kept(ledger):
    """What support asks for is known of a batch that went well, too."""
    ledger.mark_sending("contacts", 0)
    answer = Answer(200, request_id="r-1", traceparent="t-1")
    ledger.settle(
        "contacts", 0, [(Written(record, "m"), "create") for record in RECORDS[:2]], answer=answer
    )
    with LedgerView(ledger.file) as view:
        found = view._connection.execute(
            "SELECT batch, request_id, traceparent FROM batches ORDER BY batch"
        ).fetchall()
    assert [tuple(row) for row in found] == [(0, "r-1", "t-1"), (1, "", "")]


def test_a_crash_makes_what_was_sending_unknown(ledger):
    """Opened again, a batch that was being sent is unknown and is sent again."""
    ledger.mark_sending("contacts", 0)
    ledger.close()
    with Ledger(ledger.file) as again:
        again.open_plan("p", PLAN)
        assert states(again) == ["unknown", "planned"]
        again.mark_sending("contacts", 0)


def test_only_allowed_moves(ledger):
    """Nothing is settled that was not sent; nothing is sent twice at a time."""
    with pytest.raises(AssertionError):
        ledger.settle("contacts", 0, [(Written(RECORDS[0], "m"), "create")])
    assert ledger.settled_positions("contacts", 0) == frozenset()
    ledger.mark_sending("contacts", 0)
    with pytest.raises(AssertionError):
        ledger.mark_sending("contacts", 0)


def test_a_request_that_never_left_is_not_counted(ledger):
    """Called back before it left, a batch is planned again, or unknown when it was sent before."""
    ledger.mark_sending("contacts", 0)
    ledger.mark_unsent("contacts", 0)
    assert (states(ledger)[0], ledger.totals()["contacts"].requests) == ("planned", 0)
    ledger.mark_sending("contacts", 0)
    ledger.mark_failed("contacts", 0, Answer(0, reason="reset"), "reset", "00", applied=True)
    ledger.mark_sending("contacts", 0)
    ledger.mark_unsent("contacts", 0)
    assert (states(ledger)[0], ledger.totals()["contacts"].requests) == ("unknown", 1)


def test_a_merged_id_counts_once(ledger):
    """The same id in `__all_masterids__` of two answers is one merge; a record made before is no creation."""
    for batch, record in ((0, RECORDS[0]), (1, RECORDS[0])):
        ledger.mark_sending("contacts", batch)
        ledger.settle("contacts", batch, [(Written(record, "m", merged_from=("gone",)), "create")])
    totals = ledger.totals()["contacts"]
    assert (totals.merged, totals.created, totals.updated) == (1, 1, 1)


def test_deferred_batches_get_another_chance(ledger):
    """What was deferred is planned again when the plan is opened again."""
    ledger.defer("contacts")
    assert ledger.totals()["contacts"].deferred == 3
    ledger.open_plan("p", PLAN)
    assert ledger.totals()["contacts"].deferred == 0


def test_the_first_baseline_counts(ledger):
    """What the target held before the first write is not overwritten later."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    ledger.set_baseline("contacts", 7, moment)
    ledger.set_baseline("contacts", 9, None)
    totals = ledger.totals()["contacts"]
    assert (totals.count_before, totals.server_time) == (7, moment.timestamp())


def test_another_plan_of_the_same_name(ledger):
    """Batches cut otherwise, or another dataset id, are not mixed with what the ledger knows."""
    for other in (
        PlannedDataset("contacts", "id-1", [3]),
        PlannedDataset("contacts", "id-2", [2, 1]),
    ):
        with pytest.raises(Stale):
            ledger.open_plan("p", [other])


def test_a_plan_that_was_made_again_under_its_name(tmp_path):
    """The same batches with other content are another plan: nothing of it counts as done, and nothing is changed."""
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        ledger.open_plan("p", PLAN, "hash 1")
        ledger.mark_sending("contacts", 0)
        with pytest.raises(Stale, match="made again") as caught:
            ledger.open_plan("p", PLAN, "hash 2")
        assert "under a new name" in str(caught.value.hint)
        assert states(ledger)[0] == "sending"
        ledger.open_plan("p", PLAN, "hash 1")
        ledger.open_plan("q", PLAN, "hash 2")


def test_reading_beside_a_writer(ledger):
    """A view sees what is committed, in the plan's order, and can change nothing."""
    ledger.mark_sending("contacts", 0)
    ledger.mark_failed(
        "contacts", 0, Answer(500, request_id="r", traceparent="t"), "500", "ab", applied=True
    )
    with LedgerView(ledger.file) as view:
        assert view.plans() == ["p"]
        assert view.totals("p")["contacts"].requests == 1
        assert view.totals("other") == {}
        [failure] = view.failures("p")
        assert (
            failure.status,
            failure.request_id,
            failure.traceparent,
            failure.payload_sha256,
        ) == (
            500,
            "r",
            "t",
            "ab",
        )
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            view._connection.execute("DELETE FROM batches")


@pytest.mark.parametrize("damage", ["header", "middle", "text"])
def test_a_damaged_file_is_refused(ledger, damage):
    """A flipped or foreign file is never written to, and the message says what to do."""
    ledger.mark_sending("contacts", 0)
    ledger.settle("contacts", 0, [(Written(record, "m" * 36), "create") for record in RECORDS])
    ledger.close()
    content = bytearray(ledger.file.read_bytes())
    if damage == "header":
        content[20:40] = b"\xff" * 20
    elif damage == "middle":
        content[4096 + 100 : -4096] = b"\xff" * (len(content) - 8192 - 100)
    else:
        content[:] = b"no database at all" * 100
    ledger.file.write_bytes(content)
    for opener in (Ledger, LedgerView):
        with pytest.raises(Damaged, match="ledger") as caught:
            opener(ledger.file)
        assert "migrate plan" in str(caught.value.hint)


def test_another_programs_database_is_refused(tmp_path):
    """A SQLite file with tables of somebody else is left alone."""
    file = tmp_path / "ledger.sqlite"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE other (x)")
    db.close()
    with pytest.raises(Damaged, match="another program"):
        Ledger(file)


def test_a_ledger_is_never_seen_half_made(tmp_path, monkeypatch):
    """Whoever looks while it is made finds no file, or one with its tables; what a dead process left does no harm."""
    file, there, upgrade = tmp_path / "ledger.sqlite", [], ledger_schema._upgrade

    def watched(connection):
        there.append(file.exists())
        upgrade(connection)

    monkeypatch.setattr(ledger_schema, "_upgrade", watched)
    file.with_name("ledger.sqlite.7.new").write_bytes(b"left by a process that died")
    ledger_schema.connect(file).close()
    assert there == [False]
    ledger_schema.connect_read_only(file).close()
    assert not list(tmp_path.glob("*.new*"))


def test_a_newer_ledger_is_refused(ledger):
    """A ledger of a later version names both versions."""
    ledger.close()
    with sqlite3.connect(ledger.file) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(WorkspaceError, match=r"format 99.*format 12"):
        Ledger(ledger.file)


def test_a_folder_that_cannot_be_written(tmp_path):
    """No traceback of SQLite, but the file and what to do."""
    with pytest.raises(WorkspaceError, match="ledger") as caught:
        Ledger(tmp_path / "absent" / "ledger.sqlite")
    assert caught.value.hint


def test_a_dataset_that_is_busy_is_seen_from_outside(ledger):
    """From its last answer on, until it has taken a batch or what is left is for another run."""

    def busy():
        with LedgerView(ledger.file) as view:
            return view.busy_datasets("p")

    assert busy() == []
    ledger.mark_sending("contacts", 0)
    ledger.mark_failed("contacts", 0, Answer(423), "busy", "", applied=False)
    assert busy() == ["contacts"]
    ledger.mark_sending("contacts", 0)
    ledger.mark_failed("contacts", 0, Answer(500), "broken", "", applied=False)
    assert busy() == []
    ledger.mark_sending("contacts", 0)
    ledger.mark_failed("contacts", 0, Answer(423), "busy", "", applied=False)
    ledger.defer("contacts")
    assert busy() == []


def test_a_ledger_of_an_earlier_version_is_brought_up_to_date(tmp_path):
    """What was written by the first format stays, and the tables that came later are added."""
    file = tmp_path / "ledger.sqlite"
    with sqlite3.connect(file) as db:
        db.executescript(STEPS[0])
        db.execute("INSERT INTO plans (name, begun_at) VALUES ('old', 1)")
        db.execute("INSERT INTO datasets VALUES (1, 1, 'contacts', 'id', 0, 5, NULL, 0)")
        db.execute("INSERT INTO batches (dataset, batch, rows, state) VALUES (1, 0, 1, 'acked')")
        record = "'written', 'create', 'm1', NULL, NULL, NULL, NULL, NULL, 7.0"
        db.execute(f"INSERT INTO records VALUES (1, 0, 0, 'k', {record})")
        db.execute(f"PRAGMA application_id = {ledger_schema.APPLICATION_ID}")
        db.execute("PRAGMA user_version = 1")
    db.close()
    with LedgerView(file) as view:
        assert view.plans() == ["old"]
    with Ledger(file) as opened:
        opened.open_plan("p", PLAN)
        of_one = [PlannedDataset("contacts", "id", [1])]
        opened.open_plan("old", of_one, "its hash")
        with pytest.raises(Stale):
            opened.open_plan("old", of_one, "another hash")
    with LedgerView(file) as view:
        assert view.plans() == ["old", "p"]
        [record] = view.settled("old", "contacts")
        assert (record.key, record.masterid, record.settled_at) == ("k", "m1", 7.0)
        assert view.count_marks("p", "contacts") == []


def test_no_room_for_the_ledger(ledger):
    """When the file cannot grow nothing of a move stays, and the error says what to do; with room it goes on."""
    ledger.mark_sending("contacts", 0)
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages}")
    long = [Rejected(record, 400, "x" * 9000) for record in RECORDS]
    with pytest.raises(WorkspaceError, match="full") as caught:
        ledger.settle("contacts", 0, [(verdict, None) for verdict in long])
    assert "free disk space" in str(caught.value.hint)
    assert states(ledger)[0] == "sending"
    ledger._connection.execute("PRAGMA max_page_count = 100000")
    ledger.settle("contacts", 0, [(verdict, None) for verdict in long])
    assert ledger.totals()["contacts"].rejected == 2
