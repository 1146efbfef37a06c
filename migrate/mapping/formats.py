"""How a text spells a time: a closed list of codes, each with one meaning, the same on every machine.

**Source.** POSIX strptime for the codes and for the century of `%y`; RFC 3339 and RFC 2822 for theirs; PHP's
`json_encode` of a DateTime.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import polars as pl

from migrate.language.patterns import WHITE_SPACE

EPOCHS = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "%s": 1_000_000}
NAMED = ("rfc_3339", "rfc_2822", "php_date")
DEFAULT_PIVOT = 69
FIRST_YEAR = 1000

# month and day names in English, Dutch, German and French, whole and short; none means two months
_MONTHS: tuple[str, ...] = (
    "january jan januari januar jänner janvier janv", "february feb februari februar février févr fév",
    "march mar maart mrt märz mär mrz mars", "april apr avril avr", "may mei mai", "june jun juni juin",
    "july jul juli juillet juil", "august aug augustus août aou aoû", "september sep sept septembre",
    "october oct oktober okt octobre", "november nov novembre", "december dec dezember dez décembre déc",
)  # fmt: skip  # a table
_DAYS = (
    "monday mon tuesday tue wednesday wed thursday thu friday fri saturday sat sunday sun "
    "maandag ma dinsdag di woensdag wo donderdag do vrijdag vr zaterdag za zondag zo "
    "montag mo dienstag di mittwoch mi donnerstag do freitag fr samstag sa sonntag so "
    "lundi lun mardi mar mercredi mer jeudi jeu vendredi ven samedi sam dimanche dim"
)
MONTHS: dict[str, int] = {}
for _number, _spellings in enumerate(_MONTHS, 1):
    MONTHS |= dict.fromkeys(_spellings.split(), _number)


@dataclass(frozen=True)
class Code:
    """One code: what it means, what a text may have there, and the part of a time that it gives ('' for none)."""

    means: str
    pattern: str
    part: str = ""


def _names(names: object) -> str:
    words = sorted(dict.fromkeys(str(names).split()), key=len, reverse=True)
    return "(?i:" + "|".join(map(re.escape, words)) + r")\.?"


_TWO = "[0-9]{1,2}"
_OFFSET = "Z|z|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
CODES: dict[str, Code] = {
    "%Y": Code("year of four digits, from 1000 on", "[0-9]{4}", "Y"),
    "%y": Code(
        "year of two digits: 69 to 99 are 1969 to 1999, 00 to 68 are 2000 to 2068; see `pivot`",
        "[0-9]{2}",
        "y",
    ),
    "%m": Code("month, 1 to 12", _TWO, "m"),
    "%b": Code(
        "month's name, short or whole, in English, Dutch, German or French",
        _names(" ".join(MONTHS)),
        "b",
    ),
    "%B": Code("the same as %b", _names(" ".join(MONTHS)), "b"),
    "%d": Code("day of the month, 1 to 31", _TWO, "d"),
    "%e": Code("day of the month, a space before a single digit allowed", " ?" + _TWO, "d"),
    "%j": Code("day of the year, 001 to 366", "[0-9]{3}", "j"),
    "%a": Code(
        "day of the week, short or whole, in the same languages; not looked at", _names(_DAYS)
    ),
    "%A": Code("the same as %a", _names(_DAYS)),
    "%H": Code("hour, 0 to 23", _TWO, "H"),
    "%k": Code("hour, 0 to 23, a space before a single digit allowed", " ?" + _TWO, "H"),
    "%I": Code("hour, 1 to 12, with %p", _TWO, "I"),
    "%l": Code("hour, 1 to 12, a space before a single digit allowed, with %p", " ?" + _TWO, "I"),
    "%M": Code("minute, 0 to 59", _TWO, "M"),
    "%S": Code("second, 0 to 59", _TWO, "S"),
    "%f": Code("fraction of a second, 1 to 9 digits, dropped and counted", "[0-9]{1,9}", "f"),
    "%p": Code(
        "AM or PM, in any letters, with points or without", r"(?i:am|pm|a\.m\.|p\.m\.)", "p"
    ),
    "%z": Code("offset from UTC: +02:00, +0200, +02 or Z", _OFFSET, "z"),
    "%:z": Code("the same as %z", _OFFSET, "z"),
    "%Z": Code("UTC, GMT or Z, and no other zone's name", "UTC|GMT|Z", "z"),
    "%n": Code("any white space, or none", r"\s*"),
    "%t": Code("any white space, or none", r"\s*"),
    "%%": Code("a percent sign", "%"),
}
_SHORT = {
    "%T": "%H:%M:%S", "%R": "%H:%M", "%F": "%Y-%m-%d", "%D": "%m/%d/%y",
    "%-d": "%d", "%-m": "%m", "%-H": "%H", "%-I": "%I", "%-M": "%M", "%-S": "%S",
}  # fmt: skip  # a table
_SHORT_MEANS = {code: f"the same as {long}" for code, long in _SHORT.items()}
MEANINGS = {**{code: known.means for code, known in CODES.items()}, **_SHORT_MEANS}
"""Every code of a format with its meaning."""
_CODE = re.compile("%(?::z|-.|.)?", re.DOTALL)
_DIGIT_PARTS = frozenset("YymdjHIMSf")


@dataclass(frozen=True)
class Format:
    """A spelling ready to read: the expression that texts must match, with a group per part of a time."""

    pattern: str
    parts: frozenset[str]

    @property
    def has_time(self) -> bool:
        """Whether it tells a time of the day."""
        return bool(self.parts & {"H", "I"})


class BadFormat(ValueError):
    """A format that cannot be read with; the message says what and where."""


@cache
def compile_format(spelling: str) -> Format:
    """The spelling as an expression. Raises BadFormat with the position of what is wrong."""
    pieces = list(_pieces(spelling))
    pattern, parts = "", set[str]()
    for number, (at, code) in enumerate(pieces):
        known = CODES.get(code)
        if known is None:
            pattern += re.escape(code) if code not in WHITE_SPACE else r"\s+"
            continue
        if not known.part:
            pattern += f"(?:{known.pattern})"
            continue
        if known.part in parts:
            raise BadFormat(f"{code} at character {at} gives again what the format has already")
        parts.add(known.part)
        inner = known.pattern
        touching = {pieces[near][1] for near in (number - 1, number + 1) if 0 <= near < len(pieces)}
        if inner.endswith(_TWO) and any(_gives_digits(near) for near in touching):
            # where digits follow digits only a fixed width says which are whose
            inner = inner.replace(_TWO, "[0-9]{2}")
        pattern += f"(?P<{known.part}>{inner})"
    _refuse_unclear(parts)
    return Format(f"^{pattern}$", frozenset(parts))


def is_spelling(spelling: str) -> bool:
    """Whether a spelling is an epoch or has a name of its own, not codes."""
    return spelling in EPOCHS or spelling in NAMED


def refuse_format(spelling: str) -> str | None:
    """What is wrong with a `format`, or None."""
    if is_spelling(spelling):
        return None
    if "%" not in spelling:
        names = ", ".join([*list(EPOCHS)[:3], *NAMED])
        return f"{spelling!r} is no spelling of times: one of {names}, or codes as %d-%m-%Y %H:%M"
    try:
        compile_format(spelling)
    except BadFormat as error:
        return str(error)
    return None


def read_format(texts: pl.Series, spelling: str, pivot: int | None = None) -> pl.DataFrame:
    """The times that texts spell by codes.

    **Shape.** One row per text: `local` Datetime("us") or null, `offset` in minutes (null where none is named, 0 for a
    day without time, which is its midnight), `fraction_dropped`.
    """
    form = compile_format(spelling)
    groups = pl.col("text").str.extract_groups(form.pattern).alias("groups")
    frame = texts.rename("text").to_frame().select(groups)
    parts = []
    for part in "YymbdjHIMSfpz":
        value = pl.lit(None, dtype=pl.String)
        if part in form.parts:
            value = pl.col("groups").struct.field(part)
        parts.append(value.str.strip_chars().alias(part))
    frame = frame.select(parts).with_columns(
        _day(form, DEFAULT_PIVOT if pivot is None else pivot).alias("day"),
        _clock(form).alias("clock"),
        _offset(form).alias("offset"),
    )
    # Put together in one spelling, so that one reading, polars' own, knows which days there are.
    stamp = pl.concat_str("day", "clock", separator=" ")
    day_codes = "%Y-%j" if "j" in form.parts else "%Y-%m-%d"
    codes = f"{day_codes} %H:%M:%S"
    local = stamp.str.to_datetime(codes, strict=False, time_unit="us", cache=False)
    frame = frame.with_columns(local.alias("local"))
    # As `%Y` says: what is below is no year of four digits, whatever it was padded with.
    is_likely = pl.col("local").dt.year() >= FIRST_YEAR
    loses_fraction = pl.col("f").str.contains("[1-9]") & is_likely
    return frame.select(
        pl.when(is_likely).then("local").alias("local"),
        pl.when(is_likely).then("offset").alias("offset"),
        loses_fraction.fill_null(value=False).alias("fraction_dropped"),
    )


def _pieces(spelling: str) -> list[tuple[int, str]]:
    """The codes and the characters between, each with its place from 1; short codes written out."""
    pieces: list[tuple[int, str]] = []
    at = 0
    while at < len(spelling):
        match = _CODE.match(spelling, at)
        if match is None:
            pieces.append((at + 1, spelling[at]))
            at += 1
            continue
        code = match.group()
        if code in _SHORT:
            pieces += [(at + 1, inner) for _, inner in _pieces(_SHORT[code])]
        elif code in CODES:
            pieces.append((at + 1, code))
        else:
            raise BadFormat(_unknown(code, at + 1))
        at = match.end()
    return pieces


def _unknown(code: str, place: int) -> str:
    if code == "%s":
        return f"%s at character {place} is an epoch, which stands alone: `format: epoch_s`"
    if code == "%":
        return f"the % at character {place} has no code behind it; %% is a percent sign"
    return f"{code} at character {place} is no code of a format; known are {' '.join(MEANINGS)}"


def _gives_digits(code: str) -> bool:
    return code.isdigit() or (code in CODES and CODES[code].part in _DIGIT_PARTS)


def _refuse_unclear(parts: set[str]) -> None:
    """Raises BadFormat where the parts name no moment, or name something twice."""
    has_year, has_hour = bool(parts & {"Y", "y"}), bool(parts & {"H", "I"})
    has_day = "j" in parts or ("d" in parts and bool(parts & {"m", "b"}))
    if not (has_year and has_day):
        raise BadFormat(
            "names no whole day: a year (%Y, %y), a month (%m, %b) and a day (%d, %e), or %Y and %j"
        )
    names_day_twice = "j" in parts and parts & {"m", "b", "d"}
    if {"Y", "y"} <= parts or {"m", "b"} <= parts or names_day_twice:
        raise BadFormat("names the same part of the day twice")
    if "j" in parts and "y" in parts:
        raise BadFormat("%j wants %Y")
    if ("I" in parts) is not ("p" in parts):
        raise BadFormat("%I and %p go together: an hour of twelve and which half of the day")
    if {"H", "I"} <= parts:
        raise BadFormat("%H and %I are both hours; keep one")
    if parts & {"M", "S", "f", "z"} and not has_hour:
        raise BadFormat("has minutes, seconds or an offset, but no hour (%H)")
    lacks_minutes = "S" in parts and "M" not in parts
    lacks_seconds = "f" in parts and "S" not in parts
    if lacks_minutes or lacks_seconds:
        raise BadFormat("leaves out minutes or seconds between the parts it names")


def _day(form: Format, pivot: int) -> pl.Expr:
    year = pl.col("Y")
    if "y" in form.parts:
        short = pl.col("y").cast(pl.Int32, strict=False)
        year = (short + pl.when(short >= pivot).then(1900).otherwise(2000)).cast(pl.String)
    if "j" in form.parts:
        return pl.concat_str(year, "j", separator="-")
    month = pl.col("m")
    if "b" in form.parts:
        name = pl.col("b").str.to_lowercase().str.strip_chars_end(".")
        month = name.replace_strict(
            list(MONTHS), list(map(str, MONTHS.values())), default=None, return_dtype=pl.String
        )
    return pl.concat_str(year, month.str.zfill(2), pl.col("d").str.zfill(2), separator="-")


def _clock(form: Format) -> pl.Expr:
    if not form.has_time:
        return pl.lit("00:00:00")
    hour = pl.col("H")
    if "I" in form.parts:
        twelve = pl.col("I").cast(pl.Int32, strict=False)
        afternoon = pl.col("p").str.to_lowercase().str.starts_with("p")
        counted = twelve % 12 + pl.when(afternoon).then(12).otherwise(0)
        hour = pl.when(twelve.is_between(1, 12)).then(counted).cast(pl.String)
    minute = pl.col("M") if "M" in form.parts else pl.lit("00")
    second = pl.col("S") if "S" in form.parts else pl.lit("00")
    two_digits = [unit.str.zfill(2) for unit in (hour, minute, second)]
    is_leap = two_digits[2] == "60"
    return pl.when(~is_leap).then(pl.concat_str(two_digits, separator=":"))


def _offset(form: Format) -> pl.Expr:
    if not form.has_time:
        return pl.lit(0, dtype=pl.Int64)
    if "z" not in form.parts:
        return pl.lit(None, dtype=pl.Int64)
    zone = pl.col("z")
    hours = zone.str.slice(1, 2).cast(pl.Int64, strict=False)
    minutes = zone.str.extract("([0-9]{2})$", 1).cast(pl.Int64, strict=False)
    has_minutes = zone.str.len_bytes() > 3
    count = hours * 60 + pl.when(has_minutes).then(minutes).otherwise(0)
    signed = pl.when(zone.str.starts_with("-")).then(-count).otherwise(count)
    return pl.when(zone.str.contains("^[+-]")).then(signed).when(zone.is_not_null()).then(0)
