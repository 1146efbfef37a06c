"""Numbers in a mapping's SQL: casts, arithmetic and how a number is written, in plain Python and `decimal`.

DECIMAL is decimal(38, 6). A decimal keeps its scale within an expression, so `||` writes `12.000000`; the expression's
own value is written without zeros at the end. What depends on the width of a type that is not seen in the value, and
what a database refuses for the whole file, is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Any

from migrate.verify.typed import Unverifiable, plain_number

_SIX = Decimal("0.000001")
_EXACT = Context(prec=200)
_DIGITS = 38
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_QUOTIENT_SCALE = 6


def show(value: Any) -> str:
    """A value as the text it is written as within an expression."""
    if type(value) is str:
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value if value else value.copy_abs(), "f")
    return str(int(value)) if isinstance(value, int) else str(value)


def show_result(value: Any) -> str:
    """The value of a whole expression as text."""
    return plain_number(value) if isinstance(value, Decimal) else show(value)


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
    if value is None or isinstance(value, int):
        return value
    if not isinstance(value, str):
        raise Unverifiable("sql: CAST of other than a text")
    if not _WHOLE.fullmatch(value):
        return None
    number = int(value)
    return number if -(2**bits) <= number < 2**bits else None


def _to_decimal(value: Any) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    if isinstance(value, int):
        return _EXACT.quantize(Decimal(int(value)), _SIX)
    if not isinstance(value, str):
        raise Unverifiable("sql: CAST of other than a text")
    if not _DECIMAL.fullmatch(value):
        return None
    number = Decimal(value)
    if number.adjusted() >= _DIGITS - 6 and number:
        return None
    return number.quantize(_SIX, rounding=ROUND_HALF_EVEN, context=_EXACT)


def calculate(sign: str) -> Callable[[Any, Any], Any]:
    """What `+ - * / %` makes of two numbers that are both known. The function it gives raises Unverifiable."""

    def act(left: Any, right: Any) -> Any:
        kinds = {type(left), type(right)}
        if kinds == {int}:
            return _whole_numbers(sign, left, right)
        if kinds <= {int, Decimal}:
            return _decimals(sign, Decimal(left), Decimal(right))
        raise Unverifiable(f"sql: {sign} of other than numbers")

    return act


def _whole_numbers(sign: str, left: int, right: int) -> int | None:
    if sign == "/":
        raise Unverifiable("sql: a quotient of whole numbers, which is a binary fraction")
    if sign == "%":
        return None if right == 0 else abs(left) % abs(right) * (-1 if left < 0 else 1)
    found = left + right if sign == "+" else left - right if sign == "-" else left * right
    if not -(2**63) <= found < 2**63:
        raise Unverifiable("sql: a whole number too large for its type")
    return found


def _decimals(sign: str, left: Decimal, right: Decimal) -> Decimal:
    if sign in "/%" and not right:
        raise Unverifiable("sql: a division by zero")
    if sign == "/":
        scale = -int(left.as_tuple().exponent) + _QUOTIENT_SCALE
        found = _EXACT.divide(left, right).quantize(
            Decimal(1).scaleb(-scale), rounding=ROUND_HALF_EVEN, context=_EXACT
        )
    else:
        steps = {"+": _EXACT.add, "-": _EXACT.subtract, "*": _EXACT.multiply, "%": _EXACT.remainder}
        found = steps[sign](left, right)
    if len(found.as_tuple().digits) > _DIGITS:
        raise Unverifiable("sql: a decimal of more than 38 digits")
    return found


def absolute(value: Any) -> Any:
    """ABS."""
    _need_number("ABS", value)
    return abs(value) if isinstance(value, int) else value.copy_abs()


def rounded(value: Any, places: Any = 0) -> Any:
    """ROUND: half away from zero; a decimal keeps its scale."""
    _need_number("ROUND", value)
    if type(places) is not int or places < 0:
        raise Unverifiable("sql: ROUND to other than places after the point")
    if isinstance(value, int):
        return value
    scale = Decimal(1).scaleb(int(value.as_tuple().exponent))
    found = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP, context=_EXACT)
    return found.quantize(scale, rounding=ROUND_HALF_UP, context=_EXACT)


def _need_number(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Unverifiable(f"sql: {name} of other than a number")
