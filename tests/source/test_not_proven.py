"""What no total shows: losses that cancel out with gains must not be called proven."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import Interrupted
from migrate.snapshot.delta import NEWEST_FIRST, WHOLE_LIST
from migrate.snapshot.spool import PageEntry, Unread
from migrate.source.client import PageRequest, SourceClient
from migrate.source.page_tails import AT_LEAST, MOST_APART, choose_pages
from migrate.source.since import resolve_since
from migrate.source.verdict import Observation, judge
from tests.source.acting import extract_while


def living(bench: Any) -> list[int]:
    """The ids that a clean extract finds now."""
    return sorted(map(int, bench.ids(bench.extract("clean"))))


@pytest.mark.parametrize("gone", [3, 23, 29, 58, 59])
def test_one_gone_and_one_new_between_two_answers(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, gone: int
) -> None:
    """No total, nor the first or last page, shows it; the pages' ends do, and it is read again. None is missing."""
    bench = start()

    def act(count: int) -> None:
        if count == 6:
            bench.delete_profile(gone)
            bench.post_profiles(range(95, 96))

    found = extract_while(bench, monkeypatch, act)
    result = found.resources["profiles"]
    assert sorted(map(int, bench.ids(found))) == living(bench)
    assert (result.verdict, result.distinct) == ("proven", 95)
    assert "8 of 8 page ends seen again in their place, in 2 readings" in result.reason


def test_a_growing_list_hides_no_deletion(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Totals that fall once while they grow look as if answers had overtaken one another; the pages' ends tell."""
    bench = start()

    def act(count: int) -> None:
        if count <= 9:
            bench.post_profiles(range(94 + count, 95 + count))
        if count == 6:
            bench.delete_profile(23)

    found = extract_while(bench, monkeypatch, act)
    assert found.resources["profiles"].verdict == "proven"
    assert sorted(map(int, bench.ids(found))) == living(bench)


def test_a_loss_while_an_extract_was_interrupted(start: Callable[..., Any]) -> None:
    """Between two runs anything may have happened; the last page that is stored tells, however the counts stand."""
    bench = start()
    bench.concurrency = 1
    kept = []

    def advance(_task: str, by: int, *, total: int | None = None) -> None:
        kept.append(by)
        if len(kept) == 6:
            bench.stop.set()

    bench.notes.advance = advance
    with pytest.raises(Interrupted):
        bench.extract("a")
    bench.stop.clear()
    bench.delete_profile(23)
    bench.post_profiles(range(96, 97))
    found = bench.extract("a")
    assert found.resources["profiles"].verdict == "proven"
    assert sorted(map(int, bench.ids(found))) == living(bench)


def test_a_list_that_keeps_losing_has_drifted(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One goes and one comes in every reading: the counts agree each time, and it is never called proven."""
    bench = start()

    def act(count: int) -> None:
        if count % 5 == 0:
            bench.delete_profile(count)
            bench.post_profiles(range(95 + count, 96 + count))

    found = extract_while(bench, monkeypatch, act)
    result = found.resources["profiles"]
    assert result.verdict == "drifted"
    assert "went on changing through 3 further readings" in result.reason


@pytest.mark.parametrize("least", [1, 10])
def test_a_server_with_a_page_size_of_its_own(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    """One that sends 10 records at most, or always: where no page's end comes alone, the whole page is as good."""
    bench = start(profiles=70)
    bench.page_size = 15
    ask = SourceClient.ask

    def own(self: SourceClient, wanted: PageRequest) -> bytes:
        size = max(least, min(wanted.size, 10))
        return ask(self, replace(wanted, size=size))

    monkeypatch.setattr(SourceClient, "ask", own)
    found = bench.extract()
    result = found.resources["profiles"]
    assert (result.verdict, result.distinct) == ("proven", 70), result.reason
    assert "5 of 5 page ends seen again in their place" in result.reason


def page(number: int, *, rows: int = 1, unread: int = 0) -> PageEntry:
    """A stored page."""
    return PageEntry(
        number, rows, 1, "", "", "", unread=tuple(Unread(n, "x") for n in range(unread))
    )


@given(st.integers(0, 2000), st.booleans())
def test_ends_are_spread_over_all_pages(pages: int, every: bool) -> None:
    """All of a short list or where asked for; of a long one no two are further apart than `MOST_APART` pages."""
    between = [
        entry.number for entry in choose_pages([page(n) for n in range(1, pages + 1)], every=every)
    ]
    whole = list(range(2, pages))
    if every or len(whole) <= AT_LEAST:
        assert between == whole
    else:
        assert len(between) >= math.floor(len(whole) / MOST_APART)
        seen = [1, *between, pages]
        assert max(b - a for a, b in pairwise(seen)) <= MOST_APART + 1


def test_pages_that_have_no_end_are_passed_over() -> None:
    """An empty page, and one of which a record could not be read."""
    pages = [page(1), page(2, rows=0), page(3, unread=1), page(4), page(5)]
    assert [entry.number for entry in choose_pages(pages, every=True)] == [4]


@given(st.integers(0, 50), st.integers(0, 50), st.booleans())
def test_what_was_read_in_part_is_never_proven(total: int, distinct: int, moved: bool) -> None:
    """Whatever the counts say; and the reason is the one of who read it."""
    seen = Observation(
        total, total, distinct, moved, 0, tails_seen=3, pages_with_tails=3, partly="a part was read"
    )
    assert judge(seen) == ("unproven", "a part was read")


def imported(bench: Any) -> None:
    """A snapshot `a` of 200; then one is updated, one goes, and one comes with times of years ago."""
    profiles = [
        {
            "profileid": str(n),
            "source": "shop",
            "profile": {
                "created": f"2020-01-01 00:{n // 60:02d}:{n % 60:02d}",
                "updated": f"2020-02-01 0{n * 37 % 199 // 60}:{n * 37 % 199 % 60:02d}:00",
            },
        }
        for n in range(200)
    ]
    bench.send("POST", "profile/bulk", {"profiles": profiles})
    bench.extract("a")
    bench.post_profiles(range(7, 8), updated="2999-01-01 00:00:00")
    bench.delete_profile(50)
    bench.post_profiles(range(900, 901), updated="2019-05-05 00:00:00")


def states(found: Any) -> dict[str, list[str]]:
    """The ids in the delta's file by state."""
    frame = pl.read_parquet(found.folder / "profiles" / "delta.parquet")
    return dict(frame.group_by("state").agg(pl.col("_id").sort()).iter_rows())


def test_a_delta_finds_what_was_imported_with_old_times(start: Callable[..., Any]) -> None:
    """The whole list is read unless told otherwise: nothing that came or went is missed, and it is proven."""
    bench = start(profiles=0)
    imported(bench)
    bench.since = resolve_since(bench.workspace, "a", "demo")
    found = bench.extract("b")
    result = found.resources["profiles"]
    assert states(found) == {"new": ["900"], "changed": ["7"], "gone": ["50"]}
    assert (result.verdict, result.delta.how) == ("proven", WHOLE_LIST)


def test_a_delta_read_newest_first_claims_only_what_it_read(start: Callable[..., Any]) -> None:
    """The counts balance, one record is missed and one is not known to be gone: the reason says that this may be."""
    bench = start(profiles=0)
    imported(bench)
    bench.since = resolve_since(bench.workspace, "a", "demo", newest_first=True)
    found = bench.extract("b")
    result = found.resources["profiles"]
    assert (result.verdict, result.delta.how) == ("unproven", NEWEST_FIRST)
    assert result.reason.startswith(
        f"{result.distinct} of 200 announced records were read, newest first; the counts"
    )
    assert "require_proven = true" in result.reason


def test_a_delta_begun_newest_first_goes_on_with_the_whole_list(start: Callable[..., Any]) -> None:
    """Pages of the two orders never mix when what is allowed was changed between two runs."""
    bench = start(profiles=0)
    imported(bench)
    bench.since = resolve_since(bench.workspace, "a", "demo", newest_first=True)
    with bench.client() as client:
        ask, asked = client.ask, []

        def once(wanted: PageRequest) -> bytes:
            asked.append(wanted.number)
            if len(asked) > 1:
                raise Interrupted("enough")
            return ask(wanted)

        client.ask = once
        with pytest.raises(Interrupted):
            bench.extract_with(client, "b")
    bench.since = resolve_since(bench.workspace, "a", "demo")
    found = bench.extract("b")
    assert states(found) == {"new": ["900"], "changed": ["7"], "gone": ["50"]}
    assert found.resources["profiles"].verdict == "proven"
