"""How many different values a column has: counted, or where they are very many estimated with a known error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt

import polars as pl

KEPT_IN_ALL = 1 << 25
"""Hashes kept of all columns together, 8 bytes each: 256 MB at most."""
_FEWEST_KEPT, _MOST_KEPT = 1 << 14, 1 << 20
_HASHES = 1 << 64
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
