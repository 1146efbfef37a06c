"""No file for people holds a text that a spreadsheet program runs."""

from __future__ import annotations

import csv
import io
import zipfile
from xml.etree import ElementTree

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.spreadsheet import defuse, defuse_text, write_csv, write_xlsx

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


def test_a_workbook_has_texts_and_numbers_and_nothing_that_runs() -> None:
    """Cells of the sheet's XML are texts or numbers; no formula, link, macro or part from elsewhere is in the file."""
    out = io.BytesIO()
    hostile = [
        *FORMULAS,
        "http://example.test/",
        "mailto:a@example.test",
        "_x003D_1+1",
        "\ud7ff",
        "1e5",
        "00312",
    ]
    frame = pl.DataFrame({"=head": hostile, "\uff1dn": [float("nan")] + [1.5] * (len(hostile) - 1)})
    write_xlsx(frame, out, "=cmd[1]*?/")
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))
        whole = b"".join(map(archive.read, names))
    kinds = {element.tag.rpartition("}")[2] for element in sheet.iter()}
    assert not kinds & {"f", "hyperlink", "hyperlinks", "oleObject", "legacyDrawing"}
    cells = [element for element in sheet.iter() if element.tag.endswith("}c")]
    texts = [cell for cell in cells if cell.get("t") in ("inlineStr", "s")]
    numbers = [cell for cell in cells if cell.get("t") in (None, "n")]
    assert len(texts) == len(hostile) + 3
    assert len(texts) + len(numbers) == len(cells)
    assert not [name for name in names if "externalLink" in name or "vba" in name.lower()]
    assert b'TargetMode="External"' not in whole
    strings = [
        "".join(part.text or "" for part in cell.iter() if part.tag.endswith("}t"))
        for cell in texts
    ]
    for text in strings:
        assert text[:1] not in (
            "=",
            "+",
            "-",
            "@",
            "\t",
            "\r",
            "\uff1d",
            "\uff0b",
            "\uff0d",
            "\uff20",
        ), text
