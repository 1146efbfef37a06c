"""How many lines an order has, however a shop's export writes its list."""

from __future__ import annotations

import json

import polars as pl
import pytest

from migrate.mapping.each import read_elements
from migrate.totals.records import count_lines


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ([{"sku": "1"}, {"sku": "2"}], 2),
        ([], 0),
        # XML made JSON: a list of one line as a bare object, and a list inside an object
        ({"sku": "1", "price": "9"}, 1),
        ({"item": [{"sku": "1"}, {"sku": "2"}, {"sku": "3"}]}, 3),
        ({"item": {"sku": "1"}}, 1),
        ({"item": None}, 0),
        ({"item": ""}, 0),
        ({"item": []}, 0),
        # a PHP array with gaps
        ({"0": {"sku": "1"}, "2": {"sku": "2"}}, 2),
        ({"1": "a", "2": "b"}, 2),
        ({"a": {"sku": "1"}, "b": {"sku": "2"}}, 2),
        ({}, 0),
    ],
)
def test_lines_are_counted_as_each_takes_them(value: object, lines: int) -> None:
    """The source's count of lines is that of the rows that `each` gives: no line is missed or made up in the totals."""
    text = json.dumps(value)
    assert count_lines(text) == lines
    found = read_elements(pl.Series([text]), ["item.sku", "item.price"])
    assert len(found.parents) == lines
