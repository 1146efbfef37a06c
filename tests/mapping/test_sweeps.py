"""Sweeps over what the documents list: every locale's numbers, every country's names, every region's telephones.

What is right comes from CLDR (by Babel), the numbering plans (by phonenumbers) and the zone data (by zoneinfo).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import phonenumbers
import polars as pl
import pytest
from babel import Locale
from babel.numbers import format_currency, format_decimal
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from migrate.mapping.countries import find_country, find_withdrawn
from migrate.mapping.dates import read_datetimes
from tests.mapping.test_text_functions import _both, _planned

LOCALES = {
    "nl": "nl_NL", "nl-BE": "nl_BE", "de": "de_DE", "de-AT": "de_AT", "de-CH": "de_CH", "fr": "fr_FR",
    "fr-BE": "fr_BE", "fr-CH": "fr_CH", "es": "es_ES", "it": "it_IT", "en": "en_US",
}  # fmt: skip
_TEXTS = "0 0.5 7 12.5 99.95 100 999.99 1000 1234.56 9999 12345.6 1000000 1234567.89 98765432.1"
VALUES = [Decimal(text) for text in _TEXTS.split()]
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "CAD", "AUD", "SEK", "PLN", "JPY", "XOF")


@pytest.mark.parametrize("style", sorted(LOCALES))
def test_numbers_as_cldr_writes_them(style: str) -> None:
    """Plain numbers, money and accountants' money of each locale, either sign, are read as the number they are."""
    locale = LOCALES[style]
    for value in (*VALUES, *(-value for value in VALUES if value)):
        written = {format_decimal(value, locale=locale)}
        for currency in CURRENCIES:
            for kind in ("standard", "accounting"):
                # two decimals whatever the currency: a shop's prices in yen may have them
                money = format_currency(
                    value, currency, locale=locale, format_type=kind, currency_digits=False
                )
                written.add(money)
        for text in written:
            read = _both("amount", text, style)
            assert not read.startswith("!"), (style, text, read)
            assert Decimal(read) == value, (style, text, read)


@pytest.mark.parametrize("language", ["en", "nl", "fr", "de", "es", "it"])
def test_every_country_in_six_languages(language: str) -> None:
    """CLDR's name of each country of ISO 3166-1 gives its code, in small letters and with spaces around as well."""
    names = Locale(language).territories
    codes = {code for code in Locale("en").territories if len(code) == 2 and code.isalpha()}
    # no countries of ISO 3166-1: regions, groups, parts of others and codes kept for use by anybody
    codes -= {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
    assert len(codes) == 250
    for code in sorted(codes):
        name = names[code]
        assert find_country(name) == code, (language, code, name)
        assert find_country(f" {name.lower()} ") == code
        assert find_withdrawn(name) is None


def test_numbers_of_every_region() -> None:
    """Numbers about each region's examples, as they are dialled there and from abroad, are that number."""
    swept = 0
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            for step in (0, 1, 37, 4_321):
                number = phonenumbers.PhoneNumber()
                number.merge_from(example)
                number.national_number += step
                if not phonenumbers.is_valid_number_for_region(number, region):
                    continue
                whole = phonenumbers.format_number(number, PhoneNumberFormat.E164)
                national = phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)
                abroad = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
                assert _planned("phone", whole, region) == whole
                assert _planned("phone", abroad, "NL") == whole
                assert _planned("phone", national, region) in {whole, "!ambiguous_phone_number"}, (
                    region,
                    national,
                )
                swept += 1
    assert swept > 1_000


ZONES = (
    "UTC",
    "Europe/Amsterdam",
    "Europe/London",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Sydney",
)
SPELLINGS = {
    None: "%Y-%m-%d %H:%M:%S",
    "%d-%m-%Y %H:%M:%S": "%d-%m-%Y %H:%M:%S",
    "%d/%m/%y %H:%M:%S": "%d/%m/%y %H:%M:%S",
    "%d.%m.%Y %T": "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p": "%m/%d/%Y %I:%M:%S %p",
    "%Y%m%d%H%M%S": "%Y%m%d%H%M%S",
    "%d %b %Y %H:%M:%S": "%d %b %Y %H:%M:%S",
}


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_each_spelling_in_each_zone(zone: str, spelling: str | None) -> None:
    """A local time of any hour of two years is the moment that the zone's own rules say, the earlier of two.

    One that the clock skipped moves forward by the gap, as PEP 495 has it of a time taken with the offset before it.
    """
    locals_ = [datetime(2023, 1, 1, 0, 30, 15) + timedelta(hours=7 * n) for n in range(2_500)]
    # each hour of the days on which clocks change in Europe, America and Australia
    changes = [
        (2023, 3, 26),
        (2023, 10, 29),
        (2024, 3, 10),
        (2024, 11, 3),
        (2024, 4, 7),
        (2024, 10, 6),
    ]
    locals_ += [datetime(*day, hour, 30) for day in changes for hour in range(24)]
    texts = [moment.strftime(SPELLINGS[spelling]) for moment in locals_]
    wanted = [
        moment.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC).replace(tzinfo=None)
        for moment in locals_
    ]
    zones = pl.Series([zone]).new_from_index(0, len(texts))
    assert read_datetimes(pl.Series(texts), zones, spelling)["value"].to_list() == wanted


# RFC 3696 section 3 (with its errata), RFC 5321 sections 2.3.11 and 4.5.3.1, RFC 6531 section 1.2
ADDRESSES = {
    "user+mailbox@example.com": True, "customer/department=shipping@example.com": True, "$A12345@example.com": True,
    "!def!xyz%abc@example.com": True, "_somename@example.com": True, '"Abc@def"@example.com': True,
    '"Fred Bloggs"@example.com': True, '"Joe.\\\\Blow"@example.com': True, "a" * 64 + "@example.com": True,
    "a@" + "b" * 63 + ".com": True, "x@a.b.c.d.example.com": True, "1@example.com": True, "a-b@ex-ample.com": True,
    "用户@例子.广告": True, "δοκιμή@παράδειγμα.ελ": True, "Pelé@example.com": True,
    "a" * 65 + "@example.com": False, "a@" + "b" * 64 + ".com": False, "a.@example.com": False,
    "a..b@example.com": False, "@example.com": False, "a@": False, "a@b@c.com": False, "a b@example.com": False,
    "a@exa mple.com": False, "a@example..com": False, "a@.example.com": False, "a@-example.com": False,
    "a@example-.com": False, '"a"b"@example.com': False, "a,b@example.com": False, "a;b@example.com": False,
    "<a@example.com>": False, "mailto:a@example.com": False, "a@example.com.": False,
    "a@" + ".".join(["b" * 60] * 5) + ".com": False,
}  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_of_the_documents(address: str) -> None:
    """What the documents give as an address passes as it was sent; what they do not allow does not."""
    wanted = address if ADDRESSES[address] else "!not_an_email"
    assert _both("email", address) == wanted
