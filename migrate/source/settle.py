"""Reads a resource until the source stands still, or a bound is reached.

After the last page the first one is read once more, for the totals, and the last one too. Where only new records came
at the end, reading goes on from there. Where anything else moved, records may have slid past us from one page to
another, and everything is read again. Where nothing seems to have moved, the ends of pages are looked at too.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from migrate.snapshot.spool import PageEntry
from migrate.snapshot.survey import DuplicateSurvey, survey
from migrate.source.crawl import Crawl, SourceChange, look_of
from migrate.source.page_tails import look_at_ends
from migrate.source.paging import Paging
from migrate.source.verdict import NO_ENDS, Ends, Observation

MAX_ROUNDS = 3


@dataclass(frozen=True)
class ListReading:
    """A resource whose pages all count in the spool."""

    observation: Observation
    survey: DuplicateSurvey
    resumed_pages: int


@dataclass(frozen=True)
class _SecondLook:
    change: SourceChange
    announced: int | None


def read_until_settled(crawl: Crawl) -> ListReading:
    """Everything of one resource in the spool, with what is to be known for its verdict.

    **Guarantees**: at most `MAX_ROUNDS` readings after the first one.
    """
    resumed = _keep_what_still_holds(crawl)
    paging = _read_on(crawl)
    totals = [*paging.totals_restored, *paging.totals_taken]
    rounds, is_mixed = 0, resumed > 0
    while True:
        look = _look_again(crawl, totals)
        found = survey(crawl.spool, crawl.resource.fields)
        change, ends = _confirm(
            crawl, look, found, is_mixed=is_mixed, has_grown=is_mixed and rounds > 0
        )
        if change is SourceChange.NONE or rounds == MAX_ROUNDS:
            break
        rounds += 1
        is_mixed = change is SourceChange.GROWN
        crawl.progress.note(
            f"{crawl.resource.name}: the source has moved; reading again (round {rounds})"
        )
        if change is SourceChange.MOVED:
            crawl.begin_again()
        paging = _read_on(crawl)
        totals = [look.announced, *paging.totals_taken] if is_mixed else list(paging.totals_taken)
    moved, troubles = change is not SourceChange.NONE, tuple(paging.troubles)
    seen = Observation(
        totals[0], look.announced, found.distinct, moved, rounds, troubles, ends=ends
    )
    return ListReading(seen, found, resumed)


def _confirm(
    crawl: Crawl, look: _SecondLook, found: DuplicateSurvey, *, is_mixed: bool, has_grown: bool
) -> tuple[SourceChange, Ends]:
    """What the second look saw, and where that was nothing, whether the pages between first and last agree.

    Pages of different moments have to add up. Of a list that has grown every end is looked at: totals that fell in
    between look as if answers had overtaken one another.
    """
    if look.change is not SourceChange.NONE:
        return look.change, NO_ENDS
    if is_mixed and look.announced not in (None, found.distinct):
        return SourceChange.MOVED, NO_ENDS
    ends = look_at_ends(crawl, every=has_grown)
    return (SourceChange.NONE if ends.hold else SourceChange.MOVED), ends


def _keep_what_still_holds(crawl: Crawl) -> int:
    """How many pages of an earlier run remain: all, or none where the source has moved since."""
    stored = crawl.spool.entries()
    if not stored:
        return 0
    change, entry = crawl.compare(stored[-1])
    if change is SourceChange.MOVED:
        crawl.spool.discard(entry)
        crawl.begin_again()
        crawl.progress.note(
            f"{crawl.resource.name}: the source has moved since the interruption; starting again"
        )
        return 0
    crawl.spool.record(entry)
    return len(stored)


def _read_on(crawl: Crawl) -> Paging:
    paging = Paging(crawl.ahead)
    for entry in crawl.spool.entries():
        paging.restore(look_of(entry))
    crawl.read_to_end(paging)
    return paging


def _look_again(crawl: Crawl, totals: Sequence[int | None]) -> _SecondLook:
    stored = crawl.spool.entries()
    if not stored:
        entry = crawl.fetch(1)
        crawl.spool.discard(entry)
        return _SecondLook(
            SourceChange.MOVED if entry.rows else SourceChange.NONE, entry.announced_records
        )
    ends = [stored[-1], stored[0]] if len(stored) > 1 else [stored[0]]
    with ThreadPoolExecutor(len(ends), thread_name_prefix="look") as pool:
        (change, entry), *of_first = pool.map(crawl.compare, ends)
    announced = entry.announced_records
    for first_change, first_entry in of_first:
        # The first page has another one behind it: if it has grown, its records have slid.
        change = change if first_change is SourceChange.NONE else SourceChange.MOVED
        crawl.spool.discard(first_entry)
    _replace_or_discard(crawl, change, entry)
    return _SecondLook(
        max(change, _change_of_totals([*totals, announced]), key=lambda c: c.value), announced
    )


def _change_of_totals(totals: Sequence[int | None]) -> SourceChange:
    """What totals say that were announced one after another, those between the first and the last in any order."""
    known = [total for total in totals if total is not None]
    if len(set(known)) <= 1:
        return SourceChange.NONE
    return (
        SourceChange.GROWN
        if all(known[0] <= total <= known[-1] for total in known)
        else SourceChange.MOVED
    )


def _replace_or_discard(crawl: Crawl, change: SourceChange, entry: PageEntry) -> None:
    if change is SourceChange.MOVED:
        crawl.spool.discard(entry)
    else:
        crawl.spool.record(entry)
