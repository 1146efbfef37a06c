"""stdout and stderr that can write everything, whatever the terminal's or the file's encoding is.

What an encoding lacks is written in characters that every encoding has, so that a console of Windows (cp437, cp1252)
neither stops a command nor shows rubbish. What it has is left alone.
"""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata
from collections.abc import Callable

_PLAIN = {
    "…": "...",
    "→": "->",
    "←": "<-",
    "–": "-",
    "—": "-",
    "×": "x",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "·": ".",
    "•": "*",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "€": "EUR",
}


def prepare_streams(*, as_json: bool) -> None:
    """Lets stdout and stderr write any text; with `as_json` stdout gets escapes that JSON reads as the same text."""
    codecs.register_error("migrate-plain", _replace_plainly)
    codecs.register_error("migrate-escaped", _replace_escaped)
    _set_errors(sys.stdout, "migrate-escaped" if as_json else "migrate-plain")
    _set_errors(sys.stderr, "migrate-plain")


def _set_errors(stream: object, errors: str) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors=errors)


def _replace_plainly(error: UnicodeError) -> tuple[str, int]:
    return _replace(error, plain)


def _replace_escaped(error: UnicodeError) -> tuple[str, int]:
    return _replace(error, escaped)


def _replace(error: UnicodeError, spell: Callable[[str], str]) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(spell, error.object[error.start : error.end])), error.end


def plain(char: str) -> str:
    """`char` in ASCII for a reader: a known spelling, the letter without accents, else the character's number."""
    if char in _PLAIN:
        return _PLAIN[char]
    base = "".join(
        part
        for part in unicodedata.normalize("NFKD", char)
        if part.isascii() and part.isprintable()
    )
    return base or escaped(char)


def escaped(char: str) -> str:
    """`char` as a string in JSON spells it in ASCII."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
