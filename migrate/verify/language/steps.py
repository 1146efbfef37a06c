"""What a node of an expression becomes in DuckDB's SQL, step by step."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count

from migrate.language.sql.tree import Kind, Node

_TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR", "integer": "HUGEINT", "decimal": "HUGEINT", "boolean": "BOOLEAN", "nothing": "VARCHAR",
}  # fmt: skip


Function = Callable[..., str]
_NUMBERS = count()
_KEPT = re.compile(r'"#\d+"')


@dataclass(frozen=True)
class Written:
    """A node as SQL: its value, and where a row makes it impossible; None where none can."""

    value: str
    fails: str | None = None


def quoted(text: str) -> str:
    """A text as SQL."""
    return "'" + text.replace("'", "''") + "'"


def name(text: str) -> str:
    """A column's name as SQL."""
    return '"' + text.replace('"', '""') + '"'


class Writer:
    """Writes nodes of several expressions over one relation.

    A step that later ones name more than once becomes a column of its own, in a query around those that it names:
    written out wherever it is named, an expression would grow with each level threefold.
    `strict`: fields that hold nothing are unknown, and nothing makes an answer of that.
    """

    def __init__(self, forms: Mapping[str, Form], field: Callable[[str], str]) -> None:
        self._forms = forms
        self.field = field
        self.strict = False
        self.calls: dict[str, tuple[Function, int]] = {}
        """Functions of Python that the steps call, by their names in SQL, and of how many texts each is."""
        self.kept: dict[str, str] = {}
        """The name of each step's column by its SQL, in the order they were written."""

    def keep(self, step: str) -> str:
        """The column that holds a step."""
        if _KEPT.fullmatch(step):
            return step
        return self.kept.setdefault(step, name(f"#{len(self.kept)}"))

    def call(self, function: Function, *arguments: str) -> str:
        """A call of a function of Python, which gives '' for nothing."""
        known = (called for called, (other, _) in self.calls.items() if other is function)
        called = next(known, None) or f"py_{next(_NUMBERS)}"
        self.calls[called] = (function, len(arguments))
        return f"{called}({', '.join(arguments)})"

    def write(self, node: Node, kind: Kind | None = None) -> Written:
        """The SQL of a node; NULL is of the kind that is wanted."""
        if node.op == "null":
            return Written(f"CAST(NULL AS {_TYPES[kind or 'text']})")
        return self._forms[node.op](self, node)

    def kept_node(self, node: Node, kind: Kind | None = None) -> Written:
        """A node that will be named more than once."""
        written = self.write(node, kind)
        return Written(self.keep(written.value), written.fails)

    def all(self, node: Node, kind: Kind | None = None, *, keep: bool = False) -> list[Written]:
        """The SQL of a node's arguments, NULL of the kind that the others have."""
        kinds = [arg.kind for arg in node.args if arg.kind != "nothing"]
        wanted = kind or (kinds[0] if kinds else "text")
        write = self.kept_node if keep else self.write
        return [write(arg, wanted) for arg in node.args]

    def query(self, relation: str, outputs: list[tuple[str, str]]) -> str:
        """The query that gives `outputs` (SQL and alias) with every kept step below it."""
        for steps in self._levels():
            columns = ", ".join(f"{step} AS {column}" for column, step in steps)
            relation = f"(SELECT *, {columns} FROM {relation})"  # noqa: S608  quoted by `quoted` and `name`
        chosen = ", ".join(f"{sql} AS {name(alias)}" for sql, alias in outputs)
        return f"SELECT {chosen} FROM {relation}"  # noqa: S608  as above

    def _levels(self) -> list[list[tuple[str, str]]]:
        """The kept steps, each behind those that it names: few queries, not one for each step."""
        depth: dict[str, int] = {}
        levels: list[list[tuple[str, str]]] = []
        for step, column in self.kept.items():
            below = [depth[name] for name in _KEPT.findall(step) if name in depth]
            depth[column] = max(below, default=-1) + 1
            if depth[column] == len(levels):
                levels.append([])
            levels[depth[column]].append((column, step))
        return levels


Form = Callable[[Writer, Node], Written]


def any_fails(parts: list[Written], *more: str) -> str | None:
    """Where one of several fails."""
    flags = [part.fails for part in parts if part.fails is not None]
    flags += [f"COALESCE({flag}, FALSE)" for flag in more]
    return "(" + " OR ".join(flags) + ")" if flags else None


def by_turns(steps: list[tuple[Written, str]]) -> str | None:
    """Where one of several fails that are looked at in turn: the next only where the condition holds."""
    fails: str | None = None
    for step, goes_on in reversed(steps):
        if fails is None:
            rest = None
        else:
            rest = f"(COALESCE({goes_on}, FALSE) AND {fails})"
        flags = [flag for flag in (step.fails, rest) if flag is not None]
        fails = "(" + " OR ".join(flags) + ")" if flags else None
    return fails
