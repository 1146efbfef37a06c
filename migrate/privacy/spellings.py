"""One value in every spelling: what makes two texts say the same, and a search for known values in any text.

A file may hold an address as JSON (`\\u00fc`, `\\/`), percent-encoded, as HTML, in other letter case, with other
spaces, in another Unicode form, with its domain in Punycode, in Base64, or hashed as a mapping does. Texts are compared
in a reading that undoes all of it, and hashes of a value count as the value.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from urllib.parse import quote_plus, unquote

import polars as pl

MOST_LAYERS = 4
"""How many encodings may lie over each other: JSON in a query string of a link in an HTML page are three."""
_HASHES = ("sha256", "sha1", "md5", "sha512", "sha384", "sha224")
_JSON_ESCAPE = re.compile(
    r"\\(?:u\{([0-9a-fA-F]{1,6})\}|u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL
)
_CONTROL_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_SPACES = re.compile(r"\s+")
_HEX_WORD = re.compile(r"(?<![0-9a-z])[0-9a-f]{32,128}(?![0-9a-z])")
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
INVISIBLE_SIGNS = (
    "[\u00ad\u0600-\u0605\u061c\u06dd\u070f\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
"""Signs of format, which no reader sees; a regular expression of Python's kind and of Rust's."""
_INVISIBLE = re.compile(INVISIBLE_SIGNS)
_LONG_CHARS, _FEW = 2_000, 20
_SHORTEST_PACKED = 6
_URL_SAFE = str.maketrans("+/", "-_")
# `jan@example.com` is neither in `marie-jan@example.com` nor in `jan@example.com.au`: these are others.
_BEFORE = r"(?<!\w)(?<!\w[.+'_-])"
_AFTER = r"(?!\w)(?![.-]\w)"


def fold(text: str) -> str:
    """`text` without what does not change its meaning: case, Unicode form, invisible signs, runs of spaces."""
    if text.isascii():
        folded = text.lower()
    else:
        joined = _SURROGATE_PAIR.sub(_join_pair, text)
        composed = unicodedata.normalize("NFKC", joined)
        # Folding may take a text out of its form, so it is composed again, as Unicode defines a caseless match.
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", composed).casefold())
        folded = _INVISIBLE.sub("", folded)
    return _SPACES.sub(" ", folded).strip()


def _join_pair(pair: re.Match[str]) -> str:
    # JSON writes a sign beyond 16 bits as two escapes, which are one sign only together.
    return pair.group().encode("utf-16", "surrogatepass").decode("utf-16")


def readings(text: str) -> Iterator[str]:
    """`text` folded, as it stands and with one layer of encoding after another undone."""
    for layer in range(MOST_LAYERS + 1):
        yield fold(text)
        undone = undo_layer(text)
        if undone == text or layer == MOST_LAYERS:
            return
        text = undone


def undo_layer(text: str) -> str:
    """`text` with its JSON escapes, its percent-encoding and its HTML references replaced, each once."""
    if "\\" in text:
        text = _JSON_ESCAPE.sub(_unescape, text)
    if "%" in text:
        text = unquote(text, errors="replace")
    if "&" in text:
        text = html.unescape(text)
    return text


def _unescape(escape: re.Match[str]) -> str:
    braced, four, two, other = escape.groups()
    digits = braced or four or two
    if digits is None:
        return _CONTROL_ESCAPES.get(other, other)
    code = int(digits, 16)
    return chr(code) if code <= 0x10FFFF else ""


def plain_forms(value: str) -> set[str]:
    """The folded forms in which a value may stand in a text once its encodings are undone."""
    forms = {fold(value)}
    forms |= set(readings(value))
    forms |= {fold(punycode) for punycode in _domain_forms(value)}
    forms |= {fold(quote_plus(form, safe="@+")) for form in tuple(forms) if " " in form}
    forms |= {form.replace(" ", "+") for form in tuple(forms) if " " in form}
    forms |= {fold(packed) for packed in _base64_forms(value)}
    return {form for form in forms if form}


def _base64_forms(value: str) -> Iterator[str]:
    """A value as links in mailings hide it: in Base64, of either alphabet and without its padding."""
    if len(value.strip()) < _SHORTEST_PACKED:
        return
    for text in {value, value.strip(), value.strip().lower()}:
        packed = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")
        yield packed
        yield packed.translate(_URL_SAFE)


def _domain_forms(value: str) -> Iterator[str]:
    """An address with its domain in Punycode and in letters."""
    local, at, domain = value.strip().rpartition("@")
    if not at:
        return
    with contextlib.suppress(UnicodeError):
        yield f"{local}@{domain.encode('idna').decode('ascii')}"
    with contextlib.suppress(UnicodeError):
        yield f"{local}@{domain.encode('ascii').decode('idna')}"


def hashes_of(value: str) -> set[str]:
    """The hex digests of a value, as sent and as mappings tidy values before they hash them."""
    tidied = {value, value.strip(), _SPACES.sub(" ", value).strip(), fold(value)}
    tidied |= {
        unicodedata.normalize(form, text)
        for text in tuple(tidied)
        for form in ("NFC", "NFD", "NFKC")
    }
    tidied |= set(
        chain.from_iterable((text.lower(), text.upper(), text.casefold()) for text in tuple(tidied))
    )
    return {
        # A system in FIPS mode refuses MD5 unless it is told that nothing is kept safe by it.
        hashlib.new(name, text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        for name in _HASHES
        for text in tidied
        if text
    }


class Finder:
    """Looks for known values in texts, whatever way they are spelled there.

    `values` are looked for as whole words in all their forms and, where `hashed`, as hashes; `exact` texts (masks, say)
    anywhere, as they are apart from case and encodings.
    """

    def __init__(
        self, values: Iterable[str], exact: Iterable[str] = (), *, hashed: bool = True
    ) -> None:
        forms: set[str] = set()
        digests: set[str] = set()
        for value in values:
            forms |= plain_forms(value)
            digests |= hashes_of(value) if hashed else set()
        parts = frozenset(folded for folded in map(fold, exact) if folded)
        self.digests = frozenset(digests)
        self.needles = tuple(sorted(forms | parts))
        """One of these a text must contain, folded, to hold any of the values in another form than hashed."""
        words = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        anywhere = [re.escape(part) for part in sorted(parts, key=len, reverse=True)]
        patterns = [f"{_BEFORE}(?:{words}){_AFTER}"] if words else []
        self._pattern = re.compile("|".join(patterns + anywhere)) if patterns or anywhere else None

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return self._pattern is not None

    def finds(self, text: str) -> bool:
        """Whether `text` holds one of the values."""
        return self._pattern is not None and self.stands_in(readings(text))

    def stands_in(self, texts: Iterable[str]) -> bool:
        """Whether one of the readings of a text holds one of the values."""
        return any(map(self._stands_in, texts))

    def _stands_in(self, reading: str) -> bool:
        # A pattern of many words tries each at each place, so it is asked only where one of them is there at all.
        if len(reading) < _LONG_CHARS or len(self.needles) < _FEW:
            is_possible = any(needle in reading for needle in self.needles)
        else:
            is_possible = _contains_any(reading, self.needles)
        if is_possible and self._pattern is not None and self._pattern.search(reading):
            return True
        # Hashes are many; as whole words of hex digits they are looked up, not searched for.
        return bool(self.digests) and not self.digests.isdisjoint(_HEX_WORD.findall(reading))


def _contains_any(text: str, needles: Sequence[str]) -> bool:
    return bool(pl.Series([text]).str.contains_any(list(needles))[0])
