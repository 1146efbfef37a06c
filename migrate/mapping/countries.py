"""Country names in English, French, Dutch, German, Spanish and Italian, and codes, to ISO 3166-1 alpha-2.

**Source.** Unicode CLDR by way of Babel, with aliases; docs/generate_countries.py writes the table.
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import cache
from pathlib import Path

_NO_LETTERS = re.compile(r"[^a-z0-9]+")


def find_country(text: str) -> str | None:
    """The code of a country by its name or code, None where it is not known."""
    return _table().get(fold_name(text))


def fold_name(name: str) -> str:
    """A name as the table has it: small letters without accents, one space between words."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(char for char in plain if not unicodedata.combining(char))
    return _NO_LETTERS.sub(" ", letters.replace("&", " and ")).strip()


@cache
def _table() -> dict[str, str]:
    table: dict[str, str] = json.loads(Path(__file__).with_name("countries.json").read_text(encoding="utf-8"))
    return table
