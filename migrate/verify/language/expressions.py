"""Expressions of a mapping as steps of a query."""

from __future__ import annotations

from migrate.language.sql import Expression
from migrate.language.sql.tree import as_text
from migrate.verify.language import forms, numbers
from migrate.verify.language.steps import Writer, Written

FORMS = {**forms.FORMS, **numbers.FORMS}


def write_into(writer: Writer, expression: Expression, *, strict: bool = False) -> list[Written]:
    """The SQL of an expression's text (a truth as true or false), its steps kept by the writer.

    With `strict` also of the answer that hangs on nobody's silence, NULL where there is none.
    """
    root = as_text(expression.root)
    found = [writer.write(root, "text")]
    if strict:
        writer.strict = True
        found.append(writer.write(root, "text"))
        writer.strict = False
    return found
