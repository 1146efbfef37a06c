"""One dataset of several mapping files: whole jobs against the sandbox, by day and by night.

Contacts are made of profiles first, and of the buyers that only the sales know; a stream of sales and interactions; a
catalogue of items and categories. What must hold of each row is written out here by hand.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import httpx
import pytest

from migrate import parquet
from migrate.app.evidence import run_evidence
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.totals import prove_totals
from migrate.app.trace import run_trace
from migrate.app.undo import run_undo
from migrate.load.ledger_notes import Discarded, LedgerNotes
from migrate.plan.document import PartOf
from migrate.plan.open_plan import Plan
from migrate.plan.request import SampleAsked
from migrate.report.diff_page import open_report, write_page
from migrate.report.plan import render_plan
from migrate.report.words import words_of
from tests.app.night_stage import Shop
from tests.harness import Project

CONTACTS = """
version: 1
dataset: contacts
precedence: 1
resource: profiles
key: [email]
collapse: {fill_gaps: true}
columns:
  email: {from: email, type: text, apply: [trim, lowercase]}
  firstname: {from: firstname, type: text}
  city: {from: city, type: text}
  newsletter: {from: newsletter, type: boolean, consent: true, values: {"1": true, "0": false}, unlisted: omit}
  origin: {value: profile, type: text}
  project: {from: project, type: text}
"""
BUYERS = """
version: 1
dataset: contacts
precedence: 2
resource: sales
key: [email]
where: "email <> ''"
collapse: {fill_gaps: true}
columns:
  email: {from: email, type: text, apply: [trim, lowercase]}
  firstname: {from: firstname, type: text}
  phone: {from: phone, type: text}
  newsletter: {from: newsletter, type: boolean, consent: true, values: {"1": true, "0": false}, unlisted: omit}
  origin: {value: sale, type: text}
  orders: {value: 1, type: integer}
"""
ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
lookups:
  profile: {dataset: contacts, source: source, id: profileid}
  buyer: {dataset: contacts, resource: sales, source: source, id: id}
columns:
  order_key: {sql: "source || ':' || id", type: text}
  contact: {from: [profile.email, buyer.email], type: text}
  total: {from: total, type: float}
  currency: {from: currency, type: text}
  created_at: {from: created, type: datetime}
"""
STREAM_OF_SALES = """
version: 1
dataset: order_events
precedence: 1
resource: sales
key: [event_key]
columns:
  event_key: {sql: "'sale:' || source || ':' || id", type: text}
  event: {value: sale, type: text}
  total: {from: total, type: float}
  currency: {from: currency, type: text}
  created_at: {from: created, type: datetime}
"""
STREAM_OF_INTERACTIONS = """
version: 1
dataset: order_events
precedence: 2
resource: interactions
key: [event_key]
columns:
  event_key: {sql: "'interaction:' || source || ':' || id", type: text}
  event: {from: event, type: text}
  created_at: {from: datetime, type: datetime}
"""
CATALOGUE_OF_ITEMS = """
version: 1
dataset: catalogue
precedence: 1
resource: content_items
key: [key]
columns:
  key: {sql: "source || ':' || id", type: text}
  name: {from: name, type: text}
  price: {from: price, type: float}
"""
CATALOGUE_OF_CATEGORIES = """
version: 1
dataset: catalogue
precedence: 2
resource: content_categories
key: [key]
columns:
  key: {sql: "source || ':' || id", type: text}
  name: {from: name, type: text}
"""
FILES = {
    "contacts.profiles": CONTACTS,
    # in no order of names: what the files say decides
    "a.buyers": BUYERS,
    "orders": ORDERS,
    "order_events.sales": STREAM_OF_SALES,
    "a.interactions": STREAM_OF_INTERACTIONS,
    "catalogue.items": CATALOGUE_OF_ITEMS,
    "catalogue.categories": CATALOGUE_OF_CATEGORIES,
}
DATASETS = ("contacts", "orders", "order_events", "catalogue")
RESOURCES = ("profiles", "sales", "interactions", "content_items", "content_categories")
LONG_AGO = "2024-05-01 10:00:00"
LATER = "2024-06-01 10:00:00"


def profile(number: int, email: str, updated: str = LONG_AGO, **more: object) -> dict[str, object]:
    """A profile as the source holds it."""
    times = {"created": "2024-01-01 10:00:00", "updated": updated}
    return {"profileid": str(number), "source": "shop", "email": email, **times, **more}


def sale(number: int, email: str, updated: str = LONG_AGO, **more: object) -> dict[str, object]:
    """A sale as the source holds it."""
    times = {"created": "2024-02-01 10:00:00", "updated": updated}
    known = {"conversionid": str(number), "source": "shop", "total": "10.50", "currency": "EUR"}
    return {**known, "email": email, **times, **more}


def interaction(number: int, event: str) -> dict[str, object]:
    """An interaction as the source holds it."""
    return {
        "interactionid": str(number),
        "source": "shop",
        "event": event,
        "datetime": LONG_AGO,
        "created": LONG_AGO,
        "updated": LONG_AGO,
    }


# profile 1 and sale 1 have the same source and id: only their resource tells them apart
FIRST = {
    "profiles": [
        profile(1, "an@x.nl", firstname="An", newsletter="1"),
        profile(2, "bo@x.nl", city="Gent", newsletter="1"),
        profile(3, "cy@x.nl", firstname="Cy"),
    ],
    "sales": [
        sale(1, "di@x.nl", firstname="Di", phone="0612345678"),
        sale(2, "BO@x.nl", LATER, firstname="Bo", phone="0687654321", newsletter="0", profileid="2"),
        sale(3, "", profileid="1", total="4.50"),
        sale(4, "di@x.nl", LATER, firstname="Diana"),
        sale(5, "cy@x.nl", firstname="Other", newsletter="1", profileid="3"),
    ],
    "interactions": [interaction(1, "open"), interaction(2, "click")],
    "content_items": [
        {"itemid": "1", "source": "shop", "type": "item", "name": "Cap", "price": "9.95", "created": LONG_AGO},
        {"itemid": "2", "source": "shop", "type": "item", "name": "Bag", "price": "5", "created": LONG_AGO},
    ],
    "content_categories": [
        {"itemid": "1", "source": "shop", "type": "category", "name": "Hats", "created": LONG_AGO},
        {"itemid": "9", "source": "shop", "type": "category", "name": "Bags", "created": LONG_AGO},
    ],
}  # fmt: skip


def expected_contacts() -> dict[str, dict[str, object]]:
    """By key: the profile wins, over a later sale too; gaps are filled; a no of either stays a no; no yes is filled."""
    return {
        "an@x.nl": {"firstname": "An", "newsletter": True, "origin": "profile", "project": "demo"},
        "bo@x.nl": {
            "firstname": "Bo", "city": "Gent", "newsletter": False, "origin": "profile", "project": "demo",
            "phone": "0687654321", "orders": 1,
        },
        "cy@x.nl": {"firstname": "Cy", "origin": "profile", "project": "demo", "orders": 1},
        # of two sales of one buyer the later wins, as the rule ranks rows of one file
        "di@x.nl": {"firstname": "Diana", "phone": "0612345678", "origin": "sale", "orders": 1},
    }  # fmt: skip


@pytest.fixture
def shop(make_project: Callable[..., Project], tmp_path: Path) -> Shop:
    """A shop whose datasets are each made of two files, beside a sandbox that holds its records."""
    mappings = tmp_path / "mappings"
    mappings.mkdir()
    for name, text in FILES.items():
        (mappings / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    project = make_project(feeding=False, mappings=mappings)
    for file in (project.folder / "mappings").glob("*"):
        file.unlink()
    for file in mappings.iterdir():
        (project.folder / "mappings" / file.name).write_bytes(file.read_bytes())
    project.write(datasets="\n".join(f'{name} = "{name}"' for name in DATASETS))
    shop = Shop(project)
    for resource, records in FIRST.items():
        plant(shop, resource, records)
    return shop


def plant(shop: Shop, resource: str, records: list[dict[str, object]]) -> None:
    """Puts whole records into the source."""
    assert shop.project.sandbox is not None
    url = f"{shop.project.sandbox.url}/_sandbox/records/{resource}"
    httpx.post(url, json=records).raise_for_status()


def payloads(plan: Plan, dataset: str) -> dict[str, dict[str, object]]:
    """What a plan sends, by key."""
    rows = parquet.read(plan.file(dataset, "records.parquet"))
    return {key: json.loads(body) for key, body in rows.select("key", "payload").iter_rows()}


def loaded(shop: Shop, name: str = "first") -> Plan:
    """A whole snapshot, planned and loaded."""
    context = shop.context()
    run_extract(context, RESOURCES, name)
    plan = run_plan(context, DATASETS, snapshot=name, name=name)
    run_load(context, name=name)
    return plan


def test_files_meet_in_their_order_of_precedence(shop: Shop) -> None:
    """Each contact is the profile's row, filled from the sale's; buyers without a profile are contacts as well."""
    plan = loaded(shop)
    rows = payloads(plan, "contacts")
    expected = expected_contacts()
    assert rows == {key: {"email": key, **values} for key, values in expected.items()}
    counts = plan.document.datasets["contacts"]
    assert (counts.read, counts.filtered, counts.collapsed, counts.planned) == (8, 1, 3, 4)
    by_file = {
        one.file: (one.resource, one.read, one.filtered, one.collapsed, one.planned)
        for one in counts.files
    }
    assert by_file == {
        "contacts.profiles.yaml": ("profiles", 3, 0, 0, 3),
        "a.buyers.yaml": ("sales", 5, 1, 3, 1),
    }
    lost = parquet.read(plan.file("contacts", "collapsed.parquet")).sort("key", "id")
    assert lost.select("key", "winner_resource", "winner_id", "resource", "id").rows() == [
        ("bo@x.nl", "profiles", "2", "sales", "2"),
        ("cy@x.nl", "profiles", "3", "sales", "5"),
        ("di@x.nl", "sales", "4", "sales", "1"),
    ]


def test_look_ups_say_of_which_resource(shop: Shop) -> None:
    """Order 1 is of the buyer of sale 1, not of profile 1, though both have the identity (shop, 1)."""
    rows = payloads(loaded(shop), "orders")
    assert {key: row["contact"] for key, row in rows.items()} == {
        "shop:1": "di@x.nl",
        "shop:2": "bo@x.nl",
        "shop:3": "an@x.nl",
        "shop:4": "di@x.nl",
        "shop:5": "cy@x.nl",
    }


def test_one_key_in_two_resources_is_one_row(shop: Shop) -> None:
    """The catalogue's item 1 and category 1 have one key by this mapping: the item wins, the category is counted."""
    plan = loaded(shop)
    rows = payloads(plan, "catalogue")
    assert {key: row["name"] for key, row in rows.items()} == {
        "shop:1": "Cap",
        "shop:2": "Bag",
        "shop:9": "Bags",
    }
    assert plan.document.datasets["catalogue"].collapsed == 1


def test_the_target_is_what_both_readings_say(shop: Shop) -> None:
    """Counts match, every record read back is as the verifier works it out, and a second plan sends nothing."""
    loaded(shop)
    found = run_reconcile(shop.context(), "first", deep=True, wait_s=0)
    for dataset, result in found.datasets.items():
        assert (dataset, result.verdict) == (dataset, "match")
        assert result.deep is not None
        assert (result.deep.verdict, result.deep.unverifiable) == ("match", {})
    assert {name: found.datasets[name].deep.verified for name in DATASETS} == {  # type: ignore[union-attr]
        "contacts": 4, "orders": 5, "order_events": 7, "catalogue": 3,
    }  # fmt: skip
    again = run_plan(shop.context(), DATASETS, snapshot="first", name="again")
    for counts in again.document.datasets.values():
        assert (counts.create, counts.update, counts.unchanged) == (0, 0, counts.planned)


def test_totals_are_of_each_resource(shop: Shop) -> None:
    """The money of the sales and the events of the interactions stand apart, equal in source, plan and target."""
    loaded(shop)
    tables = {table.dataset: table for table in prove_totals(shop.context(), "first")}
    assert set(tables) == {"orders", "order_events", "order_events (interactions)"}
    assert all(table.equal for table in tables.values())
    money = tables["order_events"].whole
    assert (money.source.rows, str(money.source.amount), str(money.target.amount)) == (
        5,
        "46.5",
        "46.5",
    )
    events = tables["order_events (interactions)"].whole
    assert (events.source.rows, events.target.rows) == (2, 2)


def test_a_night_leaves_what_a_whole_plan_gives(shop: Shop) -> None:
    """After changes in both resources, and a record gone from each, the delta ends where a whole plan would."""
    first = loaded(shop)
    plant(
        shop,
        "profiles",
        [profile(4, "di@x.nl", LATER, firstname="D."), profile(2, "bo@x.nl", LATER, city="Mol")],
    )
    plant(
        shop,
        "sales",
        [sale(6, "ed@x.nl", LATER, firstname="Ed"), sale(5, "fi@x.nl", LATER, profileid="3")],
    )
    shop.ask("DELETE", "profile/3", source="shop")
    shop.ask("DELETE", "sale/1", source="shop")
    context = shop.context()
    run_extract(context, RESOURCES, "night", since="first")
    delta = run_plan(context, DATASETS, snapshot="night", name="night", base="first")
    run_load(context, name="night")
    gone = parquet.read(delta.file("contacts", "gone.parquet"))
    assert set(gone.select("resource", "id").rows()) == {("profiles", "3"), ("sales", "1")}
    run_extract(context, RESOURCES, "control")
    control = run_plan(context, DATASETS, snapshot="control", name="control")
    for dataset, counts in control.document.datasets.items():
        assert (dataset, counts.create, counts.update) == (dataset, 0, 0)
    # the profile that came takes the buyer's place; what the sale fills stays
    whole = parquet.read(control.file("contacts", "unchanged.parquet"))
    rows = {key: json.loads(body) for key, body in whole.select("key", "payload").iter_rows()}
    assert rows["di@x.nl"]["firstname"] == "D."
    assert rows["di@x.nl"]["origin"] == "profile"
    assert set(rows) == {"an@x.nl", "bo@x.nl", "di@x.nl", "ed@x.nl", "fi@x.nl"}
    deep = run_reconcile(context, "night", deep=True, wait_s=0).datasets["contacts"].deep
    assert deep is not None
    assert (deep.verdict, deep.different, deep.missing) == ("match", 0, 0)
    assert first.document.datasets["contacts"].planned == 4


def test_a_record_is_traced_by_its_resource(shop: Shop) -> None:
    """Sale 1 and profile 1 are told apart in every stage, and each names the file's own steps."""
    loaded(shop)
    of_sale = run_trace(shop.context(), "sales", "1", None, "first", live=False)["datasets"]
    of_profile = run_trace(shop.context(), "profiles", "1", None, "first", live=False)["datasets"]
    assert [row["key"] for row in of_sale["contacts"]["rows"]] == ["di@x.nl"]
    assert [row["key"] for row in of_profile["contacts"]["rows"]] == ["an@x.nl"]
    assert "phone" in of_sale["contacts"]["mapped"][0]["columns"]
    assert set(of_profile) == {"contacts"}
    [lost] = of_sale["contacts"]["collapsed"]
    assert (lost["winner_resource"], lost["winner_id"]) == ("sales", "4")


def test_a_discard_is_of_one_resource(shop: Shop) -> None:
    """To discard sale 4 takes away the buyer's later row, and leaves any profile of that number alone."""
    loaded(shop)
    plant(shop, "profiles", [profile(4, "gu@x.nl")])
    context = shop.context()
    with LedgerNotes(context.workspace.ledger) as notes:
        what = ("contacts", "shop", "4", None, "first", "contacts/p0", "a rule", "a test", "sales")
        notes.discard([Discarded(*what)])
    run_extract(context, RESOURCES, "second")
    plan = run_plan(context, ("contacts",), snapshot="second", name="second")
    assert plan.document.datasets["contacts"].discarded == 1
    changed = payloads(plan, "contacts")
    assert changed["di@x.nl"]["firstname"] == "Di"
    assert "gu@x.nl" in changed
    run_load(context, name="second")
    deep = run_reconcile(context, "second", deep=True, wait_s=0).datasets["contacts"].deep
    assert deep is not None
    assert deep.verdict == "match"


def test_evidence_carries_both_files(shop: Shop) -> None:
    """What was loaded can be told from the archive alone: it has the text of every file."""
    loaded(shop)
    plan = shop.context().workspace.plans / "first"
    assert {file.name for file in (plan / "mappings").iterdir()} == {f"{n}.yaml" for n in FILES}


def test_an_evidence_file_has_both_mappings(shop: Shop) -> None:
    """The archive has the text of every file of the plan, byte for byte."""
    loaded(shop)
    made = run_evidence(shop.context(), "first")
    with zipfile.ZipFile(made.file) as archive:
        texts = {
            Path(name).stem: archive.read(name).decode()
            for name in archive.namelist()
            if name.endswith(".yaml")
        }
    assert texts == {name: text.lstrip() for name, text in FILES.items()}


def test_an_undo_gives_back_what_either_file_changed(shop: Shop) -> None:
    """A profile and a buyer that were written again are as the first load left them, so a plan of it sends nothing."""
    loaded(shop)
    plant(shop, "profiles", [profile(2, "bo@x.nl", LATER, city="Mol", newsletter="1")])
    plant(shop, "sales", [sale(4, "di@x.nl", LATER, firstname="Dina")])
    context = shop.context()
    run_extract(context, RESOURCES, "second")
    plan = run_plan(context, DATASETS, snapshot="second", name="second")
    assert set(payloads(plan, "contacts")) == {"bo@x.nl", "di@x.nl"}
    run_load(context, name="second")
    done = run_undo(context, "second", wait_s=0)
    assert (done.restored, done.verified, done.refused) == (2, 2, 0)
    again = run_plan(context, DATASETS, snapshot="first", name="again")
    for dataset, counts in again.document.datasets.items():
        assert (dataset, counts.create, counts.update) == (dataset, 0, 0)


def test_a_table_of_one_file_is_read_by_the_verifier(shop: Shop) -> None:
    """The second file writes phones as its table has them: Di's is listed, Bo's is not, and both readings agree."""
    folder = shop.project.folder / "mappings"
    (folder / "phones.csv").write_text("old;new\n0612345678;+31612345678\n", encoding="utf-8")
    text = BUYERS.replace("where:", "tables: {phones: phones.csv}\nwhere:").replace(
        "{from: phone, type: text}", "{from: phone, type: text, values: $phones, unlisted: omit}"
    )
    (folder / "a.buyers.yaml").write_text(text.lstrip(), encoding="utf-8")
    rows = payloads(loaded(shop), "contacts")
    phones = {key: row["phone"] for key, row in rows.items() if "phone" in row}
    assert phones == {"di@x.nl": "+31612345678"}
    found = run_reconcile(shop.context(), "first", deep=True, wait_s=0)
    deep = found.datasets["contacts"].deep
    assert deep is not None
    assert (deep.verdict, deep.verified, deep.unverifiable) == ("match", 4, {})


def test_rejects_of_a_file_say_its_resource(shop: Shop) -> None:
    """A sale without a key is rejected as a sale, beside the profiles."""
    text = BUYERS.replace("where: \"email <> ''\"\n", "")
    file = shop.project.folder / "mappings" / "a.buyers.yaml"
    file.write_text(text.lstrip(), encoding="utf-8")
    context = shop.context()
    run_extract(context, RESOURCES, "first")
    plan = run_plan(context, DATASETS, snapshot="first", name="first", offline=True)
    rows = parquet.read(plan.file("contacts", "rejects.parquet"))
    assert rows.select("resource", "source", "id", "rule").rows() == [
        ("sales", "shop", "3", "key_missing")
    ]


def test_a_report_tells_what_became_of_each_file(shop: Shop, tmp_path: Path) -> None:
    """On the terminal and on the page every file has a line of its own below its dataset."""
    loaded(shop)
    plan, view, shown = open_report(
        shop.context().workspace, "first", show_values=False, start=datetime(2026, 1, 1, tzinfo=UTC)
    )
    text = render_plan(plan)
    assert re.search(r"contacts +8 ", text)
    assert re.search(r"  contacts.profiles.yaml +3 ", text)
    assert re.search(r"  a.buyers.yaml +5 ", text)
    write_page(plan, view, shown, tmp_path / "page.html", made_at="now", words=words_of("en"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "of these contacts.profiles.yaml" in page
    assert "of these a.buyers.yaml" in page


@pytest.mark.parametrize("scope", [SampleAsked(2), PartOf(first_day=date(2024, 1, 15))])
def test_a_sample_and_a_part_have_both_files(shop: Shop, scope: SampleAsked | PartOf) -> None:
    """Records outside it are counted by file, and what is planned is to the byte what the whole plan would send."""
    context = shop.context()
    run_extract(context, RESOURCES, "first")
    whole = run_plan(context, DATASETS, snapshot="first", name="whole", offline=True)
    plan = run_plan(context, DATASETS, snapshot="first", name="some", scope=scope)
    for dataset in DATASETS:
        every, some = payloads(whole, dataset), payloads(plan, dataset)
        assert some.items() <= every.items()
    counts = plan.document.datasets["contacts"]
    assert 0 < counts.planned < 4
    assert sum(one.planned for one in counts.files) == counts.planned
    assert sum(one.read for one in counts.files) == counts.read
    run_load(context, name="some")
    for result in run_reconcile(context, "some", deep=True, wait_s=0).datasets.values():
        assert result.deep is not None
        assert (result.deep.verdict, result.deep.extra) == ("match", 0)
