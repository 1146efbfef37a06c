"""What becomes of a record: a row, or the rule that keeps it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

Identity = tuple[str | None, str | None, int | None]
"""A record by source and id, and the place of one of its elements."""
DISCARDED = "discarded"


@dataclass(frozen=True)
class Row:
    """What a record (or one element of it) becomes: canonical texts in the order of the columns.

    `weak`: places of columns that give way to another record's value: null itself is sent, or the value is a default.
    `touched`: the record, or a row that it looks up, may have changed since the last plan. `created`: what the record
    says of when it was made, see `record_order`. `part`: which of the dataset's files made it, by its place from 0.
    """

    source: str | None
    id: str
    position: int | None
    order: int
    recency: str | None
    values: tuple[str | None, ...]
    weak: frozenset[int] = frozenset()
    touched: bool = True
    created: str = ""
    part: int = 0

    def placed(self, part: int, places: Sequence[int | None]) -> Row:
        """The same row as one of a dataset that several files make: `places` says where each column is here."""
        values = tuple(None if place is None else self.values[place] for place in places)
        weak = frozenset(at for at, place in enumerate(places) if place in self.weak)
        return replace(self, values=values, weak=weak, part=part)


@dataclass(frozen=True)
class Left:
    """A record that makes no row: `rule` 'filtered', or the first rule it breaks with its column.

    `kept`: what the columns that were asked for hold all the same, those that break a rule nothing.
    """

    source: str | None
    id: str | None
    position: int | None
    rule: str
    column: str | None = None
    kept: tuple[str | None, ...] = ()

    @property
    def pair(self) -> tuple[str, str] | None:
        """The record, where it may give a row once what keeps it out has passed; None of one that was filtered."""
        if self.rule == "filtered" or self.source is None or not self.id:
            return None
        return self.source, self.id
