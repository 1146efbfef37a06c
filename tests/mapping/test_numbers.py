"""Integers and floats out of text."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.model import Column
from migrate.mapping.numbers import read_floats
from migrate.mapping.transform import Mapped
from migrate.mapping.types import payloads, read_typed

_UTC = pl.Series(["UTC"])


def _one(kind: str, text: str) -> tuple[Any, str | None]:
    typed = read_typed(
        pl.Series([text]), _UTC, Column.model_validate({"from": "f", "type": kind}), "decimals"
    )
    return typed.value[0], typed.rule[0]


@pytest.mark.parametrize(
    ("text", "value", "rule"),
    [
        ("12", 12, None),
        ("-3", -3, None),
        ("12.000", 12, None),
        ("0", 0, None),
        ("-0", 0, None),
        ("007", 7, None),
        ("2147483647", 2147483647, None),
        ("-2147483648", -2147483648, None),
        ("2147483648", None, "out_of_int32"),
        ("-2147483649", None, "out_of_int32"),
        ("9223372036854775808", None, "out_of_int32"),
        ("1" + "0" * 60, None, "out_of_int32"),
        ("12.5", None, "not_an_integer"),
        ("1e3", None, "not_an_integer"),
        ("+1", None, "not_an_integer"),
        (" 1", None, "not_an_integer"),
        ("0x1f", None, "not_an_integer"),
        ("true", None, "not_an_integer"),
        ("NaN", None, "not_an_integer"),
        ("١", None, "not_an_integer"),
        ("1_000", None, "not_an_integer"),
        ("1\n", None, "not_an_integer"),
        ("12.", None, "not_an_integer"),
    ],
)
def test_integers(text: str, value: int | None, rule: str | None) -> None:
    """Whole numbers in decimal digits within int32, nothing else."""
    assert _one("integer", text) == (value, rule)


@pytest.mark.parametrize(
    ("text", "value", "rule", "rounded"),
    [
        ("1.10", "1.1", None, False),
        ("-3", "-3", None, False),
        ("0.1234565", "0.123456", None, True),
        ("0.1234575", "0.123458", None, True),
        ("1.5e-7", "0", None, True),
        ("1E+3", "1000", None, False),
        ("2147483647", "2147483647", None, False),
        ("2147483647.1", None, "out_of_int32", False),
        ("-2147483648", "-2147483648", None, False),
        ("1e400", None, "out_of_int32", False),
        ("31.2200", "31.22", None, False),
        ("24,99", None, "not_a_number", False),
        ("NaN", None, "not_a_number", False),
        ("Infinity", None, "not_a_number", False),
        ("1.", None, "not_a_number", False),
        (".5", None, "not_a_number", False),
        ("0.12345650000000000000000000001", "0.123457", None, True),
        ("9" * 30, None, "out_of_int32", False),
        ("1e-9999", "0", None, True),
        ("1e9999", None, "out_of_int32", False),
        ("1.2345678e3", "1234.5678", None, False),
        ("2147483647.0000004", "2147483647", None, True),
    ],
)
def test_floats_of_six_decimals(
    text: str, value: str | None, rule: str | None, rounded: bool
) -> None:
    """Six digits after the point, rounded half-even in decimal arithmetic and said so; ten are before it at most."""
    found = read_floats(pl.Series([text]), "decimals", "round")
    assert found.row(0) == (None if value is None else Decimal(value), rule, rounded)
    assert found.schema["value"] == pl.Decimal(16, 6)


@pytest.mark.parametrize(
    ("text", "policy", "value", "rule"),
    [
        ("12345.67", "reject", None, "too_many_digits"),
        ("12345.6", "reject", "12345.6", None),
        ("1000000", "reject", "1000000", None),
        ("1234567", "reject", None, "too_many_digits"),
        ("0.000123456", "reject", "0.000123456", None),
        ("12345.67", "round", "12345.7", None),
        ("1.1000000000", "reject", "1.1", None),
        ("1e-30", "reject", None, "too_many_digits"),
        ("x", "round", None, "not_a_number"),
    ],
)
def test_floats_of_six_significant_digits(
    text: str, policy: Any, value: str | None, rule: str | None
) -> None:
    """Six digits in all; more of them break a rule unless they may be rounded."""
    found = read_floats(pl.Series([text]), "significant", policy).row(0)
    assert found[:2] == (None if value is None else Decimal(value), rule)


@given(
    st.decimals(min_value=-(2**31), max_value=2**31 - 1, allow_nan=False, places=9)
    | st.decimals(-(2**31), 2**31 - 1, allow_nan=False)
)
def test_rounding_is_pythons_decimal(number: Decimal) -> None:
    """For any number in range the result is what decimal arithmetic gives, digit by digit."""
    wanted = number.quantize(Decimal("0.000001"), rounding=ROUND_HALF_EVEN)
    value, rule, rounded = read_floats(pl.Series([str(number)]), "decimals", "round").row(0)
    assert (value, rule, rounded) == (wanted, None, wanted != number)


@given(st.lists(st.text(alphabet="0123456789.-eE+ ,x", max_size=12), max_size=8))
def test_one_value_never_changes_another(texts: list[str]) -> None:
    """A column gives each text what it gives it alone, whichever way it is read."""
    together = read_floats(pl.Series(texts, dtype=pl.String), "decimals", "round").rows()
    assert together == [
        read_floats(pl.Series([text]), "decimals", "round").row(0) for text in texts
    ]


def test_digits_reach_the_payload(run: Callable[..., Mapped], mapping: Callable[..., Any]) -> None:
    """What is sent is the shortest decimal text of the number, rounded ones counted."""
    found = run("type: float", ["1.10", "100", "-0.0", "0.0000004", "19.99", "1234567890.123456"])
    sent = payloads(mapping("x: {from: f, type: float}"), found.accepted)
    assert [text.split('"x":')[1] for text in sent] == [
        "1.1}",
        "100}",
        "0}",
        "0}",
        "19.99}",
        "1234567890.123456}",
    ]
    assert found.losses == {"x": {"rounded": 1}}
