"""Times that are spelt as nothing else is, read one by one: RFC 2822, PHP's date objects, all of RFC 3339.

What cannot be mistaken needs no `format`. Slow beside whole columns of plain times, so only what those
leave comes here.

**Source.** RFC 2822 §3.3 and §4.3, RFC 3339 §5.6, PHP's `json_encode` of a DateTime (timezone_type 1, 2, 3).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import msgspec

from migrate.language.patterns import WHITE_SPACE
from migrate.language.zones import load_zone

Read = tuple[datetime, int | None, bool]
"""A local time, its offset in minutes (None: a naive time), and whether a fraction of a second was dropped."""

# no such text is read here: cheaper to ask of a whole column than to try
SUSPECT = (
    r"^\s*\{|^[0-9]{4}-[0-9]{2}-[0-9]{2}[ Tt][0-9]{2}:[0-9]{2}|[0-9]{1,2} [A-Za-z]{3} [0-9]{2,4} "
)
# 0000-00-00 and its like in any order; MySQL's compact spellings; -0001-11-30 is what PHP makes of it, a year beside a
# day or a month (behind a clock it is an offset of a minute)
ZERO = (
    r"^\s*(?:0{4}[-/.]0{2}[-/.]0{2}|0{2}[-/.]0{2}[-/.]0{4}|0{2}[-/.]0{2}[-/.]0{2}|0{8}|0{14})(?:[^0-9](?s:.*))?$"
    r"|(?:^|[^0-9])-0001[-/.]|(?:[-/.]|[A-Za-z] ?)-0001(?:[^0-9]|$)"
)
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[ Tt]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(?: ?(Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?))?"
)
_RFC_2822 = re.compile(
    r"\s*(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),?\s+)?([0-9]{1,2})\s+([A-Za-z]{3})\s+([0-9]{4}|[0-9]{2})\s+"
    r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?\s+([+-][0-9]{4}|[A-Z]{1,3})\s*(?:\([^()]*\))?\s*",
    re.IGNORECASE | re.ASCII,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONE_NAMES = {
    "Z": 0, "UT": 0, "UTC": 0, "GMT": 0, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420,
    "MDT": -360, "PST": -480, "PDT": -420,
}  # fmt: skip  # RFC 2822's table
# PHP writes the short name of a zone where it was made with one
_PHP_NAMES = {
    **_ZONE_NAMES,
    "WET": 0,
    "WEST": 60,
    "CET": 60,
    "CEST": 120,
    "EET": 120,
    "EEST": 180,
    "BST": 60,
}
_LEAP_SECOND = 60
_RFC_CENTURY = 50


def read_spelling(text: str, only: str | None = None) -> Read | None:
    """The time a text spells, None where it spells none. `only`: one of the named formats, and no other."""
    readers = {"rfc_3339": _read_iso, "rfc_2822": _read_rfc_2822, "php_date": _read_php}
    for reader in readers.values() if only is None else (readers[only],):
        try:
            read = reader(text)
        except (ValueError, OverflowError):
            continue
        if read is not None:
            return read
    return None


def _read_iso(text: str) -> Read | None:
    match = _ISO.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if int(second or 0) == _LEAP_SECOND and zone is None:
        return None  # only UTC has leap seconds, and what follows them
    moment = _moment(int(year), int(month), int(day), int(hour), int(minute), int(second or 0))
    return moment, _offset(zone), bool((fraction or "").strip("0"))


def _read_rfc_2822(text: str) -> Read | None:
    match = _RFC_2822.fullmatch(text)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day, name, year, hour, minute, second, zone = match.groups()
    if zone[0] in "+-":
        offset = _offset(zone)
    else:
        offset = _ZONE_NAMES.get(zone.upper())
    if offset is None:
        return None
    whole_year = int(year)
    if len(year) == len("99"):
        whole_year += 2000 if whole_year < _RFC_CENTURY else 1900
    month = _MONTHS.index(name.lower()) + 1
    moment = _moment(whole_year, month, int(day), int(hour), int(minute), int(second or 0))
    return moment, offset, False


def _read_php(text: str) -> Read | None:
    if not text.lstrip(WHITE_SPACE).startswith("{"):
        return None
    try:
        value: Any = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    date, zone = value.get("date"), value.get("timezone")
    if not isinstance(date, str) or not isinstance(zone, str):
        return None
    read = _read_iso(date)
    if read is None or read[1] is not None:
        return None
    local, _, dropped = read
    if zone[:1] in {"+", "-"}:
        return local, _offset(zone), dropped
    if zone in _PHP_NAMES:
        return local, _PHP_NAMES[zone], dropped
    return local, _offset_in(zone, local), dropped


def _moment(year: int, month: int, day: int, hour: int, minute: int, second: int) -> datetime:
    # a leap second, which no calendar here knows, is the second after
    leap = second == _LEAP_SECOND
    return datetime(year, month, day, hour, minute, second - leap) + timedelta(seconds=int(leap))


def _offset(zone: str | None) -> int | None:
    if not zone or zone[0] not in "+-":
        return 0 if zone else None
    hours, minutes = int(zone[1:3]), int(zone[-2:]) if len(zone) > len("+02") else 0
    if hours > 23 or minutes > 59:
        raise ValueError(zone)
    if zone[0] == "-":
        return -(hours * 60 + minutes)
    return hours * 60 + minutes


def _offset_in(zone: str, local: datetime) -> int:
    try:
        offset = load_zone(zone).utcoffset(local)
    except ValueError:
        raise ValueError(zone) from None
    return int((offset or timedelta()).total_seconds() // 60)
