"""Masks."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from migrate.privacy.mask import Masker, workspace_masker

MASKER = Masker(b"salt")


def test_a_mask_shows_the_shape_and_nothing_else() -> None:
    """Letters and digits are gone, the rest and the length stay."""
    assert MASKER.mask("Jan.3@x.nl").split("#")[0] == "Aaa.9@a.aa"


@given(st.text(min_size=1))
def test_no_letter_or_digit_of_the_value_survives(value: str) -> None:
    """Whatever the value, its mask's shape is made of a, A, 9 and punctuation."""
    shape = MASKER.mask(value).rsplit("#", 1)[0]
    assert all(char in "aA9…" or not char.isalnum() for char in shape)
    assert all(char.isascii() or char == "…" for char in shape)


def test_masks_can_be_joined_within_a_workspace_only(tmp_path: Path) -> None:
    """The same value has the same mask here, and another one elsewhere."""
    here, there = workspace_masker(tmp_path / "a"), workspace_masker(tmp_path / "b")
    assert here.mask("jan@x.nl") == workspace_masker(tmp_path / "a").mask("jan@x.nl")
    assert any(here.mask(f"{n}") != there.mask(f"{n}") for n in range(10))
    assert (tmp_path / "a" / "salt").stat().st_mode & 0o777 == 0o600
