"""The shops' products and categories in the shapes of two plug-ins, a product feed and the documents.

**Source**: what the plug-ins and feeds are seen to send, and the samples of the documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import product as product_of
from random import Random
from typing import Any

from migrate.demo.clock import draw_moment, spell
from migrate.demo.profiles import CRM, MAGENTO, PRESTASHOP

Record = dict[str, Any]
FEED = "ProductFeed"
PRESTASHOP_LANGUAGES = ("NL", "FR")
_TREE = {
    "Dames": ("Jassen & mantels", "Jurken", "Schoenen", "Accessoires"),
    "Heren": ("Jassen", "Hemden", "Schoenen", "Größe XXL+"),
    "Kinderen": ("Baby 0–2 jaar", "Meisjes", "Jongens", "Été"),
    "Wonen": ("Café & thé", "Keuken", "Verlichting", "Crème brûlée-sets"),
    "Cadeaus": ("Onder € 25", ">€ 25", "Voor haar", "Voor hem"),
}
_THINGS = (
    "Jurk",
    "Manteau",
    "Hemd",
    "Kaffeetasse",
    "Lamp",
    "Sneakers 👟",
    "Écharpe",
    "Sjaal",
    "Kinderpyjama 🦊",
    "Zuckerdose",
)
_COLOURS = ("rood", "crème", "grün", "noir", "blau/weiß", "écru")

_ENDINGS = (Decimal("0.00"), Decimal("0.50"), Decimal("0.95"), Decimal("0.99"))


@dataclass(frozen=True)
class Product:
    """A thing for sale; its price is per piece, tax included."""

    number: int
    name: str
    sku: str
    ean: str
    price: Decimal
    stock: int
    category: str


def invent_products(random: Random, count: int) -> list[Product]:
    """Products numbered from 1."""
    return [_invent(random, number) for number in range(1, count + 1)]


def _invent(random: Random, number: int) -> Product:
    return Product(
        number=number,
        name=f"{random.choice(_THINGS)} “{random.choice(_COLOURS)}” {number}",
        sku=f"SKU-{number:05}",
        # Thirteen digits with a zero in front: no number column of any kind keeps them.
        ean=f"087{number:010}",
        # One above 1,000, so that the feed's thousands point occurs.
        price=random.choice((4, 9, 19, 29, 59, 149, 1_299)) + random.choice(_ENDINGS),
        stock=random.choice((0, 0, 3, 12, 250)),
        category=random.choice(_paths()),
    )


def _paths() -> list[str]:
    paths = []
    for root, branches in _TREE.items():
        paths += [root, *(f"{root} > {branch}" for branch in branches)]
    return paths


def build_categories() -> list[Record]:
    """25 categories of Magento with their path for a name, 10 of PrestaShop in its own shape, 5 as documented."""
    magento = [
        {
            "itemid": number,
            "source": MAGENTO,
            "item": {"categoryid": number, "name": path, "url": ""},
        }
        # Magento's own roots have the numbers 1 and 2.
        for number, path in enumerate(_paths(), start=3)
    ]
    prestashop = [
        {
            "categoryid": str(number),
            "source": f"{PRESTASHOP}-{language}",
            "category": {
                "name": root,
                "description": f"<p>{root}&nbsp;&amp; meer</p>",
                "url": f"/{language}/{number}",
            },
        }
        for language, (number, root) in product_of(PRESTASHOP_LANGUAGES, enumerate(_TREE, start=2))
    ]
    documented = [
        {
            "itemid": f"category-{number}",
            "source": CRM,
            "itemtype": "category",
            "item": {"name": root},
        }
        for number, root in enumerate(_TREE)
    ]
    return magento + prestashop + documented


def build_items(random: Random, products: list[Product]) -> list[Record]:
    """The products of every source; PrestaShop sends each once per language, under the same id.

    **Guarantees**: one of them has a price that is no number.
    """
    magento = [_magento(random, product) for product in products[:160]]
    in_each_language = product_of(products[:60], PRESTASHOP_LANGUAGES)
    prestashop = [_prestashop(product, language) for product, language in in_each_language]
    feed = [_feed(random, product) for product in products[100:160]]
    documented = [_documented(random, product) for product in products[:60]]
    feed[3]["item"]["price"] = "op aanvraag"
    return magento + prestashop + feed + documented


def _magento(random: Random, product: Product) -> Record:
    """Every missing value is '', even a stock of none; the price is what floating point made of price times tax."""
    created = draw_moment(random)
    number = _paths().index(product.category) + 3
    linked = [{"categoryid": number, "name": product.category}] if random.random() < 0.9 else ""
    return {
        "itemid": product.number,
        "source": MAGENTO,
        "item": {
            "name": product.name,
            "description": f'<div class="long"><p>{product.name} &ndash; 100&nbsp;% “écologique”</p></div>',
            "short_description": "",
            "url": f"https://shop.example/p/{product.number}?size=l&color=1",
            "image": f"https://shop.example/media/{product.number}.jpg",
            "additional_images": random.choice(
                ("", [f"https://shop.example/media/{product.number}-b.jpg"])
            ),
            "sku": product.sku,
            # 1.21: Dutch VAT, here and below; the shop's own arithmetic is in binary floats.
            "price": float(product.price) / 1.21,
            "special_price": 0,
            "stock": product.stock or "",
            "in_stock": 1 if product.stock else "",
            "parent_id": "",
            "brand": random.choice(("Bjørnstad", "Atelier Noël", "")),
            "categories": linked,
            "created": spell(created),
            "updated": spell(created + timedelta(days=random.randrange(60))),
        },
    }


def _prestashop(product: Product, language: str) -> Record:
    """Prices of six decimals without tax; a variant has its parent's number in its id and its stock as text."""
    is_variant = product.number % 4 == 0
    return {
        "itemid": f"{product.number}-{product.number + 30}" if is_variant else str(product.number),
        "source": f"{PRESTASHOP}-{language}",
        "item": {
            "name": f"{product.name} [{language}]",
            "description": f"<p>{product.name}</p><br/>",
            "url": f"https://boutique.example/{language.lower()}/{product.number}",
            "price": round(product.price / Decimal("1.21"), 6),
            "sale_price": None,
            "stock": str(product.stock) if is_variant else product.stock,
            "ean13": product.ean,
            "upc": "",
            "weight": "0.350000",
            "languages": language.lower(),
            "categories": [{"categoryid": "2", "name": next(iter(_TREE)), "url": ""}],
        },
    }


def _feed(random: Random, product: Product) -> Record:
    """A feed of a supplier: decimal commas, a thousands point, one tag as text and several as a list."""
    whole, cents = divmod(int(product.price * 100), 100)
    return {
        "itemid": product.ean,
        "source": FEED,
        "item": {
            "name": product.name,
            "price": f"{whole:,}".replace(",", ".") + f",{cents:02}",
            "ean": product.ean,
            "category": [{"categoryid": "1", "name": product.category}],
            "tags": random.choice(("nieuw", ["nieuw", "actie"])),
            "shipping": {"country": "NL", "service": "Standaard", "price": "4,95"},
        },
    }


def _documented(random: Random, product: Product) -> Record:
    created = spell(draw_moment(random))
    return {
        "itemid": f"{product.number:04}",
        "source": CRM,
        "item": {
            "name": product.name,
            "description": f"Beschrijving van {product.name}",
            "short_description": product.name,
            "url": f"https://example.com/product/{product.number}",
            "price": product.price,
            "created": created,
            "updated": created,
            "image": f"https://example.com/images/product-{product.number}",
        },
    }
