"""Rejects as a workbook for a customer: a sheet for each rule, and in it an empty cell for each right value.

Everything else is protected (without a password: it keeps from slips, not from people), and the cells to fill in are
text, so that no zero is dropped and no date made of what is typed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from migrate.mapping.rules import RULES, reason_of
from migrate.names import LANGUAGES
from migrate.privacy.mask import Masker
from migrate.report.labels import CORRECTION_HEADS, CORRECTION_NOTES
from migrate.report.shown import Shown
from migrate.report.words import Words, words_of
from migrate.spreadsheet import WORKBOOK_ROWS, cell_text, sheet_name
from migrate.workspace import replacing

_WIDTHS = {
    "resource": 13, "source": 15, "id": 16, "dataset": 12, "field": 20, "sent": 28, "wrong": 44,
    "value": 28, "why": 28, "by": 20, "check": 8,
}  # fmt: skip
_OPEN = frozenset({"value", "why", "by"})
_CHECK = "check"
_NOTE_COLUMNS = 100


def write_reject_book(
    values: pl.DataFrame, file: Path, words: Words, masker: Masker, *, is_masked: bool
) -> int:
    """Writes the workbook of `TO_CORRECT` and gives the number of its rows.

    `is_masked`: no personal value can be read in it.
    """
    # Costs a tenth of a second, which no command pays that writes no workbook.
    import xlsxwriter

    rules = values.group_by("rule").len().sort("len", "rule", descending=[True, False])
    with (
        replacing(file) as temporary,
        xlsxwriter.Workbook(temporary, {"constant_memory": True, "in_memory": False}) as book,
    ):
        formats = _formats(book)
        taken: set[str] = set()
        _write_notes(book, formats, words, sheet_name(words.say(CORRECTION_NOTES[0]), taken))
        for rule, count in rules.iter_rows():
            page = book.add_worksheet(sheet_name(_says(rule, words), taken))
            _begin_page(page, formats, words, count)
            rows = values.filter(pl.col("rule") == rule).head(WORKBOOK_ROWS)
            for place, row in enumerate(rows.iter_rows(named=True), start=1):
                cells = _cells(row, words, masker, is_masked=is_masked)
                _write_row(page, place, cells, formats, is_field_open=not row["field"])
    return sum(min(count, WORKBOOK_ROWS) for count in rules["len"])


def heads_by_word() -> Mapping[str, str]:
    """The name of each column by what stands over it, in any language that a workbook is written in."""
    return {
        words_of(language).say(head): name
        for language in LANGUAGES
        for name, head in CORRECTION_HEADS.items()
    }


def _formats(book: Any) -> Mapping[str, Any]:
    text = {"num_format": "@", "valign": "top", "text_wrap": True}
    return {
        "head": book.add_format({"bold": True, "text_wrap": True}),
        "kept": book.add_format(text),
        "open": book.add_format({**text, "locked": False, "bg_color": "#FFF8DC", "border": 1}),
    }


def _write_notes(book: Any, formats: Mapping[str, Any], words: Words, name: str) -> None:
    page = book.add_worksheet(name)
    page.set_column(0, 0, _NOTE_COLUMNS)
    for place, note in enumerate(CORRECTION_NOTES):
        page.write_string(place, 0, words.say(note), formats["kept" if place else "head"])
    page.protect()


def _begin_page(page: Any, formats: Mapping[str, Any], words: Words, rows: int) -> None:
    page.freeze_panes(1, 0)
    page.autofilter(0, 0, rows, len(CORRECTION_HEADS) - 1)
    allowed = ("autofilter", "format_columns", "format_rows")
    # Without a password: it keeps cells from being typed over, and nobody from looking.
    page.protect("", dict.fromkeys(allowed, True))
    for column, (name, head) in enumerate(CORRECTION_HEADS.items()):
        options = {"hidden": True} if name == _CHECK else {}
        style = formats["open"] if name in _OPEN else formats["kept"]
        page.set_column(column, column, _WIDTHS[name], style, options)
        page.write_string(0, column, words.say(head), formats["head"])


def _cells(
    row: Mapping[str, Any], words: Words, masker: Masker, *, is_masked: bool
) -> Mapping[str, str]:
    sent = row["sent"] or ""
    shown = Shown(masker, longest=None).of([row["resource"]])
    return {
        "resource": row["resource"],
        "source": row["source"] or "",
        "id": row["id"],
        "dataset": row["dataset"],
        "field": row["field"],
        "sent": shown.text(sent, row["field"]) or "" if is_masked else sent,
        "wrong": _wrong(row, words),
        # By it the import knows whether the record still has this value; the cell may be masked.
        _CHECK: masker.seal(sent),
    }


def _wrong(row: Mapping[str, Any], words: Words) -> str:
    reason = reason_of(row["rule"], row["sent"])
    says = _says(row["rule"], words)
    return f"{says}: {words.say(reason)}" if reason else says


def _says(rule: str, words: Words) -> str:
    known = RULES.get(rule)
    return words.say(known.says) if known else rule


def _write_row(
    page: Any,
    place: int,
    cells: Mapping[str, str],
    formats: Mapping[str, Any],
    *,
    is_field_open: bool,
) -> None:
    open_ones: Iterable[str] = {*_OPEN, *(["field"] if is_field_open else [])}
    for column, name in enumerate(CORRECTION_HEADS):
        style = formats["open" if name in open_ones else "kept"]
        text = cell_text(cells.get(name, ""))
        if text:
            page.write_string(place, column, text, style)
        else:
            page.write_blank(place, column, None, style)
