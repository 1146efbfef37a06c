"""The body of a list answer as a Page, or the reason why it is none; and which of its records are taken.

How large, how deep and with how many digits a record may be is bounded. Records of shops are some
kilobytes, three levels deep. What is far beyond costs whoever reads it minutes or gigabytes, so it
goes no further than the extract, which keeps its bytes and names it as a record that could not be
read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from migrate.net.retry import TransientError
from migrate.snapshot.json_text import decode_string, split_array, split_object

RECORD_TOTALS = ("total_elements", "totalElements", "total_items", "totalItems")
PAGE_TOTALS = ("total_pages", "totalPages")
_NULL = b"null"
_NUMBER = re.compile(rb'"?\s*(\d{1,18})(?:\.0+)?\s*"?')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])
_SHOWN_CHARACTERS = 200
# Far beyond any record of a shop, and far below what costs a reader minutes or gigabytes.
MAX_RECORD_BYTES = 1 << 24
MAX_NESTING = 200
MAX_DIGITS = 1_000
# Possessive, so that a string that never ends is not tried from each of its characters.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_OTHER_SIGNS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_TOO_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)


@dataclass(frozen=True)
class Page:
    """A list answer: its records as sent, and what it announced, None where the server gave none.

    `damaged`: by their row, records that came with bytes that are no UTF-8, as they came. Their
    `items` have U+FFFD in the place of such bytes.
    """

    number: int
    items: tuple[bytes, ...] = field(repr=False)
    announced_records: int | None
    announced_pages: int | None
    damaged: Mapping[int, bytes] = field(default_factory=dict, repr=False)


class DamagedTextError(TransientError):
    """A body in which some bytes are no UTF-8: damaged on its way, or stored like that."""


def read_page(number: int, body: bytes) -> Page:
    """The page in `body`.

    **Raises**: TransientError for anything that is no whole list answer; DamagedTextError.
    """
    members, items = _read_list(_checked(body))
    announced_records = _total(members, RECORD_TOTALS)
    announced_pages = _total(members, PAGE_TOTALS)
    if items is None:
        is_error = members.get("error", _NULL) != _NULL
        if is_error:
            raise TransientError(f"an error instead of records: {error_text(body)}")
        # Only an answer that announces nothing may hold nothing; any other one lost its records.
        if announced_records != 0:
            raise TransientError(f"an object without records: {error_text(body)}")
        items = ()
    return Page(number, items, announced_records, announced_pages)


def read_damaged_page(number: int, body: bytes) -> Page:
    """The page in a body in which some bytes are no UTF-8.

    JSON's own signs are ASCII, so the records can be told apart whatever the bytes between them
    are. Raises TransientError for anything else that is no whole list answer.
    """
    data = _trimmed(body)
    mended = read_page(number, data.decode("utf-8", "replace").encode())
    # Such bytes as lone surrogates, which no text that was decoded can hold otherwise.
    text = data.decode("utf-8", "surrogateescape")
    try:
        if text[:1] != "[":
            text = split_object(text).get("items", "")
        records = split_array(text if text not in ("", "null") else "[]")
    except ValueError as error:
        raise TransientError(f"the records are no whole JSON array: {error}") from None
    received = [record.encode("utf-8", "surrogateescape") for record in records]
    items = tuple(record.decode("utf-8", "replace").encode() for record in received)
    damaged = {}
    for row, (as_received, item) in enumerate(zip(received, items, strict=True)):
        if as_received != item:
            damaged[row] = as_received
    return replace(mended, items=items, damaged=damaged)


def _read_list(data: bytes) -> tuple[Mapping[str, bytes], tuple[bytes, ...] | None]:
    """The members and the records of an answer, None where it has no records."""
    if data[:1] == b"[":
        return {}, split_items(data)
    members = _members(data)
    if members.get("error", _NULL) != _NULL or members.get("items", _NULL) == _NULL:
        return members, None
    return members, split_items(members["items"])


def error_text(body: bytes) -> str:
    """The server's own words, shortened and without control characters; empty when it gave none worth showing.

    **Source**: the two documented shapes, `{"message": …}` and `{"error": {"message": …}}`.
    """
    try:
        members = split_object(body.decode("utf-8-sig"), lenient=True)
        error = members.get("error", "")
        if error.startswith("{"):
            members = split_object(error, lenient=True)
        literal = members.get("message") or error
        if literal.startswith('"'):
            words = decode_string(literal)
        else:
            words = ""
    except ValueError:
        return "no JSON"
    return shorten(words) or "no message"


def shorten(text: str) -> str:
    """`text` on one line, fit for a terminal."""
    clean = " ".join(_CONTROL.sub(" ", text).split())
    if len(clean) <= _SHOWN_CHARACTERS:
        return clean
    return f"{clean[: _SHOWN_CHARACTERS - 1]}…"


def _trimmed(body: bytes) -> bytes:
    return body.removeprefix(codecs.BOM_UTF8).strip()


def _checked(body: bytes) -> bytes:
    data = _trimmed(body)
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise DamagedTextError(f"the body is no valid UTF-8 at byte {error.start}") from None
    if not data:
        raise TransientError("an empty body")
    if data[:1] == b"<":
        raise TransientError("HTML instead of JSON")
    return data


def _members(data: bytes) -> Mapping[str, bytes]:
    try:
        return {name: bytes(raw) for name, raw in _ENVELOPE.decode(data).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return {
            name: value.encode()
            for name, value in split_object(data.decode(), lenient=True).items()
        }
    except ValueError as error:
        raise TransientError(f"the body is no whole JSON object: {error}") from None


def split_items(data: bytes) -> tuple[bytes, ...]:
    """The elements of a JSON array as sent. Raises TransientError when it is none, or not whole.

    PHP writes a list with gaps in its numbers as an object: then its values are the elements, if
    all of them are objects.
    """
    if data[:1] == b"{":
        values = tuple(_members(data).values())
        if all(value[:1] == b"{" for value in values):
            return values
    try:
        return tuple(map(bytes, _ITEMS.decode(data)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return tuple(item.encode() for item in split_array(data.decode(), lenient=True))
    except ValueError as error:
        raise TransientError(f"the records are no whole JSON array: {error}") from None


def _total(members: Mapping[str, bytes], names: tuple[str, ...]) -> int | None:
    for name in names:
        match = _NUMBER.fullmatch(members.get(name, b""))
        if match:
            return int(match[1])
    return None


def why_beyond_bounds(record: bytes) -> str | None:
    """Why a record is not taken; None where it is within all bounds. `record`: one whole JSON value."""
    if len(record) > MAX_RECORD_BYTES:
        return f"the record is larger than {MAX_RECORD_BYTES:,} bytes"
    # What is shorter than the levels allowed cannot be deeper, and has no number of a thousand digits.
    if len(record) <= MAX_NESTING:
        return None
    # Counted first, which is quick: to take the strings out costs more than all else that is done to a record.
    brackets = record.count(b"[") + record.count(b"{")
    if brackets > MAX_NESTING and _is_deep(_STRING.sub(b"", record)):
        return f"the record is nested deeper than {MAX_NESTING} levels"
    # Text may be all digits: only numbers are bounded.
    if _has_long_number(record) and _has_long_number(_STRING.sub(b"", record)):
        return f"the record has a number of more than {MAX_DIGITS:,} digits"
    return None


def take_within_bounds(page: Page) -> tuple[Page, dict[int, str]]:
    """The page without the records beyond the bounds; and why these are, by their row."""
    beyond = {}
    for row, item in enumerate(page.items):
        why = why_beyond_bounds(item)
        if why is not None:
            beyond[row] = why
    if not beyond:
        return page, beyond
    rows = [row for row in range(len(page.items)) if row not in beyond]
    damaged = {at: page.damaged[row] for at, row in enumerate(rows) if row in page.damaged}
    items = tuple(page.items[row] for row in rows)
    return replace(page, items=items, damaged=damaged), beyond


def _is_deep(structure: bytes) -> bool:
    """Whether brackets lie deeper than is taken: each pass takes the innermost level away."""
    brackets = structure.translate(_ONE_KIND, _OTHER_SIGNS)
    for _ in range(MAX_NESTING):
        inner = brackets.replace(b"[]", b"")
        if inner == brackets:
            break
        brackets = inner
    return bool(brackets)


def _has_long_number(text: bytes) -> bool:
    return len(text) > MAX_DIGITS and _TOO_LONG_NUMBER in text.translate(_DIGITS_AS_ZEROS)
