"""Names and codes of countries, whatever is written."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping import countries
from migrate.mapping.countries import find_country, fold_name

TABLE: dict[str, str] = json.loads(
    Path(countries.__file__).with_name("countries.json").read_text(encoding="utf-8")
)
CODES = set(TABLE.values())
# each sign beyond ASCII that some folding turns into plain letters, accents beside them
_FOLDING = [
    char
    for char in map(chr, range(0x80, 0x20000))
    if any(
        part.isascii() and part.isalnum() for part in unicodedata.normalize("NFKD", char.casefold())
    )
]
_near = st.lists(
    st.one_of(
        st.sampled_from(sorted(TABLE)),
        st.sampled_from(_FOLDING),
        st.sampled_from("nluS .&\u0301"),
        st.text(),
    ),
    max_size=5,
).map("".join)


@given(text=_near)
def test_a_country_is_a_code_or_none(text: str) -> None:
    """It never raises; what it gives is a code of ISO 3166-1, and giving it that again changes nothing."""
    found = find_country(text)
    assert found is None or (found in CODES and find_country(found) == found)
    assert fold_name(fold_name(text)) == fold_name(text)


@given(
    name=st.sampled_from(sorted(TABLE)),
    pad=st.sampled_from(["", " ", "\t ", "\u00a0"]),
    upper=st.booleans(),
)
def test_all_that_the_table_knows_is_found(name: str, pad: str, upper: bool) -> None:
    """In any case and with spaces around."""
    assert find_country(f"{pad}{name.upper() if upper else name}{pad}") == TABLE[name]


def test_the_table_is_as_names_are_folded() -> None:
    """Every entry can be found, its codes are 249 and of two capital letters."""
    assert [name for name in TABLE if fold_name(name) != name] == []
    assert len(CODES) == 250  # 249 of ISO, and Kosovo
    assert all(
        code.isascii() and code.isalpha() and code.isupper() and len(code) == 2 for code in CODES
    )


def test_no_odd_sign_makes_a_code() -> None:
    """None of the many signs that fold to plain letters makes a code, alone or beside any plain letter."""
    plain = "abcdefghijklmnopqrstuvwxyzNL"
    made = [
        text
        for sign in _FOLDING
        for text in (
            sign,
            *(sign + letter for letter in plain),
            *(letter + sign for letter in plain),
        )
        if find_country(text)
    ]
    assert len(_FOLDING) > 1_500
    assert made == []


@pytest.mark.parametrize(
    "text",
    ["ß™", "n\u0301l", "ｎｌ", "NL.", "N L", "NL2", "ＮＬＤ", "Ü.Ś.", "\u200bNL", "Peru и Chile"],
)
def test_what_is_no_code(text: str) -> None:
    """A code is sent in plain letters and alone; a name stands beside no other script's letters."""
    assert find_country(text) is None
