"""Text for a terminal: aligned tables, grouped numbers, and values that cannot play tricks on it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

Cell = str | int | float | None
Row = Sequence[Cell]
_CELL_CHARS = 40


def render_table(headers: Sequence[str], rows: Sequence[Row], *, indent: int = 2) -> str:
    """A table with numbers on the right and text on the left, columns two blanks apart, no line longer than needed."""
    texts = [[format_cell(cell) for cell in row] for row in rows]
    is_number = [
        all(isinstance(row[at], int | float) or row[at] is None for row in rows) and bool(rows)
        for at in range(len(headers))
    ]
    widths = [
        max(width_of(header), *(width_of(row[at]) for row in texts), 0)
        for at, header in enumerate(headers)
    ]
    lines = [
        _line(headers, widths, is_number),
        _line(["-" * width for width in widths], widths, is_number),
    ]
    lines += [_line(row, widths, is_number) for row in texts]
    return "\n".join(" " * indent + line.rstrip() for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = []
    for cell, width, is_right in zip(cells, widths, right, strict=True):
        blanks = " " * (width - width_of(cell))
        padded.append(blanks + cell if is_right else cell + blanks)
    return "  ".join(padded)


def format_cell(cell: Cell) -> str:
    """A cell's text: 1,234 for numbers, one decimal for fractions, a dash for nothing."""
    if cell is None:
        return "-"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    return f"{cell:,.1f}" if isinstance(cell, float) else inert(cell)


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
    return text if len(text) <= _CELL_CHARS else text[: _CELL_CHARS - 1] + "…"


def width_of(text: str) -> int:
    """The number of terminal columns that `text` takes."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def say_count(count: int, noun: str) -> str:
    """A number of things: 1 record, 2 records."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_duration(seconds: float) -> str:
    """A length of time as people say it: 0.4 s, 12 s, 3 min 20 s, 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
