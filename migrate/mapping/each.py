"""One row per element of a list, element values as sent: to the last digit, through no float."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_ABSENT = msgspec.Raw(b"")
PREFIX = "item."
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"(?P<pair>{_HIGH}{_LOW})|(?P<half>{_HIGH}|{_LOW})|(?P<other>\\.)")


@dataclass
class Elements:
    """The elements of all records, flat.

    **Shape.** `parents`, `places` and each list of `values` have one entry per element: the number of its record, its
    place from 1, its text.
    """

    parents: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    values: dict[str, list[str | None]] = field(default_factory=dict)
    broken: list[int] = field(default_factory=list)
    empty: int = 0


def read_elements(texts: pl.Series, fields: Collection[str]) -> Elements:
    """The elements of each text: of a list, or of an object's values, in order.

    `fields` are the names wanted: `item` (the element itself) and `item.…`. `broken` numbers the texts that are
    neither list nor object.
    """
    reader = _Reader(fields)
    for number, text in enumerate(texts):
        if text is None or text in {"", "[]", "{}"}:
            reader.found.empty += 1
        else:
            reader.read(number, text)
    return reader.found


class _Reader:
    def __init__(self, fields: Collection[str]) -> None:
        self.found = Elements(values={name: [] for name in fields})
        self.whole = self.found.values.get("item")
        self.paths = [(name, name[len(PREFIX) :]) for name in fields if name != "item"]
        self.tops = list(dict.fromkeys(top for _, path in self.paths for top in _candidates(path)))
        members = [(f"m{i}", msgspec.Raw, msgspec.field(default=_ABSENT, name=top)) for i, top in enumerate(self.tops)]
        self.member = {top: f"m{i}" for i, top in enumerate(self.tops)}
        element: Any = msgspec.defstruct("Element", members, gc=False)
        self.one: msgspec.json.Decoder[Any] = msgspec.json.Decoder(element)
        self.all: msgspec.json.Decoder[Any] = msgspec.json.Decoder(list[element])
        self.flat = all("." not in path for _, path in self.paths)

    def read(self, number: int, text: str) -> None:
        """Adds the elements of one record, or notes that it holds none."""
        if self.whole is None and self._read_objects(number, text):
            return
        raws = _split(text)
        if raws is None:
            raws = _split(_keep_halves(text))
        if raws is None:
            self.found.broken.append(number)
        elif not raws:
            self.found.empty += 1
        else:
            self._add_places(number, len(raws))
            for raw in raws:
                self._add_element(raw)

    def _read_objects(self, number: int, text: str) -> bool:
        """Whether the text was a plain list of objects, and is now read: nearly all are."""
        if not self.flat or text[0] != "[":
            return False
        try:
            elements = self.all.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return False
        if not elements:
            return False
        self._add_places(number, len(elements))
        for name, path in self.paths:
            member = self.member[path]
            self.found.values[name].extend([as_sent(getattr(element, member)) for element in elements])
        return True

    def _add_places(self, number: int, count: int) -> None:
        self.found.parents.extend([number] * count)
        self.found.places.extend(range(1, count + 1))

    def _add_element(self, raw: msgspec.Raw) -> None:
        if self.whole is not None:
            self.whole.append(as_sent(raw))
        element = self.one.decode(raw) if bytes(raw).startswith(b"{") else None
        for name, path in self.paths:
            self.found.values[name].append(None if element is None else self._reach(element, path))

    def _reach(self, element: Any, path: str) -> str | None:
        direct = as_sent(getattr(element, self.member[path]))
        if direct is not None or "." not in path:
            return direct
        return next(
            (found for top in _candidates(path)[1:] if (found := self._descend(element, top, path)) is not None), None
        )

    def _descend(self, element: Any, top: str, path: str) -> str | None:
        return _reach_raw(getattr(element, self.member[top]), path[len(top) + 1 :])


def as_sent(raw: msgspec.Raw) -> str | None:
    """The text of a JSON value as the snapshot keeps it: strings decoded, the rest literally, null as None."""
    data = bytes(raw)
    if not data or data == b"null":
        return None
    if data[0] != 34:
        return data.decode()
    if b"\\" not in data:
        return data[1:-1].decode()
    return _TEXT.decode(data)


def _reach_raw(raw: msgspec.Raw, path: str) -> str | None:
    data = bytes(raw)
    if not data.startswith(b"{"):
        return None
    members = _OBJECT.decode(data)
    if path in members:
        return as_sent(members[path])
    for top in _candidates(path)[1:]:
        found = _reach_raw(members.get(top, _ABSENT), path[len(top) + 1 :])
        if found is not None:
            return found
    return None


def _candidates(path: str) -> list[str]:
    """The keys a dotted path may begin with: all of it, then ever less."""
    parts = path.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _keep_halves(text: str) -> str:
    """The JSON text with each half of a surrogate pair spelled out, so that a bad string does not cost the whole list.

    Its column then refuses the string by name.
    """
    return _ESCAPE.sub(lambda found: "\\" + found.group() if found.lastgroup == "half" else found.group(), text)


def _split(text: str) -> list[msgspec.Raw] | None:
    """The elements of a list or the values of an object; None for anything else."""
    try:
        if text[0] == "{":
            return list(_OBJECT.decode(text).values())
        return _LIST.decode(text) if text[0] == "[" else None
    except (msgspec.DecodeError, RecursionError):
        return None
