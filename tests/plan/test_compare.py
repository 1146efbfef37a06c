"""When a value of the target is the value we would send."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan.compare import differing, differs

TEXT, WHOLE, FLOAT, TRUTH = pl.String(), pl.Int32(), pl.Decimal(16, 6), pl.Boolean()
TIME, DAY = pl.Datetime("us"), pl.Date()
NOON = datetime(2024, 3, 31, 12, 0, 0)


def is_other(planned: Any, held: str | None, dtype: pl.DataType) -> bool:
    """The verdict on one pair."""
    pair = pl.DataFrame(
        {"planned": pl.Series([planned], dtype=dtype), "held": pl.Series([held], dtype=pl.String)}
    )
    verdict = pair.select(differs(pl.col("planned"), pl.col("held"), dtype)).item()
    assert verdict is not None
    return bool(verdict)


@pytest.mark.parametrize(
    ("planned", "held", "dtype"),
    [
        ("1", "1", TEXT),
        (" a", " a", TEXT),
        (None, None, TEXT),
        (None, "", TEXT),
        ("", None, TEXT),
        (1, "1", WHOLE),
        (1, "1.0", WHOLE),
        (-5, "-5.000", WHOLE),
        (1000, "1e3", WHOLE),
        (None, "", WHOLE),
        (Decimal("1.10"), "1.1", FLOAT),
        (Decimal("1.1"), "1.100000000", FLOAT),
        (Decimal("0"), "-0.0", FLOAT),
        (Decimal("12"), "12", FLOAT),
        (True, "true", TRUTH),
        (True, "TRUE", TRUTH),
        (False, "f", TRUTH),
        (False, "0", TRUTH),
        (NOON, "2024-03-31 12:00:00", TIME),
        (NOON, "2024-03-31T12:00:00.000Z", TIME),
        (NOON, "2024-03-31 12:00:00+00", TIME),
        (NOON, "2024-03-31T14:00:00+02:00", TIME),
        (NOON, "2024-03-31 14:00:00+02", TIME),
        (NOON, "2024-03-31T08:30:00.000-0330", TIME),
        (date(1978, 6, 23), "1978-06-23", DAY),
        (date(1978, 6, 23), "1978-06-23 00:00:00", DAY),
        (date(1978, 6, 23), "1978-06-23T00:00:00.000Z", DAY),
        (None, None, DAY),
    ],
)
def test_equal_by_the_stated_rules(planned: Any, held: str | None, dtype: pl.DataType) -> None:
    """Spellings of one value in one type are one value."""
    assert not is_other(planned, held, dtype)


@pytest.mark.parametrize(
    ("planned", "held", "dtype"),
    [
        ("1", "1.0", TEXT),
        ("a", "A", TEXT),
        ("a", "a ", TEXT),
        ("é", "e\u0301", TEXT),
        (None, "null", TEXT),
        ("a", None, TEXT),
        (1, "2", WHOLE),
        (1, "one", WHOLE),
        (None, "one", WHOLE),
        (1, None, WHOLE),
        (Decimal("19.99"), "19.989999", FLOAT),
        (Decimal("0.1"), "0.100000000000000006", FLOAT),
        (Decimal("1"), "NaN", FLOAT),
        (True, "false", TRUTH),
        (True, "yes", TRUTH),
        (None, "false", TRUTH),
        (NOON, "2024-03-31 12:00:00.5", TIME),
        (NOON, "2024-03-31 12:00:00+02:00", TIME),
        (NOON, "31/03/2024 12:00", TIME),
        (date(1978, 6, 23), "1978-06-22T22:00:00.000Z", DAY),
    ],
)
def test_different_by_the_stated_rules(planned: Any, held: str | None, dtype: pl.DataType) -> None:
    """What is not the same value is sent again; what the target holds and cannot be read in the type, too."""
    assert is_other(planned, held, dtype)


@given(st.decimals(-1000, 1000, places=6), st.integers(0, 3))
def test_a_float_is_compared_as_a_decimal(value: Decimal, zeros: int) -> None:
    """Zeros at the end change nothing, the last digit does."""
    assert not is_other(value, str(value) + "0" * zeros, FLOAT)
    assert is_other(value, str(value) + "0" * zeros + "1", FLOAT)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    None,
                    datetime(2024, 1, 2, 3, 4, 5),
                    datetime(1, 1, 1),
                    datetime(9999, 12, 31, 23, 59, 59),
                ]
            ),
            st.sampled_from(
                [
                    *(
                        None,
                        "",
                        "x",
                        "2024-01-02T03:04:05Z",
                        "2024-01-02 03:04:05",
                        "2024-01-02T03:04:05.000001Z",
                    ),
                    *(
                        "2024-01-02T05:04:05+02:00",
                        "0001-01-01T00:00:00.000Z",
                        "9999-12-31",
                        "2024-01-02T03:04:05",
                    ),
                ]
            ),
        ),
        max_size=12,
    )
)
def test_the_quick_reading_of_times_finds_the_same(pairs) -> None:
    """Whatever spelling stands first, and whatever others follow: the same rows differ as without the short cut."""
    frame = pl.DataFrame(pairs, schema={"new": pl.Datetime("us"), "old": pl.String}, orient="row")
    slow = frame.select(differs(pl.col("new"), pl.col("old"), pl.Datetime("us"))).to_series()
    assert differing(frame.with_columns(sent=True), pl.Datetime("us")).to_list() == slow.to_list()


HELD_TEXTS = [
    "1",
    "1.0",
    "+1",
    " 1",
    "01",
    "1e0",
    "-0",
    "true",
    "T",
    "false",
    "0",
    "",
    None,
    "1.100000",
    "x",
    "4294967297",
]


@given(
    st.sampled_from([WHOLE, FLOAT, TRUTH, TEXT]),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(HELD_TEXTS), st.booleans()), max_size=12),
)
def test_what_is_plainly_the_same_is_what_the_rules_say(dtype: pl.DataType, drawn) -> None:
    """In every type and spelling, and nothing differs that is not sent."""
    planned = {
        WHOLE: [None, 0, 1, 2],
        FLOAT: [None, Decimal("0"), Decimal("1"), Decimal("1.1")],
        TRUTH: [None, True, False, True],
        TEXT: [None, "", "1", "true"],
    }[dtype]
    new = pl.Series("new", [planned[at] for at, _, _ in drawn], dtype=dtype)
    old = pl.Series("old", [held for _, held, _ in drawn], dtype=pl.String)
    pairs = pl.DataFrame(
        [new, old, pl.Series("sent", [sent for _, _, sent in drawn], dtype=pl.Boolean)]
    )
    slow = pairs.select(pl.col("sent") & differs(pl.col("new"), pl.col("old"), dtype)).to_series()
    assert differing(pairs, dtype).to_list() == slow.to_list()
