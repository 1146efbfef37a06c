"""Tables for a terminal: aligned, without columns that say nothing, and never wider than the terminal. Pure but for
the terminal's width, which a caller may give.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from migrate.report.cells import Cell, format_cell, width_of

Row = Sequence[Cell]
NARROWEST = 40
_WIDEST = 120
_GAP = "  "
_SHORTEST_TEXT = 12


@dataclass(frozen=True)
class _Column:
    """A column's header and texts; `is_number` where every cell is a number or nothing."""

    header: str
    texts: tuple[str, ...]
    is_number: bool

    def width(self) -> int:
        return max((width_of(text) for text in (*_words_of(self.header), *self.texts)), default=0)

    def full_width(self) -> int:
        return max(width_of(self.header), self.width())


def terminal_width() -> int:
    """The columns that a table may take: the terminal's (`COLUMNS` first), 80 where there is none, 120 at most."""
    return max(NARROWEST, min(_WIDEST, shutil.get_terminal_size().columns))


def render_table(
    headers: Sequence[str],
    rows: Sequence[Row],
    *,
    indent: int = 2,
    width: int | None = None,
    keep: Collection[str] = (),
) -> str:
    """A table with numbers on the right and text on the left, columns two blanks apart.

    Columns of nothing but zeros and gaps are left out, except the first one and those in `keep`. What does not fit
    into `width` (by default the terminal's) wraps: headers at their blanks, then long texts; where the numbers alone
    are too wide, the table goes on below itself with its first column again, and those that tell its rows apart.
    """
    room = (terminal_width() if width is None else width) - indent
    columns = []
    for at, header in enumerate(headers):
        cells = [row[at] for row in rows]
        if at == 0 or header in keep or not _says_nothing(cells):
            columns.append(_column(header, cells))
    blocks = (_render(block, room) for block in _blocks(columns, room))
    lines = list(chain.from_iterable(blocks))
    return "\n".join(" " * indent + line if line else "" for line in lines)


def _says_nothing(cells: Sequence[Cell]) -> bool:
    numbers = [cell for cell in cells if cell is not None]
    # A text is never "nothing", nor is yes or no; a table without rows keeps its headers.
    return bool(cells) and all(type(cell) in {int, float} and not cell for cell in numbers)


def _column(header: str, cells: Sequence[Cell]) -> _Column:
    is_number = bool(cells) and all(isinstance(cell, int | float) or cell is None for cell in cells)
    return _Column(header, tuple(format_cell(cell) for cell in cells), is_number)


def _blocks(columns: Sequence[_Column], room: int) -> Iterator[list[_Column]]:
    """The columns in groups that fit, each text shortened as far as it may be; the leading ones begin each group."""
    leading = _leading(columns, room)
    block: list[_Column] = []
    for column in columns:
        if len(block) > len(leading) and _least([*block, column]) > room:
            yield block
            block = list(leading)
        # By identity: another column may have the same header and texts.
        if not any(shown is column for shown in block):
            block.append(column)
    yield block


def _leading(columns: Sequence[_Column], room: int) -> Sequence[_Column]:
    """The first texts by which rows can be distinguished, where they leave room for others; else the first column.

    A column that distinguishes no more rows than those before it is passed over.
    """
    leading = [columns[0]]
    for column in columns[1:]:
        if _count_distinct(leading) == len(columns[0].texts):
            return leading
        wider = [*leading, column]
        if column.is_number or _count_distinct(wider) == _count_distinct(leading):
            continue
        if _least(wider) > room // 2:
            break
        leading = wider
    is_enough = _count_distinct(leading) == len(columns[0].texts)
    return leading if is_enough else columns[:1]


def _count_distinct(columns: Sequence[_Column]) -> int:
    return len(set(zip(*(column.texts for column in columns), strict=True)))


def _least(columns: Sequence[_Column]) -> int:
    widths = [c.width() if c.is_number else min(c.width(), _SHORTEST_TEXT) for c in columns]
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _render(columns: Sequence[_Column], room: int) -> Iterator[str]:
    widths = _fit(columns, room)
    right = [column.is_number for column in columns]
    heads = [_wrap(column.header, width) for column, width in zip(columns, widths, strict=True)]
    yield from _lines(heads, widths, right, at_bottom=True)
    yield _GAP.join("-" * width for width in widths)
    for row in zip(*(column.texts for column in columns), strict=True):
        cells = [_wrap(text, width) for text, width in zip(row, widths, strict=True)]
        yield from _lines(cells, widths, right)


def _fit(columns: Sequence[_Column], room: int) -> list[int]:
    """A width for each column: as wide as it would be, else with wrapped headers, else with wrapped texts."""
    widths = [column.full_width() for column in columns]
    room -= len(_GAP) * (len(columns) - 1)
    if sum(widths) > room:
        widths = [column.width() for column in columns]
    while sum(widths) > room:
        # The widest text gives way first; a number is never broken.
        texts = [at for at, column in enumerate(columns) if not column.is_number]
        at = max(texts, key=lambda place: widths[place], default=None)
        if at is None or widths[at] <= _SHORTEST_TEXT:
            break
        widths[at] -= 1
    return widths


def _lines(
    cells: Sequence[list[str]],
    widths: Sequence[int],
    right: Sequence[bool],
    *,
    at_bottom: bool = False,
) -> Iterator[str]:
    height = max(map(len, cells))
    for place in range(height):
        padded = []
        for texts, width, is_right in zip(cells, widths, right, strict=True):
            at = place - (height - len(texts)) if at_bottom else place
            text = texts[at] if 0 <= at < len(texts) else ""
            blanks = " " * (width - width_of(text))
            padded.append(blanks + text if is_right else text + blanks)
        yield _GAP.join(padded).rstrip()


def _words_of(text: str) -> list[str]:
    return text.split(" ") if text else [""]


def _wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at blanks where there are any."""
    if width_of(text) <= width:
        return [text]
    lines = [""]
    for word in _words_of(text):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        pieces = list(_cut(word, width))
        lines[-1] = pieces[0]
        lines += pieces[1:]
    return lines


def _cut(word: str, width: int) -> Iterator[str]:
    """The word in pieces, broken behind the last hyphen that fits, as names of plans have them, else anywhere."""
    piece = ""
    for char in word:
        if piece and width_of(piece + char) > width:
            head, hyphen, tail = piece.rpartition("-")
            yield head + hyphen or tail
            piece = tail if hyphen else ""
        piece += char
    yield piece
