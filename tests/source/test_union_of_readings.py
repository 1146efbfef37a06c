"""What any reading delivered stays, whatever moves, lies or cannot be read."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.source.bisect import MOST_TO_ASK_ONE_BY_ONE
from migrate.source.fetch import NothingAnswers
from migrate.source.verdict import MOST_READINGS
from tests.source.list_model import Act, ListModel, ModelReading, Record, profiles, read_model


def read(model: ListModel, limit: int = 10, *, concurrency: int = 1) -> ModelReading:
    """The model, read in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return read_model(model, Path(folder), limit, concurrency=concurrency)


def delete(number: int) -> Act:
    """A record goes."""
    return lambda model: model.delete(f"p{number:04d}")


def insert(number: int) -> Act:
    """A record comes that was created then."""
    return lambda model: model.insert(Record(f"new{number}-{model.requests}", number))


def update(number: int) -> Act:
    """A record changes, if it is there."""

    def act(model: ListModel) -> None:
        id_ = f"p{number:04d}"
        if id_ in model.records:
            model.insert(Record(id_, model.records[id_].created, model.requests))

    return act


def stamp(version: int) -> str:
    """When a version was made, as its record says."""
    return f"2021-01-01 00:{version // 60:02d}:{version % 60:02d}"


def check_union(model: ListModel, found: ModelReading) -> None:
    """Nothing that came is lost, nothing is there twice, and the newest version stays."""
    assert len(found.ids) == len(set(found.ids))
    assert set(found.ids) | set(found.vanished) == set(model.delivered)
    assert not set(found.ids) & set(found.vanished)
    for id_, version in found.versions.items():
        if id_ not in model.asked:
            assert version == stamp(model.delivered[id_])
        else:
            # One record is asked for alone only to see whether that tells anything.
            assert stamp(model.listed.get(id_, 0)) <= version <= stamp(model.delivered[id_])
    result = found.result
    assert result.received == result.distinct + result.duplicates
    assert result.distinct == len(found.ids)


moves = st.builds(
    lambda act, number: act(number), st.sampled_from([delete, insert, update]), st.integers(0, 60)
)


@given(
    count=st.integers(0, 60),
    limit=st.integers(2, 12),
    acts=st.dictionaries(st.integers(1, 90), moves, max_size=3),
    bad=st.sets(st.integers(0, 60), max_size=2),
    damaged=st.sets(st.integers(0, 60), max_size=2),
    cap=st.none() | st.integers(2, 12),
    has_single=st.booleans(),
    concurrency=st.integers(1, 4),
)
def test_nothing_that_was_there_all_the_time_is_missing(
    count: int,
    limit: int,
    acts: dict[int, Act],
    bad: set[int],
    damaged: set[int],
    cap: int | None,
    has_single: bool,
    concurrency: int,
) -> None:
    """Up to three moves anywhere: every readable record once and in its newest version, within a bound of requests."""
    model = ListModel(
        profiles(count),
        acts,
        bad=frozenset(f"p{n:04d}" for n in bad),
        damaged=frozenset(f"p{n:04d}" for n in damaged),
        cap=cap,
        has_single=has_single,
    )
    found = read(model, limit, concurrency=concurrency)
    check_union(model, found)
    readable = model.always - model.bad
    assert readable <= set(found.ids)
    result = found.result
    assert result.readings <= MOST_READINGS
    there = model.bad & model.always
    places = [one.position for one in result.unread]
    assert len(places) == len(set(places))
    assert len(places) >= len(there)
    if result.verdict == "proven":
        assert len(found.ids) == result.announced
        assert not model.bad & set(model.records)
    pages = -(-(count + 3) // min(limit, cap or limit))
    of_bad = (len(bad) + 1) * (2 * math.log2(limit) + 12)
    assert model.requests <= MOST_READINGS * (3 * pages + 12 + of_bad) + len(acts)


@given(
    count=st.integers(0, 60),
    limit=st.integers(1, 12),
    acts=st.dictionaries(st.integers(1, 200), moves, max_size=60),
    bad=st.sets(st.integers(0, 60), max_size=2),
    shuffles=st.booleans(),
    per_moment=st.integers(1, 20),
    sorts=st.sampled_from(["obeyed", "ignored", "refused"]),
    off_by=st.sampled_from([0, 0, 0, -3, 7]),
)
def test_what_came_is_kept_however_much_moves(
    count: int,
    limit: int,
    acts: dict[int, Act],
    bad: set[int],
    shuffles: bool,
    per_moment: int,
    sorts: str,
    off_by: int,
) -> None:
    """A list that never rests, in any order: what came is in the snapshot or among the vanished."""
    model = ListModel(
        profiles(count, per_moment=per_moment),
        acts,
        bad=frozenset(f"p{n:04d}" for n in bad),
        shuffles=shuffles,
        sorts=sorts,
        announces=lambda true: max(0, true + off_by),
    )
    found = read(model, limit)
    check_union(model, found)
    if found.result.verdict == "proven":
        assert len(found.ids) == found.result.announced


@given(
    count=st.integers(1, 120),
    limit=st.integers(2, 12),
    per_moment=st.integers(1, 120),
    seed=st.integers(0, 10_000),
)
def test_equal_creation_times_in_any_order_end_complete(
    count: int, limit: int, per_moment: int, seed: int
) -> None:
    """Where the service can sort by the id, two readings are enough; the snapshot is proven."""
    model = ListModel(
        profiles(count, per_moment=per_moment), shuffles=True, sorts="obeyed", seed=seed
    )
    found = read(model, limit)
    check_union(model, found)
    if found.result.verdict == "proven":
        assert set(found.ids) == set(model.records)
    assert found.result.readings <= 2 or found.result.verdict == "proven"


@given(
    count=st.integers(1, 300),
    limit=st.integers(1, 60),
    window=st.integers(1, 300),
    cap=st.none() | st.integers(1, 60),
    concurrency=st.integers(1, 4),
)
def test_a_list_that_is_answered_only_so_far_is_a_stop_within_a_bound(
    count: int, limit: int, window: int, cap: int | None, concurrency: int
) -> None:
    """Where few places lie behind, they are listed; else it stops, and a resume asks once."""
    model = ListModel(profiles(count), window=window, cap=cap)
    pages = -(-count // min(limit, cap or limit))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read_model(model, Path(folder), limit, concurrency=concurrency)
        except NothingAnswers as error:
            assert window < error.where.position <= window + limit + MOST_TO_ASK_ONE_BY_ONE
            assert model.requests <= pages + 4 * concurrency + 2 * math.log2(limit) + 70
            before = model.requests
            with pytest.raises(NothingAnswers):
                read_model(model, Path(folder), limit, concurrency=concurrency)
            assert model.requests == before + 1
        else:
            check_union(model, found)
            assert len(found.ids) == min(count, window)
            unread = [one.position for one in found.result.unread]
            assert unread == list(range(min(count, window) + 1, count + 1))
