"""What the fields of a resource hold: counted over all its records, for a mapping to be proposed from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from itertools import product

import polars as pl

from migrate.language.number_style import EVIDENCE
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
