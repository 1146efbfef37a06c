"""What was sent and comes back in a service's words is taken out of them."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from migrate.target.answer import GONE, without_echo

RECORD = {
    "email": "jan@example.com",
    "lastname": "van der Berg",
    "lang": "nl",
    "points": 12345,
    "tags": [{"a": "vip-7"}],
}
SENT = json.dumps({"records": [RECORD]}).encode()


def test_values_go_and_words_stay() -> None:
    """Texts, numbers and what is nested, in any case; names of columns and the service's own words stay."""
    words = "email 'JAN@example.com' of Van der Berg: 12345 points and vip-7 are not valid in nl"
    assert (
        without_echo(words, SENT)
        == f"email '{GONE}' of {GONE}: {GONE} points and {GONE} are not valid in nl"
    )


def test_a_part_of_a_word_is_no_value() -> None:
    """A value that stands inside another word is not meant."""
    assert without_echo("invalid", b'{"a": "val"}') == "invalid"
    assert without_echo("id 123456 is unknown", SENT) == "id 123456 is unknown"


def test_what_was_sent_need_not_be_json() -> None:
    """A service that is sent nothing, or something else, has its words left alone."""
    for sent in (b"", b"<xml>", b"\xff", b"[" * 100_000):
        assert without_echo("no leave", sent) == "no leave"


@given(
    st.text(),
    st.lists(st.text(min_size=3).map(str.strip).filter(lambda text: len(text) >= 3)),
    st.text(),
)
def test_no_value_comes_through(before: str, values: list[str], after: str) -> None:
    """Wherever a whole value stands between other characters, it is gone."""
    words = " ".join(["x", *(f"({value})" for value in values), "y"])
    cleaned = without_echo(words, json.dumps(values).encode())
    assert all(
        f"({value})" not in cleaned
        for value in values
        if value[0].isalnum() and value[-1].isalnum()
    )
    assert without_echo(before + after, b"[]") == before + after
