"""How demo records are written down."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from migrate.demo.data import Revenue, encode


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9
    )
)
def test_a_decimal_becomes_a_number_with_exactly_its_digits(amount: Decimal) -> None:
    """Money is never taken through a binary fraction, and no trailing zero is lost."""
    assert encode({"total": amount}) == b'{"total":%s}' % str(amount).encode()


def test_months_sort_before_currencies() -> None:
    """Revenue lists are ordered by month, then by currency."""
    later, earlier = Revenue("2024-01", "EUR", Decimal(1)), Revenue("2023-12", "USD", Decimal(2))
    assert sorted([later, earlier]) == [earlier, later]
