"""Verifying a plan of a delta: only what the delta touched is expected; all else is neither lost nor extra."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.app.erasure import erase_person
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.totals import prove_totals, run_totals
from migrate.app.trace import run_trace
from migrate.report.shown import Shown
from migrate.report.trace import TraceShown, render_trace
from migrate.snapshot.reading import list_snapshots
from migrate.verify.compare import KnownRows, compare_bucket, held_keys
from migrate.verify.expected import Expected, Scope, expect_dataset
from migrate.verify.lookup import looked_up_columns
from migrate.verify.rules import Conventions, DatasetRules, read_rules

from .conftest import CONTACTS, DATASETS, Serve, profiles, sales

ORDERS = """
version: 1
dataset: orders
resource: sales
key: [order_key]
lookups:
  contact: {dataset: contacts, id: profileid}
columns:
  order_key: {from: id, type: text}
  contact_email: {from: contact.email, type: text}
"""


def rules_in(folder: Path) -> dict[str, DatasetRules]:
    """The two mappings."""
    (folder / "contacts.yaml").write_text(CONTACTS)
    (folder / "orders.yaml").write_text(ORDERS)
    return read_rules(folder)


def frame(records: list[dict[str, Any]]) -> pl.DataFrame:
    """Records as a union of snapshots gives them: the delta's come last."""
    return pl.DataFrame(
        {
            "_position": range(len(records)),
            "_source": ["s"] * len(records),
            "_id": [str(record["profileid" if "email" in record else "id"]) for record in records],
            "_raw": [json.dumps(record) for record in records],
        },
        schema={"_position": pl.Int64, "_source": pl.String, "_id": pl.String, "_raw": pl.String},
    )


def profile(number: int, email: str, day: int) -> dict[str, Any]:
    """One person's record of one day."""
    return {
        "profileid": str(number),
        "email": email,
        "city": f"City {number}",
        "updated": f"2024-01-{day:02d}",
    }


def expect(
    rules: DatasetRules, records: list[dict[str, Any]], touched_from: int, **lookups: Any
) -> Expected:
    """The dataset worked out from the union."""
    scope = Scope(touched_from=touched_from)
    return expect_dataset(rules, [frame(records)], Conventions(), lookups, lambda _n: None, scope)


def touched_keys(made: Expected) -> set[str]:
    """The keys that a plan is to write or to find equal."""
    return set(made.bucket(0).touched["_key"])


def findings(
    made: Expected, held: list[dict[str, str]], begun: None = None
) -> list[tuple[Any, ...]]:
    """What a comparison with the target finds."""
    target = pl.DataFrame([{"__masterid__": f"m{n}", **row} for n, row in enumerate(held)])
    states = made.bucket(0).touched.select(
        "_key", state=pl.lit("written"), masterid=pl.lit(None, pl.String)
    )
    target = target.with_columns(held_keys(made.rules, target))
    found = compare_bucket(made, made.bucket(0), target, KnownRows(states, begun=begun)).findings
    return found.select("finding", "name", "key").rows()


def test_only_what_the_delta_touched_is_compared(tmp_path: Path) -> None:
    """A record of before the delta may be changed or gone at the target; one of the delta may not."""
    rules = rules_in(tmp_path)["contacts"]
    base = [profile(1, "old@x.nl", 1), profile(2, "both@x.nl", 2)]
    made = expect(
        rules, [*base, profile(3, "both@x.nl", 1), profile(4, "new@x.nl", 3)], touched_from=2
    )
    assert touched_keys(made) == {"both@x.nl", "new@x.nl"}
    sound = [{"email": "both@x.nl", "city": "City 2"}, {"email": "new@x.nl", "city": "City 4"}]
    assert findings(made, [*sound, {"email": "old@x.nl", "city": "Elsewhere"}]) == []
    assert findings(made, sound) == []
    assert findings(made, sound[:1]) == [("missing", "lost", "new@x.nl")]
    assert findings(made, [*sound, {"email": "who@x.nl", "city": "?"}]) == [
        ("extra", "foreign", "who@x.nl")
    ]
    # the group's winner is a record of before: what the delta brought lost against it
    assert findings(made, [{"email": "both@x.nl", "city": "City 3"}, sound[1]]) == [
        ("different", "stale", "both@x.nl")
    ]


def test_a_touched_row_touches_those_that_look_it_up(tmp_path: Path) -> None:
    """An order of before the delta is expected anew when its customer's record may have changed."""
    rules = rules_in(tmp_path)
    contacts = expect(
        rules["contacts"],
        [profile(1, "a@x.nl", 1), profile(2, "b@x.nl", 1), profile(3, "b@x.nl", 2)],
        2,
    )
    table = contacts.lookup_table(looked_up_columns(rules["orders"], "contact"), {})
    orders = [
        {"id": "o1", "profileid": "1"},
        {"id": "o2", "profileid": "2"},
        {"id": "o3", "profileid": "9"},
    ]
    made = expect(rules["orders"], orders, touched_from=3, contact=table)
    assert touched_keys(made) == {"o2"}
    assert made.bucket(0).rows.height == 3


def test_what_looks_up_an_unverifiable_column_is_unverifiable(tmp_path: Path) -> None:
    """A column that cannot be worked out makes those that take their value from it so, by name."""
    rules_in(tmp_path)
    (tmp_path / "contacts.yaml").write_text(
        CONTACTS.replace("{from: city,", '{sql: "SOUNDEX(city)",')
    )
    (tmp_path / "orders.yaml").write_text(ORDERS.replace("contact.email", "contact.city"))
    rules = read_rules(tmp_path)
    contacts = expect(rules["contacts"], [profile(1, "a@x.nl", 1)], 0)
    table = contacts.lookup_table(looked_up_columns(rules["orders"], "contact"), {})
    made = expect(rules["orders"], [{"id": "o1", "profileid": "1"}], 0, contact=table)
    assert list(made.unverifiable) == ["contact_email"]


emails = st.sampled_from(["a", "b", "c", "d", "e"])
people = st.lists(st.tuples(emails, st.integers(1, 9)), max_size=8)


@given(base=people, delta=people)
def test_touched_is_every_key_of_the_delta_and_no_other(
    tmp_path_factory: Any, base: list[tuple[str, int]], delta: list[tuple[str, int]]
) -> None:
    """Whatever the records: the keys judged are the delta's own, and their rows are those of the whole."""
    rules = rules_in(tmp_path_factory.mktemp("rules"))["contacts"]
    records = [profile(n, email, day) for n, (email, day) in enumerate([*base, *delta])]
    made = expect(rules, records, touched_from=len(base))
    whole = expect(rules, records, touched_from=0)
    keys = {email for email, _day in delta}
    assert touched_keys(made) == keys
    columns = ["_key", "c:city"]
    wanted = whole.rows.filter(pl.col("_key").is_in(list(keys))).select(columns).sort(columns)
    assert made.bucket(0).touched.select(columns).sort(columns).equals(wanted)


def test_a_delta_on_the_night_is_verified_as_a_whole(serve: Serve) -> None:
    """Two people moved, one is new, one is gone: counts, every record and the totals of the delta's plan agree."""
    served = serve()
    moved = [
        profile | {"city": "Utrecht", "updated": "2025-01-01 10:00:00"}
        for profile in profiles()[20:22]
    ]
    new = profiles()[0] | {
        "profileid": "p900",
        "email": "new@example.test",
        "updated": "2025-01-01 10:00:00",
    }
    sale = sales()[0] | {"conversionid": "000000900", "profileid": "p900", "total": "900.50"}
    late = sales()[0] | {"conversionid": "000000901", "profileid": "p31", "email": ""}
    for resource, rows in (("profiles", [*moved, new]), ("sales", [sale, late])):
        url = f"{served.box.url}/_sandbox/records/{resource}"
        httpx.post(url, content=msgspec.json.encode(rows)).raise_for_status()
    base = list_snapshots(served.context.workspace)[-1].name
    delta = run_extract(served.context, ["profiles", "sales", "interactions"], since=base).snapshot
    plan = run_plan(served.context, DATASETS, snapshot=delta)
    assert plan.document.datasets["contacts"].planned < 20
    run_load(served.context, name=plan.name)
    found = run_reconcile(served.context, plan.name, deep=True, wait_s=0)
    assert found.verdict == "match"
    contacts = found.datasets["contacts"].deep
    assert contacts is not None
    assert (contacts.compared, contacts.outside) == (3, 38)
    tables = {table.title: table for table in run_totals(served.context, plan.name)}
    assert all(table.equal for table in tables.values())
    proven = {table.title: table for table in prove_totals(served.context, plan.name)}
    assert all(table.equal for table in proven.values())
    assert proven["Revenue per month and currency"].whole.snapshot.amount >= Decimal("900.5")
    facts = run_trace(served.context, "profiles", "p1", None, plan.name, live=False)
    [row] = facts["datasets"]["contacts"]["rows"]
    assert (facts["snapshot"]["outside_delta"], row["plan"]) == (True, served.plan)
    assert row["masterid"]
    assert "what the delta is based on" in render_trace(facts, TraceShown(Shown(None)))
    facts = run_trace(served.context, "profiles", "p20", None, plan.name, live=True)
    assert facts["snapshot"]["outside_delta"] is False
    assert facts["datasets"]["contacts"]["rows"][0]["differences"] == []
    # the sale of the night names a profile that only the base has
    erased = erase_person(served.context, "p31", None)
    assert erased.rows[f"snapshots/{delta}/sales/part-00001.parquet"] == 1
    assert run_reconcile(served.context, plan.name, wait_s=0).verdict == "match"
