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
_LEAST, _MOST = pl.lit(INT32_MIN).cast(_WIDE), pl.lit(INT32_MAX).cast(_WIDE)


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
    text, exact, value = pl.col("text"), pl.col("exact"), pl.col("value")
    if digits == "decimals":
        is_short = text.str.contains(_SHORT)
        rounded = exact.round(DIGITS, mode="half_to_even")
    else:
        has_few_digits = text.str.replace_all(r"[-.]", "").str.len_bytes() <= DIGITS
        is_short = text.str.contains(_SHORT_SIGNIFICANT) & has_few_digits
        rounded = exact
    # Short numbers fit the widest decimal, and are read as a column; the few others go one by one.
    short = pl.when(is_short).then(text).cast(_WIDE, strict=False)
    frame = texts.rename("text").to_frame().with_columns(exact=short).with_columns(value=rounded)
    if _all_fit(frame):
        return frame.select(
            value.cast(float_type(digits)),
            pl.lit(None, dtype=pl.String).alias("rule"),
            pl.lit(False).alias("rounded"),
        )
    frame = frame.with_columns(rule=_short_rule(policy), rounded=value.ne(exact).fill_null(False))
    frame = _with_long(frame, lambda text: _read_one(text, digits, policy))
    is_sound = pl.col("rule").is_null()
    return frame.select(
        pl.when(is_sound).then(value).cast(float_type(digits), strict=False).alias("value"),
        "rule",
        (pl.col("rounded") & is_sound).alias("rounded"),
    )


def _all_fit(frame: pl.DataFrame) -> bool:
    """Whether every text is a short number that the target takes as it is: nearly always, and then that is all."""
    if frame["exact"].null_count() != frame["text"].null_count():
        return False
    is_unchanged = pl.col("value") == pl.col("exact")
    fits = pl.col("value").is_between(_LEAST, _MOST) & is_unchanged
    return bool(frame.select(fits.all()).item())


def _short_rule(policy: str) -> pl.Expr:
    value = pl.col("value")
    is_longer = (value != pl.col("exact")) & pl.lit(policy == "reject")
    return (
        pl.when(~value.is_between(_LEAST, _MOST))
        .then(pl.lit("out_of_int32"))
        .when(is_longer)
        .then(pl.lit("too_many_digits"))
        .otherwise(pl.lit(None, dtype=pl.String))
    )


def _with_long(
    frame: pl.DataFrame, read: Callable[[str], tuple[Decimal | None, str | None, bool]]
) -> pl.DataFrame:
    """The frame with what no column-wide reading took, each different text read once."""
    is_long = pl.col("text").is_not_null() & pl.col("exact").is_null()
    long_texts = frame.filter(is_long).get_column("text").unique()
    if long_texts.is_empty():
        return frame
    values, rules, rounded = zip(*map(read, long_texts), strict=True)
    table = pl.DataFrame(
        {
            "text": long_texts,
            "value_": pl.Series(values, dtype=_WIDE),
            "rule_": pl.Series(rules, dtype=pl.String),
            "rounded_": pl.Series(rounded, dtype=pl.Boolean),
        }
    )
    joined = frame.join(table, on="text", how="left", maintain_order="left")
    was_read = pl.col("rounded_").is_not_null()
    columns = [pl.col("text")]
    for name in ("value", "rule", "rounded"):
        chosen = pl.when(was_read).then(pl.col(f"{name}_")).otherwise(pl.col(name))
        columns.append(chosen.alias(name))
    return joined.select(columns)


def _read_one(
    text: str, digits: FloatDigits, policy: str
) -> tuple[Decimal | None, str | None, bool]:
    """The value of one text, the rule it breaks, and whether digits were lost."""
    number = parse_number(text)
    if number is None:
        return None, "not_a_number", False
    rounded = _round(number, digits)
    is_rounded = rounded != number
    if not INT32_MIN <= rounded <= INT32_MAX:
        return None, "out_of_int32", False
    if is_rounded and policy == "reject":
        return None, "too_many_digits", False
    return rounded, None, is_rounded


def parse_number(text: str) -> Decimal | None:
    """The exact number of a text, or None: `1.10`, `-3`, `1.5e-7`; no spaces, no comma, no NaN."""
    if not re.fullmatch(_NUMBER[1:-1], text):
        return None
    try:
        return _EXACT.create_decimal(text)
    except InvalidOperation:
        return None


def _round(number: Decimal, digits: FloatDigits) -> Decimal:
    # Far beyond what the target takes: to write out the zeros of 1e400 would only cost time.
    if abs(number) > 10**12:
        return number
    if digits == "significant":
        number = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN).plus(number)
    smallest = Decimal(1).scaleb(-SCALES[digits])
    return number.quantize(smallest, rounding=ROUND_HALF_EVEN, context=_EXACT)


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
    amount = _split_amount(text)
    if amount is None:
        return None, NOT_AN_AMOUNT
    is_negative, number = amount
    parts = style_pattern(style).fullmatch(number)
    if parts is None:
        # Told apart: what another style would write shows that the style is not the field's.
        others = (style_pattern(other) for other in set(STYLES.values()))
        is_of_another = any(pattern.fullmatch(number) for pattern in others)
        return None, OTHER_STYLE if is_of_another else NOT_AN_AMOUNT
    digits = re.sub("[^0-9]", "", parts["whole"] or "")
    plain = digits.lstrip("0") or "0"
    if parts["decimals"] is not None:
        plain = f"{plain}.{parts['decimals']}"
    is_zero = not plain.strip("0.")
    if is_negative and not is_zero:
        plain = f"-{plain}"
    return plain, None


def find_style(argument: object) -> Style | None:
    """The style of an argument: a locale of `STYLES`, or the signs between thousands and before decimals, as `.,`."""
    if not isinstance(argument, str):
        return None
    if argument in STYLES:
        return STYLES[argument]
    signs = argument.translate(_APOSTROPHES).translate(_SPACES)
    thousands, decimal = signs[:-1], signs[-1:]
    are_signs = decimal in {",", "."} and thousands in {"", " ", ",", ".", "'"}
    if not are_signs or thousands == decimal:
        return None
    # Spaces part thousands in every style, so a style of spaces has no sign of its own.
    return Style(decimal, thousands.strip())


def _split_amount(text: str) -> tuple[bool, str] | None:
    """Whether an amount is negative, and its digits with their separators; None for what is no amount."""
    plain = text.translate(_INVISIBLE)
    for table in (_APOSTROPHES, _MINUSES, _SPACES):
        plain = plain.translate(table)
    parts = _AMOUNT.fullmatch(plain.strip())
    if parts is None:
        return None
    has_brackets = parts["open"] is not None
    if has_brackets is not (parts["close"] is not None):
        return None
    signs = [parts[name] for name in ("s1", "s2", "s3", "s4") if parts[name]]
    # Two signs, or brackets with one, may mean anything, and so may two currencies.
    if len(signs) + has_brackets > 1 or (parts["c1"] and parts["c2"]):
        return None
    return signs == ["-"] or has_brackets, parts["number"]


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
