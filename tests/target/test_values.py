"""Sent and stored values."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.target.values import is_same_value

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1.10", "1.1"),
        ("100", "1e2"),
        ("0", "-0.0"),
        ('"2020-01-01 00:00:00"', '"2020-01-01T00:00:00.000Z"'),
        ('"2020-01-01 10:20:30"', '"2020-01-01T10:20:30+00:00"'),
        ('"\\u00e9"', '"é"'),
        ("null", " null "),
    ],
)
def test_the_same(sent, stored):
    """Other spellings of the same value."""
    assert is_same_value(sent.encode(), stored.encode())


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1", '"1"'),
        ("1", "true"),
        ('""', "null"),
        ("null", '""'),
        ("19.99", "19.990000000000002"),
        ("9007199254740993", "9007199254740992"),
        ('"a"', '"a "'),
        ('"é"', '"e\\u0301"'),
        ('"2020-01-01 00:00:00"', '"2019-12-31T23:00:00.000Z"'),
        ('"2020-01-01 00:00:00"', '"2020-01-01T00:00:00.001Z"'),
        ('"2020-01-01"', '"2020-01-01T00:00:00.000Z"'),
        ("", "0"),
        ("[1]", "[2]"),
    ],
)
def test_not_the_same(sent, stored):
    """Values that only look alike."""
    assert not is_same_value(sent.encode(), stored.encode())


@given(SCALARS, SCALARS)
def test_agrees_with_the_values(one, other):
    """For plain values: equal exactly where Python's values of one type are."""
    pair = (
        json.dumps(one).encode(),
        json.dumps(other, ensure_ascii=False).encode("utf-8", "surrogatepass"),
    )
    numbers = [
        isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other)
    ]
    if all(numbers):
        expected = Decimal(json.dumps(one)) == Decimal(json.dumps(other))
    else:
        expected = type(one) is type(other) and one == other
    assert is_same_value(*pair) == expected


def test_a_text_that_looks_like_a_time_is_a_text():
    """In a column of text the spelling counts."""
    pair = (b'"2020-01-01 00:00:00"', b'"2020-01-01T00:00:00.000Z"')
    assert is_same_value(*pair)
    assert not is_same_value(*pair, may_be_time=False)
