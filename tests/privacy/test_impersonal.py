"""What may be shown of a record because it says nothing about a person."""

from __future__ import annotations

import pytest

from migrate.privacy.impersonal import is_price, may_be_shown


@pytest.mark.parametrize("column", ["product_id", "lines.productId", "itemid", "sku", "ean"])
def test_numbers_of_products_are_shown_in_any_row(column: str) -> None:
    """Also in rows of people's orders."""
    assert may_be_shown("SKU-1", of_things=False, column=column)


@pytest.mark.parametrize(
    "column", ["", "profileid", "conversionid", "email", "phone", "vat_number"]
)
def test_numbers_of_people_and_orders_are_not(column: str) -> None:
    """In a row of products they are, unless they are addresses."""
    assert not may_be_shown("1234", of_things=False, column=column)
    assert may_be_shown("1234", of_things=True, column=column)
    assert not may_be_shown("jo@example.org", of_things=True, column=column)


@pytest.mark.parametrize("value", ["24,99", "1.234,50", "€ 12", "12 EUR", "-5", "1 234,50"])
def test_an_amount_is_told_in_any_countrys_way(value: str) -> None:
    """It is shown in a column of amounts only."""
    assert is_price(value)
    assert may_be_shown(value, of_things=False, column="special_price")
    assert not may_be_shown(value, of_things=False, column="name")


@pytest.mark.parametrize("value", ["Jansen", "n/a", "12 Main Street", "+31 6 1234 5678"])
def test_other_values_of_a_price_are_masked(value: str) -> None:
    """Somebody may have written a name there."""
    assert not may_be_shown(value, of_things=False, column="price")
