"""Amounts as people and shops write them, read under a stated style, to plain decimal text.

A style says which sign stands before the decimals and which between thousands. A text is read only where it can be an
amount of that style; what another style would write is refused by a rule of its own, since it shows that the style is
not the field's.

**Source.** Unicode CLDR's number patterns: signs and separators of the locales; ISO 4217 for the codes.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

NOT_AN_AMOUNT = "not_an_amount"
OTHER_STYLE = "other_number_style"


@dataclass(frozen=True)
class Style:
    """The sign before decimals, and the one between thousands ('' for none). Spaces may part thousands in any style."""

    decimal: str
    thousands: str


STYLES: dict[str, Style] = {
    "nl": Style(",", "."),
    "nl-BE": Style(",", "."),
    "de": Style(",", "."),
    "de-AT": Style(",", "."),
    "de-CH": Style(".", "'"),
    "fr": Style(",", ""),
    "fr-BE": Style(",", ""),
    "fr-CH": Style(",", ""),
    "es": Style(",", "."),
    "it": Style(",", "."),
    "en": Style(".", ","),
}
# CLDR writes Swiss thousands with U+2019, people with ' or ´
_APOSTROPHES = str.maketrans({"’": "'", "´": "'", "`": "'", "ʼ": "'"})
_MINUSES = str.maketrans(dict.fromkeys("−‐‑‒–—﹣－", "-") | {"＋": "+"})
# the narrow and no-break spaces that part thousands, and all others
_SPACES = str.maketrans(
    dict.fromkeys(
        "\t\r\n\xa0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    )
)
_SIGNS = "".join(char for char in map(chr, range(0x10000)) if unicodedata.category(char) == "Sc")
# marks of direction, which CLDR itself writes around signs, and other characters that show nothing
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u00ad"))
_CODES = frozenset(
    str.split(
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN "
        "BZD CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS "
        "GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW "
        "KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN "
        "NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK "
        "SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS "
        "VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG NLG BEF DEM FRF ATS ITL "
    )
)
_NAMES = (
    "euros", "euro", "a$", "c$", "r$", "kr.", "kr", "kč", "zł", "ft", "sfr.", "sfr", "fr.", "fr", "lei",
    "fcfa", "f cfa", "fcfp", "cfpf", "ös", "fb",
)  # fmt: skip
# a dollar or a pound of one country: US$ in English, $US in French
_OF_A_COUNTRY = "[A-Z]{2}[$£¥]|[$£¥₤][A-Z]{2}"
_CURRENCY = "|".join(
    [
        *sorted(map(re.escape, _NAMES), key=len, reverse=True),
        *sorted(_CODES),
        _OF_A_COUNTRY,
        f"[{_SIGNS}]",
    ]
)
# a sign may stand at any of four places, ",-" for no cents behind the number
_AMOUNT = re.compile(
    rf"(?P<open>\()?\s*(?P<s1>[+-])?\s*(?P<c1>{_CURRENCY})?\s*(?P<s2>[+-])?\s*"
    r"(?P<number>[.,]?[0-9](?:[0-9.,' ]*[0-9])?)(?:[.,] ?--?)?"
    rf"\s*(?P<s3>[+-])?\s*(?P<c2>{_CURRENCY})?\s*(?P<s4>[+-])?\s*(?P<close>\))?",
    re.IGNORECASE,
)


def read_amount(text: str, style: Style) -> tuple[str | None, str | None]:
    """The plain decimal text of an amount (`-1234.56`), or the rule it breaks."""
    parts = _split(text)
    if parts is None:
        return None, NOT_AN_AMOUNT
    negative, number = parts
    found = style_pattern(style).fullmatch(number)
    if found is None:
        written_otherwise = any(
            style_pattern(other).fullmatch(number) for other in set(STYLES.values())
        )
        return None, OTHER_STYLE if written_otherwise else NOT_AN_AMOUNT
    whole = re.sub("[^0-9]", "", found["whole"] or "").lstrip("0") or "0"
    decimals = found["decimals"]
    plain = whole if decimals is None else f"{whole}.{decimals}"
    return (f"-{plain}" if negative and plain.strip("0.") else plain), None


def find_style(argument: object) -> Style | None:
    """The style of an argument: a locale of `STYLES`, or the signs between thousands and before decimals, as `.,`."""
    if not isinstance(argument, str):
        return None
    if argument in STYLES:
        return STYLES[argument]
    signs = argument.translate(_APOSTROPHES).translate(_SPACES)
    thousands, decimal = signs[:-1], signs[-1:]
    if (
        decimal not in {",", "."}
        or thousands not in {"", " ", ",", ".", "'"}
        or thousands == decimal
    ):
        return None
    return Style(decimal, thousands.strip())


@cache
def style_pattern(style: Style) -> re.Pattern[str]:
    """What a number without sign and currency looks like in a style.

    Spaces and apostrophes part thousands in every style, since they can be nothing else. A first group with a zero is
    none: `0.125` has decimals.
    """
    signs = "".join(dict.fromkeys(f"{style.thousands} '"))
    grouped = rf"[1-9][0-9]{{0,2}}(?P<mark>[{re.escape(signs)}])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*"
    decimals = rf"{re.escape(style.decimal)}(?P<decimals>[0-9]+)"
    return re.compile(
        rf"(?=[0-9{re.escape(style.decimal)}])(?P<whole>[0-9]+|{grouped})?(?:{decimals})?"
    )


def _split(text: str) -> tuple[bool, str] | None:
    """Whether an amount is negative, and its digits with their separators; None for what is no amount."""
    plain = (
        text.translate(_INVISIBLE)
        .translate(_APOSTROPHES)
        .translate(_MINUSES)
        .translate(_SPACES)
        .strip()
    )
    found = _AMOUNT.fullmatch(plain)
    if found is None or (found["open"] is None) is not (found["close"] is None):
        return None
    signs = [found[name] for name in ("s1", "s2", "s3", "s4") if found[name]]
    # two signs, or brackets with one, may mean anything
    if len(signs) + bool(found["open"]) > 1 or (found["c1"] and found["c2"]):
        return None
    return signs == ["-"] or bool(found["open"]), found["number"]
