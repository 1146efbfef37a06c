"""Which values say nothing about any person, so that a report may show them as they are.

**Guarantees**: in doubt a value is personal. What has an @ in it is never shown, wherever it stands.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

THINGS: Final = frozenset({"content_items", "content_categories"})
"""Resources whose records are products and categories: their ids, names, prices and texts concern nobody."""
_PRODUCT = re.compile(
    r"(?:^|_)(?:skus?|eans?|gtin|barcode)(?:$|_)|(?:product|item|article|variant|category)s?_?(?:ids?|codes?|numbers?|skus?)$"
)
_AMOUNT = re.compile(
    r"(?:^|_)(?:price|amount|total|subtotal|revenue|discount|cost|fee|quantity|qty)s?$"
)
_WORDS: Final = frozenset(
    {
        "source", "objecttype", "itemtype", "type", "status", "state", "currency", "event", "goalid", "lang",
        "language", "newsletter", "optin", "gender", "visibility", "condition", "availability", "in_stock",
        "manage_stock",
    }
)  # fmt: skip
_LONGEST_WORD = 24
_MONEY_SIGN = r"(?:[€$£]|[A-Z]{3})?"
_PRICE = re.compile(
    rf"{_MONEY_SIGN} ?-?\d{{1,3}}(?:\d*|(?:[.,' \u00a0]\d{{3}})+)(?:[.,]\d{{1,6}})?-? ?{_MONEY_SIGN}"
)
_LONGEST_PRICE = 20
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def is_of_things(resources: Collection[str]) -> bool:
    """Whether rows made of these resources, and of nothing else, concern no person."""
    return bool(resources) and THINGS.issuperset(resources)


def names_a_product(column: str) -> bool:
    """Whether a field or column of this name holds the number of a product or a category."""
    return _PRODUCT.search(_plain(column)) is not None


def names_an_amount(column: str) -> bool:
    """Whether a field or column of this name holds a sum of money or a quantity."""
    return _AMOUNT.search(_plain(column)) is not None


def is_word(column: str, value: str) -> bool:
    """Whether a value is a word of the API or of a shop, by the field or column that it stands in."""
    return column.rpartition(".")[2].lower() in _WORDS and len(value) <= _LONGEST_WORD


def is_price(value: str) -> bool:
    """Whether a value is written as an amount, in any country's way: 1.234,50 or € 12."""
    return len(value) <= _LONGEST_PRICE and _PRICE.fullmatch(value.strip()) is not None


def may_be_shown(value: str, *, of_things: bool, column: str = "") -> bool:
    """Whether a value of a column says nothing about a person. `of_things`: of a row that concerns none."""
    # Somebody may have written a name there, whatever the column is for.
    if "@" in value:
        return False
    if of_things or names_a_product(column) or is_word(column, value):
        return True
    return names_an_amount(column) and is_price(value)


def _plain(column: str) -> str:
    """The last part of a name in small letters, its words parted by underscores."""
    return _CAMEL.sub("_", column.rpartition(".")[2]).lower()
