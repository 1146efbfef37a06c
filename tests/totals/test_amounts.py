"""Amounts in the spellings that shops send."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.totals.amounts import read_amounts, read_spelling


def read(*texts: str | None) -> list[Decimal | None]:
    """The amounts of one source."""
    sources = pl.Series(["shop"] * len(texts), dtype=pl.String)
    found = read_amounts(pl.Series(list(texts), dtype=pl.String), sources)
    return [None if value is None else value.normalize() for value in found.get_column("amount")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("237,68", "237.68"),
        ("31.2200", "31.22"),
        ("1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("€ 1.234,56", "1234.56"),
        ("1 234,56 €", "1234.56"),
        ("1\u202f234,50", "1234.5"),
        ("CHF 1'234.50", "1234.5"),
        ("1.234.567", "1234567"),
        ("1,23,456.00", "123456"),
        ("US$ 12", "12"),
        ("12,-", "12"),
        ("1.299,-", "1299"),
        ("(12.50)", "-12.5"),
        ("12.50-", "-12.5"),
        ("−3", "-3"),
        ("１２", "12"),
        ("1e3", "1000"),
        ("0,123", "0.123"),
        ("19.98999999999999", "19.99"),
        ("0.0000005", "0"),
        ("0.0000015", "0.000002"),
    ],
)
def test_a_spelling_says_one_amount(text: str, value: str) -> None:
    """Decimal comma or point, marks between thousands, currency, sign; six decimals, half to even."""
    assert read(text) == [Decimal(value)]


@pytest.mark.parametrize(
    "text", ["abc", "EUR", "-", "--5", "1.2.3", "NaN", "Infinity", "1..2", "n/a", "1,299", "9" * 70]
)
def test_what_is_no_amount_is_unreadable(text: str) -> None:
    """Also what could be two numbers; never a guess, never an error."""
    assert read(text) == [None]


def test_nothing_is_not_unreadable() -> None:
    """Absent and empty are no amount, and nobody failed to read them."""
    found = read_amounts(pl.Series(["", None]), pl.Series(["shop", "shop"]))
    assert found.rows() == [(None, False), (None, False)]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (("1,299", "12.50"), ("1299", "12.5")),
        (("1,299", "1,234.56"), ("1299", "1234.56")),
        (("1,299", "12,50"), ("1.299", "12.5")),
        (("1.299", "12,50", "1.234,56"), ("1299", "12.5", "1234.56")),
        (("1.299", "12.50"), ("1.299", "12.5")),
        (("1.299", "237,68", "12.50"), ("1.299", "237.68", "12.5")),
    ],
)
def test_the_other_amounts_of_a_source_tell(texts: tuple[str], values: tuple[str]) -> None:
    """A mark before three digits is what that source's other amounts show it to be."""
    assert read(*texts) == [Decimal(value) for value in values]


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from([".,", ",.", "',", " ,", "’."]))
def test_every_amount_comes_back_from_every_way_to_write_it(amount: Decimal, marks: str) -> None:
    """With marks between thousands and two decimals nothing is left to guess."""
    plain = f"{amount:,.2f}".replace(",", "T").replace(".", marks[1]).replace("T", marks[0])
    assert read(plain) == [amount.normalize()]


@given(st.text(max_size=80))
def test_any_text_is_read_or_not(text: str) -> None:
    """No text is an error, and none takes long."""
    read_spelling(text)
