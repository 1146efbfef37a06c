"""Text for a terminal: tables, cells, counts and lengths of time."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.report.cells import Cell, format_cell, inert, shorten, width_of
from migrate.report.table import Row, render_table
from migrate.wording import format_duration, say_count

__all__ = [
    "Cell",
    "Row",
    "format_cell",
    "format_duration",
    "inert",
    "inert_lines",
    "render_table",
    "say_count",
    "say_without_rows",
    "shorten",
    "width_of",
]


def say_without_rows(what: str, names: Sequence[str]) -> list[str]:
    """The line that stands for the rows of zeros that a table leaves out; none where it leaves out nothing."""
    if names:
        return [f"  {what}: {', '.join(map(inert, names))}."]
    return []


def inert_lines(text: str) -> str:
    """Text of several lines, each of them inert."""
    return "\n".join(inert(line) for line in text.split("\n"))
