"""The numbers of an expression in DuckDB's SQL: whole numbers of 128 bits, decimals in units of 10^-SCALE."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from migrate.language.sql.tree import SCALE, WHOLE_DIGITS, Node
from migrate.verify.language.steps import Form, Writer, Written, any_fails

_UNIT = 10**SCALE
_LIMIT = 10 ** (WHOLE_DIGITS + SCALE)
_FINE = 24
"""DuckDB's widest decimal with as many digits before the point as the language has."""
_SPACES = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)"
_WHOLE = r"'^[+-]?[0-9]+$'"
_NUMBER = r"'^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$'"


def _huge(number: int) -> str:
    if number >= 0:
        return f"{number}::HUGEINT"
    return f"(-{-number}::HUGEINT)"


def _number(_writer: Writer, node: Node) -> Written:
    text = str(node.given[0])
    return Written(_huge(int(Decimal(text).scaleb(SCALE)) if node.kind == "decimal" else int(text)))


def _bounded(writer: Writer, value: str, parts: list[Written], bits: int | None) -> Written:
    """A number, where it is one of the language's; else the row fails. `bits` of a whole number, None of a decimal."""
    kept = writer.keep(f"TRY({value})")
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits else (1 - _LIMIT, _LIMIT - 1)
    fits = writer.keep(f"({kept} BETWEEN {_huge(low)} AND {_huge(high)})")
    known = " AND ".join(f"{part.value} IS NOT NULL" for part in parts) or "TRUE"
    # a step that has no value though all it is made of has one was too large for 128 bits, or divided by zero
    return Written(
        f"(CASE WHEN {fits} THEN {kept} END)", any_fails(parts, f"({known} AND {fits} IS NOT TRUE)")
    )


def _widen(writer: Writer, node: Node) -> Written:
    part = writer.kept_node(node.args[0], "integer")
    return _bounded(writer, f"{part.value} * {_huge(_UNIT)}", [part], None)


def _integer(writer: Writer, node: Node) -> Written:
    left, right = parts = writer.all(node, "integer", keep=True)
    # DuckDB's `/` makes a float of two whole numbers, where PostgreSQL cuts.
    sign = {"/": "//"}.get(str(node.given[0]), str(node.given[0]))
    return _bounded(writer, f"({left.value} {sign} {right.value})", parts, 64)


def _decimal(writer: Writer, node: Node) -> Written:
    left, right = parts = writer.all(node, "decimal", keep=True)
    match node.given[0]:
        case "*":
            product = writer.keep(f"TRY({left.value} * {right.value})")
            return _bounded(writer, _nearest(writer, product, _huge(_UNIT)), parts, None)
        case "/":
            scaled = writer.keep(f"({left.value} * {_huge(_UNIT)})")
            return _bounded(writer, _nearest(writer, scaled, right.value), parts, None)
        case sign:
            return _bounded(writer, f"({left.value} {sign} {right.value})", parts, None)


def _nearest(writer: Writer, value: str, divisor: str) -> str:
    """The whole number nearest to a quotient, halves away from zero; `//` cuts, `%` is what it leaves."""
    count = writer.keep(f"({value} // {divisor})")
    rest = writer.keep(f"abs({value} % {divisor})")
    # Halves go away from zero, as PostgreSQL rounds; twice the rest could be too large for 128 bits.
    away = f"(CASE WHEN ({value} < 0) = ({divisor} < 0) THEN 1 ELSE -1 END)"
    return f"(CASE WHEN {rest} >= abs({divisor}) - {rest} THEN {count} + {away} ELSE {count} END)"


def _round(writer: Writer, node: Node) -> Written:
    part = writer.kept_node(node.args[0], "decimal")
    return _bounded(writer, _rescaled(writer, part.value, int(str(node.given[0]))), [part], None)


def _rescaled(writer: Writer, value: str, places: int) -> str:
    unit = _huge(10 ** (SCALE - places))
    if places == SCALE:
        return value
    return f"({_nearest(writer, value, unit)} * {unit})"


def _signed(change: str) -> Form:
    def form(writer: Writer, node: Node) -> Written:
        part = writer.kept_node(node.args[0], "integer")
        return _bounded(
            writer, f"{change}({part.value})", [part], 64 if node.kind == "integer" else None
        )

    return form


def _to_integer(writer: Writer, node: Node) -> Written:
    bits = int(str(node.given[0]))
    gives_null = bool(node.given[1])
    arg = node.args[0]
    part = writer.kept_node(arg, "text")
    if arg.kind in {"text", "nothing"}:
        trimmed = writer.keep(f"trim({part.value}, {_SPACES})")
        whole = f"(CASE WHEN regexp_full_match({trimmed}, {_WHOLE}) THEN TRY_CAST({trimmed} AS HUGEINT) END)"
        bounded = _bounded(writer, whole, [], bits)
        return Written(bounded.value, part.fails)
    if arg.kind == "decimal":
        value = _nearest(writer, part.value, _huge(_UNIT))
    else:
        value = part.value
    bounded = _bounded(writer, value, [part], bits)
    if gives_null:
        return Written(bounded.value, part.fails)
    return bounded


def _to_decimal(writer: Writer, node: Node) -> Written:
    digits = int(str(node.given[0]))
    scale = int(str(node.given[1]))
    arg = node.args[0]
    part = writer.kept_node(arg, "text")
    source = part.value
    if arg.kind in {"text", "nothing"}:
        source, fine = _number_in(writer, part.value)
        unit = _huge(10 ** (_FINE - scale))
        value = f"({_nearest(writer, fine, unit)} * {_huge(10 ** (SCALE - scale))})"
    else:
        value = _rescaled(writer, part.value, scale)
    value = writer.keep(value)
    limit = 10 ** (digits + SCALE)
    fits = writer.keep(f"({value} BETWEEN {_huge(1 - limit)} AND {_huge(limit - 1)})")
    if node.given[2]:
        fails = any_fails([part])
    else:
        fails = any_fails([part], f"({source} IS NOT NULL AND {fits} IS NOT TRUE)")
    return Written(f"(CASE WHEN {fits} THEN {value} END)", fails)


def _number_in(writer: Writer, text: str) -> tuple[str, str]:
    """The text where it is a number, and that number in units of 10^-24, NULL where it is too large for it.

    DuckDB's decimals round the digit behind their last; digits that are cut off before take no part in that.
    """
    trimmed = writer.keep(f"trim({text}, {_SPACES})")
    number = writer.keep(f"(CASE WHEN regexp_full_match({trimmed}, {_NUMBER}) THEN {trimmed} END)")
    cut = rf"regexp_replace({number}, '^([^.eE]*\.[0-9]{{{_FINE}}})[0-9]+$', '\1')"
    fine = writer.keep(f"TRY_CAST({cut} AS DECIMAL(38, {_FINE}))")
    digits = f"CAST(replace(CAST({fine} AS VARCHAR), '.', '') AS HUGEINT)"
    tiny = f"abs(TRY_CAST({number} AS DOUBLE)) < 1"
    return number, writer.keep(
        f"(CASE WHEN {fine} IS NOT NULL THEN {digits} WHEN {tiny} THEN 0::HUGEINT END)"
    )


def _to_text(writer: Writer, node: Node) -> Written:
    arg = node.args[0]
    part = writer.kept_node(arg)
    if arg.kind != "decimal":
        return Written(f"CAST({part.value} AS VARCHAR)", part.fails)
    size = writer.keep(f"abs({part.value})")
    sign = f"CASE WHEN {part.value} < 0 THEN '-' ELSE '' END"
    before = f"({sign} || CAST({size} // {_huge(_UNIT)} AS VARCHAR))"
    behind = f"lpad(CAST({size} % {_huge(_UNIT)} AS VARCHAR), {SCALE}, '0')"
    if arg.scale == 0:
        return Written(before, part.fails)
    if arg.scale is None:
        return Written(f"rtrim(rtrim({before} || '.' || {behind}, '0'), '.')", part.fails)
    return Written(f"({before} || '.' || left({behind}, {arg.scale}))", part.fails)


FORMS: Mapping[str, Form] = {
    "number": _number,
    "widen": _widen,
    "integer": _integer,
    "decimal": _decimal,
    "round": _round,
    "negate": _signed("-"),
    "abs": _signed("abs"),
    "to_integer": _to_integer,
    "to_decimal": _to_decimal,
    "to_text": _to_text,
}
