"""Rows put aside: the same from memory and from files, and none of them left behind."""

from __future__ import annotations

import stat

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrate.errors import WorkspaceError
from migrate.plan.store import Buckets, Store

SCHEMA = {"n": pl.Int64, "text": pl.String}


def framed(rows: list[tuple[int, str | None]]) -> pl.DataFrame:
    """Rows of a number and a text."""
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


parts = st.lists(st.lists(st.tuples(st.integers(0, 9), st.none() | st.text(max_size=20)), max_size=5), max_size=6)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(parts, st.sampled_from([0, 40, 1 << 20]))
def test_rows_come_back_in_order(tmp_path, drawn, hold_bytes) -> None:
    """Whole, by part or by column, however few of them may stay in memory; cleared, nothing is on disk."""
    store = Store(tmp_path / "store", hold_bytes)
    store.know(framed([]).schema)
    for rows in drawn:
        store.add(framed(rows))
    store.settle()
    every = [row for rows in drawn for row in rows]
    assert (store.whole().rows(), store.height) == (every, len(every))
    assert [row for frame in store.frames(["text", "n"]) for row in frame.rows()] == [(text, n) for n, text in every]
    assert store.column("text").to_list() == [text for _, text in every]
    assert store.column("other") is None
    store.clear()
    assert (store.height, list(tmp_path.iterdir())) == (0, [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(parts, st.integers(1, 4), st.sampled_from([0, 1 << 20]))
def test_each_row_is_in_its_bucket(tmp_path, drawn, count, hold_bytes) -> None:
    """In the order in which the rows came; a bucket without rows still knows the columns."""
    buckets = Buckets(tmp_path / "buckets", count, hold_bytes)
    for rows in [[], *drawn]:
        buckets.add(framed(rows), pl.col("n") % count)
    for place, store in enumerate(buckets.stores):
        assert store.whole().rows() == [row for rows in drawn for row in rows if row[0] % count == place]
        assert list(store.schema) == list(SCHEMA)
        store.clear()


def test_files_are_nobody_elses(tmp_path) -> None:
    """They hold personal data: 0600, whatever the umask."""
    store = Store(tmp_path / "store", 0)
    store.add(framed([(1, "a")]))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "store").iterdir()] == [0o600]


def test_a_disk_that_takes_nothing_is_named(tmp_path) -> None:
    """A file in the way of the folder, as a full disk: what could not be written, and what to do."""
    (tmp_path / "store").touch()
    with pytest.raises(WorkspaceError, match="cannot be written") as caught:
        Store(tmp_path / "store", 0).add(framed([(1, "a")]))
    assert "free disk space" in caught.value.hint
