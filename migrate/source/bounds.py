"""How large, how deep and with how many digits a record may be. Beyond it is kept as bytes, counted, and not loaded.

Records of shops are some kilobytes, three levels deep. What is far beyond costs whoever reads it minutes or gigabytes,
so it goes no further than the extract, which names it as a record that could not be read.
"""

from __future__ import annotations

import re
from dataclasses import replace

from migrate.source.page import Page

MAX_RECORD_BYTES = 1 << 24
MAX_NESTING = 200
MAX_DIGITS = 1_000
# Possessive, so that a string that never ends is not tried from each of its characters.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_OTHER_SIGNS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"0" * 9)
_TOO_LONG_NUMBER = b"0" * (MAX_DIGITS + 1)


def why_beyond_bounds(record: bytes) -> str | None:
    """Why a record is not taken; None where it is within all bounds. `record`: one whole JSON value."""
    if len(record) > MAX_RECORD_BYTES:
        return f"the record is larger than {MAX_RECORD_BYTES:,} bytes"
    if len(record) <= MAX_NESTING:
        return None
    may_be_deep = record.count(b"[") + record.count(b"{") > MAX_NESTING
    if may_be_deep and _is_deep(_STRING.sub(b"", record)):
        return f"the record is nested deeper than {MAX_NESTING} levels"
    # Text may be all digits: only numbers are bounded.
    if _has_long_number(record) and _has_long_number(_STRING.sub(b"", record)):
        return f"the record has a number of more than {MAX_DIGITS:,} digits"
    return None


def take_within_bounds(page: Page) -> tuple[Page, dict[int, str]]:
    """The page without the records beyond the bounds; and why these are, by their row."""
    beyond = {
        row: why
        for row, item in enumerate(page.items)
        if (why := why_beyond_bounds(item)) is not None
    }
    if not beyond:
        return page, beyond
    kept = [row for row in range(len(page.items)) if row not in beyond]
    items = tuple(page.items[row] for row in kept)
    damaged = {at: page.damaged[row] for at, row in enumerate(kept) if row in page.damaged}
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
