"""Rows a column at a time, from a frame or from files."""

from __future__ import annotations

import polars as pl

from migrate.plan.classify import ComparedColumns, label_rows
from migrate.plan.tables import FrameTable, ParquetTable, texts_of

FRAME = pl.DataFrame({"_key": ["b", "a", "c"], "key": ["b", "a", "c"], "name": ["1", None, ""]})


def stored(folder, frame: pl.DataFrame) -> ParquetTable:
    """The frame in files of one row, each with its columns in another order than the one before."""
    folder.mkdir()
    files = [folder / f"[{place}].parquet" for place in range(frame.height)]
    for place, file in enumerate(files):
        names = frame.columns if place % 2 else frame.columns[::-1]
        frame[place : place + 1].select(names).write_parquet(file)
    return ParquetTable(files, frame.columns, frame.height)


def test_files_give_what_the_frame_gives(tmp_path) -> None:
    """Values, nulls and '' in the order of the rows, whatever the order of the columns in each file."""
    table = stored(tmp_path / "rows", FRAME)
    for name in FRAME.columns:
        there = table.column(name)
        assert there is not None
        assert there.to_list() == FRAME[name].to_list() == texts_of(table, name).to_list()
    assert table.height == FrameTable(FRAME).height == 3


def test_a_column_that_is_not_there_is_none(tmp_path) -> None:
    """And as a column of texts, one without a value in any row."""
    for table in (
        FrameTable(FRAME),
        stored(tmp_path / "rows", FRAME),
        ParquetTable([], FRAME.columns, 0),
    ):
        assert table.column("other") is None
        assert texts_of(table, "other").to_list() == [None] * table.height
    assert ParquetTable([], ["name"], 0).column("name") is None


def test_rows_on_disk_are_labelled_as_those_in_memory(tmp_path) -> None:
    """The same labels, samples and foreign rows, wherever either side is."""
    held = pl.DataFrame(
        {"__masterid__": ["m1", "m2", "m3"], "key": ["c", "z", "b"], "name": ["x", "y", "1"]}
    )
    columns = ComparedColumns({"key": pl.String(), "name": pl.String()}, ("key",))
    ours, theirs = stored(tmp_path / "ours", FRAME), stored(tmp_path / "theirs", held)
    in_memory = label_rows(FrameTable(FRAME), FrameTable(held), columns)
    on_disk = label_rows(ours, theirs, columns)
    places = pl.int_range(3, dtype=pl.UInt32, eager=True)
    labels = on_disk.labels.of(places, on_disk.labels.masterids)
    assert labels.equals(in_memory.labels.of(places, in_memory.labels.masterids))
    assert labels.get_column("_change").to_list() == ["unchanged", "create", "update"]
    assert (
        on_disk.samples.rows() == in_memory.samples.rows() == [("c", "m1", "name", "x", "", False)]
    )
    assert on_disk.foreign.rows() == in_memory.foreign.rows() == [("m2", "z")]
