"""What is measured of a field: how many different values it has, and the least and the most of them.

Different values are counted, or where they are very many estimated with a known error. Least and most are in the order
of numbers or times, exact, as written. Both in bounded memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from math import sqrt
from typing import Literal

import polars as pl

KEPT_IN_ALL = 1 << 25
"""Hashes kept of all columns together, 8 bytes each: 256 MB at most."""
# Errors of at most 2.3 % with many columns, 0.3 % with few, in 997 cases of 1,000.
_FEWEST_KEPT, _MOST_KEPT = 1 << 14, 1 << 20
_HASHES = 1 << 64
# The estimate errs by 1/sqrt(kept) as a standard error, whatever the values are.
_SURE = 3
"""Standard errors: the estimate is within so many of them in 997 cases of 1,000."""


@dataclass(frozen=True)
class DistinctCount:
    """A number of different values, and the share of it that it may be wrong by: 0 where they were counted."""

    values: int
    within: float = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether they were counted."""
        return not self.within


@dataclass
class DistinctValues:
    """The `kept` smallest hashes of the values seen.

    While that is all of them, they are counted. Beyond, how densely they lie says how many there are: hashes are spread
    evenly. **Source**: Bar-Yossef et al., Counting distinct elements in a data stream (2002), k minimum values.
    """

    kept: int
    _hashes: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt64))
    _is_cut: bool = False

    def add(self, values: pl.Series) -> None:
        """Takes in values; null and '' are none."""
        filled = values.filter(values.is_not_null() & (values != ""))
        together = pl.concat([self._hashes, filled.hash(seed=0)]).unique().sort()
        self._is_cut = self._is_cut or len(together) > self.kept
        self._hashes = together.head(self.kept)

    def count(self) -> DistinctCount:
        """How many different ones there were."""
        if not self._is_cut:
            return DistinctCount(len(self._hashes))
        share_kept = (int(self._hashes[-1]) + 1) / _HASHES
        return DistinctCount(round((self.kept - 1) / share_kept), _SURE / sqrt(self.kept))


def count_distinct(frames: Iterable[pl.DataFrame], columns: int) -> Mapping[str, DistinctCount]:
    """The different values of each of the `columns` of some frames."""
    kept = min(max(KEPT_IN_ALL // max(columns, 1), _FEWEST_KEPT), _MOST_KEPT)
    seen: dict[str, DistinctValues] = {}
    for frame in frames:
        for column in frame.get_columns():
            seen.setdefault(column.name, DistinctValues(kept)).add(column)
    return {name: values.count() for name, values in seen.items()}


NUMBER = r"^-?\d+(\.\d+)?([eE][+-]?\d+)?$"
MOMENT = (
    r"^(?<date>\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))"
    r"(?:[T ](?<hour>[01]\d|2[0-4]):(?<minute>[0-5]\d)(?::(?<second>[0-5]\d|60)(?:[.,](?<fraction>\d+))?)?)?"
    r" ?(?<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?)?$"
)
"""A day of any year of four digits, with or without a time and a zone."""
_MICROSECONDS = 1_000_000
_MICROSECONDS_A_DAY = 86_400 * _MICROSECONDS

Kind = Literal["numbers", "times"]
Order = int | Decimal


@dataclass(frozen=True)
class FieldRange:
    """The least and the most of `values` values of a field; the others are of another kind.

    `zones_mixed`: some of the times name a zone and some do not, so that the order may be wrong by as much as zones are
    apart, 14 hours.
    """

    of: Kind
    values: int
    least: str
    most: str
    zones_mixed: bool = False


@dataclass
class _Ends:
    """The ends of one kind of value that were seen so far, each with what it is ordered by.

    `bare`: of the numbers, those that are no texts.
    """

    values: int = 0
    zoned: int = 0
    bare: int = 0
    least: tuple[Order, str] | None = None
    most: tuple[Order, str] | None = None

    def widen(self, ends: Sequence[tuple[Order, str]], values: int, zoned: int = 0) -> None:
        """Takes in `values` more of them, whose least and most are among `ends`."""
        self.values += values
        self.zoned += zoned
        self.least = min([self.least, *ends] if self.least else ends, key=_shortest_first)
        self.most = max([self.most, *ends] if self.most else ends, key=_shortest_last)


@dataclass
class Extremes:
    """The ranges of all fields of a resource, built up chunk by chunk."""

    _numbers: dict[str, _Ends] = field(default_factory=dict)
    _times: dict[str, _Ends] = field(default_factory=dict)

    def add(self, found: pl.DataFrame) -> None:
        """Takes in a chunk: one row per value, with its `field`, its `literal` and its `value` as text."""
        for name, values, bare, texts in _number_ends(found).iter_rows():
            ends = [(_number(text), text) for text in texts]
            seen = self._numbers.setdefault(name, _Ends())
            seen.widen(ends, values)
            seen.bare += bare
        for name, values, zoned, first, least, last, most in _time_ends(found).iter_rows():
            ends = [(first, least), (last, most)]
            self._times.setdefault(name, _Ends()).widen(ends, values, zoned)

    def of(self, name: str, filled: int) -> FieldRange | None:
        """The range of a field with `filled` values, of the kind that more of them have; None where it has neither.

        A few digits among texts, as some ids are, make no range of numbers.
        """
        numbers, times = self._numbers.get(name, _Ends()), self._times.get(name, _Ends())
        kind: Kind = "numbers" if numbers.values >= times.values else "times"
        ends = numbers if kind == "numbers" else times
        if ends.least is None or ends.most is None:
            return None
        if kind == "numbers" and not ends.bare and 2 * ends.values < filled:
            return None
        zones_mixed = 0 < ends.zoned < ends.values
        return FieldRange(kind, ends.values, ends.least[1], ends.most[1], zones_mixed)


def _number_ends(values: pl.DataFrame) -> pl.DataFrame:
    """Per field: how many numbers, how many of them are no texts, and what may be the least or the most of them.

    A binary float tells far apart from near; which one of those that share the outermost float lies further out, their
    digits say.
    """
    near = pl.col("near")
    outermost = (near == near.min()) | (near == near.max())
    is_text = pl.col("literal").str.starts_with('"')
    # 7e200040 as a text is the id of something.
    has_exponent = pl.col("value").str.contains("[eE]")
    return (
        values.lazy()
        .filter(pl.col("value").str.contains(NUMBER) & ~(is_text & has_exponent))
        .with_columns(pl.col("value").cast(pl.Float64, strict=False).alias("near"))
        .group_by("field")
        .agg(
            pl.len(),
            is_text.not_().sum().alias("bare"),
            pl.col("value").filter(outermost).unique().alias("ends"),
        )
        .collect()
    )


def _time_ends(values: pl.DataFrame) -> pl.DataFrame:
    """Per field: how many times, how many with a zone, and the first and the last, each as moment and text."""
    value, moment = pl.col("value"), pl.col("moment")
    return (
        values.lazy()
        .filter(value.str.contains(MOMENT))
        .with_columns(value.str.extract_groups(MOMENT).alias("part"))
        .unnest("part")
        .with_columns(_moment().alias("moment"))
        .filter(moment.is_not_null())
        .group_by("field")
        .agg(
            pl.len(),
            pl.col("zone").is_not_null().sum().alias("zoned"),
            moment.min().alias("first"),
            value.filter(moment == moment.min()).min().alias("least"),
            moment.max().alias("last"),
            value.filter(moment == moment.max()).max().alias("most"),
        )
        .collect()
    )


def _moment() -> pl.Expr:
    """Microseconds since 1970 in UTC, or by the clock where no zone is named; null for a day that no month has."""

    def whole(part: pl.Expr) -> pl.Expr:
        return part.cast(pl.Int64, strict=False).fill_null(0)

    days = pl.col("date").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int64)
    seconds = (whole(pl.col("hour")) * 60 + whole(pl.col("minute"))) * 60 + whole(pl.col("second"))
    # The order is one of microseconds: further digits do not count.
    fraction = whole(pl.col("fraction").str.slice(0, 6).str.pad_end(6, "0"))
    digits = pl.col("zone").str.replace_all(r"\D", "").str.pad_end(4, "0")
    ahead = (whole(digits.str.slice(0, 2)) * 60 + whole(digits.str.slice(2, 2))) * 60
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    clock = days * _MICROSECONDS_A_DAY + seconds * _MICROSECONDS + fraction
    return clock - sign * ahead * _MICROSECONDS


def _number(text: str) -> Decimal:
    """A number's value; one whose exponent no computer counts with is as far out, or as near to zero, as any."""
    try:
        return Decimal(text)
    except InvalidOperation:
        is_tiny = re.search(r"[eE]-", text) is not None
        if is_tiny:
            return Decimal(0)
        return Decimal("-Infinity" if text[0] == "-" else "Infinity")


def _shortest_first(end: tuple[Order, str]) -> tuple[Order, int, str]:
    return end[0], len(end[1]), end[1]


def _shortest_last(end: tuple[Order, str]) -> tuple[Order, int, str]:
    return end[0], -len(end[1]), end[1]
