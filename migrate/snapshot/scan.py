"""Cuts JSON text into its elements or members without building values.

The usual decoder refuses what some servers write: `NaN`, escapes of half a surrogate pair, raw control characters,
nesting of thousands. This one goes through the text with a stack of its own, so that depth costs nothing, and hands
each value on as it was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_STRING = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(rf'{_STRING}|[{{}}\[\],:]|[^\s{{}}\[\],:"]+', re.DOTALL)
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|NaN|-?Infinity")
_MEMBER = re.compile(rf"\s*({_STRING})\s*:\s*(.+?)\s*\Z", re.DOTALL)
_CLOSES = {"{": "}", "[": "]"}
_DEEPEST = 200_000
"""Levels that no writer means. Going through hundreds of megabytes of brackets would take many minutes."""


def split_array(text: str, *, lenient: bool = False) -> list[str]:
    """The elements of a JSON array, each as written. `lenient` takes a comma behind the last one.

    Raises ValueError when it is none, or not whole.
    """
    return _split(text, "[", lenient=lenient)


def split_object(text: str, *, lenient: bool = False) -> dict[str, str]:
    """The members of a JSON object, values as written; of equal names the last wins.

    `lenient` takes a comma behind the last one. Raises ValueError.
    """
    members = {}
    for part in _split(text, "{", lenient=lenient):
        match = _MEMBER.match(part)
        if match is None:
            raise ValueError("a member of an object has no name or no value")
        members[decode_string(match[1])] = match[2]
    return members


def decode_string(literal: str) -> str:
    """The text of a JSON string. Raises ValueError for an unknown escape.

    Half a surrogate pair, which no UTF-8 text can hold, stays the six characters of its escape, in lower case
    (`\\ud83d`): so whoever reads the text can see that it is no text to send on. `_raw` tells it from a text that has
    these six characters.
    """
    value = json.loads(literal, strict=False)
    if not isinstance(value, str):
        raise ValueError("not a string")  # noqa: TRY004  one kind of error for everything that is not as expected
    return value.encode("utf-8", "backslashreplace").decode()


def _split(text: str, opening: str, *, lenient: bool) -> list[str]:
    parts: list[str] = []
    begin = 0
    for kind, start, end in _marks(text, opening):
        if kind == "open":
            begin = end
        elif kind == "," or text[begin:start].strip() or (parts and not lenient):
            part = text[begin:start].strip()
            if not part:
                raise ValueError(f"nothing between two commas at character {start}")
            parts.append(part)
            begin = end
    return parts


def _marks(text: str, opening: str) -> Iterator[tuple[str, int, int]]:
    """The outermost opening, its commas and its closing, with their places."""
    stack: list[str] = []
    ended = False
    for sign, start, end in _tokens(text):
        if ended or not (stack or sign == opening):
            raise ValueError(f"unexpected text at character {start}")
        if sign in _CLOSES:
            _push(stack, _CLOSES[sign])
            if len(stack) == 1:
                yield "open", start, end
        elif sign in ("}", "]"):
            if stack.pop() != sign:
                raise ValueError(f"{sign} closes what it did not open at character {start}")
            ended = not stack
            if ended:
                yield "close", start, end
        elif sign == "," and len(stack) == 1:
            yield ",", start, end
    if not ended:
        raise ValueError("ends too early")


def _push(stack: list[str], closing: str) -> None:
    if len(stack) == _DEEPEST:
        raise ValueError(f"nested deeper than {_DEEPEST:,} levels")
    stack.append(closing)


def _tokens(text: str) -> Iterator[tuple[str, int, int]]:
    """Signs, strings and scalars with their places; white space is left out. Raises ValueError for anything else."""
    at = 0
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if text[at:start].strip() or (
            match[0][0] not in '",:{}[]' and not _SCALAR.fullmatch(match[0])
        ):
            raise ValueError(f"no JSON at character {at}")
        at = end
        yield match[0], start, end
    if text[at:].strip():
        raise ValueError("ends too early")
