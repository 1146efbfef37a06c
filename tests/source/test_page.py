"""A record may be as large, as deep and as long in digits as is stated; beyond it is named, counted and not loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migrate.source.page import (
    MAX_DIGITS,
    MAX_NESTING,
    MAX_RECORD_BYTES,
    Page,
    take_within_bounds,
    why_beyond_bounds,
)

from .test_files import answer, ids, take, write


def nested(levels: int) -> bytes:
    """A record of so many levels, itself the first."""
    return b'{"profileid":"1","v":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def number(digits: int) -> bytes:
    """A record with a number of so many digits."""
    return b'{"profileid":"1","n":' + b"7" * digits + b"}"


def sized(size: int) -> bytes:
    """A record of so many bytes."""
    beginning, end = b'{"profileid":"1","t":"', b'"}'
    return beginning + b"x" * (size - len(beginning) - len(end)) + end


@pytest.mark.parametrize(
    ("make", "bound", "why"),
    [
        (nested, MAX_NESTING, "nested deeper than 200 levels"),
        (number, MAX_DIGITS, "a number of more than 1,000 digits"),
        (sized, MAX_RECORD_BYTES, "larger than 16,777,216 bytes"),
    ],
)
def test_the_bound_itself_is_taken_and_one_more_is_not(
    make: Callable[[int], bytes], bound: int, why: str
) -> None:
    """Exactly at the number that the documents state."""
    assert why_beyond_bounds(make(bound)) is None
    assert why in (why_beyond_bounds(make(bound + 1)) or "")


@pytest.mark.parametrize(
    "record",
    [
        b'{"t":"' + b"[" * 5_000 + b'"}',
        b'{"t":"\\"' + b"{" * 5_000 + b'"}',
        b'{"t":"' + b"9" * 5_000 + b'"}',
        b'{"items":[' + b",".join([b'{"a":[1]}'] * 3_000) + b"]}",
    ],
)
def test_text_and_width_are_not_bounded(record: bytes) -> None:
    """Brackets and digits in a text are text; a list may be as long as its record."""
    assert why_beyond_bounds(record) is None


def test_the_other_records_of_a_page_keep_their_order_and_their_damage() -> None:
    """Rows move up where one is left out, and so do the bytes kept for damaged ones."""
    page = Page(1, (b'{"a":1}', nested(300), b'{"b":2}'), 3, 1, damaged={2: b"bytes"})
    kept, beyond = take_within_bounds(page)
    assert kept.items == (b'{"a":1}', b'{"b":2}')
    assert (kept.damaged, list(beyond)) == ({1: b"bytes"}, [1])


@pytest.mark.parametrize("kind", ["answers", "lines"])
def test_of_saved_files_they_are_named_by_their_place(tmp_path: Path, kind: str) -> None:
    """The others arrive; the list is not proven, and the bytes are kept in a file of the manifest."""
    good = [{"profileid": str(n), "source": "shop"} for n in range(3)]
    deep = json.loads(nested(300)) | {"source": "shop"}
    records = [good[0], deep, good[1], good[2]]
    if kind == "answers":
        write(tmp_path, "profiles.json", answer(records, total=4))
    else:
        lines = [json.dumps(record) for record in records]
        write(tmp_path, "profiles.ndjson", "\n".join(lines).encode())
    found = take(tmp_path)
    result = found.resources["profiles"]
    assert ids(found) == ["0", "1", "2"]
    assert (result.verdict, result.distinct) == ("unproven", 3)
    [unread] = result.unread
    assert (unread.position, unread.reason) == (2, "the record is nested deeper than 200 levels")
    assert json.loads((found.folder / unread.file).read_bytes()) == deep
    manifest = json.loads((found.folder / "manifest.json").read_bytes())
    beside = manifest["resources"]["profiles"]["beside"]
    assert [entry["path"] for entry in beside] == [unread.file]


def test_of_the_api_they_cost_no_further_request(start: Callable[..., Any]) -> None:
    """The page is taken as it came, and the place of what was left out is that in the whole list."""
    bench = start(profiles=13)
    deep = json.loads("[" * 300 + "]" * 300)
    bench.post_profiles(range(13, 14), deep=deep)
    bench.post_profiles(range(14, 25))
    found = bench.extract()
    result = found.resources["profiles"]
    assert (result.verdict, result.distinct) == ("unproven", 24)
    assert [(one.page, one.position) for one in result.unread] == [(2, 14)]
    assert bench.ids(found) == [str(n) for n in range(25) if n != 13]
    # three pages, the page behind the end, and the ends looked at once more
    assert bench.requests <= 8
    again = bench.extract(found.snapshot)
    assert again.resources["profiles"].unread == result.unread
