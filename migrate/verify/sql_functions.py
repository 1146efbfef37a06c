"""The functions of a mapping's SQL, in plain Python, with SQL's unknown (None)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from migrate.verify.sql_numbers import absolute, calculate, rounded, show
from migrate.verify.typed import SPACES, Unverifiable

# the part of regular expressions that reads the same everywhere: no look-around, no groups with a name or a flag
_END = "$"
_REGEX_TOKEN = re.compile(
    r"\$|\\[dDwWsS.\\+*?()\[\]{}|^$/\-]|\[\^?(?:[^\[\]\\&~\-]|\\[dDwWsS.\\\[\]\-]|[A-Za-z0-9]-[A-Za-z0-9])+\]"
    r"|\{[0-9]+(?:,[0-9]*)?\}|\((?!\?)|[^\\$\[\]{}(]"
)

# Python alone takes the Turkish letters for cases of i; two letters of no case stand for them
_APART = str.maketrans("\u0130\u0131", "\U00010600\U00010601")


def like(text: str, pattern: str, ignore_case: bool) -> bool:
    """Whether `text` is as `pattern` says: % is any text, _ any character."""
    if ignore_case:
        text, pattern = text.translate(_APART), pattern.translate(_APART)
    return _like_pattern(pattern, ignore_case).fullmatch(text) is not None


@lru_cache(maxsize=256)
def _like_pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _texts(act: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is unknown where one of its arguments is, and wants texts first."""

    def run(*values: Any) -> Any:
        if any(value is None for value in values):
            return None
        if not isinstance(values[0], str):
            raise Unverifiable("sql: a text function of a number")
        return act(*values)

    return run


def _known(act: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is unknown where one of its arguments is."""
    return lambda *values: None if any(value is None for value in values) else act(*values)


def _first_known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _extreme(choose: Callable[..., Any]) -> Callable[..., Any]:
    """GREATEST or LEAST: of those that are known."""

    def run(*values: Any) -> Any:
        known = [value for value in values if value is not None]
        if len({isinstance(value, str) for value in known}) > 1:
            raise Unverifiable("sql: a text compared with a number")
        return choose(known) if known else None

    return run


def _substr(text: str, start: int, length: int | None = None) -> str:
    if length is not None and length < 0:
        raise Unverifiable("sql: SUBSTR of a negative length")
    return (
        text[max(start - 1, 0) :]
        if length is None
        else text[max(start - 1, 0) : max(start - 1 + length, 0)]
    )


def _left(text: str, count: int) -> str:
    return text[:count]


def _right(text: str, count: int) -> str:
    if count < 0:
        return text[-count:]
    return text[len(text) - count :] if count < len(text) else text


def _padded(text: str, length: int, fill: str = " ", *, left: bool) -> str:
    if type(length) is not int or length < 0 or len(fill) != 1:
        raise Unverifiable("sql: LPAD or RPAD with other than a length and one character")
    text = text[:length]
    return text.rjust(length, fill) if left else text.ljust(length, fill)


def _split_part(text: str, separator: str, place: int) -> str:
    if not separator:
        raise Unverifiable("sql: SPLIT_PART by an empty text")
    parts = text.split(separator)
    at = place - 1 if place > 0 else len(parts) + place
    return parts[at] if place and 0 <= at < len(parts) else ""


def _reversed(text: str) -> str:
    if not text.isascii():
        import unicodedata

        # letters that are made of several characters stay whole in one reading and not in the other
        if any(
            unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Mn", "Me", "Mc")
            for char in text
        ):
            raise Unverifiable("sql: REVERSE of combined characters")
    return text[::-1]


def _regexp_like(text: str, pattern: str, flags: str = "") -> bool:
    if flags:
        text, pattern = text.translate(_APART), pattern.translate(_APART)
    return _regex(pattern, flags).search(text) is not None


@lru_cache(maxsize=256)
def _regex(pattern: str, flags: str) -> re.Pattern[str]:
    tokens = _REGEX_TOKEN.findall(pattern)
    if "".join(tokens) != pattern or flags not in {"", "i"}:
        raise Unverifiable("sql: REGEXP_LIKE of a pattern beyond the plain ones")
    # $ is the very end, not the place before a last line end
    plain = "".join(r"\Z" if token == _END else token for token in tokens)
    try:
        return re.compile(plain, re.IGNORECASE if flags else 0)
    except re.error:
        raise Unverifiable("sql: REGEXP_LIKE of a pattern that cannot be read") from None


def _concat(*values: Any) -> str:
    return "".join(show(value) for value in values if value is not None)


def _concat_with(separator: Any, *values: Any) -> str | None:
    return (
        None
        if separator is None
        else str(separator).join(show(value) for value in values if value is not None)
    )


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "ABS": _known(absolute),
    "COALESCE": _first_known,
    "CONCAT": _concat,
    "CONCAT_WS": _concat_with,
    "ENDS_WITH": _texts(lambda text, end: text.endswith(end)),
    "GREATEST": _extreme(max),
    "IF": lambda test, yes, no: yes if test is True else no,
    "IFNULL": _first_known,
    "INITCAP": _texts(str.title),
    "LEAST": _extreme(min),
    "LEFT": _texts(_left),
    "LENGTH": _texts(len),
    "LOWER": _texts(str.lower),
    "LPAD": _texts(lambda text, *how: _padded(text, *how, left=True)),
    "LTRIM": _texts(lambda text, chars=SPACES: text.lstrip(chars)),
    "MOD": _known(calculate("%")),
    "NULLIF": lambda value, other: None if value == other else value,
    "REGEXP_LIKE": _texts(_regexp_like),
    "REPLACE": _texts(lambda text, old, new: text.replace(old, new) if old else text),
    "REVERSE": _texts(_reversed),
    "RIGHT": _texts(_right),
    "ROUND": _known(rounded),
    "RPAD": _texts(lambda text, *how: _padded(text, *how, left=False)),
    "RTRIM": _texts(lambda text, chars=SPACES: text.rstrip(chars)),
    "SPLIT_PART": _texts(_split_part),
    "STARTS_WITH": _texts(lambda text, start: text.startswith(start)),
    "STRPOS": _texts(lambda text, part: text.find(part) + 1),
    "SUBSTR": _texts(_substr),
    "TRIM": _texts(lambda text, chars=SPACES: text.strip(chars)),
    "UPPER": _texts(str.upper),
}
