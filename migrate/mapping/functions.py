"""The functions of `apply`: name, argument, what it does, an example. A new one is an entry here and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from migrate.mapping.countries import find_country, find_withdrawn
from migrate.mapping.numbers import (
    NOT_AN_AMOUNT,
    OTHER_STYLE,
    STYLES,
    find_style,
    read_amount,
)
from migrate.mapping.texts import (
    AMBIGUOUS,
    ENCODED,
    LONGEST,
    LONGEST_LOCAL,
    NOT_A_NUMBER,
    PLAIN,
    read_email,
    read_phone,
    refuse_region,
    strip_html,
)
from migrate.mapping.texts import SUSPECT as MARKUP

Argument = str | int | None
Build = Callable[[pl.Expr, Argument], pl.Expr]


@dataclass(frozen=True)
class Function:
    """One function of `apply`.

    **Shape.** `build` takes a text expression and the argument; what it gives back is row by row. With a `rule`, null
    out of a text means that the text breaks it. `loss` counts the texts that were changed. `choices` are the arguments
    it takes beside none, `refusal` says what is wrong with an argument.
    `rule_of`: which of `rule` and `other_rules` a refused text breaks, where there are several.
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
    rule_of: Callable[[str, Argument], str] | None = None
    other_rules: tuple[str, ...] = ()
    loss: str | None = None
    keeps_consent: bool = False

    def refuse(self, argument: Argument) -> str | None:
        """What is wrong with an argument, or None."""
        match self.argument:
            case "none":
                if argument is None:
                    return None
                return f"`{self.name}` takes no argument"
            case "choice":
                known = argument is None or argument in self.choices
                if known:
                    return None
                return f"`{self.name}` takes no argument or {', '.join(self.choices)}"
            case wanted:
                if type(argument) is not (str if wanted == "text" else int):
                    return f"`{self.name}` wants a {wanted}, as in `{self.name}: {self.example_argument}`"
                return self.refusal(argument)


# no \d, which takes the digits of every script
_COMMA_NUMBER = r"^-?([0-9]+|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+$"
_COMMA_OR_THOUSANDS = r"^-?[1-9][0-9]{0,2},[0-9]{3}$"
_POINT_OR_THOUSANDS = r"^-?[1-9][0-9]{0,2}\.[0-9]{3}$"
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


def _email(text: pl.Expr, _: Argument) -> pl.Expr:
    short = (text.str.len_chars() <= LONGEST) & (text.str.find("@", literal=True) <= LONGEST_LOCAL)
    is_plain = (text.str.contains(PLAIN) & ~text.str.contains(ENCODED) & short).fill_null(
        value=False
    )
    others = _per_value(lambda address, _: read_email(address))(pl.when(~is_plain).then(text), None)
    return pl.when(is_plain).then(text).otherwise(others)


def _strip_html(text: pl.Expr, _: Argument) -> pl.Expr:
    suspect = text.str.contains(MARKUP)
    stripped = _per_value(lambda html, _: strip_html(html))(pl.when(suspect).then(text), None)
    return pl.when(suspect).then(stripped).otherwise(text)


def _amount(text: pl.Expr, argument: Argument) -> pl.Expr:
    style = find_style(argument)
    if style is None:
        return text
    # whole numbers are the same in every style
    is_whole = text.str.contains("^(0|[1-9][0-9]*)$")
    read = _per_value(lambda amount, _: read_amount(amount, style)[0])
    return pl.when(is_whole).then(text).otherwise(read(pl.when(~is_whole).then(text), None))


def _amount_rule(text: str, argument: Argument) -> str:
    style = find_style(argument)
    return (style and read_amount(text, style)[1]) or NOT_AN_AMOUNT


def _refuse_style(argument: Argument) -> str | None:
    if find_style(argument):
        return None
    return (
        f"{argument!r} is no style of amounts: one of {', '.join(STYLES)}, or the sign between thousands and the one "
        "before decimals, as '.,'"
    )


def _decimal_comma(text: pl.Expr, argument: Argument) -> pl.Expr:
    plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    unsure = text.str.contains(_COMMA_OR_THOUSANDS)
    if argument != "or_point":
        unsure = unsure | text.str.contains(_POINT_OR_THOUSANDS)
    return pl.when(~unsure).then(
        pl.when(text.str.contains(_COMMA_NUMBER)).then(plain).otherwise(text)
    )


def _truncate(text: pl.Expr, argument: Argument) -> pl.Expr:
    length = int(argument or 0)
    # without letters of several characters, and no line end of two, a place in the text is one between letters
    is_simple = ~text.str.contains(r"[^\x00-\x7f]|\r")
    fits = text.str.len_chars() <= length
    cut = _per_value(lambda long, _: _cut(long, length))(
        pl.when(~is_simple & ~fits).then(text), None
    )
    return pl.when(fits).then(text).when(is_simple).then(text.str.slice(0, length)).otherwise(cut)


def _cut(text: str, length: int) -> str:
    import regex  # type: ignore[import-untyped,unused-ignore]  # it ships no types

    return "".join(regex.findall(r"\X", text)[:length])


def _hash_text(text: str, _: Argument) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_small(number: Argument) -> str | None:
    if isinstance(number, int) and number < 1:
        return "`truncate` wants a number from 1 on"
    return None


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
        "makes all letters lower case",
        ("Jan@Example.COM", "jan@example.com"),
        _simple(lambda t: t.str.to_lowercase()),
        loss="lowercased",
        keeps_consent=True,
    ),
    Function(
        "uppercase",
        "makes all letters upper case",
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
        "the text of HTML as its reader sees it: tags, comments, scripts and styles go, words of different blocks stay "
        "apart, entities are resolved; text that only looks like HTML, as 5<x and y>3, stays",
        ("<p>Fine <b>wool</b></p>", "Fine wool"),
        _strip_html,
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
        "lets only an e-mail address pass: letters of every script, also in the domain (jan@münchen.de), and quoted "
        "local parts; characters that show nothing go, all else stays as sent",
        ("jan\u200b@example.com", "jan@example.com"),
        _email,
        rule="not_an_email",
        loss="invisible_removed",
    ),
    Function(
        "phone",
        "writes a phone number as E.164; one without country code is read as of the country named, one that begins "
        "with that country's code or 00 as if + stood before it, and where both would do, as neither",
        ("06 1234 5678", "+31612345678"),
        _per_value(lambda text, region: read_phone(text, str(region))[0]),
        argument="text",
        example_argument="NL",
        refusal=refuse_region,
        rule=NOT_A_NUMBER,
        rule_of=lambda text, region: read_phone(text, str(region))[1] or NOT_A_NUMBER,
        other_rules=(AMBIGUOUS,),
        loss="phone_formatted",
    ),
    Function(
        "country",
        "makes a country's name (English, French, Dutch, German, Spanish, Italian) or code its two-letter ISO code",
        ("The Netherlands", "NL"),
        _per_value(lambda text, _: find_country(text)),
        rule="not_a_country",
        rule_of=lambda text, _: "withdrawn_country" if find_withdrawn(text) else "not_a_country",
        other_rules=("withdrawn_country",),
        loss="country_coded",
    ),
    Function(
        "amount",
        "reads an amount under a stated style, of "
        + ", ".join(STYLES)
        + " or the signs themselves (`amount: '.,'` is 1.234,56): currency signs and codes, spaces, signs before or "
        "behind, accounting brackets and `,-` may stand around it; what another style would write breaks a rule",
        ("€ 1.234,56-", "-1234.56"),
        _amount,
        argument="text",
        example_argument="nl",
        refusal=_refuse_style,
        rule=NOT_AN_AMOUNT,
        rule_of=_amount_rule,
        other_rules=(OTHER_STYLE,),
        loss="amount_read",
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
        "cuts after so many characters as a reader counts them, never within one",
        ("Hello", "Hel"),
        _truncate,
        argument="number",
        example_argument=3,
        refusal=_refuse_small,
        loss="truncated",
    ),
)

FUNCTIONS = {function.name: function for function in _LIST}
