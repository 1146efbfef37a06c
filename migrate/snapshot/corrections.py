"""Values put right by people, kept apart from the data: how they are stored, and what one does to a record's JSON.

A field is named as a mapping names it (`email`, `metadata.mobile`); of an element of a list with its place from 1
(`items[2].price`, `tags[1]`). The workspace's file has one row a value and the columns `resource`, `source`, `id`, as
every file has that an erasure goes through.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from migrate import parquet
from migrate.errors import Damaged
from migrate.workspace import Workspace, replacing

STORE = "corrections.parquet"
SCHEMA = pl.Schema(
    {
        "number": pl.Int64,
        "resource": pl.String,
        "source": pl.String,
        "id": pl.String,
        "field": pl.String,
        "sent": pl.String,
        "value": pl.String,
        "by": pl.String,
        "why": pl.String,
        "at": pl.Float64,
    }
)
"""`number` names one; `sent`: the value as it was sent, null for none; `value`: the right one, null to empty the field;
`by`, `why`: who says so and for what reason; `at`: when it was taken in, in seconds since 1970."""
WHERE = ("resource", "source", "id", "field")
"""The columns that tell which value of which record one is of."""
ELEMENT = re.compile(r"(?P<list>.+?)\[(?P<place>[1-9][0-9]{0,6})\](?:\.(?P<rest>.+))?", re.DOTALL)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_PLAIN = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false")
Members = dict[str, msgspec.Raw]


@dataclass(frozen=True)
class Change:
    """One value of one record: the field, its text as sent (None: none was) and the right one (None: none)."""

    field: str
    sent: str | None
    value: str | None


class CannotCorrect(ValueError):
    """A field that cannot be reached in a record, or a record that is no JSON object."""


def read_corrections(workspace: Workspace) -> pl.DataFrame:
    """All that people have put right, as SCHEMA, in the order of their numbers. Raises Damaged."""
    file = workspace.root / STORE
    if not file.is_file():
        return pl.DataFrame(schema=SCHEMA)
    try:
        return parquet.read(file).select(list(SCHEMA)).cast(SCHEMA)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise Damaged(
            f"{file} cannot be read: {type(error).__name__}",
            hint="bring it back from a backup, or move it away and import the corrections again",
        ) from None


def write_corrections(workspace: Workspace, corrections: pl.DataFrame) -> None:
    """Keeps these and no others; a file with none is removed."""
    file = workspace.root / STORE
    if corrections.is_empty():
        file.unlink(missing_ok=True)
        return
    with replacing(file) as temporary:
        parquet.write(corrections.sort("number"), temporary, compression="zstd", statistics=False)
        temporary.chmod(0o600)


def store_lock(workspace: Workspace) -> Path:
    """The lock file of whoever changes them."""
    return workspace.root / "corrections.lock"


def value_sent(raw: str, field: str) -> str | None:
    """The text of a field as a record has it; None where it is absent or null. Raises CannotCorrect."""
    literal = _find(raw.encode(), field)
    return None if literal is None else _text_of(literal)


def corrected_raw(raw: str, changes: Sequence[Change]) -> str:
    """A record's JSON with the right values in it; a change of another value than the record has does nothing.

    All else stays to the letter, but for the spaces between members of objects that are changed.
    """
    data = raw.encode()
    for change in changes:
        try:
            found = _find(data, change.field)
            now = None if found is None else _text_of(found)
            if (now or "") == (change.sent or ""):
                data = _put(data, change.field, _literal(found, change.value))
        except CannotCorrect:
            continue
    return data.decode()


def _literal(before: bytes | None, text: str | None) -> bytes:
    """The JSON literal of the right text, of the kind that stood there where the text allows it."""
    if text is None:
        return b"null"
    # A number stays a number and a text a text: a mapping may read the two otherwise.
    kind = (before or b'"')[:1]
    is_plain = kind not in b'"{[n' and _PLAIN.fullmatch(text) is not None
    if is_plain or (kind in b"{[" and _is_json(text)):
        return text.encode()
    return json.dumps(text, ensure_ascii=False).encode()


def _is_json(text: str) -> bool:
    """Whether a text is a JSON object or list."""
    try:
        return text.strip()[:1] in "{[" and msgspec.json.decode(text) is not None
    except (msgspec.DecodeError, RecursionError, ValueError):
        return False


def _text_of(literal: bytes) -> str | None:
    if literal == b"null":
        return None
    if literal[:1] != b'"':
        return literal.decode()
    try:
        return msgspec.json.decode(literal, type=str)
    except msgspec.DecodeError:
        raise CannotCorrect("half a surrogate pair") from None


def _members(data: bytes) -> Members:
    try:
        return _MEMBERS.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise CannotCorrect("no object that can be read") from None


def _inner(members: Mapping[str, msgspec.Raw], field: str) -> tuple[str, str] | None:
    """The longest name at the beginning of a dotted one that holds an object, and the rest."""
    # The longest first, as mappings read it: a name may have dots of its own.
    parts = field.split(".")
    for count in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:count])
        if bytes(members.get(name, b""))[:1] == b"{":
            return name, ".".join(parts[count:])
    return None


def _find(data: bytes, field: str) -> bytes | None:
    """The literal of a field; None where the record has none of this name."""
    members = _members(data)
    if field in members:
        return bytes(members[field])
    element = ELEMENT.fullmatch(field)
    if element:
        literal = bytes(_elements(_find(data, element["list"]), element)[_place(element)])
        if element["rest"]:
            return _find(literal, element["rest"])
        return literal
    inner = _inner(members, field)
    if inner:
        return _find(bytes(members[inner[0]]), inner[1])
    return None


def _put(data: bytes, field: str, literal: bytes) -> bytes:
    members = _members(data)
    element = None if field in members else ELEMENT.fullmatch(field)
    if element:
        return _put(
            data, element["list"], _put_element(_find(data, element["list"]), element, literal)
        )
    inner = None if field in members else _inner(members, field)
    if inner:
        literal = _put(bytes(members[inner[0]]), inner[1], literal)
    members[inner[0] if inner else field] = msgspec.Raw(literal)
    return msgspec.json.encode(members)


def _put_element(container: bytes | None, element: re.Match[str], literal: bytes) -> bytes:
    elements, place = _elements(container, element), _place(element)
    if element["rest"]:
        literal = _put(bytes(elements[place]), element["rest"], literal)
    elements[place] = msgspec.Raw(literal)
    if container is None or container[:1] == b"[":
        return msgspec.json.encode(elements)
    members = _members(container)
    wrapped = _wrapped(members)
    if wrapped is not None:
        return msgspec.json.encode({wrapped: elements})
    return msgspec.json.encode(dict(zip(members, elements, strict=True)))


def _elements(container: bytes | None, element: re.Match[str]) -> list[msgspec.Raw]:
    """The elements of a list, of an object that has numbers for names, as PHP writes a list, or of the one list in it.

    **Raises**: CannotCorrect for anything else, since what is an element of it depends on who reads it; and for a list
    that has no such place.
    """
    elements = _list_of(container or b"")
    if _place(element) >= len(elements):
        raise CannotCorrect(f"the list has {len(elements)} elements")
    return elements


def _list_of(data: bytes) -> list[msgspec.Raw]:
    if data[:1] == b"[":
        try:
            return _LIST.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise CannotCorrect("no list that can be read") from None
    members = _members(data)
    wrapped = _wrapped(members)
    if wrapped is not None:
        return _list_of(bytes(members[wrapped]))
    if not all(name.isascii() and name.isdigit() for name in members):
        raise CannotCorrect("no list: name the field that holds the whole of it")
    return list(members.values())


def _wrapped(members: Members) -> str | None:
    """The name of the only thing in an object where that is a list, as XML's outer tag becomes; None otherwise."""
    if len(members) != 1:
        return None
    (name, value), *_ = members.items()
    is_number = name.isascii() and name.isdigit()
    if bytes(value)[:1] == b"[" and not is_number:
        return name
    return None


def _place(element: re.Match[str]) -> int:
    return int(element["place"]) - 1
