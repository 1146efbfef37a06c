"""The guard before polars' SQL: an allow-list of tokens, from which a new and harmless text is written.

A sub-query inside an SQL expression can open any file, and polars opens it while it parses. So the text of a mapping
never reaches polars: it is cut into tokens, each token must be one this page lists, and what polars gets is put
together anew. Every bare word that is not a listed keyword, function or type becomes a quoted column name, so no word
that polars knows and this page does not can act.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

MAX_LENGTH = 4000
MAX_DEPTH = 24

_FUNCTION_WORDS = """
ABS COALESCE CONCAT CONCAT_WS ENDS_WITH GREATEST IF IFNULL INITCAP LEAST LEFT LENGTH LOWER LPAD LTRIM MOD NULLIF
REGEXP_LIKE REPLACE REVERSE RIGHT ROUND RPAD RTRIM SPLIT_PART STARTS_WITH STRPOS SUBSTR TRIM TRY_CAST CAST UPPER
"""
_KEYWORD_WORDS = "AND OR NOT IS NULL TRUE FALSE CASE WHEN THEN ELSE END IN LIKE ILIKE BETWEEN"
_REFUSED_WORDS = """
SELECT FROM WITH VALUES OVER ANY ALL SOME EXISTS UNION JOIN WHERE GROUP ORDER HAVING LIMIT UNNEST TABLE WINDOW
PARTITION FILTER DISTINCT LATERAL AS
"""
FUNCTIONS = frozenset(_FUNCTION_WORDS.split())
KEYWORDS = frozenset(_KEYWORD_WORDS.split())
TYPES = frozenset({"VARCHAR", "TEXT", "INTEGER", "BIGINT", "DECIMAL"})
_COUNTS = frozenset({"LENGTH", "STRPOS"})
_BEFORE_STAR = frozenset({"name", "quoted", "number", "text", "close"})
_WORDS_REFUSED = frozenset(_REFUSED_WORDS.split())
_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+)
    |(?P<text>'(?:[^'\\\0]|''|\\(?!'))*')
    |(?P<quoted>"[^"\0]+")
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<operator>\|\||<>|!=|<=|>=|[=<>+\-*/%])
    |(?P<open>\()|(?P<close>\))|(?P<comma>,)""",
    re.VERBOSE,
)
_GLUED = {"text", "quoted", "name", "number"}

Kind = Literal[
    "text",
    "quoted",
    "number",
    "name",
    "operator",
    "open",
    "close",
    "comma",
    "keyword",
    "function",
    "type",
    "as",
]
_PLAIN: dict[str, Kind] = {
    kind: kind for kind in ("text", "number", "operator", "open", "close", "comma")
}


class SqlRefused(ValueError):
    """What in the text is not allowed, and at which character (from 1)."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(f"{what} (character {at + 1})")


@dataclass(frozen=True)
class Token:
    """One allowed piece of an expression, as it will be written for polars."""

    kind: Kind
    text: str
    at: int


@dataclass(frozen=True)
class Guarded:
    """An expression of allowed tokens only, and the fields it reads."""

    tokens: tuple[Token, ...]
    fields: tuple[str, ...]

    def write(self, column: Callable[[str], str]) -> str:
        """The SQL text for polars, each field under the name that `column` gives it."""
        begins, ends = _narrow_numbers(self.tokens)
        pieces = []
        for at, token in enumerate(self.tokens):
            text = f'"{column(token.text)}"' if token.kind in {"name", "quoted"} else token.text
            pieces.append(
                f"CAST ( {text}" if at in begins else f"{text} AS BIGINT )" if at in ends else text
            )
        return " ".join(pieces)


def guard_sql(text: str) -> Guarded:
    """The expression in `text`, token by token.

    **Guarantees.** What `Guarded.write` gives holds no word that polars acts on but those of this page.
    **Raises.** SqlRefused.
    """
    if len(text) > MAX_LENGTH:
        raise SqlRefused(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens = tuple(_classify(list(_cut(text))))
    if not tokens:
        raise SqlRefused("empty", 0)
    _check_brackets(tokens)
    _check_neighbours(tokens)
    names = [token.text for token in tokens if token.kind in {"name", "quoted"}]
    return Guarded(tokens, tuple(dict.fromkeys(names)))


def _cut(text: str) -> Iterator[tuple[str, str, int]]:
    at, glued = 0, False
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found or not found.lastgroup:
            raise SqlRefused(_why_not(text, at), at)
        kind = found.lastgroup
        if glued and kind in _GLUED:
            raise SqlRefused("put a space or an operator between these", at)
        glued = kind in _GLUED
        if text.startswith(("--", "/*", "->"), at):
            raise SqlRefused(f"{text[at : at + 2]} is not allowed", at)
        if kind != "space":
            yield kind, found.group(), at
        at = found.end()


def _why_not(text: str, at: int) -> str:
    if text[at] == "'":
        return "a text that does not end, or a backslash before its closing quote"
    return f"{text[at]!r} is not allowed"


class _Classifier:
    """Says of each piece what it is; knows which brackets are of a CAST, where alone AS and a type may stand."""

    def __init__(self) -> None:
        self.depth = 0
        self.casts: list[int] = []
        self.type_next = False

    def classify(self, kind: str, text: str, at: int, followed_by: str) -> Token:
        """The token of one piece."""
        if kind in _PLAIN:
            self.depth += (kind == "open") - (kind == "close")
            return Token(_PLAIN[kind], text, at)
        if kind == "quoted":
            return Token("quoted", _column_name(text, at), at)
        return self._word(text, at, followed_by)

    def _word(self, text: str, at: int, followed_by: str) -> Token:
        word = text.upper()
        if self.type_next:
            self.type_next = False
            return Token("type", _type(word, at), at)
        if word == "AS" and self.casts and self.casts[-1] == self.depth:
            self.casts.pop()
            self.type_next = True
            return Token("as", word, at)
        if followed_by == "open" and word not in KEYWORDS:
            if word in {"CAST", "TRY_CAST"}:
                self.casts.append(self.depth + 1)
            return Token("function", _function(word, at), at)
        return _word(text, at)


def _classify(pieces: list[tuple[str, str, int]]) -> Iterator[Token]:
    classifier = _Classifier()
    for (kind, text, at), (followed_by, _, _) in pairwise([*pieces, ("", "", 0)]):
        yield classifier.classify(kind, text, at, followed_by)


def _column_name(text: str, at: int) -> str:
    name = text[1:-1]
    if not name.strip():
        raise SqlRefused("an empty column name", at)
    return name


def _type(word: str, at: int) -> str:
    if word not in TYPES:
        raise SqlRefused(f"the type {word} is not allowed; one of {', '.join(sorted(TYPES))}", at)
    return "DECIMAL(38,6)" if word == "DECIMAL" else word


def _function(word: str, at: int) -> str:
    if word not in FUNCTIONS:
        raise SqlRefused(
            f"the function {word} is not allowed; one of {', '.join(sorted(FUNCTIONS))}", at
        )
    return word


def _word(text: str, at: int) -> Token:
    word = text.upper()
    if word in KEYWORDS:
        return Token("keyword", word, at)
    if word in _WORDS_REFUSED:
        raise SqlRefused(
            f"{word} is not allowed: an expression reads its own row only (a field of that name wants quotes)",
            at,
        )
    return Token("name", text, at)


def _narrow_numbers(tokens: tuple[Token, ...]) -> tuple[set[int], set[int]]:
    """Where the calls begin and end whose whole numbers have 32 bits, or no sign, and would wrap around unnoticed."""
    begins, ends, calls = set(), set(), list[int]()
    integers = set()
    for at, token in enumerate(tokens):
        if token.kind == "open":
            calls.append(at - 1)
        elif token.text == "INTEGER" and token.kind == "type":
            integers.add(calls[-1])
        elif token.kind == "close":
            call = calls.pop()
            if call >= 0 and (tokens[call].text in _COUNTS or call in integers):
                begins.add(call)
                ends.add(at)
    return begins, ends


def _check_brackets(tokens: tuple[Token, ...]) -> None:
    depth = 0
    for token in tokens:
        depth += (token.kind == "open") - (token.kind == "close")
        if depth < 0:
            raise SqlRefused("a bracket closes that was not opened", token.at)
        if depth > MAX_DEPTH:
            raise SqlRefused(f"brackets deeper than {MAX_DEPTH}", token.at)
        if token.kind == "comma" and depth == 0:
            raise SqlRefused("one expression only, no list", token.at)
    if depth:
        raise SqlRefused("a bracket is not closed", tokens[-1].at)


def _check_neighbours(tokens: tuple[Token, ...]) -> None:
    for before, token in zip((None, *tokens), tokens, strict=False):
        if token.text == "*" and (before is None or before.kind not in _BEFORE_STAR):
            raise SqlRefused("* only multiplies", token.at)
        if token.kind == "function" and token.text == "CAST" and not _casts_to_text(tokens, token):
            raise SqlRefused(
                "CAST fails the whole file on one bad value; use TRY_CAST, or CAST(… AS VARCHAR)",
                token.at,
            )
        if (
            before is not None
            and before.kind in {"name", "quoted"}
            and token.kind in {"name", "quoted", "text", "number"}
        ):
            raise SqlRefused(
                "two values stand side by side; put an operator between them", token.at
            )
        if (
            before is not None
            and before.kind in {"name", "quoted", "type"}
            and token.kind == "open"
        ):
            raise SqlRefused("a bracket cannot follow here", token.at)


def _casts_to_text(tokens: tuple[Token, ...], cast: Token) -> bool:
    depth = 0
    for token in tokens[tokens.index(cast) + 1 :]:
        depth += (token.kind == "open") - (token.kind == "close")
        if token.kind == "type" and depth == 1:
            return token.text in {"VARCHAR", "TEXT"}
    return False
