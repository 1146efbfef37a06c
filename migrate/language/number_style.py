"""What a field's values show of how its numbers are written, and which function reads them: one advice for all.

A style is chosen from all values of a field: one value that shows where a point stands outweighs a thousand that could
be either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from migrate.sentence import Sentence, one_after_other

_CURRENCY = "EUR|USD|GBP|CHF|SEK|DKK|NOK|PLN|CZK|HUF|eur|euro|Euro|kr\\.?|Kč|zł|[A-Z]{2}[$£¥]|[$£¥][A-Z]{2}|[$€£¥]"
_AFFIX = rf"[-+( \u00a0\u202f]*({_CURRENCY})?[-+ \u00a0\u202f]*"
_SPACE = "['’ \u00a0\u202f]"
EVIDENCE: Mapping[str, str] = {
    "plain_number": r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,4})?$",
    "with_point": r"^-?[0-9]+\.[0-9]+$",
    "either_point": r"^-?[1-9][0-9]{0,2}\.[0-9]{3}$",
    "either_comma": rf"^{_AFFIX}-?[1-9][0-9]{{0,2}},[0-9]{{3}}-?{_AFFIX}$",
    "comma_decimals": rf"^{_AFFIX}([0-9]+|[0-9]{{1,3}}(({_SPACE}|\.)[0-9]{{3}})+),"
    rf"([0-9]{{1,2}}|[0-9]{{4,}}|--?)-?\)?{_AFFIX}$",
    "point_decimals": rf"^{_AFFIX}([0-9]+|[0-9]{{1,3}}(({_SPACE}|,)[0-9]{{3}})+)\."
    rf"([0-9]{{1,2}}|[0-9]{{4,}})-?\)?{_AFFIX}$",
    "zero_point": rf"^{_AFFIX}0\.[0-9]+{_AFFIX}$",
    "point_thousands": rf"^{_AFFIX}[1-9][0-9]{{0,2}}((\.[0-9]{{3}})+,[0-9]+|(\.[0-9]{{3}}){{2,}})-?\)?{_AFFIX}$",
    "comma_thousands": rf"^{_AFFIX}[1-9][0-9]{{0,2}}((,[0-9]{{3}})+\.[0-9]+|(,[0-9]{{3}}){{2,}})-?\)?{_AFFIX}$",
    "with_currency": rf"({_CURRENCY})",
    "numeric": rf"^{_AFFIX}[0-9][0-9.,'’ \u00a0\u202f]*(,--?)?-?\)?{_AFFIX}$",
}
"""Signs of a style, as expressions over a value; each is counted over all values of a field."""
# A few words among the numbers ("n/a") are for the rejects; they do not make the field a text.
_MOSTLY = 0.95


@dataclass(frozen=True)
class Advice:
    """How to read a field's numbers: the function of `apply` (None: none is needed), and why; `unsure` where only the
    sender can say."""

    call: str | None
    reason: str
    unsure: bool = False


def advise_style(counts: Mapping[str, int], filled: int) -> Advice | None:
    """The advice for a field's numbers, None where its values are no numbers."""
    if not filled or counts["numeric"] + counts["plain_number"] < _MOSTLY * filled:
        return None
    commas = counts["comma_decimals"]
    points = counts["point_decimals"] + counts["zero_point"]
    by_point = counts["point_thousands"]
    by_comma = counts["comma_thousands"]
    if counts["plain_number"] == filled:
        return _of_plain(counts)
    if (by_point and (by_comma or points)) or (by_comma and commas):
        return Advice(None, _two_styles(commas + by_point, points + by_comma), unsure=True)
    # Both, and no thousands among them: then a comma and a point mean the same, and no style is broken.
    if commas and points:
        return Advice(
            "{decimal_comma: or_point}",
            Sentence(
                "{commas} with a decimal comma, {points} with a decimal point",
                commas=commas,
                points=points,
            ),
        )
    if commas or by_point:
        thousands = counts["either_point"] + by_point
        return Advice(
            "{amount: nl}",
            _with_thousands(
                Sentence("{count} with a decimal comma", count=commas + by_point),
                Sentence("a point stands between thousands in {count}", count=thousands),
                thousands,
            ),
        )
    if points or by_comma:
        thousands = counts["either_comma"] + by_comma
        return Advice(
            "{amount: en}",
            _with_thousands(
                Sentence("{count} with a decimal point", count=points + by_comma),
                Sentence("a comma stands between thousands in {count}", count=thousands),
                thousands,
            ),
        )
    return _of_unsure(counts, filled)


def _of_unsure(counts: Mapping[str, int], filled: int) -> Advice | None:
    """Numbers of which none shows what a comma or point means, or that have neither."""
    if counts["either_comma"] or counts["either_point"]:
        either = Sentence("as 1,234 or 1.234, which may be thousands or decimals")
        return Advice(None, either, unsure=True)
    if counts["with_currency"] < _MOSTLY * filled:
        return None
    return Advice("{amount: nl}", Sentence("whole numbers with a currency"))


def _of_plain(counts: Mapping[str, int]) -> Advice:
    points = counts["with_point"]
    if points and counts["either_point"] == points:
        what = Sentence(
            "{count} as 1.299, and none that shows whether that is 1299 or a little more than one",
            count=points,
        )
        return Advice(None, what, unsure=True)
    if counts["point_thousands"]:
        return Advice("{amount: nl}", Sentence("a point stands between thousands"))
    if counts["either_point"]:
        others = points - counts["either_point"]
        what = Sentence(
            "{count} as 1.299 are read as a little more than one, since {others} others have a decimal point: "
            "look at them",
            count=counts["either_point"],
            others=others,
        )
        return Advice(None, what)
    return Advice(None, "")


def _two_styles(commas: int, points: int) -> str:
    return Sentence(
        "{commas} with a decimal comma and {points} with a decimal point, and thousands among them: "
        "two styles in one field",
        commas=commas,
        points=points,
    )


def _with_thousands(what: Sentence, more: Sentence, thousands: int) -> str:
    return one_after_other([what, more]) if thousands else what
