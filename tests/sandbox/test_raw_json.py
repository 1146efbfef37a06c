"""JSON that keeps what was sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from migrate.sandbox.raw_json import (
    BrokenJson,
    literal_text,
    read_members,
    read_values,
    slice_array,
    write_json,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), children)
    ),
)


@pytest.mark.parametrize(
    "literal", ["1.10", "-0.0", "1e400", "123456789012345678901234567890", "0.1e-7", "19.99"]
)
def test_numbers_come_back_as_sent(literal: str) -> None:
    """No digit changes through reading and writing."""
    assert (
        write_json(read_values(f'[{{"n":{literal}}}]'.encode())) == f'[{{"n":{literal}}}]'.encode()
    )


@pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":1,}', "[1] x", '"\\ud800"'])
def test_broken(text: str) -> None:
    """What is no JSON is refused."""
    with pytest.raises(BrokenJson):
        read_values(text.encode())


def test_members_must_be_an_object() -> None:
    """An array is no object."""
    with pytest.raises(BrokenJson):
        read_members(b"[]")


def test_literal_text() -> None:
    """Texts and numbers can identify; the rest cannot."""
    assert [
        literal_text(Raw(text)) for text in ('"a\\"b"', "007", "1.50", "true", "null", "{}", "")
    ] == [
        'a"b',
        "007",
        "1.50",
        None,
        None,
        None,
        None,
    ]


@given(st.lists(VALUES, max_size=4), st.sampled_from([None, 1]))
def test_slices_are_the_elements(values: list[object], indent: int | None) -> None:
    """Each slice reads as its element, however the array is laid out."""
    assert [json.loads(text) for text in slice_array(json.dumps(values, indent=indent))] == values


def test_slices_keep_what_stricter_readers_refuse() -> None:
    """Lone surrogates, NaN and doubled names stay as they are; what is no array is refused."""
    text = '[{"a": "\\ud800"}, {"n": NaN, "n": 1.10} ]'
    assert list(slice_array(text)) == ['{"a": "\\ud800"}', '{"n": NaN, "n": 1.10}']
    for wrong in ("{}", "[1", "[1 2", ""):
        with pytest.raises(BrokenJson):
            list(slice_array(wrong))
