"""Which of two written times is later, whatever each is written like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.moments import is_later

SPELLINGS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M:%S", "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%S", "%d-%m-%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
    "%d %b %Y %H:%M:%S", "%d %B %Y, %H:%M:%S", "%b %d, %Y %H:%M:%S", "%B %d %Y %I:%M:%S %p", "%a, %d %b %Y %H:%M:%S",
    "%a %b %d %H:%M:%S %Y", "%d-%b-%Y %H:%M:%S", "%d-%b-%y %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S,%f",
)  # fmt: skip  # five a line
ZONED = ("%Y-%m-%dT%H:%M:%S%z", "%a, %d %b %Y %H:%M:%S %z", "%Y-%m-%d %H:%M:%S %z", "%d %b %Y %H:%M:%S %z")  # fmt: skip
moments = st.datetimes(datetime(1971, 1, 1), datetime(2068, 1, 1)).map(
    lambda found: found.replace(microsecond=0)
)


@pytest.mark.parametrize(
    ("later", "earlier"),
    [
        ("01-01-2020 10:00", "31-12-2019"),
        ("2020-01-01 10:00:00", "31-12-2019"),
        ("1/1/2020", "12/31/2019"),
        ("1577836800", "999999999"),
        ("1577836800000", "1577836799"),
        ("2019-12-31T23:30:00Z", "2020-01-01T00:30:00+02:00"),
        ("2020-01-01T10:00:00.5Z", "2020-01-01T10:00:00.25Z"),
        ("2020-10-1", "2020-9-30"),
        ("1 Jan 2020", "31 Dec 2019"),
        ("1 januari 2020", "31 december 2019"),
        ("1 mei 2020", "30 april 2020"),
        ("Jan 1, 2020", "Dec 31, 2019"),
        ("01/01/2020 1:00 PM", "01/01/2020 11:00 AM"),
        ("01/01/2020 12:30 PM", "01/01/2020 12:30 AM"),
        ("Wed, 01 Jan 2020 10:00:00 +0100", "2020-01-01T08:59:59Z"),
        ("20200101", "20191231"),
        ("2020-01-01", "2020-01-00"),
        ("2020-03", "2020-02-29"),
        ("20200101100000", "20191231235959"),
        ("01-01-20", "31-12-19"),
        ("2020-W02-1", "2020-W01-7"),
        ("Wed Jan  1 10:00:00 2020", "Tue Dec 31 10:00:00 2019"),
        ('{"$date":"2020-01-01T00:00:00Z"}', '{"$date":"2019-12-31T00:00:00Z"}'),
        ('{"$date":{"$numberLong":"1577836800000"}}', '{"$date":1577836799999}'),
        ('{"date":"2020-01-01 00:00:00.000000","timezone_type":3,"timezone":"UTC"}', "2019-12-31 23:00:00Z"),
        ("/Date(1577836800000)/", "/Date(1577836799999)/"),
        ("2020-01-01 24:00:00", "2020-01-01 23:59:59"),
    ],
)  # fmt: skip  # a pair a line
def test_the_later_one_is_told_in_any_spelling(later: str, earlier: str) -> None:
    """Both ways round."""
    assert is_later(later, earlier) is True
    assert is_later(earlier, later) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("03-04-2020", "04-03-2020"),
        ("2020-01-01 10:00:00", "2020-01-01T05:00:00Z"),
        ("soon", "2020-01-01"),
        ("", "2020-01-01"),
        (None, None),
        ("0000-00-00 00:00:00", "2020-01-01"),
        ("2020-02-30", "2020-01-01"),
        ("2020-01-01", "2020-01-01T00:00:00"),
        ("2020-01-01 25:00", "2020-01-01"),
        ("{}", "[]"),
    ],
)
def test_what_cannot_be_told_is_not_guessed(one: str | None, other: str | None) -> None:
    """Two readings that disagree, a missing zone that may matter, no time at all, the same moment."""
    assert is_later(one, other) is None
    assert is_later(other, one) is None


@given(
    first=moments, second=moments, left=st.sampled_from(SPELLINGS), right=st.sampled_from(SPELLINGS)
)
def test_naive_times_are_ordered_or_not_told(
    first: datetime, second: datetime, left: str, right: str
) -> None:
    """Never the wrong way round; and in one spelling that cannot be mistaken always told."""
    found = is_later(first.strftime(left), second.strftime(right))
    numbers = ("%d-%m", "%d/%m", "%d.%m", "%m/%d")
    ambiguous = left.startswith(numbers) or right.startswith(numbers)
    if found is None:
        assert first == second or ambiguous
    else:
        assert found is (first > second)


@given(
    first=moments, second=moments, left=st.sampled_from(ZONED), right=st.sampled_from(ZONED),
    hours=st.tuples(st.integers(-12, 14), st.integers(-12, 14)),
)  # fmt: skip
def test_zones_are_taken_into_account(
    first: datetime, second: datetime, left: str, right: str, hours: tuple[int, int]
) -> None:
    """Times with offsets are ordered as moments."""
    one, other = (
        moment.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=offset)))
        for moment, offset in zip((first, second), hours, strict=True)
    )
    found = is_later(one.strftime(left), other.strftime(right))
    assert found is (None if first == second else first > second)


@given(st.text(max_size=30))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """It is a time or it is none."""
    assert is_later(text, text) is None
