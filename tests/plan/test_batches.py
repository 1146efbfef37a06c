"""The sending order and the cuts."""

from __future__ import annotations

import itertools
from datetime import datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.model import Mapping
from migrate.mapping.types import payloads
from migrate.plan import batches
from migrate.plan.batches import Cutter, large_rows, sending_ranks


def body(payloads: list[str]) -> bytes:
    """The request body that `load` makes of a batch."""
    return ("[" + ",".join(payloads) + "]").encode()


@given(
    st.lists(st.text(alphabet="xé", max_size=30), max_size=60),
    st.integers(65, 200),
    st.integers(1, 10),
    st.integers(0, 60),
)
def test_no_batch_is_too_long_and_none_is_cut_early(
    payloads: list[str], bound: int, rows: int, first: int
) -> None:
    """Each batch keeps both bounds, and the next row would have broken one of them; wherever one run of rows ends."""
    sizes = [len(payload.encode()) for payload in payloads]
    cutter = Cutter(bound, rows)
    runs = [cutter.cut(sizes[:first]), cutter.cut(sizes[first:])]
    numbers, places = ([*one, *two] for one, two in zip(*runs, strict=True))
    assert numbers == sorted(numbers)
    assert places == [at - numbers.index(number) for at, number in enumerate(numbers)]
    assert cutter.batches == len(set(numbers))
    batches = [
        [payload for payload, number in zip(payloads, numbers, strict=True) if number == batch]
        for batch in range(max(numbers, default=-1) + 1)
    ]
    assert all(0 < len(batch) <= rows and len(body(batch)) <= bound for batch in batches)
    for batch, following in itertools.pairwise(batches):
        assert len(batch) == rows or len(body([*batch, following[0]])) > bound


def test_places_count_from_nought_in_each_batch() -> None:
    """501 small rows are one full batch and one of a single row; no rows are no batch."""
    frame = Cutter(5_000_000).number(pl.DataFrame({"_payload": ["{}"] * 501}))
    assert frame["_batch"].to_list() == [0] * 500 + [1]
    assert frame["_slot"].to_list() == [*range(500), 0]
    assert (frame.schema["_batch"], frame.schema["_slot"]) == (pl.Int32, pl.Int32)
    assert (
        Cutter(100).number(pl.DataFrame({"_payload": []}, schema={"_payload": pl.String})).height
        == 0
    )


MAPPING = Mapping.model_validate(
    {
        "version": 1,
        "dataset": "d",
        "resource": "profiles",
        "key": ["k"],
        "columns": {"k": {"from": "k", "type": "text"}, "n": {"from": "n", "type": "integer"}},
    }
)


@given(
    st.lists(
        st.tuples(st.text(max_size=20), st.none() | st.integers(-(2**31), 2**31 - 1)), max_size=8
    ),
    st.integers(2, 160),
)
def test_a_row_is_too_large_when_it_fits_in_no_body(
    rows: list[tuple[str, int | None]], bound: int
) -> None:
    """Exactly those rows whose payload with its brackets is longer than the bound, whatever characters it escapes."""
    who = {"_source": pl.String, "_id": pl.String, "_position": pl.Int64, "_element": pl.Int64}
    data = [
        {"_source": "s", "_id": f"r{at}", "_position": at, "k": k, "n": n}
        for at, (k, n) in enumerate(rows)
    ]
    frame = pl.DataFrame(data, schema={**who, "k": pl.String, "n": pl.Int32})
    sizes = [len(payload.encode()) for payload in payloads(MAPPING, frame)]
    large = large_rows(MAPPING, frame, bound)
    expected = [(at, f"{size} bytes") for at, size in enumerate(sizes) if size + 2 > bound]
    assert large.select("_at", "value").rows() == expected


def test_the_oldest_is_sent_first() -> None:
    """By recency, one without first; equals by their place in the snapshot; what is not sent has no place."""
    times = [
        datetime(2024, 1, 2),
        None,
        datetime(2024, 1, 1),
        datetime(2023, 1, 1),
        datetime(2024, 1, 1),
    ]
    sent = pl.Series([True, True, True, False, True])
    assert sending_ranks(pl.Series(times, dtype=pl.Datetime("us")), sent).to_list() == [
        3,
        0,
        1,
        None,
        2,
    ]


@given(st.lists(st.tuples(st.none() | st.integers(0, 5), st.booleans()), max_size=30))
def test_many_rows_are_put_in_the_order_that_few_are(drawn) -> None:
    """Sorted some at a time, as Python sorts all of them."""
    times = [None if day is None else datetime(2024, 1, 1 + day) for day, _ in drawn]
    recency = pl.Series(times, dtype=pl.Datetime("us"))
    sent = pl.Series([is_sent for _, is_sent in drawn], dtype=pl.Boolean)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "ROWS_SORTED", 3)
        ranks = sending_ranks(recency, sent).to_list()
    order = sorted(
        (place for place, (_, is_sent) in enumerate(drawn) if is_sent),
        key=lambda place: (times[place] or datetime.min, place),
    )
    expected: list[int | None] = [None] * len(drawn)
    for rank, place in enumerate(order):
        expected[place] = rank
    assert ranks == expected
