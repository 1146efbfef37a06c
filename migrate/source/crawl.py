"""Reads the pages of one resource into its spool: many requests in flight, one thread that decides and writes."""

from __future__ import annotations

import contextlib
import math
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from migrate.errors import GaveUp, Interrupted, Refused
from migrate.progress import Progress
from migrate.snapshot.records import identify_page, identities_digest
from migrate.snapshot.spool import PageEntry, Spool, Unread
from migrate.source.bisect_page import read_in_pieces
from migrate.source.client import PageFailsError, RetryPatience, SourceClient, Wanted
from migrate.source.early import EarlyParts
from migrate.source.envelope import Page, read_page
from migrate.source.paging import Look, PageOutcome, Paging
from migrate.source.resources import Resource
from migrate.source.work import Failed, PageDone, PageTask, store_page
from migrate.source.worker_pool import WorkerPool

_LOOK_AT_STOP_S = 0.2
_TRIES_OF_A_PAGE = 5
_TRIES_OF_A_PIECE = 2


class SourceChange(Enum):
    """How the records of a page differ from those it held before; other values in the same records are no change."""

    NONE = 0
    GROWN = 1
    MOVED = 2


@dataclass(frozen=True)
class Crawl:
    """What reading one resource works with."""

    client: SourceClient
    resource: Resource
    size: int
    concurrency: int
    spool: Spool
    workshop: WorkerPool
    progress: Progress
    stop: threading.Event
    sort: str = "created"
    order: Literal[1, -1] = 1
    early: EarlyParts | None = None

    @property
    def ahead(self) -> int:
        """Pages to see to at a time: some are still being read when others are already asked for in their place."""
        return self.concurrency + self.concurrency // 2

    def begin(self) -> None:
        """Shows the task, with what is stored."""
        stored = sum(entry.rows for entry in self.spool.pages.values())
        self.progress.begin(self.resource.name, total=None, unit="records", done=stored)

    def begin_again(self) -> None:
        """Forgets what is stored, since the source has moved under it."""
        self.spool.forget(1)
        if self.early:
            self.early.restart()
        self.progress.end(self.resource.name)
        self.begin()

    def fetch(self, number: int, rows: int = 0) -> PageEntry:
        """A page, its file written; it does not count yet. Runs in any thread.

        `rows` is how many records a page has where the server caps its size, 0 where that is not known.
        """
        wanted = Wanted(self.resource, number, self.size, self.sort, self.order)
        patience = RetryPatience(
            _TRIES_OF_A_PAGE, self.client.retry_budget_s / 3, self._is_service_well
        )
        try:
            return self.client.fetch(
                wanted, lambda body: self._perform(number, body), patience=patience
            )
        except PageFailsError as failure:
            return self._fetch_in_pieces(number, min(rows or self.size, self.size), failure)

    def compare(self, stored: PageEntry) -> tuple[SourceChange, PageEntry]:
        """A stored page beside the same page read again; the new one's file is written."""
        entry = self.fetch(stored.number)
        if entry.identities_sha256 == stored.identities_sha256:
            return SourceChange.NONE, entry
        grown = (
            entry.rows > stored.rows
            and self._digest_of_first(entry, stored.rows) == stored.identities_sha256
        )
        return (SourceChange.GROWN if grown else SourceChange.MOVED), entry

    def ends_as_before(self, stored: PageEntry) -> bool:
        """Whether the last record of a stored page, asked for alone, is still in that place; False in any doubt."""
        sources, ids = self.spool.identities(stored)
        with contextlib.suppress(PageFailsError, Refused):
            page = self._ask_piece(stored.number * stored.rows, 1, False)
            found = identify_page(page.number, page.items, self.resource.fields)
            return ids[-1] is not None and (found.sources, found.ids) == (sources[-1:], ids[-1:])
        return False

    def _digest_of_first(self, entry: PageEntry, rows: int) -> str:
        return identities_digest(self.spool.read(entry).rows(range(rows)))

    def _perform(self, number: int, body: bytes) -> PageEntry:
        result = self.workshop.perform(
            PageTask(str(self.spool.folder), self.resource.fields, number, body)
        )
        if isinstance(result, Failed):
            raise result.error()
        if not isinstance(result, PageDone):
            raise TypeError("a page became something else")
        return result.entry

    def _is_service_well(self) -> bool:
        """Whether single records of the list are still delivered; of the first two, since one may be the culprit."""
        with contextlib.suppress(
            GaveUp
        ):  # the page that is in question gives up by itself, and is the one to name
            for number in (1, 2):
                with contextlib.suppress(PageFailsError):
                    self._ask_piece(number, 1, False)
                    return True
        return False

    def _ask_piece(self, number: int, size: int, is_patient: bool) -> Page:
        patience = None if is_patient else RetryPatience(_TRIES_OF_A_PIECE, math.inf, lambda: True)
        wanted = Wanted(self.resource, number, size, self.sort, self.order)
        return self.client.fetch(wanted, lambda body: read_page(number, body), patience=patience)

    def _fetch_in_pieces(self, number: int, size: int, failure: PageFailsError) -> PageEntry:
        try:
            found = read_in_pieces(self._ask_piece, number, size, failure)
        except PageFailsError:
            raise GaveUp(
                f"Datatrics: {self.resource.name}, page {number}: keeps failing, and so does every part of it: "
                f"{failure.reason}",
                hint="nothing is lost: give the same command again when the service is well",
            ) from None
        items = tuple(found.items)
        page = Page(number, items, found.announced_records, None)
        unread = tuple(Unread(offset + 1, reason) for offset, reason in found.unread)
        return replace(store_page(page, self.spool, self.resource.fields), unread=unread)

    def read_to_end(self, paging: Paging) -> None:
        """Asks for pages until `paging` has its end; every kept page is in the journal.

        **Guarantees**: on a stop or a failure no new page is asked for, and what is in flight is still journaled.

        **Raises**: Interrupted on a stop; else the first failure.
        """
        with ThreadPoolExecutor(self.ahead, thread_name_prefix="page") as pool:
            try:
                failure = self._read_with(pool, paging)
            except BaseException:
                self.client.halt()
                raise
        if failure is not None:
            raise failure
        if not paging.ended:
            raise Interrupted(f"{self.resource.name}: interrupted; the pages read so far are kept")

    def _read_with(self, pool: ThreadPoolExecutor, paging: Paging) -> BaseException | None:
        in_flight: dict[Future[PageEntry], int] = {}
        failure: BaseException | None = None
        while True:
            if failure is None and not self.stop.is_set():
                for number in paging.wants(in_flight.values()):
                    in_flight[pool.submit(self.fetch, number, paging.first_rows)] = number
            if not in_flight:
                return failure
            for future in wait(in_flight, _LOOK_AT_STOP_S, FIRST_COMPLETED).done:
                in_flight.pop(future)
                error = self._settle(future, paging)
                failure = failure or error
            self.client.tell_notes()

    def _settle(self, future: Future[PageEntry], paging: Paging) -> BaseException | None:
        error = future.exception()
        if error is not None:
            self.client.halt()
            return error
        self._store(future.result(), paging)
        return None

    def _store(self, entry: PageEntry, paging: Paging) -> None:
        outcome = paging.take(look_of(entry))
        if outcome is PageOutcome.KEEP:
            self.spool.record(entry)
            if self.early:
                self.early.look()
            self.workshop.expect(paging.announced_records or len(self.spool.pages) * entry.rows)
            self.progress.advance(self.resource.name, entry.rows, total=paging.announced_records)
            return
        self.spool.discard(entry)


def look_of(entry: PageEntry) -> Look:
    """What paging needs to know of a stored page."""
    return Look(
        entry.number,
        entry.rows,
        entry.file_sha256,
        entry.identities_sha256,
        entry.announced_records,
        entry.announced_pages,
        len(entry.unread),
    )
