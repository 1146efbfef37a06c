"""Small made-up retail data with the traps that real shops set for a migration."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from migrate.demo.catalogue import build_categories, build_items, invent_products
from migrate.demo.data import Revenue, encode
from migrate.demo.orders import CURRENCY, Sale, build_sales
from migrate.demo.people import invent_people
from migrate.demo.profiles import build_interactions, build_profiles
from migrate.sentence import Sentence

_PEOPLE, _PRODUCTS = 700, 160


@dataclass(frozen=True)
class Synthetic:
    """A retailer with two shops, a mailing service, a CRM and a product feed.

    Nine values are such as no target can take, so that a run shows what happens to them: a profile's date, a date of
    birth, an opt-in, a product's price, a sale's date and a sale's total, a line's price and a line's quantity, and the
    date of an interaction.
    """

    built: Mapping[str, list[dict[str, Any]]]
    sales: list[Sale]

    @property
    def name(self) -> str:
        """The word a user chooses it by."""
        return "synthetic"

    @property
    def description(self) -> str:
        """One sentence: what the data are and where they come from."""
        return Sentence(
            "a made-up retailer with two shops, a mailing service and a CRM, traps and a few broken values included"
        )

    def counts(self) -> dict[str, int]:
        """Number of records by resource."""
        return {resource: len(records) for resource, records in self.built.items()}

    def records(self, resource: str) -> Iterator[bytes]:
        """The JSON text of every record of a resource, in the shape the documented write calls take."""
        return map(encode, self.built[resource])

    def revenue(self) -> list[Revenue]:
        """Turnover by month and currency, ascending; a sale without a usable date stands under NO_DATE."""
        months: defaultdict[str, Decimal] = defaultdict(Decimal)
        for sale in self.sales:
            if sale.amount is not None:
                months[sale.month] += sale.amount
        return [Revenue(month, CURRENCY, amount) for month, amount in sorted(months.items())]

    def event_counts(self) -> dict[str, int]:
        """Number of interactions by event, in alphabetical order; also the one without a usable date has an event."""
        events = Counter(record["interaction"]["event"] for record in self.built["interactions"])
        return dict(sorted(events.items()))


def build_synthetic(seed: int = 2) -> Synthetic:
    """1,200 profiles, 40 categories, 400 items, 1,500 sales and 2,500 interactions; the same for the same seed."""
    random = Random(seed)  # noqa: S311  nothing here is secret, and repeatability is the point
    people = invent_people(random, _PEOPLE)
    products = invent_products(random, _PRODUCTS)
    sales = build_sales(random, people, products)
    return Synthetic(
        built={
            "profiles": build_profiles(random, people),
            "content_categories": build_categories(),
            "content_items": build_items(random, products),
            "sales": [sale.record for sale in sales],
            # The subscribers of the mailing service: no other source sends interactions.
            "interactions": build_interactions(random, people[400:650]),
        },
        sales=sales,
    )
