"""Numbers out of text: integers and floats in decimal arithmetic, and amounts as people and shops write them.

An amount is read under a stated style, which says which sign stands before the decimals and which between thousands. A
text is read only where it can be an amount of that style; what another style would write is refused by a rule of its
own, since it shows that the style is not the field's.

**Source.** Octolis: numbers lie in -2147483648 … 2147483647, floats have at most six digits. Which six is not said:
see `float_digits`. Unicode CLDR's number patterns: signs and separators of the locales; ISO 4217 for the codes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import cache
from typing import Literal

import polars as pl

FloatDigits = Literal["decimals", "significant"]
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
DIGITS = 6
SCALES: dict[FloatDigits, int] = {"decimals": 6, "significant": 18}
_INTEGER = r"^-?[0-9]+(\.0+)?$"
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?$"
_SHORT = r"^-?[0-9]{1,12}(\.[0-9]{1,18})?$"
_SHORT_SIGNIFICANT = r"^-?[0-9]{1,6}(\.[0-9]{1,18})?$"
_EXACT = Context(prec=3000)
_WIDE = pl.Decimal(38, 18)


def float_type(digits: FloatDigits) -> pl.Decimal:
    """The frame's type of a float column."""
    if digits == "decimals":
        return pl.Decimal(16, 6)
    return pl.Decimal(38, 18)


def integer_rule(text: pl.Expr) -> pl.Expr:
    """The rule a text breaks as an integer, or null. `12.000` is one; `1e3`, `+1`, ` 1` are not: they may be codes."""
    outside = integer_value(text).is_null()
    return (
        pl.when(~text.str.contains(_INTEGER))
        .then(pl.lit("not_an_integer"))
        .when(outside)
        .then(pl.lit("out_of_int32"))
        .otherwise(pl.lit(None, dtype=pl.String))
    )


def integer_value(text: pl.Expr) -> pl.Expr:
    """The Int32 a text says, null where it says none."""
    plain = pl.when(text.str.contains(_INTEGER)).then(text.str.replace(r"\.0+$", ""))
    return plain.cast(pl.Int32, strict=False)


def read_floats(
    texts: pl.Series, digits: FloatDigits, policy: Literal["round", "reject"]
) -> pl.DataFrame:
    """Decimals out of text.

    **Shape.** One row per text: `value`, `rule` (null or a rule's name), `rounded` (whether digits were lost).
    """
    text, exact = pl.col("text"), pl.col("exact")
    if digits == "decimals":
        is_short = text.str.contains(_SHORT)
        value = exact.round(DIGITS, mode="half_to_even")
    else:
        has_few_digits = text.str.replace_all(r"[-.]", "").str.len_bytes() <= DIGITS
        is_short = text.str.contains(_SHORT_SIGNIFICANT) & has_few_digits
        value = exact
    frame = texts.rename("text").to_frame()
    frame = frame.with_columns(
        pl.when(is_short).then(text).cast(_WIDE, strict=False).alias("exact")
    )
    frame = frame.with_columns(value.alias("value"))
    if _all_fit(frame):
        kept = pl.col("value").cast(float_type(digits))
        return frame.select(
            kept.alias("value"),
            pl.lit(None, dtype=pl.String).alias("rule"),
            pl.lit(False).alias("rounded"),
        )
    frame = frame.with_columns(
        _short_rule(policy).alias("rule"),
        pl.col("value").ne(pl.col("exact")).fill_null(False).alias("rounded"),
    )
    frame = _with_long(frame, lambda text: _read_one(text, digits, policy))
    value = (
        pl.when(pl.col("rule").is_null())
        .then(pl.col("value"))
        .cast(float_type(digits), strict=False)
    )
    return frame.select(
        value.alias("value"),
        "rule",
        (pl.col("rounded") & pl.col("rule").is_null()).alias("rounded"),
    )


def _all_fit(frame: pl.DataFrame) -> bool:
    """Whether every text is a short number that the target takes as it is: nearly always, and then that is all."""
    if frame["exact"].null_count() != frame["text"].null_count():
        return False
    in_range = pl.col("value").is_between(
        pl.lit(INT32_MIN).cast(_WIDE), pl.lit(INT32_MAX).cast(_WIDE)
    )
    return bool(frame.select((in_range & (pl.col("value") == pl.col("exact"))).all()).item())


def _short_rule(policy: str) -> pl.Expr:
    value = pl.col("value")
    outside = (value > pl.lit(INT32_MAX).cast(_WIDE)) | (value < pl.lit(INT32_MIN).cast(_WIDE))
    longer = (value != pl.col("exact")) & pl.lit(policy == "reject")
    rule = (
        pl.when(outside).then(pl.lit("out_of_int32")).when(longer).then(pl.lit("too_many_digits"))
    )
    return rule.otherwise(pl.lit(None, dtype=pl.String))


def _with_long(
    frame: pl.DataFrame, read: Callable[[str], tuple[Decimal | None, str | None, bool]]
) -> pl.DataFrame:
    rest = (
        frame.filter(pl.col("text").is_not_null() & pl.col("exact").is_null())
        .get_column("text")
        .unique()
    )
    if rest.is_empty():
        return frame
    answers = [read(text) for text in rest]
    table = pl.DataFrame(
        {
            "text": rest,
            "value_": pl.Series([answer[0] for answer in answers], dtype=_WIDE),
            "rule_": pl.Series([answer[1] for answer in answers], dtype=pl.String),
            "rounded_": [answer[2] for answer in answers],
        }
    )
    joined = frame.join(table, on="text", how="left", maintain_order="left")
    found = pl.col("rounded_").is_not_null()
    return joined.select(
        "text",
        *(
            pl.when(found).then(pl.col(f"{name}_")).otherwise(pl.col(name)).alias(name)
            for name in ("value", "rule", "rounded")
        ),
    )


def _read_one(
    text: str, digits: FloatDigits, policy: str
) -> tuple[Decimal | None, str | None, bool]:
    number = parse_number(text)
    if number is None:
        return None, "not_a_number", False
    rounded = _round(number, digits)
    lost = rounded != number
    if not INT32_MIN <= rounded <= INT32_MAX:
        return None, "out_of_int32", False
    if lost and policy == "reject":
        return None, "too_many_digits", False
    return rounded, None, lost


def parse_number(text: str) -> Decimal | None:
    """The exact number of a text, or None: `1.10`, `-3`, `1.5e-7`; no spaces, no comma, no NaN."""
    if not re.fullmatch(_NUMBER[1:-1], text):
        return None
    try:
        return _EXACT.create_decimal(text)
    except InvalidOperation:
        return None


def _round(number: Decimal, digits: FloatDigits) -> Decimal:
    if abs(number) > 10**12:
        return number
    if digits == "significant":
        number = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN).plus(number)
    return number.quantize(
        Decimal(1).scaleb(-SCALES[digits]), rounding=ROUND_HALF_EVEN, context=_EXACT
    )


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
