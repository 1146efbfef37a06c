"""One page of a list, from its request to its file in the spool; halved where it keeps failing."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Literal

from migrate.errors import GaveUp, Refused
from migrate.net.retry import Attempts, TransientError
from migrate.snapshot.records import IdentityFields, identify_page, identities_digest
from migrate.snapshot.spool import NoAnswerFrom, PageEntry, Spool, Unread
from migrate.source.bisect import (
    BadPlace,
    Bisected,
    FailingRange,
    NoAnswerFromError,
    PieceFailsError,
    bisect_page,
)
from migrate.source.client import BadAnswerError, ListService, PageRequest
from migrate.source.page import (
    DamagedTextError,
    Page,
    read_damaged_page,
    read_page,
    take_within_bounds,
    why_beyond_bounds,
)
from migrate.source.resources import Resource

# One failure is an accident and two may be; with a third the page itself is asked about.
TRIES_OF_A_PAGE = 3
_GOOD_REQUESTS_KEPT = 3


class NothingAnswers(GaveUp):
    """Nothing is answered from a place on; `where` is for a later run to remember."""

    def __init__(self, what: str, where: NoAnswerFrom, *, hint: str) -> None:
        super().__init__(what, hint=hint)
        self.where = where


@dataclass(frozen=True)
class ListOrder:
    """In which order a list is asked for, and of which source only."""

    sort: str = "created"
    order: Literal[1, -1] = 1
    source: str | None = None


@dataclass(frozen=True)
class PageSize:
    """What is known of a list's pages while one of them is asked for.

    `places`: how many places of the list a page has; `is_known` tells it from a mere assumption.
    `total_is_wrong`: records came from behind the end that is announced.
    """

    places: int
    is_known: bool = True
    announced: int | None = None
    total_is_wrong: bool = False


class PageFetcher:
    """Asks for pages of one list, `limit` records each. All methods may be called from any thread."""

    def __init__(
        self,
        service: ListService,
        resource: Resource,
        limit: int,
        spool: Spool,
        order: ListOrder | None = None,
        parsing: threading.Lock | None = None,
    ) -> None:
        self.resource = resource
        self.limit = limit
        self._service = service
        self._spool = spool
        # Threads that parse at the same time only take turns at Python's lock, and slow one another down.
        self._parsing = parsing or threading.Lock()
        self.order = order or ListOrder()
        self._answers = 0
        self._good: deque[PageRequest] = deque(maxlen=_GOOD_REQUESTS_KEPT)
        self._set_aside: deque[PageEntry] = deque()
        self._doubt = threading.Lock()
        self._nothing_answers: NothingAnswers | None = None

    def fetch(self, number: int, size: PageSize) -> PageEntry:
        """A page, its file written; it does not count yet.

        **Raises**: Refused for a final answer; Unreachable or GaveUp when no whole page came;
        NothingAnswers; Interrupted; SmallerPagesError.
        """
        if self._nothing_answers is not None:
            raise self._nothing_answers  # another page has found out
        attempts = self._service.attempts(f"Datatrics: {self.resource.name}, page {number}")
        answers_before = self._answers
        wanted = self._wanted(number, self.limit)
        fix = False
        with contextlib.ExitStack() as doubt:
            while True:
                body = b""
                try:
                    body = self._service.ask(wanted)
                    entry = self._store(number, body, size, fix=fix)
                except TransientError as error:
                    if isinstance(error, DamagedTextError):
                        # The same once more is no accident on the way: it is stored like that.
                        fix = True
                        self._keep_damaged(number, body, size)
                    if attempts.failures == 1 and error.wait_s is None:
                        # Where many pages fail for one reason, one of them finds out which.
                        doubt.enter_context(self._doubt)
                    if self._is_fault_of_page(number, attempts, error, answers_before, size):
                        return self._fetch_in_pieces(number, size, error.reason)
                    attempts.wait_after(error)
                else:
                    self._note_answer(wanted)
                    return entry

    def sorted(self, order: ListOrder, limit: int | None = None) -> PageFetcher:
        """A fetcher of the same list in another order, and of pages of another size where one is given."""
        size = self.limit if limit is None else limit
        return PageFetcher(self._service, self.resource, size, self._spool, order, self._parsing)

    def by_identity(self) -> PageFetcher | None:
        """A fetcher of the same list sorted by its records' ids; None where the service refuses that."""
        order = replace(self.order, sort=self.resource.fields.id[0])
        fetcher = self.sorted(order)
        with contextlib.suppress(TransientError, Refused):
            _read_mended(1, self._service.ask(fetcher._wanted(1, 1)))
            return fetcher
        return None

    def fetch_record(self, place: int, page: int) -> PageEntry | None:
        """The record at a place, from 0, as an entry of page `page`; None where it does not come."""
        with contextlib.suppress(PieceFailsError, Refused):
            return self.store(replace(self._ask_piece(place + 1, 1), number=page))
        return None

    def store(self, page: Page) -> PageEntry:
        """An entry of a page's records, its file written; it does not count yet."""
        return store_page(page, self._spool, self.resource.fields)

    def answers_at(self, place: int) -> bool:
        """Whether the record at a place, from 0, comes when it is asked for alone."""
        with contextlib.suppress(PieceFailsError):
            return bool(self._ask_piece(place + 1, 1).items)
        return False

    def _wanted(self, number: int, size: int) -> PageRequest:
        order = self.order
        return PageRequest(self.resource, number, size, order.sort, order.order, order.source)

    def _note_answer(self, wanted: PageRequest) -> None:
        self._answers += 1  # only compared with what it was, so a lost count does no harm
        self._good.appendleft(wanted)

    def _store(self, number: int, body: bytes, size: PageSize, *, fix: bool) -> PageEntry:
        first_place = (number - 1) * size.places
        read = read_damaged_page if fix else read_page
        with self._parsing:
            page = read(number, body)
            return store_page(page, self._spool, self.resource.fields, first_place)

    def _keep_damaged(self, number: int, body: bytes, size: PageSize) -> None:
        with contextlib.suppress(TransientError):
            self._set_aside.append(self._store(number, body, size, fix=True))

    def take_set_aside(self) -> Iterator[PageEntry]:
        """The entries of answers that were not taken for pages, each once; their records came all the same."""
        while self._set_aside:
            yield self._set_aside.popleft()

    def _is_fault_of_page(
        self,
        number: int,
        attempts: Attempts,
        error: TransientError,
        answers_before: int,
        size: PageSize,
    ) -> bool:
        """Whether a page has failed often enough, while the service answers other requests."""
        if error.wait_s is not None:
            return False
        failures = attempts.failures + 1
        takes_long = failures > 1 and attempts.elapsed_s > self._service.retry_budget_s / 3
        if failures % TRIES_OF_A_PAGE and not takes_long:
            return False
        if self._answers > answers_before:
            return True
        return self._is_service_well(number, size)

    def _is_service_well(self, number: int, size: PageSize) -> bool:
        """Whether anything else is answered; several requests are tried, since one may hold the culprit."""
        places = [0, 1, number * size.places, *([size.announced - 1] if size.announced else [])]
        for wanted in (*(self._wanted(place + 1, 1) for place in places), *self._good):
            try:
                page = _read_mended(1, self._service.ask(wanted))
            except TransientError as error:
                if error.wait_s is not None:
                    return False  # it wants to be left alone, and says nothing of the page
            else:
                self._note_answer(wanted)
                self._set_aside.append(self.store(replace(page, number=0)))
                return True
        return False

    def _fetch_in_pieces(self, number: int, size: PageSize, reason: str) -> PageEntry:
        if self._nothing_answers is not None:
            raise self._nothing_answers  # another page has found out
        first = (number - 1) * size.places
        if size.announced is not None and first >= size.announced and not size.total_is_wrong:
            # Behind the end there is nothing to be read, however the service says so.
            return self.store(Page(number, (), size.announced, None))
        failing = FailingRange(first, first + size.places, reason, size.announced, size.is_known)
        try:
            pieces = self._bisect(number, failing)
        except NoAnswerFromError as error:
            stop = self.nothing_answers(error.place, error.reason, size.announced)
            self._nothing_answers = stop
            raise stop from None
        return self._store_bisected(number, pieces)

    def _bisect(self, number: int, failing: FailingRange) -> Bisected:
        """The records of a range, read again where the list moved between its pieces."""
        for is_last_try in (False, False, True):
            pieces = bisect_page(failing, self._ask_piece, self.wait_until_well)
            if not pieces.has_moved or is_last_try:
                return pieces
            self._set_aside.append(self._store_bisected(number, pieces))
            failing = replace(failing, announced=pieces.announced_records)
        raise AssertionError("the last try returns")

    def nothing_answers(self, place: int, reason: str, announced: int | None) -> NothingAnswers:
        """The stop where nothing is answered from a place, from 0, on."""
        of = "" if announced is None else f" of {announced:,}"
        return NothingAnswers(
            f"Datatrics: {self.resource.name}: from record {place + 1:,}{of} on nothing is "
            f"answered, while records before are: {reason}",
            NoAnswerFrom(place + 1, reason),
            hint="the service may not allow a list to be read so far: have Datatrics raise that limit, "
            "then give the same command again; what was read so far is kept",
        )

    def _store_bisected(self, number: int, bisected: Bisected) -> PageEntry:
        unread = [*bisected.unread, *_beyond_bounds(bisected.items)]
        places = sorted(bisected.items.keys() - {bad.place for bad in unread})
        items = tuple(bisected.items[place] for place in places)
        damaged = {
            row: bisected.damaged[place]
            for row, place in enumerate(places)
            if place in bisected.damaged
        }
        page = Page(number, items, bisected.announced_records, None, damaged)
        noted = tuple(
            Unread(bad.place + 1, bad.reason, self._spool.keep_bytes(bad.place + 1, bad.body))
            for bad in sorted(unread, key=lambda bad: bad.place)
        )
        return replace(self.store(page), unread=noted, in_pieces=True)

    def _ask_piece(self, number: int, size: int) -> Page:
        """Page `number` of `size`, asked for once; again only where the service wants to be waited for."""
        attempts = self._service.attempts(f"Datatrics: {self.resource.name}, in pieces of {size}")
        wanted = self._wanted(number, size)
        while True:
            body = b""
            try:
                body = self._service.ask(wanted)
                page = _read_mended(number, body)
            except TransientError as error:
                if error.wait_s is None:
                    if isinstance(error, BadAnswerError):
                        came = error.body
                    else:
                        came = body
                    raise PieceFailsError(error.reason, came) from None
                attempts.wait_after(error)
            else:
                self._note_answer(wanted)
                return page

    def wait_until_well(self) -> None:
        """Returns once the service answers what it has answered before. Raises GaveUp."""
        attempts = self._service.attempts(f"Datatrics: {self.resource.name}")
        # In turn, since a bad record may have moved to where another one was.
        candidates = cycle([*self._good, *(self._wanted(place + 1, 1) for place in (0, 1, 2))])
        for wanted in candidates:
            try:
                page = _read_mended(1, self._service.ask(wanted))
            except TransientError as error:
                attempts.wait_after(error)
            else:
                self._set_aside.append(self.store(replace(page, number=0)))
                return


def _beyond_bounds(items: Mapping[int, bytes]) -> Iterator[BadPlace]:
    """The records, by place, that came and are not taken."""
    for place, item in items.items():
        why = why_beyond_bounds(item)
        if why is not None:
            yield BadPlace(place, why, item)


def _read_mended(number: int, body: bytes) -> Page:
    try:
        return read_page(number, body)
    except DamagedTextError:
        return read_damaged_page(number, body)


def store_page(
    page: Page, spool: Spool, fields: IdentityFields, first_place: int | None = None
) -> PageEntry:
    """The page's entry, its file written; it does not count yet. Runs in any thread.

    `first_place`: that of the first record in the whole list, from 0; None where the page stands for no place, and a
    record beyond the bounds is not noted.
    """
    received = page.items
    page, beyond = take_within_bounds(page)
    records = identify_page(page.number, page.items, fields)
    damaged = sorted(page.damaged)
    for row in damaged:
        # What an id was cannot be told any more; two records could look like one.
        if _is_mended(records.ids[row]) or _is_mended(records.sources[row]):
            records.ids[row] = None
    entry = PageEntry(
        number=page.number,
        rows=len(page.items),
        bytes=sum(map(len, page.items)),
        identities_sha256=identities_digest(records),
        file="",
        file_sha256="",
        announced_records=page.announced_records,
        announced_pages=page.announced_pages,
        damaged=tuple(damaged),
    )
    if beyond and first_place is not None:
        places = {first_place + row + 1: row for row in beyond}
        unread = tuple(
            Unread(place, beyond[row], spool.keep_bytes(place, received[row]))
            for place, row in places.items()
        )
        # Without them the page is smaller than the service's pages are.
        entry = replace(entry, unread=unread, in_pieces=True)
    return spool.write(records, entry, [page.damaged[row] for row in damaged])


def _is_mended(text: str | None) -> bool:
    return text is not None and "\N{REPLACEMENT CHARACTER}" in text
