"""The sending order and the cuts."""

from __future__ import annotations

import itertools
from datetime import datetime

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan.batches import cut_batches, in_sending_order, too_large, with_batches


def body(payloads: list[str]) -> bytes:
    """The request body that `load` makes of a batch."""
    return ("[" + ",".join(payloads) + "]").encode()


@given(st.lists(st.text(alphabet="xé", max_size=30), max_size=60), st.integers(65, 200), st.integers(1, 10))
def test_no_batch_is_too_long_and_none_is_cut_early(payloads: list[str], bound: int, rows: int) -> None:
    """Each batch keeps both bounds, and the next row would have broken one of them."""
    numbers = cut_batches([len(payload.encode()) for payload in payloads], bound, rows)
    assert numbers == sorted(numbers)
    batches = [
        [payload for payload, number in zip(payloads, numbers, strict=True) if number == batch]
        for batch in range(max(numbers, default=-1) + 1)
    ]
    assert all(0 < len(batch) <= rows and len(body(batch)) <= bound for batch in batches)
    for batch, following in itertools.pairwise(batches):
        assert len(batch) == rows or len(body([*batch, following[0]])) > bound


def test_places_count_from_nought_in_each_batch() -> None:
    """501 small rows are one full batch and one of a single row; no rows are no batch."""
    frame = with_batches(pl.DataFrame({"_payload": ["{}"] * 501}), 5_000_000)
    assert frame["_batch"].to_list() == [0] * 500 + [1]
    assert frame["_slot"].to_list() == [*range(500), 0]
    assert (frame.schema["_batch"], frame.schema["_slot"]) == (pl.Int32, pl.Int32)
    assert with_batches(pl.DataFrame({"_payload": []}, schema={"_payload": pl.String}), 100).height == 0


def test_a_row_is_too_large_when_it_fits_in_no_body() -> None:
    """The brackets count: eight bytes of payload fit in ten of body, nine do not."""
    frame = pl.DataFrame({"_payload": ["x" * 8, "x" * 9, "é" * 4, "é" * 5]})
    assert frame.select(too_large("_payload", 10)).to_series().to_list() == [False, True, False, True]


def test_the_oldest_is_sent_first() -> None:
    """By recency, one without first; equals by their place in the snapshot, elements in theirs."""
    frame = pl.DataFrame(
        {
            "_recency": [datetime(2024, 1, 2), None, datetime(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 1)],
            "_position": [0, 1, 3, 2, 2],
            "_element": [None, None, None, 2, 1],
            "name": ["new", "undated", "c", "b", "a"],
        }
    )
    assert in_sending_order(frame)["name"].to_list() == ["undated", "a", "b", "c", "new"]
