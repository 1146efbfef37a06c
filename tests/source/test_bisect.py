"""Records that cannot be read cost themselves and nothing else."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import GaveUp
from migrate.net.retry import TransientError
from migrate.source.bisect import (
    MOST_TO_ASK_ONE_BY_ONE,
    FailingRange,
    NoAnswerFromError,
    PieceFailsError,
    bisect_page,
)
from migrate.source.client import BadAnswerError, SourceClient
from migrate.source.fetch import NothingAnswers
from migrate.source.page import Page
from tests.source.list_model import ListModel, ModelReading, profiles, read_model


def read(model: ListModel, limit: int, folder: Path, *, concurrency: int = 1) -> ModelReading:
    """The model, read as an extract reads a list."""
    return read_model(model, folder, limit, concurrency=concurrency)


def unread_places(found: ModelReading) -> list[tuple[int, int]]:
    """Page and place of what could not be read."""
    return [(one.page, one.position) for one in found.result.unread]


@pytest.mark.parametrize(("cap", "pages"), [(None, (1, 2)), (5, (1, 3)), (7, (1, 2)), (3, (1, 5))])
def test_the_page_of_a_bad_record_is_found_whatever_the_service_makes_of_limit(
    tmp_path: Path, cap: int | None, pages: tuple[int, int]
) -> None:
    """Thirty records, ten a page, two of them bad: twenty-eight are kept and two places listed."""
    model = ListModel(profiles(30), bad=frozenset({"p0002", "p0012"}), cap=cap)
    found = read(model, 10, tmp_path)
    assert len(found.ids) == len(set(found.ids)) == 28
    assert set(found.ids) == set(model.records) - model.bad
    assert unread_places(found) == [(pages[0], 3), (pages[1], 13)]
    assert found.result.verdict == "unproven"
    assert model.requests <= 60
    assert all(
        (tmp_path / one.file).read_bytes() == b'{"message":"it hurts"}'
        for one in found.result.unread
    )


def test_records_with_bytes_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    """All of 1,100 arrive; three hold U+FFFD, are counted as damaged, and keep the bytes that came."""
    damaged = frozenset({"p0002", "p0512", "p1099"})
    model = ListModel(profiles(1100), damaged=damaged)
    found = read(model, 50, tmp_path)
    assert set(found.ids) == set(model.records)
    assert (found.result.damaged, found.result.verdict) == (3, "unproven")
    assert "3 records hold bytes that are no UTF-8" in found.result.reason
    assert found.damaged["_id"].to_list() == sorted(damaged)
    assert all(b'"Zo\xeb"' in raw for raw in found.damaged["_received"])
    assert all('"Zo\N{REPLACEMENT CHARACTER}"' in raw for raw in found.damaged["_raw"])
    assert model.requests <= 22 + 3 + 5 + 16, "each of these pages twice, and the pages' tails"


@pytest.mark.parametrize("limit", [10, 100, 500])
def test_a_range_that_never_answers_is_a_clear_stop_after_a_handful(
    tmp_path: Path, limit: int
) -> None:
    """Nothing beyond place 1,000 is answered: it is said with the place, and each resume says it at once."""
    model = ListModel(profiles(1100), window=1000)
    with pytest.raises(
        NothingAnswers, match=r"from record 1,001 of 1,100 on .*window is too large"
    ):
        read(model, limit, tmp_path)
    assert model.requests <= 1000 // limit + 12
    asked = [one for one in model.asked if not isinstance(one, str)]
    assert all((one.number - 1) * one.size < 1100 for one in asked), (
        "nothing beyond what is announced"
    )
    before = model.requests
    with pytest.raises(NothingAnswers, match="from record 1,001"):
        read(model, limit, tmp_path)
    assert model.requests == before + 1
    model.window = None
    assert set(read(model, limit, tmp_path).ids) == set(model.records)


def test_a_whole_page_of_bad_records_is_listed_where_others_behind_it_answer(
    tmp_path: Path,
) -> None:
    """It is those records, and no limit of the service."""
    bad = frozenset(f"p{n:04d}" for n in range(20, 30))
    found = read(ListModel(profiles(95), bad=bad), 10, tmp_path)
    assert len(found.ids) == 85
    assert unread_places(found) == [(3, place) for place in range(21, 31)]


def test_bad_records_at_the_end_are_listed_one_by_one(tmp_path: Path) -> None:
    """A few of them are no limit of the service either, and the list has its end."""
    bad = frozenset(f"p{n:04d}" for n in range(93, 95))
    found = read(ListModel(profiles(95), bad=bad), 10, tmp_path)
    assert len(found.ids) == 93
    assert unread_places(found) == [(10, 94), (10, 95)]


@given(
    size=st.integers(1, 600),
    number=st.integers(1, 5),
    bad=st.sets(st.integers(0, 3000), max_size=6),
    total=st.integers(0, 3000),
)
def test_every_place_is_read_or_listed(size: int, number: int, bad: set[int], total: int) -> None:
    """Each readable record of a range is kept, each bad one listed once, at about 2·log2 requests for each."""
    asked = []

    def ask(page: int, limit: int) -> Page:
        first = (page - 1) * limit
        assert first < total, "nothing is asked for beyond the end of the list"
        asked.append((page, limit))
        records = range(first, min(first + limit, total))
        if bad & set(records):
            raise PieceFailsError("no", b"body")
        return Page(page, tuple(b"%d" % n for n in records), total, None)

    first = (number - 1) * size
    there = set(range(first, min(first + size, total)))
    if not there:
        return
    bad = (bad & there) or {min(there)}
    found = bisect_page(FailingRange(first, first + size, "no", total), ask, lambda: None)
    assert {place: int(item) for place, item in found.items.items()} == {
        place: place for place in there - bad
    }
    assert [one.place for one in found.unread] == sorted(bad)
    assert len(asked) <= len(bad) * (2 * math.log2(size) + 4) + 10


@given(st.integers(MOST_TO_ASK_ONE_BY_ONE + 1, 600), st.integers(0, 600))
def test_a_dead_end_costs_a_handful(size: int, more: int) -> None:
    """However long the range is, and however much lies behind it."""
    asked = []

    def ask(page: int, limit: int) -> Page:
        asked.append((page, limit))
        raise PieceFailsError("no")

    with pytest.raises(NoAnswerFromError) as caught:
        bisect_page(FailingRange(size, 2 * size, "no", 2 * size + more), ask, lambda: None)
    assert caught.value.place == size
    assert len(asked) <= 8


RECORDS = 95


def give_up(_model: ListModel) -> None:
    """The service goes away."""
    raise GaveUp("enough")


@contextmanager
def failing_records(
    client: SourceClient,
    monkeypatch: pytest.MonkeyPatch,
    positions: set[int],
    down_after: int | None = None,
) -> Iterator[None]:
    """A service that answers 500 to each page with one of these positions (from 0), or to all after so many."""
    ask, failures = client.ask, [0]

    def failing(wanted: Any) -> bytes:
        first = (wanted.number - 1) * wanted.size
        down = down_after is not None and failures[0] >= down_after
        if down or positions & set(range(first, first + wanted.size)):
            failures[0] += 1
            raise BadAnswerError("HTTP 500 (it hurts)", b"it hurts")
        return ask(wanted)

    monkeypatch.setattr(client, "ask", failing)
    yield


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits."""
    monkeypatch.setattr("migrate.net.retry.FIRST_WAIT_S", 0.02)


def test_a_bad_record_in_a_snapshot(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in its place is a file of the snapshot, in the manifest with its hash."""
    bench = start()
    with bench.client() as client, failing_records(client, monkeypatch, {42}):
        found = bench.extract_with(client)
    result = found.resources["profiles"]
    assert sorted(map(int, bench.ids(found))) == [n for n in range(RECORDS) if n != 42]
    assert [(one.page, one.position) for one in result.unread] == [(5, 43)]
    assert (found.folder / result.unread[0].file).read_bytes() == b"it hurts"
    assert '"unread/profiles-00000043.bin"' in (found.folder / "manifest.json").read_text()


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
    bench.retry_budget_s, bench.concurrency = 1, 1
    with bench.client() as client:
        ask = client.ask

        def failing(wanted: Any) -> bytes:
            if wanted.size == 1:
                raise TransientError("too many requests", wait_s=1e9)
            if wanted.number == 5:
                raise TransientError("HTTP 500 (it hurts)")
            return ask(wanted)

        monkeypatch.setattr(client, "ask", failing)
        with pytest.raises(GaveUp, match=r"profiles, page 5: .*HTTP 500"):
            bench.extract_with(client)


def test_what_was_found_bad_is_not_asked_for_again_by_a_resume() -> None:
    """A page with an unreadable record counts like any other."""
    with tempfile.TemporaryDirectory() as folder:
        model = ListModel(profiles(95), bad=frozenset({"p0042"}))
        model.acts = {25: give_up}
        with pytest.raises(GaveUp):
            read(model, 10, Path(folder))
        model.acts, asked_before = {}, len(model.asked)
        found = read(model, 10, Path(folder))
        assert unread_places(found) == [(5, 43)]
        again = [one for one in model.asked[asked_before:] if not isinstance(one, str)]
        assert not any(
            (one.number - 1) * one.size <= 42 < one.number * one.size for one in again
        ), "nothing that holds the bad place"
