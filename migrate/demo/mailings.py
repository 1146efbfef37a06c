"""Opens and clicks as a mailing service reports them.

**Source**: the samples of the documents.
"""

from __future__ import annotations

from random import Random
from typing import Any

from migrate.demo.clock import draw_moments, spell
from migrate.demo.people import Shopper
from migrate.demo.profiles import MAILING, mailing_id

Record = dict[str, Any]


def build_interactions(random: Random, people: list[Shopper]) -> list[Record]:
    """2,500 interactions; one in fifty belongs to a subscriber whose profile is gone.

    **Guarantees**: one of them, the last click of the list, has a date that is none.
    """
    moments = draw_moments(random, 2_500)
    records = [
        _interaction(random, number, spell(moment), people)
        for number, moment in enumerate(moments, start=1)
    ]
    clicks = [record for record in records if record["interaction"]["event"] == "click"]
    clicks[-1]["interaction"]["datetime"] = "yesterday"
    return records


def _interaction(random: Random, number: int, moment: str, people: list[Shopper]) -> Record:
    # The id looks like a number beyond 32 bits, and e-mail numbers look like numbers too.
    subscriber = "gone0000" if number % 50 == 0 else mailing_id(random.choice(people))
    interaction: Record = {
        "datetime": moment,
        "profileid": subscriber,
        "event": random.choice(("open", "open", "open", "click")),
        "emailid": str(987_654_321 + number % 12),
    }
    if interaction["event"] == "click":
        interaction["url"] = (
            f"https://shop.example/p/{number % 160 + 1}?utm_source=mail&utm_campaign=été"
        )
        interaction["device"] = {"type": random.choice(("mobile", "desktop")), "os": None}
    return {
        "interactionid": str(4_000_000_000 + number),
        "source": MAILING,
        "objecttype": "interaction",
        "interaction": interaction,
    }
