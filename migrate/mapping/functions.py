"""The functions of `apply`: name, argument, what it does, an example. A new one is an entry here and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

Argument = str | int | None


@dataclass(frozen=True)
class Step:
    """What a function makes of a text expression: the new text, and where it failed or lost something."""

    value: pl.Expr
    failed: pl.Expr | None = None
    lost: pl.Expr | None = None


@dataclass(frozen=True)
class Function:
    """One function of `apply`.

    **Shape.** `build` takes a text expression and the argument; all expressions it gives back are row by row.
    """

    name: str
    says: str
    example: tuple[str, str]
    build: Callable[[pl.Expr, Argument], Step]
    argument: Literal["none", "text", "number"] = "none"
    example_argument: Argument = None
    rule: str | None = None
    loss: str | None = None
    keeps_consent: bool = False

    def refuse(self, argument: Argument) -> str | None:
        """What is wrong with an argument, or None."""
        if self.argument == "none":
            return None if argument is None else f"`{self.name}` takes no argument"
        wanted = str if self.argument == "text" else int
        if type(argument) is not wanted:
            return f"`{self.name}` wants a {self.argument}, as in `{self.name}: {self.example_argument}`"
        if isinstance(argument, int) and argument < 1:
            return f"`{self.name}` wants a number from 1 on"
        return None


_LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@({_LABEL}\.)+[A-Za-z][A-Za-z0-9-]{{0,61}}[A-Za-z0-9]$"
_DOTS = r"(^\.)|(\.\.)|(\.@)"
_COMMA_NUMBER = r"^-?(\d+|\d{1,3}(\.\d{3})+),\d+$"
_TAG = r"(?s)<!--.*?-->|</?[A-Za-z][^<>]*>"
_SPACES = r"[\s\u{a0}]+"


def _changed(before: pl.Expr, after: pl.Expr) -> pl.Expr:
    return before.ne_missing(after)


def _simple(change: Callable[[pl.Expr], pl.Expr]) -> Callable[[pl.Expr, Argument], Step]:
    def build(text: pl.Expr, argument: Argument) -> Step:  # noqa: ARG001  all functions are called alike
        after = change(text)
        return Step(after, lost=_changed(text, after))

    return build


def _email(text: pl.Expr, argument: Argument) -> Step:  # noqa: ARG001  all functions are called alike
    fits = text.str.contains(_EMAIL) & ~text.str.contains(_DOTS) & (text.str.len_chars() <= 254)
    return Step(text, failed=~fits)


def _decimal_comma(text: pl.Expr, argument: Argument) -> Step:  # noqa: ARG001  all functions are called alike
    plain = text.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    after = pl.when(text.str.contains(_COMMA_NUMBER)).then(plain).otherwise(text)
    return Step(after, lost=_changed(text, after))


def _truncate(text: pl.Expr, argument: Argument) -> Step:
    after = text.str.slice(0, int(argument or 0))
    return Step(after, lost=_changed(text, after))


def _hash_each(texts: pl.Series) -> pl.Series:
    distinct = texts.unique().drop_nulls()
    hashes = [hashlib.sha256(text.encode()).hexdigest() for text in distinct]
    return texts.replace_strict(distinct, pl.Series(hashes, dtype=pl.String), default=None, return_dtype=pl.String)


def _sha256(text: pl.Expr, argument: Argument) -> Step:  # noqa: ARG001  all functions are called alike
    after = text.map_batches(_hash_each, return_dtype=pl.String, is_elementwise=True)
    return Step(after, lost=text.is_not_null())


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
        "email",
        "lets only an e-mail address pass, unchanged",
        ("jan+shop@example.com", "jan+shop@example.com"),
        _email,
        rule="not_an_email",
    ),
    Function(
        "decimal_comma",
        "reads a comma as decimal point and points as thousands",
        ("1.234,56", "1234.56"),
        _decimal_comma,
        loss="comma_replaced",
    ),
    Function(
        "sha256",
        "replaces the text by the hex SHA-256 of its UTF-8 bytes",
        ("jan", "6a0ac0fd972c325d6ca5512b67a5e0ad996c4a3e9b59971d125164e6d4db1a1c"),
        _sha256,
        loss="hashed",
    ),
    Function(
        "truncate",
        "cuts after so many characters",
        ("Hello", "Hel"),
        _truncate,
        argument="number",
        example_argument=3,
        loss="truncated",
    ),
)

FUNCTIONS = {function.name: function for function in _LIST}
