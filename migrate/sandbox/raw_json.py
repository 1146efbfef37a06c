"""JSON without Python numbers: every number keeps the digits it was sent with.

`1.10` must come back as `1.10` and `10**30` as itself; a float would lose both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw

Members = dict[str, Raw]

_MEMBERS = msgspec.json.Decoder(Members)
_MEMBERS_LIST = msgspec.json.Decoder(list[Members])
_TEXT = msgspec.json.Decoder(str)
# Whole numbers stay exact as int of any size; only fractions need their text.
_VALUES = msgspec.json.Decoder(float_hook=Raw)
_ENCODER = msgspec.json.Encoder()
# The standard library's reader takes NaN and half surrogate pairs, which a rehearsal may plant.
_SCANNER = json.JSONDecoder(parse_float=str, parse_int=str)
_BLANK = " \t\r\n"


class BrokenJson(ValueError):
    """The text is not the JSON that was asked for."""


def read_members(data: bytes | Raw) -> Members:
    """An object as name → raw slice of its value. Raises BrokenJson."""
    try:
        return _MEMBERS.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BrokenJson(str(error)) from None


def read_members_list(data: bytes | Raw) -> list[Members]:
    """An array of objects, each as `read_members` gives it. Raises BrokenJson."""
    try:
        return _MEMBERS_LIST.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BrokenJson(str(error)) from None


def read_values(data: bytes | Raw) -> Any:
    """The value as Python objects, except that a number with a fraction or an exponent is a `Raw`."""
    try:
        return _VALUES.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BrokenJson(str(error)) from None


def write_json(value: object) -> bytes:
    """Compact JSON; `Raw` members go out as they came in."""
    return _ENCODER.encode(value)


def literal_text(raw: Raw) -> str | None:
    """A string's text or a number's digits; None for anything else: what an identifier can be made of."""
    data = bytes(raw).strip()
    if data[:1] == b'"':
        return _TEXT.decode(data)
    if data[:1] in b"-0123456789" and data:
        return data.decode("ascii")
    return None


def slice_array(text: str) -> Iterator[str]:
    """The elements of a JSON array as the exact slices they were sent as, even where stricter readers refuse."""
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise BrokenJson("expected an array")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "]":
        try:
            _, end = _SCANNER.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BrokenJson(str(error)) from None
        yield text[at:end]
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at
