"""Reads the pages of one resource into its spool: many requests in flight, one thread that decides and writes."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import Enum

from migrate.errors import Interrupted
from migrate.progress import Progress
from migrate.snapshot.records import parse_page
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.client import SourceClient
from migrate.source.envelope import Page
from migrate.source.paging import Look, Outcome, Paging
from migrate.source.resources import Resource

_LOOK_AT_STOP_S = 0.2


class Change(Enum):
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
    progress: Progress
    stop: threading.Event

    def begin(self) -> None:
        """Shows the task, with what is stored."""
        stored = sum(entry.rows for entry in self.spool.pages.values())
        self.progress.begin(self.resource.name, total=None, unit="records", done=stored)

    def begin_again(self) -> None:
        """Forgets what is stored, since the source has moved under it."""
        self.spool.forget(1)
        self.progress.end(self.resource.name)
        self.begin()

    def fetch(self, number: int) -> PageEntry:
        """A page, its file written; it does not count yet. Runs in any thread."""
        return self._written(self.client.page(self.resource, number, self.size))

    def compare(self, stored: PageEntry) -> tuple[Change, PageEntry]:
        """A stored page beside the same page read again; the new one's file is written."""
        page = self.client.page(self.resource, stored.number, self.size)
        entry = self._written(page)
        if entry.identities_sha256 == stored.identities_sha256:
            return Change.NONE, entry
        before = parse_page(page.number, page.items[: stored.rows], self.resource.fields)
        grown = entry.rows > stored.rows and before.identities_sha256 == stored.identities_sha256
        return (Change.GROWN if grown else Change.MOVED), entry

    def _written(self, page: Page) -> PageEntry:
        parsed = parse_page(page.number, page.items, self.resource.fields)
        entry = PageEntry(
            number=page.number,
            rows=len(page.items),
            bytes=sum(map(len, page.items)),
            sha256=page.sha256,
            identities_sha256=parsed.identities_sha256,
            file="",
            file_sha256="",
            announced_records=page.announced_records,
            announced_pages=page.announced_pages,
            unparsed=parsed.unparsed,
            shared_names=parsed.shared_names,
            unlisted_fields=parsed.unlisted_fields,
        )
        return self.spool.write(parsed, entry)

    def read_to_end(self, paging: Paging) -> None:
        """Asks for pages until `paging` has its end; every kept page is in the journal.

        **Guarantees**: on a stop or a failure no new page is asked for, and what is in flight is still journaled.

        **Raises**: Interrupted on a stop; else the first failure.
        """
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="page") as pool:
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
                    in_flight[pool.submit(self.fetch, number)] = number
            if not in_flight:
                return failure
            for future in wait(in_flight, _LOOK_AT_STOP_S, FIRST_COMPLETED).done:
                in_flight.pop(future)
                error = self._settle(future, paging)
                failure = failure or error

    def _settle(self, future: Future[PageEntry], paging: Paging) -> BaseException | None:
        error = future.exception()
        if error is not None:
            self.client.halt()
            return error
        self._store(future.result(), paging)
        return None

    def _store(self, entry: PageEntry, paging: Paging) -> None:
        outcome = paging.take(look_of(entry))
        if outcome is Outcome.KEEP:
            self.spool.record(entry)
            self.progress.advance(self.resource.name, entry.rows, total=paging.announced_records)
            return
        self.spool.discard(entry)


def look_of(entry: PageEntry) -> Look:
    """What paging needs to know of a stored page."""
    return Look(
        entry.number,
        entry.rows,
        entry.sha256,
        entry.identities_sha256,
        entry.announced_records,
        entry.announced_pages,
    )
