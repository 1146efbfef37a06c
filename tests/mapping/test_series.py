"""Small steps over whole columns."""

from __future__ import annotations

import re

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping import series
from migrate.mapping.series import all_between, is_same

_TEXTS = st.text("0359x-é", min_size=3, max_size=5)


@given(st.lists(st.none() | _TEXTS, max_size=8), st.sampled_from([1, 3, 16_384]))
def test_letters_between_two_patterns(texts: list[str | None], at_once: int) -> None:
    """As a regular expression of the same classes finds, however many texts are looked at together."""
    column, before = pl.Series(texts, dtype=pl.String), series._COMPARED
    wanted = all(
        re.fullmatch("[0-3]-[0-9]x", text) is not None for text in texts if text is not None
    )
    try:
        series._COMPARED = at_once
        series._repeated.cache_clear()
        assert all_between(column, "0-0x", "3-9x") == wanted
    finally:
        series._COMPARED = before
        series._repeated.cache_clear()


def test_a_last_text_is_looked_at() -> None:
    """Of more texts than are looked at together, the odd one may be anywhere."""
    many = ["12"] * 40_000
    assert all_between(pl.Series(many), "00", "99")
    for place in (0, 16_383, 16_384, 39_999):
        assert not all_between(pl.Series([*many[:place], "1x", *many[place + 1 :]]), "00", "99")


def test_the_same_in_all_rows() -> None:
    """One row is no sign, and null is no text."""
    told = [
        is_same(pl.Series(texts, dtype=pl.String))
        for texts in (["a", "a"], ["a", "b"], ["a"], [], ["a", None])
    ]
    assert told == [True, False, False, False, False]
