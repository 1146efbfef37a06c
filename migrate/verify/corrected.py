"""Right values in a record's JSON, put in by the verifier's own hand: by where they stand in the text.

The plan has a decoder say where the literal stands. Here its brackets and quotes are counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from migrate.verify.record import literal_text

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SCALAR = re.compile(r"[^\s,\]}]+")
_STEP = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_PLACE = re.compile(r"\[([1-9]\d{0,6})\](\.(?=.)|$)", re.ASCII | re.DOTALL)


class Change(Protocol):
    """A field, what was sent in it and what is right; None for no value."""

    @property
    def field(self) -> str:
        """Its name, as in `metadata.mobile` or `items[2].price`."""

    @property
    def sent(self) -> str | None:
        """Its text as sent."""

    @property
    def value(self) -> str | None:
        """The right text."""


class _Span(NamedTuple):
    """From where to where a literal stands in a text."""

    start: int
    end: int


class _Slot(NamedTuple):
    """Where a field stands; without a literal, the object that it is put into at its end, and under which name."""

    span: _Span | None
    owner: _Span
    name: str


def corrected_raw(raw: str, changes: Sequence[Change]) -> str:
    """The record with right values. One of a field that was sent otherwise, or that cannot be found, does nothing."""
    for change in changes:
        slot = _slot(raw, _Span(*_trimmed(raw)), change.field)
        if slot is None:
            continue
        if slot.span is None:
            before = ""
        else:
            before = raw[slot.span.start : slot.span.end]
        # A value that the source has changed since wins over the correction.
        if (_text(before) or "") == (change.sent or ""):
            raw = _written(raw, slot, _literal(before, change.value))
    return raw


def _trimmed(raw: str) -> tuple[int, int]:
    start = _skip(raw, 0)
    return start, _end(raw, start)


def _text(literal: str) -> str | None:
    return literal_text(literal.encode("utf-8", "surrogatepass"))


def _written(raw: str, slot: _Slot, literal: str) -> str:
    if slot.span is not None:
        return raw[: slot.span.start] + literal + raw[slot.span.end :]
    last = slot.owner.end - 1
    is_empty = not raw[slot.owner.start + 1 : last].strip()
    member = f"{json.dumps(slot.name, ensure_ascii=False)}:{literal}"
    return raw[:last] + ("" if is_empty else ",") + member + raw[last:]


def _literal(before: str, value: str | None) -> str:
    if value is None:
        return "null"
    was_container = before[:1] in ("{", "[")
    was_plain = before not in ("", "null") and before[0] != '"' and not was_container
    # A number stays a number, so that the mapping meets the kind of literal that the source sends.
    if was_plain and (value in ("true", "false") or _NUMBER.fullmatch(value)):
        return value
    if was_container and _is_container(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def _is_container(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _slot(raw: str, at: _Span, field: str) -> _Slot | None:
    """Where a field of an object stands: the whole name first, then an element of a list, then what is inside."""
    if raw[at.start : at.start + 1] != "{":
        return None
    members = dict(_members(raw, at))
    if field in members:
        return _Slot(members[field], at, field)
    bracket = _PLACE.search(field, 1)
    if bracket is not None:
        return _element_slot(raw, at, field, bracket)
    # The longest name first, as fields are read everywhere: a name may have dots of its own.
    for dot in reversed([place for place, char in enumerate(field) if char == "."]):
        inner = members.get(field[:dot])
        if inner is not None and raw[inner.start] == "{":
            return _slot(raw, inner, field[dot + 1 :])
    return _Slot(None, at, field)


def _element_slot(raw: str, at: _Span, field: str, bracket: re.Match[str]) -> _Slot | None:
    whole = _slot(raw, at, field[: bracket.start()])
    if whole is None or whole.span is None:
        return None
    elements = _elements(raw, whole.span)
    place = int(bracket[1]) - 1
    if elements is None or place >= len(elements):
        return None
    rest = field[bracket.end() :]
    if rest:
        return _slot(raw, elements[place], rest)
    return _Slot(elements[place], at, field)


def _elements(raw: str, at: _Span) -> list[_Span] | None:
    if raw[at.start] == "[":
        return [span for _name, span in _items(raw, at)]
    if raw[at.start] == "{":
        members = dict(_members(raw, at))
        if all(re.fullmatch("[0-9]+", name) for name in members):
            return list(members.values())
        inner = next(iter(members.values()))
        if len(members) == 1 and raw[inner.start] == "[":
            return _elements(raw, inner)
    return None


def _members(raw: str, at: _Span) -> Iterator[tuple[str, _Span]]:
    for name, span in _items(raw, at):
        yield str(_text(name)), span


def _items(raw: str, at: _Span) -> Iterator[tuple[str, _Span]]:
    """What stands between two brackets: the literal of each name ('' in a list), and where its value is."""
    has_names = raw[at.start] == "{"
    place = _skip(raw, at.start + 1)
    while place < at.end - 1:
        name = ""
        if has_names:
            end = _end(raw, place)
            name = raw[place:end]
            place = _skip(raw, _skip(raw, end) + 1)
        end = _end(raw, place)
        yield name, _Span(place, end)
        place = _skip(raw, _skip(raw, end) + 1)


def _skip(raw: str, place: int) -> int:
    space = _SPACE.match(raw, place)
    return space.end() if space else place


def _end(raw: str, place: int) -> int:
    """Where the literal that begins here ends."""
    first = raw[place : place + 1]
    if first == '"':
        value = _STRING.match(raw, place)
    elif first in ("{", "["):
        return _end_of_container(raw, place)
    else:
        value = _SCALAR.match(raw, place)
    return value.end() if value else len(raw)


def _end_of_container(raw: str, place: int) -> int:
    # Counted instead of called: records nest deeper than Python likes to call.
    depth = 0
    for step in _STEP.finditer(raw, place):
        if step[0][0] in "{[":
            depth += 1
        elif step[0][0] in "}]":
            depth -= 1
        if not depth:
            return step.end()
    return len(raw)
