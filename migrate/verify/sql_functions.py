"""The text functions of a mapping's SQL, in plain Python, with SQL's unknown (None)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from migrate.verify.typed import Unverifiable

_SIX = Decimal("0.000001")


def show(value: Any) -> str:
    """A value as the text it is written as."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def like(text: str, pattern: str, ignore_case: bool) -> bool:
    """Whether `text` is as `pattern` says: % is any text, _ any character."""
    return _like_pattern(pattern, ignore_case).fullmatch(text) is not None


@lru_cache(maxsize=256)
def _like_pattern(pattern: str, ignore_case: bool) -> re.Pattern[str]:
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def cast_function(name: str) -> Callable[[Any], Any]:
    """TRY_CAST to a type. Raises Unverifiable for another type."""
    if name in {"VARCHAR", "TEXT"}:
        return lambda value: None if value is None else show(value)
    if name in {"INTEGER", "BIGINT"}:
        bits = 31 if name == "INTEGER" else 63
        return lambda value: _to_whole(value, bits)
    if name == "DECIMAL":
        return _to_decimal
    raise Unverifiable(f"sql: CAST AS {name}")


def _to_whole(value: Any, bits: int) -> int | None:
    if value is None or type(value) is int:
        return value
    if not isinstance(value, str):
        raise Unverifiable("sql: CAST of other than a text")
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", value):
        return None
    number = int(value)
    return number if -(2**bits) <= number < 2**bits else None


def _to_decimal(value: Any) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    if not isinstance(value, str):
        raise Unverifiable("sql: CAST of other than a text")
    if not re.fullmatch(r"[+-]?[0-9]{1,32}(\.[0-9]*)?", value):
        return None
    try:
        return Decimal(value).quantize(_SIX, rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        return None


def _texts(act: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is unknown where one of its arguments is, and wants texts first."""

    def run(*values: Any) -> Any:
        if any(value is None for value in values):
            return None
        if not isinstance(values[0], str):
            raise Unverifiable("sql: a text function of a number")
        return act(*values)

    return run


def _first_known(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _substr(text: str, start: int, length: int | None = None) -> str:
    if start < 1 or (length is not None and length < 0):
        raise Unverifiable("sql: SUBSTR before the first character")
    return text[start - 1 :] if length is None else text[start - 1 : start - 1 + length]


def _side(text: str, count: int, *, right: bool) -> str:
    if count < 0:
        raise Unverifiable("sql: LEFT or RIGHT of a negative length")
    return (text[-count:] if count else "") if right else text[:count]


def _concat(*values: Any) -> str:
    return "".join(show(value) for value in values if value is not None)


def _concat_with(separator: Any, *values: Any) -> str | None:
    return None if separator is None else str(separator).join(show(value) for value in values if value is not None)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "COALESCE": _first_known,
    "CONCAT": _concat,
    "CONCAT_WS": _concat_with,
    "ENDS_WITH": _texts(lambda text, end: text.endswith(end)),
    "IF": lambda test, yes, no: yes if test is True else no,
    "IFNULL": _first_known,
    "LEFT": _texts(lambda text, count: _side(text, count, right=False)),
    "LENGTH": _texts(len),
    "LOWER": _texts(str.lower),
    "LTRIM": _texts(str.lstrip),
    "NULLIF": lambda value, other: None if value == other else value,
    "REPLACE": _texts(lambda text, old, new: text.replace(old, new) if old else text),
    "RIGHT": _texts(lambda text, count: _side(text, count, right=True)),
    "RTRIM": _texts(str.rstrip),
    "STARTS_WITH": _texts(lambda text, start: text.startswith(start)),
    "STRPOS": _texts(lambda text, part: text.find(part) + 1),
    "SUBSTR": _texts(_substr),
    "TRIM": _texts(str.strip),
    "UPPER": _texts(str.upper),
}
