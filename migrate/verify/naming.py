"""What to call it when the target holds another value than it should. Pure.

**Source** of the rules of equality: the target's export is text; numbers are equal as decimal numbers, times as the
same instant (no zone is UTC), booleans by `true t 1` and `false f 0`, null and '' are one, text is equal exactly.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation

import polars as pl

_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_QUARTER = timedelta(minutes=15)
# No zone's clock is further from UTC.
_FARTHEST = timedelta(hours=14)


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:].lower()


_RECIPES: Mapping[str, Callable[[str], str]] = {
    "trims": str.strip,
    "collapses spaces": _spaced,
    "removes spaces": lambda text: "".join(text.split()),
    "lowercases": str.lower,
    "trims and lowercases": lambda text: text.strip().lower(),
    "uppercases": str.upper,
    "trims and uppercases": lambda text: text.strip().upper(),
    "capitalises each word": str.title,
    "capitalises the first letter": _capitalised,
    "keeps digits and plus only": lambda text: re.sub(r"[^0-9+]", "", text),
    "keeps digits only": lambda text: re.sub(r"[^0-9]", "", text),
}
"""What a recipe of the target makes of a text, by the plan's words for it: docs/plan.md."""


def is_prepared(recipe: str, expected: str | None, actual: str | None) -> bool:
    """Whether a recipe that the plan has recognised makes `found` of a value; of one that has no words here, never."""
    if recipe not in _RECIPES or expected is None:
        return False
    return _RECIPES[recipe](expected) == (actual or "")


def is_same(kind: str, expected: str | None, actual: str | None) -> bool:
    """True when `found` is how the target may show `expected` in a column of type `kind`."""
    if expected is None or actual is None or actual == "":
        return not expected and not actual
    if expected == actual:
        return True
    if kind in {"integer", "float"}:
        numbers = _number(expected), _number(actual)
        return numbers[0] is not None and numbers[0] == numbers[1]
    if kind in {"datetime", "date"}:
        moments = _moment(expected), _moment(actual)
        return moments[0] is not None and moments[0] == moments[1]
    # 0 and not None for an unknown word, or two unknown words would be the same.
    return kind == "boolean" and _TRUTHS.get(expected.lower()) is _TRUTHS.get(actual.lower(), 0)


def plain_form(kind: str, text: pl.Expr) -> pl.Expr:
    """A value in the one form that most of its spellings have: what is equal so is the same, though not only that."""
    filled = pl.when(text != "").then(text)
    if kind in {"integer", "float"}:
        # Only with a point in it: the zeros at the end of a whole number are its value.
        is_plain = filled.str.contains(r"^-?[0-9]+\.[0-9]+$")
        bare = filled.str.strip_chars_end("0").str.strip_chars_end(".")
        return pl.when(is_plain).then(bare).otherwise(filled)
    if kind in {"datetime", "date"}:
        clock = filled.str.replace("T", " ", literal=True)
        is_named = clock.str.ends_with("Z") & (clock.str.len_bytes() > len("2024-01-31Z"))
        of_utc = (
            pl.when(is_named)
            .then(clock.str.strip_suffix("Z"))
            .otherwise(clock.str.strip_suffix("+00:00"))
        )
        return of_utc.str.strip_suffix(" 00:00:00")
    if kind == "boolean":
        names = {name: str(truth).lower() for name, truth in _TRUTHS.items()}
        return filled.str.to_lowercase().replace(list(names), list(names.values()))
    return filled


def name_difference(
    kind: str, expected: str | None, actual: str | None, earlier: Collection[str | None] = ()
) -> str:
    """One word for a difference: stale, emptied, not_emptied, truncated, shifted_zone, spelling or altered.

    `earlier` are values that the record had before: what the target held, or what lost a collapse.
    """
    if any(is_same(kind, old, actual) for old in earlier):
        return "stale"
    if not actual:
        return "emptied"
    if expected is None:
        return "not_emptied"
    if kind in {"text", "json"}:
        return _name_text(expected, actual)
    if kind in {"datetime", "date"} and _is_shifted(expected, actual):
        return "shifted_zone"
    return "altered"


def _name_text(expected: str, actual: str) -> str:
    if expected.startswith(actual):
        return "truncated"
    if folded(expected) == folded(actual):
        return "spelling"
    return "altered"


def folded(text: str) -> str:
    """What two spellings of a text have in common that differ in letter case, spaces or Unicode form."""
    # one letter may be written in several ways in Unicode, and looks the same in each
    return re.sub(r"\s+", "", unicodedata.normalize("NFC", text)).casefold()


def _is_shifted(expected: str, actual: str) -> bool:
    """Whether two times are apart as clocks of two zones are: by quarters of an hour, up to 14 hours."""
    moments = _moment(expected), _moment(actual)
    if moments[0] is None or moments[1] is None:
        return False
    apart = abs(moments[0] - moments[1])
    return timedelta() < apart <= _FARTHEST and apart % _QUARTER == timedelta()


def _number(text: str) -> Decimal | None:
    try:
        # Not float: two amounts that differ in the last digit would be equal.
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo:
        return moment.astimezone(UTC).replace(tzinfo=None)
    return moment
