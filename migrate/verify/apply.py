"""The functions of `apply`, in plain Python, a value at a time. One that is not here makes its column unverifiable."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from migrate.language.patterns import WHITE_SPACE
from migrate.verify.amounts import read_amount, signs_of
from migrate.verify.markup import text_of_html
from migrate.verify.typed import Broken, Unverifiable

Function = Callable[[str], str]

# At most 63 characters a label (RFC 1035) and 64 before the @ (RFC 5321).
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]"
)
# of these even the letters' places are beyond doubt
_SIMPLE_EMAIL = r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@([A-Za-z0-9]+\.)+[A-Za-z]{2,20}"
_COMMA_NUMBER = re.compile(r"-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+")
_TWO_BYTES = re.compile("[^\x01-\x7f]{2}|[\xc2\xc3\xe2]")
_SHORTEST_NAME = 4
# from so many letters on phonenumbers reads them as the digits of a telephone's keys
_KEYED_LETTERS = 3
_COUNTRIES = Path(__file__).parents[1] / "mapping" / "countries.json"
_WITHDRAWN = _COUNTRIES.with_name("countries_withdrawn.json")
_INVISIBLE = frozenset([0xAD, 0x34F, 0x61C, 0x180E, 0xFEFF]).union(
    range(0x200B, 0x2010),
    range(0x202A, 0x202F),
    range(0x2060, 0x2065),
    range(0x2066, 0x2070),
    range(0xFE00, 0xFE10),
)


def function_of(name: str, argument: str | int | None) -> Function:
    """What a function does to one text. Raises Unverifiable for one that is not known here."""
    if name not in _MAKERS:
        raise Unverifiable(f"apply: {name}")
    return _MAKERS[name](argument)


def left_alone(name: str, argument: str | int | None, text: str) -> list[str]:
    """Conditions in SQL under which a function leaves a text as it is, so that nobody need call it."""
    match name:
        case "email":
            return [f"(strlen({text}) < 64 AND regexp_full_match({text}, '{_SIMPLE_EMAIL}'))"]
        case "fix_text":
            return [f"NOT regexp_matches({text}, '{_TWO_BYTES.pattern}')"]
        case "strip_html":
            return [f"NOT (contains({text}, '<') OR contains({text}, '&'))"]
        case "truncate":
            return [f"length({text}) <= {int(str(argument))}"]
    return []


def _email(text: str) -> str:
    """An address without the characters in it that show nothing; plain ones need no library to be told."""
    from email_validator import EmailNotValidError, validate_email

    local_dots = text.startswith(".") or ".." in text or ".@" in text
    if _EMAIL.fullmatch(text) and not local_dots and len(text) <= 254 and "--" not in text:
        return text
    address = "".join(char for char in text if ord(char) not in _INVISIBLE)
    try:
        validate_email(
            address,
            # A look-up in the DNS would make the verdict hang on the network, and on the day.
            check_deliverability=False,
            allow_quoted_local=True,
            allow_smtputf8=True,
            test_environment=True,
            strict=True,
        )
    except EmailNotValidError:
        raise Broken("not_an_email") from None
    return address


def _decimal_comma(argument: str | int | None) -> Function:
    """A comma as decimal point; what could be thousands as well breaks a rule, `1.234` only without `or_point`."""
    unsure = re.compile(
        r"-?[1-9][0-9]{0,2},[0-9]{3}"
        if argument == "or_point"
        else r"-?[1-9][0-9]{0,2}[,.][0-9]{3}"
    )

    def read(text: str) -> str:
        if unsure.fullmatch(text):
            raise Broken("ambiguous_number")
        if _COMMA_NUMBER.fullmatch(text):
            return text.replace(".", "").replace(",", ".")
        return text

    return read


def _phone(region: str | int | None) -> Function:
    country = str(region)

    def read(text: str) -> str:
        if _letters_behind(text) >= _KEYED_LETTERS:
            raise Broken("not_a_phone_number")
        if re.match(r"\s*(\(\s*)?[+\uff0b]", text):
            readings = {_number(text, country)}
        else:
            # Without a plus it may begin with its country's code: both readings count, and none is guessed.
            readings = {_number(text, country), _number(_spelt_out(text, country), country)}
        readings.discard("")
        if len(readings) > 1:
            raise Broken("ambiguous_phone_number")
        if not readings:
            raise Broken("not_a_phone_number")
        return readings.pop()

    return read


def _spelt_out(text: str, region: str) -> str:
    """A number that begins with its country's code, or with 00, with the plus that it lacks; else ''."""
    import phonenumbers

    digits = "".join(str(int(char)) for char in text.split(";", maxsplit=1)[0] if char.isdecimal())
    if digits[:2] == "00":
        return f"+{digits[2:]}"
    if digits.startswith(str(phonenumbers.country_code_for_region(region))):
        return f"+{digits}"
    return ""


def _number(text: str, region: str) -> str:
    """The E.164 of a valid number, '' for anything else."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if number.extension or not phonenumbers.is_valid_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _letters_behind(text: str) -> int:
    """ASCII letters behind the first digit or plus; what `;` begins is no part of the number (RFC 3966)."""
    number = re.sub(r"^[^+\uff0b\d]*", "", text).split(";")[0]
    return sum(char.isascii() and char.isalpha() for char in number)


def _country(text: str) -> str:
    """The code of a country's name.

    **Source**: the shipped table, Unicode CLDR's names; names are found whatever their case, accents and signs. What is
    as short as a code has to be sent as one: in ASCII letters, of any case, with nothing but spaces around.
    """
    words = _spelt_plainly(text)
    sent = text.strip(WHITE_SPACE)
    if sum(map(len, words)) < _SHORTEST_NAME:
        wanted = r"[\x00-\x7f]*" if len(words) > 1 else "[A-Za-z]*"
        words = words if re.fullmatch(wanted, sent) else []
    name = " ".join(words)
    code = _country_codes(_COUNTRIES).get(name)
    if code is None:
        raise Broken("withdrawn_country" if name in _country_codes(_WITHDRAWN) else "not_a_country")
    return code


def _spelt_plainly(text: str) -> list[str]:
    """The words of a name in small letters without accents; letters of other scripts are letters of theirs, too."""
    spelt = unicodedata.normalize("NFKD", text.casefold()).replace("&", " and ")
    bare = "".join(char for char in spelt if not unicodedata.combining(char)).casefold()
    # category L or N: letters and numbers; modifier letters among them serve as apostrophes
    kinds = ((char, unicodedata.category(char)) for char in bare)
    return "".join(
        char if kind[0] in "LN" and kind != "Lm" else " " for char, kind in kinds
    ).split()


@cache
def _country_codes(file: Path) -> dict[str, str]:
    return dict(json.loads(file.read_bytes()))


def _fix_text(text: str) -> str:
    # a letter beyond ASCII is two bytes or more, so misread it is two signs, or one of three before a lost space
    if not _TWO_BYTES.search(text):
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def _amount(argument: str | int | None) -> Function:
    signs = signs_of(argument)
    if signs is None:
        raise Unverifiable(f"apply: amount: {argument}")
    return lambda text: read_amount(text, signs)


def _cut(text: str, length: int) -> str:
    """The first letters as a reader counts them: an accent or a skin tone is part of its letter."""
    import regex  # type: ignore[import-untyped,unused-ignore]  # it ships no types

    if len(text) <= length:
        return text
    letters = islice(regex.finditer(r"\X", text), length)
    return "".join(letter.group() for letter in letters)


def _same_for_all(function: Function) -> Callable[[Any], Function]:
    return lambda _argument: function


_MAKERS: dict[str, Callable[[Any], Function]] = {
    "strip_html": _same_for_all(text_of_html),
    "fix_text": _same_for_all(_fix_text),
    "country": _same_for_all(_country),
    "email": _same_for_all(_email),
    "decimal_comma": _decimal_comma,
    "phone": _phone,
    "amount": _amount,
    "truncate": lambda length: lambda text: _cut(text, length),
}
