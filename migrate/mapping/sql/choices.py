"""One of several values, in polars."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from migrate.language.sql.tree import Kind, Node
from migrate.mapping.sql.worked import Work, Worked, Worker, any_fails, first_failing


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


WORK: Mapping[str, Work] = {
    "case": _case,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme("greatest"),
    "least": _extreme("least"),
}
