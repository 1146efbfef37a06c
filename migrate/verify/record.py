"""One record of the snapshot, read from its JSON as sent: any field as text, through no number type.

Strings are decoded; numbers, booleans, lists and objects are their literal text; null and absent are None.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_QUOTE, _BRACE, _BRACKET = b'"{['
Members = Mapping[str, Any]
Reader = Callable[["Record"], "str | None"]


class Record:
    """A record, or one element of a list in it: `element` is its JSON, `position` its place from 1."""

    __slots__ = (
        "children",
        "element",
        "found",
        "id",
        "members",
        "order",
        "position",
        "source",
        "touched",
    )

    def __init__(self, raw: str, source: str | None, id_: str | None, order: int = 0) -> None:
        self.members = split_object(raw.encode("utf-8", "surrogatepass")) or {}
        self.children: dict[str, Members] = {}
        self.source = source
        self.id = id_
        self.order = order
        self.element: bytes | None = None
        self.position: int | None = None
        self.found: dict[str, tuple[bool, list[str | None]] | None] = {}
        self.touched = False

    def at(self, position: int, element: bytes) -> Record:
        """The same record, standing at one element of its list."""
        same = Record.__new__(Record)
        same.members, same.children, same.source, same.id = (
            self.members,
            self.children,
            self.source,
            self.id,
        )
        same.order, same.element, same.position, same.found = self.order, element, position, {}
        same.touched = False
        return same

    def child(self, name: str) -> Members:
        """The members of the object in a field, empty where there is none."""
        if name not in self.children:
            self.children[name] = split_object(bytes(self.members.get(name, b""))) or {}
        return self.children[name]


def field_reader(name: str) -> Reader:
    """Reads a field of the record itself; a dotted name is a name with a dot, else a field of an object."""
    head, dot, tail = name.partition(".")
    if not dot:
        return lambda record: literal_text(record.members.get(name))

    def read(record: Record) -> str | None:
        if name in record.members:
            return literal_text(record.members[name])
        if "." not in tail:
            return literal_text(record.child(head).get(tail))
        return reach(record.members, name)

    return read


def element_reader(name: str) -> Reader:
    """Reads `item` (the element itself) or `item.NAME`."""
    if name == "item":
        return lambda record: literal_text(record.element)
    path = name.removeprefix("item.")

    def read(record: Record) -> str | None:
        if "" not in record.children and record.element is not None:
            record.children = {**record.children, "": split_object(record.element) or {}}
        return reach(record.children.get("", {}), path)

    return read


def reach(members: Members, path: str) -> str | None:
    """The text at a dotted path: the longest name that exists first."""
    if path in members:
        return literal_text(members[path])
    parts = path.split(".")
    for count in range(len(parts) - 1, 0, -1):
        inner = split_object(bytes(members.get(".".join(parts[:count]), b"")))
        found = reach(inner, ".".join(parts[count:])) if inner else None
        if found is not None:
            return found
    return None


def elements(text: str, wanted: Collection[str] = ()) -> list[bytes] | None:
    """The elements of a JSON list, or of an object that stands for one, as sent; None for anything else.

    `wanted`: the names within an element that the mapping reads. **Source**: docs/mapping.md, `each`.
    """
    data = text.encode("utf-8", "surrogatepass")
    if data[:1] == b"{":
        members = split_object(data)
        return None if members is None else _elements_of_object(data, members, wanted)
    if data[:1] != b"[":
        return None
    try:
        return [bytes(value) for value in _LIST.decode(data)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found: list[bytes] | None = _split_slowly(data, list)
        return found


def _elements_of_object(
    data: bytes, members: Members, wanted: Collection[str]
) -> list[bytes] | None:
    values = [bytes(value) for value in members.values()]
    if all(re.fullmatch("[0-9]+", key) for key in members):
        return values
    if len(values) == 1:
        name = next(iter(members))
        is_deeper = any(path.startswith(name + ".") for path in wanted)
        if values[0][:1] == b"[":
            return elements(values[0].decode("utf-8", "surrogatepass"))
        if values[0] in {b"null", b'""'}:
            return []
        if values[0][:1] == b"{" and not is_deeper:
            return values
    beginnings = {
        ".".join(path.split(".")[:count])
        for path in wanted
        for count in range(1, path.count(".") + 2)
    }
    is_element = any(name in beginnings for name in members)
    if not is_element and all(value[:1] == b"{" for value in values):
        return values
    return [data]


def literal_text(raw: Any) -> str | None:
    """The text of a JSON literal: strings decoded, the rest as it stands, null as None."""
    data = bytes(raw) if raw is not None else b""
    if not data or data == b"null":
        return None
    if data[0] != _QUOTE:
        return data.decode("utf-8", "surrogatepass")
    if b"\\" not in data:
        return data[1:-1].decode("utf-8", "surrogatepass")
    try:
        return _STRING.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # half a surrogate pair: Python's own reader keeps it, and the text is then refused by rule
        return str(json.loads(data.decode("utf-8", "surrogatepass")))


def split_object(data: bytes) -> Members | None:
    """The members of a JSON object, each as sent; None where it is none."""
    if data[:1] != b"{":
        return None
    try:
        return _MEMBERS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found: Members | None = _split_slowly(data, dict)
        return found


def _split_slowly(data: bytes, kind: type) -> Any:
    """What msgspec refuses (half surrogate pairs, NaN) read by Python's own JSON reader."""
    try:
        value: Any = json.loads(
            data.decode("utf-8", "surrogatepass"), parse_float=_Number, parse_int=_Number
        )
    except (ValueError, RecursionError):
        return None
    if kind is dict and isinstance(value, dict):
        return {name: _write(part).encode() for name, part in value.items()}
    if kind is list and isinstance(value, list):
        return [_write(part).encode() for part in value]
    return None


class _Number(str):
    """A number as it was written."""

    __slots__ = ()


def _write(value: Any) -> str:
    if isinstance(value, _Number):
        return str(value)
    if isinstance(value, dict):
        return (
            "{"
            + ",".join(f"{json.dumps(name)}:{_write(part)}" for name, part in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value)
