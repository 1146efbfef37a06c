"""A coherent sample: who is drawn, and what hangs together with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import polars as pl

from migrate.plan.document import SampleOf
from migrate.plan.open_plan import Plan
from migrate.plan.request import SampleAsked
from migrate.plan.scope import IDENTITIES
from tests.plan.conftest import Bench, FakeResource, FakeSnapshot

LINES = """
version: 1
dataset: order_items
resource: sales
each: items
key: [line_key]
lookups:
  order: {dataset: orders, source: source, id: id}
columns:
  line_key: {sql: "source || ':' || id || ':' || position", type: text}
  itemid:   {from: item.itemid, type: text}
"""
PRODUCTS = """
version: 1
dataset: products
resource: content_items
key: [product_key]
columns:
  product_key: {sql: "source || ':' || id", type: text}
"""
CATEGORIES = """
version: 1
dataset: categories
resource: content_categories
key: [category_key]
columns:
  category_key: {sql: "source || ':' || id", type: text}
"""
PEOPLE = 40


def shop() -> FakeSnapshot:
    """40 people with one order each; order n has a line of product n; product n is in category n mod 10."""
    people = [
        {"source": "Shop", "profileid": str(n), "email": f"{n}@example.org"} for n in range(PEOPLE)
    ]
    sales = [
        {
            "source": "Shop",
            "conversionid": f"o{n}",
            "profileid": str(n),
            "items": as_text(itemid=f"p{n}"),
        }
        for n in range(PEOPLE)
    ]
    products = [
        {"source": "Catalogue", "itemid": f"p{n}", "categories": as_text(categoryid=f"c{n % 10}")}
        for n in range(PEOPLE)
    ]
    categories = [{"source": "Catalogue", "itemid": f"c{n}"} for n in range(10)]
    return FakeSnapshot(
        {
            "profiles": FakeResource(people, "profileid"),
            "sales": FakeResource(sales, "conversionid"),
            "content_items": FakeResource(products, "itemid"),
            "content_categories": FakeResource(categories, "itemid"),
        }
    )


def as_text(**element: str) -> str:
    """A list of one element, as a snapshot holds it."""
    return json.dumps([element])


def drawn(bench: Bench, size: int, seed: int = 0, **options: Any) -> Plan:
    """The plan of a sample of the shop."""
    for name, text in (("lines", LINES), ("products", PRODUCTS), ("categories", CATEGORIES)):
        bench.write_mapping(name, text)
    names = ("contacts", "orders", "order_items", "products", "categories")
    bench.set("octolis", datasets={name: name for name in names})
    bench.snapshot = shop()
    return bench.plan(scope=SampleAsked(size, seed), **options)


def keys(plan: Plan, dataset: str) -> set[str]:
    """The keys that the plan would send."""
    return set(pl.read_parquet(plan.file(dataset, "records.parquet")).get_column("key"))


def test_what_hangs_together_comes_along(bench: Bench) -> None:
    """Of each contact its order, of each order its line, the product it names, and the category of that."""
    plan = drawn(bench, 7)
    people = {key.partition("@")[0] for key in keys(plan, "contacts")}
    assert len(people) == 7
    assert keys(plan, "orders") == {f"Shop:o{n}" for n in people}
    assert keys(plan, "order_items") == {f"Shop:o{n}:1" for n in people}
    assert keys(plan, "products") == {f"Catalogue:p{n}" for n in people}
    assert keys(plan, "categories") == {f"Catalogue:c{int(n) % 10}" for n in people}


def test_the_rest_is_counted_as_outside(bench: Bench) -> None:
    """read = planned + outside, and the plan says how many rows it is a sample of."""
    plan = drawn(bench, 7)
    assert plan.document.scope == SampleOf(dataset="contacts", rows=7, of=PEOPLE, seed=0)
    for name in ("contacts", "orders", "order_items", "products"):
        counts = plan.document.datasets[name]
        assert (counts.read, counts.planned, counts.outside) == (PEOPLE, 7, PEOPLE - 7)
        assert counts.judged == 7


def test_a_sample_is_repeatable_and_grows(bench: Bench) -> None:
    """The same seed draws the same rows, a larger sample has those of a smaller one, another seed draws others."""
    first = keys(drawn(bench, 7, name="one"), "contacts")
    assert keys(drawn(bench, 7, name="again"), "contacts") == first
    assert keys(drawn(bench, 20, name="more"), "contacts") > first
    assert keys(drawn(bench, 7, seed=1, name="other"), "contacts") != first


def test_more_than_there_is_is_all(bench: Bench) -> None:
    """A sample of more rows than there are has all of them, and says so."""
    plan = drawn(bench, 1_000)
    assert plan.document.scope == SampleOf(dataset="contacts", rows=PEOPLE, of=PEOPLE, seed=0)
    assert plan.document.datasets["orders"].outside == 0


def test_the_plan_lists_the_records_of_a_sample(bench: Bench) -> None:
    """Whoever verifies the plan reads them there: a file for each resource, among the files of the plan."""
    plan = drawn(bench, 7)
    listed = pl.read_parquet(plan.folder / "scope" / "profiles.parquet")
    assert listed.schema == IDENTITIES
    assert listed.height == 7
    assert "scope/profiles.parquet" in {file.path for file in plan.document.files}


def test_a_row_is_what_it_is_in_the_whole(bench: Bench, make_profile: Callable[..., Any]) -> None:
    """Two records of one key are one row: in a sample of one of them it is made of both, as in the whole plan."""
    people = [
        make_profile(1, email="a@example.org", name="Old", age="31", created="2024-01-01"),
        make_profile(2, email="a@example.org", name="New", age=None, created="2024-02-01"),
    ]
    bench.snapshot = FakeSnapshot({"profiles": FakeResource(people, "profileid")})
    bench.set("octolis", datasets={"contacts": "contacts"})
    whole = bench.plan(name="whole", datasets=("contacts",))
    sample = bench.plan(name="one", datasets=("contacts",), scope=SampleAsked(1))
    payloads = [
        pl.read_parquet(plan.file("contacts", "records.parquet")).get_column("payload").to_list()
        for plan in (whole, sample)
    ]
    assert payloads[0] == payloads[1]
