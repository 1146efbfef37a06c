"""YAML 1.2 read into plain values that know where they stand, without anything YAML can be abused for.

The parser's events are read directly: an alias is refused before it could be expanded, a tag before it could build
anything, and each value keeps the line and column that an error message needs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

MAX_BYTES = 1024 * 1024
# The reader calls itself for each level.
MAX_DEPTH = 20

Path = tuple[str | int, ...]
_NULLS = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
# At most 18 digits: more may not fit in 64 bits, and stay text with all their digits.
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER_LIKE = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)|0[xo].+"
)


@dataclass(frozen=True)
class Place:
    """Where something stands in a file: line and column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where it is wrong."""

    place: Place
    what: str


@dataclass(frozen=True)
class Unquoted:
    """A number with a point or exponent, kept as written: binary floats would change its digits."""

    text: str


@dataclass
class Document:
    """The values of a file, the place of each by its path, and what was wrong with its YAML."""

    value: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """The place of a path's value (or key), or of the nearest thing around it that exists."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        while path:
            position = first.get(path) or second.get(path)
            if position:
                return position
            path = path[:-1]
        return self.values.get((), Place(1, 1))


def read_yaml(data: bytes) -> Document:
    """The document in `data`; whatever is wrong is in its `problems`, and then `value` may be None.

    It is the caller's own, to change as it likes.
    """
    document = _read(data)
    return Document(
        _copied(document.value), {**document.keys}, {**document.values}, [*document.problems]
    )


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


# Reading is slow, and one command reads the same files again for each dataset, for examples and for messages.
@functools.lru_cache(maxsize=64)
def _read(data: bytes) -> Document:
    document = Document()
    # Refused before it is parsed: a parser's memory is many times the file's.
    if len(data) > MAX_BYTES:
        _complain(
            document,
            Place(1, 1),
            f"the file has {len(data):,} bytes; a mapping may have {MAX_BYTES:,}",
        )
        return document
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        _complain(
            document, Place(data.count(b"\n", 0, error.start) + 1, 1), "this is not UTF-8 text"
        )
        return document
    try:
        _Reader(document, YAML(typ="safe", pure=True).parse(text)).read()
    except _Refused as refused:
        document.problems.append(refused.problem)
    except MarkedYAMLError as error:
        _complain(
            document, _mark_place(error.problem_mark or error.context_mark), _parser_words(error)
        )
    # The parser asserts what a directive such as `%YAML 1.0` says, instead of refusing it.
    except (YAMLError, RecursionError, AssertionError) as error:
        _complain(document, Place(1, 1), f"this is not YAML: {str(error).splitlines()[0][:120]}")
    if document.problems:
        document.value = None
    return document


class _Refused(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


class _Reader:
    """Builds a document's values from parser events."""

    def __init__(self, document: Document, events: Iterator[Event]) -> None:
        self.document = document
        self.events = events

    def read(self) -> None:
        """Fills the document, or raises what is wrong."""
        event = self._next()
        while not isinstance(event, StreamEndEvent):
            if isinstance(event, DocumentStartEvent):
                self._start(event)
            elif not isinstance(event, DocumentEndEvent) and isinstance(event, NodeEvent):
                self.document.value = self._value(event, (), 0)
            event = self._next()

    def _start(self, event: DocumentStartEvent) -> None:
        if event.version or event.tags:
            raise _refused(event, "directives (%YAML, %TAG) are not read; remove them")
        if self.document.values:
            raise _refused(event, "a second document starts here; a mapping file holds one")

    def _next(self) -> Event:
        event: Any = next(self.events)
        # A few lines of aliases of aliases expand to more than any memory holds.
        if isinstance(event, AliasEvent):
            raise _refused(event, f"aliases (*{event.anchor}) are not read; write the value out")
        if getattr(event, "anchor", None):
            raise _refused(
                event,
                f"anchors (&{event.anchor}) are not read; write the value out where it is used",
            )
        if getattr(event, "ctag", None) is not None:
            raise _refused(event, f"tags ({event.tag}) are not read; write a plain value")
        return cast(Event, event)

    def _value(self, event: Event, path: Path, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise _refused(event, f"nested deeper than {MAX_DEPTH} levels")
        self.document.values[path] = _mark_place(event.start_mark)
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        if isinstance(event, SequenceStartEvent):
            return self._list(path, depth)
        if isinstance(event, MappingStartEvent):
            return self._object(path, depth)
        raise _refused(event, "this is not YAML that a mapping can hold")

    def _list(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        event = self._next()
        while not isinstance(event, SequenceEndEvent):
            items.append(self._value(event, (*path, len(items)), depth + 1))
            event = self._next()
        return items

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        event = self._next()
        while not isinstance(event, MappingEndEvent):
            key = self._key(event, path, members)
            members[key] = self._value(self._next(), (*path, key), depth + 1)
            event = self._next()
        return members

    def _key(self, event: Event, path: Path, found: dict[str, Any]) -> str:
        if not isinstance(event, ScalarEvent):
            raise _refused(event, "a key must be text")
        key = event.value
        # `null` is a key of a column; every other word that is no text may be a mistake
        if key != "null" and not isinstance(_scalar(event), str):
            raise _refused(event, f"the key {key or 'here'!r} is no text; quote it")
        # Most readers let the last one win, and half of a column's rule would be gone unseen.
        if key in found:
            first = self.document.keys[(*path, key)]
            raise _refused(
                event,
                f"{'.'.join(map(str, (*path, key)))}: stands twice, first in line {first.line}",
            )
        self.document.keys[(*path, key)] = _mark_place(event.start_mark)
        return str(key)


def _scalar(event: ScalarEvent) -> Any:
    text = event.value
    if event.style is not None or not event.implicit[0]:
        return text
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INTEGER.fullmatch(text):
        number = int(text)
        # `007` and `+1` are not the numbers that they look like.
        return number if str(number) == text else Unquoted(text)
    if _NUMBER_LIKE.fullmatch(text):
        return Unquoted(text)
    return text


def _refused(event: Event, what: str) -> _Refused:
    return _Refused(Problem(_mark_place(event.start_mark), what))


def _complain(document: Document, place: Place, what: str) -> None:
    document.problems.append(Problem(place, what))


def _mark_place(mark: Any) -> Place:
    if mark:
        return Place(mark.line + 1, mark.column + 1)
    return Place(1, 1)


def _parser_words(error: MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    if "'\\t'" in problem:
        return "a tab; indent with spaces"
    if error.context:
        says = f"{problem} ({error.context})"
    else:
        says = problem
    return f"this is not YAML: {says}"
