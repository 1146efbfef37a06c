"""Formats of times: a closed list of codes, and the spellings that need none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.dates import read_dates, read_datetimes, source_zones
from migrate.mapping.formats import MEANINGS, refuse_format
from migrate.mapping.model import Mapping
from migrate.mapping.recency import rank_times
from migrate.mapping.transform import Settings, map_rows
from migrate.verify.times import is_zero_date, parse_ranked, parser_of, to_utc

Make = Callable[..., Mapping]
Rows = Callable[..., pl.DataFrame]
AMSTERDAM = "Europe/Amsterdam"


def _read(text: str, spelling: str | None, zone: str = AMSTERDAM, pivot: int | None = None) -> str:
    value, rule = read_datetimes(pl.Series([text]), pl.Series([zone]), spelling, pivot).row(0)[:2]
    return rule or str(value)


def _verified(
    text: str, spelling: str | None, zone: str = AMSTERDAM, pivot: int | None = None
) -> str:
    """The same by the verifier's own reading."""
    parse = parser_of(spelling, pivot)
    assert parse is not None
    try:
        return str(to_utc(parse(text), zone))
    except (ValueError, OverflowError):
        return "zero_date" if is_zero_date(text, spelling) else "not_a_datetime"


@pytest.mark.parametrize(
    ("text", "spelling", "wanted"),
    [
        ("28-04-2020 14:08", "%d-%m-%Y %H:%M", "2020-04-28 12:08:00"),
        ("28-04-2020 14:08", "%d-%m-%Y %k:%M", "2020-04-28 12:08:00"),
        ("28-04-2020  2:08 pm", "%d-%m-%Y %l:%M %p", "2020-04-28 12:08:00"),
        ("28-04-2020 12:08 AM", "%d-%m-%Y %I:%M %p", "2020-04-27 22:08:00"),
        ("8-4-2020 9:05", "%d-%m-%Y %H:%M", "2020-04-08 07:05:00"),
        ("31-12-69", "%d-%m-%y", "1969-12-31 00:00:00"),
        ("31-12-68", "%d-%m-%y", "2068-12-31 00:00:00"),
        ("28 april 2020", "%d %B %Y", "2020-04-28 00:00:00"),
        ("3 mrt. 2020", "%d %b %Y", "2020-03-03 00:00:00"),
        ("3 März 2020", "%d %b %Y", "2020-03-03 00:00:00"),
        ("3 août 2020", "%d %b %Y", "2020-08-03 00:00:00"),
        ("dinsdag 28 april 2020 14:08", "%A %d %B %Y %H:%M", "2020-04-28 12:08:00"),
        ("2020-04-28 14:08:45 -0001", None, "2020-04-28 14:09:45"),
        ("Tue, 28 Apr 2020 14:08:45 -0001", None, "2020-04-28 14:09:45"),
        ("2020-04-28 14:08:45 UTC", "%Y-%m-%d %H:%M:%S %Z", "2020-04-28 14:08:45"),
        ("2020-04-28 14:08:45 CET", "%Y-%m-%d %H:%M:%S %Z", "not_a_datetime"),
        ("28/04/2020 14:08 +0200", "%d/%m/%Y %H:%M %z", "2020-04-28 12:08:00"),
        ("28/04/2020 14:08 -03:30", "%d/%m/%Y %H:%M %z", "2020-04-28 17:38:00"),
        ("20200428140845", "%Y%m%d%H%M%S", "2020-04-28 12:08:45"),
        ("1577836800", "%Y%m%d%H%M%S", "not_a_datetime"),
        ("2020-119", "%Y-%j", "2020-04-28 00:00:00"),
        ("2019-366", "%Y-%j", "not_a_datetime"),
        ("04/28/20", "%D", "2020-04-28 00:00:00"),
        ("2020-04-28 14:08:45.25", "%F %T.%f", "2020-04-28 12:08:45"),
        ("29-02-2021", "%d-%m-%Y", "not_a_datetime"),
        ("28-04-2020 24:08", "%d-%m-%Y %H:%M", "not_a_datetime"),
        ("28-04-2020 13:08 pm", "%d-%m-%Y %I:%M %p", "not_a_datetime"),
        ("28-04-2020x", "%d-%m-%Y", "not_a_datetime"),
        ("1588082925", "%s", "2020-04-28 14:08:45"),
        ("1588082925", "epoch_s", "2020-04-28 14:08:45"),
        ("1588082925.75", "epoch_s", "2020-04-28 14:08:45"),
        ("1588082925123", "epoch_ms", "2020-04-28 14:08:45"),
        ("1588082925123456", "epoch_us", "2020-04-28 14:08:45"),
        ("-62169984000", "epoch_s", "zero_date"),
        ("Tue, 28 Apr 2020 14:08:45 +0200", None, "2020-04-28 12:08:45"),
        ("28 Apr 20 14:08 GMT", None, "2020-04-28 14:08:00"),
        ("Tue, 28 Apr 2020 14:08:45 EST", "rfc_2822", "2020-04-28 19:08:45"),
        ("Tue, 28 Apr 2020 14:08:45 +0200 (CEST)", "rfc_2822", "2020-04-28 12:08:45"),
        ("2020-04-28t14:08:45z", None, "2020-04-28 14:08:45"),
        ("2020-04-28 14:08:45 +02:00", None, "2020-04-28 12:08:45"),
        ("2020-04-28 14:08:45 UTC", None, "2020-04-28 14:08:45"),
        ("1990-12-31T23:59:60Z", None, "1991-01-01 00:00:00"),
        ("2020-04-28 14:08", None, "2020-04-28 12:08:00"),
        ('{"date":"2020-04-28 14:08:45.000000","timezone_type":3,"timezone":"Europe\\/Amsterdam"}', None,
         "2020-04-28 12:08:45"),
        ('{"date":"2020-04-28 14:08:45.000000","timezone_type":1,"timezone":"+05:30"}', "php_date",
         "2020-04-28 08:38:45"),
        ('{"date":"2020-04-28 14:08:45","timezone_type":2,"timezone":"CEST"}', "php_date", "2020-04-28 12:08:45"),
        ('{"date":"2020-04-28 14:08:45","timezone":"Mars/Base"}', "php_date", "not_a_datetime"),
        ('{"date":"-0001-11-30 00:00:00.000000","timezone_type":3,"timezone":"UTC"}', None, "zero_date"),
    ],
)  # fmt: skip
def test_what_a_spelling_says(text: str, spelling: str | None, wanted: str) -> None:
    """Each code means what the page says, on both sides; what does not fit is no time."""
    assert _read(text, spelling) == wanted
    assert _verified(text, spelling) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00", "0000-00-00 00:00:00", "0000-00-00T00:00:00.000Z", "00-00-0000", "00/00/0000", "00.00.0000 00:00",
        "0000/00/00", "00-00-00", "00000000", "00000000000000", "-0001-11-30 00:00:00", "-0001-11-30T00:00:00+00:00",
        "30-11--0001", "Wed, 30 Nov -0001 00:00:00 +0000",
    ],
)  # fmt: skip
@pytest.mark.parametrize("spelling", [None, "%d-%m-%Y", "%Y-%m-%d %H:%M:%S"])
def test_zero_dates_in_every_spelling(text: str, spelling: str | None) -> None:
    """A zero date is one whatever the column's format, for times and for days, on both sides."""
    assert _read(text, spelling) == "zero_date"
    assert read_dates(pl.Series([text]), spelling)["rule"][0] == "zero_date"
    assert is_zero_date(text, spelling)


@pytest.mark.parametrize(
    ("spelling", "what"),
    [
        ("%Y-%m-%dT%H:%M:%S%#z", "%# at character 18 is no code"),
        ("%d-%m-%Y %r", "%r at character 10 is no code"),
        ("%+", "%+ at character 1 is no code"),
        ("%Y-%m-%d %s", "%s at character 10 is an epoch, which stands alone"),
        ("%Y-%m-%d %", "the % at character 10 has no code behind it"),
        ("%H:%M", "names no whole day"),
        ("%Y-%m-%d %I:%M", "%I and %p go together"),
        ("%Y-%m-%d %H %I %p", "%H and %I are both hours"),
        ("%Y-%m-%d %M", "no hour"),
        ("%d-%m-%Y %Y", "%Y at character 10 gives again"),
        ("yyyy-mm-dd", "is no spelling of times"),
    ],
)
def test_what_is_no_format_is_refused_with_its_place(spelling: str, what: str) -> None:
    """The list of codes is closed; what is not on it never reads as something else."""
    assert what in str(refuse_format(spelling))


def test_pivot_sets_the_century() -> None:
    """The first year that two digits read as 19.. can be said."""
    assert _read("01-02-29", "%d-%m-%y", pivot=30) == "2029-02-01 00:00:00"
    assert _read("01-02-30", "%d-%m-%y", pivot=30) == "1930-02-01 00:00:00"
    assert _verified("01-02-30", "%d-%m-%y", pivot=30) == "1930-02-01 00:00:00"


_SPELLINGS = [
    "%d-%m-%Y %H:%M:%S", "%Y%m%d%H%M%S", "%d/%m/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S", "%a %d %b %Y %H:%M:%S",
    "%B %d, %Y %H:%M:%S", "%Y-%j %T", "%d.%m.%Y %H:%M:%S %z",
]  # fmt: skip


@given(
    st.datetimes(datetime(1000, 1, 1), datetime(9998, 1, 1)).map(
        lambda time: time.replace(microsecond=0)
    ),
    st.sampled_from(_SPELLINGS),
)
def test_what_is_written_by_a_format_is_read_by_it(moment: datetime, spelling: str) -> None:
    """Any moment written by Python under a format is read back as the same moment, on both sides."""
    text = moment.replace(tzinfo=UTC).strftime(spelling.replace("%Y", f"{moment.year:04}"))
    assert _read(text, spelling, "UTC") == str(moment)
    assert _verified(text, spelling, "UTC") == str(moment)


_PIECES = st.sampled_from(
    [
        "1",
        "01",
        "12",
        "28",
        "2020",
        "20",
        "-",
        "/",
        " ",
        ":",
        "april",
        "mei",
        "PM",
        "Z",
        "+0200",
        "x",
    ]
)


@given(
    st.lists(_PIECES, max_size=9).map("".join),
    st.sampled_from([*_SPELLINGS, "%d-%m-%y", None, "%d %B %Y", "%F %R"]),
)
def test_both_sides_read_alike(text: str, spelling: str | None) -> None:
    """Whatever a text is, plan and verifier make the same of it under a format, and the same rank."""
    if text:
        assert _read(text, spelling) == _verified(text, spelling)
        ranked = rank_times(pl.Series([text]), pl.Series([AMSTERDAM]))[0]
        assert (None if ranked is None else str(ranked)) == _ranked(text)


def _ranked(text: str) -> str | None:
    try:
        return str(to_utc(parse_ranked(text), AMSTERDAM))
    except (ValueError, OverflowError):
        return None


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("1600000000", "1500000000"),
        ("01-02-2021 10:00", "02-01-2020 10:00"),
        ("01/02/2021", "28/12/2020"),
        ("1.2.2021 10:00", "28.12.2020 10:00"),
        ("Tue, 28 Apr 2020 14:08:45 +0200", "28 Apr 2020 11:00:00 +0000"),
        ("1600000000000", "1599999999"),
        ("20210201", "20201228"),
        ("20210201100000", "20201228100000"),
        ("1 februari 2021", "28 december 2020"),
        ("2021/02/01 10:00:00", "2020/12/28 10:00:00"),
        ("12/28/2020 01:00 PM", "12/28/2020 11:00 AM"),
        ("2020-04-28T14:08:45.5Z", "2020-04-28 14:08:44"),
    ],
)
def test_the_later_record_ranks_first_however_its_time_is_spelt(
    mapping: Make, rows: Rows, newer: str, older: str
) -> None:
    """Ranking reads every known spelling, whether or not a column takes the field."""
    made = mapping(top="collapse: {order_by: [updated]}")
    times = map_rows(made, rows(updated=[newer, older]), {}, Settings()).accepted["_recency"]
    assert times[0] > times[1]


def test_ranking_goes_by_the_columns_own_reading(mapping: Make, rows: Rows) -> None:
    """The format and zone of the column that takes the field rank it; what is no time is counted."""
    made = mapping(
        "u: {from: updated, type: datetime, format: '%m/%d/%Y %H:%M', timezone: Asia/Tokyo, on_invalid: omit}",
        top="collapse: {order_by: [updated]}",
    )
    found = map_rows(
        made,
        rows(updated=["02/01/2021 10:00", "01/03/2021 10:00", "soon", None, "0000-00-00"]),
        {},
        Settings(),
    )
    times = [time and str(time) for time in found.accepted["_recency"]]
    assert times == ["2021-02-01 01:00:00", "2021-01-03 01:00:00", None, None, None]
    assert found.losses["collapse.order_by"] == {"unranked": 1}
    [example] = found.loss_examples["collapse.order_by"]["unranked"]
    assert example.pair == ("soon", None)


def test_other_names_of_a_source_have_its_zone() -> None:
    """Where aliases make two names one source, the zone set for either is that of both."""
    zones, aliases = {"Magento 2": AMSTERDAM, "*": "UTC"}, {"Magento2": "Magento 2"}
    assert source_zones(pl.Series(["Magento2", "Magento 2", "x", None]), zones, aliases).to_list() == [
        AMSTERDAM, AMSTERDAM, "UTC", "UTC",
    ]  # fmt: skip
    turned = source_zones(pl.Series(["Magento 2"]), {"Magento2": AMSTERDAM}, aliases)
    assert turned.to_list() == [AMSTERDAM]


def test_every_code_has_a_meaning() -> None:
    """The page's list is the list that formats are read by."""
    assert all(MEANINGS.values())
    assert refuse_format("%Y-%m-%d %H:%M:%S") is None
