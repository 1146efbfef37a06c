"""Expressions of a mapping worked out for many rows at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from migrate.language.sql import Expression
from migrate.language.sql.tree import as_text
from migrate.verify.language import forms, numbers
from migrate.verify.language.steps import Writer, Written, name

FORMS = {**forms.FORMS, **numbers.FORMS}


@dataclass(frozen=True)
class Answers:
    """What an expression gives for each row: its text (a truth as true or false), and whether it fails.

    `strict`: the answer that hangs on nobody's silence; NULL where there is none. Only where it was asked for.
    """

    texts: Sequence[str | None]
    fails: Sequence[bool]
    strict: Sequence[str | None]


def write_into(writer: Writer, expression: Expression, *, strict: bool = False) -> list[Written]:
    """The SQL of an expression's value, its steps kept by the writer; with `strict` also of the strict one."""
    root = as_text(expression.root)
    found = [writer.write(root, "text")]
    if strict:
        writer.strict = True
        found.append(writer.write(root, "text"))
        writer.strict = False
    return found


def answer(
    connection: duckdb.DuckDBPyConnection,
    expression: Expression,
    fields: Mapping[str, Sequence[str | None]],
    rows: int,
    *,
    strict: bool = False,
) -> Answers:
    """The answers for rows whose fields are given as columns of texts."""
    writer = Writer(FORMS, lambda field: name(f"f:{field}"))
    value, *more = write_into(writer, expression, strict=strict)
    known = [(f"f:{field}", fields[field]) for field in expression.fields]
    columns = ["unnest($1::BIGINT[]) AS _at"]
    columns += [
        f"unnest(${place}::VARCHAR[]) AS {name(called)}"
        for place, (called, _) in enumerate(known, 2)
    ]
    outputs = [("_at", "_at"), (value.value, "value"), (value.fails or "FALSE", "fails")]
    outputs += [(one.value, "strict") for one in more]
    query = writer.query(f"(SELECT {', '.join(columns)})", outputs)
    found = connection.execute(
        f"{query} ORDER BY _at", [list(range(rows)), *(list(texts) for _, texts in known)]
    ).fetchall()
    return Answers(
        [row[1] for row in found],
        [bool(row[2]) for row in found],
        [row[3] for row in found] if more else [],
    )
