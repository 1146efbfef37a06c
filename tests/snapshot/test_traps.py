"""No value without a column: what a record holds is read, whatever else it holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot import literals, records
from migrate.snapshot.layout import ResourceResult
from migrate.snapshot.literals import has_ids_for_keys, is_below, widest_objects
from migrate.snapshot.parts import PartDone, plan_alignment
from migrate.snapshot.records import (
    OWN_COLUMNS,
    ChosenColumns,
    IdentityFields,
    add_fields,
    identify_page,
    pick_fields,
)
from migrate.snapshot.traps import describe_uncolumned

FIELDS = IdentityFields(("id",), ("source",), ("updated",))


def parse(pages: list[list[bytes]], chosen: ChosenColumns) -> pl.DataFrame:
    """The pages as one frame of the columns that were chosen in the end."""
    frames = [add_fields(identify_page(1, page, FIELDS), chosen).frame for page in pages]
    return pl.concat(frames, how="diagonal").select(*OWN_COLUMNS, *chosen.names)


def sale(number: int, lines: int = 1) -> bytes:
    """An order as PHP writes it: its lines in an object with their ids for keys."""
    items = {
        str(50_000 + number * lines + n): {"itemid": "1", "price": "1.00"} for n in range(lines)
    }
    metadata = {"total": "12.50", "created": "2020-01-01 10:00:00", "currency": "EUR"}
    return json.dumps({"id": str(number), "items": items, "metadata": metadata}).encode()


@pytest.mark.parametrize(("count", "lines"), [(1_100, 1), (400, 3)])
def test_lines_keyed_by_id_take_no_other_fields_column(count: int, lines: int) -> None:
    """Total, date and currency have their columns, and the lines are one."""
    chosen = ChosenColumns()
    pages = [[sale(n, lines) for n in range(at, at + 100)] for at in range(0, count, 100)]
    frame = parse(pages, chosen)
    assert frame["metadata.total"].to_list() == ["12.50"] * count
    assert frame["metadata.currency"].null_count() == frame["metadata.created"].null_count() == 0
    assert [name for name in frame.columns if name.startswith("items")] == ["items"]
    assert chosen.folded["items"] >= 100 * lines
    assert not chosen.unlisted


@pytest.mark.parametrize(
    ("keys", "objects", "expected"),
    [
        ({str(n): 1 for n in range(30)}, 30, True),
        ({f"sku-{n}": 5 for n in range(200)}, 1_000, True),
        ({f"{n:08x}": 2 for n in range(100)}, 100, True),
        ({"word" * n: 1 for n in range(1, 60)}, 40, True),
        ({str(n): 1 for n in range(20)}, 20, False),
        ({f"address_{n}": 90 for n in range(40)}, 100, False),
        ({"field" * n: 9 for n in range(1, 60)}, 300, False),
    ],
)
def test_ids_are_told_from_names(keys: dict[str, int], objects: int, expected: bool) -> None:
    """Many keys that each stand in few objects are ids; fields that are rarely filled are none."""
    assert has_ids_for_keys(keys, objects) is expected


def test_the_widest_objects_give_way_first() -> None:
    """A narrow object beside it keeps its columns; the record's own fields cannot give way."""
    wide = [f"a.b.{letter}{n}" for n in range(40) for letter in "xy"]
    assert widest_objects([*wide, "m.total", "m.date", "a.b", "a"], 10) == {"a.b": 80}
    assert widest_objects([f"f{n}" for n in range(40)], 10) == {}


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b", True), ("a.b.c", True), ("a", False), ("ab.c", False)]
)
def test_what_is_inside_of_an_object(name: str, expected: bool) -> None:
    """Only what leads through it."""
    assert is_below(name, {"a"}) is expected


scalars = st.integers(-5, 5) | st.sampled_from(["x", "", "é", None, True])
names = st.sampled_from(["a", "b", "c", "id", "a.b"])
ids = st.integers(100, 999).map(str)
objects = st.recursive(
    scalars,
    lambda inner: (
        st.dictionaries(names, inner, max_size=3) | st.dictionaries(ids, inner, max_size=4)
    ),
    max_leaves=8,
)
documents = st.dictionaries(names | ids, objects, max_size=5)


def paths(value: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The dotted name of everything in a record."""
    for key, inner in value.items():
        yield prefix + key
        if isinstance(inner, dict):
            yield from paths(inner, f"{prefix}{key}.")


def walk(value: object, name: str) -> list[object]:
    """Everything that stands under a dotted name, however its dots are meant."""
    if not isinstance(value, dict):
        return []
    found = [value[name]] if name in value else []
    for key, inner in value.items():
        if name.startswith(f"{key}."):
            found += walk(inner, name[len(key) + 1 :])
    return found


def text_of(value: object) -> str | None:
    """A value as a snapshot shows it."""
    return value if isinstance(value, str) else None if value is None else json.dumps(value)


@given(pages=st.lists(st.lists(documents, min_size=1, max_size=6), min_size=1, max_size=3))
def test_every_value_has_its_column_or_is_said_to_have_none(
    pages: list[list[dict[str, Any]]],
) -> None:
    """With few columns and few keys allowed: each column is whole, and no field is passed over in silence."""
    sent = [[json.dumps(record).encode() for record in page] for page in pages]
    every = [record for page in pages for record in page]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "MAX_COLUMNS", 8)
        patch.setattr(literals, "FEW_KEYS", 3)
        chosen = ChosenColumns()
        frame = parse(sent, chosen)
    seen = dict.fromkeys(name for record in every for name in paths(record))
    picked = pick_fields([item for page in sent for item in page], list(seen))
    for name in seen:
        expected = [[text_of(value) for value in walk(record, name)] for record in every]
        assert all(
            text in (texts or [None]) for text, texts in zip(picked[name], expected, strict=True)
        )
        if name in chosen.names:
            assert frame[name].to_list() == picked[name].to_list()
        else:
            assert name in chosen.unlisted or is_below(name, chosen.folded)


def test_parts_agree_on_what_is_one_column() -> None:
    """What one part took for fields and another for things has no columns in either."""
    one = PartDone("1", 1, 1, "", (*OWN_COLUMNS, "items", "items.1", "total"))
    other = PartDone("2", 1, 1, "", (*OWN_COLUMNS, "items"), folded={"items": 30})
    tasks, columns = plan_alignment([one, other])
    assert columns.names == (*OWN_COLUMNS, "items", "total")
    assert columns.folded == {"items": 30}
    assert len(tasks) == 2


def test_what_has_no_column_is_said_in_numbers() -> None:
    """Objects with ids for keys, objects too deep, fields too many, and two fields of one name."""
    result = ResourceResult(
        1, 1, 1, 0, 0, 0, 0, 1, 1, 0.1, 0, "proven", "", ["a.b"], 7,
        folded={"items": 1_100, "deep": 0},
    )  # fmt: skip
    told = describe_uncolumned(result)
    assert "items: an object with ids for keys, at least 1,100 different ones" in told[0]
    assert "deep: nested deeper than 16 levels" in told[1]
    assert "at least 7 fields have no column" in told[2]
    assert "1 name stands for two fields of one record: a.b" in told[3]
