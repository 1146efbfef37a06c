"""Lines of prose folded at their words, so that a terminal does not break them in the middle of one."""

from __future__ import annotations

import re
import textwrap

from migrate.report.table import terminal_width

_COMMAND = re.compile(r"\s*(?:next: |-> |\$ )?(?:cd \S+ && )?migrate [a-z-]+\b(?!:)")
_SETTING = re.compile(r"\s*[\w.]+ ?= ?\S")


def fold(text: str, width: int | None = None) -> str:
    """`text` with every line that is wider than the terminal folded, what follows two blanks further in.

    Commands and settings stay in one piece, since they are there to be pasted; so does what has no blank in it.
    """
    room = terminal_width() if width is None else width
    return "\n".join(_fold_line(line, room) for line in text.split("\n"))


def _fold_line(line: str, room: int) -> str:
    if len(line) <= room or _COMMAND.match(line) or _SETTING.match(line):
        return line
    if " " not in line.strip():
        return line
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        room,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
        replace_whitespace=False,
    )
