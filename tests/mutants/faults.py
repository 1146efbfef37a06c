"""The faults of a module: for each a line, what was changed there, and the module's code with it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult, ast.Mod: ast.Mult,
}  # fmt: skip

Change = Callable[[Any], None]


@dataclass(frozen=True)
class Fault:
    """One changed place. `tree`: the whole module with it."""

    line: int
    what: str
    tree: ast.Module


def faults_of(source: str) -> Iterator[Fault]:
    """Every fault of a module, one at a time. What is only declared or said has none: types, decorators,
    docstrings, texts.
    """
    tree = ast.parse(source)
    decorators = [one for node in ast.walk(tree) for one in getattr(node, "decorator_list", ())]
    declared = {id(node) for decorator in decorators for node in ast.walk(decorator)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in declared:
            continue
        for what, change in _changes(node):
            other = copy.deepcopy(tree)
            target = next(n for place, n in enumerate(ast.walk(other)) if place == number)
            change(target)
            yield Fault(getattr(node, "lineno", 0), what, ast.fix_missing_locations(other))


def _changes(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """What may be changed of a node, in words and as a deed."""
    for kind in (_operators, _constants, _branches, _acts):
        yield from kind(node)


def _operators(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        other = _COMPARISONS[type(node.ops[0])]
        yield f"comparison becomes {other.__name__}", lambda n: n.ops.__setitem__(0, other())
    if isinstance(node, ast.BoolOp):
        swapped = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield f"becomes {swapped.__name__}", lambda n: setattr(n, "op", swapped())
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        operator = _ARITHMETIC[type(node.op)]
        yield f"becomes {operator.__name__}", lambda n: setattr(n, "op", operator())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not is dropped", _affirm


def _constants(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if not isinstance(node, ast.Constant):
        return
    if isinstance(node.value, bool):
        yield "becomes its opposite", lambda n: setattr(n, "value", not n.value)
    elif isinstance(node.value, int | float):
        yield "is one more", lambda n: setattr(n, "value", n.value + 1)


def _branches(node: ast.AST) -> Iterator[tuple[str, Change]]:
    if isinstance(node, ast.If | ast.IfExp):
        yield "never holds", lambda n: setattr(n, "test", ast.Constant(value=False))
        yield "always holds", lambda n: setattr(n, "test", ast.Constant(value=True))


def _acts(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """Statements dropped that do something by themselves: what others leave out shows in a missing name."""
    if not isinstance(node, ast.FunctionDef):
        return
    for place, step in enumerate(node.body):
        is_text = isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant)
        if isinstance(step, ast.Expr | ast.AugAssign | ast.Raise) and not is_text:
            yield f"line {step.lineno} is dropped", partial(_drop, place)


def _drop(place: int, function: ast.FunctionDef) -> None:
    function.body[place] = ast.Pass()


def _affirm(node: ast.UnaryOp) -> None:
    """`+bool(x)` holds as `x` does."""
    node.op = ast.UAdd()
    node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])
