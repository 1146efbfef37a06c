"""Numbers in polars: exact, in whole numbers of 128 bits, with a flag where one is too large.

A decimal is held in units of 10^-SCALE, so that every sum, product and quotient is worked out to its last
digit and rounded once, half away from zero, as PostgreSQL rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import polars as pl

from migrate.language.sql.tree import SCALE, WHOLE_DIGITS, Node
from migrate.mapping.sql_worked import WIDE, Work, Worked, Worker, any_fails

UNIT = 10**SCALE
_LIMIT = 10 ** (WHOLE_DIGITS + SCALE)
_INT64 = (-(2**63), 2**63 - 1)
# beyond it a product of two decimals would not fit in 128 bits; the exact limit is looked at afterwards
_FITS = 1.5e38
_SPACES = " \t\n\r\v\f"
_WHOLE = r"\A[+-]?[0-9]+\z"
_NUMBER = r"\A[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\z"
_INT64_DIGITS = 19
_FAR = 60
_ZERO = pl.lit(0, dtype=WIDE)


def whole(number: int) -> pl.Expr:
    """A whole number as polars takes it here."""
    return pl.lit(number, dtype=WIDE)


def _number(_worker: Worker, node: Node) -> Worked:
    text = str(node.given[0])
    if node.kind == "decimal":
        return Worked(whole(int(Decimal(text).scaleb(SCALE))))
    return Worked(whole(int(text)))


def _widen(worker: Worker, node: Node) -> Worked:
    part = worker.work(node.args[0], "integer")
    return _within(worker, part.value * whole(UNIT), [part])


def _within(worker: Worker, value: pl.Expr, parts: list[Worked]) -> Worked:
    """A decimal, where it is one of the language's; else the record fails."""
    value = worker.keep(value)
    fits = value.is_between(whole(-_LIMIT), whole(_LIMIT), closed="none")
    return Worked(pl.when(fits).then(value), any_fails(parts, ~fits))


def _integer(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node, "integer")
    left, right = (part.value for part in parts)
    match node.given[0]:
        case "+":
            value = left + right
        case "-":
            value = left - right
        case "*":
            value = left * right
        case _:
            return _quotient(worker, parts, remainder=node.given[0] == "%")
    fits = value.is_between(whole(_INT64[0]), whole(_INT64[1]))
    return Worked(pl.when(fits).then(value), any_fails(parts, ~fits))


def _quotient(worker: Worker, parts: list[Worked], *, remainder: bool) -> Worked:
    """Whole numbers divided towards zero, or what remains, with the sign of the dividend."""
    left, right = (part.value for part in parts)
    divisor = pl.when(right != _ZERO).then(right)
    count = worker.keep(left.abs() // divisor.abs())
    if remainder:
        value = _signed(left.abs() - count * divisor.abs(), left < _ZERO)
        return Worked(value, any_fails(parts, _by_zero(parts)))
    value = _signed(count, (left < _ZERO) != (right < _ZERO))
    fits = value.is_between(whole(_INT64[0]), whole(_INT64[1]))
    return Worked(pl.when(fits).then(value), any_fails(parts, _by_zero(parts), ~fits))


def _by_zero(parts: list[Worked]) -> pl.Expr:
    """Where a number is divided by zero; NULL by zero is NULL, as every step with a NULL is."""
    left, right = (part.value for part in parts)
    return left.is_not_null() & (right == _ZERO)


def _decimal(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node, "decimal")
    left, right = (part.value for part in parts)
    match node.given[0]:
        case "+":
            return _within(worker, left + right, parts)
        case "-":
            return _within(worker, left - right, parts)
        case "*":
            return _product(worker, parts)
        case "/":
            divisor = pl.when(right != _ZERO).then(right)
            # Widened first: else the quotient of two decimals would have no digit behind the point.
            quotient = _within(worker, _divided(worker, left * whole(UNIT), divisor), parts)
            return Worked(quotient.value, any_fails([quotient], _by_zero(parts)))
        case _:
            return _quotient(worker, parts, remainder=True)


def _product(worker: Worker, parts: list[Worked]) -> Worked:
    left, right = (part.value for part in parts)
    # Its size is looked at in floats before, since 128 bits run over without a word.
    size = left.cast(pl.Float64).abs() * right.cast(pl.Float64).abs()
    is_small = worker.keep(size < pl.lit(_FITS))
    exact = pl.when(is_small).then(left) * pl.when(is_small).then(right)
    product = _within(worker, _divided(worker, exact, whole(UNIT)), parts)
    return Worked(product.value, any_fails([product], ~is_small))


def _number_arg(worker: Worker, node: Node) -> Worked:
    """The one argument of a function of numbers; NULL is a decimal where nothing says more."""
    return worker.work(node.args[0], "decimal" if node.kind == "nothing" else node.kind)


def _divided(worker: Worker, value: pl.Expr, divisor: pl.Expr) -> pl.Expr:
    """The nearest whole number to a quotient, halves away from zero."""
    value, divisor = worker.keep(value), worker.keep(divisor)
    size = divisor.abs()
    count = worker.keep(value.abs() // size)
    rest = worker.keep(value.abs() - count * size)
    nearest = count + (rest >= size - rest).cast(WIDE)
    return _signed(nearest, (value < _ZERO) != (divisor < _ZERO))


def _signed(value: pl.Expr, negative: pl.Expr) -> pl.Expr:
    return pl.when(negative).then(_ZERO - value).otherwise(value)


def _rescaled(worker: Worker, value: pl.Expr, places: int) -> pl.Expr:
    """A decimal rounded to so many places after the point, or before it where negative."""
    unit = 10 ** (SCALE - places)
    if unit == 1:
        return value
    return _divided(worker, value, whole(unit)) * whole(unit)


def _round(worker: Worker, node: Node) -> Worked:
    part = worker.work(node.args[0], "decimal")
    return _within(worker, _rescaled(worker, part.value, int(str(node.given[0]))), [part])


def _negate(worker: Worker, node: Node) -> Worked:
    part = _number_arg(worker, node)
    value = _ZERO - part.value
    if node.kind != "integer":
        return Worked(value, part.fails)
    # The least whole number of 64 bits has no opposite.
    fits = value <= whole(_INT64[1])
    return Worked(pl.when(fits).then(value), any_fails([part], ~fits))


def _abs(worker: Worker, node: Node) -> Worked:
    part = _number_arg(worker, node)
    value = part.value.abs()
    most = _INT64[1] if node.kind == "integer" else _LIMIT
    fits = value <= whole(most)
    return Worked(pl.when(fits).then(value), any_fails([part], ~fits))


def _cast_arg(worker: Worker, node: Node) -> tuple[Worked, bool]:
    """The one argument of a cast, and whether it is a text; NULL is one where nothing says more."""
    is_text = node.args[0].kind in {"text", "nothing"}
    return worker.work(node.args[0], "text" if is_text else None), is_text


def _to_integer(worker: Worker, node: Node) -> Worked:
    bits, gives_null = int(str(node.given[0])), bool(node.given[1])
    part, is_text = _cast_arg(worker, node)
    value = part.value
    if is_text:
        # What a text does not say is no failure of the record: it is NULL.
        value, gives_null = worker.keep(_whole_of(worker, value)), True
    elif node.args[0].kind == "decimal":
        value = _divided(worker, value, whole(UNIT))
    limit = 2 ** (bits - 1)
    fits = value.is_between(whole(-limit), whole(limit - 1))
    if gives_null:
        fails = any_fails([part])
    else:
        fails = any_fails([part], ~fits)
    return Worked(pl.when(fits).then(value), fails)


def _whole_of(worker: Worker, text: pl.Expr) -> pl.Expr:
    """The whole number that a text says, null where it says none or one beyond 64 bits."""
    trimmed = worker.keep(text.str.strip_chars(_SPACES))
    digits = trimmed.str.strip_prefix("+").str.strip_prefix("-").str.strip_chars_start("0")
    fits = trimmed.str.contains(_WHOLE) & (digits.str.len_bytes() <= _INT64_DIGITS)
    size = pl.when(fits).then("0" + digits).cast(WIDE, strict=False)
    return _signed(size, trimmed.str.starts_with("-"))


def _to_decimal(worker: Worker, node: Node) -> Worked:
    digits, scale = int(str(node.given[0])), int(str(node.given[1]))
    gives_null = bool(node.given[2])
    part, is_text = _cast_arg(worker, node)
    if is_text:
        value, too_large = _decimal_of(worker, part.value, scale)
    else:
        value, too_large = _rescaled(worker, part.value, scale), NEVER
    value = worker.keep(value)
    limit = 10 ** (digits + SCALE)
    fits = value.is_between(whole(-limit), whole(limit), closed="none") & ~too_large
    if gives_null:
        fails = any_fails([part])
    else:
        fails = any_fails([part], ~fits)
    return Worked(pl.when(fits).then(value), fails)


NEVER = pl.lit(False)


def _decimal_of(worker: Worker, text: pl.Expr, scale: int) -> tuple[pl.Expr, pl.Expr]:
    """The decimal that a text says, rounded to `scale` places, null where it says none; and where it is too large."""
    trimmed = worker.keep(text.str.strip_chars(_SPACES))
    number = worker.keep(pl.when(trimmed.str.contains(_NUMBER)).then(trimmed))
    plain = worker.keep(_written_out(number))
    unsigned = plain.str.strip_chars_start("+-")
    before = worker.keep(unsigned.str.extract(r"\A([0-9]*)").str.strip_chars_start("0"))
    behind = worker.keep(unsigned.str.extract(r"\.([0-9]*)\z").fill_null(""))
    # By its length, since what is too large for the language is too large for 128 bits as well.
    is_long = before.str.len_bytes() > WHOLE_DIGITS
    too_large = worker.keep(is_long.fill_null(value=False))
    decimals = (behind + "0" * SCALE).str.slice(0, SCALE)
    digits = "0" + pl.when(~too_large).then(before) + decimals
    size = worker.keep(digits.cast(WIDE, strict=False))
    # Rounding halves away from zero looks at one digit only: the first that is dropped.
    if scale < SCALE:
        size = _rescaled(worker, size, scale)
    else:
        rounds_up = behind.str.slice(SCALE, 1).is_in(list("56789"))
        size = size + rounds_up.cast(WIDE)
    signed = _signed(size, plain.str.starts_with("-"))
    return pl.when(too_large).then(whole(_LIMIT)).otherwise(signed), too_large


def _written_out(number: pl.Expr) -> pl.Expr:
    """The texts of numbers without exponents; only those that have one are changed in Python."""
    has_exponent = number.str.contains("[eE]")
    with_exponent = pl.when(has_exponent).then(number)
    shifted = with_exponent.map_batches(
        _without_exponents, return_dtype=pl.String, is_elementwise=True
    )
    return pl.when(has_exponent).then(shifted).otherwise(number)


def _without_exponents(texts: pl.Series) -> pl.Series:
    known = {text: _without_exponent(text) for text in texts.unique().drop_nulls()}
    return pl.Series([known.get(text) for text in texts], dtype=pl.String)


def _without_exponent(text: str) -> str:
    """A number written out; one far too large or small as some other far too large or small one."""
    mantissa, _, exponent = text.lower().partition("e")
    digits = mantissa.lstrip("+-").replace(".", "")
    sign = "-" if text.startswith("-") else ""
    if not digits.strip("0"):
        return "0"
    point = len(mantissa.lstrip("+-").partition(".")[0]) + int(exponent[:12])
    leading = len(digits) - len(digits.lstrip("0"))
    if point - leading > _FAR:
        return sign + "1" + "0" * _FAR
    if point - leading < -_FAR:
        return "0"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point].ljust(point, '0')}.{digits[point:]}"


def _to_text(worker: Worker, node: Node) -> Worked:
    arg = node.args[0]
    part = worker.work(arg)
    if arg.kind == "boolean":
        yes = pl.when(part.value).then(pl.lit("true"))
        return Worked(yes.when(~part.value).then(pl.lit("false")), part.fails)
    if arg.kind == "integer":
        return Worked(part.value.cast(pl.String), part.fails)
    size = part.value.abs()
    count = worker.keep(size // whole(UNIT))
    behind = (size - count * whole(UNIT)).cast(pl.String).str.zfill(SCALE)
    sign = pl.when(part.value < _ZERO).then(pl.lit("-")).otherwise(pl.lit(""))
    before = pl.concat_str(sign, count.cast(pl.String))
    if arg.scale == 0:
        return Worked(before, part.fails)
    if arg.scale is None:
        short = pl.concat_str(before, pl.lit("."), behind.str.strip_chars_end("0"))
        return Worked(short.str.strip_chars_end("."), part.fails)
    return Worked(pl.concat_str(before, pl.lit("."), behind.str.slice(0, arg.scale)), part.fails)


WORK: Mapping[str, Work] = {
    "number": _number,
    "widen": _widen,
    "integer": _integer,
    "decimal": _decimal,
    "round": _round,
    "negate": _negate,
    "abs": _abs,
    "to_integer": _to_integer,
    "to_decimal": _to_decimal,
    "to_text": _to_text,
}
