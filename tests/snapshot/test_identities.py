"""Who records are of, read quickly where they look as documented: the same as one value at a time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.records import IdentityFields, identify_page

numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=6) | st.sampled_from(['"', "\\", "a\\/b", "\0", "\x01", "é😀", "null", ""])
lists = st.lists(words | numbers, max_size=3)
objects: st.SearchStrategy[Any] = (
    st.fixed_dictionaries({"x": words, "y": numbers}, optional={"z": lists})
    | st.just([])
    | st.none()
)
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
