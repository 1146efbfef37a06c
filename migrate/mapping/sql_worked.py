"""What a node becomes in polars, and the worker that asks each kind of node for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_

import polars as pl

from migrate.language.sql.tree import Kind, Node

WIDE = pl.Int128()
"""Numbers are whole ones of 128 bits: integers as they are, decimals in units of their last digit."""
_TYPES: Mapping[Kind, pl.DataType] = {
    "text": pl.String(), "integer": WIDE, "decimal": WIDE, "boolean": pl.Boolean(), "nothing": pl.String(),
}  # fmt: skip
NO = pl.lit(False)


@dataclass(frozen=True)
class Worked:
    """A node's value, and where a record makes it impossible; None where none can."""

    value: pl.Expr
    fails: pl.Expr | None = None


class Worker:
    """Works nodes out over some rows, one after another. `strict`: see `run_sql`."""

    def __init__(
        self,
        work: Mapping[str, Work],
        rows: pl.DataFrame,
        field: Callable[[str], pl.Expr],
        *,
        strict: bool,
    ) -> None:
        self._work = work
        self._rows = rows
        self._steps = 0
        self.field = field
        self.strict = strict

    def keep(self, step: pl.Expr) -> pl.Expr:
        """A step worked out and kept, to be named many times.

        polars writes a named expression out wherever it stands: of ten steps that each use the one before
        three times it would make 59,000. What no row changes is worked out once and stays a constant.
        """
        if not step.meta.root_names():
            value = pl.select(step).to_series()
            return pl.lit(value.item(), dtype=value.dtype)
        self._steps += 1
        name = f"#{self._steps}"
        self._rows = self._rows.with_columns(self._worked(step).alias(name))
        return pl.col(name)

    def _worked(self, step: pl.Expr) -> pl.Series:
        found = self._rows.select(step).to_series()
        # of a constant beside a column of nothing but nulls polars makes one null, not one a row
        if len(found) == self._rows.height:
            return found
        return found.new_from_index(0, self._rows.height)

    def series(self, step: pl.Expr) -> pl.Series:
        """A step for all rows."""
        return self._worked(step).rename("sql")

    def work(self, node: Node, kind: Kind | None = None) -> Worked:
        """The expression of a node; NULL is of the kind that is wanted."""
        if node.op == "null":
            return Worked(pl.lit(None, dtype=_TYPES[kind or "text"]))
        found = self._work[node.op](self, node)
        return Worked(
            self.keep(found.value), None if found.fails is None else self.keep(found.fails)
        )

    def all(self, node: Node, kind: Kind | None = None) -> list[Worked]:
        """The expressions of a node's arguments, NULL of the kind that the others have."""
        if kind is None:
            kinds = [arg.kind for arg in node.args if arg.kind != "nothing"]
            kind = kinds[0] if kinds else "text"
        return [self.work(arg, kind) for arg in node.args]


Work = Callable[[Worker, Node], Worked]


def any_fails(parts: list[Worked], *more: pl.Expr) -> pl.Expr | None:
    """Where one of several fails."""
    flags = [part.fails for part in parts if part.fails is not None]
    flags += [flag.fill_null(value=False) for flag in more]
    return reduce(or_, flags) if flags else None


def first_failing(
    steps: list[tuple[Worked, pl.Expr]], last: Worked | None = None
) -> pl.Expr | None:
    """Where one of several fails that are looked at in turn: the next only where `goes_on` is true."""
    fails = last.fails if last is not None else None
    for step, goes_on in reversed(steps):
        if fails is None:
            rest = None
        else:
            rest = goes_on.fill_null(value=False) & fails
        flags = [flag for flag in (step.fails, rest) if flag is not None]
        fails = reduce(or_, flags) if flags else None
    return fails
