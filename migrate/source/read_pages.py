"""Asks for pages until the list has its end: many requests in flight, one thread that decides and writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from migrate.errors import Interrupted
from migrate.progress import Progress
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.bisect import SmallerPagesError
from migrate.source.client import ListService
from migrate.source.fetch import PageFetcher, PageSize
from migrate.source.paging import Look, PageOutcome, Paging

_LOOK_AT_STOP_S = 0.2


def open_threads(count: int) -> Executor:
    """A pool of so many threads."""
    return ThreadPoolExecutor(count, thread_name_prefix="page")


@dataclass(frozen=True)
class ListContext:
    """What reading one list works with."""

    service: ListService
    fetcher: PageFetcher
    spool: Spool
    progress: Progress
    stop: threading.Event
    concurrency: int
    open_pool: Callable[[int], Executor] = open_threads

    @property
    def name(self) -> str:
        """The resource's name."""
        return self.fetcher.resource.name

    @property
    def ahead(self) -> int:
        """Pages to see to at a time.

        Some are still being parsed when others are already asked for in their place.
        """
        return self.concurrency + self.concurrency // 2

    def check_stop(self) -> None:
        """Raises Interrupted on a stop."""
        if self.stop.is_set():
            raise Interrupted(f"{self.name}: interrupted; the pages read so far are kept")


def read_pages(context: ListContext, paging: Paging) -> None:
    """Asks for pages until `paging` has its end; every page it keeps is in the journal.

    It ends too early where `paging` has found that the service sends smaller pages.

    **Guarantees**: on a stop or a failure no new page is asked for, and what is in flight is still
    journaled.

    **Raises**: Interrupted on a stop; else the first failure.
    """
    with context.open_pool(context.ahead) as pool:
        try:
            failure = _Loop(context, paging, pool).run()
        except BaseException:
            context.service.halt()
            raise
    if failure is not None:
        raise failure
    if not paging.ended and paging.smaller_pages is None:
        context.check_stop()


class _Loop:
    def __init__(self, context: ListContext, paging: Paging, pool: Executor) -> None:
        self._context = context
        self._paging = paging
        self._pool = pool
        self._in_flight: dict[Future[PageEntry], int] = {}
        self._failure: BaseException | None = None

    def run(self) -> BaseException | None:
        """The first failure, if any."""
        while True:
            self._ask_for_more()
            if not self._in_flight:
                return self._failure
            for future in wait(self._in_flight, _LOOK_AT_STOP_S, FIRST_COMPLETED).done:
                self._in_flight.pop(future)
                self._take(future)
            self._context.service.tell_notes()

    def _ask_for_more(self) -> None:
        paging = self._paging
        is_over = self._failure is not None or paging.smaller_pages is not None
        if is_over or self._context.stop.is_set():
            return
        size = PageSize(
            paging.page_places,
            paging.page_is_known,
            paging.announced_records,
            paging.total_is_wrong,
        )
        for number in paging.wants(self._in_flight.values()):
            future = self._pool.submit(self._context.fetcher.fetch, number, size)
            self._in_flight[future] = number

    def _take(self, future: Future[PageEntry]) -> None:
        error = future.exception()
        if isinstance(error, SmallerPagesError):
            self._paging.smaller_pages = error.places
        elif error is not None:
            self._context.service.halt()
            self._failure = self._failure or error
        else:
            self._store(future.result())

    def _store(self, entry: PageEntry) -> None:
        context, paging = self._context, self._paging
        if paging.take(look_of(entry)) is not PageOutcome.KEEP:
            context.spool.add_aside(entry)
            return
        context.spool.record(entry)
        context.progress.advance(context.name, entry.rows, total=paging.announced_records)


def look_of(entry: PageEntry) -> Look:
    """What paging needs to know of a stored page."""
    return Look(
        number=entry.number,
        rows=entry.rows,
        sha256=entry.file_sha256,
        identities_sha256=entry.identities_sha256,
        announced_records=entry.announced_records,
        announced_pages=entry.announced_pages,
        unread=len(entry.unread),
        in_pieces=entry.in_pieces,
    )
