"""Bodies of list answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.net.retry import TransientError
from migrate.source.page import error_text, read_page


@pytest.mark.parametrize(
    ("totals", "announced"),
    [
        ('"total_elements":12,"total_pages":2,', (12, 2)),
        ('"totalElements":12,"totalPages":2,', (12, 2)),
        ('"total_items":12,"total_pages":2,', (12, 2)),
        ('"total_items":"12","total_pages":"2",', (12, 2)),
        ('"total_items":12.0,', (12, None)),
        ('"total_items":null,"total_pages":-1,', (None, None)),
        ('"total_items":"many",', (None, None)),
        ("", (None, None)),
    ],
)
def test_totals_in_all_spellings_and_their_absence(
    totals: str, announced: tuple[int | None, int | None]
) -> None:
    """Three names, numbers as text, and nothing at all."""
    page = read_page(3, f'{{{totals}"page":3,"size":1,"items":[{{"a":1.10}}]}}'.encode())
    assert (page.announced_records, page.announced_pages) == announced
    assert page.items == (b'{"a":1.10}',)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "an empty body"),
        (b"  \n", "an empty body"),
        (b"<html><body>502</body></html>", "HTML"),
        (b"nonsense", "no whole JSON object"),
        (b'{"items":[{"a":1}', "no whole JSON object"),
        (b'[{"a":1},', "no whole JSON array"),
        (b'{"items":[{"a":"\xff"}]}', "UTF-8"),
        (b'{"items":[{"a":"\xed\xa0\x80"}]}', "UTF-8"),
        (b'{"items":null,"total_items":3}', "without records"),
        (b'{"total_items":3}', "without records"),
        (b'{"items":{"a":1}}', "no whole JSON array"),
        (b'{"error":{"message":"try later"}}', "try later"),
        (b'{"error":{"message":"try later"},"items":[]}', "try later"),
        (b'{"status":500,"message":"try\x1b]0;later"}', r"try \]0;later"),
        (b"17", "no whole JSON object"),
    ],
)
def test_what_is_no_list_answer_may_pass(body: bytes, reason: str) -> None:
    """Anything else than records is asked for again, with the reason."""
    with pytest.raises(TransientError, match=reason):
        read_page(1, body)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'{"items":[]}',
        b'{"total_items":0}',
        b'{"items":null,"total_pages":0,"total_items":"0"}',
    ],
)
def test_an_empty_list_is_a_list(body: bytes) -> None:
    """No records, where the answer says that there are none."""
    assert read_page(1, body).items == ()


@given(
    st.lists(
        st.dictionaries(st.text(max_size=4), st.floats() | st.text(max_size=4), max_size=3),
        max_size=4,
    )
)
def test_records_are_handed_on_byte_by_byte(records: list[dict[str, Any]]) -> None:
    """With a byte order mark, white space, NaN and escapes: each record is the slice that was sent."""
    sent = [json.dumps(record, indent=1).encode() for record in records]
    body = b'\xef\xbb\xbf {"items": [' + b" ,\n".join(sent) + b" ] }\n"
    assert read_page(1, body).items == tuple(sent)


def test_a_servers_words_are_shortened() -> None:
    """Neither a page of text nor a control character."""
    words = error_text(json.dumps({"message": "x\n\x9b" * 500}).encode())
    assert len(words) == 200
    assert words.isprintable()
    assert error_text(b"<html>") == "no JSON"
    assert error_text(b"{}") == "no message"
