"""The functions of `apply`: name, argument, what it does, an example. A new one is an entry here and nothing else."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from migrate.mapping.countries import find_country

Argument = str | int | None
Build = Callable[[pl.Expr, Argument], pl.Expr]


@dataclass(frozen=True)
class Function:
    """One function of `apply`.

    **Shape.** `build` takes a text expression and the argument; what it gives back is row by row. With a `rule`, null
    out of a text means that the text breaks it. `loss` counts the texts that were changed. `choices` are the arguments
    it takes beside none, `refusal` says what is wrong with an argument.
    """

    name: str
    says: str
    example: tuple[str, str]
    build: Build
    argument: Literal["none", "text", "number", "choice"] = "none"
    example_argument: Argument = None
    choices: tuple[str, ...] = ()
    refusal: Callable[[Argument], str | None] = lambda _: None
    rule: str | None = None
    loss: str | None = None
    keeps_consent: bool = False

    def refuse(self, argument: Argument) -> str | None:
        """What is wrong with an argument, or None."""
        match self.argument:
            case "none":
                return None if argument is None else f"`{self.name}` takes no argument"
            case "choice":
                known = argument is None or argument in self.choices
                return (
                    None
                    if known
                    else f"`{self.name}` takes no argument or {', '.join(self.choices)}"
                )
            case wanted:
                if type(argument) is not (str if wanted == "text" else int):
                    return f"`{self.name}` wants a {wanted}, as in `{self.name}: {self.example_argument}`"
                return self.refusal(argument)


_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@({_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]$"
_DOTS = r"(^\.)|(\.\.)|(\.@)"
# no \d, which takes the digits of every script
_COMMA_NUMBER = r"^-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+$"
_COMMA_OR_THOUSANDS = r"^-?[1-9][0-9]{0,2},[0-9]{3}$"
_POINT_OR_THOUSANDS = r"^-?[1-9][0-9]{0,2}\.[0-9]{3}$"
# what phonenumbers reads as the digits on the keys of a telephone: "020 Kantoor" would become a number nobody gave
_KEYED_WORD = re.compile(r"[^+\uff0b\d]*[+\uff0b\d](?:[^;]*?[A-Za-z]){3}")
_TAG = r"(?s)<!--.*?-->|</?[A-Za-z][^<>]*>"
_SPACES = r"[\s\u{a0}]+"
# UTF-8 read as Latin-1 or Windows-1252 shows as one of these letters, or as two signs in a row that are not ASCII
_MOJIBAKE = r"[ÃÂâ]|[^\x00-\x7f]{2}"


def _simple(change: Callable[[pl.Expr], pl.Expr]) -> Build:
    return lambda text, _: change(text)


def _per_value(change: Callable[[str, Argument], str | None]) -> Build:
    """A function in Python, called once for each different text."""

    def build(text: pl.Expr, argument: Argument) -> pl.Expr:
        return text.map_batches(
            lambda texts: _change_distinct(texts, lambda one: change(one, argument)),
            return_dtype=pl.String,
            is_elementwise=True,
        )

    return build


def _change_distinct(texts: pl.Series, change: Callable[[str], str | None]) -> pl.Series:
    distinct = texts.unique().drop_nulls()
    changed = pl.Series([change(text) for text in distinct], dtype=pl.String)
    table = pl.DataFrame({"t": distinct, "c": changed})
    # a join: polars' own value map takes several times the memory
    return (
        texts.rename("t")
        .to_frame()
        .join(table, on="t", how="left", maintain_order="left")["c"]
        .rename(texts.name)
    )


def _email(text: pl.Expr) -> pl.Expr:
    fits = text.str.contains(_EMAIL) & ~text.str.contains(_DOTS) & (text.str.len_chars() <= 254)
    return pl.when(fits).then(text)


def _decimal_comma(text: pl.Expr, argument: Argument) -> pl.Expr:
    plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    unsure = text.str.contains(_COMMA_OR_THOUSANDS)
    if argument != "or_point":
        unsure = unsure | text.str.contains(_POINT_OR_THOUSANDS)
    return pl.when(~unsure).then(
        pl.when(text.str.contains(_COMMA_NUMBER)).then(plain).otherwise(text)
    )


def _truncate(text: pl.Expr, argument: Argument) -> pl.Expr:
    return text.str.slice(0, int(argument or 0))


def _hash_text(text: str, _: Argument) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _format_phone(text: str, region: Argument) -> str | None:
    import phonenumbers

    if _KEYED_WORD.match(text):
        return None
    try:
        number = phonenumbers.parse(text, str(region))
    except phonenumbers.NumberParseException:
        return None
    if number.extension or not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _refuse_region(region: Argument) -> str | None:
    import phonenumbers

    known = region in phonenumbers.SUPPORTED_REGIONS
    return (
        None
        if known
        else f"`phone` wants a country as two capital letters, as in `phone: NL`; {region!r} is none"
    )


def _refuse_small(number: Argument) -> str | None:
    return "`truncate` wants a number from 1 on" if isinstance(number, int) and number < 1 else None


def _fix_text(text: pl.Expr) -> pl.Expr:
    suspect = text.str.contains(_MOJIBAKE)
    fixed = _per_value(_fix_encoding)(pl.when(suspect).then(text), None)
    return pl.when(suspect).then(fixed).otherwise(text)


def _fix_encoding(text: str, _: Argument) -> str:
    import ftfy

    # the encoding only: all that ftfy offers besides would change quotes and widths of text that is right
    return ftfy.fix_encoding(text)


_LIST = (
    Function(
        "trim",
        "removes spaces at both ends",
        ("  Jan ", "Jan"),
        _simple(lambda t: t.str.strip_chars()),
        loss="trimmed",
        keeps_consent=True,
    ),
    Function(
        "lowercase",
        "makes letters small",
        ("Jan@Example.COM", "jan@example.com"),
        _simple(lambda t: t.str.to_lowercase()),
        loss="lowercased",
        keeps_consent=True,
    ),
    Function(
        "uppercase",
        "makes letters big",
        ("nl", "NL"),
        _simple(lambda t: t.str.to_uppercase()),
        loss="uppercased",
        keeps_consent=True,
    ),
    Function(
        "collapse_spaces",
        "makes each run of spaces, tabs and line ends one space",
        ("Jan  de\tWit", "Jan de Wit"),
        _simple(lambda t: t.str.replace_all(_SPACES, " ")),
        loss="collapsed_spaces",
        keeps_consent=True,
    ),
    Function(
        "strip_html",
        "removes HTML tags and comments, keeps the text between",
        ("<p>Fine <b>wool</b></p>", "Fine wool"),
        _simple(lambda t: t.str.replace_all(_TAG, "")),
        loss="stripped_html",
    ),
    Function(
        "fix_text",
        "repairs UTF-8 that was read as Latin-1 or Windows-1252, changes nothing else",
        ("CafÃ© ZoÃ«", "Café Zoë"),
        _simple(_fix_text),
        loss="encoding_fixed",
    ),
    Function(
        "email",
        "lets only an e-mail address pass, unchanged",
        ("jan+shop@example.com", "jan+shop@example.com"),
        _simple(_email),
        rule="not_an_email",
    ),
    Function(
        "phone",
        "writes a phone number as E.164; one without country code is read as of the country named",
        ("06 1234 5678", "+31612345678"),
        _per_value(_format_phone),
        argument="text",
        example_argument="NL",
        refusal=_refuse_region,
        rule="not_a_phone_number",
        loss="phone_formatted",
    ),
    Function(
        "country",
        "makes a country's name (English, French, Dutch, German, Spanish, Italian) or code its two-letter ISO code",
        ("The Netherlands", "NL"),
        _per_value(lambda text, _: find_country(text)),
        rule="not_a_country",
        loss="country_coded",
    ),
    Function(
        "decimal_comma",
        "reads a comma as decimal point and points as thousands; 1,234 and 1.234 may be either and break a rule, with "
        "`or_point` only 1,234 does",
        ("1.234,56", "1234.56"),
        _decimal_comma,
        argument="choice",
        choices=("or_point",),
        rule="ambiguous_number",
        loss="comma_replaced",
    ),
    Function(
        "sha256",
        "replaces the text by the hex SHA-256 of its UTF-8 bytes",
        ("jan", "6a0ac0fd972c325d6ca5512b67a5e0ad996c4a3e9b59971d125164e6d4db1a1c"),
        _per_value(_hash_text),
        loss="hashed",
    ),
    Function(
        "truncate",
        "cuts after so many characters",
        ("Hello", "Hel"),
        _truncate,
        argument="number",
        example_argument=3,
        refusal=_refuse_small,
        loss="truncated",
    ),
)

FUNCTIONS = {function.name: function for function in _LIST}
