"""The functions of `apply`, in plain Python, a value at a time. One that is not here makes its column unverifiable."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from migrate.verify.typed import SPACES, Broken, Unverifiable

Function = Callable[[str], str]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(
    rf"[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]"
)
_COMMA_NUMBER = re.compile(r"-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+")
_TWO_BYTES = re.compile(r"[^\x00-\x7f]{2}|[\xc2\xc3\xe2]")
_SPACES = re.compile(f"[{SPACES}]+")
_SHORTEST_NAME = 4
# from so many letters on phonenumbers reads them as the digits of a telephone's keys
_KEYED_LETTERS = 3
_COUNTRIES = Path(__file__).parents[1] / "mapping" / "countries.json"
_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>", re.DOTALL)


def function_of(name: str, argument: str | int | None) -> Function:
    """What a function does to one text. Raises Unverifiable for one that is not known here."""
    if name not in _MAKERS:
        raise Unverifiable(f"apply: {name}")
    return _MAKERS[name](argument)


def _email(text: str) -> str:
    local_dots = text.startswith(".") or ".." in text or ".@" in text
    if not _EMAIL.fullmatch(text) or local_dots or len(text) > 254:
        raise Broken("not_an_email")
    return text


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
        return text.replace(".", "").replace(",", ".") if _COMMA_NUMBER.fullmatch(text) else text

    return read


def _phone(region: str | int | None) -> Function:
    import phonenumbers

    def read(text: str) -> str:
        if _letters_behind(text) >= _KEYED_LETTERS:
            raise Broken("not_a_phone_number")
        try:
            number = phonenumbers.parse(text, str(region))
        except phonenumbers.NumberParseException:
            raise Broken("not_a_phone_number") from None
        if number.extension or not phonenumbers.is_valid_number(number):
            raise Broken("not_a_phone_number")
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))

    return read


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
    sent = text.strip(SPACES)
    if sum(map(len, words)) < _SHORTEST_NAME:
        wanted = r"[\x00-\x7f]*" if len(words) > 1 else "[A-Za-z]*"
        words = words if re.fullmatch(wanted, sent) else []
    code = _country_codes().get(" ".join(words))
    if code is None:
        raise Broken("not_a_country")
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
def _country_codes() -> dict[str, str]:
    return dict(json.loads(_COUNTRIES.read_bytes()))


def _fix_text(text: str) -> str:
    # a letter beyond ASCII is two bytes or more, so misread it is two signs, or one of three before a lost space
    if not _TWO_BYTES.search(text):
        return text
    import ftfy

    return ftfy.fix_encoding(text)


def _same_for_all(function: Function) -> Callable[[Any], Function]:
    return lambda _argument: function


_MAKERS: dict[str, Callable[[Any], Function]] = {
    "trim": _same_for_all(lambda text: text.strip(SPACES)),
    "lowercase": _same_for_all(str.lower),
    "uppercase": _same_for_all(str.upper),
    "collapse_spaces": _same_for_all(lambda text: _SPACES.sub(" ", text)),
    "strip_html": _same_for_all(lambda text: _TAG.sub("", text)),
    "fix_text": _same_for_all(_fix_text),
    "country": _same_for_all(_country),
    "email": _same_for_all(_email),
    "decimal_comma": _decimal_comma,
    "phone": _phone,
    "sha256": _same_for_all(lambda text: hashlib.sha256(text.encode()).hexdigest()),
    "truncate": lambda length: lambda text: text[:length],
}
