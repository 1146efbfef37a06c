"""Records that look alike, read quickly: the same as one value at a time, or left to that."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.alike import alike_values
from migrate.snapshot.columns import MAX_COLUMNS
from migrate.snapshot.literals import RecordFields
from migrate.snapshot.records import IdentityFields, identify_page

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=6) | st.sampled_from(['"', "\\", "a\\/b", "\0", "\x01", "é😀", "null", ""])
lists = st.lists(words | numbers, max_size=3)
objects: st.SearchStrategy[Any] = (
    st.fixed_dictionaries({"x": words, "y": numbers}, optional={"z": lists})
    | st.just([])
    | st.none()
)
records = st.fixed_dictionaries(
    {
        "text": words | st.none(),
        "number": numbers,
        "mixed": words | numbers | st.booleans() | st.none(),
    },
    optional={"list": lists, "object": objects, "late": words},
)


def told(items: list[bytes]) -> pl.DataFrame:
    """The values one at a time."""
    return pl.DataFrame(RecordFields(items).values())


@given(st.lists(records, min_size=1, max_size=30), st.booleans())
def test_the_same_values_in_the_same_order_as_one_at_a_time(
    page: list[dict[str, Any]], ascii_only: bool
) -> None:
    """Whatever is read quickly is what the patient way gives."""
    items = [json.dumps(record, ensure_ascii=ascii_only).encode() for record in page]
    found = alike_values(items)
    if found is not None:
        assert pl.DataFrame(found[0]).equals(told(items))
        assert found[0].keys() == RecordFields(items).columns.keys()
        assert found[1] == 0


@pytest.mark.parametrize(
    "items",
    [
        [
            b'{"a":"x","n":1.10,"o":{"b":"y","c":[1,"2"]}}',
            b'{"a":"\\u00e9\\/","n":-0,"o":{"b":"z","c":[]}}',
        ],
        [b'{"a":"x"}', b'{"a":7}', b'{"a":null}', b"{}"],
        [b'{"a":{"b":1}}', b'{"a":[]}', b'{"a":"{"}'],
        [b'{"a":1}', b'{"b":"2"}'],
        [b'{"_id":"1","":"2"}'],
        [b'{ "a" : { } }', b'{"a":{"b":1}}'],
    ],
)
def test_what_real_lists_hold_is_read_quickly(items: list[bytes]) -> None:
    """A field of two kinds, an optional one, an empty list for an empty object and escapes are no obstacle."""
    found = alike_values(items)
    assert found is not None
    assert pl.DataFrame(found[0]).equals(told(items))


@pytest.mark.parametrize(
    "items",
    [
        [b'{"a":1}'] * 16 + [b'{"late":2}'],
        [b'{"a":"half \\ud83d"}'],
        [b'{"a":NaN}'],
        [b'{"a":"tab\there"}'],
        [b'{"a.b":1,"a":{"b":2}}'],
        [b"3"],
        [json.dumps({f"f{n}": n for n in range(MAX_COLUMNS + 1)}).encode()],
        [b'{"\\u001f":1}'],
    ],
)
def test_anything_else_is_left_to_the_patient_way(items: list[bytes]) -> None:
    """Late fields, names that fold to one, and what only a lenient reader takes."""
    assert alike_values(items) is None


def test_no_records_have_no_fields() -> None:
    """And that is no reason to fail."""
    assert alike_values([]) == ({}, 0)


ids = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | words
    | st.none()
    | st.booleans()
    | lists
)
inside = st.fixed_dictionaries({}, optional={"source": words | numbers})
identified = st.fixed_dictionaries(
    {},
    optional={
        "id": ids,
        "itemid": ids,
        "source": words | numbers,
        "metadata": inside | objects,
        "metadata.source": words,
    },
)
simple = st.fixed_dictionaries(
    {"id": words, "source": words, "metadata": st.fixed_dictionaries({"source": words})}
)


@pytest.mark.parametrize("sources", [("source", "metadata.source"), ("metadata.source", "source")])
@given(
    page=st.lists(identified, max_size=4) | st.lists(simple, max_size=4),
    odd=st.sampled_from(
        [b'{"id":-0,"source":"s"}', b'{"id":1e2,"source":"s","metadata":{"source":"t"}}', None]
    ),
)
def test_identities_read_quickly_are_the_same(
    sources: tuple[str, str], page: list[dict[str, Any]], odd: bytes | None
) -> None:
    """Also where a number has another spelling, and where a dotted name is one of its own."""
    items = [json.dumps(record).encode() for record in page] + ([odd] if odd else [])
    quick = IdentityFields(("id", "itemid"), sources, ("updated",))
    patient = IdentityFields(("nowhere", "id", "itemid"), ("nowhere", *sources), ("updated",))
    assert identify_page(1, items, quick) == identify_page(1, items, patient)
