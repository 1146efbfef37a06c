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
    return Worked(whole(int(Decimal(text).scaleb(SCALE)) if node.kind == "decimal" else int(text)))


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
            size = left.cast(pl.Float64).abs() * right.cast(pl.Float64).abs()
            small = worker.keep(size < pl.lit(_FITS))
            product = pl.when(small).then(left) * pl.when(small).then(right)
            found = _within(worker, _divided(worker, product, whole(UNIT)), parts)
            return Worked(found.value, any_fails([found], ~small))
        case "/":
            divisor = pl.when(right != _ZERO).then(right)
            found = _within(worker, _divided(worker, left * whole(UNIT), divisor), parts)
            return Worked(found.value, any_fails([found], _by_zero(parts)))
        case _:
            return _quotient(worker, parts, remainder=True)


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
    part = worker.work(node.args[0], node.kind if node.kind != "nothing" else "decimal")
    if node.kind != "integer":
        return Worked(_ZERO - part.value, part.fails)
    value = _ZERO - part.value
    fits = value <= whole(_INT64[1])
    return Worked(pl.when(fits).then(value), any_fails([part], ~fits))


def _abs(worker: Worker, node: Node) -> Worked:
    part = worker.work(node.args[0], node.kind if node.kind != "nothing" else "decimal")
    value = part.value.abs()
    fits = value <= whole(_INT64[1] if node.kind == "integer" else _LIMIT)
    return Worked(pl.when(fits).then(value), any_fails([part], ~fits))


def _to_integer(worker: Worker, node: Node) -> Worked:
    bits, gives_null = int(str(node.given[0])), bool(node.given[1])
    part = worker.work(node.args[0], "text" if node.args[0].kind == "nothing" else None)
    kind = node.args[0].kind
    if kind in {"text", "nothing"}:
        value, gives_null = worker.keep(_whole_of(worker, part.value)), True
    elif kind == "decimal":
        value = _divided(worker, part.value, whole(UNIT))
    else:
        value = part.value
    fits = value.is_between(whole(-(2 ** (bits - 1))), whole(2 ** (bits - 1) - 1))
    fails = any_fails([part]) if gives_null else any_fails([part], ~fits)
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
    part = worker.work(node.args[0], "text" if node.args[0].kind == "nothing" else None)
    is_text = node.args[0].kind in {"text", "nothing"}
    exact, too_large = _decimal_of(worker, part.value, scale) if is_text else (part.value, NEVER)
    value = exact if is_text else _rescaled(worker, exact, scale)
    value = worker.keep(value)
    limit = 10 ** (digits + SCALE)
    fits = value.is_between(whole(-limit), whole(limit), closed="none") & ~too_large
    fails = any_fails([part]) if gives_null else any_fails([part], ~fits)
    return Worked(pl.when(fits).then(value), fails)


NEVER = pl.lit(False)


def _decimal_of(worker: Worker, text: pl.Expr, scale: int) -> tuple[pl.Expr, pl.Expr]:
    """The decimal that a text says, rounded to `scale` places, null where it says none; and where it is too large."""
    trimmed = worker.keep(text.str.strip_chars(_SPACES))
    trimmed = worker.keep(pl.when(trimmed.str.contains(_NUMBER)).then(trimmed))
    has_exponent = trimmed.str.contains("[eE]")
    shifted = (
        pl.when(has_exponent)
        .then(trimmed)
        .map_batches(_without_exponents, return_dtype=pl.String, is_elementwise=True)
    )
    plain = worker.keep(pl.when(has_exponent).then(shifted).otherwise(trimmed))
    unsigned = plain.str.strip_chars_start("+-")
    before = worker.keep(unsigned.str.extract(r"\A([0-9]*)").str.strip_chars_start("0"))
    behind = worker.keep(unsigned.str.extract(r"\.([0-9]*)\z").fill_null(""))
    too_large = worker.keep((before.str.len_bytes() > WHOLE_DIGITS).fill_null(value=False))
    kept = (behind + "0" * SCALE).str.slice(0, SCALE)
    digits = "0" + pl.when(~too_large).then(before) + kept
    size = worker.keep(digits.cast(WIDE, strict=False))
    # rounding halves away from zero looks at one digit only: the first that is dropped
    if scale < SCALE:
        size = _rescaled(worker, size, scale)
    else:
        up = behind.str.slice(SCALE, 1).is_in(list("56789"))
        size = size + up.cast(WIDE)
    return pl.when(too_large).then(whole(_LIMIT)).otherwise(
        _signed(size, plain.str.starts_with("-"))
    ), too_large


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
