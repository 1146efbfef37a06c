"""A range of places that fails as a whole, halved until the records behind it are alone. No I/O.

A piece is page `number` of a list asked for with `limit=size`, so it begins at a multiple of its
size. Pieces are therefore windows of 1, 2, 4, 8 … places on that grid; what they hold beyond the
range is left to its own page. One bad record among n costs about 2·log2(n) requests.

A piece on the way is asked for once: where that failed by accident, more pieces are asked for, and
nothing is lost. Only a single record is blamed, and only after a second try, right after something
else was answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from migrate.source.page import Page

MOST_TO_ASK_ONE_BY_ONE = 16
"""Places at the end of a list that are asked for one by one though none of them answers."""


RUN_TO_LOOK_BEHIND = 4
"""Records that fail one after another before it is asked whether anything behind them answers."""


class PieceFailsError(Exception):
    """A piece fails although the service is well; `body` is what came in its place, if anything."""

    def __init__(self, reason: str, body: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.body = body


class SmallerPagesError(Exception):
    """The service sends pages of `places` records, however many are asked for."""

    def __init__(self, places: int) -> None:
        super().__init__(places)
        self.places = places


class NoAnswerFromError(Exception):
    """From place `place` on, counted from 0, nothing is answered to the end of the list."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place
        self.reason = reason


Ask = Callable[[int, int], Page]
"""Asks once for page `number` of `size`. Raises PieceFailsError."""


@dataclass(frozen=True)
class BadPlace:
    """A record that cannot be read: its place from 0, why, and what came instead."""

    place: int
    reason: str
    body: bytes = field(repr=False)


@dataclass
class Bisected:
    """What could be read of a range, by place, and what could not.

    `has_moved`: the list had another number of records from one piece to the next.
    `damaged`: records as received whose `items` have U+FFFD in the place of some bytes.
    """

    items: dict[int, bytes] = field(default_factory=dict)
    damaged: dict[int, bytes] = field(default_factory=dict)
    unread: list[BadPlace] = field(default_factory=list)
    announced_records: int | None = None
    has_moved: bool = False


@dataclass(frozen=True)
class FailingRange:
    """Places `first` up to, without, `end`, counted from 0, that failed in one piece as `reason` says.

    `announced`: the records of the whole list; None where nobody said. `page_is_known`: whether a
    page is known to have as many places as asked for; where it is not, a short piece tells.
    """

    first: int
    end: int
    reason: str
    announced: int | None
    page_is_known: bool = True

    @property
    def total(self) -> int | None:
        """The records of the whole list, None where nobody said, or said what cannot be true."""
        is_true = self.announced is not None and self.announced > self.first
        return self.announced if is_true else None

    @property
    def last(self) -> int:
        """The end, but not beyond that of the list."""
        if self.total is None:
            return self.end
        return min(self.end, self.total)


class _Bisection:
    def __init__(self, failing: FailingRange, ask: Ask, is_well: Callable[[], None]) -> None:
        self._failing = failing
        self._ask = ask
        self._wait_until_well = is_well
        self._failures_before_any_answer = 0
        self._has_answer = False
        self._looked_behind = -1
        self.found = Bisected()

    def read_windows(self, first: int, end: int, size: int) -> None:
        """Takes what can be read of a range that fails as a whole, by windows of `size` places."""
        # Where the windows of the grid begin that have places of the range.
        windows = range(first - first % size, end, size)
        one_failed = False
        for start in windows:
            if start >= self._failing.last:
                break
            is_the_culprit = start == windows[-1] and not one_failed
            if size > 1 and is_the_culprit:
                # The others were answered, so this one fails: that need not be asked.
                self._halve(start, size)
            elif not self._read(start, size):
                one_failed = True

    def drop_places_behind_end(self) -> None:
        """Takes back what failed before it was known where the list ends."""
        total = self._failing.total
        last_read = max(self.found.items, default=-1)
        there = [
            bad for bad in self.found.unread if total is None or bad.place < max(total, last_read)
        ]
        self.found.unread = sorted(there, key=lambda bad: bad.place)

    def _halve(self, start: int, size: int) -> None:
        first = max(start, self._failing.first)
        end = min(start + size, self._failing.last)
        self.read_windows(first, end, size // 2)

    def _read(self, start: int, size: int) -> bool:
        """Takes a window; False where it failed, and then its halves were taken."""
        if size == 1:
            return self._read_one(start)
        try:
            page = self._ask(start // size + 1, size)
        except PieceFailsError as failure:
            self._note_failure(failure)
            self._halve(start, size)
            return False
        self._take(start, size, page)
        return True

    def _read_one(self, place: int) -> bool:
        if place in self.found.items:
            return True
        # Twice, since a record is blamed for good: what failed by accident must not be left out of a snapshot.
        for is_last_try in (False, True):
            try:
                self._take(place, 1, self._ask(place + 1, 1))
            except PieceFailsError as failure:
                self._note_failure(failure)
                if is_last_try:
                    self.found.unread.append(BadPlace(place, failure.reason, failure.body))
                    self._look_behind_run(failure)
                else:
                    # The service may have gone down meanwhile, and then no record is to blame.
                    self._wait_until_well()
            else:
                return True
        return False

    def _look_behind_run(self, failure: PieceFailsError) -> None:
        """Raises NoAnswerFromError where one record after another fails, and nothing behind them answers."""
        run = [bad.place for bad in self.found.unread[-RUN_TO_LOOK_BEHIND:]]
        is_run = len(run) == RUN_TO_LOOK_BEHIND and run[-1] - run[0] == len(run) - 1
        total = self._failing.total
        if not is_run or total is None or total - run[0] <= MOST_TO_ASK_ONE_BY_ONE:
            return
        if self._looked_behind == run[0] - 1:
            self._looked_behind = run[0]
            return  # the same run, one record longer
        self._looked_behind = run[0]
        first = run[-1] + 1
        # From the end backwards: what a service refuses to read so far is refused to the end.
        for place in dict.fromkeys([total - 1, (first + total) // 2, (3 * first + total) // 4]):
            try:
                self._take(place, 1, self._ask(place + 1, 1))
            except PieceFailsError:
                continue
            return
        raise NoAnswerFromError(run[0], failure.reason)

    def _take(self, start: int, size: int, page: Page) -> None:
        self._has_answer = True
        if page.announced_records is not None:
            announced = self.found.announced_records
            self.found.has_moved |= announced not in (None, page.announced_records)
            self.found.announced_records = page.announced_records
            if self._failing.announced is None:
                # From now on it is known where the list ends.
                self._failing = replace(self._failing, announced=page.announced_records)
        self._look_for_smaller_pages(start, size, page)
        for row, item in enumerate(page.items[:size]):
            if self._failing.first <= start + row < self._failing.end:
                self.found.items[start + row] = item
                if row in page.damaged:
                    self.found.damaged[start + row] = page.damaged[row]

    def _look_for_smaller_pages(self, start: int, size: int, page: Page) -> None:
        total = page.announced_records
        if self._failing.page_is_known or total is None or not page.items:
            return
        if len(page.items) < min(size, total - start):
            raise SmallerPagesError(len(page.items))

    def _note_failure(self, failure: PieceFailsError) -> None:
        if self._has_answer:
            return
        self._failures_before_any_answer += 1
        if self._failures_before_any_answer == 2:
            self._look_further(failure)

    def _look_further(self, failure: PieceFailsError) -> None:
        """Raises NoAnswerFromError where neither this range nor anything behind it answers."""
        first, last, total = self._failing.first, self._failing.last, self._failing.total
        end = last + 1 if total is None else total
        if end - first <= MOST_TO_ASK_ONE_BY_ONE:
            return
        if end > last:
            behind = [end - 1, last, (last + end) // 2]
        else:
            behind = []
        steps = 2 if behind else 4
        inside = [first + (last - 1 - first) * step // steps for step in range(steps + 1)]
        # The first places are the ones most likely to blame, so they are asked for last.
        for place in dict.fromkeys([*behind, *reversed(inside)]):
            try:
                page = self._ask(place + 1, 1)
            except PieceFailsError:
                continue
            # Also an answer without a record is one, as where the list has become shorter.
            self._take(place, 1, page)
            return
        raise NoAnswerFromError(first, failure.reason)


def bisect_page(failing: FailingRange, ask: Ask, wait_until_well: Callable[[], None]) -> Bisected:
    """The records of a range that can be read, and the places that cannot.

    `wait_until_well` returns once the service answers something else.

    **Guarantees**: every place of the range that the announced total allows is in exactly one of
    `items` and `unread`, or lies behind the end of the list.

    **Raises**: NoAnswerFromError; SmallerPagesError; what `wait_until_well` raises.
    """
    places = failing.last - failing.first
    bisection = _Bisection(failing, ask, wait_until_well)
    if places <= 0:
        return bisection.found
    bisection.read_windows(failing.first, failing.last, _power_of_two_below(places))
    bisection.drop_places_behind_end()
    return bisection.found


def _power_of_two_below(places: int) -> int:
    """The largest power of two below a number, 1 for 1 and 2."""
    return 1 << max(0, (places - 1).bit_length() - 1)
