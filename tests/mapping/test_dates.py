"""Times and dates out of text."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.dates import read_dates, read_datetimes, source_zones
from migrate.mapping.transform import Mapped, Settings

AMSTERDAM = "Europe/Amsterdam"


def _read(text: str, zone: str = "UTC", spelling: str | None = None) -> tuple[object, ...]:
    return read_datetimes(pl.Series([text]), pl.Series([zone]), spelling).row(0)


@pytest.mark.parametrize(
    ("text", "zone", "wanted"),
    [
        ("2020-04-28 14:08:45", "UTC", "2020-04-28 14:08:45"),
        ("2020-04-28T14:08:45Z", AMSTERDAM, "2020-04-28 14:08:45"),
        ("2020-04-28 14:08:45", AMSTERDAM, "2020-04-28 12:08:45"),
        ("2020-04-28T14:08:45+02:00", "UTC", "2020-04-28 12:08:45"),
        ("2020-04-28T14:08:45-0330", "UTC", "2020-04-28 17:38:45"),
        ("2020-04-28T14:08:45+02", "UTC", "2020-04-28 12:08:45"),
        ("2020-04-28 14:08:45.999", "UTC", "2020-04-28 14:08:45"),
        ("2020-04-28", AMSTERDAM, "2020-04-28 00:00:00"),
        ("2020-03-29 02:30:00", AMSTERDAM, "2020-03-29 01:30:00"),
        ("2020-10-25 02:30:00", AMSTERDAM, "2020-10-25 00:30:00"),
        ("2011-12-30 12:00:00", "Pacific/Apia", "2011-12-30 22:00:00"),
        ("0001-01-01 00:00:00", "UTC", "0001-01-01 00:00:00"),
    ],
)
def test_known_spellings(text: str, zone: str, wanted: str) -> None:
    """Naive times are of the given zone, others of their own; a gap moves forward, a fold is the earlier."""
    value, rule = _read(text, zone)[:2]
    assert rule is None
    assert str(value) == wanted


@pytest.mark.parametrize(
    ("text", "zone", "rule"),
    [
        ("0000-00-00 00:00:00", "UTC", "zero_date"),
        ("0000-00-00", "UTC", "zero_date"),
        ("2020-02-30 00:00:00", "UTC", "not_a_datetime"),
        ("2020-01-01 24:00:00", "UTC", "not_a_datetime"),
        ("2020-01-01 23:59:60", "UTC", "not_a_datetime"),
        ("1588082925", "UTC", "not_a_datetime"),
        ("28/04/2020", "UTC", "not_a_datetime"),
        ("2020-1-1 1:2:3", "UTC", "not_a_datetime"),
        (" 2020-01-01", "UTC", "not_a_datetime"),
        ("2020-01-01\n", "UTC", "not_a_datetime"),
        ("0000-01-01 00:00:00", "UTC", "out_of_calendar"),
        ("2020-00-00", "UTC", "not_a_datetime"),
        ("0001-01-01 00:00:00", AMSTERDAM, "out_of_calendar"),
        ("9999-12-31T23:00:00-05:00", "UTC", "out_of_calendar"),
        ("2020-01-01T00:00:00+99:00", "UTC", "not_a_datetime"),
    ],
)
def test_what_is_no_time(text: str, zone: str, rule: str) -> None:
    """Zero dates, impossible days and hours, epochs and day-month orders each break a named rule."""
    assert _read(text, zone)[:2] == (None, rule)


@pytest.mark.parametrize(
    ("text", "spelling", "wanted"),
    [
        ("1588082925", "epoch_s", "2020-04-28 14:08:45"),
        ("1588082925123", "epoch_ms", "2020-04-28 14:08:45"),
        ("28/04/2020 14:08", "%d/%m/%Y %H:%M", "2020-04-28 14:08:00"),
        ("28-04-2020", "%d-%m-%Y", "2020-04-28 00:00:00"),
        ("28/04/2020 14:08 +0200", "%d/%m/%Y %H:%M %z", "2020-04-28 12:08:00"),
        ("-1", "epoch_s", "1969-12-31 23:59:59"),
    ],
)
def test_spellings_a_column_names(text: str, spelling: str, wanted: str) -> None:
    """Epochs and other orders are read when `format` says so."""
    assert str(_read(text, "UTC", spelling)[0]) == wanted


@pytest.mark.parametrize(
    "text", ["01-02-24", "01-02-0024", " 01-02-2024", "01- 2-2024", "01-02-2024 "]
)
def test_a_year_cut_short_or_a_stray_space_is_no_spelling(text: str) -> None:
    """`%Y` means four digits: 24 is not the year 24; and a spelling without spaces has none."""
    assert _read(text, "UTC", "%d-%m-%Y")[:2] == (None, "not_a_datetime")
    assert read_dates(pl.Series([text]), "%d-%m-%Y").row(0)[:2] == (None, "not_a_date")


def test_counts_what_it_assumes(run: Callable[..., Mapped]) -> None:
    """Assumed zones, dropped fractions, gaps and folds are counted per column."""
    texts = [
        "2020-03-29 02:30:00",
        "2020-10-25 02:30:00",
        "2020-04-28T14:08:45.5Z",
        "2020-04-28T14:08:45.000Z",
        "2020-01-01",
    ]
    found = run("type: datetime", texts, Settings({"*": AMSTERDAM}))
    assert found.losses == {
        "x": {"zone_assumed": 2, "dst_gap": 1, "dst_fold": 1, "fraction_dropped": 1}
    }


def test_zone_of_each_source(run: Callable[..., Mapped]) -> None:
    """The source's own zone goes before `*`, the column's `timezone` before both."""
    zones = Settings({"*": "UTC", "shop": AMSTERDAM})
    texts: list[str | None] = ["2020-01-01 12:00:00"] * 2
    found = run("type: datetime", texts, zones, sources=["shop", None])
    assert [str(value) for value in found.accepted["x"]] == [
        "2020-01-01 11:00:00",
        "2020-01-01 12:00:00",
    ]
    found = run("type: datetime, timezone: Asia/Tokyo", texts, zones, sources=["shop", None])
    assert [str(value) for value in found.accepted["x"]] == ["2020-01-01 03:00:00"] * 2


def test_default_zone_is_utc() -> None:
    """Where nothing is set, naive times are UTC."""
    assert source_zones(pl.Series(["a", None]), {}).to_list() == ["UTC", "UTC"]


@pytest.mark.parametrize(
    ("text", "value", "rule", "dropped"),
    [
        ("1978-06-23", date(1978, 6, 23), None, False),
        ("1978-06-23 00:00:00", date(1978, 6, 23), None, False),
        ("1978-06-23T23:30:00Z", date(1978, 6, 23), None, True),
        ("0000-00-00", None, "zero_date", False),
        ("1978-02-30", None, "not_a_date", False),
        ("23-06-1978", None, "not_a_date", False),
    ],
)
def test_dates_are_never_moved(
    text: str, value: date | None, rule: str | None, dropped: bool
) -> None:
    """A day stays the day that is written, whatever zone stands beside it."""
    assert read_dates(pl.Series([text])).row(0) == (value, rule, dropped)


_OFFSETS = st.integers(-15 * 60 + 1, 15 * 60 - 1).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=_OFFSETS | st.just(UTC)))
def test_iso_with_offset_is_pythons(moment: datetime) -> None:
    """Any moment with any offset comes out as Python would convert it, to the second."""
    value = _read(moment.isoformat())[0]
    assert value == moment.astimezone(UTC).replace(tzinfo=None, microsecond=0)


_DIGITS = st.text("0123456789", min_size=2, max_size=2)
_TIMES = st.tuples(_DIGITS, _DIGITS, _DIGITS, _DIGITS, _DIGITS, _DIGITS, _DIGITS).map(
    lambda part: f"{part[0]}{part[1]}-{part[2]}-{part[3]} {part[4]}:{part[5]}:{part[6]}"
)
_LIKELY = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(
    lambda time: time.isoformat(" ", "seconds")
)
_NEAR = st.tuples(_TIMES | _LIKELY, st.integers(0, 18), st.sampled_from("0169 :-+TZx\u00e9")).map(
    lambda drawn: drawn[0][: drawn[1]] + drawn[2] + drawn[0][drawn[1] + 1 :]
)


@given(
    st.lists(_LIKELY | _TIMES | _NEAR | st.none(), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from(["UTC", AMSTERDAM]),
)
def test_texts_of_one_spelling_read_as_any(texts: list[str | None], days: bool, zone: str) -> None:
    """Where all are plain times, or all days, they are read another way: with the same values, rules and losses."""
    mine = [text and text[:10] if days else text for text in texts]
    series = pl.Series("text", mine, dtype=pl.String)
    others = pl.Series("text", ["2020-04-28T14:08:45+02:00", "x"])
    together = pl.concat([series, others])
    zones = pl.Series([zone]).new_from_index(0, len(together))
    alone = read_datetimes(series, zones.head(len(series)))
    assert alone.rows() == read_datetimes(together, zones).head(len(series)).rows()
    assert read_dates(series).rows() == read_dates(together).head(len(series)).rows()


@pytest.mark.parametrize(
    "odd",
    [
        "2020-04-28T14:08:45", "2020-4-28  14:08:45", "2020-04-28 14:08: 5", "-020-04-28 14:08:45",
        "12020-4-28 14:08:45", "2020-04-28 24:00:00", "2020-04-28 23:59:60", "2020-04-28 29:59:59",
        "2020-04-28 14.08:45", "2020/04-28 14:08:45", "2020-02-30 14:08:45", "0000-00-00 00:00:00",
    ],
)  # fmt: skip  # nineteen letters each
def test_what_nearly_is_a_plain_time_reads_as_among_others(odd: str) -> None:
    """What polars would take for a time, or what only looks like one: alone it is read as beside other spellings."""
    series = pl.Series("text", [odd, odd])
    together = pl.concat([series, pl.Series("text", ["2020-04-28T14:08:45+02:00", "x"])])
    zones = pl.Series(["UTC"] * 4)
    assert (
        read_datetimes(series, zones.head(2)).rows()
        == read_datetimes(together, zones).head(2).rows()
    )


def test_machine_zone_plays_no_part() -> None:
    """The machine's own zone changes nothing."""
    before = os.environ.get("TZ")
    try:
        answers = []
        for zone in ("UTC", "America/St_Johns"):
            os.environ["TZ"] = zone
            time.tzset()
            answers.append([_read("2020-03-29 02:30:00", AMSTERDAM), _read("2020-04-28 14:08:45")])
        assert answers[0] == answers[1]
    finally:
        os.environ.pop("TZ") if before is None else os.environ.__setitem__("TZ", before)
        time.tzset()
