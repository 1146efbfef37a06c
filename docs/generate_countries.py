"""Writes the tables of migrate/mapping/countries.py: names of countries in six languages, codes, and withdrawn ones.

Needs Babel and pycountry, which nothing else here does: pip install babel pycountry, then run this where a newer CLDR
or ISO 3166 is wanted.
"""

from __future__ import annotations

import gettext
import json
from collections.abc import Iterator
from pathlib import Path

import pycountry  # type: ignore[import-not-found,import-untyped,unused-ignore]  # only this script needs it
from babel import Locale  # type: ignore[import-not-found,import-untyped,unused-ignore]  # only this script needs it

from migrate.mapping.countries import fold_name

FOLDER = Path(__file__).parents[1] / "migrate" / "mapping"
LANGUAGES = ("en", "fr", "nl", "de", "es", "it")
# no part of ISO 3166-1, but of every shop's list
KOSOVO = {
    "XK": (
        "Kosovo",
        "Republic of Kosovo",
        "Republiek Kosovo",
        "Republik Kosovo",
        "République du Kosovo",
        "XKX",
    )
}
# what people write and neither CLDR nor ISO knows
ALIASES = {
    "holland": "NL", "holanda": "NL", "hollande": "NL", "olanda": "NL", "the netherlands": "NL", "netherland": "NL",
    "uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB",
    "engeland": "GB", "schotland": "GB", "noord-ierland": "GB", "groot-brittannië": "GB", "grande-bretagne": "GB",
    "großbritannien": "GB", "gran bretaña": "GB", "gran bretagna": "GB", "inghilterra": "GB", "inglaterra": "GB",
    "angleterre": "GB", "écosse": "GB", "schottland": "GB",
    "usa": "US", "u.s.a.": "US", "u.s.": "US", "america": "US", "amerika": "US", "verenigde staten van amerika": "US",
    "vereinigte staaten von amerika": "US", "états-unis d'amérique": "US", "estados unidos de américa": "US",
    "stati uniti d'america": "US", "turkey": "TR", "czech republic": "CZ", "tsjechische republiek": "CZ",
    "tschechische republik": "CZ", "république tchèque": "CZ", "república checa": "CZ", "repubblica ceca": "CZ",
    "macedonia": "MK", "macedonië": "MK", "mazedonien": "MK", "macédoine": "MK", "fyrom": "MK",
    "wit-rusland": "BY", "weißrussland": "BY", "biélorussie": "BY", "bielorussia": "BY", "bielorrusia": "BY",
    "moldavia": "MD", "moldavie": "MD", "moldavië": "MD", "moldawien": "MD", "moldova": "MD",
    "russische federatie": "RU", "fédération de russie": "RU", "federazione russa": "RU",
    "heard and mcdonald islands": "HM", "south korea": "KR",
    "republic of korea": "KR", "north korea": "KP", "vatican": "VA", "vaticaan": "VA",
    "ivory coast": "CI", "elfenbeinküste": "CI", "burma": "MM", "birma": "MM", "birmanie": "MM", "birmania": "MM",
    "swaziland": "SZ", "cape verde": "CV", "east timor": "TL", "oost-timor": "TL", "kaapverdië": "CV",
    "brasil": "BR", "españa": "ES", "republic of ireland": "IE", "eire": "IE", "polska": "PL", "österreich": "AT",
    "oostenrijk": "AT", "sverige": "SE", "danmark": "DK", "norge": "NO", "suomi": "FI", "schweiz": "CH",
    "suisse": "CH", "svizzera": "CH", "belgique/belgië": "BE", "luxemburg": "LU", "macau": "MO", "hong kong": "HK",
    "volksrepubliek china": "CN", "china, people's republic of": "CN", "congo-kinshasa": "CD",
    "congo-brazzaville": "CG",
    "são tomé e príncipe": "ST", "curacao": "CW", "sint maarten": "SX", "st. maarten": "SX",
}  # fmt: skip  # a table
# former names that are somebody's name still, so that they are read and not refused
STILL_NAMES = {
    "burma",
    "east timor",
    "france metropolitan",
    "french southern and antarctic territories",
}
# names of withdrawn ones in the other languages, which ISO does not give
WITHDRAWN_NAMES = {
    "YU": "Yugoslavia;Joegoslavië;Jugoslawien;Yougoslavie;Jugoslavia;Yugoslavia",
    "SU": "USSR;Soviet Union;Sovjet-Unie;Sowjetunion;Union soviétique;URSS;Unione Sovietica;Unión Soviética;UdSSR",
    "AN": "Netherlands Antilles;Nederlandse Antillen;Niederländische Antillen;Antilles néerlandaises;"
    "Antille olandesi;Antillas Neerlandesas",
    "CS": "Czechoslovakia;Tsjechoslowakije;Tschechoslowakei;Tchécoslovaquie;Cecoslovacchia;Checoslovaquia;"
    "Serbia and Montenegro;Servië en Montenegro;Serbien und Montenegro;Serbie-et-Monténégro;Serbia e Montenegro;"
    "Serbia y Montenegro",
    "DD": "East Germany;DDR;Deutsche Demokratische Republik;Oost-Duitsland;Ostdeutschland",
    "ZR": "Zaire;Zaïre", "RO": "ROM",
}  # fmt: skip  # a table


def main() -> None:
    """Writes both tables; a name that two countries share in some language is left out."""
    found: dict[str, set[str]] = {}
    for code, name in _names():
        found.setdefault(fold_name(name), set()).add(code)
    table = {name: next(iter(of)) for name, of in found.items() if len(of) == 1}
    codes = {country.alpha_2 for country in pycountry.countries} | set(KOSOVO)
    table |= {fold_name(name): code for name, code in ALIASES.items()}
    table |= {country.alpha_3.lower(): country.alpha_2 for country in pycountry.countries}
    table |= {code.lower(): code for code in codes}
    _write("countries.json", table)
    gone = {fold_name(name): code for code, name in _withdrawn()}
    _write(
        "countries_withdrawn.json", {name: code for name, code in gone.items() if name not in table}
    )


def _names() -> Iterator[tuple[str, str]]:
    """Every code with each of its names: CLDR's, ISO's short, common and official ones, translated; Kosovo's."""
    codes = {country.alpha_2 for country in pycountry.countries}
    for language in LANGUAGES:
        for code, name in Locale(language).territories.items():
            if code in codes:
                yield code, name
        translate = gettext.translation(
            "iso3166-1", pycountry.LOCALES_DIR, languages=[language], fallback=True
        ).gettext
        for country in pycountry.countries:
            for kind in ("name", "official_name", "common_name"):
                name = getattr(country, kind, None)
                if name:
                    yield country.alpha_2, translate(name)
                    yield country.alpha_2, name
    for code, names in KOSOVO.items():
        for name in names:
            yield code, name


def _withdrawn() -> Iterator[tuple[str, str]]:
    """Codes and names that ISO 3166-3 lists as withdrawn."""
    for country in pycountry.historic_countries:
        for name in (
            country.name,
            country.name.partition(",")[0],
            country.alpha_2,
            country.alpha_3,
        ):
            if fold_name(name) not in STILL_NAMES:
                yield country.alpha_2, name
    for code, names in WITHDRAWN_NAMES.items():
        for name in names.split(";"):
            yield code, name


def _write(file: str, table: dict[str, str]) -> None:
    text = json.dumps(dict(sorted(table.items())), ensure_ascii=False, indent=0) + "\n"
    (FOLDER / file).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
