"""Writes migrate/mapping/countries.json: country names in six languages, and codes, to ISO 3166-1 alpha-2.

Needs Babel, which nothing else here does: pip install babel, then run this where a newer CLDR is wanted.
"""

from __future__ import annotations

import json
from pathlib import Path

from babel import Locale  # type: ignore[import-not-found,import-untyped,unused-ignore]  # only this script needs it
from babel.core import get_global  # type: ignore[import-not-found,import-untyped,unused-ignore]

from migrate.mapping.countries import fold_name

TARGET = Path(__file__).parents[1] / "migrate" / "mapping" / "countries.json"
LANGUAGES = ("en", "fr", "nl", "de", "es", "it")
# what people write and CLDR does not know
ALIASES = {
    "holland": "NL", "holanda": "NL", "hollande": "NL", "olanda": "NL", "the netherlands": "NL", "netherland": "NL",
    "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB",
    "engeland": "GB", "schotland": "GB", "groot-brittannië": "GB", "grande-bretagne": "GB", "großbritannien": "GB",
    "usa": "US", "u.s.a.": "US", "u.s.": "US", "america": "US", "amerika": "US", "united states of america": "US",
    "turkey": "TR", "czech republic": "CZ", "tsjechische republiek": "CZ", "macedonia": "MK",
    "russian federation": "RU",
    "south korea": "KR", "republic of korea": "KR", "korea, republic of": "KR", "north korea": "KP", "vatican": "VA",
    "ivory coast": "CI", "burma": "MM", "swaziland": "SZ", "cape verde": "CV", "brasil": "BR", "españa": "ES",
    "republic of ireland": "IE", "eire": "IE", "polska": "PL", "österreich": "AT", "oostenrijk": "AT", "sverige": "SE",
    "danmark": "DK", "norge": "NO", "suomi": "FI", "schweiz": "CH", "suisse": "CH", "svizzera": "CH",
    "belgique/belgië": "BE", "luxemburg": "LU", "taiwan, province of china": "TW",
    "moldova, republic of": "MD",
    "iran, islamic republic of": "IR", "syrian arab republic": "SY", "viet nam": "VN", "hong kong": "HK", "macau": "MO",
}  # fmt: skip  # a table
# no countries: groups, outlying and made-up codes
NOT_COUNTRIES = {
    "EU",
    "EZ",
    "UN",
    "QO",
    "ZZ",
    "XA",
    "XB",
    "XK",
    "AC",
    "CP",
    "CQ",
    "DG",
    "EA",
    "IC",
    "TA",
}


def main() -> None:
    """Writes the table; a name that two countries share in some language is left out."""
    found: dict[str, set[str]] = {}
    codes = {
        code for code in Locale("en").territories if len(code) == 2 and code not in NOT_COUNTRIES
    }
    for language in LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in codes:
                found.setdefault(fold_name(name), set()).add(code)
    for alpha3, code in {
        alias: codes_[0] for alias, codes_ in get_global("territory_aliases").items()
    }.items():
        if len(alpha3) == 3 and alpha3.isalpha() and code in codes:
            found.setdefault(fold_name(alpha3), set()).add(code)
    table = {name: next(iter(of)) for name, of in found.items() if len(of) == 1}
    table |= {fold_name(name): code for name, code in ALIASES.items()} | {
        code.lower(): code for code in codes
    }
    TARGET.write_text(
        json.dumps(dict(sorted(table.items())), ensure_ascii=False, indent=0) + "\n",
        encoding="utf-8",
        newline="\n",
    )


if __name__ == "__main__":
    main()
