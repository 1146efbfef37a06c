"""What a row of a plan is in a file: the record that the API would get, and nothing else."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import ConfigError, UsageError
from migrate.load.files.names import file_name, name_pattern
from migrate.load.files.rows import DatasetRows, FileColumn, csv_header, csv_lines, json_lines
from migrate.load.files.writer import FileSettings, PlanOfFiles, write_files
from migrate.load.handover import LeftRows
from migrate.sandbox.declare import Column, DatasetSpec
from migrate.sandbox.imports import read_csv, read_json

COLUMNS = [
    FileColumn("id", "id"),
    FileColumn("name", "name", sends_null=True),
    FileColumn("position", "_position"),
    FileColumn("total", "total"),
    FileColumn("seen", "seen"),
    FileColumn("is_new", "is_new"),
]
SPEC = DatasetSpec(
    "contacts",
    "contacts",
    (
        Column("id"), Column("name"), Column("position", "integer"), Column("total", "float"),
        Column("seen", "datetime"), Column("is_new", "boolean"),
    ),
    (("id",),),
)  # fmt: skip
TYPES = {
    "id": pl.String, "name": pl.String, "_position": pl.Int32, "total": pl.Decimal(38, 6), "seen": pl.Datetime("us"),
    "is_new": pl.Boolean,
}  # fmt: skip


def payload(row: dict[str, object], emptied: bool) -> str:
    """The record as the API gets it, by the rules of the contract: what has no value is left out."""
    said: dict[str, object] = {"id": row["id"]}
    if emptied:
        said["name"] = None
    elif row["name"] is not None:
        said["name"] = row["name"]
    if row["_position"] is not None:
        said["position"] = row["_position"]
    if row["total"] is not None:
        said["total"] = float(str(row["total"]))
    if row["seen"] is not None:
        said["seen"] = f"{row['seen']:%Y-%m-%d %H:%M:%S}"
    if row["is_new"] is not None:
        said["is_new"] = row["is_new"]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def plain(record: dict[str, object]) -> dict[str, object]:
    """A record of the import, its numbers as Python's."""
    is_number = {"total": lambda v: float(bytes(v)) if not isinstance(v, int) else float(v)}
    return {
        n: is_number[n](v) if n in is_number and v is not None else v for n, v in record.items()
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ROW = st.fixed_dictionaries(
    {
        "id": TEXT.filter(bool),
        "name": st.none() | TEXT.filter(lambda text: text != "\\N"),
        "_position": st.none() | st.integers(-(2**31), 2**31 - 1),
        "total": st.none() | st.decimals(-1000, 1000, places=2),
        "seen": st.none() | st.datetimes(datetime(1900, 1, 1)),
        "is_new": st.none() | st.booleans(),
    }
)


@given(st.lists(st.tuples(ROW, st.booleans()), min_size=1, max_size=5))
def test_a_file_says_what_the_api_would_get(rows):
    """An import that reads the file by its stated rules has each record as it would have been sent, in both forms."""
    rows = [({**row, "name": None if emptied else row["name"]}, emptied) for row, emptied in rows]
    for row, _ in rows:
        row["seen"] = row["seen"] and row["seen"].replace(microsecond=0)
    frame = pl.DataFrame([row for row, _ in rows], schema=TYPES)
    payloads = [payload(row, emptied) for row, emptied in rows]
    frame = frame.with_columns(pl.Series("payload", payloads, dtype=pl.String))
    wanted = [json.loads(text) for text in payloads]
    written = csv_header(COLUMNS, ";") + csv_lines(frame, COLUMNS, ";")
    assert [plain(record) for record in read_csv(written.decode(), SPEC)] == wanted
    as_json = (b"[\n" + json_lines(frame) + b"\n]\n").decode()
    assert [plain(record) for record in read_json(as_json)] == wanted


def test_the_sign_of_an_emptied_column_is_no_text():
    """A text that is that very sign is refused, since a CSV could not tell the two apart."""
    frame = pl.DataFrame({"id": ["\\N"], "payload": ["{}"]})
    with pytest.raises(UsageError, match="id"):
        csv_lines(frame, COLUMNS[:1], ";")


def test_names_are_found_by_their_pattern_only():
    """A dataset's pattern finds its files, whole and numbered, and none of a dataset whose name begins like its own."""
    import re

    day = date(2026, 11, 29)
    assert file_name("contacts", day, "csv") == "contacts_20261129.csv"
    pattern = re.compile(name_pattern("order", "csv"))
    assert pattern.search(file_name("order", day, "csv", 12))
    assert not pattern.search(file_name("order_items", day, "csv"))
    assert not pattern.search(file_name("order", day, "json"))


def rows_of(folder: Path, change: str = "create", name: str | None = None) -> DatasetRows:
    """Five rows in two batches, of which one is settled."""
    frame = pl.DataFrame(
        {
            "batch": [0, 0, 0, 1, 1],
            "position": [0, 1, 2, 0, 1],
            "change": [change] * 5,
            "id": [f"k{n}" for n in range(5)],
            "name": [name] * 5,
            "payload": ["{}"] * 5,
        },
        schema_overrides={"batch": pl.Int32, "position": pl.Int32, "name": pl.String},
    )
    frame.write_parquet(folder / "records.parquet")
    settled = pl.DataFrame(
        {"batch": [0], "position": [1]}, {"batch": pl.Int32, "position": pl.Int32}
    )
    left = LeftRows(pl.Series("batch", [0, 1], pl.Int32), settled, 4)
    columns = [FileColumn("id", "id"), FileColumn("name", "name")]
    return DatasetRows("contacts", folder / "records.parquet", columns, left)


PLAN = PlanOfFiles("p", "hash", date(2026, 11, 29))


def nothing(_dataset: str, _rows: int) -> None:
    """Shows no progress."""


def test_files_are_cut_and_taken_up(tmp_path):
    """Each holds so many rows in sending order; a settled row is in none; what a killed call left is written anew."""
    rows, folder = rows_of(tmp_path), tmp_path / "out"
    folder.mkdir()
    (folder / "contacts_20261129.1.partial").write_bytes(b"half")
    made = write_files(folder, PLAN, [rows], FileSettings(file_rows=3), nothing)
    texts = {f.name: (folder / f.name).read_text() for f in made.files}
    assert texts == {
        "contacts_20261129_0001.csv": "id;name\nk0;\nk2;\nk3;\n",
        "contacts_20261129_0002.csv": "id;name\nk4;\n",
    }
    assert sorted(path.name for path in folder.iterdir()) == sorted([*texts, "handover.json"])
    again = write_files(folder, PLAN, [rows], FileSettings(file_rows=3), nothing)
    assert again.sha256() == made.sha256()
    (folder / made.files[0].name).write_bytes(b"changed")
    assert write_files(folder, PLAN, [rows], FileSettings(file_rows=3), nothing) == made
    (folder / "mine.txt").write_bytes(b"somebody's")
    (folder / made.files[0].name).write_bytes(b"changed")
    with pytest.raises(UsageError, match=r"mine\.txt"):
        write_files(folder, PLAN, [rows], FileSettings(file_rows=3), nothing)


def test_an_empty_cell_may_erase_nothing_that_is_there(tmp_path):
    """Rows of records that may be there go into a CSV only once it is said that empty cells are left alone."""
    rows = rows_of(tmp_path, change="update")
    with pytest.raises(ConfigError, match="empty cell"):
        write_files(tmp_path / "a", PLAN, [rows], FileSettings(), nothing)
    assert write_files(tmp_path / "b", PLAN, [rows], FileSettings(empty="kept"), nothing).files
    assert write_files(tmp_path / "c", PLAN, [rows], FileSettings(form="json"), nothing).files
    filled = rows_of(tmp_path, change="update", name="x")
    assert write_files(tmp_path / "d", PLAN, [filled], FileSettings(), nothing).files


def test_a_link_is_not_followed(tmp_path):
    """Neither in the place of the folder nor in that of a file."""
    rows, other = rows_of(tmp_path), tmp_path / "other"
    other.mkdir()
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(Exception, match="link"):
        write_files(tmp_path / "link", PLAN, [rows], FileSettings(), nothing)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "contacts_20261129.1.partial").symlink_to(other / "x")
    with pytest.raises(UsageError, match="not empty"):
        write_files(folder, PLAN, [rows], FileSettings(), nothing)


def test_money_is_no_float():
    """A number stands in a file with its digits, as in the payload."""
    frame = pl.DataFrame(
        {"total": [Decimal("31.200000"), Decimal("100"), None]}, {"total": pl.Decimal(38, 6)}
    )
    assert csv_lines(frame, [FileColumn("total", "total")], ";") == b"31.2\n100\n\n"
