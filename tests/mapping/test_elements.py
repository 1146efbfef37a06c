"""Fields inside list elements that no mapping takes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import polars as pl
import pytest

from migrate.mapping import fields
from migrate.mapping.fields import unused_element_fields
from migrate.mapping.model import Mapping

Make = Callable[..., Mapping]

TEXTS = [
    '[{"q": 1, "size": "M"}, {"q": 2, "size": ""}]',
    None,
    "oops",
    '{"a": {"q": 1, "box": {"w": 3}}}',
    "[1]",
    "[1,",
]


def _read(fields: Collection[str]) -> Iterator[pl.DataFrame]:
    frame = pl.DataFrame({name: TEXTS for name in fields})
    yield from frame.iter_slices(1)


def test_told_with_their_share(mapping: Make) -> None:
    """Each unused field with the share of elements that have a value; broken lists and plain values have no fields."""
    made = mapping("q: {from: item.q, type: text}", top="each: items")
    assert unused_element_fields(["items"], _read, [made]) == {
        "items[].box": 1 / 3,
        "items[].size": 1 / 3,
    }
    assert unused_element_fields(["other"], _read, [made]) == {}
    assert unused_element_fields(["items"], _read, [mapping()]) == {}


def test_used_and_ignored_ones_are_not(mapping: Make) -> None:
    """Used by any mapping, by a part of it, or under `ignore`; the whole element, not a field called `item`, is all."""
    some = mapping(
        "w: {from: item.box.w, type: text}", top="each: items\nignore: [item.size, items.q]"
    )
    assert unused_element_fields(["items"], _read, [some]) == {}
    called_so = mapping("q: {from: [item.item, item.q, item.box], type: text}", top="each: items")
    assert list(unused_element_fields(["items"], _read, [called_so])) == ["items[].size"]
    whole = mapping("all: {from: item, type: json}", top="each: items")
    assert unused_element_fields(["items"], _read, [whole]) == {}


def test_looks_at_the_first_records_only(mapping: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many records there are, a bounded number is read."""
    monkeypatch.setattr(fields, "LOOKED_AT_RECORDS", 3)
    made = mapping("q: {from: item.q, type: text}", top="each: items")
    assert unused_element_fields(["items"], _read, [made]) == {"items[].size": 0.5}
