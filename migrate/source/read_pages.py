"""Asks for pages until the list has its end: many requests in flight, one thread that decides and writes.

Records that an earlier reading delivered and the last one did not are asked for here as well, each alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from enum import Enum

from migrate.errors import Interrupted, Refused
from migrate.net.retry import TransientError
from migrate.progress import Progress
from migrate.snapshot.records import identify_page
from migrate.snapshot.same_records import Stray
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.bisect import SmallerPagesError
from migrate.source.client import ListService
from migrate.source.fetch import PageFetcher, PageSize
from migrate.source.page import Page
from migrate.source.paging import Look, PageOutcome, Paging

# Nothing wakes a thread that waits for answers when somebody presses Ctrl-C, so it looks by itself.
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
            # Leaving the pool waits for its threads, and these may be waiting out a Retry-After.
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


_TRIES = 3
_GONE_STATUSES = frozenset({400, 404, 410})
"""**Source**: none of the documents says how an unknown id is answered, so all that is usual counts."""


class Whereabouts(Enum):
    """What the service says of one record."""

    THERE = "there"
    GONE = "gone"
    UNKNOWN = "unknown"


@dataclass
class Found:
    """The records asked for, by what became of them. `bodies` has what came of those there, as pages of one."""

    there: list[Stray] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    gone: list[Stray] = field(default_factory=list)
    unknown: list[Stray] = field(default_factory=list)

    def add(self, stray: Stray, where: Whereabouts, body: bytes) -> None:
        """Sorts one record in, with what came of it."""
        if where is Whereabouts.THERE:
            self.there.append(stray)
            self.bodies.append(body)
        elif where is Whereabouts.GONE:
            self.gone.append(stray)
        else:
            self.unknown.append(stray)


def ask_alone(context: ListContext, missing: Sequence[Stray], known: Stray | None) -> Found:
    """What became of these records. `known` was delivered by the last reading, and shows that asking tells something.

    **Raises**: Interrupted; GaveUp where the service has gone down; Refused for the key.
    """
    answers = Found()
    if not missing:
        return answers
    context.progress.note(
        f"{context.name}: {len(missing):,} records that came before did not come again; "
        "asking for each of them alone"
    )
    with context.open_pool(context.concurrency) as pool:
        # A few at a time, so that a stop is noticed before all of them are on their way.
        for at in range(0, len(missing), context.concurrency):
            context.check_stop()
            few = missing[at : at + context.concurrency]
            bodies = pool.map(lambda stray: _ask(context, stray), few)
            for stray, (where, body) in zip(few, bodies, strict=True):
                answers.add(stray, where, body)
            context.service.tell_notes()
    if answers.gone and (known is None or _ask(context, known)[0] is not Whereabouts.THERE):
        # A service that does not even have what it has just delivered tells nothing here.
        answers.unknown += answers.gone
        answers.gone = []
    return answers


def _ask(context: ListContext, stray: Stray) -> tuple[Whereabouts, bytes]:
    if stray.id is None or stray.source is None:
        return Whereabouts.UNKNOWN, b""
    resource = context.fetcher.resource
    attempts = context.service.attempts(f"Datatrics: one record of {resource.name}")
    while True:
        try:
            body = context.service.ask_one(resource, stray.id, stray.source)
        except Refused as error:
            if error.status not in _GONE_STATUSES:
                raise
            return Whereabouts.GONE, b""
        except TransientError as error:
            if error.wait_s is None and attempts.failures + 1 >= _TRIES:
                context.fetcher.wait_until_well()
                return Whereabouts.UNKNOWN, b""
            attempts.wait_after(error)
        else:
            return _judge(context, stray, body), body or b""


def _judge(context: ListContext, stray: Stray, body: bytes | None) -> Whereabouts:
    """A status of 200 does not mean that there is a record: its identity does."""
    if body is None:
        return Whereabouts.GONE
    try:
        body.decode()
    except UnicodeDecodeError:
        return Whereabouts.UNKNOWN
    record = identify_page(0, [body.strip()], context.fetcher.resource.fields)
    if record.ids == [stray.id] and record.sources[0] in (stray.source, None):
        return Whereabouts.THERE
    if record.ids == [None]:
        return Whereabouts.GONE
    return Whereabouts.UNKNOWN


def page_of(bodies: Sequence[bytes]) -> Page:
    """Records that came alone as a page, which is none of the list's."""
    return Page(0, tuple(body.strip() for body in bodies), None, None)
