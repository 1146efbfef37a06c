"""Files that people open in a spreadsheet program: the one guard against texts that it would take for a formula.

**Source**: OWASP, CSV Injection. Excel, LibreOffice and Google Sheets also skip what is invisible before the sign.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import polars as pl

# Written with the signs themselves, so that the same pattern is one of Rust's, for columns, and one of Python's.
_SIGNS = "=+\\-@|%\uff1d\uff0b\uff0d\uff20\ufe62\ufe63\ufe66\ufe6b\u2212"
_UNSEEN = "\\s\x00-\x20\x7f-\xa0\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_FORMULA = f"^[{_UNSEEN}'\"]*[{_SIGNS}]|[\\r\\n][{_UNSEEN}]*[{_SIGNS}]"
_NUMBER = "^-?[0-9]+(?:[.,][0-9]+)?$"
_INVISIBLE = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
# What a spreadsheet reads as a number of another value: leading zeros, more digits than it shows, an exponent.
_OTHER_NUMBER = "^0[0-9]+(?:[.,][0-9]+)?$|^[0-9]{12,}$|^[0-9]+[eE][0-9]+$"
# Where the decimal mark is a comma, 1.5 is the first of May.
_POINTED = "^-?[0-9]+[.][0-9]+$"
_UNNAMED = re.compile(r"[\[\]:*?/\\]")
WORKBOOK_ROWS = 1_048_575
_SHEET_CHARS = 31
_CELL_CHARS = 32_767
_COLUMN_CHARS = 18
_MOST_EXACT = 10**15
"""**Source**: Excel specifications and limits: rows, characters of a cell and of a sheet's name, digits of a number."""
_IS_FORMULA, _IS_NUMBER, _IS_INVISIBLE = map(re.compile, (_FORMULA, _NUMBER, _INVISIBLE))
_IS_OTHER_NUMBER, _IS_POINTED = map(re.compile, (_OTHER_NUMBER, _POINTED))


def write_csv(
    frame: pl.DataFrame,
    target: Path | IO[bytes],
    separator: str = ",",
    *,
    has_head: bool = True,
) -> None:
    """Writes a frame as CSV that opens as it is: with a mark of its encoding, every text quoted and none a formula.

    `has_head`: False for rows that go behind others. `separator`: what the reader's program parts cells by; one that
    takes semicolons reads a comma as the decimal mark.
    A text that the program would read as another value (`00312`, a number of more digits than it keeps) is marked by
    an apostrophe, like a formula.
    """
    has_commas = separator == ";"
    safe = defuse(frame)
    texts = [name for name, kind in safe.schema.items() if kind == pl.String]
    marked = safe.with_columns(_kept(pl.col(name), has_commas).alias(name) for name in texts)
    marked.write_csv(
        target,
        include_bom=has_head,
        include_header=has_head,
        quote_style="non_numeric",
        separator=separator,
        decimal_comma=has_commas,
    )


def write_xlsx(frame: pl.DataFrame, target: Path | IO[bytes], sheet: str) -> None:
    """Writes a frame as a workbook of one sheet: texts stay texts, none is a formula, the head row stays in sight.

    **Guarantees**: memory does not grow with the rows. A text beyond what a cell holds is cut, with an ellipsis.
    """
    # Costs a tenth of a second, which no command pays that writes no workbook.
    import xlsxwriter

    safe = defuse(frame).head(WORKBOOK_ROWS)
    options = {"constant_memory": True, "in_memory": False}
    with xlsxwriter.Workbook(target, options) as workbook:
        bold = workbook.add_format({"bold": True})
        page = workbook.add_worksheet(_UNNAMED.sub(" ", sheet)[:_SHEET_CHARS])
        page.freeze_panes(1, 0)
        page.autofilter(0, 0, safe.height, max(0, safe.width - 1))
        page.set_column(0, max(0, safe.width - 1), _COLUMN_CHARS)
        for column, name in enumerate(safe.columns):
            page.write_string(0, column, name, bold)
        for place, row in enumerate(safe.iter_rows(), start=1):
            _write_row(page, place, row)


def _write_row(page: Any, place: int, row: tuple[Any, ...]) -> None:
    for column, value in enumerate(row):
        if isinstance(value, bool):
            page.write_boolean(place, column, value)
        elif isinstance(value, int | float) and abs(value) < _MOST_EXACT:
            page.write_number(place, column, value)
        elif value is not None:
            page.write_string(place, column, _cut(str(value)))


def cell_text(text: str) -> str:
    """A text as a cell may hold it: none that is taken for a formula, and none that is too long."""
    return _cut(defuse_text(text))


def sheet_name(text: str, taken: set[str]) -> str:
    """A name for a sheet that says `text`; another than those `taken`, to which it is added."""
    plain = _UNNAMED.sub(" ", text).strip("' ") or "-"
    name, number = plain[:_SHEET_CHARS].strip(), 1
    while name.lower() in taken:
        number += 1
        end = f" {number}"
        name = plain[: _SHEET_CHARS - len(end)].strip() + end
    taken.add(name.lower())
    return name


def _cut(text: str) -> str:
    return text if len(text) <= _CELL_CHARS else text[: _CELL_CHARS - 1] + "…"


def defuse(frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with texts, in cells and names of columns, that no spreadsheet takes for a formula; lists as one text.

    Invisible characters become `�`: what they do to what is shown is nothing that anybody meant.
    """
    lists = [
        pl.col(name).cast(pl.List(pl.String)).list.join(", ", ignore_nulls=True)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.List)
    ]
    flat = frame.with_columns(lists)
    texts = [name for name, kind in flat.schema.items() if kind == pl.String]
    safe = flat.with_columns(_defused(pl.col(name)).alias(name) for name in texts)
    return safe.rename({name: defuse_text(name) for name in safe.columns})


def defuse_text(text: str) -> str:
    """One text that no spreadsheet takes for a formula."""
    is_formula = _IS_FORMULA.search(text) and not _IS_NUMBER.search(text)
    return _IS_INVISIBLE.sub("�", f"'{text}" if is_formula else text)


def undefuse_text(text: str) -> str:
    """A text as it was before it was guarded: without an apostrophe before what a spreadsheet would take otherwise."""
    rest = text[1:]
    is_guard = text.startswith("'") and (
        _IS_FORMULA.search(rest) or _IS_OTHER_NUMBER.search(rest) or _IS_POINTED.search(rest)
    )
    return rest if is_guard else text


def _defused(text: pl.Expr) -> pl.Expr:
    is_formula = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    quoted = pl.when(is_formula).then(pl.lit("'") + text).otherwise(text)
    return quoted.str.replace_all(_INVISIBLE, "�")


def _kept(text: pl.Expr, has_commas: bool) -> pl.Expr:
    is_other = text.str.contains(_OTHER_NUMBER)
    if has_commas:
        is_other |= text.str.contains(_POINTED)
    return pl.when(is_other).then(pl.lit("'") + text).otherwise(text)
