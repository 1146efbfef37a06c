"""How many different values a column has."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.field_measures import DistinctCount, DistinctValues, count_distinct


@given(st.lists(st.lists(st.none() | st.text(max_size=2))))
def test_few_values_are_counted(frames: list[list[str | None]]) -> None:
    """Over all frames, without null and without ''."""
    series = [pl.Series("v", frame, dtype=pl.String) for frame in frames]
    found = count_distinct((one.to_frame() for one in series), 1)
    values = {value for frame in frames for value in frame if value}
    assert found.get("v", DistinctCount(0)) == DistinctCount(len(values))


def test_an_estimate_says_how_far_off_it_may_be() -> None:
    """A hundred thousand values by the ten thousand hashes that are kept: three standard errors are three percent."""
    values = DistinctValues(10_000)
    for first in range(0, 100_000, 25_000):
        values.add(pl.Series([str(n) for n in range(first, first + 25_000)] * 2))
    found = values.count()
    assert not found.is_exact
    assert found.within == 0.03
    assert abs(found.values - 100_000) <= 3_000
