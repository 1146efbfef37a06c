"""Phone numbers to E.164, where what was sent can be only one number.

**Source.** Google's libphonenumber by way of phonenumbers. It reads a number without `+` as one of the country, even
where it begins with that country's own code: 4917612345678 would become +49 49 17612345678, which nobody has.
"""

from __future__ import annotations

import re

NOT_A_NUMBER = "not_a_phone_number"
AMBIGUOUS = "ambiguous_phone_number"
# what phonenumbers reads as the digits on the keys of a telephone: "020 Kantoor" would become a number nobody gave
_KEYED_WORD = re.compile(r"[^+\uff0b\d]*[+\uff0b\d](?:[^;]*?[A-Za-z]){3}")
_INTERNATIONAL = re.compile(r"\s*(?:\(\s*)?[+\uff0b]")


def read_phone(text: str, region: str) -> tuple[str | None, str | None]:
    """The number as E.164, or the rule it breaks.

    A number with `+` says its country. One without is read as of the region, and where its digits begin with the
    region's calling code, or with 00, also as if a `+` stood before them: two different valid numbers are ambiguous.
    """
    if _KEYED_WORD.match(text):
        return None, NOT_A_NUMBER
    national = _valid(text, region)
    if _INTERNATIONAL.match(text):
        return (national, None) if national else (None, NOT_A_NUMBER)
    whole = _valid(_with_plus(text, region), region)
    if national and whole and national != whole:
        return None, AMBIGUOUS
    found = national or whole
    return (found, None) if found else (None, NOT_A_NUMBER)


def refuse_region(region: object) -> str | None:
    """What is wrong with a region, or None."""
    import phonenumbers

    if region in phonenumbers.SUPPORTED_REGIONS:
        return None
    return f"`phone` wants a country as two capital letters, as in `phone: NL`; {region!r} is none"


def _with_plus(text: str, region: str) -> str:
    """The text as an international number where it can be one without its `+`, else ''."""
    import phonenumbers

    plain = text.split(";", maxsplit=1)[0]
    digits = "".join(str(int(char)) for char in plain if char.isdecimal())
    code = str(phonenumbers.country_code_for_region(region))
    if digits.startswith("00"):
        return "+" + digits[2:]
    return "+" + digits if digits.startswith(code) else ""


def _valid(text: str, region: str) -> str | None:
    import phonenumbers

    if not text:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
