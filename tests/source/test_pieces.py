"""A page that keeps failing: the records around the one to blame arrive, and that one is listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import GaveUp
from migrate.net.retry import TransientError
from migrate.source import crawl
from migrate.source.bisect_page import read_in_pieces, smallest_factor
from migrate.source.client import PageFailsError, SourceClient
from migrate.source.envelope import Page

RECORDS = 95


@contextmanager
def failing_records(
    client: SourceClient,
    monkeypatch: pytest.MonkeyPatch,
    positions: set[int],
    down_after: int | None = None,
) -> Iterator[None]:
    """A service that answers 500 to each page with one of these positions (from 0), or to all after so many."""
    answer, failures = client._whole_answer, [0]

    def whole_answer(path: str, params: Any) -> Any:
        first = (params["page"] - 1) * params["limit"]
        down = down_after is not None and failures[0] >= down_after
        if down or positions & set(range(first, first + params["limit"])):
            failures[0] += 1
            raise TransientError("HTTP 500 (it hurts)")
        return answer(path, params)

    monkeypatch.setattr(client, "_whole_answer", whole_answer)
    yield


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer tries and shorter waits."""
    monkeypatch.setattr(crawl, "_TRIES_OF_A_PAGE", 2)
    monkeypatch.setattr(crawl, "_TRIES_OF_A_PIECE", 1)
    monkeypatch.setattr("migrate.net.retry._FIRST_WAIT_S", 0.02)


@pytest.mark.parametrize("bad", [{42}, {0}, {94}, {20, 29}])
def test_one_bad_record_costs_only_itself(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, bad: set[int]
) -> None:
    """All others are in the snapshot; the bad ones are listed by page and place, and the verdict is not `proven`."""
    bench = start()
    with bench.client() as client, failing_records(client, monkeypatch, bad):
        found = bench.extract_with(client)
    result = found.resources["profiles"]
    assert sorted(map(int, bench.ids(found))) == sorted(set(range(RECORDS)) - bad)
    assert [(one.page, one.position) for one in result.unread] == [
        (n // 10 + 1, n + 1) for n in sorted(bad)
    ]
    assert all("HTTP 500" in one.reason for one in result.unread)
    assert result.verdict == "unproven"
    assert "could not be read" in result.reason


def test_a_page_of_one_bad_record_is_no_end(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one record a page, too, those behind the bad one arrive."""
    bench = start(profiles=7)
    bench.page_size = 1
    with bench.client() as client, failing_records(client, monkeypatch, {3}):
        found = bench.extract_with(client)
    assert sorted(bench.ids(found)) == ["0", "1", "2", "4", "5", "6"]
    assert found.resources["profiles"].unread[0].position == 4


def test_a_service_that_goes_down_meanwhile_blames_no_record(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a clear stop that resumes, and the same command later finds all but the bad record."""
    bench = start()
    bench.retry_budget_s = 1
    with (
        bench.client() as client,
        failing_records(client, monkeypatch, {42}, down_after=4),
        pytest.raises(GaveUp),
    ):
        bench.extract_with(client)
    monkeypatch.undo()
    found = bench.extract()
    assert found.resources["profiles"].verdict == "proven"
    assert found.resources["profiles"].distinct == RECORDS


def test_the_page_that_fails_is_named_and_not_what_was_asked_for_beside_it(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Single records are asked for to see whether the service is well; that they give up is not the trouble to tell."""
    bench = start()
    bench.retry_budget_s = 1
    with bench.client() as client:
        answer = client._whole_answer

        def whole_answer(path: str, params: Any) -> Any:
            if params["limit"] == 1:
                raise TransientError("too many requests", wait_s=1e9)
            if params["page"] == 5:
                raise TransientError("HTTP 500 (it hurts)")
            return answer(path, params)

        monkeypatch.setattr(client, "_whole_answer", whole_answer)
        with pytest.raises(GaveUp, match=r"profiles, page 5: .*HTTP 500"):
            bench.extract_with(client)


@given(st.integers(1, 60), st.integers(1, 5), st.sets(st.integers(0, 100), max_size=6))
def test_pieces_cover_a_page_without_gap_or_overlap(size: int, number: int, bad: set[int]) -> None:
    """Whatever the size and the bad records: each other record once, in order, each bad one listed."""

    def ask(page: int, limit: int, _is_patient: bool) -> Page:
        records = range((page - 1) * limit, page * limit)
        if bad & set(records):
            raise PageFailsError("no")
        return Page(page, tuple(b"%d" % n for n in records), None, None)

    asked = range((number - 1) * size, number * size)
    if not bad & set(asked):
        bad = bad | {asked[0]}
    failure = PageFailsError("no")
    if size > 1 and bad.issuperset(asked):
        with pytest.raises(PageFailsError):
            read_in_pieces(ask, number, size, failure)
        return
    found = read_in_pieces(ask, number, size, failure)
    assert [int(item) for item in found.items] == [n for n in asked if n not in bad]
    assert [offset for offset, _ in found.unread] == [n for n in asked if n in bad]


@given(st.integers(2, 10_000))
def test_the_smallest_factor(number: int) -> None:
    """It divides, and nothing smaller does."""
    factor = smallest_factor(number)
    assert number % factor == 0
    assert all(number % smaller for smaller in range(2, factor))
