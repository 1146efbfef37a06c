"""Text for a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from migrate.report.terminal import format_duration, inert, render_table, width_of


@given(st.text())
def test_inert_text_holds_nothing_a_terminal_obeys(text: str) -> None:
    """No control, format, surrogate or separator character survives, whatever the text."""
    assert all(char == " " or unicodedata.category(char)[0] not in "CZ" for char in inert(text))


def test_numbers_stand_on_the_right_and_are_grouped() -> None:
    """Columns line up, numbers are grouped by thousands."""
    table = render_table(
        ["dataset", "rows"], [["contacts", 1234567], ["orders", 5], ["日本", None]], indent=0
    )
    lines = table.splitlines()
    assert lines[2] == "contacts  1,234,567"
    assert lines[3] == "orders            5"
    assert len({width_of(line) for line in lines}) == 1


def test_an_empty_table_still_has_its_headers() -> None:
    """No rows, no crash."""
    assert "dataset" in render_table(["dataset", "rows"], [])


def test_durations_read_as_people_say_them() -> None:
    """Seconds, minutes, hours."""
    assert [format_duration(s) for s in (0.44, 12, 200, 7500)] == [
        "0.4 s",
        "12 s",
        "3 min 20 s",
        "2 h 05 min",
    ]
