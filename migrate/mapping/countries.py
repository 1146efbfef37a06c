"""Country names in English, French, Dutch, German, Spanish and Italian, and codes, to ISO 3166-1 alpha-2.

A name is found however its letters are written (case, accents, widths). A code has two or three letters, and odd signs
turn into so few by chance (`ß™` folds to `ss`): it counts only where it was sent in plain ASCII letters.

What ISO has withdrawn (YUG, Netherlands Antilles) is no country's name any more, and often no one country's: it is told
apart from what is not known, and never mapped to a successor.

**Source.** Unicode CLDR by way of Babel, ISO 3166-1 and -3 by way of pycountry, with aliases and XK, Kosovo's code;
docs/generate_countries.py writes the tables.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from pathlib import Path

_CODE_LETTERS = 3
# what Unicode calls white space; Python's own `strip` takes four control characters more
_SPACES = "".join(
    char for char in map(chr, range(0x3001)) if char.isspace() and char not in "\x1c\x1d\x1e\x1f"
)


def find_country(text: str) -> str | None:
    """The code of a country by its name or code, None where it is not known.

    **Guarantees**: never raises; a code it gives is found again as itself.
    """
    return _find(text, "countries.json")


def find_withdrawn(text: str) -> str | None:
    """The former code of a country that is none any more, None for anything else."""
    return _find(text, "countries_withdrawn.json")


def _find(text: str, table: str) -> str | None:
    name = fold_name(text)
    if len(name.replace(" ", "")) <= _CODE_LETTERS and not _is_sent_so(text, name):
        return None
    return _table(table).get(name)


def fold_name(name: str) -> str:
    """A name as the table has it: small letters without accents, one space between words.

    Letters of other scripts stay, so that a name beside them is no country's.
    """
    plain = unicodedata.normalize("NFKD", name.casefold())
    # once more: what stands for several letters, as the sign for trade marks does, may stand for big ones
    letters = "".join(char for char in plain if not unicodedata.combining(char)).casefold()
    return " ".join(
        "".join(char if _is_letter(char) else " " for char in letters.replace("&", " and ")).split()
    )


def _is_sent_so(text: str, name: str) -> bool:
    """Whether a code, or an abbreviation with points, is what was sent; case and spaces around it do not matter."""
    sent = text.strip(_SPACES)
    return sent.isascii() and (" " in name or sent.lower() == name)


def _is_letter(char: str) -> bool:
    """Letters and digits, but none of the marks that stand for an apostrophe."""
    return char.isalnum() and unicodedata.category(char) != "Lm"


@cache
def _table(file: str) -> dict[str, str]:
    table: dict[str, str] = json.loads(Path(__file__).with_name(file).read_text(encoding="utf-8"))
    return table
