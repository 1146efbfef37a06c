"""A plan of a delta: what it touches is planned, the rest serves look-ups and collapsing only."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from migrate.config import Gates
from migrate.errors import Stale, UsageError
from migrate.plan.document import PartOf
from migrate.plan.open_plan import Plan, check_fresh, check_gates, open_plan, read_totals
from migrate.plan.request import SampleAsked
from migrate.report.diff import render_diff
from migrate.report.diff_html import render_page
from migrate.report.diff_page import open_report
from migrate.report.plan import render_plan
from migrate.snapshot.union import UnionResource
from tests.plan.conftest import FakeSnapshot

WHO = {"_source": pl.String, "_id": pl.String}


def identities(records: list[dict[str, Any]], id_field: str) -> pl.DataFrame:
    """Who the records are."""
    rows = [{"_source": record["source"], "_id": record[id_field]} for record in records]
    return pl.DataFrame(rows, schema=WHO)


def on_base(base, delta: list[dict[str, Any]], gone: list[str]) -> UnionResource:
    """A resource in memory with the records of a delta put on it; `gone` are ids of the base."""
    later = replace(base, records=delta)
    keys = identities(delta, base.id_field)
    theirs = identities(base.records, base.id_field)
    kept = theirs.join(keys, on=["_source", "_id"], how="anti").height
    return UnionResource(
        name="any",
        folder=Path(),
        result=base.result,
        columns=tuple(dict.fromkeys([*base.columns, *later.columns])),
        parts=(),
        touched_from=kept,
        base=base,
        delta=later,
        keys=keys,
        hidden=keys,
        kept=kept,
        gone=theirs.filter(pl.col("_id").is_in(gone)),
    )


def put_delta(bench, *, profiles=(), sales=(), gone=()) -> None:
    """Makes the bench's snapshot a delta on what it was."""
    base = replace(bench.snapshot, name="base")
    bench.write_manifest(base)
    resources = {
        "profiles": on_base(base.resources["profiles"], list(profiles), list(gone)),
        "sales": on_base(base.resources["sales"], list(sales), list(gone)),
    }
    bench.snapshot = replace(bench.snapshot, resources=resources, name="delta", base=base)


def table(plan, dataset: str, name: str = "records") -> pl.DataFrame:
    """One of a dataset's files."""
    return pl.read_parquet(plan.file(dataset, f"{name}.parquet"))


def sent(plan, dataset: str) -> dict[str, tuple[dict[str, Any], list[Any]]]:
    """By key the payload and the sources of what is sent."""
    rows = table(plan, dataset).select("key", "payload", "sources").rows()
    return {key: (json.loads(payload), sources) for key, payload, sources in rows}


def held_of(plan, dataset: str) -> list[dict[str, str | None]]:
    """What the target shows once a plan was loaded."""
    return [
        {"__masterid__": f"m-{key}"}
        | {
            name: str(value).lower() if value is True else str(value)
            for name, value in payload.items()
        }
        for key, (payload, _sources) in sent(plan, dataset).items()
    ]


mails = st.sampled_from(["a@x", "b@x", "c@x", None])
values = st.fixed_dictionaries(
    {
        "email": mails,
        "name": st.sampled_from([None, "N", "M"]),
        "age": st.sampled_from([None, "1", "many"]),
        "country": st.sampled_from([None, "XX"]),
        "optin": st.sampled_from([None, "0", "1"]),
        "created": st.sampled_from([None, "2024-01-01 00:00:00", "2024-01-02 00:00:00"]),
    }
)
people = st.dictionaries(st.sampled_from([f"p{n}" for n in range(6)]), values, max_size=6)
sales_drawn = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(4)]),
    st.fixed_dictionaries(
        {
            "profileid": st.sampled_from([f"p{n}" for n in range(6)]),
            "total": st.sampled_from(["1", "2", "x"]),
        }
    ),
    max_size=4,
)


def records_of(drawn: dict[str, dict[str, Any]], id_field: str) -> list[dict[str, Any]]:
    return [{"source": "shop", id_field: id_, **record} for id_, record in drawn.items()]


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(people, people, sales_drawn, sales_drawn, st.integers(0, 10**9))
def test_a_delta_sends_what_changes_and_nothing_else(
    bench, before, after, sold, sold_after, number
) -> None:
    """Each row that a delta sends is the whole plan's; what it does not send, the base's plan has sent so already.

    What no record makes any more is listed as moved, and the counts add up (the plan checks that itself).
    """
    plain = replace(
        bench.snapshot,
        resources={
            "profiles": replace(
                bench.snapshot.resources["profiles"], records=records_of(before, "profileid")
            ),
            "sales": replace(
                bench.snapshot.resources["sales"], records=records_of(sold, "conversionid")
            ),
        },
    )
    bench = replace(bench, snapshot=plain)
    earlier = bench.plan(f"base-{number}-{datetime.now(UTC).timestamp()}", offline=True)
    put_delta(
        bench, profiles=records_of(after, "profileid"), sales=records_of(sold_after, "conversionid")
    )
    delta = bench.plan(f"delta-{number}-{datetime.now(UTC).timestamp()}", offline=True)
    bench.snapshot = replace(bench.snapshot, base=None)
    whole = bench.plan(f"whole-{number}-{datetime.now(UTC).timestamp()}", offline=True)
    for dataset in ("contacts", "orders"):
        a, d, w = (sent(plan, dataset) for plan in (earlier, delta, whole))
        assert d == {key: w[key] for key in d}
        for key in w.keys() - d.keys():
            assert w[key][0].items() <= a[key][0].items()
        assert set(table(delta, dataset, "moved")["old_key"]) == a.keys() - w.keys()
        counts = delta.document.datasets[dataset]
        assert counts.read == whole.document.datasets[dataset].read
        assert counts.planned == len(d)


scopes = st.one_of(
    st.builds(SampleAsked, st.integers(1, 4), st.integers(0, 2)),
    st.sampled_from(
        [
            PartOf(last_day=date(2024, 1, 1)),
            PartOf(first_day=date(2024, 1, 2)),
            PartOf(sources=("shop",), first_day=date(2024, 1, 1), last_day=date(2024, 1, 1)),
        ]
    ),
)


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    people, people, sales_drawn, sales_drawn, st.sets(st.sampled_from(["p0", "p1", "p2"])), scopes
)
def test_a_sample_or_part_of_a_delta_is_one_of_all_that_the_source_held(
    bench, before, after, sold, sold_after, gone, scope
) -> None:
    """It is the very plan that a whole snapshot of the same records gives: rows, counts, and what is listed inside."""
    gone = gone & before.keys() - after.keys()
    now, sold_now = ({**before, **after}, {**sold, **sold_after})
    held = {
        "profiles": (before, after, {k: v for k, v in now.items() if k not in gone}, "profileid"),
        "sales": (sold, sold_after, sold_now, "conversionid"),
    }

    def plan_of(name: str, place: int) -> Plan | str:
        resources = {
            resource: replace(
                bench.snapshot.resources[resource], records=records_of(states[place], states[3])
            )
            for resource, states in held.items()
        }
        shop = replace(bench, snapshot=FakeSnapshot(resources))
        if place == 0:
            put_delta(
                shop,
                profiles=records_of(after, "profileid"),
                sales=records_of(sold_after, "conversionid"),
                gone=gone,
            )
        try:
            return shop.plan(f"{name}-{time.time_ns()}", offline=True, scope=scope)
        except UsageError as error:
            return str(error.hint)  # no record is of it, and what there is instead

    of_delta, of_whole = plan_of("delta", 0), plan_of("whole", 2)
    if isinstance(of_delta, str) or isinstance(of_whole, str):
        assert of_delta == of_whole
        return
    for dataset in ("contacts", "orders"):
        assert sent(of_delta, dataset) == sent(of_whole, dataset)
        counts, expected = (plan.document.datasets[dataset] for plan in (of_delta, of_whole))
        assert counts.model_copy(update={"totalled": None}) == expected.model_copy(
            update={"totalled": None}
        )
    assert of_delta.document.scope == of_whole.document.scope
    assert of_delta.document.snapshot.base.name == "base"
    for file in (of_whole.folder / "scope").iterdir():
        assert_frame_equal(
            pl.read_parquet(file), pl.read_parquet(of_delta.folder / "scope" / file.name)
        )


def test_only_touched_groups_are_planned(bench, make_profile) -> None:
    """A changed record, a new one, and an order of a changed contact; the others are counted outside the delta."""
    put_delta(bench, profiles=[make_profile(2, name="New"), make_profile(7)])
    plan = bench.plan(offline=True)
    contacts, orders = (plan.document.datasets[name] for name in ("contacts", "orders"))
    assert table(plan, "contacts")["key"].to_list() == ["a2@example.test", "a7@example.test"]
    assert (contacts.read, contacts.planned, contacts.outside_delta) == (4, 2, 2)
    assert (orders.read, orders.planned, orders.outside_delta) == (2, 0, 2)
    used = plan.document.snapshot
    assert (used.name, used.base.name, used.base.base) == ("delta", "base", None)


def test_the_report_of_a_delta_tells_what_it_leaves_out(bench, make_profile) -> None:
    """What is outside the delta is counted apart and takes no share of a bar; what it leaves alone is no difference."""
    put_delta(bench, profiles=[make_profile(2, name="New"), make_profile(7)])
    plan = bench.plan(offline=True)
    _, view, _ = open_report(
        bench.workspace, None, show_values=False, start=datetime(2026, 1, 1, tzinfo=UTC)
    )
    page = render_page(view, [], made_at="now", folder="lists")
    assert "2 rows read; 2 outside the delta" in page
    assert 'x="0.0" width="100.0"' in page
    assert "snapshot delta, a delta on base" in render_diff(view)
    assert "outside delta" in render_diff(view)
    assert "outside delta" in render_plan(plan)
    orders = read_totals(plan)["orders"]
    assert orders.equal
    assert set(orders.whole.left_out) == {"outside"}


def test_a_row_that_was_never_there_leaves_nothing_behind(bench, make_profile) -> None:
    """A row of the base that waited, or was never loaded, is not in the target: only offline it may be."""
    bench.target.datasets["id-contacts"] = []
    put_delta(bench, profiles=[make_profile(1, email="new@example.test")])
    assert bench.plan().document.datasets["contacts"].moved == 0
    assert bench.plan("unread", offline=True).document.datasets["contacts"].moved == 1


def test_an_order_is_touched_by_its_contact(bench, make_profile) -> None:
    """The order did not change, its contact's key did: the order is sent again, and the contact's old row is listed."""
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": "m1", "contact_key": "a1@example.test"}
    ]
    put_delta(bench, profiles=[make_profile(1, email="new@example.test")])
    plan = bench.plan()
    assert table(plan, "orders")["contact_key"].to_list() == ["new@example.test"]
    assert table(plan, "contacts", "moved").drop("resource").rows() == [
        ("shop", "p1", None, "a1@example.test", "new@example.test", "m1")
    ]
    assert plan.document.datasets["contacts"].moved == 1
    assert "moved.parquet" in render_plan(plan)


def test_a_row_that_another_record_still_makes_is_not_moved(bench, make_profile) -> None:
    """The group that a record left is planned again without it."""
    bench.snapshot.resources["profiles"].records.append(
        make_profile(1, profileid="twin", created="2020-01-01 00:00:00")
    )
    put_delta(bench, profiles=[make_profile(1, email="new@example.test")])
    plan = bench.plan(offline=True)
    assert [
        [source["id"] for source in sources] for _, sources in sent(plan, "contacts").values()
    ] == [
        ["twin"],
        ["p1"],
    ]
    assert table(plan, "contacts", "moved").height == 0


def test_records_that_are_gone_are_listed(bench, make_profile) -> None:
    """They stay in the target: with the key and masterid of their row, and whether others make that row too."""
    bench.snapshot.resources["profiles"].records += [
        make_profile(2, profileid="twin"),
        make_profile(5, country="XX"),
    ]
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": f"m{n}", "contact_key": f"a{n}@example.test"} for n in (1, 2, 9)
    ]
    put_delta(bench, gone=["p1", "p2", "p5"])
    plan = bench.plan(datasets=("contacts",))
    assert table(plan, "contacts", "gone").drop("resource").rows() == [
        ("shop", "p1", None, "a1@example.test", 0, "m1"),
        ("shop", "p2", None, "a2@example.test", 1, "m2"),
        ("shop", "p5", None, None, 0, None),
    ]
    counts = plan.document.datasets["contacts"]
    assert (counts.gone, counts.planned, counts.foreign, counts.outside_delta) == (3, 1, 1, 1)
    assert table(plan, "contacts", "foreign")["masterid"].to_list() == ["m9"]
    assert sent(plan, "contacts")["a2@example.test"][1] == [
        {"resource": "profiles", "source": "shop", "id": "twin", "position": None}
    ]
    assert "gone.parquet" in render_plan(plan)


def test_what_is_unchanged_in_the_target_is_not_sent(bench, make_profile) -> None:
    """A touched row is compared like any other; untouched ones count neither as changes nor as foreign."""
    earlier = bench.plan("base", datasets=("contacts",), offline=True)
    bench.target.datasets["id-contacts"] = held_of(earlier, "contacts")
    bench.target.datasets["id-contacts"][2]["name"] = "changed there"
    put_delta(
        bench,
        profiles=[
            make_profile(1, name="N1", age="21", spent="1.10", optin="1"),
            make_profile(2, age="99"),
        ],
    )
    counts = bench.plan(datasets=("contacts",)).document.datasets["contacts"]
    assert (counts.update, counts.unchanged, counts.create, counts.foreign) == (1, 1, 0, 0)
    assert counts.change_counts == {"age": 1}


def test_rejects_of_the_base_are_not_told_again(bench, make_profile) -> None:
    """A gate on rejected rows looks at what the delta brings: a share of its rows, not of the base's."""
    bench.snapshot.resources["profiles"].records += [
        make_profile(8, age="many"),
        make_profile(9, country="XX"),
    ]
    put_delta(bench, profiles=[make_profile(4, age="many"), make_profile(5)])
    counts = bench.plan(datasets=("contacts",), offline=True).document.datasets["contacts"]
    assert (counts.rejected, counts.filtered, counts.outside_delta, counts.judged) == (1, 0, 5, 2)


def test_a_delta_plan_is_stale_when_its_base_changes(bench, make_profile) -> None:
    """Both manifests are bound."""
    put_delta(bench, profiles=[make_profile(1)])
    plan = bench.plan(offline=True)
    check_fresh(plan, bench.project, bench.workspace)
    (bench.workspace.snapshots / "base" / "manifest.json").write_text('{"other": 1}')
    with pytest.raises(Stale, match="snapshot 'base' has another manifest"):
        check_fresh(plan, bench.project, bench.workspace)


def gate(plan, **limits: object) -> str:
    """What the gate on missing rows says of a plan, nothing where it is satisfied."""
    (finding,) = (
        one for one in check_gates(plan, Gates.model_validate(limits)) if one.gate == "max_missing"
    )
    return finding.text


def test_rows_of_the_base_that_the_target_lacks_stop_the_plan(bench, make_profile) -> None:
    """A base that was loaded in part: what is missing is counted, listed and told, and a gate stops the load.

    Of two records of one key the row is the one that won; a new record of the delta is no missing one.
    """
    twin = make_profile(1, profileid="twin", created="2025-01-01 00:00:00")
    bench.snapshot.resources["profiles"].records += [twin, make_profile(4)]
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": "m4", "contact_key": "a4@example.test"}
    ]
    put_delta(bench, profiles=[make_profile(2, name="New"), make_profile(7)])
    plan = bench.plan(datasets=("contacts",))
    counts = plan.document.datasets["contacts"]
    assert (counts.create, counts.outside_missing) == (2, 2)
    assert table(plan, "contacts", "missing").rows() == [
        ("shop", "p3", None, "a3@example.test"),
        ("shop", "twin", None, "a1@example.test"),
    ]
    assert "2 of them are not in the target (missing.parquet)" in render_plan(plan)
    assert "snapshot base to its end" in render_plan(plan)
    assert "contacts: 2 rows of the delta's base are not in the target" in gate(plan)
    assert "max_missing" in render_plan(plan)
    assert gate(plan, max_missing=2) == gate(plan, max_missing="50%") == ""
    assert gate(plan, max_missing="49%") != ""


def test_a_base_that_was_loaded_lacks_nothing(bench, make_profile) -> None:
    """Every untouched row is there; also where a record is gone from the source and its row was removed by hand."""
    bench.target.datasets["id-contacts"] = [
        {"__masterid__": f"m{n}", "contact_key": f"a{n}@example.test"} for n in (2, 3)
    ]
    put_delta(bench, profiles=[make_profile(2, name="New")], gone=["p1"])
    plan = bench.plan(datasets=("contacts",))
    counts = plan.document.datasets["contacts"]
    assert (counts.gone, counts.outside_missing, gate(plan)) == (1, 0, "")
    assert table(plan, "contacts", "missing").height == 0


def test_what_nobody_looked_for_is_not_known_to_be_there(bench, make_profile) -> None:
    """A whole plan has nothing outside; of an offline one the report says that it cannot tell; old plans still open."""
    whole = bench.plan("whole", datasets=("contacts",))
    assert whole.document.datasets["contacts"].outside_missing is None
    assert not whole.file("contacts", "missing.parquet").exists()
    put_delta(bench, profiles=[make_profile(2, name="New")])
    plan = bench.plan("unread", datasets=("contacts",), offline=True)
    assert (plan.document.datasets["contacts"].outside_missing, gate(plan)) == (None, "")
    _, view, _ = open_report(
        bench.workspace, "unread", show_values=False, start=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert "whether the target holds the rows that the delta leaves as they are" in render_diff(
        view
    )
    file = plan.folder / "plan.json"
    older = json.loads(file.read_bytes())
    del older["datasets"]["contacts"]["outside_missing"]
    file.write_text(json.dumps(older))
    assert (
        open_plan(bench.workspace, "unread").document.datasets["contacts"].outside_missing is None
    )
