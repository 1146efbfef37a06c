"""Tables that fit: at any width nothing is cut off, and what says nothing is left out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.app.finding import share_of
from migrate.report.cells import Cell, format_cell, format_share, width_of
from migrate.report.table import render_table

WORDS = st.text(st.sampled_from("abcde é漢 "), max_size=60)
CELLS = st.one_of(st.none(), st.integers(0, 10**9), WORDS)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[Cell]]]:
    """Headers and rows; a column holds numbers or texts."""
    count = draw(st.integers(1, 12))
    headers = draw(
        st.lists(st.text(st.sampled_from("abc "), max_size=20), min_size=count, max_size=count)
    )
    numeric = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    kinds = [st.one_of(st.none(), st.integers(0, 10**9)) if number else WORDS for number in numeric]
    rows = draw(st.lists(st.tuples(*kinds).map(list), max_size=5))
    return headers, rows


def without_blanks(text: str) -> str:
    """`text` without blanks and line ends, since wrapping changes those alone."""
    return re.sub(r"\s+", "", text)


@given(tables(), st.integers(40, 120))
def test_no_line_is_wider_than_the_terminal(
    table: tuple[list[str], list[list[Cell]]], width: int
) -> None:
    """Whatever the columns; 12 columns of numbers up to a billion have to go on below."""
    headers, rows = table
    for line in render_table(headers, rows, width=width).splitlines():
        assert width_of(line) <= width


@given(tables(), st.integers(40, 120))
def test_every_number_stays_in_one_piece(
    table: tuple[list[str], list[list[Cell]]], width: int
) -> None:
    """A number that wrapped would be read as two."""
    headers, rows = table
    words = set(render_table(headers, rows, width=width, keep=headers).split())
    for row in rows:
        assert {format_cell(cell) for cell in row if isinstance(cell, int)} <= words


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4), st.integers(40, 120))
def test_no_letter_is_lost(rows: list[tuple[str, str]], width: int) -> None:
    """Each row's texts stand in the table, in pieces at most."""
    text = render_table(["a", "b"], rows, width=width)
    for char in "abcdeé漢":
        wanted = sum(cell.count(char) for row in rows for cell in row)
        body = "\n".join(text.splitlines()[2:])
        assert body.count(char) == wanted


def test_columns_of_zeros_are_left_out() -> None:
    """Zeros and gaps say nothing; the first column, a kept one and one with a number stay."""
    table = render_table(
        ["dataset", "created", "merged", "altered", "deferred", "time"],
        [["contacts", 3, 0, None, 0, "0.1 s"], ["orders", 0, 0, 0, 0, "0.2 s"]],
        width=80,
        keep=["merged"],
    )
    assert table.split("\n")[0].split() == ["dataset", "created", "merged", "time"]


def test_a_table_that_fits_is_on_one_line_a_row() -> None:
    """Numbers on the right, texts on the left."""
    assert render_table(
        ["dataset", "to send"], [["contacts", 1200], ["x", None]], width=80
    ).splitlines() == [
        "  dataset   to send",
        "  --------  -------",
        "  contacts    1,200",
        "  x               -",
    ]


def test_headers_wrap_first_then_texts() -> None:
    """Fifty columns for what would take sixty-five: the header at its blank, then the long text."""
    table = render_table(
        ["dataset", "rows that are read", "what it says"],
        [["contacts", 5, "a text that is long enough to need a second line"]],
        width=50,
    )
    assert table.splitlines() == [
        "            rows",
        "            that",
        "             are",
        "  dataset   read  what it says",
        "  --------  ----  --------------------------------",
        "  contacts     5  a text that is long enough to",
        "                  need a second line",
    ]


def test_numbers_that_cannot_fit_go_on_below() -> None:
    """With the first column again, so that each line tells whose it is."""
    table = render_table(
        ["d", *"abcdef"], [["orders", *([1_000_000_000] * 6)]], width=45
    ).splitlines()
    assert [line.split()[0] for line in table] == ["d", "------", "orders"] * 3
    assert sum(line.count("1,000,000,000") for line in table) == 6


@pytest.mark.parametrize("columns", ["20", "200"])
def test_the_terminal_says_how_wide(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`COLUMNS` counts; below 40 nothing is readable, above 120 nothing is found."""
    monkeypatch.setenv("COLUMNS", columns)
    widest = max(map(width_of, render_table(["a"], [["x" * 300]]).splitlines()))
    assert widest == (40 if columns == "20" else 120)


def test_blanks_before_a_text_stay() -> None:
    """Amounts that a caller has set flush right stay so."""
    table = render_table(["sum"], [["  86.10"], ["116.35"]], width=80)
    assert table.splitlines()[2:] == ["    86.10", "  116.35"]


def test_what_goes_on_below_can_still_be_distinguished() -> None:
    """A table too wide goes on with the columns that tell its rows apart, not only with the first."""
    rows = [
        ["contacts", "optin", "an answer that is listed nowhere", 1, "maybe -> (nothing)"],
        ["contacts", "born", "no date in a known spelling", 22_222, "9999-99-99 -> (nothing)"],
    ]
    heads = ["dataset", "column", "what is lost", "rows", "example"]
    below = render_table(heads, rows, width=42).split("\n  dataset")[-1]
    assert "example" in below
    assert re.search(r"contacts +optin +maybe", below)
    assert re.search(r"contacts +born +9999", below)


def test_a_column_that_is_the_same_in_all_rows_does_not_go_on_below() -> None:
    """The second group has the names that differ, and leaves out what says the same in each row."""
    rows = [
        ["order_items", "plan", "permanent", "not_a_number", "price", 1, "order_items/p0"],
        ["order_items", "plan", "permanent", "not_a_number", "quantity", 1, "order_items/p1"],
    ]
    heads = ["dataset", "stage", "kind", "reason", "column", "open", "example"]
    below = render_table(heads, rows, width=60).split("\n  dataset")[-1]
    assert re.search(r"order_items +price +1 +order_items/p0", below)
    assert re.search(r"order_items +quantity +1 +order_items/p1", below)
    assert "permanent" not in below


@given(st.integers(1, 5_000), st.integers(1, 5_000))
def test_a_share_is_the_same_in_a_table_and_in_a_sentence(rows: int, of: int) -> None:
    """One place, in both; some are never none, and not quite all are never all."""
    rows = min(rows, of)
    said = share_of("contacts", rows, of).rpartition("(")[2].rstrip(")")
    said = said.replace("less than ", "<").replace("more than ", ">")
    assert format_share(rows / of) == said
    assert (format_share(rows / of) == "100%") == (rows == of)
    assert format_share(rows / of) != "0%"


def test_a_name_breaks_at_its_hyphen() -> None:
    """What is to be pasted is not cut in the middle of a number."""
    rows = [["cutover-20261130-230724", "loaded and reconciled by now"]]
    lines = render_table(["plan", "state"], rows, width=40).splitlines()
    assert [line.split("  ")[1] for line in lines[2:]] == ["cutover-20261130-", "230724"]
