"""The body of a list answer as a Page, or the reason why it is none."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from migrate.retry import TransientError
from migrate.snapshot import scan

_RECORD_TOTALS = ("total_elements", "totalElements", "total_items", "totalItems")
_PAGE_TOTALS = ("total_pages", "totalPages")
_NUMBER = re.compile(r'"?\s*(\d{1,18})(?:\.0+)?\s*"?')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True)
class Page:
    """A list answer: its records as sent, and what it announced. Totals are None where the server gave none.

    `sha256` is the digest of the records' bytes and leaves the totals out.
    """

    number: int
    items: tuple[bytes, ...] = field(repr=False)
    announced_records: int | None
    announced_pages: int | None
    sha256: str


def read_page(number: int, body: bytes) -> Page:
    """The page in `body`. Raises TransientError for anything that is no whole list answer."""
    text = _checked_text(body)
    members = {} if text[:1] == "[" else _members(text)
    records, pages = _total(members, _RECORD_TOTALS), _total(members, _PAGE_TOTALS)
    if text[:1] == "[":
        items = _elements(text)
    elif members.get("error", "null") != "null":
        raise TransientError(f"an error instead of records: {error_text(body)}")
    elif members.get("items", "null") != "null":
        items = _elements(members["items"])
    elif records == 0:
        items = ()
    else:
        raise TransientError(f"an object without records: {error_text(body)}")
    return Page(number, items, records, pages, _digest(items))


def error_text(body: bytes) -> str:
    """The server's own words, shortened and without control characters; empty when it gave none worth showing.

    **Source**: the two documented shapes, `{"message": …}` and `{"error": {"message": …}}`.
    """
    try:
        members = scan.split_object(body.decode("utf-8-sig"))
        error = members.get("error", "")
        if error.startswith("{"):
            members = scan.split_object(error)
        literal = members.get("message") or error
        words = scan.decode_string(literal) if literal.startswith('"') else ""
    except ValueError:
        return "no JSON"
    return shorten(words) or "no message"


def shorten(text: str) -> str:
    """`text` on one line, fit for a terminal."""
    clean = " ".join(_CONTROL.sub(" ", text).split())
    return clean if len(clean) <= _SHOWN_CHARACTERS else f"{clean[: _SHOWN_CHARACTERS - 1]}…"


def _checked_text(body: bytes) -> str:
    try:
        text = body.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise TransientError(f"the body is no valid UTF-8 at byte {error.start}") from None
    if not text:
        raise TransientError("an empty body")
    if text[0] == "<":
        raise TransientError("HTML instead of JSON")
    return text


def _members(text: str) -> Mapping[str, str]:
    try:
        return {name: bytes(raw).decode() for name, raw in _ENVELOPE.decode(text).items()}
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return scan.split_object(text)
    except ValueError as error:
        raise TransientError(f"the body is no whole JSON object: {error}") from None


def _elements(text: str) -> tuple[bytes, ...]:
    try:
        return tuple(map(bytes, _ITEMS.decode(text)))
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        return tuple(item.encode() for item in scan.split_array(text))
    except ValueError as error:
        raise TransientError(f"the records are no whole JSON array: {error}") from None


def _total(members: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    for name in names:
        match = _NUMBER.fullmatch(members.get(name, ""))
        if match:
            return int(match[1])
    return None


def _digest(items: tuple[bytes, ...]) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(b"%d:" % len(item))
        digest.update(item)
    return digest.hexdigest()
