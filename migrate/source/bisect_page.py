"""A page that keeps failing, read in ever smaller pieces, to find the records that the service cannot deliver.

A piece of size s at offset o is page o / s + 1 of a list asked for with `limit=s`, so sizes must divide one another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from migrate.source.client import PageFailsError
from migrate.source.envelope import Page

Ask = Callable[[int, int, bool], Page]
"""Asks for page `number` of `size`; with True it is patient to the end of the retry budget, else it soon raises."""


@dataclass
class BisectedPage:
    """What could be read of a page. `unread` are the records that could not: offset in the list, and the reason."""

    items: list[bytes] = field(default_factory=list)
    unread: list[tuple[int, str]] = field(default_factory=list)
    announced_records: int | None = None
    announced_pages: int | None = None


class _Pieces:
    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._last_good: tuple[int, int] | None = None
        self.found = BisectedPage()

    def read(self, offset: int, size: int) -> None:
        """Takes the records of a piece; of its pieces, where it fails as well."""
        try:
            self._take(offset, size, is_patient=False)
        except PageFailsError:
            if size > 1:
                self.split(offset, size)
            else:
                self._read_one(offset)

    def split(self, offset: int, size: int) -> None:
        """Takes the records of a piece that is known to fail as a whole."""
        step = size // smallest_factor(size)
        for begin in range(offset, offset + size, step):
            self.read(begin, step)

    def _take(self, offset: int, size: int, *, is_patient: bool) -> None:
        page = self._ask(offset // size + 1, size, is_patient)
        self._last_good = (offset // size + 1, size)
        self.found.items += page.items
        if page.announced_records is not None:
            self.found.announced_records = page.announced_records

    def _read_one(self, offset: int) -> None:
        """Takes a record that has failed, or lists it as unread."""
        try:
            if self._last_good is not None:
                # The service may have gone down meanwhile. When this comes again it is up, and one more try is fair.
                self._ask(*self._last_good, True)
            self._take(offset, 1, is_patient=False)
        except PageFailsError as failure:
            self.found.unread.append((offset, failure.reason))

    @property
    def nothing_came(self) -> bool:
        return self._last_good is None


def read_in_pieces(ask: Ask, number: int, size: int, failure: PageFailsError) -> BisectedPage:
    """The records of page `number` that can be read, and which cannot. `failure` is how the whole page failed.

    **Raises**: PageFailsError when not one piece came; what a patient `ask` raises.
    """
    pieces = _Pieces(ask)
    if size > 1:
        pieces.split((number - 1) * size, size)
    else:
        pieces.found.unread.append((number - 1, failure.reason))
    if size > 1 and pieces.nothing_came:
        raise failure
    return pieces.found


def smallest_factor(number: int) -> int:
    """The smallest prime factor of a number above 1."""
    return next(
        (factor for factor in range(2, int(number**0.5) + 1) if number % factor == 0), number
    )
