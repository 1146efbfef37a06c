"""A workbook for the customer: only the cells to fill in can be typed into, and masked it holds no value of anybody."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from migrate.app.to_correct import TO_CORRECT
from migrate.privacy.mask import Masker
from migrate.report.reject_book import heads_by_word, write_reject_book
from migrate.report.words import words_of
from migrate.sheets import read_rows

VALUES = pl.DataFrame(
    [
        ("not_an_email", "contacts", "profiles", "Shop", "0031", "email", "piet.x.example"),
        ("not_a_number", "orders", "sales", None, "=7", "items[2].price", "=HYPERLINK()"),
        ("the target says no", "orders", "sales", "Shop", "8", "", None),
    ],
    schema=TO_CORRECT,
    orient="row",
)


def parts_of(file: Path) -> dict[str, str]:
    """The XML inside of a workbook."""
    with zipfile.ZipFile(file) as packed:
        return {name: packed.read(name).decode() for name in packed.namelist()}


@pytest.mark.parametrize("is_masked", [False, True])
def test_a_workbook_of_values_to_put_right(tmp_path: Path, *, is_masked: bool) -> None:
    """A sheet for each rule, all protected; ids and values come back as they were, and none is a formula."""
    file = tmp_path / "rejects.xlsx"
    words = words_of("nl")
    assert write_reject_book(VALUES, file, words, Masker(b"salt"), is_masked=is_masked) == 3
    parts = parts_of(file)
    sheets = [text for name, text in parts.items() if name.startswith("xl/worksheets/sheet")]
    assert len(sheets) == 4
    assert all("<sheetProtection" in text and "<f>" not in text for text in sheets)
    assert ("piet.x.example" in "".join(parts.values())) is not is_masked
    heads = heads_by_word()
    rows = [
        {heads.get(head, head): cell for head, cell in row.cells.items()} for row in read_rows(file)
    ]
    found = {row["id"]: row for row in rows if "id" in row}
    assert found.keys() == {"0031", "=7", "8"}
    assert found["0031"]["value"] is None
    assert found["0031"]["check"] == Masker(b"salt").seal("piet.x.example")
    assert found["=7"]["field"] == "items[2].price"
    if not is_masked:
        assert found["=7"]["sent"] == "=HYPERLINK()"
    assert str(found["0031"]["wrong"]).endswith("er staat geen @ in")


def test_heads_are_known_in_every_language() -> None:
    """A workbook comes back whoever fills it in: each column has one meaning in all languages together."""
    heads = heads_by_word()
    assert {heads[head] for head in ("Right value", "Juiste waarde", "Bonne valeur", "Richtiger Wert")} == {
        "value"
    }  # fmt: skip
