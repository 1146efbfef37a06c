"""Files of rows that somebody changed together with their hashes: each kind, spoilt in each way, is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate import parquet, shapes
from migrate.errors import Damaged
from migrate.shapes import Shape, shape_of

PLACES = (
    "snapshots/s/profiles/part-00001.parquet", "snapshots/s/profiles/damaged.parquet",
    "snapshots/s/profiles/doubles.parquet", "snapshots/s/profiles/delta.parquet",
    *(
        f"plans/p/orders/{name}.parquet"
        for name in (
            "records", "unchanged", "rejects", "collapsed", "missing", "samples", "foreign", "merges", "keys", "losses",
            "gone", "moved", "discarded", "waiting", "orders_left_out", "totals", "totals-sales", "unreadable",
            "before-00001",
        )
    ),
    "plans/p/corrections/corrections.parquet", "corrections.parquet", "exports/p/not-imported-orders.parquet",
    "plans/p/scope/profiles.parquet", "plans/p/scope/whole.parquet", "undo/undo-p/orders/records.parquet",
    "exports/p/crosswalk-orders.parquet", "exports/p/crosswalk-projects-orders.parquet",
    "exports/p/altered-orders.parquet",
    "exports/p/differences-orders.parquet", "reports/.p-read-back/orders/page-00001.parquet",
)  # fmt: skip
ANY: dict[Any, Any] = {
    pl.String: "x", pl.Int64: 1, pl.Int32: 1, pl.UInt32: 1, pl.Boolean: True, pl.Binary: b"x", pl.Float64: 1.5,
    pl.Decimal: Decimal("1.5"), pl.Date: date(2024, 2, 29), pl.Datetime: datetime(2024, 2, 29, tzinfo=UTC),
}  # fmt: skip
OTHER_TYPES = (
    pl.Series([7], dtype=pl.Int8), pl.Series([float("nan")]), pl.Series([float("-inf")]), pl.Series([b"\xff"]),
    pl.Series([["x"]]), pl.Series([{"a": [1]}]), pl.Series([None], dtype=pl.Null),
    pl.Series([[{"source": "Shop", "id": "1"}]]),
)  # fmt: skip
Spoil = Callable[[pl.DataFrame], pl.DataFrame]


def right_frame(shape: Shape) -> pl.DataFrame:
    """One row as the kind has to be."""
    row: dict[str, pl.Series] = {}
    for name, kind in shape.columns.items():
        base = kind.base_type() if isinstance(kind, pl.DataType) else kind
        if base == pl.List:
            inner = kind.inner if isinstance(kind, pl.List) else None
            value: Any = ["x"] if inner == pl.String else [{"resource": "sales", "id": "1"}]
        else:
            value = ANY[base]
        row[name] = pl.Series(name, [value], dtype=kind)
    return pl.DataFrame(row)


def spoilt(shape: Shape, frame: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The frame in each way in which it is none of its kind."""
    found: dict[str, pl.DataFrame] = {"one_more there": frame.with_columns(one_more=pl.lit([1]))}
    for name in frame.columns:
        if name not in shape.late:
            found[f"without {name}"] = frame.drop(name)
        for number, other in enumerate(OTHER_TYPES):
            if other.dtype != frame.schema[name]:
                found[f"{name} otherwise {number}"] = frame.with_columns(other.alias(name))
    return found


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_is_refused_in_every_way(tmp_path: Path, place: str) -> None:
    """Columns that are missing, too many, of another type or nesting: one error that names the file and the column."""
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = shape_of(file)
    assert shape is not None
    frame = right_frame(shape)
    frame.write_parquet(file)
    assert parquet.read(file).equals(frame)
    parquet.check_whole(file, 1)
    for what, wrong in spoilt(shape, frame).items():
        wrong.write_parquet(file)
        column = what.split()[1] if what.startswith("without") else what.split()[0]
        for use in (parquet.read, parquet.scan, parquet.schema, parquet.check_whole):
            with pytest.raises(Damaged, match="as this tool writes it") as caught:
                use(file)
            assert f"'{column}'" in caught.value.what, what
            assert str(file) in caught.value.what
            assert caught.value.hint


@pytest.mark.parametrize("place", PLACES)
def test_cells_that_cannot_be(tmp_path: Path, place: str) -> None:
    """No value where there always is one, no number, no day of a calendar: refused when the cells are read."""
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = shape_of(file)
    assert shape is not None
    frame = right_frame(shape)
    odd = {name: pl.lit(None, kind) for name, kind in frame.schema.items() if name in shape.filled}
    for name, kind in frame.schema.items():
        if kind.is_float():
            odd[name] = pl.lit(float("nan"))
        if kind.is_temporal():
            odd[name] = (
                pl.lit(2**30 if kind == pl.Date else 2**60).cast(kind.base_type()).cast(kind)
            )
    for name, cell in odd.items():
        frame.with_columns(cell.alias(name)).write_parquet(file)
        for use in (parquet.read, parquet.check_whole):
            with pytest.raises(Damaged, match=f"column '{name}'"):
                use(file)


def test_bytes_that_are_no_parquet_and_rows_that_are_missing(tmp_path: Path) -> None:
    """A file of a known kind that cannot be read is as damaged as one of other columns; others are let through."""
    file = tmp_path / "plans/p/orders/rejects.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = shape_of(file)
    assert shape is not None
    right_frame(shape).write_parquet(file)
    with pytest.raises(Damaged, match="1 rows, its manifest says 2"):
        parquet.check_whole(file, 2)
    whole = file.read_bytes()
    for bytes_ in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2], b"\0" * len(whole)):
        file.write_bytes(bytes_)
        for use in (parquet.read, parquet.scan, parquet.schema, parquet.check_whole):
            with pytest.raises(Damaged, match="cannot be read"):
                use(file)
    beside = file.with_name("spill.parquet")
    pl.DataFrame({"anything": [1]}).write_parquet(beside)
    assert parquet.read(beside).height == 1


def test_a_file_that_was_changed_is_looked_at_again(tmp_path: Path) -> None:
    """What was found of a file's columns is kept for as long as the file is the same."""
    file = tmp_path / "exports/p/crosswalk-orders.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = shape_of(file)
    assert shape is not None
    right = right_frame(shape)
    right.write_parquet(file)
    parquet.scan(file)
    right.drop("key").write_parquet(file)
    with pytest.raises(Damaged):
        parquet.scan(file)


def test_files_of_an_earlier_version_are_read_as_before(tmp_path: Path) -> None:
    """They lack columns that came later; a check of the whole file says so, where a reader came to grief over it."""
    for place in PLACES:
        file = tmp_path / place
        shape = shape_of(file)
        if shape is not None and shape.late:
            file.parent.mkdir(parents=True, exist_ok=True)
            right_frame(shape).drop(shape.late).write_parquet(file)
            parquet.read(file)
            with pytest.raises(Damaged, match="is missing"):
                parquet.check_whole(file)


def test_a_column_that_a_later_version_added_is_no_damage(tmp_path: Path) -> None:
    """Readers take columns by name; where one came to grief all the same, it is named."""
    file = tmp_path / "plans/p/orders/rejects.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = shape_of(file)
    assert shape is not None
    right_frame(shape).with_columns(later=pl.lit(value=True)).write_parquet(file)
    assert "later" in parquet.read(file).columns
    with pytest.raises(Damaged, match="'later' is none of its columns"):
        parquet.check_whole(file)


def test_every_place_is_asked_for_here() -> None:
    """A new kind of file gets a line in the table above."""
    used = {id(shape_of(Path("/w") / place)) for place in PLACES}
    known = {id(shape) for _pattern, shape in shapes._PLACES}
    assert used == known
