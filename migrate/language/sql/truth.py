"""What is true, false or unknown."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from migrate.language.patterns import PatternRefused, check_pattern
from migrate.language.sql.reader import Found, Take, TreeReader, flat
from migrate.language.sql.tree import NOTHING, Node, like_parts

_COMPARISONS: Mapping[type[Found], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_RANGES = (exp.Between, exp.In, exp.Like, exp.ILike, exp.Escape)
_CHAINED = "two comparisons in a row; put one of them in brackets, as in (a = b) = c"


def _all_of(reader: TreeReader, op: str, kind: type[Found], found: Found) -> Node:
    return Node(op, "boolean", tuple(reader.truth(part) for part in flat(found, kind)))


def _is(reader: TreeReader, found: exp.Is) -> Node:
    """`IS` and `IS NOT`: sqlglot marks the first with NULL, and wraps the others in a Not."""
    test = _is_test(reader, found)
    return Node("not", "boolean", (test,)) if found.args.get("negate") else test


def _is_test(reader: TreeReader, found: exp.Is) -> Node:
    wanted = found.args.get("expression")
    if isinstance(wanted, exp.Null):
        # sqlglot reads IS UNKNOWN as IS NULL, which is the same of a truth
        return Node("is_null", "boolean", (reader.node(found.this),))
    if not isinstance(wanted, exp.Boolean):
        raise reader.refused(found, "IS wants NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM")
    return Node("is_true" if wanted.this else "is_false", "boolean", (reader.truth(found.this),))


def _same(reader: TreeReader, found: Found, *, negated: bool) -> Node:
    left, right = reader.alike(found, [found.this, found.args["expression"]])
    same = Node("same", "boolean", (left, right))
    return Node("not", "boolean", (same,)) if negated else same


def _refuse_chain(reader: TreeReader, found: Found, family: tuple[type[Found], ...]) -> None:
    """PostgreSQL 15, 4.1.6: operators of one precedence that do not associate, as `a = b = c`, are an error there."""
    for part in (found.this, found.args.get("expression"), found.args.get("high")):
        if isinstance(part, family):
            raise reader.refused(found, _CHAINED)


def _compared(reader: TreeReader, found: Found) -> Node:
    _refuse_chain(reader, found, tuple(_COMPARISONS))
    left, right = reader.alike(found, [found.this, found.args.get("expression")])
    return Node("compare", "boolean", (left, right), (_COMPARISONS[type(found)],))


def _in(reader: TreeReader, found: exp.In) -> Node:
    if found.args.get("query") or found.args.get("unnest") or found.args.get("field"):
        raise reader.refused(found, "SELECT is not allowed: an expression reads its own row only")
    if not found.expressions:
        raise reader.refused(found, "IN wants one value or more in its brackets")
    _refuse_chain(reader, found, _RANGES)
    wanted, *choices = reader.alike(found, [found.this, *found.expressions])
    # Comparisons joined by OR: so a NULL among the choices makes it unknown, as SQL has it, in both engines.
    tests = tuple(Node("compare", "boolean", (wanted, choice), ("=",)) for choice in choices)
    return Node("or", "boolean", tests)


def _between(reader: TreeReader, found: exp.Between) -> Node:
    reader.only(found, ("low", "high"))
    _refuse_chain(reader, found, _RANGES)
    value, low, high = reader.alike(found, [found.this, found.args["low"], found.args["high"]])
    over = Node("compare", "boolean", (value, low), (">=",))
    return Node("and", "boolean", (over, Node("compare", "boolean", (value, high), ("<=",))))


def _escape(reader: TreeReader, found: exp.Escape) -> Node:
    if not isinstance(found.this, exp.Like | exp.ILike):
        raise reader.refused(found, "ESCAPE belongs behind LIKE or ILIKE")
    escape = reader.text_constant(found.args["expression"], found)
    if len(escape) != 1:
        raise reader.refused(found, "ESCAPE wants one character")
    return _like(reader, found.this, escape)


def _like(reader: TreeReader, found: Found, escape: str | None) -> Node:
    _refuse_chain(reader, found, _RANGES)
    pattern = reader.text_constant(found.args["expression"], found)
    ignores_case = isinstance(found, exp.ILike)
    parts = like_parts(pattern, escape or "\\")
    if parts is None:
        raise reader.refused(found, "a pattern may not end with its escape character")
    text = reader.text(found.this, found)
    node = Node("like", "boolean", (text,), (pattern, escape or "\\", ignores_case))
    if found.args.get("negate"):
        return Node("not", "boolean", (node,))
    return node


def _regexp_like(reader: TreeReader, found: exp.RegexpLike) -> Node:
    reader.only(found, ("expression", "flag"))
    pattern = reader.text_constant(found.args["expression"], found)
    if found.args.get("flag"):
        flag = reader.text_constant(found.args["flag"], found)
    else:
        flag = ""
    if flag not in {"", "i"}:
        raise reader.refused(found, "the only flag is 'i', which ignores case")
    try:
        check_pattern(pattern)
    except PatternRefused as refused:
        raise reader.refused(found.args["expression"], str(refused)) from None
    return Node("regexp_like", "boolean", (reader.text(found.this, found),), (pattern, flag == "i"))


TAKERS: Mapping[type[Found], Take] = {
    exp.Boolean: lambda _reader, found: Node("boolean", "boolean", given=(bool(found.this),)),
    exp.Null: lambda _reader, _found: NOTHING,
    exp.And: lambda reader, found: _all_of(reader, "and", exp.And, found),
    exp.Or: lambda reader, found: _all_of(reader, "or", exp.Or, found),
    exp.Not: lambda reader, found: Node("not", "boolean", (reader.truth(found.this),)),
    exp.Is: _is,
    exp.NullSafeEQ: lambda reader, found: _same(reader, found, negated=False),
    exp.NullSafeNEQ: lambda reader, found: _same(reader, found, negated=True),
    exp.In: _in,
    exp.Between: _between,
    exp.Like: lambda reader, found: _like(reader, found, None),
    exp.ILike: lambda reader, found: _like(reader, found, None),
    exp.Escape: _escape,
    exp.RegexpLike: _regexp_like,
    **dict.fromkeys(_COMPARISONS, _compared),
}
