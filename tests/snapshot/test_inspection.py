"""What an inspection says of records whose content is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from migrate.privacy.mask import Masker
from migrate.report.inspect import render_inspection, summarise_inspection
from migrate.report.inspect_html import bars_of as bars
from migrate.report.inspect_html import render_inspection_page as render_page
from migrate.report.shown import Shown
from migrate.snapshot.field_measures import DistinctCount, FieldRange
from migrate.snapshot.inspection import Inspection, inspect_snapshot
from migrate.snapshot.layout import FORMAT, Begun, ResourceResult, SealedResource
from migrate.snapshot.reading import open_snapshot
from migrate.snapshot.records import IdentityFields, identify_page
from migrate.snapshot.spool import PageEntry, Spool
from migrate.snapshot.writing import begin_or_resume
from migrate.source.extract import write_parts
from migrate.workspace import Workspace

FIELDS = IdentityFields(("id",), ("source",), ("updated",))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def inspect(tmp_path: Path, **resources: list[dict[str, Any] | str]) -> Inspection:
    """The inspection of a snapshot with these records."""
    workspace = Workspace(tmp_path)
    begun = Begun(FORMAT, "", "http://127.0.0.1", "1", list(resources), {}, "0", NOW.isoformat())
    with begin_or_resume(workspace, "s", begun, lambda: NOW) as writer:
        for name, records in resources.items():
            spool = Spool(writer.folder / name)
            spool.open()
            items = [(r if isinstance(r, str) else json.dumps(r)).encode() for r in records]
            if items:
                entry = PageEntry(1, len(items), sum(map(len, items)), "", "", "")
                spool.record(spool.write(identify_page(1, items, FIELDS), entry))
            parts = write_parts(spool, {}, writer.folder)
            rows = len(items)
            result = ResourceResult(rows, rows, rows, 0, 0, 0, 0, 1, 1, 0.0, 0, "proven", "")
            writer.seal(name, SealedResource(result, parts.columns, parts.entries))
        writer.finish(NOW)
    return inspect_snapshot(open_snapshot(workspace, "s"), list(resources))


def traps(found: Inspection) -> set[tuple[str, str | None, int]]:
    """Name, field and count of all traps."""
    return {
        (t.name, t.field, t.count)
        for t in [*found.traps, *(t for r in found.resources for t in r.traps)]
    }


def test_absent_null_empty_and_filled_are_four_things(tmp_path: Path) -> None:
    """Counted per field and per source, and they add up to the rows."""
    found = inspect(
        tmp_path,
        profiles=[
            {"id": "1", "source": "a", "v": None},
            {"id": "2", "source": "a", "v": ""},
            {"id": "3", "source": "b"},
            {"id": "4", "source": "b", "v": "x"},
            {"id": "5", "source": "b", "v": "null"},
        ],
    )
    field = next(f for f in found.resources[0].fields if f.name == "v")
    counts = field.counts
    assert (counts.rows, counts.filled, counts.empty, counts.null, counts.absent) == (5, 2, 1, 1, 1)
    assert {source: c.filled for source, c in field.by_source.items()} == {"a": 0, "b": 2}
    # "" is no value
    assert (field.distinct, field.longest) == (DistinctCount(2), 4)


def test_types_are_those_of_the_json_not_of_the_text(tmp_path: Path) -> None:
    """1 and "1" are two types, and a strange literal is another."""
    values = ['"1"', "1", "1.10", "true", "[1]", '{"w":2}', "NaN", "null"]
    found = inspect(
        tmp_path, sales=[f'{{"id":"{n}","v":{value}}}' for n, value in enumerate(values)]
    )
    field = next(f for f in found.resources[0].fields if f.name == "v")
    assert field.counts.types == dict.fromkeys(
        ("text", "integer", "decimal", "boolean", "object", "list", "other"), 1
    )
    assert field.extremes == FieldRange("numbers", 3, "1", "1.10")
    assert ("mixed types", "v", 1) in traps(found)


TRAPPED: list[tuple[str, list[dict[str, Any]], tuple[str, str | None, int]]] = [
    ("sales", [{"id": "1", "goalid": -1}, {"id": "2", "goalid": 0}], ("cart", "goalid", 1)),
    (
        "content_items",
        [{"id": "1", "price": "24,99"}, {"id": "2", "price": "1.234,50"}],
        ("decimal comma", "price", 2),
    ),
    ("profiles", [{"id": "1", "dateofbirth": "0000-00-00"}], ("zero date", "dateofbirth", 1)),
    ("profiles", [{"id": "1", "status": "Queued for Update"}], ("sync state", "status", 1)),
    ("sales", [{"id": "3000000060"}, {"id": "2147483647"}], ("beyond int32", "id", 1)),
    ("sales", [{"id": "1", "n": 10**30}], ("beyond int32", "n", 1)),
    ("sales", [{"id": "1", "tax": 0.12345678}], ("long fraction", "tax", 1)),
    ("sales", [{"id": "7001"}, {"id": "000000123"}], ("two id schemes", None, 1)),
    (
        "sales",
        [{"id": "1", "profile_id": "p"}, {"id": "2", "profileid": "q"}],
        ("other name", "profile_id", 1),
    ),
]


@pytest.mark.parametrize(
    ("resource", "records", "trap"), TRAPPED, ids=[trap[0] for _, _, trap in TRAPPED]
)
def test_a_trap_is_recognised(
    tmp_path: Path, resource: str, records: list[Any], trap: tuple[str, str | None, int]
) -> None:
    """Each by what its values look like, and nothing else is reported."""
    assert traps(inspect(tmp_path, **{resource: records})) == {trap}


def test_two_spellings_of_a_source_are_seen_across_resources(tmp_path: Path) -> None:
    """One name in the profiles, another in the sales."""
    found = inspect(
        tmp_path,
        profiles=[{"id": "1", "source": "Magento 2"}],
        sales=[{"id": "1", "source": "magento2"}],
    )
    assert traps(found) == {("two spellings", None, 2)}


def test_harmless_records_hold_no_trap(tmp_path: Path) -> None:
    """Ids of hexadecimal digits may be all digits; a postcode is no amount; a status is a status."""
    records = [
        {
            "id": "12345678",
            "source": "m",
            "zip": "1234 AB",
            "status": "active",
            "n": 1,
            "d": "2020-01-01",
        },
        *({"id": f"de02c53{n}", "source": "m", "zip": "1,5 AB"} for n in range(5)),
    ]
    assert traps(inspect(tmp_path, profiles=records)) == set()


def test_reports_hold_no_personal_value(tmp_path: Path) -> None:
    """Text, JSON and page show masks; with values shown, the values."""
    records = [
        {"id": "77", "email": "jan@example.org", "dateofbirth": "1970-05-06", "phone": 31612345678}
    ]
    found = inspect(tmp_path, profiles=records)
    masked = summarise_inspection(found, Shown(Masker(b"salt")))
    for text in (json.dumps(masked), render_inspection(masked), render_page(masked)):
        assert not any(value in text for value in ("jan@", "1970-05-06", "31612345678"))
    assert "jan@example.org" in json.dumps(summarise_inspection(found, Shown(None)))


def test_hostile_values_are_inert_on_the_page(tmp_path: Path) -> None:
    """Markup, control and bidi characters neither work nor hide; the page asks for nothing outside."""
    name = "<script>alert(1)</script>\u202e"
    found = inspect(tmp_path, profiles=[{"id": "1", "source": name, name: "<img src=x>\x1b[31m"}])
    page = render_page(summarise_inspection(found, Shown(None)))
    assert "<script" not in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_an_empty_resource_has_no_fields(tmp_path: Path) -> None:
    """It is shown all the same."""
    found = inspect(tmp_path, interactions=[])
    assert (found.resources[0].rows, found.resources[0].fields) == (0, [])
    assert "interactions: 0 records" in render_inspection(summarise_inspection(found, Shown(None)))


def test_numbers_are_exact_or_say_what_they_are_of(tmp_path: Path) -> None:
    """Minima are in the order of numbers and moments, whatever their size, zone and year, and as they were sent."""
    records = [
        {"id": "1", "long": 1234567890123456789, "at": "2026-01-01T00:30:00+02:00", "mixed": "7"},
        {"id": "2", "long": 1234567890123456788, "at": "2025-12-31T23:00:00Z", "mixed": 30},
        '{"id": "3", "long": 5, "huge": 1e400, "at": "0999-06-01T00:00:00Z", "mixed": "none"}',
        '{"id": "4", "long": 6, "huge": 1e401, "at": "2500-01-01 12:00:00", "mixed": ""}',
    ]
    found = inspect(tmp_path, sales=records)
    ranges = {field.name: field.extremes for field in found.resources[0].fields}
    assert ranges["long"] == FieldRange("numbers", 4, "5", "1234567890123456789")
    assert ranges["huge"] == FieldRange("numbers", 2, "1e400", "1e401")
    assert ranges["at"] == FieldRange(
        "times", 4, "0999-06-01T00:00:00Z", "2500-01-01 12:00:00", zones_mixed=True
    )
    assert ranges["mixed"] == FieldRange("numbers", 2, "7", "30")
    text = render_inspection(summarise_inspection(found, Shown(None)))
    assert "mixed: least and most are of 2 of 3 values; the others are no numbers" in text
    assert "at: some times name a zone and others do not" in text


def test_the_earlier_of_two_times_is_told_by_their_zones(tmp_path: Path) -> None:
    """23:00 in London is later than 00:30 of the next day two hours to the east."""
    times = ["2026-01-01T00:30:00+02:00", "2025-12-31T23:00:00Z"]
    found = inspect(tmp_path, sales=[{"id": str(n), "at": at} for n, at in enumerate(times)])
    field = next(field for field in found.resources[0].fields if field.name == "at")
    assert field.extremes == FieldRange("times", 2, *times)


def test_values_of_products_are_shown_and_those_of_people_are_not(tmp_path: Path) -> None:
    """Numbers, names and prices of products are what a customer looks for; an address is hidden wherever it stands."""
    found = inspect(
        tmp_path,
        content_items=[
            {"id": "SKU-1", "name": "Cap", "price": "n/a", "asked_of": "jo@example.org"}
        ],
        sales=[{"id": "1001", "itemid": "SKU-1", "total": "24,99", "name": "Jo"}],
    )
    resources = summarise_inspection(found, Shown(Masker(b"salt")))["resources"]
    shown = {
        f"{resource}.{name}": field["examples"][0]
        for resource, of in resources.items()
        for name, field in of["fields"].items()
    }
    assert shown["content_items.id"] == shown["sales.itemid"] == "SKU-1"
    assert (shown["content_items.name"], shown["content_items.price"]) == ("Cap", "n/a")
    assert shown["sales.total"] == "24,99"
    assert shown["content_items.asked_of"].startswith("aa@aaaaaaa.aaa#")
    assert shown["sales.name"].startswith("Aa#")
    assert shown["sales.id"].startswith("9999#")


def test_bars_show_gaps_and_at_most_ten_years() -> None:
    """A month without dates is a bar of no height."""
    assert [bar["height"] for bar in bars({"2020-01": 2, "2020-04": 4})] == [50, 0, 0, 100]
    assert len(bars({"1900-01": 1, "2020-01": 1})) == 120
    assert [bar["label"] for bar in bars({"2020-01": 2, "9999-12": 1})] == ["2020-01: 2"]
    assert bars({}) == []


def test_an_estimated_number_of_values_is_marked_on_the_page(tmp_path: Path) -> None:
    """More records than are counted exactly have a page too, where the number stands behind a ~."""
    found = summarise_inspection(inspect(tmp_path, profiles=[{"profileid": "1"}]), Shown(None))
    for field in found["resources"]["profiles"]["fields"].values():
        field |= {"distinct": 251701, "distinct_is_exact": False, "distinct_within": 0.003}
    assert "~251,701" in render_page(found)
    assert "an estimate, right within 0.3 %" in render_page(found)


def test_digits_among_texts_are_no_range(tmp_path: Path) -> None:
    """Ids of letters and digits are now and then digits alone, or look as if they had an exponent."""
    ids = ["7e200040", "12345678", "de02c531", "ab12cd34"]
    found = inspect(tmp_path, profiles=[{"id": value, "code": value} for value in ids])
    assert [field.extremes for field in found.resources[0].fields] == [None, None]
