"""Whether pages still hold what they held when they were read, and where the first one is that does not.

A record that goes from a page already read pulls those behind it one place forward: the first one
of the next page moves onto a page that is not read again, and is lost. Where another record is added
meanwhile, the totals agree all the same. But then every page from the place where it went to the
place where reading was ends with another record. So the last record of pages is asked for once more,
alone, at the end of a reading.

Records with the same `created` may come in another order each time. That too is told here: where
only records of equal `created` have changed places, nothing has come or gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import polars as pl

from migrate.snapshot.records import Identified, identities_digest, pick_fields
from migrate.snapshot.spool import PageEntry
from migrate.source.fetch import PageSize
from migrate.source.read_pages import ListContext
from migrate.source.resources import CREATED

AT_LEAST = 16
MOST_APART = 40
"""Where nothing has moved: every page's tail of up to `AT_LEAST` pages, then fewer, in the end one page in forty."""


class SourceChange(IntEnum):
    """How the records of pages differ from those they held before, the graver the higher.

    Other values in the same records are no change. `SWAPPED`: records with the same `created` have
    changed places.
    """

    NONE = 0
    GROWN = 1
    SWAPPED = 2
    MOVED = 3


@dataclass(frozen=True)
class Tails:
    """How many pages' tails were looked at again, of how many pages, and what was seen.

    The first page and the last one are not counted: they are read again as a whole. `unmoved`: the
    last page, in the order of pages, up to which every tail was in its place.
    """

    seen: int
    pages: int
    change: SourceChange
    unmoved: int = 0


NO_TAILS = Tails(0, 0, SourceChange.NONE)


def compare_page(
    context: ListContext, stored: PageEntry, size: PageSize
) -> tuple[SourceChange, PageEntry]:
    """A stored page beside the same page read again; the new one's file is written. Runs in any thread."""
    entry = context.fetcher.fetch(stored.number, size)
    # Other values in the same records are no change: nothing has come, gone or slid.
    if entry.identities_sha256 == stored.identities_sha256:
        return SourceChange.NONE, entry
    if not entry.rows:
        return SourceChange.MOVED, entry
    before, now = context.spool.read(stored), context.spool.read(entry)
    if entry.rows > stored.rows:
        same_places = now.rows(range(stored.rows))
        if identities_digest(same_places) == stored.identities_sha256:
            return SourceChange.GROWN, entry
    return _change_between(context, before, now), entry


def compare_last_readable(
    context: ListContext, stored: PageEntry, size: PageSize
) -> tuple[SourceChange, PageEntry]:
    """The last record that could be read of a page with unreadable ones, beside what comes in its place now.

    The page as a whole would fail again, and be read in pieces again.
    """
    unread = {one.position - 1 for one in stored.unread}
    first = (stored.number - 1) * size.places
    readable = [place for place in range(first, first + stored.places) if place not in unread]
    if readable:
        alone = context.fetcher.fetch_record(readable[-1], stored.number)
    else:
        alone = None
    if alone is None or alone.rows != 1:
        return SourceChange.NONE, replace(stored, announced_records=None)
    before = context.spool.read(stored).rows([stored.rows - 1])
    now = context.spool.read(alone)
    if _is_same_identity(before, now):
        return SourceChange.NONE, alone
    return _change_between(context, before, now), alone


def look_at_tails(context: ListContext, size: PageSize, *, every: bool) -> Tails:
    """The tails of the pages in the spool: of `every` page, or of some.

    What comes is set aside: a record that no page holds is known all the same.

    **Raises**: Interrupted on a stop; what reading raises.
    """
    stored = context.spool.entries()
    chosen = choose_pages(stored, every=every)
    change = SourceChange.NONE
    unmoved = stored[0].number if stored else 0
    with context.open_pool(context.concurrency) as pool:
        for at in range(0, len(chosen), context.concurrency):
            context.check_stop()
            few = chosen[at : at + context.concurrency]
            looks = list(pool.map(lambda entry: _look_at_tail(context, entry, size), few))
            for entry, (change_of_page, again) in zip(few, looks, strict=True):
                if again is not None:
                    context.spool.add_aside(again)
                change = max(change, change_of_page)
                if change is SourceChange.NONE:
                    unmoved = entry.number
            context.service.tell_notes()
            if change is SourceChange.MOVED:
                break  # where it begins is known, and that is what the next reading needs
    return Tails(len(chosen), max(0, len(stored) - 2), change, unmoved)


def choose_pages(stored: Sequence[PageEntry], *, every: bool) -> list[PageEntry]:
    """Those of the pages between the first and the last that are looked at, evenly spread."""
    between = [entry for entry in stored[1:-1] if entry.rows and not entry.unread]
    apart = 1 if every else _pages_apart(len(between))
    return between[apart - 1 :: apart]


def count_tails(pages: int) -> int:
    """How many tails are looked at in a list of so many pages where nothing has moved."""
    between = max(0, pages - 2)
    return between // _pages_apart(between)


def _pages_apart(between: int) -> int:
    return min(MOST_APART, max(1, -(-between // AT_LEAST)))


def _look_at_tail(
    context: ListContext, stored: PageEntry, size: PageSize
) -> tuple[SourceChange, PageEntry | None]:
    """What became of a page's last record, and what came that is not on the page as it is stored.

    The whole page is asked for where its tail alone does not say so: a server that ignores `limit`,
    or has a page size of its own, answers with something else than one record.
    """
    # One record, and not its page: where the last one is the same, nothing has slid from one page to another.
    place = (stored.number - 1) * size.places + stored.rows - 1
    alone = context.fetcher.fetch_record(place, stored.number)
    before = context.spool.read(stored).rows([stored.rows - 1])
    if alone is not None and alone.rows == 1:
        now = context.spool.read(alone)
        if now == before:
            context.spool.discard(alone)
            return SourceChange.NONE, None
        if _is_same_identity(before, now):
            return SourceChange.NONE, alone
    elif alone is not None:
        context.spool.discard(alone)
    change, again = compare_page(context, stored, size)
    return change, None if again.file == stored.file else again


def _is_same_identity(before: Identified, now: Identified) -> bool:
    return now.ids != [None] and (now.sources, now.ids) == (before.sources, before.ids)


def _change_between(context: ListContext, before: Identified, now: Identified) -> SourceChange:
    # A service may ignore the order that it is asked for, and keep to its usual one.
    orders = (CREATED, (context.fetcher.order.sort,))
    is_swap = any(_are_swapped(before, now, names) for names in orders)
    return SourceChange.SWAPPED if is_swap else SourceChange.MOVED


def _are_swapped(before: Identified, now: Identified, sorted_by: Sequence[str]) -> bool:
    """Whether only records left and came that stand equal with the page's first or last one in the order."""
    if len(before.items) != len(now.items):
        return False
    keys_before, keys_now = _keys(before, sorted_by), _keys(now, sorted_by)
    # Equal records slip over the edge of a page into the next one, never into the middle of it.
    at_edges = {keys_before[0], keys_before[-1]} & {keys_now[0], keys_now[-1]}
    names_before, names_now = _names(before), _names(now)
    gone, new = set(names_before) - set(names_now), set(names_now) - set(names_before)
    keys_of_gone = {
        key for key, name in zip(keys_before, names_before, strict=True) if name in gone
    }
    keys_of_new = {key for key, name in zip(keys_now, names_now, strict=True) if name in new}
    return keys_of_gone | keys_of_new <= at_edges


def _names(records: Identified) -> list[tuple[str | None, str | None]]:
    return list(zip(records.sources, records.ids, strict=True))


def _keys(records: Identified, names: Sequence[str]) -> list[str | None]:
    return pick_fields(records.items, names).select(pl.coalesce(pl.all())).to_series().to_list()
