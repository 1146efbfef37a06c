"""Amounts under a stated style, the verifier's own reading: a text taken apart from both ends.

**Source**: docs/mapping.md, `amount`; Unicode CLDR's separators, ISO 4217's codes.
"""

from __future__ import annotations

import re
import unicodedata

from migrate.verify.typed import Broken

Signs = tuple[str, str]
"""The sign between thousands ('' for none) and the one before decimals."""
_LOCALES: dict[str, Signs] = {
    "nl": (".", ","), "nl-BE": (".", ","), "de": (".", ","), "de-AT": (".", ","), "es": (".", ","), "it": (".", ","),
    "de-CH": ("'", "."), "fr": ("", ","), "fr-BE": ("", ","), "fr-CH": ("", ","), "en": (",", "."),
}  # fmt: skip
_BLANKS = "\t\r\n\xa0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_NOTHING = "\u200b\u200c\u200d\u200e\u200f\u061c\u2060\ufeff\u00ad"
_ALIKE = str.maketrans(
    dict.fromkeys(_BLANKS, " ")
    | dict.fromkeys(_NOTHING, "")
    | dict.fromkeys("’´`ʼ", "'")
    | dict.fromkeys("−‐‑‒–—﹣－", "-")
    | {"＋": "+"}
)
_WORDS = (
    "euros", "euro", "a$", "c$", "r$", "kr.", "kr", "kč", "zł", "ft", "sfr.", "sfr", "fr.", "fr", "lei",
    "fcfa", "f cfa", "fcfp", "cfpf", "ös", "fb",
)  # fmt: skip
_CODES = frozenset(
    str.split(
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
        "HNL HRK HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL "
        "LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR "
        "PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP "
        "TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG NLG BEF DEM FRF "
        "ATS ITL"
    )
)


def signs_of(argument: object) -> Signs | None:
    """The signs that a style's name or its own letters say; None for what says none."""
    if not isinstance(argument, str):
        return None
    if argument in _LOCALES:
        return _LOCALES[argument]
    letters = argument.translate(_ALIKE)
    between = letters[:-1]
    before = letters[-1:]
    if before not in {",", "."} or between not in {"", " ", ",", ".", "'"} or between == before:
        return None
    return between.strip(), before


def read_amount(text: str, signs: Signs) -> str:
    """The plain decimal text of an amount. Raises Broken."""
    bare = text.translate(_ALIKE).strip()
    negative, number = _peel(bare)
    plain = _plain(number, signs)
    if plain is None:
        # Told apart, since another `amount` would read the one and none the other.
        known = any(_plain(number, other) is not None for other in _LOCALES.values())
        raise Broken("other_number_style" if known else "not_an_amount")
    if negative and plain.strip("0."):
        return f"-{plain}"
    return plain


def _peel(bare: str) -> tuple[bool, str]:
    """Whether the amount is negative, and its digits with the signs between them."""
    in_brackets = bare[:1] == "(" and bare[-1:] == ")"
    if in_brackets:
        bare = bare[1:-1].strip()
    front = re.match(r"[^0-9.,()]*", bare)
    front_text = front.group() if front else ""
    # a currency's point, as of "Fr. 12", is no part of the number
    rest = bare[len(front_text) :]
    if rest.startswith(".") and (front_text + ".").strip(" +-").casefold() in _WORDS:
        front_text = front_text + "."
        rest = rest[1:].lstrip()
    number = re.match(r"[.,]?[0-9](?:[0-9.,' ]*[0-9])?", rest)
    if number is None:
        raise Broken("not_an_amount")
    behind = rest[number.end() :]
    no_cents = re.match(r"[.,] ?--?", behind)
    if no_cents:
        behind = behind[no_cents.end() :]
    sides = [_side(front_text), _side(behind)]
    signs = "".join(sign for sign, _ in sides)
    currencies = sum(currency for _, currency in sides)
    if len(signs) + in_brackets > 1 or currencies > 1:
        raise Broken("not_an_amount")
    return in_brackets or signs == "-", number.group()


def _side(text: str) -> tuple[str, int]:
    """The signs and the number of currencies on one side of a number. Raises Broken for anything else there."""
    word = text.strip()
    signs = ""
    while word[:1] in {"+", "-"} and word:
        signs = signs + word[0]
        word = word[1:].strip()
    while word[-1:] in {"+", "-"} and word:
        signs = signs + word[-1]
        word = word[:-1].strip()
    if not word:
        return signs, 0
    is_sign = len(word) == 1 and unicodedata.category(word) == "Sc"
    is_sign = is_sign or re.fullmatch("[A-Za-z]{2}[$£¥]|[$£¥₤][A-Za-z]{2}", word) is not None
    if not (is_sign or word.upper() in _CODES or word.casefold() in _WORDS):
        raise Broken("not_an_amount")
    return signs, 1


def _plain(number: str, signs: Signs) -> str | None:
    between, before = signs
    whole, point, decimals = number.rpartition(before) if before in number else (number, "", "")
    if point and not (decimals.isascii() and decimals.isdigit()):
        return None
    if not whole:
        return f"0.{decimals}" if point else None
    marks = {char for char in whole if not char.isdigit()}
    if marks:
        mark = marks.pop()
        groups = whole.split(mark)
        if marks or mark not in {between, " ", "'"} or not _is_grouped(groups):
            return None
        whole = "".join(groups)
    whole = whole.lstrip("0") or "0"
    return f"{whole}.{decimals}" if point else whole


def _is_grouped(groups: list[str]) -> bool:
    first, *rest = groups
    return 1 <= len(first) <= 3 and first[0] != "0" and all(len(group) == 3 for group in rest)
