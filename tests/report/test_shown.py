"""Values shown one by one and a column at once are masked alike."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

import migrate
from migrate.privacy.mask import Masker
from migrate.report.shown import Shown

texts = st.text(st.characters(codec="utf-8", max_codepoint=0x24FF), max_size=40)
ZERO_DATES = ("0000-00-00", "00/00/0000", "0000-00-00 00:00:00", "00000000", "0000-00-00x")


@given(
    st.lists(
        st.none()
        | texts
        | st.sampled_from([*ZERO_DATES, "jan@x.nl", "Ǆé9٣\u202e\x00", "12.50", "true", ""])
    )
)
def test_a_column_is_masked_like_its_values(values: list[str | None]) -> None:
    """In every type, also those whose values may be shown."""
    series = pl.Series("v", values, dtype=pl.String)
    for resources in (["profiles"], ["content_items"]):
        shown = Shown(Masker(b"salt")).of(resources)
        for dtype in (None, pl.String(), pl.Boolean(), pl.Decimal(16, 6), pl.Date()):
            for name in ("", "sku", "price", "status"):
                masked = [shown.value(value, dtype, name) for value in values]
                assert shown.column(series, dtype, name).to_list() == masked


def test_values_are_masked_in_one_place() -> None:
    """What terminal, page, workbook and JSON show of a value is decided by `Shown` alone: they cannot differ."""
    rooms = [Path(migrate.__file__).parent / room for room in ("report", "cli")]
    files = itertools.chain.from_iterable(room.glob("*.py") for room in rooms)
    assert [
        file.name for file in files if re.search(r"(?<!privacy)\.mask\b", file.read_text())
    ] == ["shown.py"]


def test_rows_of_products_are_shown() -> None:
    """All that is in them but addresses; rows that are made of people's records too are masked."""
    shown = Shown(Masker(b"salt"))
    assert shown.of(["content_items", "content_categories"]).text("Cap 7") == "Cap 7"
    assert str(shown.of(["content_items"]).text("a@b.nl")).startswith("a@a.aa#")
    assert str(shown.of(["content_items", "sales"]).text("Cap 7")).startswith("Aaa 9#")
    assert str(shown.of([]).text("Cap 7")).startswith("Aaa 9#")


def test_amounts_and_yes_or_no_are_shown_where_they_are_such() -> None:
    """A name in a column of amounts is a name all the same."""
    shown = Shown(Masker(b"salt"))
    assert shown.value("12.50", pl.Decimal(16, 6)) == "12.50"
    assert shown.value("12,50", pl.Decimal(16, 6)) == "12,50"
    assert shown.value("Jansen", pl.Decimal(16, 6)).startswith("Aaaaaa#")
    assert shown.value("true", pl.Boolean()) == "true"
    assert shown.value("12", pl.Int32()).startswith("99#")
    assert Shown(None).text("x" * 300) == "x" * 200 + "…"
