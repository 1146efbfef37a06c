"""E-mail addresses and phone numbers: what is one, and what only looks different from one.

**Source.** E-mail: RFC 5321, 5322 and 6531 by way of email-validator, without asking any name server: letters of
every script on both sides of the @, quoted local parts; no names beside the address, no addresses of machines.
Phone: Google's libphonenumber by way of phonenumbers, to E.164 where what was sent can be only one number. It reads a
number without `+` as one of the country, even where it begins with that country's own code: 4917612345678 would become
+49 49 17612345678, which nobody has.
"""

from __future__ import annotations

import re

# characters that show nothing: zero widths, marks of direction, soft hyphens, byte order marks
INVISIBLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# addresses that need no library to be told: nearly all, and many times faster; no dots that stand wrong
PLAIN = (
    rf"^[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@(?:{_LABEL}\.)+"
    r"[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z]$"
)
# two dashes in these places are kept for encoded names, which the library reads
ENCODED = r"@(?:.*\.)?[^@.]{2}--"
LONGEST, LONGEST_LOCAL = 254, 64
NOT_A_NUMBER = "not_a_phone_number"
AMBIGUOUS = "ambiguous_phone_number"
# what phonenumbers reads as the digits on the keys of a telephone: "020 Kantoor" would become a number nobody gave
_KEYED_WORD = re.compile(r"[^+\uff0b\d]*[+\uff0b\d](?:[^;]*?[A-Za-z]){3}")
_INTERNATIONAL = re.compile(r"\s*(?:\(\s*)?[+\uff0b]")


def read_email(text: str) -> str | None:
    """The address without its invisible characters, otherwise as it is; None for what is none."""
    from email_validator import EmailNotValidError, validate_email

    address = re.sub(f"[{INVISIBLE}]", "", text)
    try:
        validate_email(
            address,
            check_deliverability=False,
            allow_quoted_local=True,
            allow_smtputf8=True,
            test_environment=True,
            strict=True,
        )
    except EmailNotValidError:
        return None
    return address


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
    return (
        f"`phone` wants a country as two capital letters, as in `phone: NL`; {region!r} is not one"
    )


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
