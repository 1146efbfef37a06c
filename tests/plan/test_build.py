"""A plan from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from migrate.errors import (
    ConfigError,
    Interrupted,
    MappingError,
    RemoteError,
    UsageError,
    WorkspaceError,
)
from migrate.plan import sending
from migrate.plan.batches import sending_ranks
from migrate.plan.reading import PAGE_ROWS
from migrate.plan.request import PlanRequest, choose_datasets


def held_contact(number: int, **changes: str | None) -> dict[str, str | None]:
    """What the target shows for profile `number` once it was loaded, in the target's own spelling."""
    return {
        "__masterid__": f"m{number}",
        "contact_key": f"a{number}@example.test",
        "name": f"N{number}",
        "age": str(20 + number),
        "spent": "1.1",
        "optin": "true",
        "created_at": f"2024-01-{number % 28 + 1:02d}T10:00:00.000Z",
        **changes,
    }


def records(plan, name: str, file: str = "records") -> pl.DataFrame:
    """One of a dataset's files."""
    return pl.read_parquet(plan.file(name, f"{file}.parquet"))


def test_an_offline_plan_knows_every_row_but_not_the_target(bench) -> None:
    """Offline each row is `unknown` and the target is not asked; payloads, sources and counts stand."""
    plan = bench.plan(offline=True)
    contacts = plan.document.datasets["contacts"]
    assert (
        contacts.read,
        contacts.planned,
        contacts.unknown,
        contacts.batches,
        contacts.points,
    ) == (3, 3, 3, 1, 10)
    first = records(plan, "contacts").row(0, named=True)
    assert json.loads(first["payload"]) == {
        "contact_key": "a1@example.test",
        "name": "N1",
        "age": 21,
        "spent": 1.1,
        "optin": True,
        "created_at": "2024-01-02 10:00:00",
    }
    assert first["sources"] == [
        {"resource": "profiles", "source": "shop", "id": "p1", "position": None}
    ]
    assert (first["key"], first["change"], first["masterid"], first["changed"]) == (
        "a1@example.test",
        "unknown",
        None,
        [],
    )
    assert plan.document.offline
    assert bench.target.pages == 0


def test_a_plan_says_what_each_row_will_do_in_the_target(bench) -> None:
    """By key and by value: what is new is created, what differs updated with its columns named, the rest not sent."""
    bench.target.datasets["id-contacts"] = [
        held_contact(1),
        held_contact(2, name="Old", optin="false", age=""),
        held_contact(9),
    ]
    plan = bench.plan(datasets=("contacts",))
    counts = plan.document.datasets["contacts"]
    assert (counts.create, counts.update, counts.unchanged, counts.unknown, counts.foreign) == (
        1,
        1,
        1,
        0,
        1,
    )
    assert counts.change_counts == {"name": 1, "age": 1, "optin": 1}
    update = records(plan, "contacts").filter(change="update").row(0, named=True)
    assert (update["masterid"], update["changed"]) == ("m2", ["name", "age", "optin"])
    still = records(plan, "contacts", "unchanged").row(0, named=True)
    assert (still["key"], still["masterid"], still["change"]) == (
        "a1@example.test",
        "m1",
        "unchanged",
    )
    assert records(plan, "contacts", "foreign").rows() == [("m9", "a9@example.test")]
    samples = records(plan, "contacts", "samples").rows()
    assert ("a2@example.test", "m2", "name", "Old", "N2", False) in samples
    assert plan.document.target_reading["contacts"].rows == 3
    assert records(plan, "contacts", "before-00001").height == 3


def test_a_plan_of_what_was_loaded_has_nothing_to_send(bench) -> None:
    """A target that holds every value gets no batch, and the plan costs nothing."""
    bench.target.datasets["id-contacts"] = [held_contact(number) for number in range(1, 4)]
    plan = bench.plan(datasets=("contacts",))
    counts = plan.document.datasets["contacts"]
    assert (counts.unchanged, counts.batches, counts.points) == (3, 0, 0)
    assert records(plan, "contacts").height == 0


def test_rows_are_sent_oldest_first(bench, make_profile) -> None:
    """The target lets the last one win, so the newest is sent last and one without a date first."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(1, created="2024-05-01 00:00:00"),
        make_profile(2, created="2023-05-01 00:00:00"),
        make_profile(3, created=None),
        make_profile(4, created="2023-05-01 00:00:00"),
    ]
    keys = records(bench.plan(offline=True), "contacts")["key"].to_list()
    assert keys == [f"a{number}@example.test" for number in (3, 2, 4, 1)]


def test_every_row_ends_somewhere(bench, make_profile) -> None:
    """Read is filtered plus rejected plus collapsed plus planned, and each of them is listed where it belongs."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(1),
        make_profile(2, email=" A1@example.test ", name="Fills", created="2020-01-01 00:00:00"),
        make_profile(3, country="XX"),
        make_profile(4, country="NL", age="many"),
        make_profile(5, email=None),
    ]
    plan = bench.plan(offline=True)
    counts = plan.document.datasets["contacts"]
    assert (counts.read, counts.filtered, counts.rejected, counts.collapsed, counts.planned) == (
        5,
        1,
        2,
        1,
        1,
    )
    assert sum(counts.rejected_by_rule.values()) == 2
    rejects = records(plan, "contacts", "rejects")
    assert rejects["id"].to_list() == ["p4", "p5"]
    assert rejects["snapshot_row"].to_list() == [3, 4]
    row = records(plan, "contacts").row(0, named=True)
    assert row["name"] == "Fills"
    assert [source["id"] for source in row["sources"]] == ["p1", "p2"]
    collapsed = records(plan, "contacts", "collapsed").row(0, named=True)
    assert (collapsed["key"], collapsed["winner_id"], collapsed["id"], collapsed["rank"]) == (
        row["key"],
        "p1",
        "p2",
        2,
    )


def test_counts_that_do_not_add_up_are_a_bug(bench, monkeypatch) -> None:
    """A row that gets lost on the way never gives a plan."""
    monkeypatch.setattr(
        sending, "sending_ranks", lambda recency, sent: sending_ranks(recency, sent).set(sent, None)
    )
    with pytest.raises(AssertionError, match="contacts"):
        bench.plan("one", offline=True)
    assert not (bench.workspace.plans / "one" / "plan.json").exists()


def test_a_look_up_finds_the_row_that_a_collapsed_record_went_into(bench, make_profile) -> None:
    """An order of a contact that lost against another of the same key is tied to the survivor."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(1, created="2020-01-01 00:00:00"),
        make_profile(2, email="A1@example.test"),
    ]
    orders = records(bench.plan(offline=True), "orders")
    assert orders.select("key", "contact_key").rows() == [
        ("shop:c1", "a1@example.test"),
        ("shop:c2", None),
    ]


def test_a_looked_up_dataset_that_was_not_asked_for_is_computed_but_not_planned(bench) -> None:
    """`migrate plan orders` still finds the contacts, and writes no plan for them."""
    plan = bench.plan(datasets=("orders",), offline=True)
    assert list(plan.document.datasets) == ["orders"]
    assert records(plan, "orders")["contact_key"].to_list() == ["a1@example.test", None]
    assert not (plan.folder / "contacts").exists()
    assert set(plan.document.mappings) == {"contacts", "orders"}


def test_a_column_with_the_name_of_a_plan_column_steps_aside(bench) -> None:
    """`position` is the place in the batch; a mapped column of that name stands beside it and is sent as mapped."""
    orders = records(bench.plan(offline=True), "orders")
    assert orders.select("position", "_position").rows() == [(0, 7), (1, None)]
    assert json.loads(orders["payload"][0])["position"] == 7


def test_a_row_that_fits_in_no_request_is_rejected(bench, make_profile) -> None:
    """A record larger than the byte bound breaks the rule `too_large` instead of stopping the load."""
    bench.set("octolis", batch_bytes=10_000)
    bench.snapshot.resources["profiles"].records = [
        make_profile(1, name="x" * 10_000),
        make_profile(2),
    ]
    counts = bench.plan(offline=True).document.datasets["contacts"]
    assert (counts.read, counts.rejected, counts.planned) == (2, 1, 1)
    assert counts.rejected_by_rule == {"too_large": 1}


def test_an_empty_resource_gives_an_empty_plan(bench) -> None:
    """Nothing in, nothing out, all files there."""
    bench.snapshot.resources["profiles"].records = []
    bench.snapshot.resources["sales"].records = []
    plan = bench.plan()
    assert plan.document.datasets["contacts"].read == 0
    assert records(plan, "contacts").columns[:8] == [
        "batch", "position", "change", "key", "payload", "sources", "masterid", "changed",
    ]  # fmt: skip
    assert plan.document.forecast.requests == 0


def test_a_mapping_without_a_dataset_id_is_skipped_and_said_so(bench) -> None:
    """With no dataset named, those with an id are planned; the others are listed, never passed over in silence."""
    bench.set("octolis", datasets={"contacts": "id-contacts"})
    plan = bench.plan(offline=True)
    assert list(plan.document.datasets) == ["contacts"]
    assert plan.document.skipped == {"orders": "no id in [octolis.datasets]"}


def test_a_dataset_that_was_asked_for_needs_an_id(bench) -> None:
    """The error names the dataset and the line to add; so does one where no mapping has an id."""
    bench.set("octolis", datasets={})
    with pytest.raises(ConfigError, match="no id for dataset 'orders'"):
        bench.plan(datasets=("orders",), offline=True)
    with pytest.raises(ConfigError, match="no id for dataset 'contacts'"):
        bench.plan(offline=True)


def test_two_datasets_cannot_share_an_id(bench) -> None:
    """One dataset of the target filled from two mappings would be a mistake in the project file."""
    bench.set("octolis", datasets={"contacts": "one", "orders": "one"})
    with pytest.raises(ConfigError, match="the same id"):
        bench.plan(offline=True)


def test_an_unknown_dataset_is_named_with_the_nearest(bench) -> None:
    """A slip on the command line is a usage error."""
    with pytest.raises(UsageError, match="did you mean 'contacts'"):
        bench.plan(datasets=("contact",), offline=True)


def test_a_resource_the_snapshot_lacks_is_named(bench) -> None:
    """The hint is the command that brings it, and no plan is begun."""
    del bench.snapshot.resources["sales"]
    with pytest.raises(WorkspaceError, match="needs sales") as caught:
        bench.plan(offline=True)
    assert caught.value.hint == "migrate extract sales --snapshot snap"
    assert bench.workspace.names(bench.workspace.plans) == []


def test_unmapped_fields_are_listed_with_their_share(bench) -> None:
    """A field that no mapping of the resource uses nor ignores is reported with the share of records that have one."""
    bench.snapshot.resources["profiles"].records[0] |= {"shoe": "44", "empty": ""}
    plan = bench.plan(offline=True)
    unmapped = {field.field: field.filled for field in plan.document.datasets["contacts"].unmapped}
    assert unmapped == {"shoe": 0.3333, "empty": 0.0}


def test_unmapped_fields_can_stop_the_plan(bench) -> None:
    """`unmapped: fail` turns the list into an error that names each field."""
    bench.snapshot.resources["profiles"].records[0] |= {"shoe": "44"}
    mapping = bench.project.mappings / "contacts.yaml"
    mapping.write_text(mapping.read_text() + "unmapped: fail\n")
    with pytest.raises(MappingError, match="'shoe'"):
        bench.plan(offline=True)


def test_every_strict_file_is_named_at_once(bench) -> None:
    """Whoever has fixed the first would else be stopped by the second."""
    for resource in ("profiles", "sales"):
        bench.snapshot.resources[resource].records[0] |= {"shoe": "44"}
    for name in ("contacts", "orders"):
        mapping = bench.project.mappings / f"{name}.yaml"
        mapping.write_text(mapping.read_text() + "unmapped: fail\n")
    with pytest.raises(MappingError) as caught:
        bench.plan(offline=True)
    named = {Path(line.split(":")[0]).name for line in caught.value.problems}
    assert named == {"contacts.yaml", "orders.yaml"}
    assert all("'shoe'" in line for line in caught.value.problems)


def test_very_many_unmapped_fields_are_not_all_told(bench) -> None:
    """Of 13 fields that nothing takes ten have a line, and the last line counts the other three."""
    fields = [f"extra_{number:02}" for number in range(13)]
    bench.snapshot.resources["profiles"].records[0] |= dict.fromkeys(fields, "x")
    mapping = bench.project.mappings / "contacts.yaml"
    mapping.write_text(mapping.read_text() + "unmapped: fail\n")
    with pytest.raises(MappingError) as caught:
        bench.plan(offline=True)
    *named, rest = caught.value.problems
    assert [line.split("'")[1] for line in named] == fields[:10]
    assert rest.endswith("contacts.yaml: and 3 more")


def test_columns_the_target_does_not_show_are_warned_about(bench) -> None:
    """A missing column, and one whose name differs in case only, are named before anything is sent."""
    row = held_contact(1)
    row["Name"] = row.pop("name")
    del row["age"]
    bench.target.datasets["id-contacts"] = [row]
    warnings = bench.plan(datasets=("contacts",)).document.datasets["contacts"].warnings
    assert warnings == (
        "the target has a column 'Name', the mapping 'name': case matters",
        "missing_columns: the target shows no column age",
    )


def test_a_target_that_moves_or_repeats_a_key_is_warned_about(bench) -> None:
    """The counts hold for one moment only; two rows with one key are the target's own trouble, and said."""
    bench.target.datasets["id-contacts"] = rows = [
        held_contact(1),
        held_contact(1, __masterid__="m9"),
    ]
    bench.target.on_page = lambda _dataset, page: rows.append(
        held_contact(5, __masterid__=f"n{len(rows)}")
    )
    contacts = bench.plan(datasets=("contacts",)).document.datasets["contacts"]
    assert contacts.warnings[0].startswith("the target was written to each time")
    assert contacts.warnings[1] == "2 rows of the target have the key of another row there"
    assert records(bench.plan(datasets=("contacts",)), "contacts", "unchanged")[
        "masterid"
    ].to_list() == ["m9"]


def test_a_recipe_on_the_key_is_warned_about(bench) -> None:
    """Rows whose key the target spells otherwise would be taken for new ones."""
    mapping = bench.project.mappings / "contacts.yaml"
    mapping.write_text(
        mapping.read_text().replace(
            "apply: [trim, lowercase]}", "apply: [trim, lowercase], recipe: true}"
        )
    )
    bench.target.datasets["id-contacts"] = [held_contact(1)]
    plan = bench.plan(datasets=("contacts",))
    assert plan.document.mappings["contacts"].recipe_columns == ("contact_key",)
    assert "key column contact_key" in plan.document.datasets["contacts"].warnings[0]


def test_a_likely_recipe_is_pointed_out(bench) -> None:
    """A target that shows our text in capitals probably makes them itself; the plan says so, and sends all the same."""
    bench.target.datasets["id-contacts"] = [held_contact(1, name="n1"), held_contact(2, name="n2 ")]
    counts = bench.plan(datasets=("contacts",)).document.datasets["contacts"]
    assert counts.update == 2
    assert counts.warnings == (
        "name differs in letter case and spaces only: if the target's own recipe does that, declare `recipe: true`",
    )


def test_no_mappings_is_a_project_without_a_start(bench) -> None:
    """The hint is the command that brings them."""
    with pytest.raises(ConfigError, match="no mappings"):
        choose_datasets(PlanRequest(), {}, bench.project)


def test_an_interrupted_plan_says_how_to_go_on(bench) -> None:
    """The hint is the command with the same snapshot, name and datasets; nothing finished is left."""
    bench.stop.set()
    with pytest.raises(Interrupted) as caught:
        bench.plan("one", datasets=("contacts",), offline=True)
    assert caught.value.hint == "migrate plan contacts --snapshot snap --offline --plan one"
    bench.stop.clear()
    assert bench.plan("one", datasets=("contacts",)).name == "one"


def test_a_finished_plan_is_never_overwritten(bench) -> None:
    """A name that is taken is refused; a plan that was begun and never finished starts over."""
    bench.plan("one", offline=True)
    with pytest.raises(UsageError, match="already"):
        bench.plan("one", offline=True)
    left = bench.workspace.plans / "two"
    left.mkdir()
    (left / "rest.parquet").write_bytes(b"half")
    assert not (bench.plan("two", offline=True).folder / "rest.parquet").exists()


def test_a_page_size_is_the_documented_one() -> None:
    """50,000 rows a page, the most the export gives."""
    assert PAGE_ROWS == 50_000


def test_a_plan_that_goes_on_compares_with_the_target_of_now(bench) -> None:
    """The second dataset could not be read; what others wrote to the first meanwhile is in the plan all the same."""
    bench.target.datasets["id-contacts"] = [held_contact(1), held_contact(2)]

    def fail(dataset: str, _page: int) -> None:
        if dataset == "id-orders":
            raise RemoteError("404")

    bench.target.on_page = fail
    with pytest.raises(RemoteError):
        bench.plan()
    bench.target.on_page = lambda _dataset, _page: None
    bench.target.datasets["id-contacts"] = [
        held_contact(2),
        held_contact(1) | {"name": "changed there"},
    ]
    plan = bench.plan()
    fresh = bench.plan("fresh")
    assert plan.document.datasets == fresh.document.datasets
    assert plan.document.datasets["contacts"].change_counts["name"] >= 1
