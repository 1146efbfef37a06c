"""A cell's text: grouped numbers, and values that cannot play tricks on a terminal or a reader."""

from __future__ import annotations

import unicodedata

Cell = str | int | float | None
_CELL_CHARS = 40


def format_cell(cell: Cell) -> str:
    """A cell's text: 1,234 for numbers, one decimal for fractions, a dash for nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:,.1f}"
    return inert(cell)


def inert(text: str) -> str:
    """`text` with control, format and separator characters shown as escapes: nothing a terminal or a reader obeys."""
    return "".join(
        char if unicodedata.category(char)[0] not in "CZ" or char == " " else f"\\u{ord(char):04x}"
        for char in text
    )


def shorten(text: str | None) -> str:
    """`text` in at most 40 characters, `(nothing)` for None."""
    if text is None:
        return "(nothing)"
    if len(text) <= _CELL_CHARS:
        return text
    return text[: _CELL_CHARS - 1] + "…"


def width_of(text: str) -> int:
    """The number of terminal columns that `text` takes."""
    return sum(map(_columns_of, text))


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    # Unicode Standard Annex 11: wide and fullwidth signs take two.
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def format_share(share: float) -> str:
    """A share, from 0 to 1, with one place; some are never shown as none, nor not quite all as all."""
    if 0 < share < 0.001:
        return "<0.1%"
    if 0.999 < share < 1:
        return ">99.9%"
    return f"{share:.1%}".replace(".0%", "%")
