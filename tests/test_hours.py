"""When a load may send, against the clock on the wall."""

from __future__ import annotations

import threading
import time as clocks
from datetime import UTC, datetime, timedelta

import pytest

from migrate.app.hours import SETTLE_S, HourStop
from migrate.hours import DailyHours, SendingHours, parse_hours, sending_hours

WORKDAY = parse_hours("08:00-18:00 UTC")
NIGHT = parse_hours("22:00-06:00 UTC")


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine's zone is UTC: a time of the day on a command line is of that zone."""
    monkeypatch.setenv("TZ", "UTC")
    clocks.tzset()


@pytest.mark.parametrize(
    ("hours", "moment", "inside"),
    [
        (WORKDAY, "2026-11-30T07:59:59", False),
        (WORKDAY, "2026-11-30T08:00", True),
        (WORKDAY, "2026-11-30T18:00", False),
        (NIGHT, "2026-11-30T23:00", True),
        (NIGHT, "2026-11-30T05:59:59", True),
        (NIGHT, "2026-11-30T06:00", False),
        # In July Amsterdam is two hours ahead of UTC, in November one.
        (parse_hours("08:00-18:00 Europe/Amsterdam"), "2026-07-01T06:00", True),
        (parse_hours("08:00-18:00 Europe/Amsterdam"), "2026-11-30T06:00", False),
    ],
)
def test_hours_begin_when_the_clock_says_so_and_end_before_it(
    hours: DailyHours, moment: str, inside: bool
) -> None:
    """The first minute is inside, the last is not; over midnight too, and in the zone that is named."""
    assert hours.holds(at(moment)) is inside


def test_a_load_in_quiet_hours_waits_for_their_end() -> None:
    """At noon of a working day it may send at 18:00, and has to be done at 08:00 of the next one."""
    hours = SendingHours(quiet=(WORKDAY,))
    opens = hours.opens_at(at("2026-11-30T12:00"))
    assert opens == at("2026-11-30T18:00")
    assert hours.closes_at(opens) == at("2026-12-01T08:00")
    assert hours.opens_at(at("2026-11-30T20:00")) == at("2026-11-30T20:00")


def test_the_forecast_leaves_quiet_hours_out() -> None:
    """20 hours of work begun in quiet hours: 14 from 18:00 until 08:00, and six more from 18:00 on."""
    hours = SendingHours(quiet=(WORKDAY,))
    assert hours.done_at(at("2026-11-30T16:00"), 20 * 3600) == at("2026-12-02T00:00")
    assert SendingHours().done_at(at("2026-11-30T16:00"), 3600) == at("2026-11-30T17:00")


def test_a_time_of_the_day_is_the_next_one() -> None:
    """At 23:00 `--until 06:00` is tomorrow's; at 05:00 it is today's."""
    late = sending_hours(None, "06:00", (), at("2026-11-30T23:00"))
    assert late.until == at("2026-12-01T06:00")
    early = sending_hours(None, "06:00", (), at("2026-11-30T05:00"))
    assert early.until == at("2026-11-30T06:00")


def test_not_before_is_of_today_and_begins_at_once_when_it_is_past() -> None:
    """At 20:00 `--not-before 22:00` waits two hours; at 23:00 it waits for nothing."""
    assert sending_hours("22:00", None, (), at("2026-11-30T20:00")).opens_at(
        at("2026-11-30T20:00")
    ) == at("2026-11-30T22:00")
    now = at("2026-11-30T23:00")
    assert sending_hours("22:00", None, (), now).opens_at(now) == now


def test_both_are_the_hours_of_every_night() -> None:
    """The same command means: tonight when it is day, now when it is night, and always an end at six."""
    for now, opens, closes in (
        ("2026-11-30T12:00", "2026-11-30T22:00", "2026-12-01T06:00"),
        ("2026-11-30T23:00", "2026-11-30T23:00", "2026-12-01T06:00"),
        ("2026-11-30T03:00", "2026-11-30T03:00", "2026-11-30T06:00"),
    ):
        hours = sending_hours("22:00", "06:00", (), at(now))
        assert hours.opens_at(at(now)) == at(opens)
        assert hours.closes_at(at(opens)) == at(closes)


def test_a_moment_may_be_named_as_a_whole() -> None:
    """With its day and zone it is that moment; one that is over is refused."""
    found = sending_hours(None, "2026-12-01T06:00+01:00", (), at("2026-11-30T12:00"))
    assert found.until == at("2026-12-01T05:00")
    with pytest.raises(ValueError, match="is over already"):
        sending_hours(None, "2026-11-30T06:00", (), at("2026-11-30T12:00"))


@pytest.mark.parametrize("text", ["25:00-06:00", "morning", "08:00-08:00", "08:00-18:00 Mars/Base"])
def test_what_are_no_hours_is_refused(text: str) -> None:
    """A slip in the project file is told, and not taken for always or never."""
    with pytest.raises(ValueError, match=text.rsplit(maxsplit=1)[-1].split("-", maxsplit=1)[0]):
        parse_hours(text)


def test_a_load_stops_in_time_for_what_is_in_flight() -> None:
    """So many seconds before its hours end nothing more leaves; until then everything does."""
    hours = SendingHours(until=at("2026-11-30T06:00"))
    for early_s, stops in ((SETTLE_S + 1, False), (SETTLE_S, True)):
        now = at("2026-11-30T06:00") - timedelta(seconds=early_s)
        assert HourStop(threading.Event(), hours, lambda now=now: now).is_set() is stops


def test_who_asks_to_stop_is_heard_within_the_hours_too() -> None:
    """The job's own stop counts, and a wait ends with it."""
    asked = threading.Event()
    stop = HourStop(asked, SendingHours(), lambda: at("2026-11-30T06:00"))
    assert not stop.is_set()
    asked.set()
    assert stop.wait(60)
