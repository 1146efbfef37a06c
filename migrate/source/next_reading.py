"""Whether a list is to be read again, and from which page on, by what was seen of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from migrate.source.page_tails import SourceChange

MOST_READINGS = 4


@dataclass(frozen=True)
class Seen:
    """What is known after a reading. `delivered`: distinct records of the last one; `known`: of all readings.

    `lost_places`: places whose records could not be read. `is_mixed`: the pages that count were read
    at different moments. `unmoved`: the last page up to which nothing has moved.
    """

    readings: int
    change: SourceChange
    announced: int | None
    delivered: int
    known: int
    duplicates: int
    lost_places: int
    unknown_before: int
    is_mixed: bool
    unmoved: int
    last_page: int


def next_first_page(seen: Seen) -> int | None:
    """The page from which to read the list again, None where that would tell nothing new."""
    if seen.readings >= MOST_READINGS:
        return None
    everything = seen.announced in (None, seen.known + seen.lost_places)
    adds_up = everything or seen.announced == seen.delivered + seen.lost_places
    if seen.change is SourceChange.MOVED:
        return seen.unmoved + 1
    if seen.change is SourceChange.GROWN:
        return seen.last_page + 1
    brought_something = seen.readings == 1 or seen.unknown_before > 0
    if seen.change is SourceChange.SWAPPED:
        # Counts alone prove nothing in a list without an order: two readings have to agree.
        return 1 if brought_something or not everything else None
    if seen.is_mixed and not adds_up:
        return 1
    lacks = seen.announced is not None and seen.known + seen.lost_places < seen.announced
    # Where a record came twice, another one may have been passed over.
    return 1 if lacks and seen.duplicates and brought_something else None


def change_of_totals(totals: Sequence[int | None]) -> SourceChange:
    """What totals say that were announced one after another, those between the first and the last in any order."""
    known = [total for total in totals if total is not None]
    if len(set(known)) <= 1:
        return SourceChange.NONE
    has_only_grown = all(known[0] <= total <= known[-1] for total in known)
    return SourceChange.GROWN if has_only_grown else SourceChange.MOVED
