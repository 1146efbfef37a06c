"""Amounts of money out of text, in every spelling that shops send; decimal from the first digit on.

Which mark is the decimal one follows from the text itself (`1.234,56`), or by the other amounts of
the same source (`1,299` beside `12.50`). What neither tells is unreadable, never guessed. A lone
point is a decimal point, as in JSON, unless the source writes points between thousands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Literal

import polars as pl

AMOUNT = pl.Decimal(38, 6)
DIGITS = 6
_SCALE = Decimal(1).scaleb(-DIGITS)
_EXACT = Context(prec=60)
_LARGEST = Decimal(10) ** 24
"""Nobody's order is worth more; and the sums of millions of them still fit in `AMOUNT`."""

_PLAIN = r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$"
_CURRENCY = (
    r"(?:[$€£¥₣₤₦₨₩₪₫₭₮₱₲₴₵₸₹₺₽₾₿]|[A-Za-z]{2}\$|[A-Za-z]{3}|euros?|kr\.?|zł|Kč|Ft|lei|Fr\.)"
)
_DRESSED = re.compile(
    rf"(?i)(?P<before>[-+(]?)\s*(?:{_CURRENCY}\s*)?(?P<sign>[-+]?)\s*(?P<body>[0-9.,'’\s]*[0-9][0-9.,'’\s]*?)"
    rf"(?P<whole>[.,][-–—])?\s*(?:{_CURRENCY})?\s*(?P<behind>[-)]?)"
)
_SCIENTIFIC = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]{1,3}")
# Clients of the source send both: `24,99` as one sample has it, and a database's `31.2200`.
_ONE_MARK = re.compile(r"([0-9]*)([.,])([0-9]*)")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([.,'’ ])[0-9]{3})(?:\1[0-9]{3})*(?:([.,])([0-9]*))?")
_INDIAN = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.([0-9]*))?")

Mark = Literal[".", ","]


@dataclass(frozen=True)
class Spelling:
    """What one text says: `value`, or with `either` the two that it may say.

    `decimal` and `thousands`: the marks that it shows to be so.
    """

    value: Decimal | None = None
    either: tuple[Mark, Decimal, Decimal] | None = None
    decimal: Mark | None = None
    thousands: Mark | None = None


_UNREADABLE = Spelling()
_LONGEST = 64
"""No amount is spelt longer, and no pattern has to be tried on a whole page of text."""


@dataclass(frozen=True)
class Marks:
    """Which marks the amounts of one source have shown to be what."""

    decimal: frozenset[str] = frozenset()
    thousands: frozenset[str] = frozenset()

    def resolve(self, found: Spelling) -> Decimal | None:
        """The amount, None where these marks do not tell which of two it is."""
        if found.either is None:
            return found.value
        mark, as_decimal, as_thousands = found.either
        other = "," if mark == "." else "."
        speaks_decimal = mark in self.decimal or other in self.thousands
        speaks_thousands = mark in self.thousands or other in self.decimal
        if speaks_decimal and not speaks_thousands:
            return as_decimal
        if speaks_thousands and not speaks_decimal:
            return as_thousands
        if mark == "." and not speaks_thousands:
            return as_decimal
        # Both were seen: a point that this source never puts between thousands is JSON's own.
        if mark == "." and "." not in self.thousands:
            return as_decimal
        return None


def marks_of(found: Iterable[Spelling]) -> Marks:
    """The marks that some texts show."""
    every = list(found)
    return Marks(
        frozenset(one.decimal for one in every if one.decimal),
        frozenset(one.thousands for one in every if one.thousands),
    )


def read_spelling(text: str) -> Spelling:
    """What a text says as an amount; nothing for one that is none."""
    if len(text) > _LONGEST:
        return _UNREADABLE
    clean = _plain_signs(text)
    if _SCIENTIFIC.fullmatch(clean):
        return Spelling(_rounded(Decimal(clean)))
    dressed = _DRESSED.fullmatch(clean)
    if dressed is None:
        return _UNREADABLE
    negative = _is_negative(dressed)
    if negative is None:
        return _UNREADABLE
    spelling = _read_body(dressed["body"].strip())
    if spelling.either and dressed["whole"]:
        # "1.234,-" has its decimal mark at the end: the other one stands between thousands
        spelling = Spelling(spelling.either[2])
    return _negated(spelling) if negative else spelling


def _plain_signs(text: str) -> str:
    """The text with ASCII digits, one kind of minus, plain spaces, and nothing invisible."""
    seen = unicodedata.normalize("NFKC", text).replace("−", "-").replace("٫", ".").replace("٬", ",")
    visible = "".join(sign for sign in seen if unicodedata.category(sign) != "Cf")
    digits = (str(unicodedata.decimal(s)) if s.isdecimal() else s for s in visible)
    return " ".join("".join(digits).split())


def _is_negative(dressed: re.Match[str]) -> bool | None:
    """Whether an amount is below zero; None where its signs contradict each other."""
    before = dressed["before"]
    sign = dressed["sign"]
    behind = dressed["behind"]
    if (before == "(") != (behind == ")"):
        return None
    signs = [mark for mark in (before, sign, behind) if mark in ("-", "+", "(") and mark]
    if len(signs) > 1:
        return None
    return bool(signs) and signs[0] != "+"


def _negated(found: Spelling) -> Spelling:
    value = None if found.value is None else -found.value
    either = found.either and (found.either[0], -found.either[1], -found.either[2])
    return Spelling(value, either, found.decimal, found.thousands)


def _read_body(body: str) -> Spelling:
    """Digits and marks, without sign and currency."""
    if body.isdecimal():
        return Spelling(_rounded(Decimal(body)))
    one = _ONE_MARK.fullmatch(body)
    if one is not None:
        return _read_one_mark(one[1], "." if one[2] == "." else ",", one[3])
    grouped = _GROUPED.fullmatch(body)
    if grouped is not None and grouped[1] != grouped[2]:
        return _read_grouped(body, grouped[1], grouped[2], grouped[3] or "")
    indian = _INDIAN.fullmatch(body)
    if indian is not None:
        return Spelling(_rounded(Decimal(body.replace(",", ""))), None, ".", ",")
    return _UNREADABLE


def _read_one_mark(whole: str, mark: Mark, rest: str) -> Spelling:
    if not whole and not rest:
        return _UNREADABLE
    as_decimal = _rounded(Decimal(f"{whole or 0}.{rest or 0}"))
    may_be_thousands = len(rest) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0"
    if not may_be_thousands:
        return Spelling(as_decimal, decimal=mark)
    as_thousands = _rounded(Decimal(whole + rest))
    if as_decimal is None or as_thousands is None:
        return _UNREADABLE
    return Spelling(either=(mark, as_decimal, as_thousands))


def _read_grouped(body: str, between: str, mark: str | None, rest: str) -> Spelling:
    digits = body.replace(between, "")
    if mark is not None:
        if rest:
            digits = digits.replace(mark, ".")
        else:
            digits = digits.replace(mark, "")
    return Spelling(_rounded(Decimal(digits)), None, _as_mark(mark), _as_mark(between))


def _as_mark(sign: str | None) -> Mark | None:
    # A blank or an apostrophe says nothing: nobody writes one for a decimal mark.
    if sign == ".":
        return "."
    return "," if sign == "," else None


def _rounded(number: Decimal) -> Decimal | None:
    """The number with six decimals, half to even, as the target's floats have them at most."""
    if not number.is_finite() or abs(number) >= _LARGEST:
        return None
    try:
        return number.quantize(_SCALE, rounding=ROUND_HALF_EVEN, context=_EXACT)
    except InvalidOperation:
        return None


def read_amounts(texts: pl.Series, sources: pl.Series) -> pl.DataFrame:
    """Amounts out of texts, those of one source read alike.

    **Shape**: one row per text: `amount`, null for no value; `unreadable`: there is a text, and it
    is no amount.
    """
    frame = pl.DataFrame(
        [texts.cast(pl.String).alias("text"), sources.cast(pl.String).alias("source")]
    )
    frame = frame.with_columns(pl.when(pl.col("text") != "").then(pl.col("text")).alias("text"))
    plain = pl.col("text").str.contains(_PLAIN)
    frame = frame.with_columns(
        pl.when(plain).then(pl.col("text")).cast(AMOUNT, strict=False).alias("amount")
    )
    odd = frame.filter(pl.col("text").is_not_null() & pl.col("amount").is_null())
    # A plain text tells of its point only where it is not followed by three digits.
    maybe = frame.filter(
        pl.col("amount").is_not_null() & pl.col("text").str.contains(_MAYBE_GROUPED)
    )
    if odd.is_empty() and (maybe.is_empty() or not _points_between_thousands(frame)):
        return frame.select("amount", pl.lit(value=False).alias("unreadable"))
    table = _read_by_source(frame)
    read = frame.join(
        table, on=["source", "text"], how="left", maintain_order="left", nulls_equal=True
    )
    amount = pl.when(pl.col("again").fill_null(value=False)).then("found").otherwise("amount")
    return read.select(
        amount.alias("amount"),
        (amount.is_null() & pl.col("text").is_not_null()).alias("unreadable"),
    )


_MAYBE_GROUPED = r"^-?[1-9][0-9]{0,2}\.[0-9]{3}$"


def _points_between_thousands(frame: pl.DataFrame) -> bool:
    return bool(frame.select(pl.col("text").str.contains(r"\.[0-9]{3}[.,]").any()).item())


def _read_by_source(frame: pl.DataFrame) -> pl.DataFrame:
    """`source, text, found, again` of the texts that need more than a cast."""
    suspects = frame.filter(
        pl.col("text").is_not_null()
        & (pl.col("amount").is_null() | pl.col("text").str.contains(_MAYBE_GROUPED))
    ).unique(["source", "text"])
    with_point = frame.filter(
        pl.col("amount").is_not_null()
        & pl.col("text").str.contains(".", literal=True)
        & ~pl.col("text").str.contains(_MAYBE_GROUPED)
    )
    speak_point = set(with_point.get_column("source").unique())
    rows: list[tuple[str | None, str, Decimal | None, bool]] = []
    for (source,), group in suspects.group_by("source"):
        spelt = {text: read_spelling(text) for text in group.get_column("text")}
        marks = marks_of(spelt.values())
        if source in speak_point:
            marks = Marks(marks.decimal | {"."}, marks.thousands)
        rows += [(source, text, marks.resolve(spelling), True) for text, spelling in spelt.items()]
    schema: dict[str, Any] = {
        "source": pl.String,
        "text": pl.String,
        "found": AMOUNT,
        "again": pl.Boolean,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")
