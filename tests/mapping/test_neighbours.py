"""Values read beside others: each as it is alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, get_args

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.mapping.dates import read_dates, read_datetimes
from migrate.mapping.model import Mapping
from migrate.mapping.numbers import FloatDigits, read_floats

Make = Callable[..., Mapping]
Rows = Callable[..., pl.DataFrame]

_TEXTS = st.sampled_from(
    ["", "1", " 1 ", "x", "X", "1,5", "1,234", "a@b.nl", "0.1234567", "[1]", "\0", "NULL", "9" * 20]
)
_TIMES = st.sampled_from(
    [
        "2020-01-01",
        "2020-03-29 02:30:00",
        "2020-10-25 02:30:00",
        "2020-04-28T14:08:45.5Z",
        "2020-04-28 14:08:45 -0001",
        "0000-00-00",
        "x",
        "",
    ]
)
_ZONES = st.sampled_from(["UTC", "Europe/Amsterdam", "America/St_Johns"])
_CLOCK = st.datetimes(datetime(2020, 3, 29), datetime(2020, 3, 30)) | st.datetimes(
    datetime(2020, 10, 25), datetime(2020, 10, 26)
)
_SPELT = st.one_of(
    st.none(),
    _TIMES,
    _CLOCK.map(lambda time: time.strftime("%Y-%m-%d %H:%M:%S")),
    _CLOCK.map(lambda time: time.strftime("%Y-%m-%dT%H:%M:%S+0200")),
    _CLOCK.map(lambda time: time.strftime("%Y-%m-%d")),
)


@given(st.lists(st.tuples(_SPELT, _ZONES), min_size=1, max_size=8))
@settings(max_examples=40)
def test_times_beside_each_other_change_nothing(
    data: list[tuple[str | None, str]],
) -> None:
    """Whatever spellings and zones stand in one column, each text is read as it is alone."""

    def read(some: list[tuple[str | None, str]]) -> list[tuple[object, ...]]:
        texts, zones = (
            pl.Series([text for text, _ in some], dtype=pl.String),
            pl.Series([zone for _, zone in some]),
        )
        times, days = read_datetimes(texts, zones).rows(), read_dates(texts).rows()
        return [(*time, *day) for time, day in zip(times, days, strict=True)]

    alone = [read([entry])[0] for entry in data]
    assert read(data) == alone


@given(
    st.lists(st.none() | _TEXTS | st.decimals(-(10**10), 10**10).map(str), min_size=1, max_size=8),
    st.booleans(),
)
@settings(max_examples=40)
def test_floats_beside_each_other_change_nothing(texts: list[str | None], rounding: bool) -> None:
    """A number is read as it is alone, whether or not its neighbours fit."""
    for digits in get_args(FloatDigits):
        policy: Literal["round", "reject"] = "round" if rounding else "reject"
        alone = [
            read_floats(pl.Series([text], dtype=pl.String), digits, policy).row(0) for text in texts
        ]
        assert read_floats(pl.Series(texts, dtype=pl.String), digits, policy).rows() == alone
