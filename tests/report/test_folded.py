"""Prose on a terminal: folded at its words, what is to be pasted left whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.report.folded import fold


@given(st.lists(st.from_regex(r" {0,4}[a-z]{1,12}( [a-z]{1,12}){0,30}", fullmatch=True)))
def test_no_line_is_wider_and_no_word_is_lost(lines: list[str]) -> None:
    """Of words that fit, in a terminal of 60 columns."""
    text = "\n".join(lines)
    folded = fold(text, 60)
    is_command = any(line.strip().startswith("migrate ") for line in lines)
    assert is_command or all(len(line) <= 60 for line in folded.split("\n"))
    assert folded.split() == text.split()


@pytest.mark.parametrize(
    "line",
    [
        "next: migrate load --plan " + "a" * 60,
        "  -> migrate extract profiles --snapshot NEW-NAME --since " + "a" * 30,
        'base_url = "http://127.0.0.1:8720/2.0/a/very/long/path/that/somebody/has chosen"',
        "  " + "x" * 90,
    ],
)
def test_what_is_pasted_stays_whole(line: str) -> None:
    """Commands, settings, and names that have no blank."""
    assert fold(line, 60) == line


def test_what_follows_stands_further_in() -> None:
    """Two blanks more than the line began with."""
    assert fold("  one two three", 10) == "  one two\n    three"
