"""What can be said of a list that was read, and whether reading it again would tell more. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from migrate.sentence import Sentence, one_after_other
from migrate.source.page_tails import SourceChange

Verdict = Literal["proven", "drifted", "unproven"]
# The first one and three more: what a source at work moves in that time it will go on moving.
MOST_READINGS = 4


EARLIER = {
    "found_alone": "{count} of earlier readings asked for alone and there",
    "not_to_be_asked": "{count} of earlier readings that could not be asked for",
    "vanished": "{count} more have vanished from the source meanwhile",
}
"""What became of records that only an earlier reading had, by the count of an observation."""
UNFIT = {
    "unread": ("{count} record could not be read", "{count} records could not be read"),
    "damaged": (
        "{count} record holds bytes that are no UTF-8",
        "{count} records hold bytes that are no UTF-8",
    ),
    "unparsed": ("{count} record or value is no JSON", "{count} records or values are no JSON"),
}
"""What keeps a resource from being whole, by the count of an observation."""


@dataclass(frozen=True)
class Observation:
    """The last reading of a list: what was announced at its start and after its end, what is stored now.

    `moved`: the first or last page, a total on the way, or a page's tail was not what it had been.
    `rounds`: the readings after the first one. `swapped`: nothing moved but records with the same
    `created`; `asked_as`: that was so before, and so the list was asked for in another way, in
    these words. `troubles` is what paging noticed.

    `distinct` counts the records of all readings; of those that the last one lacks, `found_alone`
    were there when asked for alone, and `not_to_be_asked` could not be asked for. `vanished` are
    gone, and not counted. `damaged` hold bytes that are no UTF-8; `unread` could not be read, and
    are not counted either. `unparsed` are, or hold, text that is no JSON.

    `partly` says of a list that was not read to its end, on purpose, what was read; `distinct` is
    that part.
    """

    announced_start: int | None
    announced_end: int | None
    distinct: int
    moved: bool
    rounds: int
    troubles: Sequence[str] = ()
    tails_seen: int = 0
    pages_with_tails: int = 0
    partly: str | None = None
    swapped: bool = False
    found_alone: int = 0
    not_to_be_asked: int = 0
    vanished: int = 0
    damaged: int = 0
    unread: int = 0
    unparsed: int = 0
    asked_as: str | None = None


def judge(seen: Observation) -> tuple[Verdict, str]:
    """The verdict and its reason in one sentence."""
    if seen.partly is not None:
        return "unproven", seen.partly
    start, end = seen.announced_start, seen.announced_end
    if start is None or end is None:
        received = Sentence(
            "{count} record was received", "{count} records were received", count=seen.distinct
        )
        return "unproven", one_after_other([_no_total(start, end), _of_readings(received, seen)])
    noticed = _noticed(seen)
    counted = _of_readings(count_text(end, seen.distinct), seen)
    # A source that moved comes before all doubt about records: their number may have changed with it.
    if start != end or seen.moved:
        return "drifted", one_after_other([*noticed, _drift(start, end, seen), counted])
    is_whole = end == seen.distinct
    if seen.swapped and not is_whole:
        return "drifted", one_after_other([*noticed, _swapped(), counted])
    if noticed or not is_whole:
        return "unproven", one_after_other([*noticed, counted])
    whole = Sentence(
        "{announced} announced before and after, {distinct} distinct records received",
        announced=end,
        distinct=seen.distinct,
    )
    order = [_swapped()] if seen.swapped else []
    return "proven", one_after_other([_of_readings(_with_tails(whole, seen), seen), *order])


def count_text(announced: int, distinct: int) -> Sentence:
    """Whether as many records came as were announced."""
    if announced == distinct:
        return Sentence("{count} announced and as many distinct records received", count=announced)
    return Sentence(
        "{announced} announced but {distinct} distinct records received ({difference})",
        announced=announced,
        distinct=distinct,
        difference=signed(distinct - announced),
    )


def signed(number: int) -> Sentence:
    """A number with its sign."""
    return Sentence("-{number}" if number < 0 else "+{number}", number=abs(number))


def _no_total(start: int | None, end: int | None) -> Sentence:
    if start is None and end is None:
        return Sentence("the server announced no total anywhere")
    if start is None:
        return Sentence("the server announced no total at the start")
    return Sentence("the server announced no total at the end")


def _with_tails(whole: Sentence, seen: Observation) -> Sentence:
    # In a list without an order a page's end proves nothing, so it is not boasted of.
    if not seen.tails_seen or seen.swapped:
        return whole
    tails = Sentence(
        "{seen} of {of} page ends seen again in their place",
        seen=seen.tails_seen,
        of=seen.pages_with_tails,
    )
    return Sentence("{first}, {more}", first=whole, more=tails)


def _of_readings(whole: Sentence, seen: Observation) -> Sentence:
    """The sentence, and how the records of several readings came together."""
    parts: list[Sentence] = []
    if seen.rounds:
        count = seen.rounds + 1
        parts.append(Sentence("in {count} reading", "in {count} readings", count=count))
    if seen.rounds and seen.asked_as:
        parts.append(
            Sentence(
                "the last one {way} since records of equal `created` change places",
                way=seen.asked_as,
            )
        )
    for name, template in EARLIER.items():
        count = getattr(seen, name)
        if count:
            parts.append(Sentence(template, count=count))
    for part in parts:
        whole = Sentence("{first}, {more}", first=whole, more=part)
    return whole


def _noticed(seen: Observation) -> list[str]:
    """The first of what was noticed, and how much more there is."""
    troubles = list(seen.troubles)
    for name, words in UNFIT.items():
        count = getattr(seen, name)
        if count:
            troubles.append(Sentence(*words, count=count))
    if len(troubles) > 1:
        # One sentence for a table's cell: the report lists them all by themselves.
        more = len(troubles) - 1
        return [Sentence("{trouble} (and {count} more)", trouble=troubles[0], count=more)]
    return troubles


def _swapped() -> Sentence:
    return Sentence("records with the same `created` come in another order each time")


def _drift(start: int, end: int, seen: Observation) -> Sentence:
    if start == end:
        return Sentence(
            "the source moved without a change in their number while it was read and went on changing "
            "through {rounds} further readings",
            rounds=seen.rounds,
        )
    return Sentence(
        "the source moved by {difference} records while it was read and went on changing "
        "through {rounds} further readings",
        difference=signed(end - start),
        rounds=seen.rounds,
    )


@dataclass(frozen=True)
class Seen:
    """What is known after a reading. `delivered`: distinct records of the last one; `known`: of all readings.

    `lost_places`: places whose records could not be read. `is_mixed`: the pages that count were read
    at different moments. `unmoved`: the last page up to which nothing has moved.
    """

    readings: int
    change: SourceChange
    announced: int | None
    delivered: int
    known: int
    duplicates: int
    lost_places: int
    unknown_before: int
    is_mixed: bool
    unmoved: int
    last_page: int


def next_first_page(seen: Seen) -> int | None:
    """The page from which to read the list again, None where that would tell nothing new."""
    # A bound, since a busy shop never stands still: what came until then is kept and called drifted.
    if seen.readings >= MOST_READINGS:
        return None
    is_all_there = seen.announced in (None, seen.known + seen.lost_places)
    adds_up = is_all_there or seen.announced == seen.delivered + seen.lost_places
    if seen.change is SourceChange.MOVED:
        return seen.unmoved + 1
    if seen.change is SourceChange.GROWN:
        return seen.last_page + 1
    brought_something = seen.readings == 1 or seen.unknown_before > 0
    if seen.change is SourceChange.SWAPPED:
        # Counts alone prove nothing in a list without an order: two readings have to agree.
        if brought_something or not is_all_there:
            return 1
        return None
    if seen.is_mixed and not adds_up:
        return 1
    lacks = seen.announced is not None and seen.known + seen.lost_places < seen.announced
    # Where a record came twice, another one may have been passed over.
    if lacks and seen.duplicates and brought_something:
        return 1
    return None


def change_of_totals(totals: Sequence[int | None]) -> SourceChange:
    """What totals say that were announced one after another, those between the first and the last in any order."""
    known = [total for total in totals if total is not None]
    if len(set(known)) <= 1:
        return SourceChange.NONE
    # A total that fell for a moment looks as answers do that overtook one another.
    if all(known[0] <= total <= known[-1] for total in known):
        return SourceChange.GROWN
    return SourceChange.MOVED
