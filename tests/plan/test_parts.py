"""A part of a snapshot: which records are of it, what it sends, and how parts add up."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from migrate.errors import UsageError
from migrate.mapping.transform import Settings
from migrate.plan.document import PartOf
from migrate.plan.open_plan import Plan
from migrate.plan.scope import CELLS, Gap, InsidePart, add_parts
from migrate.verify.rules import Conventions
from migrate.verify.scope import are_inside
from tests.plan.conftest import Bench, FakeResource, FakeSnapshot

AMSTERDAM = {"Shop": "Europe/Amsterdam"}
RECORDS = [
    {"_source": "Shop", "_id": "1", "created": "2024-03-01 00:30:00", "updated": None},
    {
        "_source": "Shop",
        "_id": "2",
        "created": "2024-03-01 01:30:00",
        "updated": "2024-05-05 10:00:00",
    },
    {"_source": "Shop", "_id": "3", "created": "2024-03-31 23:59:59", "updated": None},
    {"_source": "Mail", "_id": "4", "created": "2024-03-31T23:59:59Z", "updated": None},
    {"_source": "Mail", "_id": "5", "created": "soon", "updated": None},
    {"_source": None, "_id": "6", "created": None, "updated": None},
]
MARCH = {"first_day": date(2024, 3, 1), "last_day": date(2024, 3, 31)}


def ids_inside(part: PartOf) -> list[str]:
    """The records that plan and verifier each take to be of a part; both must say the same."""
    frame = pl.DataFrame(RECORDS, schema_overrides={"updated": pl.String})
    planned = InsidePart(part, Settings(AMSTERDAM)).of("sales", frame)
    raw = [pl.Series([record]).struct.json_encode()[0] for record in RECORDS]
    verified = are_inside(
        __file__,  # type: ignore[arg-type]  # a part has no file
        part.model_dump(mode="json"),
        "sales",
        [frame.with_columns(pl.Series("_raw", raw))],
        Conventions(AMSTERDAM),
    )
    assert verified is not None
    assert verified.to_list() == planned.to_list()
    return frame.filter(planned).get_column("_id").to_list()


def test_days_are_in_utc_and_both_ends_are_included() -> None:
    """00:30 in Amsterdam is the day before in UTC; a second before midnight of the last day is inside."""
    assert ids_inside(PartOf(**MARCH)) == ["2", "3", "4"]


def test_a_record_without_a_time_is_in_the_part_without_a_first_day() -> None:
    """So the parts before and from a day are together the whole, and no record is in neither."""
    before = ids_inside(PartOf(last_day=date(2024, 2, 29)))
    after = ids_inside(PartOf(first_day=date(2024, 3, 1)))
    assert before == ["1", "5", "6"]
    assert sorted([*before, *after]) == ["1", "2", "3", "4", "5", "6"]


def test_by_its_source_by_its_change_and_by_both() -> None:
    """A record without a source is asked for by an empty one; one that was never changed counts as created."""
    assert ids_inside(PartOf(sources=("Mail",))) == ["4", "5"]
    assert ids_inside(PartOf(sources=("",))) == ["6"]
    assert ids_inside(PartOf(sources=("Mail",), **MARCH)) == ["4"]
    assert ids_inside(PartOf(field="updated", first_day=date(2024, 5, 1))) == ["2"]
    assert ids_inside(PartOf(field="updated", **MARCH)) == ["3", "4"]


def sale(number: int, source: str, day: str | None) -> dict[str, str | None]:
    """A sale as the snapshot holds it."""
    return {"source": source, "conversionid": f"c{number}", "total": "1", "created": day}


def planned(bench: Bench, part: PartOf | None, **options: Any) -> Plan:
    """The plan of a part of four sales, two a source, two a year."""
    sales = [
        sale(1, "Shop", "2023-06-01"),
        sale(2, "Shop", "2024-06-01"),
        sale(3, "Mail", "2023-07-01"),
        sale(4, "Mail", None),
    ]
    people = FakeResource(bench.snapshot.resources["profiles"].records, "profileid")
    bench.snapshot = FakeSnapshot(
        {"profiles": people, "sales": FakeResource(sales, "conversionid")}
    )
    return bench.plan(datasets=("orders",), scope=part, **options)


def test_what_is_not_of_the_part_is_counted_and_not_sent(bench: Bench) -> None:
    """read = planned + outside, the money of the others is outside on purpose, and no gate is hurt by it."""
    plan = planned(bench, PartOf(sources=("Shop",)))
    counts = plan.document.datasets["orders"]
    assert (counts.read, counts.planned, counts.outside) == (4, 2, 2)
    keys = pl.read_parquet(plan.file("orders", "records.parquet")).get_column("key").to_list()
    assert keys == ["Shop:c1", "Shop:c2"]
    assert counts.totalled is not None
    assert counts.totalled.equal


def test_a_part_that_is_empty_says_what_there_is(bench: Bench) -> None:
    """A name that is mistyped makes no plan; the sources and days that there are stand in the hint."""
    with pytest.raises(UsageError) as caught:
        planned(bench, PartOf(sources=("Shopp",)))
    assert "'Mail', 'Shop'" in str(caught.value.hint)
    assert "2023-06-01 to 2024-06-01" in str(caught.value.hint)


def test_a_part_carries_the_days_of_the_whole(bench: Bench) -> None:
    """What parts are added up from: how many records there are by source and day, and nothing of anybody."""
    plan = planned(bench, PartOf(sources=("Shop",)))
    cells = pl.read_parquet(plan.folder / "scope" / "whole.parquet")
    assert cells.rows() == [
        ("sales", "Mail", None, 1),
        ("sales", "Mail", date(2023, 7, 1), 1),
        ("sales", "Shop", date(2023, 6, 1), 1),
        ("sales", "Shop", date(2024, 6, 1), 1),
    ]


def cells(*rows: tuple[str | None, date | None, int]) -> pl.DataFrame:
    """Counts of one resource by source and day."""
    return pl.DataFrame([("sales", *row) for row in rows], schema=CELLS, orient="row")


def test_parts_add_up_and_what_two_have_counts_once() -> None:
    """Shop of 2023 and everything up to June 2023 overlap; the later days of the others are missing, run by run."""
    whole = cells(
        ("Shop", date(2023, 1, 1), 5),
        ("Shop", date(2024, 1, 1), 7),
        ("Mail", date(2023, 1, 1), 11),
        ("Mail", date(2023, 8, 1), 13),
        ("Mail", date(2023, 9, 1), 17),
        (None, None, 19),
    )
    shop = PartOf(sources=("Shop",), first_day=date(2023, 1, 1), last_day=date(2023, 12, 31))
    early = PartOf(last_day=date(2023, 6, 30))
    found = add_parts(whole, [shop, early], is_whole=False)
    assert (found.records, found.inside) == (72, 5 + 11 + 19)
    assert found.gaps == (
        Gap("Mail", date(2023, 8, 1), date(2023, 9, 1), 30),
        Gap("Shop", date(2024, 1, 1), date(2024, 1, 1), 7),
    )


def test_a_covered_day_parts_two_gaps() -> None:
    """What lies between two gaps is there, so each is told with its own days; records without a time stand alone."""
    whole = cells(*(("Shop", date(2023, 1, day), 1) for day in (1, 2, 3)), ("Shop", None, 4))
    middle = PartOf(first_day=date(2023, 1, 2), last_day=date(2023, 1, 2))
    assert add_parts(whole, [middle], is_whole=False).gaps == (
        Gap("Shop", None, None, 4),
        Gap("Shop", date(2023, 1, 1), date(2023, 1, 1), 1),
        Gap("Shop", date(2023, 1, 3), date(2023, 1, 3), 1),
    )
    assert add_parts(whole, [], is_whole=True).inside == 7
