"""What a load has merged away, whatever the target says of merges long ago."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.load.merged import HeldBefore, Merging, count_merges
from migrate.target.results import AnswerColumns, SentRecord, Written, read_record


def written(masterid: str, *others: str) -> Written:
    """A record that is stored, and the other ids that its answer names."""
    return Written(SentRecord(0, "k", "{}"), masterid, others)


def test_old_merges_are_none_of_this_load() -> None:
    """An id that neither the target had nor this load made was merged away long ago."""
    [one] = count_merges([written("a", "old")], Merging({"a"}))
    assert (one.merged_from, one.continues) == ((), None)


def test_a_record_that_was_there_is_merged_away() -> None:
    """One of two survives: one less; the same answer once more changes nothing."""
    first, second = count_merges([written("a", "b", "old"), written("a", "b")], Merging({"a", "b"}))
    assert (first.merged_from, first.continues) == (("b",), None)
    assert second.merged_from == ()


def test_a_merge_under_a_new_id_is_one_merge() -> None:
    """Both old ids are gone, one of them goes on as the new one."""
    [one] = count_merges([written("new", "a", "b")], Merging({"a", "b"}))
    assert (one.merged_from, one.continues) == (("a", "b"), "a")


def test_what_this_load_made_can_be_merged_by_it() -> None:
    """Also within one batch, and one after another."""
    rows = [written("a"), written("b"), written("c", "a", "b"), written("d", "c", "a")]
    made = count_merges(rows, Merging())
    assert [one.merged_from for one in made] == [(), (), ("a", "b"), ("c",)]
    assert [one.continues for one in made] == [None, None, "a", "c"]


@given(st.lists(st.sets(st.integers(0, 12), min_size=1, max_size=4), max_size=12), st.booleans())
def test_the_equation_holds_for_any_merges(groups: list[set[int]], new_ids: bool) -> None:
    """Ids less continued ones are the records less, whether a merge keeps an id or gives a new one."""
    names = {n: f"m{n}" for n in range(13)}
    alive, ids = set(names.values()), dict(names)
    every = {name: {name} for name in alive}
    answers = []
    for turn, group in enumerate(groups):
        joined = {ids[n] for n in group}
        merges = len(joined) > 1
        survivor = f"new{turn}" if new_ids and merges else min(joined)
        every[survivor] = set().union(*(every[name] for name in joined)) | {survivor}
        alive = alive - joined | {survivor}
        ids = {n: survivor if held in joined else held for n, held in ids.items()}
        answers.append(written(survivor, *sorted(every[survivor] - {survivor}), "long-ago"))
    counted = count_merges(answers, Merging(set(names.values())))
    gone = sum(len(one.merged_from) for one in counted)
    continued = sum(one.continues is not None for one in counted)
    assert 13 - (gone - continued) == len(alive)


def test_the_targets_ids_are_found_by_hash(tmp_path: Path) -> None:
    """Over all files; a plan that did not read the target knows none."""
    files = [tmp_path / "before-1.parquet", tmp_path / "before-2.parquet"]
    for number, file in enumerate(files):
        ids = [f"m{n}" for n in range(number * 50, number * 50 + 50)]
        pl.DataFrame({"__masterid__": ids}).write_parquet(file)
    assert HeldBefore(files, is_known=True).among(["m0", "m99", "m100", "x"]) == {"m0", "m99"}
    assert HeldBefore([], is_known=False).among(["m0"]) == set()


@pytest.mark.parametrize("others", ['["a","b","m"]', '"{a,b}"', '"[\\"a\\",\\"b\\"]"'])
def test_ids_as_a_list_or_as_a_databases_text(others: str) -> None:
    """JSON, its text, or a PostgreSQL array."""
    stored = {"k": b'"x"', "__masterid__": b'"m"', "__all_masterids__": others.encode()}

    found = read_record(
        {name: msgspec.Raw(value) for name, value in stored.items()},
        SentRecord(0, "x", '{"k":"x"}'),
        AnswerColumns(("k",)),
    )
    assert found is not None
    assert found.merged_from == ("a", "b")


def test_a_key_in_another_spelling_is_the_records() -> None:
    """A target that keeps its own spelling of a key has stored this record, and altered the column."""

    stored = {"k": msgspec.Raw(b'"jan@x.test"'), "__masterid__": msgspec.Raw(b'"m"')}
    found = read_record(
        stored, SentRecord(0, "Jan@x.test", '{"k":"Jan@x.test"}'), AnswerColumns(("k",))
    )
    assert found is not None
    assert found.altered == ("k",)
