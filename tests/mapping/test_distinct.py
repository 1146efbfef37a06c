"""Columns of few different texts: worked on once a text, and nothing of it to be seen in what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal, get_args
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.mapping import series
from migrate.mapping.dates import read_dates, read_datetimes
from migrate.mapping.mapped import Mapped
from migrate.mapping.model import Mapping
from migrate.mapping.numbers import FloatDigits, read_floats
from migrate.mapping.series import find_distinct
from migrate.mapping.transform import Settings, map_rows

Make = Callable[..., Mapping]
Rows = Callable[..., pl.DataFrame]

EVERY_TYPE = """n: {from: n, type: integer, on_invalid: null}
f: {from: n, type: float, apply: [trim, decimal_comma]}
d: {from: d, type: datetime, on_invalid: omit}
y: {from: d, type: date, on_invalid: omit, null: send}
b: {from: t, type: boolean, values: {"1": true, "x": false}, unlisted: omit, default: false}
c: {from: [t, n], type: boolean, consent: true, apply: [trim], values: {"1": true, "x": false}, unlisted: omit}
t: {from: t, type: text, apply: [trim, uppercase, truncate: 2], null: send}
e: {from: t, type: text, apply: [email], on_invalid: omit}
s: {sql: "UPPER(t) || n", type: text, apply: [sha256]}
j: {from: n, type: json, on_invalid: null}"""
_TEXTS = st.sampled_from(
    ["", "1", " 1 ", "x", "X", "1,5", "1,234", "a@b.nl", "0.1234567", "[1]", "\0", "NULL", "9" * 20]
)
_TIMES = st.sampled_from(
    [
        "2020-01-01",
        "2020-03-29 02:30:00",
        "2020-10-25 02:30:00",
        "2020-04-28T14:08:45.5Z",
        "0000-00-00",
        "x",
        "",
    ]
)
_ROW = st.fixed_dictionaries(
    {"n": st.none() | _TEXTS, "t": st.none() | _TEXTS, "d": st.none() | _TIMES}
)


@contextmanager
def always() -> Iterator[None]:
    """However few the rows, each different text is worked on once."""
    with patch.object(series, "LEAST_ROWS", 1), patch.object(series, "_MANY", 2.0):
        yield


def _all_of(found: Mapped) -> list[object]:
    frames = [found.accepted, found.rejected]
    told = [(frame.schema, frame.rows()) for frame in frames]
    return [*told, found.read, found.filtered, found.orphans, found.losses, found.loss_examples]


@given(st.lists(_ROW, min_size=1, max_size=12))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_by_text_is_row_by_row(
    mapping: Make, rows: Rows, data: list[dict[str, str | None]]
) -> None:
    """Values, rules, losses and examples are the same whether each row is worked on or each different text."""
    made = mapping(EVERY_TYPE)
    frame = rows(**{name: [row[name] for row in data] for name in "ntd"})
    zones = Settings({"*": "Europe/Amsterdam"})
    expected = _all_of(map_rows(made, frame, {}, zones))
    with always():
        assert _all_of(map_rows(made, frame, {}, zones)) == expected


@given(st.lists(st.none() | st.text(max_size=3), min_size=1))
def test_spread_gives_back_the_texts(texts: list[str | None]) -> None:
    """Each text's number leads back to it, null and '' apart; and each is there once."""
    with always():
        few = find_distinct(pl.Series(texts, dtype=pl.String))
    if few is None:
        assert set(texts) == {None}
        return
    assert few.spread(few.texts).to_list() == texts
    assert few.texts[-1] is None
    assert sorted(few.texts[:-1]) == sorted({text for text in texts if text is not None})


def test_found_only_where_it_pays() -> None:
    """Many rows of few texts are; few rows, and rows that all differ, are not."""
    many = pl.Series([str(i % 50) for i in range(series.LEAST_ROWS)])
    few = find_distinct(many)
    assert few is not None
    assert len(few.texts) == 51
    assert find_distinct(many.head(series.LEAST_ROWS - 1)) is None
    assert find_distinct(pl.Series([str(i) for i in range(series.LEAST_ROWS)])) is None


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


@pytest.mark.parametrize("together", [False, True])
@given(st.lists(st.tuples(_SPELT, _ZONES), min_size=1, max_size=8))
@settings(max_examples=40)
def test_times_beside_each_other_change_nothing(
    together: bool, data: list[tuple[str | None, str]]
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
    if not together:
        assert read(data) == alone
        return
    with always():
        assert read(data) == alone
        assert read([(text, "America/St_Johns") for text, _ in data]) == [
            read([(text, "America/St_Johns")])[0] for text, _ in data
        ]


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
