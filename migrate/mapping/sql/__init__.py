"""A mapping's SQL as polars expressions: the planner's engine for the tree of `migrate.language.sql`.

Each node becomes a value and, where a record can make it impossible, a flag that says so: a division by
zero or a number too large is that record's reject, never the end of a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from migrate.language.sql import Expression, SqlRefused, parse_sql
from migrate.language.sql.tree import as_text
from migrate.mapping.sql import choices, numbers, texts, truth
from migrate.mapping.sql.worked import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrate.mapping.sql.worked import Work

__all__ = ["Answers", "Expression", "SqlRefused", "parse_sql", "run_sql"]

_WORK: Mapping[str, Work] = {**truth.WORK, **numbers.WORK, **choices.WORK, **texts.WORK}


@dataclass(frozen=True)
class Answers:
    """What an expression gives for each row, and where it cannot be worked out; None where it always can."""

    values: pl.Series
    fails: pl.Series | None


def run_sql(
    expression: Expression,
    rows: pl.DataFrame,
    field: Callable[[str], pl.Expr],
    *,
    strict: bool = False,
) -> Answers:
    """The answers of an expression for all rows: Booleans of a truth, else the texts they are written as.

    `strict`: with every field that holds nothing as unknown, and nothing that turns unknown into an answer;
    null then means that the answer hangs on somebody's silence.
    """
    root = expression.root
    worker = Worker(_WORK, rows, field, strict=strict)
    found = worker.work(root if root.kind == "boolean" else as_text(root), "text")
    return Answers(
        worker.series(found.value), None if found.fails is None else worker.series(found.fails)
    )
