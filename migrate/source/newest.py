"""Reads a list newest first, by `updated`, until a watermark is safely passed; or finds that the server cannot do it.

That an answer is sorted as asked is not believed but seen: `updated` falls from record to record while `created` does
not. A server that ignores `sort`, a list whose records have no `updated`, or one that shows no record that was updated
after it was created, is not read this way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import polars as pl

from migrate.snapshot.records import pick_fields
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.resources import CREATED

# Time stamps without a zone may be up to 14 hours from UTC, and clocks differ.
MARGIN = timedelta(hours=24)
MAX_ROUNDS = 3
_UPDATED = ("updated", "metadata.updated")
_MOMENT = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d"


class Sorted(Enum):
    """What the pages read so far say about the server's order."""

    YES = "yes"
    MAYBE = "maybe"
    NO = "no"


@dataclass(frozen=True)
class Newest:
    """Pages read newest first. `total` is what the server announced, the same before and after."""

    total: int
    pages: int


class _Watch:
    """Looks at pages in the order they were asked for."""

    def __init__(self, floor: str) -> None:
        self._floor = floor
        self._last_updated: str | None = None
        self._last_created: str | None = None
        self.order = Sorted.MAYBE
        self.passed = False

    def see(self, moments: Sequence[tuple[str | None, str | None]]) -> None:
        """Takes a page's `updated` and `created`, in order."""
        for updated, created in moments:
            if updated is None or (self._last_updated is not None and updated > self._last_updated):
                self.order = Sorted.NO
                return
            if created is not None:
                if self._last_created is not None and created > self._last_created:
                    self.order = Sorted.YES
                self._last_created = created
            self._last_updated = updated
        self.passed = self._last_updated is not None and self._last_updated < self._floor


def read_newest(
    spool: Spool,
    fetch: Callable[[int], PageEntry],
    oldest: Callable[[], PageEntry],
    since: datetime,
) -> Newest | None:
    """The pages down to the watermark, in the spool; None, and nothing in the spool, where the server cannot do it.

    `fetch` asks for a page newest first, `oldest` for one record oldest first: records without `updated` come there.
    """
    floor = (since - MARGIN).strftime("%Y-%m-%d %H:%M")
    for _ in range(MAX_ROUNDS):
        spool.forget(1)
        found = _read_once(spool, fetch, floor)
        if found is None or not _has_updated(spool, oldest()):
            break
        again = fetch(1)
        is_still = (
            again.identities_sha256 == spool.pages[1].identities_sha256
            if 1 in spool.pages
            else not again.rows
        )
        spool.discard(again)
        if is_still and again.announced_records == found.total:
            return found
    spool.set_aside(1)
    return None


def _read_once(spool: Spool, fetch: Callable[[int], PageEntry], floor: str) -> Newest | None:
    watch, number, totals = _Watch(floor), 0, set[int | None]()
    while not watch.passed:
        number += 1
        entry = fetch(number)
        spool.record(entry)
        totals.add(entry.announced_records)
        if entry.unread or len(totals) > 1:
            return None
        if not entry.rows:
            break
        watch.see(_moments(spool, entry))
        if watch.order is Sorted.NO:
            return None
    total = totals.pop()
    seen_whole = (
        not watch.passed
    )  # the end came before the watermark: there is nothing that the order could hide
    if total is None or not (seen_whole or watch.order is Sorted.YES):
        return None
    return Newest(total, number)


def _has_updated(spool: Spool, entry: PageEntry) -> bool:
    moments = _moments(spool, entry) if entry.rows else []
    spool.discard(entry)
    return all(updated is not None for updated, _ in moments)


def _moments(spool: Spool, entry: PageEntry) -> list[tuple[str | None, str | None]]:
    fields = pick_fields(spool.read(entry).items, (*_UPDATED, *CREATED))
    return list(
        fields.select(_moment(_UPDATED, "updated"), _moment(CREATED, "created")).iter_rows()
    )


def _moment(names: Sequence[str], alias: str) -> pl.Expr:
    texts = [pl.col(name).str.replace("T", " ", literal=True) for name in names]
    return pl.coalesce(*(pl.when(text.str.contains(_MOMENT)).then(text) for text in texts)).alias(
        alias
    )
