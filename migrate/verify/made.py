"""What becomes of a record: a row, or the rule that keeps it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

Identity = tuple[str | None, str | None, int | None]
"""A record by source and id, and the place of one of its elements."""
DISCARDED = "discarded"


class Record(NamedTuple):
    """A record of the snapshot: its JSON, its identity, and its place there."""

    raw: str
    source: str | None
    id: str | None
    order: int = 0


@dataclass(frozen=True)
class Row:
    """What a record (or one element of it) becomes: canonical texts in the order of the columns."""

    source: str | None
    id: str
    position: int | None
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Left:
    """A record that makes no row: `rule` 'filtered', or the first rule it breaks with its column."""

    source: str | None
    id: str | None
    position: int | None
    rule: str
    column: str | None = None
