"""What may stand in an expression's text at all: its tokens, each from a closed list."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator

from sqlglot import TokenError
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokenizer_core import Token, TokenType

from migrate.language.sql.tree import SqlRefused

# The parser calls itself for each level: without a bound a text could end the process.
MAX_DEPTH = 24
_FUNCTION_WORDS = """
ABS BTRIM CAST COALESCE CONCAT CONCAT_WS ENDS_WITH GREATEST IF IFNULL INITCAP LEAST LEFT LENGTH LOWER
LPAD LTRIM MOD NULLIF REGEXP_LIKE REPLACE REVERSE RIGHT ROUND RPAD RTRIM SPLIT_PART STARTS_WITH STRPOS
SUBSTR SUBSTRING TRIM TRY_CAST UPPER
"""
_KEYWORD_WORDS = """
AND OR NOT IS NULL TRUE FALSE UNKNOWN CASE WHEN THEN ELSE END IN LIKE ILIKE ESCAPE BETWEEN DISTINCT FROM
"""
_TYPE_WORDS = "TEXT VARCHAR INTEGER INT INT4 BIGINT INT8 DECIMAL NUMERIC BOOLEAN BOOL"
_ELSEWHERE_WORDS = """
SELECT WITH VALUES OVER ANY ALL SOME EXISTS UNION JOIN WHERE GROUP ORDER HAVING LIMIT UNNEST TABLE WINDOW
PARTITION FILTER LATERAL AS
"""
# PostgreSQL 15, appendix C: each word marked "reserved", also where it "can be function or type". None of them is a
# column's name without quotes, and some are values of their own, as CURRENT_DATE, which no row holds.
_RESERVED_WORDS = """
ALL ANALYSE ANALYZE AND ANY ARRAY AS ASC ASYMMETRIC AUTHORIZATION BINARY BOTH CASE CAST CHECK COLLATE COLLATION
COLUMN CONCURRENTLY CONSTRAINT CREATE CROSS CURRENT_CATALOG CURRENT_DATE CURRENT_ROLE CURRENT_SCHEMA CURRENT_TIME
CURRENT_TIMESTAMP CURRENT_USER DEFAULT DEFERRABLE DESC DISTINCT DO ELSE END EXCEPT FALSE FETCH FOR FOREIGN FREEZE
FROM FULL GRANT GROUP HAVING ILIKE IN INITIALLY INNER INTERSECT INTO IS ISNULL JOIN LATERAL LEADING LEFT LIKE LIMIT
LOCALTIME LOCALTIMESTAMP NATURAL NOT NOTNULL NULL OFFSET ON ONLY OR ORDER OUTER OVERLAPS PLACING PRIMARY REFERENCES
RETURNING RIGHT SELECT SESSION_USER SIMILAR SOME SYMMETRIC TABLE TABLESAMPLE THEN TO TRAILING TRUE UNION UNIQUE USER
USING VARIADIC VERBOSE WHEN WHERE WINDOW WITH
"""
FUNCTIONS = frozenset(_FUNCTION_WORDS.split())
KEYWORDS = frozenset(_KEYWORD_WORDS.split())
TYPES = frozenset(_TYPE_WORDS.split())
RESERVED = frozenset(_RESERVED_WORDS.split())
_ELSEWHERE = frozenset(_ELSEWHERE_WORDS.split())
_SIGNS = {
    TokenType.DPIPE: "||", TokenType.EQ: "=", TokenType.NEQ: "<>", TokenType.LT: "<", TokenType.LTE: "<=",
    TokenType.GT: ">", TokenType.GTE: ">=", TokenType.PLUS: "+", TokenType.DASH: "-", TokenType.STAR: "*",
    TokenType.SLASH: "/", TokenType.MOD: "%", TokenType.L_PAREN: "(", TokenType.R_PAREN: ")", TokenType.COMMA: ",",
    TokenType.DCOLON: "::", TokenType.DOT: ".",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_GLUED = frozenset({TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER})
_OPENING = frozenset({TokenType.L_PAREN, TokenType.CASE})
_CLOSING = frozenset({TokenType.R_PAREN, TokenType.END})


def guarded_tokens(text: str) -> Iterator[Token]:
    """The tokens that may go to the parser: each field, dotted or not, is one quoted name."""
    if "\0" in text:
        raise SqlRefused("a character that no text may hold", text.index("\0"))
    tokens = _cut(text)
    before: Token | None = None
    at = 0
    while at < len(tokens):
        token = tokens[at]
        after = _end_of_name(tokens, at)
        if token.token_type in _SIGNS or token.token_type in {TokenType.STRING, TokenType.NUMBER}:
            _check_plain(token, text)
        elif token.token_type == TokenType.IDENTIFIER:
            if not token.text.strip():
                raise SqlRefused("an empty column name", token.start)
        else:
            token = _word(tokens, at, after, text)
        _check_neighbours(before, token)
        yield token
        before, at = token, after


def _cut(text: str) -> list[Token]:
    try:
        tokens = Postgres().tokenize(text)
    except TokenError:
        quote = max(text.rfind("'"), text.rfind('"'), 0)
        raise SqlRefused("a text that does not end", quote) from None
    end = 0
    for token in tokens:
        # what lies between two tokens is space, or a comment that the parser would not show
        gap = text[end : token.start]
        if gap.strip(" \t\r\n"):
            odd = end + len(gap) - len(gap.lstrip(" \t\r\n"))
            raise SqlRefused(_not_between(text, odd), odd)
        end = token.end + 1
    rest = text[end:]
    if rest.strip(" \t\r\n"):
        odd = end + len(rest) - len(rest.lstrip(" \t\r\n"))
        raise SqlRefused(_not_between(text, odd), odd)
    return tokens


def _not_between(text: str, at: int) -> str:
    if text.startswith(("--", "/*"), at):
        return "a comment is not allowed: write it behind # beside the expression"
    return f"{text[at]!r} is not allowed"


def _end_of_name(tokens: list[Token], at: int) -> int:
    """The place behind a dotted name that begins at `at`, behind one token for anything else."""
    if tokens[at].token_type in _SIGNS or tokens[at].token_type in _GLUED:
        return at + 1
    after = at + 1
    while (
        after + 1 < len(tokens)
        and tokens[after].token_type == TokenType.DOT
        and tokens[after - 1].end + 1 == tokens[after].start
        and tokens[after].end + 1 == tokens[after + 1].start
        and _NAME.fullmatch(tokens[after + 1].text)
    ):
        after += 2
    return after


def _check_plain(token: Token, text: str) -> None:
    written = text[token.start : token.end + 1]
    kind = token.token_type
    # `E'…'`, `$$…$$` and the like have escapes of their own, which the other engine would not read.
    if kind == TokenType.STRING and not written.startswith("'"):
        raise SqlRefused("a text is written in single quotes", token.start)
    # `1e3` and `0x1F` are read apart by versions and engines.
    if kind == TokenType.NUMBER and not _NUMBER.fullmatch(written):
        raise SqlRefused(f"{written} is no number of plain digits, as 12 or 1.5", token.start)
    if kind in _SIGNS and written not in {_SIGNS[kind], "!="}:
        raise SqlRefused(f"{written} is not allowed; {_SIGNS[kind]} is", token.start)
    if kind == TokenType.DOT:
        raise SqlRefused("a point belongs inside a name or a number", token.start)


def _check_neighbours(before: Token | None, token: Token) -> None:
    if before is None or before.token_type not in _GLUED or token.token_type not in _GLUED:
        return
    # PostgreSQL joins two texts only over a line end, and the parser would anywhere
    both_texts = before.token_type == token.token_type == TokenType.STRING
    what = "two texts" if both_texts else "two values"
    raise SqlRefused(f"{what} stand side by side; put an operator between them, as ||", token.start)


def _word(tokens: list[Token], at: int, after: int, text: str) -> Token:
    """A keyword, a function's or a type's name as it is, any other word as a field."""
    token = tokens[at]
    written = text[token.start : tokens[after - 1].end + 1]
    words = written.upper().split()
    followed_by_bracket = after < len(tokens) and tokens[after].token_type == TokenType.L_PAREN
    if words and all(word in KEYWORDS or (word == "AS" and len(words) == 1) for word in words):
        return token
    if not _NAME.fullmatch(written):
        raise SqlRefused(_refused_word(written, words), token.start)
    word = words[0]
    before = tokens[at - 1] if at else None
    if before is not None and (
        before.text.upper() == "AS" or before.token_type == TokenType.DCOLON
    ):
        return _type(token, word)
    if followed_by_bracket:
        return _function(token, word)
    if word in _ELSEWHERE:
        raise SqlRefused(_refused_word(written, words), token.start)
    if word in RESERVED:
        raise SqlRefused(
            f"{written} is a word of SQL; a field of that name is written in double quotes",
            token.start,
        )
    return _token(TokenType.IDENTIFIER, written, token, tokens[after - 1].end)


def _token(kind: TokenType, text: str, at: Token, end: int) -> Token:
    return Token(kind, text, at.line, at.col, at.start, end, [])


def _refused_word(written: str, words: list[str]) -> str:
    if words and words[0] in _ELSEWHERE:
        return (
            f"{words[0]} is not allowed: an expression reads its own row only "
            "(a field of that name wants double quotes)"
        )
    named = any(letter.isalpha() for letter in written)
    return f"{written[:30]!r} is not allowed" + (
        "; a field of such a name wants double quotes" if named else ""
    )


def _type(token: Token, word: str) -> Token:
    if word not in TYPES:
        raise SqlRefused(
            f"the type {word} is not allowed; one of {', '.join(sorted(TYPES))}", token.start
        )
    return token


def _function(token: Token, word: str) -> Token:
    if word in FUNCTIONS:
        return token
    if word in _ELSEWHERE:
        raise SqlRefused(_refused_word(word, [word]), token.start)
    near = difflib.get_close_matches(word, FUNCTIONS, 1, 0.75)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise SqlRefused(
        f"the function {word} is not allowed{meant}; allowed are {', '.join(sorted(FUNCTIONS))}",
        token.start,
    )


def check_nesting(tokens: list[Token]) -> None:
    """Brackets and CASE that close, none too deep; signs in a row count as depth."""
    depth, signs = 0, 0
    opened: list[Token] = []
    for token in tokens:
        word = token.text.upper()
        # A row of NOT or minus has no brackets, and is as deep a tree.
        signs = signs + 1 if word in {"NOT", "-", "+"} else 0
        if token.token_type in _OPENING:
            depth += 1
            opened.append(token)
        elif token.token_type in _CLOSING:
            if not opened:
                raise SqlRefused(f"{token.text} closes what was not opened", token.start)
            depth -= 1
            opened.pop()
        elif token.token_type == TokenType.COMMA and not opened:
            raise SqlRefused("one expression only, no list", token.start)
        if depth > MAX_DEPTH or signs > MAX_DEPTH:
            raise SqlRefused(f"nested deeper than {MAX_DEPTH}", token.start)
    if opened:
        raise SqlRefused(f"{opened[-1].text} is not closed", opened[-1].start)
