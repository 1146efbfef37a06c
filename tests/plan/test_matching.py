"""Planned rows and rows of the target are matched by key."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan import matching
from migrate.plan.matching import align_rows, match_rows
from migrate.plan.partitions import PartitionSet
from migrate.plan.tables import FrameTable

NOWHERE = Path("nothing is put aside of so few rows")
TEXTS = dict.fromkeys(["n", "at"], pl.String)
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
    found = match_rows(FrameTable(ours), FrameTable(theirs), KEY, NOWHERE)
    values = [value_of(*there) for there in held]
    last = {value: place for place, value in enumerate(values) if value}
    assert found.places.to_list() == [last.get(key) for key in planned]
    foreign = [place for place, value in enumerate(values) if value is None or value not in planned]
    assert found.is_foreign.arg_true().to_list() == foreign
    assert found.repeated == sum(value is not None for value in values) - len(last)


@given(
    st.lists(st.integers(0, 30), max_size=20, unique=True),
    st.lists(st.integers(0, 30), max_size=20),
)
def test_many_rows_are_matched_and_put_in_order_as_few_are(tmp_path_factory, planned, held) -> None:
    """With a key or two in memory at once and the rest on the disk, in chunks of three rows."""
    folder = tmp_path_factory.mktemp("aside")
    ours = pl.DataFrame({"n": planned}, schema={"n": pl.Int32})
    theirs = pl.DataFrame({"n": map(str, held), "at": map(str, range(len(held)))}, TEXTS)
    key = {"n": pl.Int32()}
    whole = match_rows(FrameTable(ours), FrameTable(theirs), key, NOWHERE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "KEYS_AT_ONCE", 2)
        patch.setattr(matching, "CHUNK_ROWS", 3)
        patch.setattr(PartitionSet.__init__, "__defaults__", (30,))
        some = match_rows(FrameTable(ours), FrameTable(theirs), key, folder)
        aligned = align_rows(FrameTable(theirs), some.places, ["n", "at"], folder)
    assert some.places.to_list() == whole.places.to_list()
    assert some.is_foreign.to_list() == whole.is_foreign.to_list()
    assert some.repeated == whole.repeated
    last = {value: place for place, value in enumerate(held)}
    rows = [(str(n), str(last[n])) if n in last else (None, None) for n in planned]
    chunks = list(aligned.chunks(["n", "at"]))
    assert [row for chunk in chunks for row in chunk.rows()] == rows
    assert all(chunk.height == 3 for chunk in chunks[:-1])
    asked = pl.Series(range(len(planned)), dtype=pl.UInt32).reverse()
    assert aligned.at(["n", "at"], asked).rows() == rows[::-1]
