"""Texts that may hold anybody's values, with every word masked that the tool itself cannot have written.

Nobody can list what is personal in a server's words or a file's path. What the tool writes is known, since its own
messages are: so a word is kept where it is one of those, a name from the project's settings, or a small number, and
masked otherwise. What is kept for no good reason is at worst a word that stands in our own messages too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_WORD = re.compile(r"\d{1,3}(?:,\d{3})+(?![\d,])|[^\s/=:;,()\[\]{}\"'`<>|&?\\]+")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})*|\d{1,4}\.\d{1,3}|\d{1,3}(?:\.\d{1,3})?(?:%|s|x|ms|/s)")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_SHAPE = frozenset("aA9.@+-_")
_TRAILING = ".!…"


def words_of(text: str) -> list[str]:
    """The words of `text`, as `Veil` tells them apart."""
    return [word.group().rstrip(_TRAILING) for word in _WORD.finditer(text)]


class Veil:
    """Masks all words but the `known` ones. `mask` gives a word's mask."""

    def __init__(self, known: Iterable[str], mask: Callable[[str], str]) -> None:
        self._known = frozenset(known)
        self._mask = mask

    def clean(self, text: str) -> str:
        """`text` with its unknown words masked; line ends and punctuation stay."""
        return _WORD.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        word = match.group()
        core = word.rstrip(_TRAILING)
        # In a path every number may be somebody's id.
        is_in_path = match.start() > 0 and match.string[match.start() - 1] == "/"
        if self._is_known(core, is_in_path):
            return word
        return self._mask(core) + word[len(core) :]

    def _is_known(self, word: str, is_in_path: bool) -> bool:
        if word in self._known or not any(char.isalnum() for char in word):
            return True
        # A short number is a count in a sentence and somebody's id in a path.
        if _NUMBER.fullmatch(word):
            return not is_in_path
        parts = [part for part in re.split(r"[-_.+*#]", word) if part]
        return all(part in self._known for part in parts)


def reveals(text: str) -> bool:
    """True when `text` holds an e-mail address that is no mask: letters as a or A, digits as 9."""
    return any(not set(address.group()) <= _SHAPE for address in _EMAIL.finditer(text))
