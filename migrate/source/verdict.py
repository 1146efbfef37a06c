"""What can be said of a list that was read, and whether reading it again would tell more. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from migrate.source.page_tails import SourceChange

Verdict = Literal["proven", "drifted", "unproven"]
MOST_READINGS = 4


@dataclass(frozen=True)
class Observation:
    """The last reading of a list: what was announced at its start and after its end, what is stored now.

    `moved`: the first or last page, a total on the way, or a page's tail was not what it had been.
    `rounds`: the readings after the first one. `swapped`: nothing moved but records with the same
    `created`; `asked_as`: that was so before, and so the list was asked for in another way, in
    these words. `troubles` is what paging noticed.

    `distinct` counts the records of all readings; of those that the last one lacks, `found_alone`
    were there when asked for alone, and `not_to_be_asked` could not be asked for. `vanished` are
    gone, and not counted. `damaged` hold bytes that are no UTF-8; `unread` could not be read, and
    are not counted either. `unparsed` are, or hold, text that is no JSON.

    `partly` says of a list that was not read to its end, on purpose, what was read; `distinct` is
    that part.
    """

    announced_start: int | None
    announced_end: int | None
    distinct: int
    moved: bool
    rounds: int
    troubles: Sequence[str] = ()
    tails_seen: int = 0
    pages_with_tails: int = 0
    partly: str | None = None
    swapped: bool = False
    found_alone: int = 0
    not_to_be_asked: int = 0
    vanished: int = 0
    damaged: int = 0
    unread: int = 0
    unparsed: int = 0
    asked_as: str | None = None


def judge(seen: Observation) -> tuple[Verdict, str]:
    """The verdict and its reason in one sentence."""
    if seen.partly is not None:
        return "unproven", seen.partly
    start, end = seen.announced_start, seen.announced_end
    union = _union(seen)
    if start is None or end is None:
        when = (
            "anywhere"
            if start is None and end is None
            else ("at the start" if start is None else "at the end")
        )
        return (
            "unproven",
            f"the server announced no total {when}; {seen.distinct:,} records were received{union}",
        )
    noticed = _noticed(seen)
    if start != end or seen.moved:
        return "drifted", f"{noticed}{_drift(start, end, seen)}{union}"
    if seen.swapped and end != seen.distinct:
        return "drifted", f"{noticed}{_swapped()}; {_counted(end, seen.distinct)}{union}"
    if noticed or end != seen.distinct:
        return "unproven", f"{noticed}{_counted(end, seen.distinct)}{union}"
    order = f"; {_swapped()}" if seen.swapped else ""
    return "proven", (
        f"{end:,} announced before and after, {seen.distinct:,} distinct records received"
        f"{_tails(seen)}{union}{order}"
    )


def _tails(seen: Observation) -> str:
    if not seen.tails_seen or seen.swapped:
        return ""
    return f", {seen.tails_seen:,} of {seen.pages_with_tails:,} page ends seen again in their place"


def _union(seen: Observation) -> str:
    """How the records of several readings came together."""
    parts = []
    if seen.rounds:
        way = ""
        if seen.asked_as:
            way = f", the last one {seen.asked_as} since records of equal `created` change places"
        parts.append(f"in {seen.rounds + 1} readings{way}")
    if seen.found_alone:
        parts.append(f"{seen.found_alone:,} of earlier readings asked for alone and there")
    if seen.not_to_be_asked:
        parts.append(f"{seen.not_to_be_asked:,} of earlier readings that could not be asked for")
    if seen.vanished:
        parts.append(f"{seen.vanished:,} more have vanished from the source meanwhile")
    return "".join(f", {part}" for part in parts)


def _noticed(seen: Observation) -> str:
    troubles = list(seen.troubles)
    if seen.unread:
        troubles.append(f"{seen.unread:,} record(s) could not be read")
    if seen.damaged:
        troubles.append(f"{seen.damaged:,} record(s) hold bytes that are no UTF-8")
    if seen.unparsed:
        troubles.append(f"{seen.unparsed:,} record(s) or values are no JSON")
    if not troubles:
        return ""
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    return f"{troubles[0]}{more}; "


def _swapped() -> str:
    return "records with the same `created` come in another order each time"


def _drift(start: int, end: int, seen: Observation) -> str:
    by = f"by {end - start:+,} records" if start != end else "without a change in their number"
    return (
        f"the source moved {by} while it was read and went on changing through {seen.rounds} further "
        f"readings; {_counted(end, seen.distinct)}"
    )


def _counted(announced: int, distinct: int) -> str:
    if announced == distinct:
        return f"{announced:,} announced and as many distinct records received"
    return (
        f"{announced:,} announced but {distinct:,} distinct records received "
        f"({distinct - announced:+,})"
    )


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
