"""A value is found in every spelling that files, links and pages give it, and nothing else is taken for it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import unicodedata
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.privacy.frames import mask_of
from migrate.privacy.spellings import Finder

ADDRESS = "Jürgen.Groß+shop@exämple.de"


def escape_all(text: str) -> str:
    """JSON with every character as an escape, as some writers do."""
    units = text.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02X}" for at in range(0, len(units), 2))


def php_json(text: str) -> str:
    """JSON as PHP writes it: slashes escaped, everything else than ASCII too."""
    return json.dumps(text)[1:-1].replace("/", "\\/")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "upper": str.upper,
    "lower": str.lower,
    "spaced": lambda text: f" \t{text}\u00a0",
    "composed": lambda text: unicodedata.normalize("NFC", text),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "php": php_json,
    "escapes": escape_all,
    "percent": lambda text: quote(text, safe=""),
    "percent of all": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "form": quote_plus,
    "html": html.escape,
    "html numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "html hex": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "link in html": lambda text: html.escape(f"/?q={quote(text)}&x=1"),
    "link in json": lambda text: php_json(f"/?q={quote(text)}"),
    "invisible": lambda text: text[:2] + "\u200b" + text[2:],
    "sha256": lambda text: hashlib.sha256(text.strip().lower().encode()).hexdigest(),
    "SHA256": lambda text: hashlib.sha256(text.encode()).hexdigest().upper(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in a link": lambda text: (
        base64.urlsafe_b64encode(text.lower().encode()).decode().rstrip("=")
    ),
    "md5": lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
}
AROUND = [
    "{}",
    '{{"a":"{}"}}',
    "<td>{}</td>",
    "x,{},y",
    "to: {}.",
    "({})",
    "mailto:{}?subject=1",
    "a={}&b=1",
    "{};\n",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_address_is_found_in_every_spelling(spelling: str) -> None:
    """Escapes, case, spaces, Unicode forms, percent, HTML, hashes, and one inside another."""
    finder = Finder([ADDRESS])
    for around in AROUND:
        assert finder.finds(around.format(SPELLINGS[spelling](ADDRESS))), around


@pytest.mark.parametrize(
    "text",
    [
        "x" + ADDRESS,
        "x." + ADDRESS,
        ADDRESS + ".org",
        ADDRESS + "x",
        "Groß+shop@exämple.de",
        "groß",
        "",
        "%",
        "\\",
        "&#;",
    ],
)
def test_another_address_is_left_alone(text: str) -> None:
    """One that only ends or begins like it is somebody else's."""
    assert not Finder([ADDRESS]).finds(text)


def test_the_domain_may_stand_in_punycode() -> None:
    """Mail servers write it so."""
    assert Finder([ADDRESS]).finds("jürgen.groß+shop@xn--exmple-cua.de")
    assert Finder(["a@xn--exmple-cua.de"]).finds("a@exämple.de")


@pytest.mark.parametrize(
    "text", ["Qm9\\/zL+8\\/w==", '{"id":"Qm9\\/zL+8\\/w=="}', "Qm9%2FzL%2B8%2Fw%3D%3D"]
)
def test_an_id_with_slashes_is_found_as_php_writes_it(text: str) -> None:
    """The slash is escaped in JSON, and percent-encoded in paths."""
    assert Finder(["Qm9/zL+8/w=="]).finds(text)


values = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Cn", "Co"]),
    min_size=4,
)


plain_values = values.filter(lambda text: bool(text.strip()) and not set(text) & set("%\\&"))
layers_of_encoding = st.lists(
    st.sampled_from(["php", "escapes", "percent", "html", "html numbers", "spaced", "decomposed"]),
    max_size=2,
)


@given(
    plain_values,
    layers_of_encoding,
    st.sampled_from(['{"a":"VALUE"}', "<td>VALUE</td>", "x,VALUE,y", "VALUE"]),
)
def test_whatever_the_value_its_spellings_are_found(
    value: str, layers: list[str], around: str
) -> None:
    """Any text, encoded up to twice, in the middle of a file's syntax; in a frame as well as in a text."""
    spelled = value
    for layer in layers:
        spelled = SPELLINGS[layer](spelled)
    text = around.replace("VALUE", spelled)
    finder = Finder([value])
    assert finder.finds(text)
    assert mask_of(pl.DataFrame({"n": [1, 2], "text": ["nobody", text]}), finder).to_list() == [
        False,
        True,
    ]


@given(
    st.lists(
        st.sampled_from(
            ["\\u00eb", "\\u00DF", "\\u00e9", "\\u0065", "\\uFF4A", "\\u00ad", "%65", "&eacute;", "\\u00", "jo", "e",
             "@x.nl", " ", "\\/", "j", "o", '"', "\\u00d7"]
        ), min_size=3, max_size=9,
    )
)  # fmt: skip
def test_the_quick_look_at_a_column_misses_no_escape(pieces: list[str]) -> None:
    """Escaped letters that no value has are passed over, and nothing that one of them could hide."""
    text = "".join(pieces)
    for value in ("joe@x.nl", "jo\u00eb@x.nl", "josse@x.nl"):
        finder = Finder([value], hashed=False)
        assert mask_of(pl.DataFrame({"text": [text]}), finder).to_list() == [finder.finds(text)]
