"""Documents, help, messages and reports keep to plain English: docs/plain-english.md lists the words to avoid."""

from __future__ import annotations

import pytest

from tests import plain_words


def test_nothing_that_is_read_has_one_of_the_words() -> None:
    """Pages, runbooks, help texts, messages, templates of reports: each with its file and line."""
    assert plain_words.problems() == []


def test_the_page_is_the_list() -> None:
    """Every row of its table refuses something, and a good word is not refused."""
    words = plain_words.refused_words(plain_words.PAGE.read_text(encoding="utf-8"))
    assert {"mend", "anew", "«"} <= set(words)
    assert not plain_words.pattern_of(words).search(
        'Fix the mapping, then plan again: "load" isn\'t told.'
    )


@pytest.mark.parametrize(
    ("word", "text", "is_found"),
    [
        ("mend", "Mend it", True),
        ("mend", "amend it", False),
        ("utiliz*", "when utilizing", True),
        ("stands in", "it stands\n  in the file", True),
        ("«", "a «name»", True),
        ("«", "Ã« read wrongly", False),
    ],
)
def test_a_word_is_found_as_a_word(word: str, text: str, is_found: bool) -> None:
    """In either case, over a line end, with any ending where the list has a star, and not inside another word."""
    assert bool(plain_words.pattern_of([word]).search(text)) is is_found
