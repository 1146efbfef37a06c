"""What the fields of a resource hold, counted over all its records; and the type and settings guessed of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import product

import polars as pl

from migrate.language.answers import answer_of
from migrate.language.number_style import EVIDENCE, advise_style
from migrate.mapping.known_fields import (
    ABOUT_CONSENT,
    BIRTHDAY,
    CODE,
    MAGENTO_STATES,
    SYNC_STATES,
    TIME_NAME,
    gives_consent,
    is_status,
    may_refuse,
)
from migrate.mapping.spellings import ZERO

MAX_LISTED = 12
# What half of the records lack, or a tenth share with another one, is nobody's key.
_CANDIDATE_SHARE = 0.5
_DISTINCT_SHARE = 0.9
_TIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?$"
_CLOCK = "( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?"
# days before or behind months with a year of four digits, by the sign between and what stands behind: `%d-%m-%Y %H:%M`
_CLOCK_SHAPES = (
    ("", ""),
    (" %H:%M", " [0-9]{1,2}:[0-9]{2}"),
    (" %H:%M:%S", " [0-9]{1,2}:[0-9]{2}:[0-9]{2}"),
)
DAY_ORDERS = {
    f"%d{sign}%m{sign}%Y{clock}": f"^[0-9]{{1,2}}[{sign}][0-9]{{1,2}}[{sign}][0-9]{{4}}{shape}$"
    for sign, (clock, shape) in product("-/.", _CLOCK_SHAPES)
}
_KINDS: dict[str, str] = {
    "integer": r"^-?[0-9]+$",
    "padded": r"^-?0[0-9]+$",
    "boolean": r"^(true|false)$",
    "flag": r"^[01]$",
    "time": _TIME,
    "zoned": r"[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)$",
    "day": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "midnight": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T]00:00:00(\.0+)?(Z|[+-]00:?00)?$",
    "zero_date": ZERO,
    "epoch_s": "^[1-9][0-9]{8,9}$",
    "epoch_ms": "^1[0-9]{12}$",
    "first_over_12": f"^(1[3-9]|2[0-9]|3[01])[-/.][0-9]{{1,2}}[-/.][0-9]{{4}}{_CLOCK}$",
    "second_over_12": f"^[0-9]{{1,2}}[-/.](1[3-9]|2[0-9]|3[01])[-/.][0-9]{{4}}{_CLOCK}$",
    **DAY_ORDERS,
    **EVIDENCE,
    "list": r"^\[",
    "object": r"^\{",
    "spaced": r"^\s|\s$",
    "html": r"</?[A-Za-z][^<>]*>",
    "email": r"^\s*[^@\s]+@[^@\s]+\.[^@\s.]+\s*$",
}


@dataclass
class Field:
    """One field over all records.

    **Units.** Records; `kinds` says how many values are written like each kind. `texts` are the different values while
    they are few, else None. `distinct` is known of fields that could tell records apart.
    """

    name: str
    rows: int = 0
    filled: int = 0
    empty: int = 0
    beyond_int32: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    texts: set[str] | None = field(default_factory=set)
    distinct: int | None = None

    @property
    def share(self) -> float:
        """The share of records with a value."""
        return self.filled / self.rows if self.rows else 0.0

    def all_are(self, *kinds: str) -> bool:
        """Whether every value is of one of these kinds, which exclude each other."""
        return self.filled > 0 and sum(self.kinds[kind] for kind in kinds) == self.filled


@dataclass(frozen=True)
class FieldSurvey:
    """A resource's records: how many, of which sources, and their fields; `same_identity` have another one's."""

    rows: int
    sources: dict[str, int]
    without_id: int
    same_identity: int
    fields: dict[str, Field]


def survey_records(frames: Iterable[pl.DataFrame], names: Collection[str]) -> FieldSurvey:
    """The fields `names` counted over snapshot rows.

    **Shape.** Frames as a snapshot has them. Memory: hashes of identities and of fields that could be keys.
    """
    fields = {name: Field(name) for name in names}
    sources: Counter[str] = Counter()
    rows = without_id = 0
    identities = [pl.Series("hash", [], dtype=pl.UInt64)]
    candidates: dict[str, list[pl.Series]] | None = None
    for frame in frames:
        rows += frame.height
        for source, count in frame["_source"].value_counts().iter_rows():
            sources[str(source or "")] += count
        identified = frame.filter(pl.col("_id") != "")
        without_id += frame.height - identified.height
        identity = pl.struct("_source", "_id").hash().alias("hash")
        identities.append(identified.select(identity).to_series())
        for name, field_counts in fields.items():
            _count(field_counts, frame[name])
        if candidates is None:
            # Told from the first frame: to keep hashes of every field would take the memory of the records.
            likely = [name for name, one in fields.items() if _could_be_key(one, frame[name])]
            candidates = {name: [] for name in likely}
        for name, hashes in candidates.items():
            hashes.append(frame.filter(pl.col(name) != "")[name].hash())
    for name, hashes in (candidates or {}).items():
        fields[name].distinct = pl.concat(hashes).n_unique()
    known = pl.concat(identities)
    same_identity = len(known) - known.n_unique()
    return FieldSurvey(rows, dict(sorted(sources.items())), without_id, same_identity, fields)


def _could_be_key(counts: Field, values: pl.Series) -> bool:
    if any(counts.kinds[kind] for kind in ("list", "object", "time", "day")):
        return False
    tells_apart = values.n_unique() >= _DISTINCT_SHARE * counts.filled > 0
    return counts.share >= _CANDIDATE_SHARE and tells_apart


def _count(counts: Field, values: pl.Series) -> None:
    text = pl.col("text")
    frame = values.cast(pl.String).rename("text").to_frame()
    # In 128 bits: an id of twenty digits is beyond 64, and would be counted as no number at all.
    number = text.cast(pl.Int128, strict=False)
    is_beyond = (number > 2**31 - 1) | (number < -(2**31))
    # All in one pass over the column: a record's field is looked at once, by every pattern.
    sums = {kind: text.str.contains(pattern).sum() for kind, pattern in _KINDS.items()}
    by_kind = frame.select(**sums).row(0, named=True)
    empty, said, beyond = frame.select(
        (text == "").sum(),
        text.is_not_null().sum().alias("said"),
        is_beyond.sum().alias("beyond"),
    ).row(0)
    counts.rows += len(values)
    counts.empty += empty or 0
    counts.filled += (said or 0) - (empty or 0)
    counts.beyond_int32 += beyond or 0
    counts.kinds.update({kind: count or 0 for kind, count in by_kind.items()})
    if counts.texts is not None:
        # Two more than are listed: one may be the empty text, and one shows that there are too many.
        different = frame["text"].drop_nulls().unique().head(MAX_LISTED + 2)
        texts = counts.texts | set(different) - {""}
        counts.texts = texts if len(texts) <= MAX_LISTED else None


_MOSTLY = 0.95
Guess = tuple[str, str]
"""The settings of a column as YAML, and why."""
_REJECTED_REST = " are something else and are rejected, unless `on_invalid` says otherwise"
_DECIDE = (
    "; speaks of a consent or a refusal, and is not known to give one: "
    "decide what it says before it becomes a boolean"
)


def guess_settings(field_: Field) -> Guess:
    """The settings of a field's column, and why.

    The order decides: a consent is never guessed to be anything else, and a code is no number.
    """
    reason = f"{min(field_.share, 1):.0%} filled"
    if gives_consent(field_.name):
        consent = _guess_consent(field_, reason)
        if consent:
            return consent
    speaks_of_consent = may_refuse(field_.name) or ABOUT_CONSENT.search(field_.name)
    if speaks_of_consent and _is_flag(field_):
        return "type: text", f"{reason}{_DECIDE}"
    if field_.all_are("list", "object"):
        nested = "lists or objects, for which the target has no type: their JSON"
        return "type: json", f"{reason}; {nested}"
    if _mostly(field_, "time", "day"):
        return _guess_time(field_, reason + _rest(field_, "time", "day"))
    other_time = _guess_other_time(field_, reason)
    if other_time:
        return other_time
    if not CODE.search(field_.name):
        number = _guess_number(field_, reason)
        if number:
            return number
    if field_.all_are("boolean"):
        return "type: boolean", reason
    return _guess_text(field_, reason)


def _is_flag(field_: Field) -> bool:
    """Whether all values are yes or no in some spelling, so that a boolean would be near."""
    texts = field_.texts or set()
    are_answers = bool(texts) and all(answer_of(text) for text in texts)
    return field_.all_are("boolean") or are_answers


def _guess_consent(field_: Field, reason: str) -> Guess | None:
    """A consent where the name gives one and the values are answers; None leaves the field to its values."""
    if not field_.texts:
        return None
    words = {text.strip().lower() for text in field_.texts}
    if is_status(field_.name) and words <= MAGENTO_STATES and words - {"1"}:
        steps = "apply: [trim], values: $magento_status, unlisted: omit"
        why = "Magento's states of a subscription: only 1 is a consent"
        return f"type: boolean, consent: true, {steps}", f"{reason}; {why}"
    answers = {word for word in words if answer_of(word)}
    if not answers:
        return None
    others = len(words - answers)
    if others:
        unknown = f"; {others} other answers are no consent"
    else:
        unknown = ""
    steps = "apply: [trim, lowercase], values: $consent_words, unlisted: omit"
    why = f"gives a consent: only a listed yes is one{unknown}"
    return f"type: boolean, consent: true, {steps}", f"{reason}; {why}"


def _guess_time(field_: Field, reason: str) -> Guess:
    kinds = field_.kinds
    zero = kinds["zero_date"]
    invalid = ""
    if zero:
        invalid = ", on_invalid: omit"
        reason += f"; {zero:,} zero dates (0000-00-00) are left out"
    # Zero dates are midnights, too, so they are no times of a day either.
    timed = kinds["time"] - kinds["midnight"]
    if BIRTHDAY.search(field_.name):
        reason += "; a birthday, never moved by a zone"
        if timed:
            reason += (
                f"; {timed:,} have a time of day, which is dropped: look whether a zone moved them"
            )
        return f"type: date{invalid}", reason
    if timed == 0:
        if not field_.all_are("day"):
            reason += "; every time is midnight: a day"
        return f"type: date{invalid}", reason
    naive = kinds["time"] - kinds["zoned"]
    if naive:
        reason += f"; {naive:,} without a zone, read in their source's"
    return f"type: datetime{invalid}", reason


def _guess_other_time(field_: Field, reason: str) -> Guess | None:
    """A time in days before months, or an epoch under a name of times."""
    kinds = field_.kinds
    zero = kinds["zero_date"]
    nearly_all = _MOSTLY * field_.filled
    for spelling in DAY_ORDERS:
        if kinds[spelling] and kinds[spelling] + zero >= nearly_all:
            left_out = f"; {zero:,} zero dates are left out" if zero else ""
            return _guess_order(field_, spelling, reason + left_out)
    for spelling in ("epoch_s", "epoch_ms"):
        # Any ten digits could be seconds: only a name that speaks of time makes them one.
        is_time = TIME_NAME.search(field_.name)
        if is_time and kinds[spelling] and kinds[spelling] >= nearly_all:
            settings = f"type: datetime, format: {spelling}, on_invalid: omit"
            return settings, f"{reason}; seconds or milliseconds since 1970"
    return None


def _guess_order(field_: Field, spelling: str, reason: str) -> Guess:
    """Day before month, or the other way where the values show it."""
    kinds = field_.kinds
    first, second = kinds["first_over_12"], kinds["second_over_12"]
    if first and second:
        changes = f"days and months change places ({first:,} and {second:,} values): decide"
        return "type: text", f"{reason}; {changes}"
    if second:
        spelling = spelling.replace("%d", "%M_").replace("%m", "%d").replace("%M_", "%m")
    if first or second:
        shown = f"{max(first, second):,} values show the order"
    else:
        shown = "no value shows whether day or month comes first"
    has_time = "%H" in spelling and not BIRTHDAY.search(field_.name)
    kind = "datetime" if has_time else "date"
    invalid = ", on_invalid: omit" if kinds["zero_date"] else ""
    return f"type: {kind}, format: '{spelling}'{invalid}", f"{reason}; {shown}"


def _guess_number(field_: Field, reason: str) -> Guess | None:
    kinds = field_.kinds
    if field_.all_are("integer"):
        if kinds["padded"]:
            why = f"{kinds['padded']:,} with leading zeros: a code, no number"
            return "type: text", f"{reason}; {why}"
        if field_.beyond_int32:
            why = f"{field_.beyond_int32:,} beyond int32, all that the target's numbers hold"
            return "type: text", f"{reason}; {why}"
        if field_.all_are("flag"):
            reason += "; only 0 and 1: a boolean, if it is a flag"
        return "type: integer", reason
    advice = advise_style(kinds, field_.filled)
    if advice is None:
        return None
    rest = field_.filled - max(kinds["numeric"], kinds["plain_number"])
    if rest > 0:
        reason += f"; {rest:,}{_REJECTED_REST}"
    if advice.reason:
        reason += f"; {advice.reason}"
    if advice.unsure:
        decide = "decide, `amount: nl` reads 1.299 as 1299, `amount: en` 1,299"
        return "type: text", f"{reason}: {decide}"
    if advice.call:
        return f"type: float, apply: [trim, {advice.call}]", reason
    return "type: float", reason


def _mostly(field_: Field, *kinds: str) -> bool:
    """Whether nearly all values are of these kinds: a few broken ones do not make amounts a text."""
    count = sum(field_.kinds[kind] for kind in kinds)
    return field_.filled > 0 and count >= _MOSTLY * field_.filled


def _rest(field_: Field, *kinds: str) -> str:
    rest = field_.filled - sum(field_.kinds[kind] for kind in kinds)
    return f"; {rest:,}{_REJECTED_REST}" if rest else ""


def _guess_text(field_: Field, reason: str) -> Guess:
    kinds = field_.kinds
    if ABOUT_CONSENT.search(field_.name):
        reason += _DECIDE
    if CODE.search(field_.name) and kinds["plain_number"]:
        reason += "; a code, text though it looks like a number"
    if field_.texts and field_.texts & SYNC_STATES:
        plug_in = "how far a plug-in's synchronisation is, which says nothing about the record"
        reason += f"; some are {plug_in}"
    nested = kinds["list"] + kinds["object"]
    if nested:
        reason += f"; {nested:,} look like a list or an object, sent as their JSON"
    if kinds["html"]:
        reason += f"; {kinds['html']:,} with HTML: `apply: [strip_html]` takes it out"
    if kinds["email"] >= 0.9 * field_.filled:
        why = "e-mail addresses, which keys compare as given"
        return "type: text, apply: [trim, lowercase]", f"{reason}; {why}"
    if kinds["spaced"]:
        return "type: text, apply: [trim]", f"{reason}; spaces at the ends"
    return "type: text", reason
