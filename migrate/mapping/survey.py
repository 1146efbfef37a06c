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
    candidates: dict[str, list[pl.Series]] = {}
    for number, frame in enumerate(frames):
        rows += frame.height
        for source, count in frame["_source"].value_counts().iter_rows():
            sources[str(source or "")] += count
        without_id += int((frame["_id"].fill_null("") == "").sum())
        identified = frame.filter(pl.col("_id") != "")
        identities.append(identified.select(pl.struct("_source", "_id").hash()).to_series())
        for name, counted in fields.items():
            _count(counted, frame[name])
        if number == 0:
            # Told from the first frame: to keep hashes of every field would take the memory of the records.
            candidates = {
                name: [] for name, counted in fields.items() if _could_be_key(counted, frame[name])
            }
        for name, hashes in candidates.items():
            hashes.append(frame.filter(pl.col(name) != "")[name].hash())
    for name, hashes in candidates.items():
        fields[name].distinct = pl.concat(hashes).n_unique()
    known = pl.concat([hashes.rename("hash") for hashes in identities])
    same_identity = len(known) - known.n_unique()
    return FieldSurvey(rows, dict(sorted(sources.items())), without_id, same_identity, fields)


def _could_be_key(found: Field, values: pl.Series) -> bool:
    if any(found.kinds[kind] for kind in ("list", "object", "time", "day")):
        return False
    return (
        found.share >= _CANDIDATE_SHARE and values.n_unique() >= _DISTINCT_SHARE * found.filled > 0
    )


def _count(found: Field, values: pl.Series) -> None:
    text = pl.col("t")
    frame = values.cast(pl.String).rename("t").to_frame()
    number = text.cast(pl.Int128, strict=False)
    counts = frame.select(
        (text == "").sum().alias("empty"),
        text.is_not_null().sum().alias("said"),
        ((number > 2**31 - 1) | (number < -(2**31))).sum().alias("beyond"),
        *(text.str.contains(pattern).sum().alias(f"k:{kind}") for kind, pattern in _KINDS.items()),
    ).row(0, named=True)
    found.rows += len(values)
    found.empty += counts["empty"] or 0
    found.filled += (counts["said"] or 0) - (counts["empty"] or 0)
    found.beyond_int32 += counts["beyond"] or 0
    found.kinds.update({kind: counts[f"k:{kind}"] or 0 for kind in _KINDS})
    if found.texts is not None:
        # Two more than are listed: one may be the empty text, and one shows that there are too many.
        different = frame["t"].drop_nulls().unique().head(MAX_LISTED + 2)
        texts = found.texts | set(different) - {""}
        found.texts = texts if len(texts) <= MAX_LISTED else None


_MOSTLY = 0.95
_DECIDE = (
    "; speaks of a consent or a refusal, and is not known to give one: "
    "decide what it says before it becomes a boolean"
)


def guess_settings(found: Field) -> tuple[str, str]:
    """The settings of a field's column, and why."""
    said = f"{min(found.share, 1):.0%} filled"
    if gives_consent(found.name):
        consent = _decide_consent(found, said)
        if consent:
            return consent
    if _is_flag(found) and (may_refuse(found.name) or ABOUT_CONSENT.search(found.name)):
        return "type: text", f"{said}{_DECIDE}"
    if found.all_are("list", "object"):
        return (
            "type: json",
            f"{said}; lists or objects, for which the target has no type: their JSON",
        )
    if _mostly(found, "time", "day"):
        return _decide_time(found, said + _rest(found, "time", "day"))
    other_time = _decide_other_time(found, said)
    if other_time:
        return other_time
    if not CODE.search(found.name):
        number = _decide_number(found, said)
        if number:
            return number
    if found.all_are("boolean"):
        return "type: boolean", said
    return _decide_text(found, said)


def _is_flag(found: Field) -> bool:
    """Whether all values are yes or no in some spelling, so that a boolean would be near."""
    texts = found.texts or set()
    is_answer = bool(texts) and all(answer_of(text) for text in texts)
    return found.all_are("boolean") or is_answer


def _decide_consent(found: Field, said: str) -> tuple[str, str] | None:
    """A consent where the name gives one and the values are answers; None leaves the field to its values."""
    if not found.texts:
        return None
    words = {text.strip().lower() for text in found.texts}
    if is_status(found.name) and words <= MAGENTO_STATES and words - {"1"}:
        settings = (
            "type: boolean, consent: true, apply: [trim], values: $magento_status, unlisted: omit"
        )
        return settings, f"{said}; Magento's states of a subscription: only 1 is a consent"
    known = {word for word in words if answer_of(word)}
    if not known:
        return None
    others = len(words - known)
    unknown = f"; {others} other answers are no consent" if others else ""
    settings = "type: boolean, consent: true, apply: [trim, lowercase], values: $consent_words, unlisted: omit"
    return settings, f"{said}; gives a consent: only a listed yes is one{unknown}"


def _decide_time(found: Field, said: str) -> tuple[str, str]:
    zero = found.kinds["zero_date"]
    invalid = ", on_invalid: omit" if zero else ""
    said += f"; {zero:,} zero dates (0000-00-00) are left out" if zero else ""
    # zero dates are midnights, too
    timed = found.kinds["time"] - found.kinds["midnight"]
    if BIRTHDAY.search(found.name):
        odd = f"; {timed:,} have a time of day, which is dropped: look whether a zone moved them"
        return (
            f"type: date{invalid}",
            f"{said}; a birthday, never moved by a zone{odd if timed else ''}",
        )
    if timed == 0:
        if found.all_are("day"):
            reason = ""
        else:
            reason = "; every time is midnight: a day"
        return f"type: date{invalid}", said + reason
    naive = found.kinds["time"] - found.kinds["zoned"]
    if naive:
        zone = f"; {naive:,} without a zone, read in their source's"
    else:
        zone = ""
    return f"type: datetime{invalid}", said + zone


def _decide_other_time(found: Field, said: str) -> tuple[str, str] | None:
    """A time in days before months, or an epoch under a name of times."""
    kinds, zero = found.kinds, found.kinds["zero_date"]
    invalid = ", on_invalid: omit" if zero else ""
    left = f"; {zero:,} zero dates are left out" if zero else ""
    for spelling in DAY_ORDERS:
        if kinds[spelling] and kinds[spelling] + zero >= _MOSTLY * found.filled:
            return _decide_order(found, spelling, said + left, invalid)
    for spelling in ("epoch_s", "epoch_ms"):
        if (
            TIME_NAME.search(found.name)
            and kinds[spelling]
            and kinds[spelling] >= _MOSTLY * found.filled
        ):
            return (
                f"type: datetime, format: {spelling}, on_invalid: omit",
                f"{said}; seconds or milliseconds since 1970",
            )
    return None


def _decide_order(found: Field, spelling: str, said: str, invalid: str) -> tuple[str, str]:
    """Day before month, or the other way where the values show it."""
    first, second = found.kinds["first_over_12"], found.kinds["second_over_12"]
    if first and second:
        return (
            "type: text",
            f"{said}; days and months change places ({first:,} and {second:,} values): decide",
        )
    if second:
        spelling = spelling.replace("%d", "%M_").replace("%m", "%d").replace("%M_", "%m")
    if first or second:
        shown = f"{max(first, second):,} values show the order"
    else:
        shown = "no value shows whether day or month comes first"
    if "%H" in spelling and not BIRTHDAY.search(found.name):
        kind = "datetime"
    else:
        kind = "date"
    return f"type: {kind}, format: '{spelling}'{invalid}", f"{said}; {shown}"


def _decide_number(found: Field, said: str) -> tuple[str, str] | None:
    kinds = found.kinds
    if found.all_are("integer") and not kinds["padded"]:
        if found.beyond_int32:
            return (
                "type: text",
                f"{said}; {found.beyond_int32:,} beyond int32, all that the target's numbers hold",
            )
        if found.all_are("flag"):
            flag = "; only 0 and 1: a boolean, if it is a flag"
        else:
            flag = ""
        return "type: integer", said + flag
    if kinds["padded"] and found.all_are("integer"):
        return "type: text", f"{said}; {kinds['padded']:,} with leading zeros: a code, no number"
    advice = advise_style(kinds, found.filled)
    if advice is None:
        return None
    rest = found.filled - max(kinds["numeric"], kinds["plain_number"])
    said += (
        f"; {rest:,} are something else and are rejected, unless `on_invalid` says otherwise"
        if rest > 0
        else ""
    )
    said += f"; {advice.reason}" if advice.reason else ""
    if advice.unsure:
        return "type: text", f"{said}: decide, `amount: nl` reads 1.299 as 1299, `amount: en` 1,299"
    return f"type: float, apply: [trim, {advice.call}]" if advice.call else "type: float", said


def _mostly(found: Field, *kinds: str) -> bool:
    """Whether nearly all values are of these kinds: a few broken ones do not make amounts a text."""
    return found.filled > 0 and sum(found.kinds[kind] for kind in kinds) >= _MOSTLY * found.filled


def _rest(found: Field, *kinds: str) -> str:
    rest = found.filled - sum(found.kinds[kind] for kind in kinds)
    if rest:
        return f"; {rest:,} are something else and are rejected, unless `on_invalid` says otherwise"
    return ""


def _decide_text(found: Field, said: str) -> tuple[str, str]:
    kinds = found.kinds
    if ABOUT_CONSENT.search(found.name):
        said += _DECIDE
    if CODE.search(found.name) and kinds["plain_number"]:
        said += "; a code, text though it looks like a number"
    if found.texts and found.texts & SYNC_STATES:
        said += (
            "; some are how far a plug-in's synchronisation is, which says nothing about the record"
        )
    if kinds["list"] or kinds["object"]:
        said += f"; {kinds['list'] + kinds['object']:,} look like a list or an object, sent as their JSON"
    if kinds["html"]:
        said += f"; {kinds['html']:,} with HTML: `apply: [strip_html]` takes it out"
    if kinds["email"] >= 0.9 * found.filled:
        return (
            "type: text, apply: [trim, lowercase]",
            f"{said}; e-mail addresses, which keys compare as given",
        )
    if kinds["spaced"]:
        return ("type: text, apply: [trim]", f"{said}; spaces at the ends")
    return ("type: text", said)
