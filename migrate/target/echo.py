"""A service's words without what it was sent: an error may repeat a record's values, and those are personal."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

GONE = "…"
_SHORTEST = 3


def without_echo(words: str, sent: bytes) -> str:
    """`words` with each value of `sent` that stands in them as a word or as several replaced by `…`.

    `sent` is the JSON of a request. Names of members stay, since they tell what is wrong; so do values of one or two
    characters, since they tell nobody apart.
    """
    if not words or not sent:
        return words
    try:
        value = msgspec.json.decode(sent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return words
    low = words.lower()
    echoed = {text for text in _texts(value) if len(text) >= _SHORTEST and text.lower() in low}
    if not echoed:
        return words
    # The longest first, so that no part of a value stays.
    pattern = "|".join(re.escape(text) for text in sorted(echoed, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", GONE, words, flags=re.IGNORECASE)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
