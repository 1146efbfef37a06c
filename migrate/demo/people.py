"""Made-up people of a European retailer: names in many scripts, addresses that belong to nobody."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

_FIRST = (
    *(
        "Sanne",
        "Daan",
        "Zoë",
        "Anouk",
        "Björn",
        "Jürgen",
        "Käthe",
        "José",
        "Íñigo",
        "Núria",
        "João",
        "Conceição",
    ),
    *(
        "Chloé",
        "Léa",
        "François",
        "Siobhán",
        "Seán",
        "Łukasz",
        "Małgorzata",
        "Žofie",
        "Jiří",
        "Ștefan",
        "Gülşen",
    ),
    *(
        "Øyvind",
        "Åse",
        "Þóra",
        "Ελένη",
        "Γιώργος",
        "Олена",
        "Тарас",
        "美咲",
        "小明",
        "수빈",
        "فاطمة",
        "Thảo",
    ),
    *("Ngozi", "Anne-Marie", "D'Arcy"),
)
_LAST = (
    *(
        "de Vries",
        "van 't Hoff",
        "Müller",
        "Weiß",
        "Strauß-Köhler",
        "García Márquez",
        "Núñez",
        "Gonçalves",
        "Lefèvre",
    ),
    *(
        "L’Hôpital",
        "O'Connor",
        "Ní Bhriain",
        "Wiśniewska",
        "Dvořák",
        "Țurcanu",
        "Yıldız",
        "Ødegård",
        "Åkesson",
    ),
    *("Παπαδοπούλου", "Шевченко", "田中", "李", "김", "حداد", "Nguyễn", "Okonkwo", "Smith"),
)
# Postcodes with leading zeros, and phone numbers in several spellings.
_PLACES = (
    ("The Netherlands", "NL", "nl", "Utrecht", "3511 AB", "+31 6 1234 {:04}"),
    ("Netherlands", "NL", "nl", "'s-Hertogenbosch", "5211 AA", "06-5678{:04}"),
    ("België", "BE", "nl", "Liège", "4000", "+32 470 12 {:04}"),
    ("France", "FR", "fr", "Saint-Étienne", "42000", "06 12 34 {:04}"),
    ("Deutschland", "DE", "de", "Köln", "01067", "+49 151 2345{:04}"),
    ("España", "ES", "es", "A Coruña", "08001", "+34 612 34 {:04}"),
    ("Polska", "PL", "pl", "Łódź", "00-001", "+48 512 34 {:04}"),
    ("Italia", "IT", "it", "Forlì", "00118", "+39 312 34 {:04}"),
)
# RFC 2606 keeps them from ever being anybody's.
_DOMAINS = ("example.com", "example.org", "example.net")
_GENDERS = ("male", "female", "unknown")
_OLDEST = date(1938, 1, 1)
_BIRTH_DAYS = 25_000


@dataclass(frozen=True)
class Shopper:
    """Somebody several systems may know, each in its own way."""

    number: int
    first: str
    last: str
    email: str
    gender: str
    born: date
    country: str
    country_code: str
    lang: str
    city: str
    zip: str
    phone: str


def invent_people(random: Random, count: int) -> list[Shopper]:
    """People numbered from 1, every e-mail address once."""
    return [_invent(random, number) for number in range(1, count + 1)]


def _invent(random: Random, number: int) -> Shopper:
    first = random.choice(_FIRST)
    last = random.choice(_LAST)
    country, code, lang, city, postcode, phone = random.choice(_PLACES)
    return Shopper(
        number=number,
        first=first,
        last=last,
        email=f"{_ascii(first)}.{_ascii(last)}+{number}@{random.choice(_DOMAINS)}",
        gender=random.choice(_GENDERS),
        born=_OLDEST + timedelta(days=random.randrange(_BIRTH_DAYS)),
        country=country,
        country_code=code,
        lang=lang,
        city=city,
        zip=postcode,
        phone=phone.format(number),
    )


def _ascii(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    # Of names in other scripts no ASCII letter is left.
    return "".join(letter for letter in folded if letter.isalpha()) or "customer"
