"""Whether a stored value is the one that was sent, both as JSON text: no number goes through binary floating point."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal, InvalidOperation

import msgspec

# Date-times are written without a zone and come back as ISO with a `Z`.
_DATETIME = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?:Z|\+00(?::?00)?)?"
)
_WHITE = b" \t\r\n"


def is_same_value(sent: bytes, stored: bytes, *, may_be_time: bool = True) -> bool:
    """True when two JSON values are equal as Octolis documents values.

    Numbers by their exact decimal value (`1.10` is `1.1`), date-times as the same wall time (`2020-01-01 00:00:00` is
    `2020-01-01T00:00:00.000Z`: the format that is written has no zone), text exactly; null, '' and absent differ.
    `may_be_time=False` is for columns of text: a text that looks like a date-time is a text.
    """
    sent = sent.strip(_WHITE)
    stored = stored.strip(_WHITE)
    if sent == stored:
        return True
    if sent[:1] == b'"' and stored[:1] == b'"':
        return _is_same_text(_text(sent), _text(stored), may_be_time)
    numbers = _number(sent), _number(stored)
    return numbers[0] is not None and numbers[0] == numbers[1]


def _is_same_text(sent: str | None, stored: str | None, may_be_time: bool) -> bool:
    if sent is None or stored is None:
        return False
    if sent == stored:
        return True
    return may_be_time and _moment(sent) is not None and _moment(sent) == _moment(stored)


def _text(value: bytes) -> str | None:
    try:
        return msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _number(value: bytes) -> Decimal | None:
    if value[:1] not in b"-0123456789" or not value:
        return None
    try:
        return Decimal(value.decode("ascii"))
    except (InvalidOperation, UnicodeDecodeError):
        return None


def _moment(text: str) -> tuple[str, str, str] | None:
    match = _DATETIME.fullmatch(text)
    if match:
        return (match["day"], match["time"], (match["fraction"] or "").rstrip("0"))
    return None


def fold_text(text: str) -> str:
    """A text without what a database may take for nothing: letter case, spaces, Unicode form."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
