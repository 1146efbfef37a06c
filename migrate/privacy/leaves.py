"""The texts inside a JSON record: every value as text, with the name of the field that it stands in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Leaf(NamedTuple):
    """One value of a record that is neither a list nor an object; numbers as they were written.

    `path`: the names of the objects that it lies in, without its own.
    """

    name: str
    text: str
    in_list: bool
    path: tuple[str, ...] = ()


def leaves_of(raw: str) -> list[Leaf]:
    """The values of a JSON text at any depth; what is no JSON is one value without a name.

    Never raises: a record that nobody can read is searched as the text that it is.
    """
    try:
        # Numbers as they were written: `1.10` must be found as such; control characters stand bare in some
        # records.
        value = json.loads(raw, parse_float=str, parse_int=str, strict=False)
    except (ValueError, RecursionError):
        return [Leaf("", raw, False)]
    return list(_walk(value))


def _walk(value: Any) -> Iterator[Leaf]:
    # A stack instead of recursion: records may be nested deeper than Python likes to call.
    waiting: list[tuple[tuple[str, ...], Any, bool]] = [((), value, False)]
    while waiting:
        names, part, in_list = waiting.pop()
        if isinstance(part, dict):
            waiting += [((*names, inner), one, in_list) for inner, one in part.items()]
        elif isinstance(part, list):
            waiting += [(names, one, True) for one in part]
        elif part is not None and not isinstance(part, bool):
            yield Leaf(names[-1] if names else "", str(part), in_list, names[:-1])
