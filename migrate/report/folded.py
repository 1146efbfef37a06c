"""Lines of prose folded at their words, so that a terminal does not break them in the middle of one."""

from __future__ import annotations

import re

from migrate.report.cells import width_of
from migrate.report.table import terminal_width

_COMMAND = re.compile(r"\s*(?:next: |-> |\$ )?(?:cd \S+ && )?migrate [a-z-]+\b(?!:)")
_PARTS = re.compile(r" +|[^ ]+")
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_SETTING = re.compile(r"\s*[\w.]+ ?= ?\S")


def fold(text: str, width: int | None = None) -> str:
    """`text` with every line that is wider than the terminal folded, what follows two blanks further in.

    Commands and settings stay in one piece, since they are there to be pasted; so does what has no blank in it.
    """
    room = terminal_width() if width is None else width
    return "\n".join(_fold_line(line, room) for line in text.split("\n"))


def _fold_line(line: str, room: int) -> str:
    if _width(line) <= room or _COMMAND.match(line) or _SETTING.match(line):
        return line
    indent = line[: len(line) - len(line.lstrip(" "))]
    lines, folded, blanks = [], indent, ""
    for part in _PARTS.findall(line[len(indent) :]):
        if part.isspace():
            blanks = part
        # A word that is wider than the line stays whole, on a line of its own.
        elif folded.strip() and _width(folded + blanks + part) > room:
            lines.append(folded)
            folded, blanks = f"{indent}  {part}", ""
        else:
            folded, blanks = folded + blanks + part, ""
    return "\n".join([*lines, folded])


def _width(text: str) -> int:
    """The columns that a text takes; its colours take none."""
    return width_of(_COLOUR.sub("", text))
