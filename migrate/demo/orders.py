"""Sales in the shapes of two shop plug-ins and of the documents, each with the amount it stands for.

**Source**: what the plug-ins are seen to send, and the samples of the documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import chain
from random import Random
from typing import Any

from migrate.demo.catalogue import Product
from migrate.demo.clock import draw_moments, spell, spell_iso
from migrate.demo.people import Shopper
from migrate.demo.profiles import CRM, MAGENTO, PRESTASHOP, crm_id, magento_id, prestashop_id
from migrate.demo.sums import NO_DATE

Record = dict[str, Any]
CURRENCY = "EUR"
# The plug-in's command line and its timer spell the same source in two ways.
MAGENTO_COMMAND = "Magento2"
_SHIPPING = Decimal("4.95")


@dataclass(frozen=True)
class Sale:
    """A record and what it says, known apart from its JSON; `amount` is None where its total is broken on purpose."""

    record: Record
    month: str
    amount: Decimal | None


@dataclass(frozen=True)
class _Line:
    product: Product
    quantity: int

    @property
    def total(self) -> Decimal:
        return self.product.price * self.quantity


def build_sales(random: Random, people: list[Shopper], products: list[Product]) -> list[Sale]:
    """The sales of three sources.

    **Guarantees**: one has no usable date and one no usable total; two more have one line with a broken number.
    """
    # The slices of people are those that each source has profiles of.
    magento = [
        _magento(
            random, number, moment, random.choice(people[:450]), _basket(random, products[:160])
        )
        for number, moment in enumerate(draw_moments(random, 600), start=1)
    ]
    prestashop = [
        _prestashop(
            random, number, moment, random.choice(people[250:650]), _basket(random, products[:60])
        )
        for number, moment in enumerate(draw_moments(random, 600), start=1)
    ]
    documented = [
        _documented(number, moment, random.choice(people[600:700]), _basket(random, products[:60]))
        for number, moment in enumerate(draw_moments(random, 300), start=1)
    ]
    magento[300].record["conversion"]["items"][0]["price"] = "n/a"
    documented[100].record["conversion"]["items"][0]["quantity"] = "two"
    prestashop[20] = replace(
        _broken(prestashop[20], "created", "2023-13-05 09:12:00"), month=NO_DATE
    )
    documented[40] = replace(_broken(documented[40], "total", "on request"), amount=None)
    return magento + prestashop + documented


def _broken(sale: Sale, field: str, value: str) -> Sale:
    conversion = {**sale.record["conversion"], field: value}
    return replace(sale, record={**sale.record, "conversion": conversion})


def _basket(random: Random, products: list[Product]) -> list[_Line]:
    lines = [
        _Line(random.choice(products), random.choice((1, 1, 1, 2, 5)))
        for _ in range(random.randrange(1, 6))
    ]
    # The same product twice in one order: two lines, which no key of order and product can tell apart.
    return [*lines, lines[0]] if random.random() < 0.05 else lines


def _sum(lines: list[_Line]) -> Decimal:
    return sum((line.total for line in lines), Decimal(0))


def _sale(
    conversionid: str | int, source: str, conversion: Record, moment: datetime, amount: Decimal
) -> Sale:
    record = {"conversionid": conversionid, "source": source, "conversion": conversion}
    return Sale(record, f"{moment:%Y-%m}", amount)


def _magento(
    random: Random, number: int, moment: datetime, person: Shopper, lines: list[_Line]
) -> Sale:
    """The plug-in's own table row: `profile_id`, amounts as text of four decimals, `status` of the sync."""
    amount = _sum(lines) + _SHIPPING
    conversion = {
        "entity_id": number,
        "order_id": 7_000 + number,
        "profile_id": magento_id(person),
        "email": person.email,
        "total": f"{amount:.4f}",
        "currency": CURRENCY,
        "status": random.choice(("Synced", "Queued for Update")),
        "store_id": 3 if number % 10 == 0 else 1,
        "created_at": spell(moment),
        "updated_at": spell(moment + timedelta(days=30)),
        "update_msg": "",
        "update_attempts": 0,
        "items": list(chain.from_iterable(map(_magento_items, lines))),
    }
    source = MAGENTO_COMMAND if number % 10 == 3 else MAGENTO
    return _sale(_increment_id(number), source, conversion, moment, amount)


def _increment_id(number: int) -> str | int:
    """Old releases sent the internal number; the third store's increment ids are beyond 32 bits, others have zeros."""
    if number <= 40:
        return 7_000 + number
    if number % 10 == 0:
        return f"{3_000_000_000 + number}"
    return f"{number:09}"


def _magento_items(line: _Line) -> list[Record]:
    """Every fourth product is configurable: the chosen variant follows as a line of its own that costs nothing."""
    item = {
        "itemid": line.product.sku,
        "name": line.product.name,
        "price": f"{line.product.price / Decimal('1.21'):.4f}",
        "quantity": f"{line.quantity}.0000",
        "total": f"{line.total:.4f}",
    }
    variant = {**item, "itemid": f"{line.product.sku}-M", "price": "0.0000", "total": "0.0000"}
    if line.product.number % 4 == 0:
        return [item, variant]
    return [item]


def _prestashop(
    random: Random, number: int, moment: datetime, person: Shopper, lines: list[_Line]
) -> Sale:
    """The customer's number is a number here and a text in the profile; `price` is that of the whole line."""
    goods = _sum(lines)
    if random.random() < 0.2:
        discount = round(goods / 10, 2)
    else:
        discount = Decimal(0)
    amount = goods + _SHIPPING - discount
    conversion = {
        "created": spell(moment),
        "updated": spell(moment + timedelta(minutes=5)),
        "profileid": prestashop_id(person),
        "email": person.email,
        "total": amount,
        "subtotal": round(goods / Decimal("1.21"), 6),
        "tax": round(goods - goods / Decimal("1.21"), 6),
        "shipping": _SHIPPING,
        "discount": discount,
        "wrapping": 0,
        "currency": CURRENCY,
        "state": random.choice(("Betaling aanvaard", "Livré", "Zugestellt")),
        "state_id": str(random.choice((2, 5))),
        "shop_id": 1,
        "items": [_prestashop_item(line) for line in lines],
    }
    return _sale(str(number), PRESTASHOP, conversion, moment, amount)


def _prestashop_item(line: _Line) -> Record:
    return {
        "itemid": str(line.product.number),
        "name": line.product.name,
        "sku": line.product.sku,
        "price": line.total,
        "quantity": line.quantity,
    }


def _documented(number: int, moment: datetime, person: Shopper, lines: list[_Line]) -> Sale:
    """The documents' sample; every twentieth sale is a guest's, known by e-mail alone, with an importer's date."""
    amount = _sum(lines)
    is_guest = number % 20 == 0
    if is_guest:
        who = {"email": person.email}
    else:
        who = {"profileid": crm_id(person), "email": person.email}
    conversion = {
        "created": spell_iso(moment) if is_guest else spell(moment),
        "updated": spell(moment + timedelta(minutes=11)),
        **who,
        "total": amount,
        "currency": CURRENCY,
        "items": [_documented_item(line) for line in lines],
    }
    return _sale(f"CRM/{moment:%Y}/{number:05}", CRM, conversion, moment, amount)


def _documented_item(line: _Line) -> Record:
    return {
        "itemid": f"{line.product.number:04}",
        "name": line.product.name,
        "price": line.product.price,
        "quantity": line.quantity,
        "total": line.total,
    }
