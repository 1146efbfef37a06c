"""The verifier's SQL functions beside those of the planner's engine, where case is to be ignored."""

from __future__ import annotations

import polars as pl
import pytest

from migrate.verify.sql_functions import FUNCTIONS, like

# letters that fold to ASCII ones, or that only Python takes for such
_TEXTS = [
    "İstanbul",
    "ISTANBUL",
    "istanbul",
    "ıstanbul",
    "iſtanbul",
    "Kelvin",
    "kelvin",
    "straße",
    "STRASSE",
    "Å",
    "å",
]


@pytest.mark.parametrize(
    "pattern", ["istanbul", "İSTANBUL", "_stanbul", "kelvin", "k%", "STRASSE", "å"]
)
def test_like_without_case(pattern: str) -> None:
    """The Turkish letters are no cases of i; the long s and the sign of Kelvin are cases of s and k."""
    frame = pl.DataFrame({"t": _TEXTS})
    wanted = frame.sql(f"SELECT t ILIKE '{pattern}' AS found FROM self")["found"].to_list()
    assert [like(text, pattern, ignore_case=True) for text in _TEXTS] == wanted


@pytest.mark.parametrize("pattern", ["^i", "[i]", "[a-z]stan", "k", r"\wstan", "İ"])
def test_patterns_without_case(pattern: str) -> None:
    """Of regular expressions the same, within classes, too."""
    frame = pl.DataFrame({"t": _TEXTS})
    wanted = frame.sql(f"SELECT REGEXP_LIKE(t, '{pattern}', 'i') AS found FROM self")[
        "found"
    ].to_list()
    assert [FUNCTIONS["REGEXP_LIKE"](text, pattern, "i") for text in _TEXTS] == wanted
