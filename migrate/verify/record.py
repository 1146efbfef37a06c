"""The fields of records, read from their JSON as sent: any field as text, through no number type.

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
_QUOTE = b'"'[0]
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_SCALAR = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false|null|NaN|-?Infinity")
_CLOSES = {b"{": b"}", b"[": b"]"}
NUL = "\0"
# stands for half a surrogate pair while JSON is read: with the NUL no text of the target can hold it, and the code
# behind tells it from a NUL that was sent
HALF, _HALF_ESCAPE = "\0\ufdd0", rb"\u0000\ufdd0"
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(
    rb"(?P<pair>" + _HIGH + _LOW + rb")|(?P<half>" + _HIGH + b"|" + _LOW + rb")|(?P<other>\\.)"
)
_ESCAPE_TEXT = re.compile(_ESCAPE.pattern.decode())
Members = Mapping[str, Any]


def reach(
    members: Members, path: str, text_of: Callable[[Any], str | None] | None = None
) -> str | None:
    """The text at a dotted path: the longest name that exists first."""
    # The whole name first: a record may have a name with a dot in it beside an object.
    if path in members:
        return (text_of or literal_text)(members[path])
    parts = path.split(".")
    # The longest first: a field may have a dot in its own name.
    for count in range(len(parts) - 1, 0, -1):
        inner = split_object(bytes(members.get(".".join(parts[:count]), b"")))
        if inner:
            text = reach(inner, ".".join(parts[count:]), text_of)
        else:
            text = None
        if text is not None:
            return text
    return None


def elements(text: str, wanted: Collection[str] = ()) -> list[bytes] | None:
    """The elements of a JSON list, or of an object that stands for one, as sent; None for anything else.

    `text` as `marked_text` gives it. `wanted`: the names within an element that the mapping reads.
    **Source**: docs/mapping.md, `each`.
    """
    data = text.replace(HALF, _HALF_ESCAPE.decode()).encode("utf-8", "surrogatepass")
    if data[:1] == b"{":
        members = split_object(data)
        if members is None:
            return None
        return _elements_of_object(data, members, wanted)
    if data[:1] != b"[":
        return None
    values: list[msgspec.Raw] | None = _decode(_LIST, data)
    if values is None:
        return None
    return [bytes(value) for value in values]


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
    """The text of a JSON literal: strings decoded, the rest as it stands, null as None.

    A NUL stands for each half of a surrogate pair, which no more than a NUL can be in a text of the target.
    """
    text = marked_text(raw)
    if text is None or NUL not in text:
        return text
    return text.replace(HALF, NUL)


def marked_text(raw: Any) -> str | None:
    """The same for a field whose elements are the rows, with `HALF` for each half of a surrogate pair."""
    data = bytes(raw) if raw is not None else b""
    if not data or data == b"null":
        return None
    if data[0] != _QUOTE:
        text = data.decode("utf-8", "surrogatepass")
        text = _ESCAPE_TEXT.sub(
            lambda match: HALF if match.lastgroup == "half" else match.group(), text
        )
        return text.replace(_HALF_ESCAPE.decode(), HALF)
    # Without an escape the text is its own bytes, and most are.
    if b"\\" not in data:
        return data[1:-1].decode("utf-8", "surrogatepass")
    decoded: str | None = _decode(_STRING, data)
    return decoded


def holds_half(text: str) -> bool:
    """Whether an escape in a JSON text stands for half a surrogate pair."""
    return any(escape.lastgroup == "half" for escape in _ESCAPE_TEXT.finditer(text))


def split_object(data: bytes) -> Members | None:
    """The members of a JSON object, each as sent; None where it is none."""
    if data[:1] != b"{":
        return None
    try:
        return _MEMBERS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _split_leniently(data)


def _split_leniently(data: bytes) -> Members | None:
    """The members of an object as writers of little care spell it; None where it is cut off or no object.

    With `NaN`, `Infinity`, leading zeros, bare control characters, a comma behind the last member, unknown escapes, and
    halves of surrogate pairs.
    """
    members: dict[str, bytes] = {}
    closing: list[bytes] = []
    name: str | None = None
    begin, last = -1, 0
    for token in _TOKEN.finditer(data):
        sign, start, end = token.group(), *token.span()
        is_known = sign[0] in b'":,{}[]' or _SCALAR.fullmatch(sign)
        if data[last:start].strip() or (last and not closing) or not is_known:
            return None
        last = end
        if len(closing) == 1 and begin < 0 and not _goes_on(sign, name):
            return None
        if len(closing) == 1 and begin < 0:
            name = _name(sign) if sign[0] == _QUOTE else name
            begin = end if sign == b":" else begin
        elif len(closing) == 1 and sign in b",}":
            value = data[begin:start].strip()
            if not value:
                return None
            members[str(name)], name, begin = value, None, -1
        if sign in _CLOSES:
            closing.append(_CLOSES[sign])
        elif sign in _CLOSES.values() and closing.pop() != sign:
            return None
    return None if closing or data[last:].strip() else members


def _goes_on(sign: bytes, name: str | None) -> bool:
    """Whether a token may stand before a member's value: its name, a colon behind that, or the end of the object."""
    if sign[0] == _QUOTE:
        return name is None and _name(sign) is not None
    return sign == (b"}" if name is None else b":")


def _name(literal: bytes) -> str | None:
    """A member's name, as a snapshot names its column: half a surrogate pair is its escape in small letters."""
    try:
        name: str = json.loads(literal, strict=False)
    except ValueError:
        return None  # an escape that JSON does not have
    return name.encode("utf-8", "backslashreplace").decode()


def _decode(decoder: msgspec.json.Decoder[Any], data: bytes) -> Any:
    """What a decoder reads; None where it reads nothing, also without the halves that it refuses."""
    # Nearly every literal is read as it stands; only one that is refused is looked through for halves.
    for attempt in (data, _without_halves(data)):
        try:
            return decoder.decode(attempt)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
    if decoder is not _STRING:
        return None
    try:
        # msgspec refuses bare control characters, which snapshots read as they were sent.
        return json.loads(_without_halves(data), strict=False)
    except ValueError:
        return None  # an escape that JSON does not have


def _without_halves(data: bytes) -> bytes:
    """A JSON literal with an escaped stand-in for each half of a surrogate pair; whole pairs as they are."""
    if b"\\u" not in data:
        return data
    return _ESCAPE.sub(
        lambda match: _HALF_ESCAPE if match.lastgroup == "half" else match.group(), data
    )
