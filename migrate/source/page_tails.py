"""Whether pages still end where they ended when they were read.

A record that goes from a page already read pulls those behind it one place forward: the first one of the next page
moves onto a page that is not read again, and is lost. Where another record is added meanwhile, the totals agree all
the same. But then every page from the place where it went to the place where reading was ends with another record. So
the last record of pages is asked for once more, alone, at the end of the reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from migrate.errors import Interrupted
from migrate.snapshot.spool import PageEntry
from migrate.source.crawl import Crawl, SourceChange
from migrate.source.verdict import Ends

AT_LEAST = 16
MOST_APART = 40
"""Where nothing has moved: every page's end of up to so many pages, then fewer, in the end one page in forty."""


def look_at_ends(crawl: Crawl, *, every: bool) -> Ends:
    """The ends of the pages in the spool: of `every` page, or of some.

    The first page and the last one are not looked at: they are read again as a whole.

    **Raises**: Interrupted on a stop; what reading raises.
    """
    stored = crawl.spool.entries()
    chosen = choose_pages(stored, every=every)
    with ThreadPoolExecutor(crawl.concurrency, thread_name_prefix="end") as pool:
        hold = all(_hold(crawl, pool, few) for few in _few(chosen, crawl.concurrency))
    return Ends(len(chosen), max(0, len(stored) - 2), hold)


def choose_pages(stored: Sequence[PageEntry], *, every: bool) -> list[PageEntry]:
    """Those of the pages between the first and the last that are looked at, evenly spread."""
    between = [entry for entry in stored[1:-1] if entry.rows and not entry.unread]
    apart = 1 if every else _pages_apart(len(between))
    return between[apart - 1 :: apart]


def count_ends(pages: int) -> int:
    """How many ends are looked at in a list of so many pages where nothing has moved."""
    between = max(0, pages - 2)
    return between // _pages_apart(between)


def _pages_apart(between: int) -> int:
    return min(MOST_APART, max(1, -(-between // AT_LEAST)))


def _few(pages: Sequence[PageEntry], count: int) -> Iterator[list[PageEntry]]:
    left = iter(pages)
    while few := list(islice(left, count)):
        yield few


def _hold(crawl: Crawl, pool: ThreadPoolExecutor, few: Sequence[PageEntry]) -> bool:
    """Whether these pages end as before; the whole page is asked where its end alone does not say so.

    A server that ignores `limit`, or has a page size of its own, answers with something else than the end.
    """
    if crawl.stop.is_set():
        raise Interrupted(f"{crawl.resource.name}: interrupted; the pages read so far are kept")
    doubtful = [
        entry
        for entry, ends in zip(few, pool.map(crawl.ends_as_before, few), strict=True)
        if not ends
    ]
    looks = list(pool.map(crawl.compare, doubtful))
    for _, again in looks:
        crawl.spool.discard(again)
    crawl.client.tell_notes()
    return all(change is SourceChange.NONE for change, _ in looks)
