"""What comes back from a spreadsheet is read as it was typed, or refused; it is never guessed at."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import UsageError
from migrate.sheets import Number, Spoilt, read_rows
from migrate.spreadsheet import defuse_text, sheet_name, undefuse_text, write_csv

SEEN = st.text(st.sampled_from("=+-@|% '\"a1.,0\uff1d"), max_size=10)


@given(SEEN.filter(lambda text: not text.startswith("'")), st.sampled_from(",;"))
def test_a_list_that_we_wrote_comes_back(tmp_path_factory: Any, text: str, mark: str) -> None:
    """With leading zeros, long numbers, signs and quotes, whatever stands between its cells."""
    file = tmp_path_factory.getbasetemp() / "list.csv"
    out = io.BytesIO()
    write_csv(pl.DataFrame({"a": [text, "0012", "'=1"], "b": "x"}), out, mark)
    file.write_bytes(out.getvalue())
    assert [row.cells["a"] or "" for row in read_rows(file)] == [text, "0012", "'=1"]
    assert undefuse_text(defuse_text(text)) == text


def book(file: Path, **cells: Any) -> Path:
    """A workbook of one row."""
    with xlsxwriter.Workbook(file) as written:
        page = written.add_worksheet("One")
        day = written.add_format({"num_format": "d-m-yyyy"})
        for column, (head, value) in enumerate(cells.items()):
            page.write_string(0, column, head)
            if isinstance(value, str):
                page.write_string(1, column, value)
            elif isinstance(value, datetime):
                page.write_datetime(1, column, value, day)
            else:
                page.write(1, column, value)
    return file


def test_cells_of_a_workbook(tmp_path: Path) -> None:
    """Texts stay; a number says that it is one; a day, a truth and a long number are refused with the reason."""
    file = book(
        tmp_path / "a.xlsx", text="0031", guarded="'=1", whole=612345678, part=12.5, day=datetime(2026, 5, 1),
        truth=True, long=1234567890123456, empty=None,
    )  # fmt: skip
    [row] = read_rows(file)
    assert row.place == "One, row 2"
    assert (row.cells["text"], row.cells["guarded"], row.cells["empty"]) == ("0031", "=1", None)
    assert row.cells["whole"] == Number("612345678", is_whole=True)
    assert row.cells["part"] == Number("12.5", is_whole=False)
    for name in ("day", "truth", "long"):
        assert isinstance(row.cells[name], Spoilt)


@pytest.mark.parametrize("data", [b"\xff\x00\xfe\x81", b"PK\x03\x04 broken", b'a,b\n"x,y\n'])
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    """With the file's name and what to do, never with a traceback."""
    file = tmp_path / "file"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="file"):
        list(read_rows(file))


def test_names_of_sheets() -> None:
    """Allowed ones, short ones, and no two the same."""
    taken: set[str] = set()
    names = [sheet_name(text, taken) for text in ("a/b: c", "x" * 50, "X" * 50, "'", "")]
    assert names == ["a b  c", "x" * 31, "X" * 29 + " 2", "-", "- 2"]
