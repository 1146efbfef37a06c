"""No file for people holds a text that a spreadsheet program runs."""

from __future__ import annotations

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.spreadsheet import defuse, defuse_text, write_csv

FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "\ufeff=1", "\u200b=1",
    "\u202e=1", "\uff1d1+1", "\uff0b1", "\uff0d1+1", "\uff20SUM(1)", "|calc", "%1", "'=1", '"=1', "\x00=1",
    "a\n=cmd|' /C calc'!A0", "a\r\n+1+1", "\u22121+1", "-2+3+cmd|' /C calc'!A0", "+31 6 12345678",
]  # fmt: skip
PLAIN = [
    "",
    "Jan",
    "-12",
    "-12.50",
    "-12,5",
    "12",
    "a=b",
    "jan@example.com",
    "10%",
    "a-b",
    "Zo\u00eb",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_text(text: str) -> None:
    """However it hides its sign: it begins with an apostrophe, which no program runs."""
    [safe] = defuse(pl.DataFrame({"a": [text]}))["a"].to_list()
    assert safe.startswith("'")
    assert defuse_text(text) == safe


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    """Amounts, addresses and names."""
    assert defuse(pl.DataFrame({"a": [text]}))["a"].to_list() == [text]
    assert defuse_text(text) == text


@given(st.text(st.sampled_from("=+-@|% \t\r\n'\"a1.,\u200b\ufeff\uff1d\x00\u00a0"), max_size=12))
def test_no_cell_of_a_file_begins_as_a_formula(text: str) -> None:
    """Written and read again: every line of a cell begins with something else, or the cell is a number."""
    out = io.BytesIO()
    write_csv(pl.DataFrame({"=name": [text], "list": [[text, "x"]]}), out)
    data = out.getvalue()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    for cell in (cell for row in rows for cell in row):
        if not cell.lstrip("-").replace(".", "", 1).replace(",", "", 1).isdigit():
            assert cell[:1] not in ("=", "+", "-", "@", "\t", "\r", "\uff1d"), cell
    assert defuse_text(text) == defuse(pl.DataFrame({"a": [text]}))["a"][0]
