"""A mapping's SQL as polars expressions: the planner's engine for the tree of `migrate.language.sql`.

Each node becomes a value and, where a record can make it impossible, a flag that says so: a division by
zero or a number too large is that record's reject, never the end of a plan. Here stand what is true, false or
unknown, and the choice of one of several values; numbers and texts have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any

import polars as pl

from migrate.language.patterns import spelt_out
from migrate.language.sql import Expression, SqlRefused, parse_sql
from migrate.language.sql.tree import Kind, Node, as_text, like_parts
from migrate.mapping import sql_numbers, sql_texts
from migrate.mapping.sql_worked import Work, Worked, Worker, any_fails, first_failing

_COMPARE: Mapping[str, Callable[[Any, Any], pl.Expr]] = {
    "=": eq, "<>": ne, "<": lt, "<=": le, ">": gt, ">=": ge,
}  # fmt: skip


def _boolean(_worker: Worker, node: Node) -> Worked:
    return Worked(pl.lit(bool(node.given[0])))


def _and(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node, "boolean")
    values = [part.value for part in parts]
    fails = first_failing([(part, ~part.value.eq_missing(pl.lit(False))) for part in parts])
    found = reduce(and_, values)
    if worker.strict:
        # a no that stands beside silence is nobody's no
        found = pl.when(pl.all_horizontal(value.is_not_null() for value in values)).then(found)
    return Worked(found, fails)


def _or(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node, "boolean")
    fails = first_failing([(part, ~part.value.eq_missing(pl.lit(True))) for part in parts])
    return Worked(reduce(or_, [part.value for part in parts]), fails)


def _not(worker: Worker, node: Node) -> Worked:
    part = worker.work(node.args[0], "boolean")
    return Worked(~part.value, part.fails)


def _is(test: Callable[[pl.Expr], pl.Expr]) -> Work:
    def work(worker: Worker, node: Node) -> Worked:
        part = worker.all(node)[0]
        found = test(part.value)
        if worker.strict:
            found = pl.when(part.value.is_not_null()).then(found)
        return Worked(found, part.fails)

    return work


def _same(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node)
    left, right = (part.value for part in parts)
    return Worked(left == right if worker.strict else left.eq_missing(right), any_fails(parts))


def _compare(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node)
    return Worked(_COMPARE[str(node.given[0])](parts[0].value, parts[1].value), any_fails(parts))


def _like(worker: Worker, node: Node) -> Worked:
    pattern, escape, ignores_case = node.given
    text = worker.work(node.args[0], "text")
    parts = like_parts(str(pattern), str(escape)) or []
    written = "".join({None: ".*", "": "."}.get(part) or _quoted(str(part)) for part in parts)
    value = text.value
    if ignores_case:
        value = value.str.to_lowercase()
        written = "".join(
            {None: ".*", "": "."}.get(part) or _quoted(str(part).lower()) for part in parts
        )
    return Worked(value.str.contains(rf"(?s)\A{written}\z"), text.fails)


def _quoted(letters: str) -> str:
    return "".join(rf"\x{{{ord(letter):x}}}" for letter in letters)


def _regexp_like(worker: Worker, node: Node) -> Worked:
    pattern, ignores_case = node.given
    text = worker.work(node.args[0], "text")
    flag = "(?i)" if ignores_case else ""
    return Worked(text.value.str.contains(flag + spelt_out(str(pattern))), text.fails)


_TRUTHS: Mapping[str, Work] = {
    "boolean": _boolean,
    "and": _and,
    "or": _or,
    "not": _not,
    "is_null": _is(lambda value: value.is_null()),
    "is_true": _is(lambda value: value.eq_missing(pl.lit(True))),
    "is_false": _is(lambda value: value.eq_missing(pl.lit(False))),
    "same": _same,
    "compare": _compare,
    "like": _like,
    "regexp_like": _regexp_like,
}


def _case(worker: Worker, node: Node) -> Worked:
    tests = [worker.work(arg, "boolean") for arg in node.args[: int(str(node.given[0]))]]
    results = [worker.work(arg, _kind(node)) for arg in node.args[len(tests) :]]
    value, fails = results[-1].value, results[-1].fails
    for test, result in zip(reversed(tests), reversed(results[:-1]), strict=True):
        value = pl.when(test.value).then(result.value).otherwise(value)
        if worker.strict:
            # no branch is taken for want of an answer
            value = pl.when(test.value.is_not_null()).then(value)
        fails = _fails_by_turns(test, result, fails)
    return Worked(value, fails)


def _fails_by_turns(test: Worked, result: Worked, rest: pl.Expr | None) -> pl.Expr | None:
    chosen = test.value.eq_missing(pl.lit(True))
    flags = [test.fails] if test.fails is not None else []
    if result.fails is not None:
        flags.append(chosen & result.fails)
    if rest is not None:
        flags.append(~chosen & rest)
    return any_fails([Worked(chosen, flag) for flag in flags])


def _coalesce(worker: Worker, node: Node) -> Worked:
    args = node.args
    if worker.strict:
        # a constant speaks for nobody
        args = tuple(arg for arg in args if arg.op not in {"text", "number", "boolean"}) or (
            Node("null", "nothing"),
        )
    parts = [worker.work(arg, _kind(node)) for arg in args]
    fails = first_failing([(part, part.value.is_null()) for part in parts])
    return Worked(pl.coalesce(part.value for part in parts), fails)


def _nullif(worker: Worker, node: Node) -> Worked:
    parts = worker.all(node)
    left, right = (part.value for part in parts)
    same = (left == right).fill_null(value=False)
    return Worked(pl.when(~same).then(left), any_fails(parts))


def _extreme(op: str) -> Work:
    def work(worker: Worker, node: Node) -> Worked:
        parts = worker.all(node, _kind(node))
        best = parts[0].value
        for part in parts[1:]:
            if op == "greatest":
                beats = part.value > best
            else:
                beats = part.value < best
            best = (
                pl.when(best.is_null() | beats.fill_null(value=False))
                .then(part.value)
                .otherwise(best)
            )
        return Worked(best, any_fails(parts))

    return work


def _kind(node: Node) -> Kind:
    return "text" if node.kind == "nothing" else node.kind


_CHOICES: Mapping[str, Work] = {
    "case": _case,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
}


__all__ = ["Answers", "Expression", "SqlRefused", "parse_sql", "run_sql"]

_WORK: Mapping[str, Work] = {**_TRUTHS, **_CHOICES, **sql_numbers.WORK, **sql_texts.WORK}


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
