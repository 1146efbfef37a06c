"""Reads a list to its end, and again where it has moved, until nothing more is to be learnt or a bound is reached.

After the last page the first one is read once more, for the totals, and the last one too. Where only
new records came at the end, reading goes on from there. Where anything else moved, records may have
slid past us from one page to another, so the list is read again from the first page that can have
moved. Where nothing seems to have moved, the tails of pages are looked at too.

What any reading has delivered is kept: the snapshot is the union of all readings. A record that the
last one lacks is asked for alone: it is still there, or it has vanished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from migrate.moments import is_later
from migrate.sentence import Sentence
from migrate.snapshot.records import IdentityFields
from migrate.snapshot.same_records import (
    DuplicateSurvey,
    StoredRow,
    Stray,
    Strays,
    find_strays,
    keep_strays,
    moments_of,
    read_rows,
    survey,
)
from migrate.snapshot.spool import AskedAs, PageEntry
from migrate.source.fetch import NothingAnswers, PageSize
from migrate.source.page_tails import (
    NO_TAILS,
    SourceChange,
    Tails,
    compare_last_readable,
    compare_page,
    look_at_tails,
)
from migrate.source.paging import Paging
from migrate.source.read_pages import Found, ListContext, ask_alone, look_of, page_of, read_pages
from migrate.source.resources import CREATED
from migrate.source.verdict import (
    MOST_READINGS,
    Observation,
    Seen,
    change_of_totals,
    next_first_page,
)

# Larger pages take long to answer, and a page that fails costs all of it again.
LARGEST_PAGE_BYTES = 8_000_000
"""How much is asked for at once where many pages lose some records."""


@dataclass(frozen=True)
class ListReading:
    """A list whose records are in the spool.

    `left_out`: the rows that are in no part, by entry. `kept`: records of earlier readings that the
    last one lacks and that are in the parts. `vanished`: those that the service no longer has, as
    `_source`, `_id`, `_page`, `_raw`.
    """

    observation: Observation
    survey: DuplicateSurvey
    resumed_pages: int
    left_out: Mapping[int, list[int]] = field(default_factory=dict)
    kept: int = 0
    vanished: pl.DataFrame = field(default_factory=pl.DataFrame)


def read_list(context: ListContext) -> ListReading:
    """Everything of one list in the spool, with what is to be known for its verdict.

    **Guarantees**: at most `MOST_READINGS` readings; a record that any of them delivered is in the
    parts, or among the vanished.

    **Raises**: Interrupted; Refused; Unreachable; GaveUp.
    """
    return _Reader(context).run()


@dataclass(frozen=True)
class _SecondLook:
    """What became of the first and the last page. `unmoved` as in `Seen`."""

    change: SourceChange
    announced: int | None
    unmoved: int


@dataclass(frozen=True)
class _Round:
    """One reading: which, from which page on, and what was announced right before it, if it goes on from another.

    `is_mixed`: pages of an earlier moment count beside those read now.
    """

    reading: int = 1
    first_page: int = 1
    is_mixed: bool = False
    announced_before: int | None = None


@dataclass(frozen=True)
class _Read:
    """What a reading brought. `totals` were announced one after another, from its start to its end."""

    seen: Seen
    totals: Sequence[int | None]
    tails: Tails
    survey: DuplicateSurvey
    strays: Strays
    troubles: Sequence[str]


class _Reader:
    def __init__(self, context: ListContext) -> None:
        self._context = context
        self._spool = context.spool
        self._size = PageSize(context.fetcher.limit)

    def run(self) -> ListReading:
        resumed = self._keep_what_still_holds()
        this = _Round(is_mixed=resumed > 0)
        while True:
            read = self._read(this)
            again_from = next_first_page(read.seen)
            if again_from is None:
                reading = ListReading(self._observe(read), read.survey, resumed)
                return self._unite(reading, read.strays)
            has_grown = read.seen.change is SourceChange.GROWN
            this = _Round(
                reading=this.reading + 1,
                first_page=again_from,
                is_mixed=again_from > 1,
                announced_before=read.seen.announced if has_grown else None,
            )
            self._begin_again(this, read.seen)

    def _read(self, this: _Round) -> _Read:
        """Reads to the end, and looks again at what can tell whether the list has moved meanwhile."""
        paging = self._read_on()
        before = paging.totals_restored if this.reading == 1 else []
        if this.announced_before is not None:
            before = [this.announced_before]
        totals = [*before, *paging.totals_taken]
        # A record that went from a page already read pulled all others forward, and nothing else shows it.
        look = self._look_again(totals)
        tails = NO_TAILS
        # A list that has grown is read on to first; where it grows on and on, something else may move as well.
        if look.unmoved and (look.change is not SourceChange.GROWN or this.reading > 1):
            every = this.is_mixed and this.reading > 1
            tails = look_at_tails(self._context, self._size, every=every)
        for entry in self._context.fetcher.take_set_aside():
            self._spool.add_aside(entry)
        found = survey(self._spool, self._fields)
        strays = find_strays(self._spool, self._fields, this.first_page)
        seen = self._sum_up(this, look, tails, found, strays)
        return _Read(seen, totals, tails, found, strays, tuple(paging.troubles))

    def _observe(self, read: _Read) -> Observation:
        change = read.seen.change
        return Observation(
            announced_start=read.totals[0] if read.totals else None,
            announced_end=read.seen.announced,
            distinct=read.survey.distinct,
            moved=change in (SourceChange.GROWN, SourceChange.MOVED),
            rounds=read.seen.readings - 1,
            swapped=change is SourceChange.SWAPPED,
            asked_as=_way_of_asking(self._spool.asked_as),
            troubles=read.troubles,
            tails_seen=read.tails.seen,
            pages_with_tails=read.tails.pages,
        )

    @property
    def _fields(self) -> IdentityFields:
        return self._context.fetcher.resource.fields

    def _sum_up(
        self,
        this: _Round,
        look: _SecondLook,
        tails: Tails,
        found: DuplicateSurvey,
        strays: Strays,
    ) -> Seen:
        entries = self._spool.entries()
        return Seen(
            readings=this.reading,
            change=max(look.change, tails.change),
            announced=look.announced,
            delivered=found.distinct,
            known=found.distinct + len(strays.missing),
            duplicates=found.duplicates,
            lost_places=sum(len(entry.unread) for entry in entries),
            unknown_before=strays.unknown_before,
            is_mixed=this.is_mixed,
            unmoved=tails.unmoved if look.unmoved else 0,
            last_page=entries[-1].number if entries else 0,
        )

    def _begin_again(self, this: _Round, seen: Seen) -> None:
        context = self._context
        is_swapped = seen.change is SourceChange.SWAPPED
        why = "the source has moved"
        if is_swapped:
            why = "records of equal `created` come in another order each time"
        if this.first_page > 1:
            place = f" from page {this.first_page:,}"
        else:
            place = ""
        context.progress.note(
            f"{context.name}: {why}; reading again{place} "
            f"(reading {this.reading} of at most {MOST_READINGS})"
        )
        self._set_aside(this.first_page)
        if is_swapped:
            self._ask_in_another_way(seen)

    def _ask_in_another_way(self, seen: Seen) -> None:
        """Asks in an order without equals, where the service has one; else for pages as large as may be.

        Records of equal `created` slip through between two pages, so fewer pages lose fewer; and a
        list that comes in one answer loses none.
        """
        fetcher = self._context.fetcher
        if fetcher.order.sort == CREATED[0] and fetcher.by_identity() is not None:
            asked_as = AskedAs(fetcher.resource.fields.id[0], fetcher.limit)
        else:
            fits = self._records_that_fit(LARGEST_PAGE_BYTES)
            asked_as = AskedAs(CREATED[0], max(fetcher.limit, min(fits, seen.announced or fits)))
        self._spool.ask_as(asked_as)
        self._spool.note_page_places(0)
        self._ask_as(asked_as)

    def _records_that_fit(self, size_bytes: int) -> int:
        stored = self._spool.stored()
        rows = sum(entry.rows for entry in stored)
        record_bytes = sum(entry.bytes for entry in stored) / max(rows, 1)
        return int(size_bytes / max(record_bytes, 1))

    def _ask_as(self, asked_as: AskedAs) -> None:
        fetcher = self._context.fetcher
        order = replace(fetcher.order, sort=asked_as.sort)
        self._context = replace(self._context, fetcher=fetcher.sorted(order, asked_as.limit))

    def _set_aside(self, first_page: int) -> None:
        context = self._context
        context.spool.set_aside(first_page)
        context.progress.end(context.name)
        begin_task(context)

    def _keep_what_still_holds(self) -> int:
        """How many pages of an earlier run remain: all, or none where the source has moved since."""
        context, spool = self._context, self._spool
        self._check_range_that_gave_no_answer()
        if spool.asked_as is not None:
            self._ask_as(spool.asked_as)
        self._size = PageSize(spool.page_places or self._context.fetcher.limit)
        stored = spool.entries()
        if not stored:
            return 0
        # The last page is where a resume goes on: if it has moved, so may all before it have.
        change, entry = self._look_at_page(stored[-1])
        if change > SourceChange.GROWN:
            spool.add_aside(entry)
            self._set_aside(1)
            context.progress.note(
                f"{context.name}: the source has moved since the interruption; reading from the start"
            )
            return 0
        self._take_second_look(change, entry)
        return len(stored)

    def _check_range_that_gave_no_answer(self) -> None:
        """Raises NothingAnswers where an earlier run stopped because nothing was answered, and it is so still."""
        where = self._spool.no_answer_from
        fetcher = self._context.fetcher
        if where is not None and not fetcher.answers_at(where.position - 1):
            raise fetcher.nothing_answers(where.position - 1, where.reason, None)

    def _read_on(self) -> Paging:
        """Reads from what is stored to the end; from the start where pages turn out to be smaller."""
        context, spool = self._context, self._spool
        while True:
            paging = Paging(context.ahead, context.fetcher.limit, spool.page_places)
            for entry in spool.entries():
                paging.restore(look_of(entry))
            try:
                read_pages(context, paging)
            except NothingAnswers as error:
                spool.note_no_answer(error.where)
                raise
            if paging.smaller_pages is None:
                break
            spool.note_page_places(paging.smaller_pages)
            self._set_aside(1)
        self._size = PageSize(paging.page_places, announced=paging.announced_records)
        return paging

    def _look_again(self, totals: Sequence[int | None]) -> _SecondLook:
        context, stored = self._context, self._spool.entries()
        if not stored:
            entry = context.fetcher.fetch(1, self._size)
            self._spool.add_aside(entry)
            if entry.rows:
                change = SourceChange.MOVED
            else:
                change = SourceChange.NONE
            return _SecondLook(change, entry.announced_records, 0)
        if len(stored) > 1:
            ends = [stored[-1], stored[0]]
        else:
            ends = [stored[0]]
        with context.open_pool(len(ends)) as pool:
            looks = list(pool.map(self._look_at_page, ends))
        for change, entry in looks:
            self._take_second_look(change, entry)
        change, last = looks[0]
        first_change, first = looks[-1]
        if len(looks) > 1 and first_change is SourceChange.GROWN:
            # The first page has another one behind it: if it has grown, its records have slid.
            first_change = SourceChange.MOVED
        announced = last.announced_records
        if announced is None:
            announced = first.announced_records
        of_totals = change_of_totals([*totals, announced])
        is_first_unmoved = first_change is SourceChange.NONE
        is_located = is_first_unmoved and of_totals is not SourceChange.MOVED
        change = max(change, first_change, of_totals)
        return _SecondLook(change, announced, 1 if is_located else 0)

    def _look_at_page(self, stored: PageEntry) -> tuple[SourceChange, PageEntry]:
        """A page beside what it holds now; of one with unreadable records only its last readable one."""
        if not stored.unread:
            return compare_page(self._context, stored, self._size)
        return compare_last_readable(self._context, stored, self._size)

    def _take_second_look(self, change: SourceChange, entry: PageEntry) -> None:
        stored = self._spool.pages[entry.number]
        if entry.file == stored.file and entry.unread == stored.unread:
            return
        if change > SourceChange.GROWN or stored.unread:
            self._spool.add_aside(entry)
        else:
            self._spool.record(entry)

    def _unite(self, reading: ListReading, strays: Strays) -> ListReading:
        """The reading with what earlier ones delivered beyond it."""
        if not (strays.missing or strays.nameless or strays.newer):
            self._spool.keep_aside([])
            return replace(reading, left_out=reading.survey.left_out)
        alone = ask_alone(self._context, strays.missing, self._any_delivered())
        kept = [*alone.there, *alone.unknown]
        # A record without an id cannot be asked for, nor told from an older version of another one.
        vanished = read_rows(self._spool, [stray.at for stray in (*alone.gone, *strays.nameless)])
        left_out = {page: list(rows) for page, rows in reading.survey.left_out.items()}
        kept_rows = self._take_newer_bodies(alone)
        for stray, delivered in strays.newer:
            kept_rows.append(stray)
            left_out.setdefault(delivered.entry, []).append(delivered.row)
        left_out |= keep_strays(self._spool, [*kept_rows, *alone.unknown])
        seen = reading.observation
        observation = replace(
            seen,
            distinct=seen.distinct + len(kept),
            found_alone=len(alone.there),
            not_to_be_asked=len(alone.unknown),
            vanished=vanished.height,
        )
        return replace(
            reading,
            observation=observation,
            left_out=left_out,
            kept=len(kept),
            vanished=vanished,
        )

    def _take_newer_bodies(self, found: Found) -> list[Stray]:
        """The records found alone, in what came just now unless it says to be older than what came before."""
        if not found.bodies:
            return []
        entry = self._context.fetcher.store(page_of(found.bodies))
        self._spool.add_aside(entry)
        number = self._spool.aside[-1].number
        moments = moments_of(self._spool.read(self._spool.aside[-1]).items, self._fields)
        chosen = []
        for row, (stray, updated) in enumerate(zip(found.there, moments, strict=True)):
            # Where it cannot be told which is newer, the later answer counts.
            is_older = is_later(updated, stray.updated) is False
            at = stray.at if is_older else StoredRow(number, row)
            chosen.append(replace(stray, at=at))
        return chosen

    def _any_delivered(self) -> Stray | None:
        for entry in self._spool.filled():
            for row, (source, id_) in enumerate(zip(*self._spool.identities(entry), strict=True)):
                if source is not None and id_ is not None:
                    return Stray(StoredRow(entry.number, row), source, id_, None)
        return None


def _way_of_asking(asked_as: AskedAs | None) -> str | None:
    if asked_as is None:
        return None
    if asked_as.sort != CREATED[0]:
        return Sentence("sorted by `{field}`", field=asked_as.sort)
    return Sentence("in pages of {count}", count=asked_as.limit)


def begin_task(context: ListContext) -> None:
    """Shows the list as a task, with what is stored of it."""
    stored = sum(entry.rows for entry in context.spool.entries())
    context.progress.begin(context.name, total=None, unit="records", done=stored)
