"""The last line of defence for keys."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from migrate.privacy.redact import SHORTEST_KEY, RedactingFormatter, Redactor


@given(st.text(), st.text(min_size=SHORTEST_KEY), st.text())
def test_a_known_secret_never_gets_through(before: str, secret: str, after: str) -> None:
    """Wherever it stands."""
    assert secret not in Redactor([secret]).clean(before + "|" + secret + "|" + after).replace(
        "***", "\0"
    )


@given(st.text(min_size=1, max_size=SHORTEST_KEY - 1))
def test_a_key_too_short_to_be_one_leaves_words_as_they_are(secret: str) -> None:
    """Else every sentence would be asterisks, and where they stand would tell the key; in a URL it goes."""
    text = "the plan holds 12 rows; see the page"
    assert Redactor([secret]).clean(text) == text
    assert Redactor(["abc"]).clean("https://x/y?api-key=abc") == "https://x/y?api-key=***"


def test_a_key_in_a_url_is_masked_even_if_unknown() -> None:
    """Both services' query parameters, in any case."""
    cleaned = Redactor([]).clean("GET https://x/y?api-key=abc&a=1 and ?apikey=def and API-KEY=ghi")
    assert "abc" not in cleaned
    assert "def" not in cleaned
    assert "ghi" not in cleaned
    assert "a=1" in cleaned


def test_a_traceback_is_cleaned_too() -> None:
    """The formatter works on the finished line."""
    try:
        raise ValueError("the key is s3cret/key")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "failed with s3cret%2Fkey", (), (type(error), error, None)
        )
    line = RedactingFormatter(logging.Formatter(), Redactor(["s3cret/key"])).format(record)
    assert "s3cret" not in line


@given(
    st.from_regex(r"[a-z][a-z0-9._+-]{0,30}@[a-z]{1,20}\.[a-z]{2,5}", fullmatch=True),
    st.sampled_from(["@", "%40"]),
)
def test_no_email_address_gets_into_the_log(email: str, at: str) -> None:
    """In a path, in a server's words; other words stay."""
    text = f"GET Datatrics/project/7/profile/{email.replace('@', at)}: 200 in 0.1 s"
    line = RedactingFormatter(logging.Formatter(), Redactor([])).format(
        logging.LogRecord("x", logging.DEBUG, "", 0, text, (), None)
    )
    assert line == "GET Datatrics/project/7/profile/***: 200 in 0.1 s"
