"""One row per element of a list, element values as sent: to the last digit, through no float."""

from __future__ import annotations

import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_ABSENT = msgspec.Raw(b"")
PREFIX = "item."
# a byte that no JSON text holds unescaped
_SEPARATOR = b"\x01"
# so many that calls cost nothing, so few that what is decoded stays in the cache
CHUNK_RECORDS = 500
# stands for half a surrogate pair while JSON is read: with the NUL no text of the target can hold it, and the code
# behind tells it from a NUL that was sent
_STAND_IN, _STAND_IN_ESCAPE = "\0\ufdd0", r"\u0000\ufdd0"
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
# a letter of ASCII written as an escape, and a key that is always written as it is but for such
_HIDDEN_LETTER = r"\\u00[2-7]"
_PLAIN_KEY = re.compile("[A-Za-z0-9_]+")
_ESCAPE = re.compile(rf"(?P<pair>{_HIGH}{_LOW})|(?P<half>{_HIGH}|{_LOW})|(?P<other>\\.)")


@dataclass
class Elements:
    """The elements of all records, flat.

    **Shape.** `parents`, `places` and each series of `values` have one entry per element: the number of its record, its
    place from 1, its text. `shapes`: how many records held something else than a list, by what was made of it:
    `single_element` (an object that is one element) and `unwrapped_list` (an object around a list or an element).
    """

    parents: pl.Series
    places: pl.Series
    values: dict[str, pl.Series]
    broken: list[int]
    empty: int
    shapes: dict[str, int]


def read_elements(texts: pl.Series, fields: Collection[str]) -> Elements:
    """The elements of each text, in order: of a list, or of an object that stands for one (see `_unfold`).

    `fields` are the names wanted: `item` (the element itself) and `item.…`. `broken` numbers the texts that are
    neither list nor object.
    """
    reader = _Reader(_occurring(texts, fields), fields)
    text = pl.col("t")
    numbered = texts.rename("t").to_frame().with_row_index("n")
    filled = numbered.filter(~text.is_in(["", "[]", "{}"]))
    is_list = text.str.starts_with("[") & text.str.ends_with("]")
    for chunk in filled.with_columns(is_list=is_list).iter_slices(CHUNK_RECORDS):
        reader.read_all(chunk["n"].to_list(), chunk["t"], all_lists=chunk["is_list"].all())
    reader.empty += len(texts) - filled.height
    elements = reader.finish()
    absent = pl.Series("t", [None], dtype=pl.String).new_from_index(0, len(elements.parents))
    return replace(elements, values={name: elements.values.get(name, absent) for name in fields})


def _occurring(texts: pl.Series, fields: Collection[str]) -> list[str]:
    """The fields that some text may hold: to search for a key costs far less than to read it from each element."""
    # A key may be spelt with escapes, and then no search for its letters finds it.
    if texts.str.contains(_HIDDEN_LETTER).any():
        return list(fields)

    def occurs(key: str) -> bool:
        if not _PLAIN_KEY.fullmatch(key):
            return True
        return bool(texts.str.contains(f'"{key}"', literal=True).any())

    def may_occur(name: str) -> bool:
        return name == "item" or any(map(occurs, _candidates(name[len(PREFIX) :])))

    return list(filter(may_occur, fields))


class _Reader:
    """Collects the elements' fields as runs of JSON literals, '' for absent; all are decoded at once at the end."""

    def __init__(self, fields: Collection[str], wanted: Collection[str]) -> None:
        self.wanted = [name[len(PREFIX) :] for name in wanted if name != "item"]
        self.shapes: dict[str, int] = {}
        self.numbers: list[int] = []
        self.counts: list[int] = []
        self.broken: list[int] = []
        self.empty = 0
        self.has_halves = False
        self.literals: dict[str, list[bytes]] = {name: [] for name in fields}
        self.paths = [(name, name[len(PREFIX) :]) for name in fields if name != "item"]
        # Every key that a path may begin with: `price.amount` is one key, or leads through `price`.
        paths = (path for _, path in self.paths)
        tops = dict.fromkeys(chain.from_iterable(map(_candidates, paths)))
        self.member = {top: f"m{number}" for number, top in enumerate(tops)}
        members = []
        for top, attribute in self.member.items():
            members.append((attribute, msgspec.Raw, msgspec.field(default=_ABSENT, name=top)))
        # A type made for these keys reads them many times faster than a dict of all that an element has.
        element: Any = msgspec.defstruct("Element", members, gc=False)
        self.one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(element)
        self.many: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[element] | int)
        has_dots = any("." in path for _, path in self.paths)
        self.flat = "item" not in self.literals and not has_dots

    def read_all(self, numbers: list[int], texts: pl.Series, *, all_lists: bool) -> None:
        """Adds the elements of some records, in order. `all_lists`: every text is in the brackets of a list."""
        if self.flat and all_lists:
            lists = self._decode_lists(texts)
        else:
            lists = None
        if lists is None:
            for number, text in zip(numbers, texts, strict=True):
                self._read(number, text)
            return
        counts = [len(elements) for elements in lists]
        self.numbers += numbers
        self.counts += counts
        self.empty += counts.count(0)
        elements = list(chain.from_iterable(lists))
        if not elements:
            return
        for name, path in self.paths:
            literals = list(map(attrgetter(self.member[path]), elements))
            self.literals[name].append(_run(literals))

    def _decode_lists(self, texts: pl.Series) -> list[list[Any]] | None:
        """The lists of objects in all texts, decoded in one call; None unless each text is one such list.

        Each text stands in brackets.

        A line `0` parts the texts. No value can reach over it: in a string a line end is not allowed, and inside a list
        or object no number may follow the bracket that every text ends with. So as many values as texts and zeros
        mean one value each.
        """
        lines = str(texts.str.join("\n0\n").item()) + "\n0\n"
        try:
            values = self.many.decode_lines(lines)
        except (msgspec.DecodeError, RecursionError):
            return None
        if len(values) != 2 * len(texts):
            return None
        return values[::2]

    def _read(self, number: int, text: str) -> None:
        """Adds the elements of one record, or notes that it holds none."""
        split = _split(text, self.wanted)
        if split is None:
            # Perhaps for half a surrogate pair in one of its strings: that string's column refuses it by name.
            split = _split(_refuse_halves(text), self.wanted)
            self.has_halves = True
        if split is None:
            self.broken.append(number)
            return
        raws, shape = split
        if shape is not None:
            self.shapes[shape] = self.shapes.get(shape, 0) + 1
        self.empty += not raws
        self.numbers.append(number)
        self.counts.append(len(raws))
        for raw in raws:
            self._add_element(raw)

    def finish(self) -> Elements:
        """All that was read, decoded."""
        schema = {"n": pl.UInt32, "c": pl.Int64}
        records = pl.DataFrame({"n": self.numbers, "c": self.counts}, schema=schema)
        count = pl.col("c")
        elements = records.filter(count > 0).select(
            pl.col("n").repeat_by("c").explode(empty_as_null=False),
            pl.int_ranges(1, count + 1).explode(empty_as_null=False).alias("p"),
        )
        # polars leaves Python free while it decodes, so fields are decoded side by side.
        with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
            decoded = list(pool.map(_decode, self.literals.values()))
        if self.has_halves:
            decoded = [_marked(texts) for texts in decoded]
        values = dict(zip(self.literals, decoded, strict=True))
        return Elements(elements["n"], elements["p"], values, self.broken, self.empty, self.shapes)

    def _add_element(self, raw: msgspec.Raw) -> None:
        if "item" in self.literals:
            self.literals["item"].append(bytes(raw))
        # An element that is a plain value has no fields; it can be read as `item` alone.
        if bytes(raw).startswith(b"{"):
            element = self.one.decode(raw)
        else:
            element = None
        for name, path in self.paths:
            if element is None:
                literal = _ABSENT
            else:
                literal = self._reach(element, path)
            self.literals[name].append(bytes(literal))

    def _reach(self, element: Any, path: str) -> msgspec.Raw:
        direct: msgspec.Raw = getattr(element, self.member[path])
        if _says(direct):
            return direct
        for top in _candidates(path)[1:]:
            inner = _reach_raw(getattr(element, self.member[top]), path[len(top) + 1 :])
            if _says(inner):
                return inner
        return _ABSENT


def _run(raws: list[msgspec.Raw]) -> bytes:
    # Asked of the first one before all: mostly a field is in every element or in none.
    if raws[0] is _ABSENT and raws.count(_ABSENT) == len(raws):
        return _SEPARATOR * (len(raws) - 1)
    return _SEPARATOR.join(raws)


def _decode(runs: list[bytes]) -> pl.Series:
    """The texts of JSON values as the snapshot keeps them: strings decoded, the rest literally, null as null."""
    if not runs:
        return pl.Series("t", [], dtype=pl.String)
    joined = _SEPARATOR.join(runs)
    if not joined.strip(_SEPARATOR):
        return pl.Series("t", [None], dtype=pl.String).new_from_index(0, len(joined) + 1)
    literals = pl.Series("t", [joined.decode()]).str.split("\x01").explode(empty_as_null=False)
    text, frame = pl.col("t"), literals.to_frame()
    # No literal but a string begins or ends with a quote, and only one with an escape has more of them.
    plain = text.str.strip_chars('"') if b'"' in joined else text
    has_value = (text != "") & (text != "null")
    decoded = frame.select(pl.when(has_value).then(plain)).to_series()
    if b"\\" not in joined:
        return decoded
    is_escaped = text.str.starts_with('"') & text.str.contains("\\", literal=True)
    places = frame.select(is_escaped).to_series().arg_true()
    if places.is_empty():
        return decoded
    unescaped = [_TEXT.decode(literal) for literal in literals.gather(places)]
    return decoded.scatter(places, pl.Series(unescaped))


def _says(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in {b"", b"null"}


def _reach_raw(raw: msgspec.Raw, path: str) -> msgspec.Raw:
    """The value at a dotted name in an object's JSON; the longest name that has one comes first."""
    if not bytes(raw).startswith(b"{"):
        return _ABSENT
    members = _OBJECT.decode(raw)
    if path in members:
        return members[path]
    for top in _candidates(path)[1:]:
        inner = _reach_raw(members.get(top, _ABSENT), path[len(top) + 1 :])
        if _says(inner):
            return inner
    return _ABSENT


def _candidates(path: str) -> list[str]:
    """The keys a dotted path may begin with: all of it, then ever less."""
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _marked(texts: pl.Series) -> pl.Series:
    """The texts with a NUL, which no column can hold, for each stand-in of half a surrogate pair."""
    marks = texts.str.replace_all(_STAND_IN, "\0", literal=True)
    return marks.str.replace_all(_STAND_IN_ESCAPE, "\0", literal=True)


def _refuse_halves(text: str) -> str:
    """The JSON text with a NUL for each half of a surrogate pair, so that a bad string does not cost the whole list.

    Its column then refuses the string by name: neither can be in a text of the target.
    """

    def stand_in(escape: re.Match[str]) -> str:
        if escape.lastgroup == "half":
            return _STAND_IN_ESCAPE
        return escape.group()

    return _ESCAPE.sub(stand_in, text)


def _split(text: str, wanted: Collection[str]) -> tuple[list[msgspec.Raw], str | None] | None:
    """The elements of a list, or of an object that stands for one, with its shape; None for anything else."""
    try:
        if text[0] == "{":
            return _unfold(msgspec.Raw(text.encode()), _OBJECT.decode(text), wanted)
        return (_LIST.decode(text), None) if text[0] == "[" else None
    except (msgspec.DecodeError, RecursionError):
        return None


def _unfold(
    whole: msgspec.Raw, members: dict[str, msgspec.Raw], wanted: Collection[str]
) -> tuple[list[msgspec.Raw], str | None]:
    """The elements that an object stands for.

    With numbers for keys it is a list with holes, as PHP sends it. Around a single list, a single object of which no
    field is wanted by a longer name, or nothing, it is what XML's outer tag became. With a field that is wanted it is
    one element itself. With nothing but objects it is a list by keys; anything else is one element.
    """
    values = list(members.values())
    if all(key.isascii() and key.isdigit() for key in members):
        return values, None
    if len(members) == 1:
        ((key, value),) = members.items()
        if bytes(value).startswith(b"["):
            return _LIST.decode(value), "unwrapped_list"
        if bytes(value) in {b"null", b'""'}:
            return [], None
        is_named_through = any(name.startswith(f"{key}.") for name in wanted)
        if bytes(value).startswith(b"{") and not is_named_through:
            return [value], "unwrapped_list"
    tops = set(chain.from_iterable(map(_candidates, wanted)))
    are_objects = all(bytes(value).startswith(b"{") for value in values)
    if are_objects and not tops & members.keys():
        return values, None
    return [whole], "single_element"
