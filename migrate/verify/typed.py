"""Text to the text that the target is sent, type by type: the verifier's own reading of the documents.

Pure Python, `decimal` and `zoneinfo`; a value at a time. A rule that is broken is a `Broken` with the rule's name.

**Source**: Octolis Data API: numbers within int32, floats of six digits, `YYYY-MM-DD HH:MM:SS`, real booleans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Context, Decimal

from migrate.verify.record import holds_half
from migrate.verify.rules import ColumnRule
from migrate.verify.times import Parser, is_zero_date, parse_ranked, parser_of, to_utc

Reader = Callable[[str, str], str]
"""Gives the canonical text for a source text and the zone of its naive times. Raises Broken."""

_LOWEST = -(2**31)
_HIGHEST = 2**31 - 1
_UNSENDABLE = re.compile("[\0\ud800-\udfff]")
_WHOLE = re.compile(r"-?[0-9]+(\.0+)?")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?")
# Exponents have up to four digits and a number may be a thousand long; Python's usual 28 digits would round.
_EXACT = Context(prec=3000)
_SIX = Context(prec=6, rounding=ROUND_HALF_EVEN)


_DIGITS = "(0|[1-9][0-9]{0,8})"
_PLAIN = {
    "boolean": "true|false",
    "integer": "0|-?[1-9][0-9]{0,8}",
    "float": rf"0|-?[1-9][0-9]{{0,8}}|-?{_DIGITS}\.[0-9]{{0,5}}[1-9]",
}


def plain_texts(kind: str, float_digits: str, text: str) -> list[str]:
    """Conditions in SQL under which a text is the canonical one of its type already, so that nobody need read it."""
    if kind not in _PLAIN:
        return []
    plain = f"regexp_full_match({text}, '{_PLAIN[kind]}')"
    # so short a number has six digits at most
    return [f"(strlen({text}) < 7 AND {plain})" if float_digits == "significant" else plain]


class Broken(Exception):
    """A text that breaks a rule; `rule` is its name."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Unverifiable(Exception):
    """Something of the language that the verifier has no reading of its own for."""


def reader_of(column: ColumnRule, float_digits: str) -> Reader:
    """The reader of a column's type. Raises Unverifiable for a spelling of times it does not know."""
    match column.type:
        case "text":
            return lambda text, _zone: read_text(text)
        case "json":
            return lambda text, _zone: read_json(text)
        case "integer":
            return lambda text, _zone: read_integer(text)
        case "boolean":
            return lambda text, _zone: read_boolean(text)
        case "float":
            policy = column.digits or ("round" if float_digits == "decimals" else "reject")
            return lambda text, _zone: read_float(text, float_digits, policy)
        case "datetime" | "date":
            spelling = column.format
            whole_day = column.type == "date"
            parse = parser_of(spelling, column.pivot)
            if parse is None:
                raise Unverifiable(f"format {spelling}")
            return lambda text, zone: _read_time(text, zone, parse, spelling, whole_day=whole_day)
    raise Unverifiable(f"type {column.type}")


def read_text(text: str) -> str:
    """The text itself, unless a database cannot hold it."""
    if _UNSENDABLE.search(text):
        raise Broken("unsendable_text")
    return text


def read_json(text: str) -> str:
    """The text itself, if it is one JSON value."""
    read_text(text)
    try:
        # numbers as they are written: their digits are not counted here
        # Python takes `NaN` and `Infinity` for JSON, which they are not.
        json.loads(text, parse_constant=_no_constant, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise Broken("not_json") from None
    if holds_half(text):
        raise Broken("not_json")
    return text


def _no_constant(_name: str) -> None:
    raise ValueError


def read_integer(text: str) -> str:
    """A whole number within int32; `12.000` is one, `1e3` is not."""
    if not _WHOLE.fullmatch(text):
        raise Broken("not_an_integer")
    digits = text.partition(".")[0]
    # Whatever is longer is out of range anyway, and Python refuses to read numbers of some thousand digits.
    number = int(digits) if len(digits) < 20 else _HIGHEST + 1
    if not _LOWEST <= number <= _HIGHEST:
        raise Broken("out_of_int32")
    return str(number)


def read_boolean(text: str) -> str:
    """`true` or `false`."""
    if text not in {"true", "false"}:
        raise Broken("not_a_boolean")
    return text


def read_float(text: str, float_digits: str, policy: str) -> str:
    """A decimal number of at most six digits, rounded half-even or refused."""
    if not _NUMBER.fullmatch(text):
        raise Broken("not_a_number")
    number = _EXACT.create_decimal(text)
    kept = number
    # Larger ones are out of int32 in any case; brought to a scale they would only grow.
    if abs(number) <= 10**12:
        if float_digits == "significant":
            kept = _SIX.plus(number)
        else:
            kept = number
        scale = 18 if float_digits == "significant" else 6
        kept = kept.quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_EVEN, context=_EXACT)
    if not _LOWEST <= kept <= _HIGHEST:
        raise Broken("out_of_int32")
    if kept != number and policy == "reject":
        raise Broken("too_many_digits")
    return plain_number(kept)


def plain_number(number: Decimal) -> str:
    """A number without exponent, without zeros at the end, and without a sign before 0."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", "", "-"} else text


def read_recency(text: str, zone: str) -> str | None:
    """A time for ranking in any known spelling, None where the text is none."""
    try:
        return to_utc(parse_ranked(text), zone).isoformat(sep=" ", timespec="seconds")
    except (ValueError, OverflowError):
        return None


def _read_time(
    text: str, zone: str, parse: Parser, spelling: str | None, *, whole_day: bool
) -> str:
    try:
        parsed = parse(text)
    except (ValueError, OverflowError):
        # It means that there is no date, and is counted apart from dates that nobody could read.
        if is_zero_date(text, spelling):
            raise Broken("zero_date") from None
        raise Broken("not_a_date" if whole_day else "not_a_datetime") from None
    if whole_day:
        return f"{parsed[0].date().isoformat()} 00:00:00"
    try:
        moment = to_utc(parsed, zone)
    except OverflowError:
        raise Broken("out_of_calendar") from None
    return moment.isoformat(sep=" ", timespec="seconds")
