"""A source that moves while it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.source.verdict import Observation, judge
from tests.source.acting import Act, after_pages, extract_while


def test_new_records_at_the_end_are_read_on_to(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that are added while paging arrive, without everything being read again."""
    bench = start()
    found = extract_while(
        bench, monkeypatch, lambda n: bench.post_profiles(range(95, 120)) if n == 9 else None
    )
    result = found.resources["profiles"]
    assert (result.verdict, result.distinct, result.duplicates) == ("proven", 120, 0), result.reason
    assert sorted(map(int, bench.ids(found))) == list(range(120))
    assert bench.requests <= 20 + 10, "with the ends of ten pages"


def test_a_source_that_grows_all_the_time_is_read_once(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that overtake one another while records are added do not look like a deletion."""
    bench = start(profiles=200)
    with bench.client() as client:
        act: Act = lambda n: bench.post_profiles(range(199 + n, 200 + n)) if n <= 20 else None  # noqa: E731  too small
        with after_pages(client, bench.page_size, monkeypatch, act):
            found = bench.extract_with(client)
    result = found.resources["profiles"]
    assert (result.verdict, result.distinct, result.duplicates) == ("proven", 220, 0), result.reason
    assert bench.requests <= 40 + 20, "with the ends of twenty pages"


@pytest.mark.parametrize("gone", [3, 44, 94])
def test_a_deleted_record_hides_no_other(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, gone: int
) -> None:
    """A deletion slides records from a page not read yet to one already read; they are found all the same."""
    bench = start()
    found = extract_while(
        bench, monkeypatch, lambda n: bench.delete_profile(gone) if n == 6 else None
    )
    result = found.resources["profiles"]
    assert (result.verdict, result.distinct) == ("proven", 94), result.reason
    assert sorted(map(int, bench.ids(found))) == [n for n in range(95) if n != gone]


def test_a_deletion_and_an_insertion_that_cancel_out_are_noticed(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The totals agree, but what stands at the beginning and at the end does not."""
    bench = start()

    def act(count: int) -> None:
        if count == 10:
            bench.delete_profile(3)
            bench.post_profiles(range(95, 96))

    found = extract_while(bench, monkeypatch, act)
    assert found.resources["profiles"].verdict == "proven"
    assert sorted(map(int, bench.ids(found))) == [n for n in range(96) if n != 3]


def test_a_source_that_never_rests_is_said_to_have_drifted(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After three further readings it stops, with a verdict that says by how much."""
    bench = start()
    found = extract_while(bench, monkeypatch, bench.delete_profile)
    result = found.resources["profiles"]
    assert result.verdict == "drifted"
    assert "went on changing through 3 further readings" in result.reason


def test_parts_begun_early_hold_nothing_that_moved(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are written while pages come in; after a deletion they are the same bytes as those of a clean extract."""
    bench = start(profiles=800)
    found = extract_while(
        bench, monkeypatch, lambda n: bench.delete_profile(3) if n == 60 else None
    )
    assert found.resources["profiles"].verdict == "proven"
    clean = bench.extract("clean")
    parts = [
        sorted(p.read_bytes() for p in (one.folder / "profiles").glob("part-*"))
        for one in (found, clean)
    ]
    assert parts[0] == parts[1]
    assert len(parts[0]) == 4
    assert sorted(map(int, bench.ids(found))) == [n for n in range(800) if n != 3]


def test_an_update_on_the_way_is_no_drift(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other values in the same records do not cost a second reading."""
    bench = start()
    found = extract_while(
        bench,
        monkeypatch,
        lambda n: bench.post_profiles(range(94, 95), city="Delft") if n == 11 else None,
    )
    assert found.resources["profiles"].verdict == "proven"
    assert bench.requests <= 14 + 8, "with the ends of eight pages"


totals = st.none() | st.integers(0, 50)


@given(
    totals,
    totals,
    st.integers(0, 50),
    st.booleans(),
    st.integers(0, 3),
    st.lists(st.just("odd"), max_size=2),
)
def test_proven_asks_for_everything_at_once(
    before: int | None,
    after: int | None,
    distinct: int,
    moved: bool,
    rounds: int,
    troubles: list[str],
) -> None:
    """`proven` only where totals, records and rest agree; `unproven` where a total is missing; troubles are told."""
    verdict, reason = judge(Observation(before, after, distinct, moved, rounds, troubles))
    assert (verdict == "proven") == (before == after == distinct and not moved and not troubles)
    if None in (before, after):
        assert verdict == "unproven"
    else:
        assert ("odd" in reason) == bool(troubles)
    assert reason
