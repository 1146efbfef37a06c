"""Texts, joined and cut, in polars."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from migrate.language.sql.tree import Node
from migrate.mapping.sql_worked import WIDE, Work, Worked, Worker, any_fails

_LONGEST = 2**31
_SPACES = " \t\n\r\v\f"
_TRUE = ["true", "tru", "tr", "t", "yes", "ye", "y", "on", "1"]
_FALSE = ["false", "fals", "fal", "fa", "f", "no", "n", "off", "of", "0"]


def _field(worker: Worker, node: Node) -> Worked:
    field = worker.field(str(node.given[0]))
    return Worked(pl.when(field != "").then(field) if worker.strict else field)


def _text(_worker: Worker, node: Node) -> Worked:
    return Worked(pl.lit(str(node.given[0])))


def _join(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node, "text")
    return Worked(pl.concat_str([part.value for part in parts]), any_fails(parts))


def _concat(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node, "text")
    return Worked(pl.concat_str([part.value.fill_null("") for part in parts]), any_fails(parts))


def _concat_ws(worker: Worker, node: Node) -> Worked:
    separator, *parts = worker.all(node, "text")
    joined = parts[0].value
    for part in parts[1:]:
        both = pl.concat_str(joined, separator.value, part.value)
        joined = (
            pl.when(part.value.is_null())
            .then(joined)
            .otherwise(pl.when(joined.is_null()).then(part.value).otherwise(both))
        )
    value = pl.when(separator.value.is_not_null()).then(joined.fill_null(""))
    return Worked(value, any_fails([separator, *parts]))


def _simple(change: Callable[[pl.Expr], pl.Expr]) -> Work:
    def work(worker: Worker, node: Node) -> Worked:
        part = worker.work(node.args[0], "text")
        return Worked(change(part.value), part.fails)

    return work


def _each_text(change: Callable[[str], str]) -> Callable[[pl.Expr], pl.Expr]:
    def change_all(texts: pl.Series) -> pl.Series:
        known = {text: change(text) for text in texts.unique().drop_nulls()}
        return pl.Series([known.get(text) for text in texts], dtype=pl.String)

    return lambda text: text.map_batches(change_all, return_dtype=pl.String, is_elementwise=True)


def _initcap(text: str) -> str:
    """Each run of letters and digits with its first letter big and the others small."""
    letters = []
    inside = False
    for letter in text:
        letters.append(letter.lower() if inside else letter.title())
        inside = letter.isalnum()
    return "".join(letters)


def _two(test: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Work:
    def work(worker: Worker, node: Node) -> Worked:
        parts = worker.all(node, "text")
        return Worked(test(parts[0].value, parts[1].value), any_fails(parts))

    return work


def _strpos(text: pl.Expr, part: pl.Expr) -> pl.Expr:
    at = text.str.find(part, literal=True)
    before = text.cast(pl.Binary).bin.slice(0, at).cast(pl.String).str.len_chars()
    known = text.is_not_null() & part.is_not_null()
    # polars takes a slice of unknown length to the end
    place = pl.when(at.is_null()).then(0).otherwise(before + 1)
    return pl.when(known).then(place.cast(WIDE))


def _trim(worker: Worker, node: Node) -> Worked:
    chars, side = str(node.given[0]), node.given[1]
    part = worker.work(node.args[0], "text")
    if not chars:
        return part
    strip = {
        "LEADING": part.value.str.strip_chars_start,
        "TRAILING": part.value.str.strip_chars_end,
    }
    return Worked(strip.get(str(side), part.value.str.strip_chars)(chars), part.fails)


def _substr(worker: Worker, node: Node) -> Worked:
    text = worker.work(node.args[0], "text")
    numbers = [worker.work(arg, "integer") for arg in node.args[1:]]
    start = numbers[0].value
    first = pl.max_horizontal(start, pl.lit(1, dtype=WIDE))
    known = text.value.is_not_null() & start.is_not_null()
    if len(numbers) == 1:
        part = text.value.str.slice(_count(first - 1), _count(pl.lit(_LONGEST, dtype=WIDE)))
        return Worked(pl.when(known).then(part), any_fails([text, *numbers]))
    length = numbers[1].value
    known = known & length.is_not_null()
    part = text.value.str.slice(_count(first - 1), _count(start + length - first))
    negative = known & (length < pl.lit(0, dtype=WIDE))
    return Worked(pl.when(known & ~negative).then(part), any_fails([text, *numbers], negative))


def _count(number: pl.Expr) -> pl.Expr:
    """A number of characters that polars takes."""
    return number.clip(pl.lit(0, dtype=WIDE), pl.lit(_LONGEST, dtype=WIDE)).cast(pl.Int64)


def _side(worker: Worker, node: Node) -> Worked:
    text, count = worker.work(node.args[0], "text"), worker.work(node.args[1], "integer")
    length, wanted = text.value.str.len_chars().cast(WIDE), count.value
    zero = pl.lit(0, dtype=WIDE)
    if node.op == "left":
        kept = pl.when(wanted < zero).then(length + wanted).otherwise(wanted)
        side = text.value.str.slice(pl.lit(0, dtype=pl.Int64), _count(kept))
    else:
        skipped = pl.when(wanted < zero).then(zero - wanted).otherwise(length - wanted)
        side = text.value.str.slice(_count(skipped), pl.lit(_LONGEST, dtype=pl.Int64))
    known = text.value.is_not_null() & wanted.is_not_null()
    return Worked(pl.when(known).then(side), any_fails([text, count]))


def _pad(worker: Worker, node: Node) -> Worked:
    length, fill = int(str(node.given[0])), str(node.given[1])
    part = worker.work(node.args[0], "text")
    cut = part.value.str.slice(0, length)
    if not fill:
        return Worked(cut, part.fails)
    whole = (fill * (length // len(fill) + 1))[:length]
    missing = (pl.lit(length) - cut.str.len_chars().cast(pl.Int64)).cast(pl.Int64)
    # the text in front keeps the padding as long as the column: polars would not stretch a constant
    padding = pl.concat_str(pl.lit(whole), cut.str.slice(0, 0)).str.slice(
        pl.lit(0, dtype=pl.Int64), missing
    )
    pieces = (padding, cut) if node.op == "lpad" else (cut, padding)
    return Worked(pl.concat_str(*pieces), part.fails)


def _replace(worker: Worker, node: Node) -> Worked:
    old, new = str(node.given[0]), str(node.given[1])
    part = worker.work(node.args[0], "text")
    return Worked(
        part.value.str.replace_all(old, new, literal=True) if old else part.value, part.fails
    )


def _split_part(worker: Worker, node: Node) -> Worked:
    separator, place = str(node.given[0]), int(str(node.given[1]))
    part = worker.work(node.args[0], "text")
    if not separator:
        # nothing parts it: the text is the first and the last of its parts
        empty = pl.when(part.value.is_not_null()).then(pl.lit(""))
        return Worked(part.value if abs(place) == 1 else empty, part.fails)
    pieces = part.value.str.split(separator)
    piece = pieces.list.get(place - 1 if place > 0 else place, null_on_oob=True).fill_null("")
    return Worked(pl.when(part.value.is_not_null()).then(piece), part.fails)


def _to_boolean(worker: Worker, node: Node) -> Worked:
    part = worker.work(node.args[0], "text")
    word = part.value.str.strip_chars(_SPACES).str.to_lowercase()
    yes = pl.when(word.is_in(_TRUE)).then(pl.lit(True))
    return Worked(yes.when(word.is_in(_FALSE)).then(pl.lit(False)), part.fails)


WORK: Mapping[str, Work] = {
    "field": _field,
    "text": _text,
    "join": _join,
    "concat": _concat,
    "concat_ws": _concat_ws,
    "lower": _simple(lambda text: text.str.to_lowercase()),
    "upper": _simple(lambda text: text.str.to_uppercase()),
    "initcap": _simple(_each_text(_initcap)),
    "reverse": _simple(_each_text(lambda text: text[::-1])),
    "length": _simple(lambda text: text.str.len_chars().cast(WIDE)),
    "trim": _trim,
    "substr": _substr,
    "left": _side,
    "right": _side,
    "lpad": _pad,
    "rpad": _pad,
    "replace": _replace,
    "split_part": _split_part,
    "strpos": _two(_strpos),
    "starts_with": _two(lambda text, start: text.str.starts_with(start)),
    "ends_with": _two(lambda text, end: text.str.ends_with(end)),
    "to_boolean": _to_boolean,
}
