"""When a load may send: hours of the day in which nothing is sent, a moment to begin and one to be done. Pure.

Hours are of a time zone, so that they stay what a clock on the wall shows when summer time begins or ends. Moments have
a zone; the present is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_HOURS = re.compile(r"\s*(\S+?)\s*-\s*(\S+?)(?:\s+([A-Za-z][\w+/-]*))?\s*")
_DAY = timedelta(days=1)
_LONGEST = 400
"""So many openings are looked at before a forecast gives up: a load of more than a year is no load."""


@dataclass(frozen=True)
class DailyHours:
    """From `begins` until `ends` every day, over midnight where it ends earlier; `zone` None is this machine's."""

    begins: time
    ends: time
    zone: str | None = None

    @property
    def told(self) -> str:
        """As it is written in a project file."""
        zone = f" {self.zone}" if self.zone else ""
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}{zone}"

    def holds(self, now: datetime) -> bool:
        """Whether a moment is within these hours."""
        clock = now.astimezone(_zone(self.zone)).time()
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends

    def next_beginning(self, now: datetime) -> datetime:
        """The first moment after `now` at which these hours begin."""
        return next_clock(self.begins, now, self.zone)

    def next_end(self, now: datetime) -> datetime:
        """The first moment after `now` at which these hours end."""
        return next_clock(self.ends, now, self.zone)


@dataclass(frozen=True)
class SendingHours:
    """When a load may send: not before a moment, not from another one on, and in none of the `quiet` hours."""

    not_before: datetime | None = None
    until: datetime | None = None
    quiet: Sequence[DailyHours] = ()

    def opens_at(self, now: datetime) -> datetime:
        """The first moment from `now` on at which something may be sent."""
        moment = max(now, self.not_before) if self.not_before is not None else now
        for _ in range(_LONGEST):
            closed = [hours for hours in self.quiet if hours.holds(moment)]
            if not closed:
                return moment
            moment = max(hours.next_end(moment) for hours in closed)
        return moment

    def closes_at(self, now: datetime) -> datetime | None:
        """When sending that goes on at `now` has to be over; None where nothing ends it."""
        ends = [hours.next_beginning(now) for hours in self.quiet]
        ends += [self.until] if self.until is not None else []
        return min(ends, default=None)

    def is_over(self, now: datetime) -> bool:
        """Whether nothing may be sent at `now`, or any more."""
        is_late = self.until is not None and now >= self.until
        return is_late or any(hours.holds(now) for hours in self.quiet)

    def done_at(self, start: datetime, seconds: float) -> datetime:
        """When work of so many seconds, begun at `start`, is done if it rests while nothing may be sent.

        `until` is not looked at: who stops then goes on another day.
        """
        moment, left = start, timedelta(seconds=seconds)
        for _ in range(_LONGEST):
            moment = SendingHours(self.not_before, None, self.quiet).opens_at(moment)
            closes = SendingHours(None, None, self.quiet).closes_at(moment)
            if closes is None or moment + left <= closes:
                break
            left -= closes - moment
            moment = closes
        return moment + left


def parse_hours(text: str) -> DailyHours:
    """`22:00-06:00`, or `22:00-06:00 Europe/Amsterdam`. Raises ValueError saying what to write."""
    match = _HOURS.fullmatch(text)
    if not match:
        raise ValueError(
            f'{text!r:.60}: write hours such as "08:00-18:00" or "08:00-18:00 Europe/Amsterdam"'
        )
    begins, ends = parse_clock(match[1]), parse_clock(match[2])
    if begins == ends:
        raise ValueError(f"{text!r:.60}: begins when it ends; nothing could ever be sent")
    if match[3] is not None:
        try:
            ZoneInfo(match[3])
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{match[3]!r:.60} is no time zone") from None
    return DailyHours(begins, ends, match[3])


def parse_clock(text: str) -> time:
    """`06:00` as a time of the day. Raises ValueError."""
    match = _CLOCK.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r:.60} is no time of the day such as 06:00")
    return time(int(match[1]), int(match[2]))


def sending_hours(
    not_before: str | None, until: str | None, quiet: Sequence[DailyHours], now: datetime
) -> SendingHours:
    """What a command line and a project file say of when to send, for a load that is begun `now`.

    A time of the day is of this machine's zone. `until` is the next such moment. `not_before` is today's; with both the
    hours between them are the ones in which it may send, so that the same command, given again, means the next night.
    Either may be a whole moment instead, `2026-11-30T06:00`.

    **Raises**: ValueError for what is neither, and for hours that are over already.
    """
    first, last = _clock_or_moment(not_before), _clock_or_moment(until)
    if isinstance(first, time) and isinstance(last, time):
        if first == last:
            raise ValueError(f"--not-before and --until are both {first:%H:%M}")
        return SendingHours(quiet=(*quiet, DailyHours(last, first)))
    begins = _today(first, now) if isinstance(first, time) else first
    # A time of the day to end at is the one after the beginning.
    ends = next_clock(last, max(now, begins or now)) if isinstance(last, time) else last
    if ends is not None and ends <= max(now, begins or now):
        raise ValueError(f"--until {until}: that is over already, or before --not-before")
    return SendingHours(begins, ends, tuple(quiet))


def next_clock(clock: time, now: datetime, zone: str | None = None) -> datetime:
    """The first moment after `now` at which a clock in the zone shows a time of the day."""
    there = now.astimezone(_zone(zone))
    for days in range(3):
        moment = datetime.combine(there.date() + days * _DAY, clock, there.tzinfo)
        if zone is None:
            # The machine's offset may be another one on that day.
            moment = moment.replace(tzinfo=None).astimezone()
        if moment > now:
            return moment
    return now + _DAY


def _today(clock: time, now: datetime) -> datetime:
    there = now.astimezone()
    return datetime.combine(there.date(), clock).astimezone()


def _clock_or_moment(text: str | None) -> time | datetime | None:
    if text is None:
        return None
    if _CLOCK.fullmatch(text.strip()):
        return parse_clock(text)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r:.60}: write a time such as 06:00, or 2026-11-30T06:00") from None
    return moment if moment.tzinfo is not None else moment.astimezone()


def _zone(name: str | None) -> tzinfo | None:
    return None if name is None else ZoneInfo(name)
