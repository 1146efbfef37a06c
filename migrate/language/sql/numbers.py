"""Numbers: arithmetic, rounding and casts."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from migrate.language.sql.reader import Found, Take, TreeReader, number_literal
from migrate.language.sql.tokens import TYPES
from migrate.language.sql.tree import (
    SCALE,
    WHOLE_DIGITS,
    Node,
    as_decimal,
    as_text,
    named,
    scale_of,
)

_ARITHMETIC: Mapping[type[Found], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%",
}  # fmt: skip
_INTEGER_BITS = {exp.DType.INT: 32, exp.DType.BIGINT: 64}
# PostgreSQL 15, 8.1.2 and 8.3; a type that is not here takes no size.
_MOST_SIZES = {exp.DType.VARCHAR: 1, exp.DType.DECIMAL: 2}
_LONGEST_VARCHAR = 10_485_760
_NO_NUMBERS = "true and false are no numbers; use CASE WHEN … THEN 1 ELSE 0 END"


def _literal(reader: TreeReader, found: exp.Literal) -> Node:
    if found.is_string:
        return Node("text", "text", given=(str(found.this),))
    return number_literal(reader, found)


def _calculated(reader: TreeReader, found: Found) -> Node:
    left = reader.number(found.this, found)
    right = reader.number(found.args.get("expression"), found)
    sign = _ARITHMETIC[type(found)]
    if left.kind == right.kind == "integer":
        return Node("integer", "integer", (left, right), (sign,))
    scale = _scale_of(sign, scale_of(left), scale_of(right))
    return Node("decimal", "decimal", (as_decimal(left), as_decimal(right)), (sign,), scale)


def _negated(reader: TreeReader, found: exp.Neg) -> Node:
    node = reader.number(found.this, found)
    if node.op == "number" and not str(node.given[0]).startswith("-"):
        return Node("number", node.kind, given=(f"-{node.given[0]}",), scale=node.scale)
    return Node("negate", node.kind, (node,), scale=node.scale)


def _abs(reader: TreeReader, found: exp.Abs) -> Node:
    node = reader.number(found.this, found)
    return Node("abs", node.kind, (node,), scale=node.scale)


def _round(reader: TreeReader, found: exp.Round) -> Node:
    reader.only(found, ("decimals",))
    node = reader.number(found.this, found)
    if found.args.get("decimals"):
        places = reader.whole_constant(found.args["decimals"], found)
    else:
        places = 0
    if not -WHOLE_DIGITS <= places <= SCALE:
        raise reader.refused(found, f"ROUND takes from -{WHOLE_DIGITS} to {SCALE} places")
    return Node("round", "decimal", (as_decimal(node),), (places,), max(places, 0))


def _cast(reader: TreeReader, found: exp.Cast) -> Node:
    node = reader.node(found.this)
    may_fail = isinstance(found, exp.TryCast)
    kind = found.to.this
    sizes = _sizes(reader, found)
    if kind in {exp.DType.TEXT, exp.DType.VARCHAR}:
        return _cut_to(as_text(node), sizes)
    # One bad value in a million would end the plan of all.
    if node.kind == "text" and not may_fail:
        raise reader.refused(
            found, "CAST fails the whole file on one bad value; use TRY_CAST, or CAST(… AS VARCHAR)"
        )
    if kind in _INTEGER_BITS:
        return _to_integer(reader, found, node, _INTEGER_BITS[kind], may_fail=may_fail)
    if kind == exp.DType.DECIMAL:
        return _to_decimal(reader, found, node, sizes, may_fail=may_fail)
    if kind == exp.DType.BOOLEAN:
        if node.kind not in {"text", "boolean", "nothing"}:
            raise reader.refused(
                found, f"{named(node.kind)} is no truth; compare it with something"
            )
        if node.kind == "text":
            return Node("to_boolean", "boolean", (node,))
        return node
    raise reader.refused(found, f"the type is not allowed; one of {', '.join(sorted(TYPES))}")


def _sizes(reader: TreeReader, found: exp.Cast) -> list[int]:
    """The sizes of the type that is cast to, as PostgreSQL allows them."""
    reader.only(found.to, ("expressions",))
    sizes = [_size(reader, found, part) for part in found.to.expressions]
    kind = found.to.this
    if len(sizes) > _MOST_SIZES.get(kind, 0):
        raise reader.refused(
            found, "a size that the type does not take; only VARCHAR(n) and DECIMAL(p, s) have one"
        )
    if kind == exp.DType.VARCHAR and sizes and not 1 <= sizes[0] <= _LONGEST_VARCHAR:
        raise reader.refused(found, f"VARCHAR(n) wants n from 1 to {_LONGEST_VARCHAR:,}")
    return sizes


def _size(reader: TreeReader, found: exp.Cast, part: exp.DataTypeParam) -> int:
    reader.only(part, ())
    written = part.this
    if not isinstance(written, exp.Literal) or written.is_string or not written.this.isdigit():
        raise reader.refused(found, "the size of a type wants a whole number written out")
    return int(written.this)


def _to_integer(
    reader: TreeReader, found: exp.Cast, node: Node, bits: int, *, may_fail: bool
) -> Node:
    if node.kind == "boolean":
        raise reader.refused(found, _NO_NUMBERS)
    return Node("to_integer", "integer", (node,), (bits, may_fail))


def _to_decimal(
    reader: TreeReader, found: exp.Cast, node: Node, sizes: list[int], *, may_fail: bool
) -> Node:
    if node.kind == "boolean":
        raise reader.refused(found, _NO_NUMBERS)
    digits, scale = (*sizes, 0)[:2] if sizes else (WHOLE_DIGITS + SCALE, SCALE)
    if sizes and not (1 <= digits <= 38 and 0 <= scale <= min(digits, SCALE)):
        raise reader.refused(
            found, f"DECIMAL(p, s) wants p from 1 to 38 and s from 0 to {SCALE}, at most p"
        )
    if sizes:
        whole = min(digits - scale, WHOLE_DIGITS)
    else:
        whole = WHOLE_DIGITS
    limited = bool(sizes) and digits - scale < WHOLE_DIGITS
    if node.kind in {"text", "nothing"}:
        inner = node
    else:
        inner = as_decimal(node)
    given = (whole, scale, may_fail and limited)
    return Node("to_decimal", "decimal", (inner,), given, scale if sizes else None)


def _scale_of(sign: str, left: int | None, right: int | None) -> int | None:
    """How many digits PostgreSQL writes behind the point of a result; None where that hangs on the values."""
    if left is None or right is None or sign == "/":
        return None
    if sign == "*":
        return min(left + right, SCALE)
    return max(left, right)


def _cut_to(node: Node, sizes: list[int]) -> Node:
    if sizes:
        return Node("left", "text", (node, Node("number", "integer", given=(str(sizes[0]),))))
    return node


TAKERS: Mapping[type[Found], Take] = {
    exp.Literal: _literal,
    exp.Neg: _negated,
    exp.Abs: _abs,
    exp.Round: _round,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    **dict.fromkeys(_ARITHMETIC, _calculated),
}
