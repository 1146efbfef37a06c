"""Which of two written times is the later one, in whatever spelling each is; pure.

A text may be read in several ways: 03-04-2020 is a day in April or in March. Each way of reading
(a convention) is held against the same way of the other text, and only what all of them agree on is
said. A time without a zone may be half a day away from what it says in UTC, so beside one with a
zone it is told only where that makes no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

import msgspec

PLAIN, DAY_FIRST, MONTH_FIRST = "plain", "day first", "month first"
_MICROSECONDS = 1_000_000
_FURTHEST_ZONE = 14 * 3600 * _MICROSECONDS
_EPOCH = datetime(1970, 1, 1)
# **Source**: POSIX, strptime, %y.
_LAST_CENTURY_FROM = 69
# The largest absolute value of an epoch in seconds, milliseconds, microseconds; beyond: nanoseconds.
_EPOCH_UNITS = ((10**11, _MICROSECONDS), (10**14, 1_000), (10**17, 1))
_NANOSECONDS = 1_000
_MONTHS_IN_ORDER = (
    "jan", "feb fév fev", "mar mrt maa mär mae", "apr avr", "mai may mei", "jun juin",
    "jul juil", "aug aoû aou", "sep", "okt oct", "nov", "dec dez déc",
)  # fmt: skip
_MONTHS: dict[str, int] = {}
for _number, _spellings in enumerate(_MONTHS_IN_ORDER, 1):
    _MONTHS |= dict.fromkeys(_spellings.split(), _number)
_TIME = (
    r"(?:[T ,_]+(?:at |om |à |um )?(?P<hour>\d{1,2})[:.hH](?P<minute>\d{2})"
    r"(?:[:.m](?P<second>\d{2})s?(?:[.,](?P<fraction>\d+))?)?(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
)
_ZONE = r" ?(?P<zone>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?(?: ?\([A-Za-z ]+\))?"
_WEEKDAY = r"(?:[^\W\d]{2,10}\.?,? )?"
_SHAPES = tuple(
    (re.compile(date + _TIME + _ZONE), conventions)
    for date, conventions in (
        (r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})", (PLAIN,)),
        (r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})(?!.)", (PLAIN,)),
        (r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?:T?(?P<compact>\d{4}(?:\d{2})?))?", (PLAIN,)),
        (
            _WEEKDAY + r"(?P<d>\d{1,2})(?:st|nd|rd|th|\.|e)?[ -](?P<name>[^\W\d]{3,9})\.?,?"
            r"[ -](?P<y>\d{4}|\d{2})",
            (PLAIN,),
        ),
        (_WEEKDAY + r"(?P<name>[^\W\d]{3,9})\.? (?P<d>\d{1,2})(?:st|nd|rd|th)?,? (?P<y>\d{4})", (PLAIN,)),
        (
            r"(?P<a>\d{1,2})[-/. ](?P<b>\d{1,2})[-/. ](?P<y>\d{4}|\d{2})",
            (DAY_FIRST, MONTH_FIRST),
        ),
    )
)  # fmt: skip  # a shape a line
_ASCTIME = re.compile(
    r"[A-Za-z]{3} (?P<name>[A-Za-z]{3}) {1,2}(?P<d>\d{1,2}) (?P<time>\d{2}:\d{2}:\d{2}) (?P<y>\d{4})"
)
_NUMBER = re.compile(r"-?\d{1,20}(?:\.\d+)?")
_NAMED = re.compile("[A-Za-z]{3}")
_DOTNET = re.compile(r"\\?/Date\((-?\d+)(?:[+-]\d{4})?\)\\?/")


@dataclass(frozen=True)
class TimeValue:
    """A time in microseconds since 1970; `zoned`: in UTC, else as the clock of some zone showed it."""

    microseconds: int
    zoned: bool


def is_later(first: str | None, second: str | None) -> bool | None:
    """Whether the first text is a later moment than the second; None where that cannot be told.

    Equal moments are not told apart either.
    """
    mine, other = read_moments((first or "").strip()), read_moments((second or "").strip())
    orders = set()
    for convention in mine.keys() | other.keys():
        left = mine.get(convention, mine.get(PLAIN))
        right = other.get(convention, other.get(PLAIN))
        if left and right:
            orders.add(_order(left, right))
    # as records of one key are ranked: each text by itself, days before months
    likely, other_likely = _likely(mine), _likely(other)
    if likely and other_likely:
        orders.add(_order(likely, other_likely))
    return orders.pop() if len(orders) == 1 else None


def _likely(moments: Mapping[str, TimeValue]) -> TimeValue | None:
    """What a text means where nothing else is known of it."""
    likely = (moments.get(convention) for convention in (DAY_FIRST, PLAIN, MONTH_FIRST))
    return next((moment for moment in likely if moment is not None), None)


@lru_cache(maxsize=4_096)
def read_moments(text: str) -> Mapping[str, TimeValue]:
    """What a text may mean, by convention; nothing where it is no time."""
    if not text or len(text) > 200:
        return {}
    if text[0] == "{":
        return _of_object(text)
    for pattern, conventions in _SHAPES:
        match = pattern.fullmatch(text)
        if match is not None:
            read = {name: _of_parts(match.groupdict(), name) for name in conventions}
            readable = {name: moment for name, moment in read.items() if moment is not None}
            if readable:
                return readable
    other = next(_of_others(text), None)
    return {} if other is None else {PLAIN: other}


def _order(left: TimeValue, right: TimeValue) -> bool | None:
    difference = left.microseconds - right.microseconds
    if not difference or (left.zoned != right.zoned and abs(difference) <= _FURTHEST_ZONE):
        return None
    return difference > 0


def _of_parts(parts: Mapping[str, str | None], convention: str) -> TimeValue | None:
    """The moment that the parts of a text make under a convention; None where there is none such."""
    year, month, day = _calendar(parts, convention)
    hour, minute, second = _clock(parts)
    try:
        # A leap second, and 24:00, are the moment that comes next; day 0 of a month, which MySQL
        # writes for a day that is not known, comes before the first.
        date = datetime(year, month, day or 1) - timedelta(days=0 if day else 1)
        moment = date + timedelta(hours=hour, minutes=minute, seconds=second)
    except (ValueError, OverflowError):
        return None
    if hour > 24 or minute > 59 or second > 60:
        return None
    fraction = int((parts.get("fraction") or "0").ljust(6, "0")[:6])
    offset = _offset(parts.get("zone"))
    microseconds = (moment - _EPOCH) // timedelta(microseconds=1) + fraction
    return TimeValue(microseconds - (offset or 0) * _MICROSECONDS, offset is not None)


def _calendar(parts: Mapping[str, str | None], convention: str) -> tuple[int, int, int]:
    """Year, month and day; 0 for what is none."""
    name = parts.get("name")
    if "a" in parts:
        first, second = parts["a"] or "0", parts["b"] or "0"
        day, month = (first, second) if convention == DAY_FIRST else (second, first)
    else:
        day, month = parts.get("d") or "1", parts.get("m") or "0"
        month = str(_month(name)) if name else month
    return _year(parts.get("y") or "0"), int(month), int(day)


def _year(written: str) -> int:
    if len(written) > 2:
        return int(written)
    return int(written) + (1900 if int(written) >= _LAST_CENTURY_FROM else 2000)


def _month(name: str) -> int:
    folded = name.casefold()
    return _MONTHS.get(folded[:4], _MONTHS.get(folded[:3], 0))


def _clock(parts: Mapping[str, str | None]) -> tuple[int, int, int]:
    compact = parts.get("compact")
    if compact:
        return int(compact[:2]), int(compact[2:4]), int(compact[4:] or 0)
    hour = int(parts.get("hour") or 0)
    half = (parts.get("half") or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return hour, int(parts.get("minute") or 0), int(parts.get("second") or 0)


def _offset(zone: str | None) -> int | None:
    """The seconds that a zone is ahead of UTC, None where none is named."""
    if zone is None:
        return None
    if zone in ("Z", "UTC", "GMT"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    seconds = int(digits[:2]) * 3600 + int(digits[2:]) * 60
    return -seconds if zone[0] == "-" else seconds


def _of_others(text: str) -> Iterator[TimeValue]:
    """Epochs, .NET's dates, ISO's weeks and asctime."""
    dotnet = _DOTNET.fullmatch(text)
    if dotnet is not None:
        yield TimeValue(int(dotnet[1]) * 1_000, True)
    elif _NUMBER.fullmatch(text):
        yield _of_epoch(text)
    elif match := _ASCTIME.fullmatch(text):
        parts = {"y": match["y"], "name": match["name"], "d": match["d"]}
        hour, minute, second = match["time"].split(":")
        moment = _of_parts({**parts, "hour": hour, "minute": minute, "second": second}, PLAIN)
        if moment is not None:
            yield moment
    else:
        # Of numbers alone the reader of mail headers makes whatever fits.
        read = parsedate_to_datetime if _NAMED.search(text) else datetime.fromisoformat
        with suppress(ValueError, TypeError, IndexError, OverflowError):
            yield _of_datetime(read(text))


def _of_epoch(text: str) -> TimeValue:
    whole, _, fraction = text.partition(".")
    number = int(whole)
    units = (unit for most, unit in _EPOCH_UNITS if abs(number) < most)
    unit = next(units, None)
    if unit is None:
        return TimeValue(number // _NANOSECONDS, True)
    # Of seconds alone a fraction says something that is as long as a microsecond.
    return TimeValue(
        number * unit + int(fraction.ljust(6, "0")[:6] or 0) * unit // _MICROSECONDS, True
    )


def _of_datetime(time: datetime) -> TimeValue:
    naive = time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time
    return TimeValue((naive - _EPOCH) // timedelta(microseconds=1), time.tzinfo is not None)


def _of_object(text: str) -> Mapping[str, TimeValue]:
    """The moment in a database's or PHP's date object."""
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    for name in ("$date", "$numberLong", "date", "sec"):
        inner = value.get(name) if isinstance(value, dict) else None
        if inner is not None:
            zone = value.get("timezone", "")
            known = zone if re.fullmatch("UTC|Z|[+-]\\d{2}:\\d{2}", str(zone)) else ""
            written = inner if isinstance(inner, str) else msgspec.json.encode(inner).decode()
            return read_moments(f"{written}{known}".strip())
    return {}
