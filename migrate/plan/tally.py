"""What is counted while a dataset is mapped. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Tally:
    """What was counted while a dataset was mapped. Units: rows; `empty_each` records without an element.

    `outside`: filtered and rejected records that the plan is not of: of a delta's base, or outside of its scope.
    """

    read: int
    filtered: int
    empty_each: int
    orphans: dict[str, int]
    losses: dict[str, dict[str, int]]
    rejected_by_rule: dict[str, int]
    outside: int = 0


def add_tallies(tallies: Sequence[Tally]) -> Tally:
    """What was counted of several files together, names in order."""
    losses: dict[str, Counter[str]] = {}
    for tally in tallies:
        for column, counts in tally.losses.items():
            losses.setdefault(column, Counter()).update(counts)
    return Tally(
        read=sum(tally.read for tally in tallies),
        filtered=sum(tally.filtered for tally in tallies),
        empty_each=sum(tally.empty_each for tally in tallies),
        orphans=_added(tally.orphans for tally in tallies),
        losses={column: _sorted(counts) for column, counts in sorted(losses.items())},
        rejected_by_rule=_added(tally.rejected_by_rule for tally in tallies),
        outside=sum(tally.outside for tally in tallies),
    )


def count_values(values: pl.Series) -> dict[str, int]:
    """How often each value stands in a column of texts, sorted by value."""
    counted = values.rename("value").value_counts()
    return {str(value): int(count) for value, count in sorted(counted.iter_rows())}


def _added(counts: Iterable[Dict[str, int]]) -> dict[str, int]:
    total = Counter[str]()
    for one in counts:
        total.update(one)
    return _sorted(total)


def _sorted(counts: Dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))
