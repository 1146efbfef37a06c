"""No page and no JSON object makes a terminal or a reader do anything."""

from __future__ import annotations

import json
import unicodedata

import click
from hypothesis import given
from hypothesis import strategies as st

from migrate.report.inert import inert_page, inert_text

texts = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\x1b\x9b[m0;8\u202e\u2066\u200b\ufeff\x07\r")
)


def obeyed(text: str) -> list[str]:
    """The signs in a text that are obeyed instead of shown."""
    return [
        char
        for char in text
        if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and char != "\n"
    ]


@given(texts)
def test_json_keeps_its_values_and_obeys_nothing(text: str) -> None:
    """Read again it is the same; on a terminal it is only shown."""
    shown = inert_text(json.dumps({"a": text, text: 1}, ensure_ascii=False))
    assert json.loads(shown) == {"a": text, text: 1}
    assert not set(obeyed(shown)) & set("\x1b\x9b\x07\r\u202e\u2066\u200b\ufeff\x7f")


@given(texts)
def test_a_page_keeps_its_lines_only(text: str) -> None:
    """Whatever a value tries: no cursor is moved, nothing is hidden, turned round or sent."""
    shown = inert_page(text)
    plain = shown.replace("\x1b[0m", "").replace("\x1b[1m", "").replace("\x1b[2m", "")
    assert not set(obeyed(plain)) & set("\x9b\x07\r\u202e\u2066\u200b\ufeff\x7f")
    assert "\x1b[8m" not in shown
    assert "\x1b]" not in shown
    assert shown.count("\n") == text.count("\n")


def test_the_programs_own_colours_stay() -> None:
    """Bold, dim and the colours of verdicts."""
    text = (
        click.style("next", bold=True)
        + click.style("fail", fg="red")
        + click.style("ok", fg="bright_green")
    )
    assert inert_page(text) == text
