"""Values put right by people, kept apart from the data: how they are stored, and what one does to a record's JSON.

A field is named as a mapping names it (`email`, `metadata.mobile`); of an element of a list with its place from 1
(`items[2].price`, `tags[1]`). The workspace's file has one row a value and the columns `resource`, `source`, `id`, as
every file has that an erasure goes through.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
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
Literal = bytes | msgspec.Raw


@dataclass(frozen=True)
class Change:
    """One value of one record: the field, its text as sent (None: none was) and the right one (None: none)."""

    field: str
    sent: str | None
    value: str | None


@dataclass(frozen=True)
class _Place:
    """Where a field stands: its literal, or None and the object that is to have it under `name`."""

    owner: Literal
    name: str
    literal: Literal | None


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
        # Also where the tool is used as a library, without the command line's umask.
        temporary.chmod(0o600)


def store_lock(workspace: Workspace) -> Path:
    """The lock file of whoever changes them."""
    return workspace.root / "corrections.lock"


def value_sent(raw: str, field: str) -> str | None:
    """The text of a field as a record has it; None where it is absent or null. Raises CannotCorrect."""
    return _text_of(_find(raw.encode(), field).literal)


def corrected_raw(raw: str, changes: Sequence[Change]) -> str:
    """A record's JSON with the right values in it; a change of another value than the record has does nothing.

    All else stays to the letter.
    """
    data = raw.encode()
    for change in changes:
        with contextlib.suppress(CannotCorrect):
            data = _corrected(data, change)
    return data.decode()


def _corrected(data: bytes, change: Change) -> bytes:
    place = _find(data, change.field)
    if (_text_of(place.literal) or "") != (change.sent or ""):
        return data
    literal = _literal(bytes(place.literal or b""), change.value)
    if place.literal is not None:
        start = _offset(place.literal, data)
        return data[:start] + literal + data[start + len(bytes(place.literal)) :]
    owner = bytes(place.owner)
    closing = _offset(place.owner, data) + owner.rindex(b"}")
    name = json.dumps(place.name, ensure_ascii=False).encode()
    comma = b"," if _MEMBERS.decode(owner) else b""
    return data[:closing] + comma + name + b":" + literal + data[closing:]


def _offset(part: Literal, data: bytes) -> int:
    """Where a literal stands in the text that it was read from: msgspec copies none, each is a view of that text."""
    starts = (np.frombuffer(one, np.uint8).ctypes.data for one in (part, data))
    return next(starts) - next(starts)


def _literal(before: bytes, text: str | None) -> bytes:
    """The JSON literal of the right text, of the kind that stood there where the text allows it."""
    if text is None:
        return b"null"
    # A number stays a number and a text a text: a mapping may read the two otherwise.
    kind = before[:1] or b'"'
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


def _text_of(literal: Literal | None) -> str | None:
    if literal is None or bytes(literal) == b"null":
        return None
    literal = bytes(literal)
    if literal[:1] != b'"':
        return literal.decode()
    try:
        return msgspec.json.decode(literal, type=str)
    except msgspec.DecodeError:
        raise CannotCorrect("half a surrogate pair") from None


def _members(data: Literal) -> Members:
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


def _find(data: Literal, field: str) -> _Place:
    """Where a field stands, or is to stand. Raises CannotCorrect."""
    members = _members(data)
    if field in members:
        return _Place(data, field, members[field])
    element = ELEMENT.fullmatch(field)
    if element:
        literal = _element(_find(data, element["list"]).literal, int(element["place"]) - 1)
        if element["rest"]:
            return _find(literal, element["rest"])
        return _Place(data, field, literal)
    inner = _inner(members, field)
    if inner:
        return _find(members[inner[0]], inner[1])
    return _Place(data, field, None)


def _element(container: Literal | None, place: int) -> msgspec.Raw:
    """An element of a list, of an object that has numbers for names, as PHP writes a list, or of the one list in it.

    **Raises**: CannotCorrect for anything else, since what is an element of it depends on who reads it; and for a list
    that has no such place.
    """
    elements = _list_of(container or b"")
    if place >= len(elements):
        raise CannotCorrect(f"the list has {len(elements)} elements")
    return elements[place]


def _list_of(data: Literal) -> list[msgspec.Raw]:
    if bytes(data)[:1] == b"[":
        try:
            return _LIST.decode(data)
        except (msgspec.DecodeError, RecursionError):
            raise CannotCorrect("no list that can be read") from None
    members = _members(data)
    wrapped = _wrapped(members)
    if wrapped is not None:
        return _list_of(members[wrapped])
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
