"""What people put right goes through the same mapping, gates, load and proof, and is taken back without a trace."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrate.app.corrections import Imported, import_corrections, remove_corrections
from migrate.app.erasure import erase_person
from migrate.app.evidence import run_evidence
from migrate.app.pipeline import run_extract, run_load
from migrate.app.reconcile import run_reconcile
from migrate.app.replay import replay
from migrate.app.to_correct import values_to_correct
from migrate.app.totals import reconcile_with_totals
from migrate.app.trace import run_trace
from migrate.errors import Stale
from migrate.plan.corrections import read_carried
from migrate.plan.open_plan import read_totals
from migrate.privacy.mask import workspace_masker
from migrate.report.reject_book import heads_by_word, write_reject_book
from migrate.report.totals import render_tables
from migrate.report.words import words_of
from migrate.snapshot.corrections import read_corrections
from tests import forked
from tests.app.shop import KEYS, Shop, open_shop
from tests.harness import PATIENCE_S
from tests.workbooks import fill_in

CONTACTS = """
version: 1
dataset: contacts
resource: profiles
key: [email]
columns:
  email: {from: [email, address.mail], type: text, apply: [trim, lowercase, email]}
  city: {from: address.city, type: text}
"""
ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
lookups:
  buyer: {dataset: contacts, source: source, id: profileid, on_orphan: keep}
columns:
  order_key: {from: id, type: text}
  buyer_email: {from: buyer.email, type: text}
  total: {from: total, type: float}
"""
LINES = """
version: 1
dataset: lines
resource: sales
each: items
key: [line_key]
columns:
  line_key: {sql: "id || ':' || position", type: text}
  price: {from: item.price, type: float}
"""
PROFILES = [
    {"profileid": "p1", "email": "jan@x.example", "address": {"city": "Breda"}},
    {"profileid": "p2", "email": "piet.x.example", "address": {"city": "Goes"}},
]
SALES = [
    {"conversionid": "1", "profileid": "p1", "total": "10.00", "items": [{"price": 1.10}]},
    {
        "conversionid": "2",
        "profileid": "p2",
        "total": "8.00",
        "items": [{"price": 2}, {"price": "x"}],
    },
    {"conversionid": "3", "profileid": "p1", "total": "n/a", "items": [{"price": 12.50}]},
]


class CorrectedShop(Shop):
    """A shop whose values are put right from a file."""

    def correct(self, *rows: str, head: str = "resource,source,id,field,value") -> Imported:
        """Imports right values from a CSV file."""
        file = self.folder / "right.csv"
        file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
        return import_corrections(self.context, file, {}, by="A. Jansen", why="asked the shop")

    def is_proven(self, plan: str) -> bool:
        """Whether every record that the verifier works out itself is in the target."""
        found = run_reconcile(self.context, plan, deep=True, wait_s=0)
        return found.verdict == "match"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CorrectedShop]:
    """Two people and their orders: an address without its sign, a total that is none, a price that is none."""
    mappings = {"contacts": CONTACTS, "orders": ORDERS, "lines": LINES}
    with open_shop(CorrectedShop, tmp_path / "project", mappings) as made:
        made.send("profiles", *PROFILES)
        made.send("sales", *SALES)
        run_extract(made.context, ["profiles", "sales"], "first")
        yield made


def test_what_is_looked_at_as_it_was_sent_says_so(shop: CorrectedShop) -> None:
    """`mapping check` and `preview` read the snapshot without corrections, and tell whoever might think otherwise."""
    env = {**os.environ, **KEYS}
    asked = (["check"], ["preview", "mappings/contacts.yaml"])
    for words, told in ((asked[0], False), (asked[1], True)):
        if told:
            assert shop.correct(RIGHT[0]).new == 1
        done = forked.run(["-m", "migrate", "mapping", *words], shop.folder, env, PATIENCE_S)
        assert ("1 value put right by hand" in done.stdout) == told, done.stderr


RIGHT = (
    "profiles,Shop,p2,email,piet@x.example",
    "sales,Shop,3,total,12.50",
    "sales,Shop,2,items[2].price,3.30",
)


def test_a_workbook_goes_to_the_customer_and_comes_back(shop: CorrectedShop) -> None:
    """Its empty cells filled in, the same records are sent, and a replay finds nothing rejected any more."""
    plan = shop.plan("a")
    run_load(shop.context, name="a")
    assert {n: d.rejected for n, d in plan.document.datasets.items()} == {
        "contacts": 1, "orders": 1, "lines": 1,
    }  # fmt: skip
    _plan, values = values_to_correct(shop.context, "a")
    assert set(values.select("resource", "id", "field", "sent").iter_rows()) == {
        ("profiles", "p2", "email", "piet.x.example"),
        ("sales", "3", "total", "n/a"),
        ("sales", "2", "items[2].price", "x"),
    }
    file = shop.folder / "rejects.xlsx"
    masker = workspace_masker(shop.context.workspace.root)
    assert write_reject_book(values, file, words_of("nl"), masker, is_masked=True) == 3
    right = {"email": "piet@x.example", "total": "12.50", "items[2].price": "3.30"}
    assert fill_in(file, lambda row: right[row["Veld"]], "Juiste waarde") == 3
    done = import_corrections(
        shop.context, file, heads_by_word(), by="A. Jansen", why="asked the shop"
    )
    assert (done.new, done.refused) == (3, ())
    replayed = replay(shop.context, "a")
    assert (replayed.released, replayed.rejects) == (3, 3), replayed.fates
    assert shop.held("contacts", "email").keys() == {"jan@x.example", "piet@x.example"}
    assert shop.held("orders", "order_key")["3"]["total"] == 12.5
    assert shop.held("lines", "line_key")["2:2"]["price"] == 3.3
    assert shop.is_proven(replayed.new.name)


def test_what_a_plan_says_of_corrections_and_how_it_is_proven(shop: CorrectedShop) -> None:
    """Counted in plan, evidence and trace; totals and the verifier agree; the snapshot keeps what was sent."""
    assert shop.correct(*RIGHT, "sales,Shop,9,total,1", "sales,Shop,1,total,10.00").taken == 3
    plan = shop.plan("a")
    used = plan.document.corrections
    assert used is not None
    assert (used.values, used.records) == (3, 3)
    assert used.by_field == {"profiles email": 1, "sales items[2].price": 1, "sales total": 1}
    assert [d.corrected for d in plan.document.datasets.values()] == [1, 2, 2]
    assert not any(d.rejected for d in plan.document.datasets.values())
    run_load(shop.context, name="a")
    assert all(table.equal for table in read_totals(plan).values())
    found = reconcile_with_totals(shop.context, "a", deep=True, wait_s=0)
    assert found.verdict == "match"
    assert all(table.equal for table in found.tables)
    for tables in (read_totals(plan).values(), found.tables):
        assert {table.dataset: table.corrected for table in tables} == {"orders": 1, "lines": 1}
    assert "source, 1 record put right by hand" in render_tables(found.tables)
    assert "as sent" not in render_tables(found.tables)
    facts = run_trace(shop.context, "sales", "3", "Shop", "a", live=False)
    assert json.loads(facts["snapshot"]["record"])["total"] == "n/a"
    assert {one["field"] for one in facts["snapshot"]["corrections"]} == {"total"}
    assert facts["datasets"]["orders"]["mapped"][0]["columns"]["total"]["steps"][-1][1] == "12.5"
    archive = run_evidence(shop.context, "a").file.read_bytes()
    assert b"A. Jansen" in archive
    assert b"12.50" not in archive
    assert b"piet@x.example" not in archive


def test_a_changed_correction_makes_a_plan_stale(shop: CorrectedShop) -> None:
    """Added, changed or taken back: the reason says of which field, and never a value."""
    shop.plan("a")
    shop.correct(*RIGHT)
    with pytest.raises(Stale, match=r"3 corrections were added: profiles email, sales total"):
        run_load(shop.context, name="a")
    shop.plan("b")
    remove_corrections(shop.context, ["c2"], None, every=False)
    with pytest.raises(Stale, match="1 correction was taken back: sales total"):
        run_load(shop.context, name="b")
    assert shop.plan("c").document.datasets["orders"].rejected == 1
    remove_corrections(shop.context, [], None, every=True)
    assert shop.plan("d").document.corrections is None


def test_a_row_that_does_not_fit_is_refused_with_its_reason(shop: CorrectedShop) -> None:
    """Another value than the record has, no such record, an identity, nobody's word: nothing of it is taken."""
    done = shop.correct(
        "sales,Shop,3,total,n/b,12.50,,",
        "sales,Shop,7,total,n/a,12.50,,",
        "sales,Shop,2,conversionid,2,3,,",
        "sale,Shop,3,total,n/a,12.50,,",
        "sales,Shop,2,items[3].price,,1,,",
        "sales,Shop,1,total,10.00,1,,",
        "sales,Shop,1,total,10.00,2,,",
        "sales,Shop,3,total,n/a,,,",
        head="resource,source,id,field,sent,value,who,why",
    )
    assert (done.taken, done.empty, len(done.refused)) == (0, 1, 7)
    said = " ".join(one.why for one in done.refused)
    for reason in ("another value now", "no such record", "is known", "none of this name",
                   "cannot be reached", "two right values"):  # fmt: skip
        assert reason in said


def test_a_delta_takes_up_what_was_corrected_since_its_base(shop: CorrectedShop) -> None:
    """A record that the delta leaves alone is planned once it is put right, and again once that is taken back."""
    shop.plan("a")
    run_load(shop.context, name="a")
    shop.send(
        "profiles", {"profileid": "p3", "email": "kees@x.example", "address": {"city": "Best"}}
    )
    run_extract(shop.context, ["profiles", "sales"], "second", since="first")
    shop.correct(*RIGHT, "profiles,Shop,p1,address.city,Bree")
    plan = shop.plan("b", snapshot="second")
    contacts = plan.document.datasets["contacts"]
    assert (contacts.create, contacts.update, contacts.outside_delta) == (2, 1, 0)
    run_load(shop.context, name="b")
    assert shop.held("contacts", "email")["jan@x.example"]["city"] == "Bree"
    assert shop.held("orders", "order_key")["2"]["buyer_email"] == "piet@x.example"
    assert shop.is_proven("b")
    remove_corrections(shop.context, ["c4"], None, every=False)
    back = shop.plan("c", snapshot="second").document.datasets["contacts"]
    assert back.update == 1
    run_load(shop.context, name="c")
    assert shop.held("contacts", "email")["jan@x.example"]["city"] == "Breda"
    assert shop.is_proven("c")


def test_a_value_that_the_source_changed_since_wins(shop: CorrectedShop) -> None:
    """The correction was made of another value: it is not taken, and the plan says so."""
    shop.plan("a")
    run_load(shop.context, name="a")
    shop.correct(*RIGHT)
    shop.send("sales", {**SALES[2], "total": "99.00"})
    run_extract(shop.context, ["profiles", "sales"], "second", since="first")
    plan = shop.plan("b", snapshot="second")
    assert plan.document.corrections is not None
    assert (plan.document.corrections.values, plan.document.corrections.changed) == (2, 1)
    run_load(shop.context, name="b")
    held = shop.held("orders", "order_key")
    assert (held["3"]["total"], held["2"]["buyer_email"]) == (99, "piet@x.example")
    assert shop.is_proven("b")


def test_an_erased_person_leaves_no_correction(shop: CorrectedShop) -> None:
    """The store and the plans that carry it lose that person's values, and keep those of others."""
    shop.correct(*RIGHT)
    plan = shop.plan("a")
    erased = erase_person(shop.context, "p2", None)
    assert erased.places == ()
    for kept in (read_corrections(shop.context.workspace), read_carried(plan.folder)):
        assert set(kept.select("resource", "id").iter_rows()) == {("sales", "3")}
