"""Cutting JSON text without building values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.json_text import decode_string, split_array, split_object

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=4), v, max_size=3),
    max_leaves=10,
)


@given(st.lists(values, max_size=5), st.sampled_from([None, 1]))
def test_elements_are_those_of_the_json_module(elements: list[Any], indent: int | None) -> None:
    """Each slice is the element's own text."""
    parts = split_array(f" {json.dumps(elements, indent=indent)}\n")
    assert repr([json.loads(part) for part in parts]) == repr(elements)


@given(st.dictionaries(st.text(max_size=4), values, max_size=5), st.sampled_from([None, 1]))
def test_members_are_those_of_the_json_module(members: dict[str, Any], indent: int | None) -> None:
    """Names are decoded, values are the slices."""
    parts = split_object(json.dumps(members, indent=indent))
    assert repr({name: json.loads(part) for name, part in parts.items()}) == repr(members)


@given(st.dictionaries(st.text(max_size=4), values, min_size=1, max_size=3), st.data())
def test_no_beginning_of_an_object_is_whole(members: dict[str, Any], data: st.DataObject) -> None:
    """An object cut anywhere is refused."""
    text = json.dumps(members)
    with pytest.raises(ValueError, match=r"."):
        split_object(text[: data.draw(st.integers(0, len(text) - 1))])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[1",
        "[1,]",
        "[,1]",
        "[1}",
        "{]",
        "[1]]",
        "[1] 2",
        "[nul]",
        '["a]',
        "[01x]",
        "x[1]",
        "[1 [",
        "]",
    ],
)
def test_what_is_no_array_is_refused(text: str) -> None:
    """Text that is cut, unbalanced or has something else beside it."""
    with pytest.raises(ValueError, match=r"."):
        split_array(text)


def test_depth_costs_nothing() -> None:
    """A hundred thousand levels are one element."""
    deep = "[" * 100_000 + "]" * 100_000
    assert split_array(f"[{deep}, NaN]") == [deep, "NaN"]


def test_half_a_surrogate_pair_stays_its_escape() -> None:
    """Whole pairs are joined; a half stays visible as what it is."""
    assert decode_string(r'"\ud83d\ude00 \ud83d"') == "😀 \\ud83d"
