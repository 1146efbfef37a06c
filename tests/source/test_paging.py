"""Paging against a model of a server that may lie."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from migrate.source.paging import EMPTY_BOUND, Look, PageOutcome, Paging
from migrate.source.verdict import Observation, judge


@dataclass
class LyingServer:
    """A list of `count` records; every other field is a lie it may tell."""

    count: int
    size: int
    cap: int | None = None
    ignore_page: bool = False
    repeat_last: bool = False
    totals: str = "true"
    off_by: int = 0
    empty_once: frozenset[int] = frozenset()
    empty_always: int | None = None
    asked: list[int] = field(default_factory=list)

    def look(self, number: int) -> Look:
        """The answer to a request for page `number`."""
        self.asked.append(number)
        rows = self.rows(number)
        once = number in self.empty_once and self.asked.count(number) == 1
        if once or number == self.empty_always:
            rows = range(0)
        records, pages = self._announced(number)
        return Look(number, len(rows), str(rows), str(set(rows)), records, pages)

    def rows(self, number: int) -> range:
        """The records on page `number` before any of them are held back."""
        size = min(self.size, self.cap or self.size)
        last = max(1, -(-self.count // size))
        page = 1 if self.ignore_page else (min(number, last) if self.repeat_last else number)
        return range(self.count)[(page - 1) * size : page * size]

    def _announced(self, number: int) -> tuple[int | None, int | None]:
        if self.totals == "none" or (self.totals == "dropped" and number > 2):
            return None, None
        total = max(0, self.count + self.off_by)
        return total, -(-total // self.size)


def read(
    server: LyingServer, ahead: int = 4, order: random.Random | None = None
) -> tuple[set[int], Paging]:
    """The records kept, with answers arriving in an order of their own."""
    paging, flying, kept = Paging(ahead, server.size), [], set()
    order = order or random.Random(0)
    while True:
        flying += paging.wants(flying)
        if not flying:
            return kept, paging
        assert len(flying) <= ahead
        assert len(server.asked) < 10_000
        number = flying.pop(order.randrange(len(flying)))
        look = server.look(number)
        if paging.take(look) is PageOutcome.KEEP:
            kept |= set(server.rows(number))


servers = st.builds(
    LyingServer,
    count=st.integers(0, 60),
    size=st.integers(1, 12),
    cap=st.none() | st.integers(1, 12),
    ignore_page=st.booleans(),
    repeat_last=st.booleans(),
    totals=st.sampled_from(["true", "none", "dropped"]),
    off_by=st.integers(-70, 70) | st.sampled_from([0, 10**9]),
    empty_once=st.frozensets(st.integers(1, 8), max_size=3),
    empty_always=st.none() | st.integers(1, 8),
)


@given(servers, st.integers(1, 9), st.randoms(use_true_random=False))
def test_every_reading_ends_within_a_bound(
    server: LyingServer, ahead: int, order: random.Random
) -> None:
    """No lie makes it loop: at most twice the real pages, and a bounded number behind them."""
    _, paging = read(server, ahead, order)
    assert paging.ended
    pages = -(-server.count // min(server.size, server.cap or server.size))
    assert len(server.asked) <= 2 * (pages + EMPTY_BOUND + ahead + 2)


@given(
    st.integers(0, 60),
    st.integers(1, 12),
    st.none() | st.integers(1, 12),
    st.sampled_from(["true", "none", "dropped"]),
    st.integers(-70, 70),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_nothing_is_lost_where_only_totals_and_limit_lie(
    count: int,
    size: int,
    cap: int | None,
    totals: str,
    off_by: int,
    ahead: int,
    order: random.Random,
) -> None:
    """Whatever is announced and however `limit` is capped, every record is kept."""
    server = LyingServer(count, size, cap=cap, totals=totals, off_by=off_by)
    kept, _ = read(server, ahead, order)
    assert kept == set(range(count))


@given(servers, st.integers(1, 9), st.randoms(use_true_random=False))
def test_proven_only_when_true(server: LyingServer, ahead: int, order: random.Random) -> None:
    """A verdict of `proven` is never given where fewer or more records came than the server says it has."""
    kept, paging = read(server, ahead, order)
    totals = [*paging.totals_taken, server.look(1).announced_records]
    verdict, reason = judge(
        Observation(totals[0], totals[-1], len(kept), False, 0, tuple(paging.troubles))
    )
    assert reason
    if verdict == "proven":
        assert len(kept) == max(0, server.count + server.off_by)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(2, 6), st.integers(1, 9))
def test_an_empty_page_that_is_announced_is_read_past(
    count: int, size: int, hole: int, ahead: int
) -> None:
    """A page that fails once is asked for again; one that stays empty costs only its own records and is flagged."""
    once = LyingServer(count, size, empty_once=frozenset({hole}))
    kept, paging = read(once, ahead)
    assert kept == set(range(count))
    assert not paging.troubles

    always = LyingServer(count, size, empty_always=hole)
    kept, paging = read(always, ahead)
    assert kept == set(range(count)) - set(always.rows(hole))
    assert bool(paging.troubles) == bool(always.rows(hole))


def test_a_server_that_ignores_page_is_left_after_a_few_requests() -> None:
    """The same page again and again is neither kept nor believed."""
    server = LyingServer(100, 10, ignore_page=True)
    kept, paging = read(server, 1)
    assert kept == set(range(10))
    assert "repeats page 1" in paging.troubles[0]
    assert len(server.asked) <= 8


def test_a_last_page_repeated_for_ever_is_not_believed() -> None:
    """All records are there, but the verdict says what is odd."""
    server = LyingServer(25, 10, repeat_last=True)
    kept, paging = read(server)
    assert kept == set(range(25))
    assert judge(Observation(25, 25, 25, False, 0, paging.troubles)) == (
        "unproven",
        "page 4 repeats page 3; 25 announced and as many distinct records received",
    )


def test_a_truthful_list_costs_one_request_more_than_it_has_pages() -> None:
    """The page behind the announced end is looked at once; an empty list is one request."""
    server = LyingServer(100, 10)
    read(server)
    assert sorted(server.asked) == list(range(1, 12))
    empty = LyingServer(0, 10)
    read(empty)
    assert empty.asked == [1]


@given(st.integers(1, 60), st.integers(1, 12), st.sets(st.integers(1, 60)), st.integers(1, 9))
def test_stored_pages_are_not_asked_for_again(
    count: int, size: int, stored: set[int], ahead: int
) -> None:
    """A resumed reading asks only for what is missing and for the end."""
    server = LyingServer(count, size)
    pages = -(-count // size)
    stored = {number for number in stored if number <= pages}
    paging = Paging(ahead, size)
    for number in sorted(stored):
        paging.restore(server.look(number))
    server.asked.clear()
    while not paging.ended:
        for number in paging.wants(()):
            paging.take(server.look(number))
    assert sorted(server.asked) == sorted(set(range(1, pages + 2)) - stored)
