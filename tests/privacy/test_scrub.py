"""Texts of which only the tool's own words are left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.privacy.mask import Masker
from migrate.privacy.scrub import Veil, reveals, words_of

MASK = Masker(b"salt").mask
VEIL = Veil(["records", "of", "the", "first-try", "GET", "project", "re", "send"], MASK)


def test_known_words_and_counts_stay() -> None:
    """What the tool says itself can be read, with its numbers and names."""
    for text in (
        "12 of 1,234 records",
        "GET project/the: 200 in".removesuffix(" in"),
        "first-try (12.5%) re-send 0.012",
    ):
        assert VEIL.clean(text) == text


@pytest.mark.parametrize(
    "value",
    [
        "Jan",
        "jan@x.nl",
        "0612345678",
        "+31-6-12345678",
        "1985-03-12",
        "1012AB",
        "d'Artagnan",
        "张伟",
        "the.jan",
    ],
)
def test_values_are_masked(value: str) -> None:
    """Names, addresses, numbers of telephones and houses, dates, also beside known words."""
    for text in (f"the {value} of", f"'{value}'", f"the={value};", f"project/{value}?x"):
        assert value not in VEIL.clean(text)
        assert VEIL.clean(text).startswith(text[0])


def test_numbers_in_paths_are_ids() -> None:
    """A short number is a count in a sentence and somebody's id in a path."""
    assert VEIL.clean("project/42").startswith("project/99#")
    assert VEIL.clean("42 records") == "42 records"


@given(st.text())
def test_no_unknown_word_survives(text: str) -> None:
    """Whatever the text: letters that are left belong to known words or to masks, and the lines stay lines."""
    cleaned = VEIL.clean(text)
    known = {"records", "of", "the", "first-try", "GET", "project", "re", "send", "first", "try"}
    left = {word for word in words_of(text) if word and word in words_of(cleaned)}
    assert all(
        not any(char.isalpha() for char in word) or word in known or set(word) <= set("aA9.-_#@+*")
        for word in left
    )
    assert cleaned.count("\n") == text.count("\n")


def test_addresses_are_seen_and_masks_are_not() -> None:
    """The last look at what is to be written."""
    assert reveals("mail jan@example.com now")
    assert not reveals(f"mail {MASK('jan@example.com')} now")
    assert not reveals("no address")
