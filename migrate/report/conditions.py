"""What a mapping's `where` leaves out, in words for whoever does not read SQL."""

from __future__ import annotations

from migrate.language.sql import Node, SqlRefused, parse_sql
from migrate.sentence import Sentence

_EMPTY = Node("text", "text", given=("",))


def say_left_out(where: str) -> Sentence:
    """Which rows a condition leaves out: those without values, where it asks for no more, else by which fields."""
    try:
        expression = parse_sql(where)
    except SqlRefused:
        return Sentence("Left out are rows that do not meet the condition of the mapping.")
    root = expression.root
    parts = root.args if root.op in {"or", "and"} else (root,)
    filled = tuple(field for part in parts if (field := _field_with_value(part)) is not None)
    if len(filled) == len(parts) == 1:
        return Sentence("Left out are rows without a value in {field}.", field=filled[0])
    if len(filled) == len(parts) and root.op == "or":
        return Sentence("Left out are rows without a value in any of: {fields}.", fields=filled)
    if len(filled) == len(parts):
        return Sentence("Left out are rows that lack a value in one of: {fields}.", fields=filled)
    return Sentence(
        "Which rows are left out is decided by these fields: {fields}.",
        fields=expression.fields or ("-",),
    )


def _field_with_value(test: Node) -> str | None:
    """The field that a test asks to have a value: `x IS NOT NULL`, `x <> ''`, also with COALESCE; None for others."""
    if test.op == "not" and test.args[0].op == "is_null":
        return _field_of(test.args[0].args[0])
    if test.op == "compare" and test.given == ("<>",) and test.args[1] == _EMPTY:
        return _field_of(test.args[0])
    return None


def _field_of(node: Node) -> str | None:
    if node.op == "coalesce" and node.args[1:] == (_EMPTY,):
        node = node.args[0]
    if node.op in {"trim", "lower"}:
        node = node.args[0]
    return str(node.given[0]) if node.op == "field" else None
