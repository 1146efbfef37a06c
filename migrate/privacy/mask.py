"""Personal values made unreadable and still recognisable: the same value has the same mask within a workspace.

A mask shows the shape of a value (letters as a or A, digits as 9, the rest as it is, shortened) and four hex digits of
a keyed hash. So masked values can be told apart and joined, and not read; without the workspace's salt nobody can try
values out either.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from pathlib import Path

from migrate.workspace import write_bytes

SHAPE_CHARS = 24
ZERO_DATE = r"(0000[-/.]00[-/.]00|00[-/.]00[-/.]0000)([ T]00:00:00(\.0+)?Z?)?|0{8}|0{14}"
_ZERO_DATE = re.compile(ZERO_DATE)
_SALT_BYTES = 32


class Masker:
    """Masks values with one workspace's salt."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def mask(self, value: str) -> str:
        """The mask of `value`: `jan@x.nl` becomes `aaa@a.aa#3f2a`; '' and a zero date, which say nothing, stay."""
        if not value or _ZERO_DATE.fullmatch(value):
            return value
        shape = "".join(_shape_of(char) for char in value[:SHAPE_CHARS]) + (
            "…" if len(value) > SHAPE_CHARS else ""
        )
        return f"{shape}#{self.digest(value)}"

    def seal(self, value: str) -> str:
        """A keyed hash of a value, by which the value alone is known again and cannot be found by trying."""
        # A snapshot may hold half a surrogate pair, which plain UTF-8 refuses.
        data = value.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._salt, digest_size=16).hexdigest()

    def digest(self, value: str) -> str:
        """The four hex digits at the end of a value's mask."""
        return hashlib.blake2b(
            value.encode("utf-8", "surrogatepass"), key=self._salt, digest_size=2
        ).hexdigest()


def _shape_of(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Nd":
        return "9"
    if category.startswith("L"):
        return "A" if category in ("Lu", "Lt") else "a"
    return char if char.isascii() and char.isprintable() else "."


def workspace_masker(root: Path) -> Masker:
    """The workspace's masker; its salt is made at the first call and kept in a file of mode 0600."""
    file = root / "salt"
    try:
        return Masker(file.read_bytes())
    except FileNotFoundError:
        pass
    write_bytes(file, secrets.token_bytes(_SALT_BYTES))
    # Whoever has the salt can try values until a mask fits.
    file.chmod(0o600)
    return Masker(file.read_bytes())
