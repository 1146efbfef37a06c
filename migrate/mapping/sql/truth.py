"""What is true, false or unknown, in polars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import and_, eq, ge, gt, le, lt, ne, or_
from typing import Any

import polars as pl

from migrate.language.patterns import spelt_out
from migrate.language.sql.tree import Node, like_parts
from migrate.mapping.sql.worked import Work, Worked, Worker, any_fails, first_failing

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


WORK: Mapping[str, Work] = {
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
