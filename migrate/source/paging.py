"""Which page to ask for next, and what to make of one that came. No I/O, no clock.

The server may cap `limit`, ignore `page`, repeat its last page, announce too much, too little or nothing. What it
announces only widens the view ahead. The end is where it has to be on any server: at a page without new records that
lies behind everything announced. Behind it no page is asked for, so every reading ends:

- a page without records that is announced, or where nothing is announced, is asked for once more, then read past;
- a page that holds what an earlier one held is asked for once more, then read past and not kept;
- ten empty or three repeating pages on end are the end, whatever is announced, and so are pages
  without end that hold nothing but unreadable records, behind everything announced.

Which places of the list a page stands for follows from what was asked for, and from the first page that came in
one answer: one that is short although more is announced shows a server that sends pages of that size, however many
are asked for.
It never follows from what could be read. Until it is known, one page is asked for at a time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from itertools import filterfalse, islice

from migrate.sentence import Sentence

# Bounds, since no server may keep a reading for ever: what it announces only widens the view ahead.
EMPTY_BOUND = 10
REPEAT_BOUND = 3
UNREAD_BOUND = 16


@dataclass(frozen=True)
class Look:
    """What paging needs to know of a page: its records only by two digests."""

    number: int
    rows: int
    sha256: str
    identities_sha256: str
    announced_records: int | None
    announced_pages: int | None
    unread: int = 0
    in_pieces: bool = False


class PageOutcome(Enum):
    """What to do with a page that came."""

    KEEP = "keep"
    AGAIN = "again"
    VOID = "void"


class Paging:
    """The state of reading one list from its first page to its end.

    `limit`: records asked for with each page. `page_places`: what a page is known to have, if so.
    """

    def __init__(self, ahead: int, limit: int, page_places: int | None = None) -> None:
        self._ahead = ahead
        self._limit = limit
        self.page_is_known = page_places is not None
        self.page_places = page_places or limit
        self.smaller_pages: int | None = None
        self._short_page: int | None = None
        self._kept: set[int] = set()
        self._empty: set[int] = set()
        self._repeats: set[int] = set()
        self._asked_again: set[int] = set()
        self._page_of: dict[str, int] = {}
        self._next = 1
        self._empty_run = self._repeat_run = 0
        self._kept_behind = 0
        self._unread_only: dict[int, int] = {}
        self._unread_run = 0
        self.total_is_wrong = False
        self.ended = False
        self.totals_restored: list[int | None] = []
        self.totals_taken: list[int | None] = []
        self.announced_records: int | None = None
        self.announced_pages: int | None = None
        self.troubles: list[str] = []

    def restore(self, look: Look) -> None:
        """Takes a page that an earlier run kept."""
        self.totals_restored.append(look.announced_records)
        self._learn(look)
        self._keep(look)
        self._advance()

    def take(self, look: Look) -> PageOutcome:
        """What to do with a page that came; its number is no longer in flight."""
        if look.rows or not look.in_pieces:
            # A page of which nothing was answered announces nothing.
            self.totals_taken.append(look.announced_records)
        self._learn(look)
        outcome = self._judge(look)
        if outcome is PageOutcome.AGAIN:
            self._asked_again.add(look.number)
        elif outcome is PageOutcome.KEEP:
            self._keep(look)
        self._advance()
        return outcome

    def wants(self, in_flight: Collection[int]) -> list[int]:
        """The pages to ask for now, in order, at most as many as may be in flight beside those that are."""
        if self.ended:
            return []
        most = self._ahead if self.page_is_known else 1
        room = max(0, most - len(in_flight))
        settled = (self._kept, self._empty, self._repeats, in_flight)
        numbers = range(self._next, self._last_worth_asking() + 1)

        # Asked of each and not of their union: that would copy all pages of a long list at every call.
        def is_settled(number: int) -> bool:
            return any(number in pages for pages in settled)

        return list(islice(filterfalse(is_settled, numbers), room))

    @property
    def horizon(self) -> int:
        """The last page that should hold records by what was announced last; 0 when nothing was."""
        if self.announced_records == 0:
            return 0
        by_records = -(-(self.announced_records or 0) // self.page_places)
        return max(self.announced_pages or 0, by_records)

    def _last_worth_asking(self) -> int:
        if self._next == 1:
            return 1
        if self._next <= self.horizon:
            # What lies behind the announced end is judged by what lies before it, so it is asked for last.
            return self.horizon
        last = self._next + min(self._ahead, max(1, self._kept_behind)) - 1
        voids = [number for number in self._empty | self._repeats if number > self.horizon]
        return min([last, *voids])

    def _learn(self, look: Look) -> None:
        if look.announced_records is not None:
            self.announced_records = look.announced_records
        if look.announced_pages is not None:
            self.announced_pages = look.announced_pages
        if look.rows and not look.in_pieces and not self.page_is_known:
            self._learn_page(look.number, look.rows)

    def _learn_page(self, number: int, rows: int) -> None:
        """Takes what the size of a page that came in one answer says of all pages."""
        total = self.announced_records
        if number == 1 or rows >= self._limit:
            self.page_is_known = True
            if rows < self._limit and (total is None or total > rows):
                self.page_places = rows
            return
        # The first page came in pieces, and was taken for as many places as were asked for.
        if self._short_page is not None:
            self.smaller_pages = self._short_page
        elif total is None:
            self._short_page = rows  # or it is the last one: the next page tells
        elif number * self._limit <= total:
            self.smaller_pages = rows
        else:
            self.page_is_known = True

    def _judge(self, look: Look) -> PageOutcome:
        again = look.number not in self._asked_again
        # Places whose records could not be read are places all the same; the page stands for them.
        if look.unread and look.rows == 0:
            return PageOutcome.KEEP
        if look.rows == 0:
            # A server that is short of time may answer with nothing: one that means it says so twice.
            announced = look.number <= self.horizon
            if again and (announced or (self.announced_records is None and look.number > 1)):
                return PageOutcome.AGAIN
            if announced:
                self.troubles.append(
                    Sentence(
                        "page {page} of {of} announced came back empty twice",
                        page=look.number,
                        of=self.horizon,
                    )
                )
            self._empty.add(look.number)
            return PageOutcome.VOID
        earlier = self._page_of.get(look.sha256) or self._page_of.get(look.identities_sha256)
        if earlier is None or earlier == look.number:
            return PageOutcome.KEEP
        if again:
            return PageOutcome.AGAIN
        self.troubles.append(
            Sentence("page {page} repeats page {earlier}", page=look.number, earlier=earlier)
        )
        self._repeats.add(look.number)
        return PageOutcome.VOID

    def _keep(self, look: Look) -> None:
        self._kept.add(look.number)
        self.total_is_wrong |= bool(look.rows) and look.number > self.horizon > 0
        if look.unread and not look.rows:
            self._unread_only[look.number] = look.unread
        if look.rows == 0:
            return
        self._page_of.setdefault(look.sha256, look.number)
        self._page_of.setdefault(look.identities_sha256, look.number)

    def _count_unread(self, number: int) -> None:
        """Ends the list where page after page behind everything announced holds nothing that can be read."""
        unread = self._unread_only.get(number, 0)
        self._unread_run = self._unread_run + unread if unread else 0
        if self._unread_run > UNREAD_BOUND and number > self.horizon:
            self.troubles.append(
                Sentence(
                    "nothing could be read up to page {page}, and no end was seen", page=number
                )
            )
            self.ended = True

    def _advance(self) -> None:
        while not self.ended:
            number = self._next
            if number in self._kept:
                self._empty_run = self._repeat_run = 0
                self._kept_behind += number > self.horizon
                self._count_unread(number)
            elif number in self._empty:
                self._empty_run += 1
            elif number in self._repeats:
                self._repeat_run += 1
            else:
                return
            void = number not in self._kept
            self.ended |= (void and number > self.horizon) or (
                self._empty_run >= EMPTY_BOUND or self._repeat_run >= REPEAT_BOUND
            )
            self._next += 1
