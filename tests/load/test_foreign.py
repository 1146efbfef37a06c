"""Others who write to a dataset between the plan and its load, and while it is loaded."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import json
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from migrate.config import Gates
from migrate.config_values import Limit
from migrate.errors import GateError
from migrate.load.foreign import Modified, known_state, not_our_own
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import Options, load
from migrate.load.pace import describe_pace
from migrate.load.scheduler import Waits
from migrate.progress import Silence
from migrate.report.load import render_load, summarise_load
from tests.load.sayings import Sayings

QUICK = Options(waits=Waits(0.01, 0.1, 0.05, 0.2))


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""

    def go(client, plan, gates=Gates(), progress=None, options=QUICK):  # noqa: B008 - Gates is frozen
        stop = threading.Event()
        return load(client, workspace, plan, gates, progress or Silence(), stop, options=options)

    return go


def put(client, **values):
    """Somebody writes a contact."""
    assert client.upsert_batch("contacts", json.dumps([values]).encode()).status == 200


def as_read(client, plan, tmp_path):
    """The plan with the target as it is read now, and its records with the masterids that are there."""
    rows = list(csv.DictReader(io.StringIO(client.export_csv("contacts", 1).decode())))
    before = tmp_path / "before-00001.parquet"
    pl.DataFrame(rows).write_parquet(before)
    ids = {row["contact_key"]: row["__masterid__"] for row in rows}
    [dataset] = plan.datasets
    frame = pl.read_parquet(dataset.records)
    frame.with_columns(
        masterid=pl.col("contact_key").replace_strict(ids, default=None, return_dtype=pl.String)
    ).write_parquet(dataset.records)
    read = dataclasses.replace(dataset, counted=len(rows), before=(before,))
    return dataclasses.replace(plan, datasets=(read,))


@pytest.fixture
def ready(start_sandbox, client_of, make_plan, contacts, tmp_path):
    """A client, and a plan of 6 batches of 5, of which shop:0 to shop:9 are there, and two records of others."""
    client = client_of(start_sandbox())
    for n in range(10):
        put(client, contact_key=f"shop:{n}", firstname="Old")
    for n in range(2):
        put(client, contact_key=f"crm:{n}", firstname="Theirs")
    return client, as_read(client, make_plan(contacts=contacts(6, 5)), tmp_path)


def test_nothing_has_changed(ready, run):
    """What the plan has read is known to the second, and the load goes on."""
    client, plan = ready
    progress = Sayings()
    assert run(client, plan, progress=progress).datasets["contacts"].written == 30
    assert "others" not in progress.text


@pytest.mark.parametrize("key", ["shop:3", "shop:12"])
def test_a_planned_record_that_somebody_has_changed_stops_the_load(ready, run, key):
    """An edit leaves the count as it is; a new record of a planned key does not matter less: named, exit code 8."""
    client, plan = ready
    time.sleep(0.002)
    put(client, contact_key=key, firstname="Edited by hand")
    allowed = Gates(max_target_change=Limit(text="1", number=1))
    gates = Gates() if key == "shop:3" else allowed
    with pytest.raises(GateError, match="1 planned record changed by others") as caught:
        run(client, plan, gates)
    assert f"profiles {key} of shop" in caught.value.what
    # the page says how many, and names nobody
    assert "1 planned record changed by others" in caught.value.said[-1]
    assert key not in "".join(caught.value.said)
    [record] = client.list_records("contacts", 1, 1)
    assert bytes(record["firstname"]) == b'"Edited by hand"'
    more = Gates(max_target_change=Limit(text="2", number=2))
    assert run(client, plan, more).datasets["contacts"].written == 30


def test_other_records_are_noted(ready, run, workspace):
    """What the plan does not send is nobody's business, but it is told and kept."""
    client, plan = ready
    time.sleep(0.002)
    put(client, contact_key="crm:1", firstname="Edited")
    progress = Sayings()
    assert run(client, plan, progress=progress).datasets["contacts"].written == 30
    assert "others have written 1 records since the plan read it; 0 of them" in progress.text
    with LedgerView(workspace.ledger) as view:
        assert view.foreign_edits("first") == {"contacts": (0, 1, 0)}


@dataclasses.dataclass
class OtherLoads:
    """What another project has written, once its ledger knows it."""

    client: object
    is_known: threading.Event = dataclasses.field(default_factory=threading.Event)

    def every(self, dataset_id):
        """The masterids of the records whose keys are of project two."""
        rows = csv.DictReader(io.StringIO(self.client.export_csv(dataset_id, 1).decode()))
        return frozenset(r["__masterid__"] for r in rows if r["contact_key"].startswith("two:"))

    def among(self, dataset_id, masterids):
        """Those of some of them."""
        return self.every(dataset_id) & set(masterids) if self.is_known.is_set() else frozenset()


def test_what_other_projects_make_is_no_change_of_the_target(ready, run):
    """Their records since the plan has read the target are neither counted against it nor named; a stranger's are."""
    client, plan = ready
    time.sleep(0.002)
    for n in range(3):
        put(client, contact_key=f"two:{n}", firstname="Theirs")
    with pytest.raises(GateError, match="12 records then, 15 now"):
        run(client, plan)
    put(client, contact_key="crm:9", firstname="A stranger's")
    others = OtherLoads(client)
    others.is_known.set()
    options = dataclasses.replace(QUICK, others=others)
    with pytest.raises(GateError, match="12 records then, 13 now"):
        run(client, plan, options=options)
    progress, more = Sayings(), Gates(max_target_change=Limit(text="1", number=1))
    done = run(client, plan, more, progress, options)
    assert done.foreign == {"contacts": (0, 1, 0)}
    assert "others have written 1 records" in progress.text


def test_other_projects_that_load_at_the_same_time(half_loaded, run):
    """What they write while we do is no foreign write, though their ledger knows it only after their answer."""
    client, plan = half_loaded
    put(client, contact_key="two:1", firstname="Theirs")
    others, upsert = OtherLoads(client), client.upsert_batch

    def upsert_batch(dataset_id, body):
        answer = upsert(dataset_id, body)
        others.is_known.set()
        return answer

    client.upsert_batch = upsert_batch
    options = dataclasses.replace(QUICK, count_every=1, others=others)
    assert dict(run(client, plan, options=options).foreign) == {}


def edit_after_the_first_batch(client):
    """Has somebody edit a record that is yet to be sent, between two batches; the bodies that are sent."""
    calls = []
    upsert = client.upsert_batch

    def upsert_batch(dataset_id, body):
        answer = upsert(dataset_id, body)
        calls.append(body)
        if len(calls) == 1:
            put_by(upsert, contact_key="shop:29", firstname="Edited")
        time.sleep(0.1)
        return answer

    client.upsert_batch = upsert_batch
    client.settings = client.settings.model_copy(update={"concurrency": 1})
    return calls


def test_a_writer_while_the_load_runs(ready, run):
    """Between two batches somebody edits a record that is yet to be sent: the load stops before it is overwritten."""
    client, plan = ready
    calls = edit_after_the_first_batch(client)
    options = dataclasses.replace(QUICK, count_every=1)
    with pytest.raises(GateError, match="1 planned record changed by others"):
        run(client, plan, options=options)
    assert len(calls) < 6


def test_what_stopped_a_load_is_remembered(ready, run, workspace):
    """However long ago it was seen: the same load again stops before it writes over it, until the limit lets it."""
    client, plan = ready
    upsert = client.upsert_batch
    edit_after_the_first_batch(client)
    with pytest.raises(GateError, match="1 planned record changed by others"):
        run(client, plan, options=dataclasses.replace(QUICK, count_every=1))
    client.upsert_batch = upsert
    with contextlib.closing(sqlite3.connect(workspace.ledger, isolation_level=None)) as books:
        # as of a load that went on for an hour before it looked
        books.execute("UPDATE records SET settled_at = settled_at + 3600")
    with pytest.raises(GateError, match="1 planned record changed by others"):
        run(client, plan)
    assert "Edited" in client.export_csv("contacts", 1).decode()
    allowed = Gates(max_target_change=Limit(text="1", number=1))
    assert run(client, plan, allowed).datasets["contacts"].written == 30


def put_by(upsert, **values):
    """Somebody writes a contact while we do."""
    assert upsert("contacts", json.dumps([values]).encode()).status == 200


def test_our_own_writes_are_none(ready, run):
    """However often it is looked, what this load writes is not taken for another's."""
    client, plan = ready
    progress = Sayings()
    options = dataclasses.replace(QUICK, count_every=1)
    assert run(client, plan, progress=progress, options=options).datasets["contacts"].written == 30
    assert "others" not in progress.text


@pytest.fixture
def half_loaded(ready, run):
    """The client and the plan after a kill: two batches are acknowledged, the third has not left."""
    client, plan = ready
    calls, upsert = [], client.upsert_batch

    def upsert_batch(dataset_id, body):
        calls.append(body)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return upsert(dataset_id, body)

    client.upsert_batch = upsert_batch
    client.settings = client.settings.model_copy(update={"concurrency": 1})
    with pytest.raises(KeyboardInterrupt):
        run(client, plan)
    client.upsert_batch = upsert
    return client, plan


def test_what_the_plan_has_read_is_nobodys_edit(half_loaded, run):
    """A load that is taken up at once looks back behind the plan's reading: what was read there is known."""
    client, plan = half_loaded
    progress, options = Sayings(), dataclasses.replace(QUICK, count_every=1)
    done = run(client, plan, Gates(), progress, options)
    assert (done.datasets["contacts"].written, dict(done.foreign)) == (30, {})
    assert "others" not in progress.text


def test_a_record_that_was_written_and_then_changed(half_loaded, run, workspace):
    """What this load has written and somebody edits an hour later is named as such; the load goes on beside it."""
    client, plan = half_loaded
    with contextlib.closing(sqlite3.connect(workspace.ledger, isolation_level=None)) as books:
        written = books.execute("SELECT key FROM records ORDER BY key").fetchall()
        key = written[0][0]
        books.execute("UPDATE records SET settled_at = settled_at - 3600 WHERE key = ?", (key,))
    put(client, contact_key=key, firstname="Edited")
    progress, options = Sayings(), dataclasses.replace(QUICK, count_every=1)
    done = run(client, plan, progress=progress, options=options)
    assert done.datasets["contacts"].written == 30
    assert done.foreign == {"contacts": (0, 0, 1)}
    assert "1 records after this load wrote them" in progress.text
    assert f"profiles {key} of shop" in progress.text
    assert "Changed by others after this load wrote them: contacts: 1." in render_load(done)
    assert summarise_load(done)["datasets"]["contacts"]["foreign"]["written"] == 1
    with LedgerView(workspace.ledger) as view:
        [(masterid, *told, _)] = view.foreign_records("first", "contacts")
    ids = {
        json.loads(bytes(record["contact_key"])): json.loads(bytes(record["__masterid__"]))
        for record in client.list_records("contacts", 1, 50)
    }
    assert (masterid, told) == (ids[key], [True, True])


@pytest.mark.parametrize(("later_s", "ahead_s", "is_theirs"), [
    (2, 0, False), (29, 0, False), (31, 0, True), (3_602, 3_600, False), (3_631, 3_600, True),
    (-3_598, -3_600, False), (-3_569, -3_600, True),
])  # fmt: skip
def test_our_own_writes_by_both_clocks(later_s, ahead_s, is_theirs):
    """A modification within half a minute of our write is that write, by whichever clock."""
    settled = datetime(2026, 1, 1, 12, tzinfo=UTC)
    record = Modified("m", settled + timedelta(seconds=later_s), {})
    settled_at = {"m": settled.timestamp()}
    assert not_our_own([record], settled_at, ahead_s) == ([record] if is_theirs else [])
    assert not_our_own([record], {}, ahead_s) == [record]


def test_a_target_without_times(tmp_path):
    """Nothing is known where the export shows no times of modification, or no row."""
    file = tmp_path / "before.parquet"
    pl.DataFrame({"__masterid__": ["m"], "x": ["1"]}).write_parquet(file)
    assert known_state([file]) is None
    assert known_state([]) is None


def test_a_busy_dataset_is_named_beside_the_time_left():
    """Nobody knows how long it stays busy: the time is what comes after."""
    told = describe_pace(5, 10, 2.0, None, 4.0, ["contacts"])
    assert "busy (423): contacts; about 4 s to go once it is free" in told
    assert "busy" not in describe_pace(5, 10, 2.0, None, 4.0)
