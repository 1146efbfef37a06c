"""What the answers to reads hold. Each reader raises TransientError for a body that is not what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from migrate.net.retry import TransientError
from migrate.target.answer import Answer
from migrate.target.results import RawRecord

_BELIEVED_EMPTY = 3
# As many digits as surely fit 64 bits; a longer one is no count.
_LONGEST_COUNT = 18
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""How gzip, zstd and zlib begin; no text does."""


@dataclass(frozen=True)
class Count:
    """The records of a dataset, and the service's own time when it counted (None when it did not say)."""

    count: int
    server_time: datetime | None


def read_count(answer: Answer) -> Count:
    """A count, as a number, as JSON or as CSV."""
    try:
        value = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The count takes `format` and `header` as the export does, so it may come as CSV.
        value = _csv_count(answer.body)
    if isinstance(value, dict):
        number = value.get("count")
    else:
        number = value
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise TransientError("the count is not a number")
    return Count(number, answer.server_time)


def _csv_count(body: bytes) -> int | None:
    last = body.strip().rsplit(b"\n", 1)[-1].strip(b'" \r')
    if last.isdigit() and len(last) <= _LONGEST_COUNT:
        return int(last)
    return None


def csv_reader() -> Callable[[Answer], bytes]:
    """A reader of one page of CSV, which believes a page without a byte only the third time.

    A page whose last line has no end may be cut, where the answer told no length: it is believed
    once it came twice. That holds for a lone header as well: cut short, it names other columns
    than the dataset has.
    """
    empty, unended = 0, b""

    def read(answer: Answer) -> bytes:
        nonlocal empty, unended
        # polars unpacks what begins so by itself, without any bound: 100 kB may be gigabytes.
        if answer.body.startswith(_PACKED):
            raise TransientError("the answer is packed, which was not asked for")
        head = answer.body[:200].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
        empty += not head
        if head.startswith((b"<", b"{", b"[")) or (not head and empty < _BELIEVED_EMPTY):
            raise TransientError("the answer is no CSV")
        if head and not answer.body.endswith(b"\n") and answer.body != unended:
            unended = answer.body
            raise TransientError("the answer ends within a line")
        return answer.body

    return read


class _Listed(msgspec.Struct):
    records: list[RawRecord]


def read_list(answer: Answer) -> list[RawRecord]:
    """The records of a page of JSON."""
    try:
        return msgspec.json.decode(answer.body, type=_Listed).records
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise TransientError("the answer lists no records") from None


class _One(msgspec.Struct):
    record: RawRecord


def read_raw_one(answer: Answer) -> RawRecord | None:
    """One record, each column as the JSON text that came, None where there is none."""
    if answer.status == 404:
        return None
    try:
        return msgspec.json.decode(answer.body, type=_One).record
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
        raise TransientError("the answer holds no record") from None


def read_one(answer: Answer) -> Mapping[str, Any] | None:
    """One record with its numbers as Decimal, None where there is none."""
    if answer.status == 404:
        return None
    try:
        # Not as binary floats: 19.99 would come back as another number than was written.
        value = msgspec.json.Decoder(float_hook=Decimal).decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ArithmeticError):
        raise TransientError("the answer is no JSON") from None
    if isinstance(value, dict):
        record = value.get("record")
    else:
        record = None
    if not isinstance(record, dict):
        raise TransientError("the answer holds no record")
    if value.get("isMerged"):
        return {**record, "isMerged": True}
    return record
