"""Rows some at a time, from a frame or from files."""

from __future__ import annotations

from itertools import accumulate, pairwise

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan.classify import ComparedColumns, label_rows
from migrate.plan.tables import FrameTable, ParquetTable, in_chunks, rows_at, texts_of

FRAME = pl.DataFrame({"_key": ["b", "a", "c"], "key": ["b", "a", "c"], "name": ["1", None, ""]})


def stored(folder, frame: pl.DataFrame) -> ParquetTable:
    """The frame in files of one row, each with its columns in another order than the one before."""
    folder.mkdir()
    files = [folder / f"[{place}].parquet" for place in range(frame.height)]
    for place, file in enumerate(files):
        names = frame.columns if place % 2 else frame.columns[::-1]
        frame[place : place + 1].select(names).write_parquet(file)
    return ParquetTable(files, frame.columns, frame.height)


def texts(table, *names: str) -> list[tuple]:
    """Columns of a table's rows."""
    return [row for frame in texts_of(table, names) for row in frame.rows()]


def test_files_give_what_the_frame_gives(tmp_path) -> None:
    """Values, nulls and '' in the order of the rows, whatever the order of the columns in each file."""
    table = stored(tmp_path / "rows", FRAME)
    assert texts(table, *FRAME.columns) == texts(FrameTable(FRAME), *FRAME.columns) == FRAME.rows()
    assert table.height == FrameTable(FRAME).height == 3


def test_a_column_that_is_not_there_is_empty(tmp_path) -> None:
    """It has a value in no row."""
    for table in (
        FrameTable(FRAME),
        stored(tmp_path / "rows", FRAME),
        ParquetTable([], FRAME.columns, 0),
    ):
        assert texts(table, "other") == [(None,)] * table.height
        assert texts(table, "name", "other") == [(n, None) for n in FRAME["name"][: table.height]]


def test_rows_are_found_by_their_places(tmp_path) -> None:
    """In the order asked for, as often as asked for; no row where there is no place."""
    places = pl.Series([2, 0, None, 2], dtype=pl.UInt32)
    rows = [("c", ""), ("b", "1"), (None, None), ("c", "")]
    for table in (FrameTable(FRAME), stored(tmp_path / "rows", FRAME)):
        assert rows_at(table, ["key", "name"], places).rows() == rows
    assert rows_at(ParquetTable([], ["key"], 0), ["key"], places.clear()).rows() == []


@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 9))
def test_chunks_are_the_same_rows(heights, rows) -> None:
    """Of the size asked for, but the last one."""
    ends = list(accumulate(heights, initial=0))
    frames = [pl.DataFrame({"n": range(a, b)}) for a, b in pairwise(ends)]
    chunks = list(in_chunks(frames, rows))
    assert [n for chunk in chunks for n in chunk["n"]] == list(range(ends[-1]))
    assert all(chunk.height == rows for chunk in chunks[:-1])
    assert all(chunk.height for chunk in chunks)


def test_rows_on_disk_are_labelled_as_those_in_memory(tmp_path) -> None:
    """The same labels, samples and foreign rows, wherever either side is."""
    held = pl.DataFrame(
        {"__masterid__": ["m1", "m2", "m3"], "key": ["c", "z", "b"], "name": ["x", "y", "1"]}
    )
    columns = ComparedColumns({"key": pl.String(), "name": pl.String()}, ("key",))
    ours, theirs = stored(tmp_path / "ours", FRAME), stored(tmp_path / "theirs", held)
    in_memory = label_rows(FrameTable(FRAME), FrameTable(held), columns, tmp_path / "aside")
    on_disk = label_rows(ours, theirs, columns, tmp_path / "aside")
    places = pl.int_range(3, dtype=pl.UInt32, eager=True)
    labels = on_disk.labels.of(places)
    assert labels.equals(in_memory.labels.of(places))
    assert labels.get_column("_change").to_list() == ["unchanged", "create", "update"]
    assert (
        on_disk.samples.rows() == in_memory.samples.rows() == [("c", "m1", "name", "x", "", False)]
    )
    assert on_disk.foreign.rows() == in_memory.foreign.rows() == [("m2", "z")]
