"""The verifier's commands against a finished migration: exit codes, JSON keys, and what they leave behind."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.app import as_loaded, deep
from migrate.app.deep import run_repair
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.status import read_status
from migrate.app.totals import prove_totals, reconcile_with_totals, run_totals
from migrate.app.trace import run_trace
from migrate.app.undo import plan_undo, run_undo
from migrate.errors import Interrupted
from migrate.plan.open_plan import open_plan
from migrate.privacy.mask import workspace_masker
from migrate.report.diff_view import shown_by_dataset
from migrate.report.reconcile import render_reconciliation
from migrate.report.shown import Shown
from migrate.totals.table import Figure
from migrate.verify import spill
from migrate.verify.expected import Expected, expect_files
from migrate.verify.reconcile import Reconciliation
from migrate.verify.rules import DatasetRules

from .conftest import DATASETS, PEOPLE, STALE, Serve, Served

pytestmark = pytest.mark.end_to_end


def lose_three_orders(connection: sqlite3.Connection) -> None:
    """Takes three orders away and changes the city of two contacts."""
    connection.execute(
        "DELETE FROM rows WHERE masterid IN (SELECT masterid FROM rows WHERE dataset = 'orders' LIMIT 3)"
    )
    rows = connection.execute(
        "SELECT masterid, data FROM rows WHERE dataset = 'contacts' LIMIT 2"
    ).fetchall()
    for masterid, data in rows:
        changed = json.loads(b"{" + data + b"}") | {"lastname": "Somebody"}
        connection.execute(
            "UPDATE rows SET data = ? WHERE masterid = ?",
            (json.dumps(changed)[1:-1].encode(), masterid),
        )


def withdraw_consents(connection: sqlite3.Connection) -> None:
    """Turns every newsletter of the target off: no count shows it."""
    rows = connection.execute(
        "SELECT masterid, data FROM rows WHERE dataset = 'contacts'"
    ).fetchall()
    for masterid, data in rows:
        changed = json.loads(b"{" + data + b"}") | {"newsletter": False}
        connection.execute(
            "UPDATE rows SET data = ? WHERE masterid = ?",
            (json.dumps(changed)[1:-1].encode(), masterid),
        )


def deep_counts(found: Reconciliation) -> dict[str, tuple[int, int, int]]:
    """Missing, extra and different by dataset."""
    deep = {name: d.deep for name, d in found.datasets.items()}
    return {name: (d.missing, d.extra, d.different) for name, d in deep.items() if d is not None}


def test_deep_reconcile_of_a_sound_migration(serve: Serve) -> None:
    """Exit code 0, nothing missing, extra or different, in every dataset."""
    code, summary = serve().call("reconcile", "--deep", "--totals", "--live", "--wait", "0")
    assert (code, summary["status"]) == (0, "match")
    for name in DATASETS:
        d = summary["datasets"][name]
        assert (d["verdict"], d["missing"], d["extra"], d["different"], d["recipe_changed"]) == (
            "match",
            0,
            0,
            0,
            0,
        )
        assert d["compared"] > 0
    odd = summary["datasets"]["contacts"]["by_source"]["Shop: two"]
    assert odd["planned"] == odd["counted"] > 0
    assert "cannot be filtered" in odd["reason"]
    assert [table["title"] for table in summary["totals"] if not table["equal"]] == []
    assert "Revenue per month and currency" in {table["title"] for table in summary["totals"]}
    assert summary["source"]["profiles"] == {
        "announced": PEOPLE, "snapshot": PEOPLE, "announced_now": PEOPLE, "drift": 0, "why": None,
    }  # fmt: skip


def test_damage_is_named_repaired_and_gone(serve: Serve) -> None:
    """Lost and altered records are found, a plan of only these records is made, loaded, and all is well."""
    served = serve(lose_three_orders)
    code, summary = served.call("reconcile", "--deep", "--repair", "--wait", "0")
    assert (code, summary["status"]) == (4, "mismatch")
    orders, contacts = summary["datasets"]["orders"], summary["datasets"]["contacts"]
    assert (orders["difference"], orders["missing"], orders["buckets"]["lost"]) == (-3, 3, 3)
    assert orders["buckets"]["unexplained"] == 0
    assert contacts["different_columns"] == {"lastname": 2}
    verdicts = ("verdict", "count_verdict", "deep_verdict")
    assert [contacts[name] for name in verdicts] == ["mismatch", "match", "mismatch"]
    assert pl.read_parquet(contacts["differences"]).height == 2
    repair = open_plan(served.context.workspace, summary["repair_plan"]).document.datasets
    assert {name: (c.planned, c.create, c.update) for name, c in repair.items()} == {
        "contacts": (2, 0, 2), "orders": (3, 3, 0),
    }  # fmt: skip
    run_load(served.context, name=summary["repair_plan"])
    again = run_reconcile(served.context, served.plan, deep=True, wait_s=0)
    assert deep_counts(again) == dict.fromkeys(DATASETS, (0, 0, 0))
    assert run_repair(served.context, again) is None


def test_count_marks_say_where_a_loss_lies(serve: Serve) -> None:
    """What the load counted on its way narrows a difference down to the batches between which it arose."""
    served = serve(lose_three_orders)
    with (
        contextlib.closing(sqlite3.connect(served.context.workspace.ledger)) as connection,
        connection,
    ):
        [number] = connection.execute("SELECT id FROM datasets WHERE name = 'orders'").fetchone()
        marks = [
            (number, 0.0, done, count, 500, 600)
            for done, count in ((10, 550), (20, 499), (30, 490))
        ]
        columns = "dataset, at, batches_done, count, least, most"
        connection.executemany(
            f"INSERT INTO count_marks ({columns}) VALUES (?, ?, ?, ?, ?, ?)", marks
        )
    orders = run_reconcile(served.context, None, wait_s=0).datasets["orders"]
    assert orders.difference == -3
    assert "between batches 10 and 20" in orders.explanations[-1]


def test_many_buckets_find_what_one_finds(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset that is verified in pieces has the same findings, in the same order, and leaves nothing behind."""
    served = serve(lose_three_orders)
    whole = run_reconcile(served.context, None, deep=True, wait_s=0)
    files = {
        name: d.deep.file.read_bytes()
        for name, d in whole.datasets.items()
        if d.deep and d.deep.file
    }
    monkeypatch.setattr(spill, "BUCKET_ROWS", 7)
    again = run_reconcile(served.context, None, deep=True, wait_s=0)
    assert deep_counts(again) == deep_counts(whole)
    for name, d in again.datasets.items():
        assert d.deep
        assert d.deep.file
        assert pl.read_parquet(d.deep.file).equals(pl.read_parquet(files[name])), name
    assert not list(served.context.workspace.reports.glob(".*"))


def of_an_earlier_version(served: Served) -> Path:
    """Takes from the plan the texts that it carries, as one of an earlier version had none; gives the mappings."""
    file = served.context.workspace.plans / served.plan / "plan.json"
    document = json.loads(file.read_bytes())
    del document["carried"]
    file.write_text(json.dumps(document))
    return served.context.project.mappings


def test_a_feed_is_called_not_verifiable(serve: Serve) -> None:
    """What goes to a webhook is never called right: it is named, and nothing is asked of the target for it."""
    served = serve()
    file = of_an_earlier_version(served) / "interactions.yaml"
    file.write_text(file.read_text() + "\ntarget: webhook\n")
    found = run_reconcile(served.context, None, wait_s=0)
    assert set(found.datasets) == set(DATASETS) - {"interactions"}
    assert "cannot be asked" in found.unverifiable["interactions"]
    assert "interactions: not verifiable" in render_reconciliation(found)


def test_samples_are_masked_unless_asked_for(serve: Serve) -> None:
    """No value of a record on the screen, until --show-values."""
    served = serve(lose_three_orders)
    found = run_reconcile(served.context, None, deep=True, wait_s=0)
    plan = open_plan(served.context.workspace, found.plan, check_files=False)
    shown = Shown(workspace_masker(served.context.workspace.root))
    masked = render_reconciliation(found, shown_by_dataset(plan, shown))
    assert "Somebody" not in masked
    assert "van der Meulen" not in masked
    assert "Somebody" in render_reconciliation(found)


def test_totals_are_equal_to_the_cent(serve: Serve) -> None:
    """Every business total of snapshot, plan and target agrees, group by group; revenue is the sum of the orders."""
    context = serve().context
    proven = {table.title: table for table in prove_totals(context, None)}
    assert all(table.equal for table in proven.values())
    revenue = proven["Revenue per month and currency"].whole
    assert revenue.source == revenue.target == Figure(60, Decimal(sum(range(60)) + 6))
    assert len(proven["Events per day and type"].groups) == 28
    tables = {table.title: table for table in run_totals(context, None)}
    assert all(table.equal for table in tables.values())
    assert {row.group[-1] for row in tables["Consent newsletter in contacts"].rows} == {
        "true",
        "false",
    }


def test_a_difference_in_the_totals_alone_is_kept(serve: Serve) -> None:
    """The counts match and the totals do not: the report says so, and nobody is told to pack the evidence."""
    served = serve(withdraw_consents)
    code, summary = served.call("reconcile", "--totals", "--wait", "0")
    assert (code, summary["status"]) == (4, "mismatch")
    assert {d["verdict"] for d in summary["datasets"].values()} == {"match"}
    report = json.loads(
        (served.context.workspace.reports / f"{served.plan}-reconcile.json").read_bytes()
    )
    assert report["verdict"] == "mismatch"
    assert [table["title"] for table in report["totals"] if not table["equal"]] == [
        "Consent newsletter in contacts"
    ]
    assert [plan.counted for plan in read_status(served.context.workspace).plans] == [False]
    assert run_reconcile(served.context, None, wait_s=0).matches


def test_deep_and_totals_work_the_source_out_once(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both together take one pass over each dataset, and find what each finds alone."""
    served = serve(lose_three_orders)
    alone, tables = (
        run_reconcile(served.context, None, deep=True, wait_s=0),
        run_totals(served.context, None),
    )
    passes: list[str] = []

    def count(rules: DatasetRules, *rest: Any) -> Expected:
        passes.append(rules.dataset)
        return expect_files(rules, *rest)

    monkeypatch.setattr(deep, "expect_files", count)
    found = reconcile_with_totals(served.context, None, deep=True, wait_s=0)
    beside = list(found.totals)
    assert sorted(passes) == sorted(DATASETS)
    assert deep_counts(found) == deep_counts(alone)
    assert deep_counts(found)["orders"] == (3, 0, 0)
    assert beside == tables
    assert any(not table.equal for table in beside)
    assert not list(served.context.workspace.reports.glob(".*"))


def test_stopped_with_totals_the_same_command_goes_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said to go on with has both options."""
    served = serve()

    def stop(*_: Any) -> Expected:
        raise Interrupted("stopped")

    monkeypatch.setattr(deep, "expect_files", stop)
    with pytest.raises(Interrupted) as caught:
        reconcile_with_totals(served.context, served.plan, deep=True, wait_s=0)
    assert caught.value.hint == f"migrate reconcile --deep --totals --plan {served.plan}"


def test_totals_of_a_repair_are_those_of_what_it_repairs(serve: Serve) -> None:
    """A repair has only a few of the records; beside a deep verification too, the totals are of all."""
    served = serve(lose_three_orders)
    whole = {table.title: table for table in run_totals(served.context, None)}
    repair = run_repair(served.context, run_reconcile(served.context, None, deep=True, wait_s=0))
    assert repair is not None
    run_load(served.context, name=repair)
    tables = reconcile_with_totals(served.context, repair, deep=True, wait_s=0).totals
    assert all(table.equal for table in tables)
    assert {table.title: len(table.rows) for table in tables} == {
        n: len(table.rows) for n, table in whole.items()
    }


def test_a_feed_has_no_totals_beside_a_deep_verification(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither read back nor added up, whether it can be worked out or not; the others are."""
    served = serve()
    monkeypatch.setattr(as_loaded, "check_fresh", lambda *_: None)
    file = of_an_earlier_version(served) / "interactions.yaml"
    for more in ("", "sparkle: true\n"):
        file.write_text(file.read_text() + ("" if more else "\ntarget: webhook\n") + more)
        found = reconcile_with_totals(served.context, None, deep=True, wait_s=0)
        tables = found.totals
        assert set(found.datasets) == set(DATASETS) - {"interactions"}
        assert all(d.deep and d.deep.verdict == "match" for d in found.datasets.values())
        assert {table.title.split(" ")[0] for table in tables} >= {"Orders", "Consent"}
        assert {table.dataset for table in found.tables} >= {"orders"}


def test_an_edited_mapping_is_to_be_brought_back(serve: Serve) -> None:
    """Of a plan that does not carry it; a new plan would not verify what was loaded, so the hint names none."""
    served = serve()
    file = of_an_earlier_version(served) / "orders.yaml"
    file.write_text(file.read_text() + "# looked at\n")
    for options in (("--deep",), ("--totals",)):
        code, summary = served.call("reconcile", *options)
        assert (code, "orders.yaml (orders) was edited" in summary["error"]) == (7, True)
        assert "bring them back as they were" in summary["hint"]
        assert f"migrate reconcile {options[0]} --plan {served.plan}" in summary["hint"]
        assert "migrate load" not in summary["hint"]


def test_a_feed_that_was_not_handed_over_is_unfinished(serve: Serve) -> None:
    """Nothing of it can be counted, but that its load was never begun is known."""
    served = serve()
    file = of_an_earlier_version(served) / "interactions.yaml"
    file.write_text(file.read_text() + "\ntarget: webhook\n")
    assert run_reconcile(served.context, None, wait_s=0).verdict == "match"
    with contextlib.closing(sqlite3.connect(served.context.workspace.ledger)) as ledger, ledger:
        ledger.execute("PRAGMA foreign_keys = OFF")
        ledger.execute("DELETE FROM datasets WHERE name = 'interactions'")
    found = run_reconcile(served.context, None, wait_s=0)
    assert (found.verdict, set(found.not_loaded)) == ("unfinished", {"interactions"})


def test_trace_follows_one_record(serve: Serve) -> None:
    """Source, snapshot, steps, batch and target of one profile, and of a sale with its lines."""
    served = serve()
    facts = run_trace(served.context, "profiles", "p1", None, None, live=True)
    contact = facts["datasets"]["contacts"]
    assert json.loads(facts["live"]["record"])["profileid"] == "p1"
    steps = contact["mapped"][0]["columns"]["email"]["steps"]
    assert [step[0] for step in steps] == ["from", "trim", "lowercase", "text"]
    assert steps[-1][1] == "person1@example.test"
    row = contact["rows"][0]
    assert (row["change"], row["ledger"]["record"]["state"], row["differences"]) == (
        "update",
        "written",
        [],
    )
    assert row["stored"]["email"] == "person1@example.test"
    sale = run_trace(served.context, "sales", "000000002", "Magento2", None, live=False)["datasets"]
    assert len(sale["order_items"]["rows"]) == 3
    assert sale["orders"]["mapped"][0]["columns"]["contact_key"]["steps"][-1][1] == "Magento 2:p2"
    code, summary = served.call("trace", "profiles", "p1")
    assert code == 0
    assert "person1@example.test" not in json.dumps(summary)


def test_undo_restores_what_can_be_restored(serve: Serve) -> None:
    """Updated records go back to what they were; created ones are listed; what others changed since is left alone."""
    served = serve()
    served.write("contacts", {"contact_key": "Magento 2:p1", "city": "Changed by others"})
    planned = {entry.dataset: entry for entry in plan_undo(served.context, None).datasets}
    contacts = planned["contacts"]
    assert (contacts.count("restorable"), contacts.count("changed_since")) == (STALE - 1, 1)
    assert contacts.count("created") == PEOPLE - STALE
    done = run_undo(served.context, None, wait_s=0)
    assert (done.restored, done.verified) == (4 * STALE - 1, 4 * STALE - 1)
    cities = [row["city"] for row in served.records("contacts")]
    assert (cities.count("Old Town"), cities.count("Changed by others")) == (STALE - 1 + 2, 1)
    assert run_undo(served.context, None, wait_s=0).restored == 0
    code, summary = served.call("undo", "plan")
    assert (code, summary["datasets"]["contacts"]["restored"]) == (0, STALE - 1)


def test_evidence_of_a_migration_is_sound_and_holds_nobody(serve: Serve) -> None:
    """The archive checks out elsewhere by itself, an altered byte does not, and no personal value is in it."""
    served = serve()
    run_reconcile(served.context, None)
    code, made = served.call("evidence")
    assert code == 0
    data = Path(made["file"]).read_bytes()
    for value in (b"erson1@", b"Anneliese", b"Meulen", b"Amsterdam-"):
        assert value not in data
    assert b"reconcile.json" in data
    assert served.call("evidence", "--verify", made["file"], "--head", made["head"])[0] == 0
    Path(made["file"]).write_bytes(
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]
    )
    code, summary = served.call("evidence", "--verify", made["file"])
    assert (code, summary["status"]) == (4, "altered")


def test_a_misspelt_consent_and_customer_are_found_by_the_source(serve: Serve) -> None:
    """Everybody's consent and every order's customer are lost, and all that the plan says is in the target."""
    context = serve().context
    for file, right, wrong in (
        ("contacts", "from: newsletter\n", "from: newslettr\n"),
        ("orders", "id: [profileid,", "id: [profilid,"),
    ):
        mapping = context.project.mappings / f"{file}.yaml"
        assert right in mapping.read_text()
        text = mapping.read_text().replace(right, wrong).replace(", profile_id,", ", profil_id,")
        mapping.write_text(text.partition("examples:")[0])
    plan = run_plan(context, DATASETS)
    run_load(context, name=plan.name)
    found = reconcile_with_totals(context, plan.name, deep=False, wait_s=0)
    lost = {table.title: table for table in found.totals if not table.equal}
    assert set(lost) == {"Consent newsletter in contacts", "Orders per contact"}
    sums: Counter[tuple[str, str]] = Counter()
    for row in lost["Consent newsletter in contacts"].rows:
        for at in ("snapshot", "plan"):
            sums[at, row.group[-1]] += int(row.amounts[at] or 0)
    yes = PEOPLE // 2
    assert +sums == {
        ("snapshot", "true"): yes, ("snapshot", "false"): PEOPLE - yes, ("plan", "(none)"): PEOPLE,
    }  # fmt: skip
    nobody = {row.group: row.amounts for row in lost["Orders per contact"].rows}["(none)",]
    assert (nobody["snapshot"], nobody["plan"]) == (None, 60)
    assert not found.matches


class Counted:
    """A progress that keeps, of each task that ended, how much of it was done and what its total was."""

    def __init__(self) -> None:
        self.running: dict[str, list[int | None]] = {}
        self.ended: dict[str, list[int | None]] = {}

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        """Begins to count."""
        assert unit
        self.running[task] = [done, total]

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        """Counts; what is done never passes the total."""
        done, known = self.running[task]
        assert done is not None
        known = known if total is None else total
        self.running[task] = [done + by, known]
        assert known is None or done + by <= known, (task, done + by, known)

    def end(self, task: str) -> None:
        """Keeps how it ended."""
        if task in self.running:
            self.ended[task] = self.running.pop(task)

    def note(self, text: str) -> None:
        """Nothing."""


def test_a_bar_ends_at_its_total(serve: Serve) -> None:
    """Of every stage: what a person waits for is whole when it ends, no task is left running, none passes its total."""
    served = serve(lose_three_orders)
    for stage in (
        lambda context: run_extract(context, ["profiles", "sales", "interactions"], "again"),
        lambda context: run_plan(context, DATASETS, name="again"),
        lambda context: run_load(context, name="again"),
        lambda context: run_reconcile(context, "again", deep=True, wait_s=0),
        lambda context: run_plan(context, DATASETS, name="nothing-new"),
        lambda context: run_load(context, name="nothing-new"),
        lambda context: run_undo(context, "again"),
    ):
        counted = Counted()
        stage(replace(served.context, progress=counted))
        assert not counted.running
        short = {
            task: ends for task, ends in counted.ended.items() if ends[1] not in (None, ends[0])
        }
        assert not short
