"""Rows put aside: the same from memory and from files, and none of them left behind."""

from __future__ import annotations

import stat

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.errors import WorkspaceError
from migrate.plan.files import SOURCES
from migrate.plan.partitions import Partitions, PartitionSet, own_copy

SCHEMA = {"n": pl.Int64, "text": pl.String}


def framed(rows: list[tuple[int, str | None]]) -> pl.DataFrame:
    """Rows of a number and a text."""
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


parts = st.lists(
    st.lists(st.tuples(st.integers(0, 9), st.none() | st.text(max_size=20)), max_size=5), max_size=6
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(parts, st.sampled_from([0, 40, 1 << 20]))
def test_rows_come_back_in_order(tmp_path, drawn, hold_bytes) -> None:
    """Whole, by part or by column, however few of them may stay in memory; cleared, nothing is on disk."""
    store = Partitions(tmp_path / "store", hold_bytes)
    store.know(framed([]).schema)
    for rows in drawn:
        store.add(framed(rows))
    store.settle()
    every = [row for rows in drawn for row in rows]
    assert (store.whole().rows(), store.height) == (every, len(every))
    assert [row for frame in store.frames(["text", "n"]) for row in frame.rows()] == [
        (text, n) for n, text in every
    ]
    assert store.column("text").to_list() == [text for _, text in every]
    assert store.column("other") is None
    store.clear()
    assert (store.height, list(tmp_path.iterdir())) == (0, [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(parts, st.sampled_from([0, 40, 1 << 20]), st.randoms(use_true_random=False))
def test_picked_rows_know_their_place(tmp_path, drawn, hold_bytes, random) -> None:
    """Whichever are picked, from memory or from files: in order, with the place that each has among all."""
    store = Partitions(tmp_path / "store", hold_bytes)
    store.know(framed([]).schema)
    for rows in drawn:
        store.add(framed(rows))
    every = [row for rows in drawn for row in rows]
    wanted = [random.random() < 0.5 for _ in every]
    found = [
        row for frame in store.picked(pl.Series(wanted, dtype=pl.Boolean)) for row in frame.rows()
    ]
    assert found == [(*row, place) for place, row in enumerate(every) if wanted[place]]
    store.clear()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(parts, st.integers(1, 4), st.sampled_from([0, 40, 1 << 20]))
def test_each_row_is_in_its_bucket(tmp_path, drawn, count, hold_bytes) -> None:
    """In the order in which the rows came; a bucket is given as soon as it and those before it have all of theirs."""
    every = [row for rows in drawn for row in rows]
    numbers = sorted({row[0] % count for row in every})
    wanted = [[row for row in every if row[0] % count == number] for number in numbers]
    buckets = PartitionSet(tmp_path / "buckets", len(wanted), hold_bytes)
    sizes = [len(rows) for rows in wanted]
    taken: list[list[tuple[int, str | None]]] = []
    for end, rows in enumerate(drawn, start=1):
        frame = framed(rows)
        place = pl.Series([numbers.index(row[0] % count) for row in rows], dtype=pl.UInt32)
        buckets.add(frame, place)
        taken += [frame.rows() for frame in buckets.take_full(sizes)]
        left = {row[0] % count for later in drawn[end:] for row in later}
        full = [number not in left for number in numbers]
        assert len(taken) == (full.index(False) if False in full else len(full))
    assert taken == wanted
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("kind", [pl.String, pl.Int64, pl.Date, pl.Decimal(38, 6), SOURCES])
def test_columns_without_values_come_back(tmp_path, kind) -> None:
    """They are not in the file, and are null with their type in what is read of it, also where they alone are asked."""
    rows = pl.DataFrame({"n": [1, 2], "nothing": pl.Series([None, None], dtype=kind)})
    store = Partitions(tmp_path / "store", 0)
    store.add(rows)
    assert pl.read_parquet(tmp_path / "store" / "00001.parquet").columns == ["n"]
    assert store.whole().equals(rows)
    assert store.whole().schema == rows.schema
    assert store.column("nothing").equals(rows["nothing"])
    assert own_copy(rows).equals(rows)
    assert own_copy(rows).schema == rows.schema


def test_rows_of_nulls_come_back(tmp_path) -> None:
    """However little a row says, it is counted and comes back."""
    rows = pl.DataFrame(
        {"a": [None, None], "b": [None, None]}, schema={"a": pl.String, "b": pl.Int64}
    )
    store = Partitions(tmp_path / "store", 0)
    store.add(rows)
    assert store.whole().equals(rows)


def test_files_are_nobody_elses(tmp_path) -> None:
    """They hold personal data: 0600, whatever the umask."""
    store = Partitions(tmp_path / "store", 0)
    store.add(framed([(1, "a")]))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()] == [0o600]


def test_a_disk_that_takes_nothing_is_named(tmp_path) -> None:
    """A file in the way of the folder, as a full disk: what could not be written, and what to do."""
    (tmp_path / "store").touch()
    with pytest.raises(WorkspaceError, match="cannot be written") as caught:
        Partitions(tmp_path / "store", 0).add(framed([(1, "a")]))
    assert "free disk space" in caught.value.hint
