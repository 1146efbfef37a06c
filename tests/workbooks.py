"""A customer with a spreadsheet program: fills the coloured cells of a workbook in and saves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import python_calamine
import xlsxwriter


def fill_in(file: Path, right: Callable[[dict[str, str]], str | None], value: str) -> int:
    """Writes right values under the head `value`, as texts; `right` is given a row by its heads. Gives their number."""
    book = python_calamine.CalamineWorkbook.from_path(file)
    sheets = {name: book.get_sheet_by_name(name).to_python() for name in book.sheet_names}
    filled = 0
    with xlsxwriter.Workbook(file) as written:
        for name, rows in sheets.items():
            page = written.add_worksheet(name)
            heads = [str(head) for head in rows[0]] if rows else []
            for place, row in enumerate(rows):
                cells = dict(zip(heads, map(str, row), strict=True))
                if place and value in cells:
                    cells[value] = right(cells) or ""
                    filled += bool(cells[value])
                for column, text in enumerate(cells.values()):
                    page.write_string(place, column, text)
    return filled
