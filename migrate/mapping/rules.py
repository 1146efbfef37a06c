"""The rules a row can break: what each means and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product


@dataclass(frozen=True)
class RowRule:
    """One rule: its name in reports, what it says, and the usual way out."""

    name: str
    says: str
    hint: str


_TABLE = (
    RowRule(
        "id_missing",
        "the record has no identity",
        "ask for it at the source; without one it cannot be found again",
    ),
    RowRule(
        "each_not_a_list",
        "the field that `each` names holds no list and no object",
        "look at the record; map it without `each` if it is one value",
    ),
    RowRule(
        "empty_element",
        "the element of the list has no value in any field that the mapping reads",
        "look at the record: a field may have another name there; lists of plain values are read as `item`",
    ),
    RowRule(
        "orphan",
        "the look-up found no row for the id",
        "load the missing rows, set [datatrics.source_aliases], or `on_orphan: keep`",
    ),
    RowRule(
        "required_missing",
        "a required column has no value",
        "add another field to `from`, a `default`, or leave such rows out by `where`",
    ),
    RowRule(
        "not_computable",
        "the expression cannot be worked out: a division by zero, or a number too large",
        "guard it, as in CASE WHEN b <> 0 THEN a / b END, or set `on_invalid: omit`",
    ),
    RowRule(
        "key_missing",
        "a key column has no value",
        "take another key, or leave such rows out by `where`",
    ),
    RowRule(
        "unlisted_value",
        "the value is not listed under `values`",
        "add it to `values`, or set `unlisted: omit`",
    ),
    RowRule(
        "not_an_integer",
        "not a whole number in decimal digits",
        "use `type: float` or `text`, or `apply: [trim]`",
    ),
    RowRule(
        "not_a_number",
        "not a decimal number",
        "use `apply: [decimal_comma]` for 1.234,56, or `type: text`",
    ),
    RowRule(
        "out_of_int32", "outside -2147483648 … 2147483647, all the target takes", "use `type: text`"
    ),
    RowRule(
        "too_many_digits",
        "more digits than the target's floats keep",
        "set `digits: round`, or use `type: text`",
    ),
    RowRule("not_a_boolean", "neither true nor false", "list the spellings under `values`"),
    RowRule("not_a_datetime", "no time in a known spelling", "name the spelling with `format`"),
    RowRule("not_a_date", "no date in a known spelling", "name the spelling with `format`"),
    RowRule(
        "zero_date",
        "a zero date (0000-00-00), a database's way to say none",
        "set `on_invalid: omit`",
    ),
    RowRule("out_of_calendar", "outside the years 1 to 9999", "set `on_invalid: omit`"),
    RowRule("not_json", "not valid JSON", "use `type: text`"),
    RowRule(
        "unsendable_text",
        "holds a NUL or half a surrogate pair, which a database text cannot",
        "clean it at the source, or `on_invalid: omit`",
    ),
    RowRule("not_an_email", "no e-mail address", "set `on_invalid: omit`"),
    RowRule(
        "too_large",
        "the row alone is more than a request may hold",
        "`apply: [truncate: N]` on its longest column, or raise octolis.batch_bytes",
    ),
    RowRule(
        "not_a_phone_number",
        "no number that exists in the country's plan, or one with an extension or a word behind it",
        "name the country most numbers are of, as `phone: NL`, or set `on_invalid: omit`",
    ),
    RowRule(
        "not_a_country",
        "no country's name in a known language, nor its code in plain letters",
        "list the spelling under `values`, or set `on_invalid: omit`",
    ),
    RowRule(
        "not_an_amount",
        "no amount of money or number in any style",
        "set `on_invalid: omit`, or list the text under `values`",
    ),
    RowRule(
        "other_number_style",
        "written in another style than `amount` states, so the others of its field may be too",
        "look at the field's values and state their style; of several styles take `decimal_comma`, or ask the sender",
    ),
    RowRule(
        "ambiguous_phone_number",
        "two numbers at once: as of the country named, and with the country code it begins with",
        "ask the sender for numbers with +, or set `on_invalid: omit`",
    ),
    RowRule(
        "withdrawn_country",
        "a code or name that ISO has withdrawn: no country has it any more, and often no one country took its place",
        "list the successor under `values` before `country`, or set `on_invalid: omit`",
    ),
    RowRule(
        "ambiguous_number",
        "1,234 or 1.234: a decimal mark or one between thousands, which only the sender knows",
        "ask the sender; `decimal_comma: or_point` takes 1.234 as it stands, `values` lists single ones",
    ),
)

RULES = {rule.name: rule for rule in _TABLE}
OMITTED, NULLED = "omitted_", "nulled_"
"""Begin the name of a loss: a value that broke the rule behind it was left out, or null was sent."""
BROKEN = "invalid"
"""Stands for all rules in the name of such a loss but for a zero date, which says that there is none."""
_OF_A_ROW = frozenset(
    ("id_missing", "each_not_a_list", "empty_element", "orphan", "required_missing", "key_missing", "too_large")
)  # fmt: skip
_OF_A_VALUE = [rule for rule in _TABLE if rule.name not in {*_OF_A_ROW, "zero_date"}]


LOSSES = {
    "trimmed": "spaces at the ends removed",
    "collapsed_spaces": "runs of spaces made one",
    "lowercased": "letters made lower case",
    "uppercased": "letters made upper case",
    "stripped_html": "HTML made the text that its reader sees",
    "truncated": "text cut at its limit",
    "hashed": "replaced by its SHA-256",
    "encoding_fixed": "a wrong encoding repaired",
    "phone_formatted": "a phone number written as E.164",
    "country_coded": "a country's name made its ISO code",
    "comma_replaced": "a decimal comma made a point",
    "amount_read": "an amount written in its country's style made a plain number",
    "invisible_removed": "characters that show nothing removed",
    "zeros_dropped": "leading zeros of a whole number dropped",
    "rounded": "more digits than the target takes; rounded",
    "fraction_dropped": "fractions of a second dropped",
    "time_dropped": "the time of day dropped from a date",
    "zone_assumed": "a time without zone read in its source's zone",
    "dst_gap": "a local time the clock skipped, moved forward by the gap",
    "dst_fold": "a local time that came twice, the earlier one taken",
    "flattened": "a list or an object sent as its JSON text",
    "defaulted": "no value; the column's default taken",
    "omitted_invalid": "broke a rule; left out as `on_invalid: omit` says",
    "nulled_invalid": "broke a rule; null sent as `on_invalid: null` says",
    **{f"{OMITTED}{rule.name}": f"{rule.says}; left out" for rule in _OF_A_VALUE},
    **{f"{NULLED}{rule.name}": f"{rule.says}; null sent" for rule in _OF_A_VALUE},
    "omitted_zero_date": "a zero date (0000-00-00), which says that there is no date; left out",
    "nulled_zero_date": "a zero date (0000-00-00), which says that there is no date; null sent",
    "unlisted": "not listed under `values`; kept or left out as `unlisted` says",
    "single_element": "records whose list is one object: taken as its only element",
    "unwrapped_list": "records whose list is inside an object: taken out",
    "unranked": "no time in a known spelling; ranked behind all records that have one",
    "consent_unlisted": "an answer that is listed neither as a yes nor as a no: no consent, left out",
    "consent_withheld": "consent not given because its fields disagree, say no known yes or hold nothing",
}

_BROKEN_NAMES = (BROKEN, *(rule.name for rule in _OF_A_VALUE))
BROKEN_VALUES = frozenset(map("".join, product((OMITTED, NULLED), _BROKEN_NAMES)))
"""Losses by which a value that broke a rule is left out or nulled: each rule has its own, and one stands for all."""

_OTHER_EMAIL = "its domain or a sign in it is wrong"
# In this order: the first that fits is said, and the later ones take the earlier for granted.
_EMAIL_REASONS: tuple[tuple[Callable[[str], bool], str], ...] = (
    (lambda text: "@" not in text, "there is no @"),
    (lambda text: text.count("@") > 1, "there is more than one @"),
    (lambda text: any(char.isspace() for char in text), "there is a space in it"),
    # RFC 5321 §4.5.3.1: 64 before the @, and 256 with the two brackets around an address.
    (lambda text: len(text) > 254 or len(text.partition("@")[0]) > 64, "it is too long"),
    (lambda text: text.startswith("@"), "nothing stands before the @"),
    (
        lambda text: text.startswith(".") or ".." in text or ".@" in text,
        "a dot stands where none may",
    ),
    (lambda text: "." not in text.partition("@")[2], "there is no dot behind the @"),
)

REASONS = (*(words for _is_so, words in _EMAIL_REASONS), _OTHER_EMAIL)
"""All that `reason_of` can say."""


def explain(rule: str, value: str | None) -> str:
    """What a broken rule says, and where more can be told of this value, why."""
    known = RULES.get(rule)
    says = known.says if known else rule
    reason = reason_of(rule, value)
    return f"{says}: {reason}" if reason else says


def reason_of(rule: str, value: str | None) -> str | None:
    """Why a value breaks a rule, where more can be told than the rule says."""
    if rule != "not_an_email" or not value:
        return None
    return next((words for is_so, words in _EMAIL_REASONS if is_so(value)), _OTHER_EMAIL)
