"""Planned rows and rows of the target are matched by key."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan import compare
from migrate.plan.compare import match_rows
from migrate.plan.tables import FrameTable

KEY = {"shop": pl.String(), "number": pl.Int32()}
PARTS = st.tuples(st.sampled_from(["a", "b", "", None]), st.sampled_from([1, 2, None]))
THERE = st.tuples(
    st.sampled_from(["a", "b", "", None]), st.sampled_from(["1", "1.0", "2", "x", "", None])
)


def value_of(shop: str | None, number: str | None) -> tuple[str, int] | None:
    """A key of the target by value, None where a part has none."""
    read = {"1": 1, "1.0": 1, "2": 2}.get(number or "")
    return (shop, read) if shop and read else None


@given(st.lists(PARTS, max_size=6, unique=True), st.lists(THERE, max_size=12))
def test_the_last_row_with_the_key_is_the_match(planned, held) -> None:
    """As in a plain dictionary; all others with a planned key are repeated, those without are foreign."""
    ours = pl.DataFrame(planned, schema={"shop": pl.String, "number": pl.Int32}, orient="row")
    theirs = pl.DataFrame(held, schema={"shop": pl.String, "number": pl.String}, orient="row")
    found = match_rows(FrameTable(ours), FrameTable(theirs), KEY)
    values = [value_of(*there) for there in held]
    last = {value: place for place, value in enumerate(values) if value}
    assert found.places.to_list() == [last.get(key) for key in planned]
    foreign = [place for place, value in enumerate(values) if value is None or value not in planned]
    assert found.foreign.to_list() == foreign
    assert found.repeated == sum(value is not None for value in values) - len(last)


def test_equal_hashes_are_no_equal_keys(monkeypatch) -> None:
    """Where hashes prove nothing, the keys themselves decide."""
    monkeypatch.setattr(compare, "_is_unique", lambda _keys: False)
    theirs = pl.DataFrame({"shop": ["a", "b"], "number": ["1", "1"]})
    ours = pl.DataFrame(
        {"shop": ["b", "a"], "number": [1, 1]}, schema_overrides={"number": pl.Int32}
    )
    found = match_rows(FrameTable(ours), FrameTable(theirs), KEY)
    assert (found.places.to_list(), found.foreign.to_list(), found.repeated) == ([1, 0], [], 0)
