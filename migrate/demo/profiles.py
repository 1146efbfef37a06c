"""The same people as four systems send them: two shop plug-ins, a mailing service and a CRM; and their clicks.

**Source**: what the plug-ins are seen to send, and the samples of the documents.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from random import Random
from typing import Any

from migrate.demo.clock import draw_moment, draw_moments, spell, spell_iso
from migrate.demo.people import Shopper

Record = dict[str, Any]
MAGENTO, PRESTASHOP, MAILING, CRM = "Magento 2", "Prestashop-1", "MailChimp", "ExampleCRM"


def build_profiles(random: Random, people: list[Shopper]) -> list[Record]:
    """The profiles of all four sources; many people are in more than one, under the same e-mail address.

    **Guarantees**: three of them hold a value no target can take: a created_at on 30 February, an opt-in that is
    neither yes nor no, and a date of birth on 30 February.
    """
    # The slices overlap: who is in two or three sources is what a merge is about.
    magento = [_magento(random, person) for person in people[:450]]
    prestashop = [_prestashop(random, person) for person in people[250:650]]
    mailing = [_mailing(random, person) for person in people[400:650]]
    crm = [_crm(random, person) for person in people[600:700]]
    magento[7]["profile"]["created_at"] = "2023-02-30 10:15:00"
    mailing[11]["profile"]["optin"] = "maybe"
    crm[5]["profile"]["dateofbirth"] = "1985-02-30"
    return magento + prestashop + mailing + crm


def magento_id(person: Shopper) -> str:
    """The plug-in's id of a customer: hash, salt and version of the hash, with colons between."""
    salt = hashlib.sha256(f"salt {person.number}".encode()).hexdigest()[:16]
    return f"{hashlib.sha256(f'{salt}{person.email}'.encode()).hexdigest()}:{salt}:3_32_2_67108864"


def prestashop_id(person: Shopper) -> int:
    """The shop's number of a customer."""
    return person.number


def mailing_id(person: Shopper) -> str:
    """The mailing service's id of a subscriber: eight hexadecimal digits."""
    return hashlib.sha256(f"subscriber {person.number}".encode()).hexdigest()[:8]


def crm_id(person: Shopper) -> str:
    """The CRM's id of a contact; it looks like a number but has leading zeros."""
    return f"{person.number:08}"


def _profile(profileid: str, source: str, profile: Record) -> Record:
    return {"profileid": profileid, "source": source, "profile": profile}


def _magento(random: Random, person: Shopper) -> Record:
    """The plug-in sends its own table row whole: sync state and bookkeeping included, consent not."""
    created = draw_moment(random)
    key = magento_id(person)
    return _profile(
        key,
        MAGENTO,
        {
            "entity_id": person.number,
            "profile_id": key,
            "customer_id": person.number if random.random() < 0.8 else None,
            "store_id": random.choice((1, 1, 1, 3)),
            "firstname": person.first,
            "lastname": person.last,
            "name": f"{person.first} {person.last}",
            "prefix": "",
            "email": person.email if random.random() < 0.9 else person.email.title(),
            "gender": random.choice((person.gender.title(), "", False)),
            "country": person.country_code,
            "city": person.city,
            "zip": person.zip,
            "street": f"{person.last}straat {person.number}",
            "phone": person.phone,
            "status": random.choice(("Synced", "Synced", "Synced", "Queued for Update", "Error")),
            "update_msg": "",
            "update_attempts": random.randrange(4),
            "address_id": 10_000 + person.number,
            "created_at": spell(created),
            "updated_at": spell(created + timedelta(days=random.randrange(1, 200))),
        },
    )


def _prestashop(random: Random, person: Shopper) -> Record:
    """The shop's values as its database gives them: flags as number or text, dates of birth at times zero."""
    created = draw_moment(random)
    flags: tuple[int | str, ...] = (0, 1, "0", "1")
    return _profile(
        str(prestashop_id(person)),
        PRESTASHOP,
        {
            "created": spell(created),
            "updated": spell(created + timedelta(hours=random.randrange(3000))),
            "email": person.email,
            "firstname": person.first,
            "lastname": person.last,
            "gender": person.gender,
            "lang": person.lang,
            "company": random.choice(("", "", None, f"{person.last} & Söhne «GmbH»")),
            "country": person.country,
            "city": person.city,
            "zip": person.zip,
            "phone": "",
            "mobile": f" {person.phone} ",
            "dateofbirth": "0000-00-00" if random.random() < 0.2 else person.born.isoformat(),
            "newsletter": random.choice(flags),
            "optin": random.choice(flags),
            # RFC 5737: addresses for documentation.
            "ip": f"192.0.2.{person.number % 250 + 1}",
            "status": random.choice((1, "1")),
            "shop_id": 1,
        },
    )


def _mailing(random: Random, person: Shopper) -> Record:
    """A mailing service knows little, but knows the consent; a missing opt-in is unknown, not a no."""
    created = draw_moment(random)
    consent = random.choice(({"optin": "yes"}, {"optin": "no"}, {"optin": ""}, {}))
    return _profile(
        mailing_id(person),
        MAILING,
        {
            "created": spell_iso(created),
            "updated": spell_iso(created + timedelta(days=random.randrange(90))),
            "email": person.email.upper() if random.random() < 0.05 else person.email,
            "firstname": person.first,
            **consent,
            "tags": random.choice((["vip", "summer ☀️"], ["newsletter"], "newsletter", [])),
        },
    )


def _crm(random: Random, person: Shopper) -> Record:
    """The documented shape, with columns in the customer's own language where an importer brought them."""
    created = draw_moment(random)
    if random.random() < 0.2:
        name = {"naam": f"{person.first} {person.last}"}
    else:
        name = {"name": f"{person.first} {person.last}"}
    return _profile(
        crm_id(person),
        CRM,
        {
            **name,
            "firstname": person.first,
            "lastname": person.last,
            "email": person.email,
            "country": person.country,
            "dateofbirth": person.born.isoformat(),
            "newsletter": random.choice((True, False)),
            "created": spell(created),
            "updated": spell(created + timedelta(days=1)),
        },
    )


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
    if number % 50 == 0:
        subscriber = "gone0000"
    else:
        subscriber = mailing_id(random.choice(people))
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
