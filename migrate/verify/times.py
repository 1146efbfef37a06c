"""Times out of text, the verifier's own reading: a scanner over one text at a time, with no expression compiled.

**Source**: docs/mapping.md for the codes of a format and for the spellings that need none; POSIX strptime for the
century of two digits; RFC 2822 and RFC 3339; PHP's `json_encode` of a DateTime.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product

from migrate.language.patterns import WHITE_SPACE
from migrate.language.zones import load_zone

Parsed = tuple[datetime, "int | None"]
"""A local time and its offset in minutes; None for a naive one."""
Parser = Callable[[str], Parsed]
"""Raises ValueError or OverflowError for a text that is no such time."""

# POSIX: two digits from 69 on are of the 20th century.
_PIVOT = 69
_FIRST_YEAR = 1000
_UNITS = {"epoch_s": 10**6, "%s": 10**6, "epoch_ms": 10**3, "epoch_us": 1}
_ABBREVIATED = {
    "%T": "%H:%M:%S", "%R": "%H:%M", "%F": "%Y-%m-%d", "%D": "%m/%d/%y", "%-d": "%d", "%-m": "%m", "%-H": "%H",
    "%-I": "%I", "%-M": "%M", "%-S": "%S",
}  # fmt: skip
_MONTHS = {
    name: number
    for number, names in {
        1: "january jan januari januar jänner janvier janv", 2: "february feb februari februar février févr fév",
        3: "march mar maart mrt märz mär mrz mars", 4: "april apr avril avr", 5: "may mei mai",
        6: "june jun juni juin", 7: "july jul juli juillet juil", 8: "august aug augustus août aou aoû",
        9: "september sep sept septembre", 10: "october oct oktober okt octobre", 11: "november nov novembre",
        12: "december dec dezember dez décembre déc",
    }.items()
    for name in names.split()
}  # fmt: skip
_DAYS = frozenset(
    str.split(
        "monday mon tuesday tue wednesday wed thursday thu friday fri saturday sat sunday sun maandag ma dinsdag di "
        "woensdag wo donderdag do vrijdag vr zaterdag za zondag zo montag mo dienstag mittwoch mi donnerstag freitag "
        "fr samstag sa sonntag so lundi lun mardi mar mercredi mer jeudi jeu vendredi ven samedi sam dimanche dim"
    )
)
_WIDTHS = {
    "Y": 4,
    "y": 2,
    "m": 2,
    "d": 2,
    "e": 2,
    "j": 3,
    "H": 2,
    "k": 2,
    "I": 2,
    "l": 2,
    "M": 2,
    "S": 2,
    "f": 9,
}
_FIXED = frozenset("Yyj")
_SPACED = frozenset("ekl")
_PARTS = {"e": "d", "k": "H", "l": "I", "B": "b", "Z": "z"}
_OFFSET = re.compile(r"[+-]\d{2}(?::?\d{2})?", re.ASCII)
_ZEROS = re.compile(
    rf"[{WHITE_SPACE}]*(0{{4}}[-/.]00[-/.]00|00[-/.]00[-/.]0{{4}}|00[-/.]00[-/.]00|0{{8}}|0{{14}})([^0-9].*)?",
    re.DOTALL,
)
# A year stands beside a day or a month; behind a clock -0001 is an offset.
_YEAR_ZERO = re.compile(r"(^|[^0-9])-0001[-/.]|([-/.]|[A-Za-z] ?)-0001([^0-9]|$)")
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[ Tt](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?: ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?)?",
    re.ASCII,
)
_MAIL = re.compile(
    r"\s*(?:(?:mon|tue|wed|thu|fri|sat|sun),?\s+)?(\d{1,2})\s+([a-z]{3})\s+(\d{4}|\d{2})\s+(\d\d):(\d\d)(?::(\d\d))?"
    r"\s+([+-]\d{4}|[a-z]{1,3})\s*(?:\([^()]*\))?\s*",
    re.ASCII | re.IGNORECASE,
)
_MAIL_MONTHS = str.split("jan feb mar apr may jun jul aug sep oct nov dec")
_MAIL_ZONES = {
    "z": 0, "ut": 0, "utc": 0, "gmt": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8,
    "pdt": -7,
}  # fmt: skip
# PHP names a zone by its letters where a time was made with them; these are Europe's.
_PHP_ZONES = {"WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3, "BST": 1}
_RANKED_DAYS = (
    "%d-%m-%Y", "%d/%m/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y-%m-%d", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y",
    "%b %d %Y", "%m/%d/%Y", "%m-%d-%Y", "%d-%m-%y", "%d/%m/%y", "%d.%m.%y",
)  # fmt: skip
_RANKED_CLOCKS = (
    "",
    " %H:%M:%S",
    " %H:%M",
    "T%H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %H:%M:%S",
    ", %H:%M",
)
_RANKED_EPOCHS = (
    ("epoch_s", r"\d{9,11}(\.\d+)?"),
    ("epoch_ms", r"\d{12,13}"),
    ("epoch_us", r"\d{15,16}"),
)


def is_zero_date(text: str, spelling: str | None) -> bool:
    """Whether a text is a database's or PHP's way to write no date."""
    if spelling in _UNITS:
        if not re.fullmatch(r"-?\d{1,17}", text, re.ASCII):
            return False
        # `0000-00-00` is 30 November of the year -1 to PHP; a day to either side for the zone that it took.
        return -62_170_070_400 <= int(text) * _UNITS[spelling] / 10**6 <= -62_169_897_600
    return bool(_ZEROS.fullmatch(text) or _YEAR_ZERO.search(text))


def parser_of(spelling: str | None, pivot: int | None) -> Parser | None:
    """The parser of a `format`; None for a spelling that is not known here."""
    named: dict[str | None, Parser] = {
        None: parse_known, "rfc_3339": _parse_iso_time, "rfc_2822": _parse_mail, "php_date": _parse_php,
    }  # fmt: skip
    if spelling in named:
        return named[spelling]
    if spelling in _UNITS:
        unit = _UNITS[spelling]
        return lambda text: _parse_epoch(text, unit)
    pieces = _pieces(str(spelling))
    if pieces is None:
        return None
    return lambda text: _scan(text, pieces, _PIVOT if pivot is None else pivot)


def parse_known(text: str) -> Parsed:
    """A time in a spelling that cannot be mistaken."""
    # Only spellings that have one meaning: of `03-04-2020` nobody knows which is the month.
    for parse in (_parse_iso, _parse_mail, _parse_php):
        try:
            return parse(text)
        except (ValueError, OverflowError):
            continue
    raise ValueError


def parse_ranked(text: str) -> Parsed:
    """A time in any spelling that is known, the likelier first; for ranking alone."""
    text = text.strip(WHITE_SPACE)
    try:
        return parse_known(text)
    except ValueError:
        pass
    for spelling, digits in _RANKED_EPOCHS:
        if re.fullmatch(digits, text, re.ASCII):
            return _parse_epoch(text, _UNITS[spelling])
    if not any(char.isdigit() for char in text):
        raise ValueError
    for pieces in _ranked_formats():
        try:
            return _scan(text, pieces, _PIVOT)
        except (ValueError, OverflowError):
            continue
    raise ValueError


@cache
def _ranked_formats() -> list[list[str]]:
    spellings = map("".join, product(_RANKED_DAYS, _RANKED_CLOCKS))
    return [_pieces(spelling) or [] for spelling in (*spellings, "%Y%m%d", "%Y%m%d%H%M%S")]


def to_utc(parsed: Parsed, zone: str) -> datetime:
    """The time in UTC: a time that came twice is the earlier one, a skipped one moves forward by the gap (PEP 495)."""
    local, offset = parsed
    if offset is not None:
        return local - timedelta(minutes=offset)
    if zone == "UTC":
        return local
    return local.replace(tzinfo=load_zone(zone), fold=0).astimezone(UTC).replace(tzinfo=None)


def _parse_iso(text: str) -> Parsed:
    match = _ISO.fullmatch(text)
    if match is None:
        raise ValueError
    year, month, day, hour, minute, second, zone = match.groups()
    if hour is None:
        return datetime(int(year), int(month), int(day)), 0
    offset = None if zone is None else _offset(zone)
    # 60 is a leap second, which only a time of UTC has
    late = second == "60" and zone is not None
    seconds = 59 if late else int(second or 0)
    local = datetime(int(year), int(month), int(day), int(hour), int(minute), seconds)
    return local + timedelta(seconds=int(late)), offset


def _parse_iso_time(text: str) -> Parsed:
    if len(text) <= len("2020-04-28"):
        raise ValueError
    return _parse_iso(text)


def _parse_mail(text: str) -> Parsed:
    match = _MAIL.fullmatch(text)
    if match is None:
        raise ValueError
    day, month, year, hour, minute, second, zone = match.groups()
    if zone[0] in "+-":
        offset = _offset(zone)
    elif zone.lower() in _MAIL_ZONES:
        offset = _MAIL_ZONES[zone.lower()] * 60
    else:
        raise ValueError
    # RFC 2822, 4.3: two digits below 50 are of this century.
    whole = int(year) + (0 if len(year) == 4 else 2000 if int(year) < 50 else 1900)
    late = second == "60"
    place = _MAIL_MONTHS.index(month.lower()) + 1
    local = datetime(
        whole, place, int(day), int(hour), int(minute), 59 if late else int(second or 0)
    )
    return local + timedelta(seconds=int(late)), offset


def _parse_php(text: str) -> Parsed:
    if not text.lstrip(WHITE_SPACE).startswith("{"):
        raise ValueError
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError from None
    date_text = value.get("date")
    zone = value.get("timezone")
    if (
        not isinstance(date_text, str)
        or not isinstance(zone, str)
        or len(date_text) <= len("2020-04-28")
    ):
        raise ValueError
    local, offset = _parse_iso(date_text)
    if offset is not None:
        raise ValueError
    if zone[:1] in {"+", "-"}:
        return local, _offset(zone)
    hours = _PHP_ZONES.get(zone, _MAIL_ZONES.get(zone.lower()) if zone.isupper() else None)
    if hours is not None:
        return local, hours * 60
    try:
        shift = load_zone(zone).utcoffset(local)
    except OverflowError:
        raise ValueError from None
    return local, int((shift or timedelta()).total_seconds() // 60)


def _parse_epoch(text: str, microseconds: int) -> Parsed:
    if not re.fullmatch(r"-?\d{1,17}(\.\d{1,9})?", text, re.ASCII):
        raise ValueError
    moment = datetime(1970, 1, 1) + timedelta(
        microseconds=int(text.partition(".")[0]) * microseconds
    )
    return moment.replace(microsecond=0), 0


def _offset(zone: str) -> int:
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "")
    hours = int(digits[:2])
    minutes = int(digits[2:] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError
    if zone[0] == "-":
        return -(hours * 60 + minutes)
    return hours * 60 + minutes


def _pieces(spelling: str) -> list[str] | None:
    """The codes and the letters between, short codes written out; None where a code is not known."""
    pieces: list[str] = []
    for piece in re.findall(r"%(?::z|-.|.)?|[^%]", spelling, re.DOTALL):
        if piece in _ABBREVIATED:
            pieces += _pieces(_ABBREVIATED[piece]) or []
        elif (piece.startswith("%") and piece[-1] not in "YymbBdejaAHkIlMSfpzZnt%") or piece == "%":
            return None
        else:
            pieces.append(piece)
    if any(piece.startswith("%") for piece in pieces):
        return pieces
    return None


def _scan(text: str, pieces: list[str], pivot: int) -> Parsed:
    parts: dict[str, str] = {}
    at = 0
    for place, piece in enumerate(pieces):
        if len(piece) == 1:
            at = _skip(text, at, piece)
            continue
        near = {pieces[next_] for next_ in (place - 1, place + 1) if 0 <= next_ < len(pieces)}
        alone = not any(map(_digits_there, near))
        taken, value = _take(text[at:], piece[-1], alone=alone)
        if text[at + taken - 1 : at + taken] == "." and text[at + taken : at + taken + 1] != ".":
            # the point behind a name is a short name's own only where the format has none there
            taken -= pieces[place + 1 : place + 2] == ["."]
        at += taken
        parts[_PARTS.get(piece[-1], piece[-1])] = value
    if at != len(text):
        raise ValueError
    return _moment(parts, pivot)


def _skip(text: str, at: int, letter: str) -> int:
    if letter not in WHITE_SPACE:
        if text[at : at + 1] != letter:
            raise ValueError
        return at + 1
    end = at
    while end < len(text) and text[end] in WHITE_SPACE:
        end += 1
    if end == at:
        raise ValueError
    return end


def _digits_there(piece: str) -> bool:
    return piece.isdigit() or (piece[0] == "%" and piece[-1] in _WIDTHS)


def _take(text: str, code: str, *, alone: bool) -> tuple[int, str]:
    """How many letters a code takes of what is left, and what they say."""
    if code in _WIDTHS:
        padding = 1 if code in _SPACED and text[:1] == " " else 0
        least = 1 if alone or code == "f" else _WIDTHS[code]
        digits = re.match(rf"\d{{1,{_WIDTHS[code]}}}", text[padding:], re.ASCII)
        if digits is None or digits.end() < (_WIDTHS[code] if code in _FIXED else least):
            raise ValueError
        return padding + digits.end(), digits.group()
    if code == "%":
        return _skip(text, 0, "%"), "%"
    if code in "nt":
        return len(text) - len(text.lstrip(WHITE_SPACE)), ""
    if code in "zZ":
        return _take_zone(text, code)
    if code == "p":
        half = re.match(r"(a|p)(m|\.m\.)", text, re.IGNORECASE)
        if half is None:
            raise ValueError
        return half.end(), half.group(1).lower()
    return _take_name(text, _DAYS if code in "aA" else frozenset(_MONTHS))


def _take_zone(text: str, code: str) -> tuple[int, str]:
    if code == "z" and (offset := _OFFSET.match(text)):
        return offset.end(), offset.group()
    for name in ("UTC", "GMT", "Z") if code == "Z" else ("Z", "z"):
        if text.startswith(name):
            return len(name), "Z"
    raise ValueError


def _take_name(text: str, known: frozenset[str]) -> tuple[int, str]:
    folded = text.lower()
    for size in range(max(map(len, known)), 1, -1):
        if folded[:size] in known and len(folded) >= size:
            return size + (text[size : size + 1] == "."), folded[:size]
    raise ValueError


def _moment(parts: dict[str, str], pivot: int) -> Parsed:
    if "Y" in parts:
        year = int(parts["Y"])
    else:
        year = int(parts["y"]) + (1900 if int(parts["y"]) >= pivot else 2000)
    if year < _FIRST_YEAR:
        raise ValueError  # the year was cut short: nobody means one so long ago
    if "j" in parts:
        day = date(year, 1, 1) + timedelta(days=int(parts["j"]) - 1)
        if day.year != year:
            raise ValueError
    else:
        day = date(year, _MONTHS[parts["b"]] if "b" in parts else int(parts["m"]), int(parts["d"]))
    if "H" not in parts and "I" not in parts:
        return datetime(day.year, day.month, day.day), 0
    hour = int(parts.get("H", "0"))
    if "I" in parts:
        if not 1 <= int(parts["I"]) <= 12:
            raise ValueError
        hour = int(parts["I"]) % 12 + (12 if parts["p"] == "p" else 0)
    local = datetime(
        day.year, day.month, day.day, hour, int(parts.get("M", 0)), int(parts.get("S", 0))
    )
    return local, _offset(parts["z"]) if "z" in parts else None
