"""sqlglot's tree taken over node by node: only what is listed, with a type at each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlglot import exp

from migrate.language.sql.tokens import MAX_DEPTH
from migrate.language.sql.tree import SCALE, WHOLE_DIGITS, Node, SqlRefused, as_decimal, named

Found = exp.Expr
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_NUMBERS = frozenset({"integer", "decimal"})
_SIGNS: Mapping[type[Found], str] = {
    exp.DPipe: "||", exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.Neg: "-",
}  # fmt: skip
_NAMES: Mapping[type[Found], str] = {
    exp.Pad: "LPAD and RPAD",
    exp.StrPosition: "STRPOS",
    exp.Substring: "SUBSTR",
}
_ARGUMENTS: Mapping[type[Found], tuple[str, ...]] = {
    exp.Literal: ("is_string",),
    exp.Div: ("typed",),
    exp.Is: ("negate",),
    exp.Like: ("negate",),
    exp.ILike: ("negate",),
    exp.In: ("query", "unnest", "field"),
    exp.Between: ("low", "high"),
    exp.RegexpLike: ("flag",),
    exp.Case: ("ifs", "default"),
    exp.If: ("true", "false"),
    exp.Trim: ("position",),
    exp.Substring: ("start", "length"),
    exp.Pad: ("is_left", "fill_pattern"),
    exp.Replace: ("replacement",),
    exp.SplitPart: ("delimiter", "part_index"),
    exp.StrPosition: ("substr",),
    exp.Round: ("decimals",),
    exp.Cast: ("to",),
    exp.TryCast: ("to",),
}
"""What of a node its taker reads, beside `this` and `expression`; anything else would be lost unseen."""
Take = Callable[["TreeReader", Any], Node]
"""Makes a node of one of sqlglot's."""


class TreeReader:
    """Makes nodes of sqlglot's; each class must be in `takers`."""

    def __init__(self, takers: Mapping[type[Found], Take]) -> None:
        self._takers = takers
        self._depth = 0

    def node(self, found: Any) -> Node:
        """The node of one of sqlglot's. Raises SqlRefused."""
        if not isinstance(found, Found):
            raise SqlRefused("an argument is missing", 0)
        # A closed list: what a database knows and docs/sql.md does not name is refused and not passed on.
        take = self._takers.get(type(found))
        if take is None:
            raise self.refused(
                found, f"{called(found)} is not allowed: an expression reads its own row only"
            )
        # A later sqlglot may put a word such as NOT into an argument; dropped, it would turn the meaning round.
        self.only(found, ("expression", "expressions", *_ARGUMENTS.get(type(found), ())))
        self._depth += 1
        # brackets are counted before; this is of chains as a + b + c, which are trees as well
        if self._depth > 8 * MAX_DEPTH:
            raise self.refused(found, "too many steps in one another")
        try:
            return take(self, found)
        finally:
            self._depth -= 1

    def refused(self, found: Found, what: str) -> SqlRefused:
        """The refusal of a node, at the place where it stands."""
        starts = [node.meta["start"] for node in found.walk() if node.meta.get("start") is not None]
        own = found.meta.get("start")
        return SqlRefused(what, own if own is not None else min(starts, default=0))

    def only(self, found: Found, allowed: Iterable[str]) -> None:
        """Refuses an argument that the language does not know, as the encoding of LENGTH."""
        known = {"this", "safe", "coalesce", "ignore_nulls", *allowed}
        for name, value in found.args.items():
            if name not in known and value:
                raise self.refused(found, f"{called(found)} has an argument too many")

    def constant(self, found: Found | None, parent: Found, what: str) -> Node:
        """A text or number that is written out, not taken from the row. Raises SqlRefused."""
        node = self.node(found)
        if node.op == "negate" and node.args[0].op == "number":
            return Node(
                "number",
                node.args[0].kind,
                given=(f"-{node.args[0].given[0]}",),
                scale=node.args[0].scale,
            )
        if node.op not in {"text", "number"}:
            raise self.refused(found or parent, f"{called(parent)} wants {what} written out here")
        return node

    def text_constant(self, found: Found | None, parent: Found) -> str:
        """A text that is written out. Raises SqlRefused."""
        node = self.constant(found, parent, "a text")
        if node.op != "text":
            raise self.refused(found or parent, f"{called(parent)} wants a text here")
        return str(node.given[0])

    def whole_constant(self, found: Found | None, parent: Found) -> int:
        """A whole number that is written out. Raises SqlRefused."""
        node = self.constant(found, parent, "a whole number")
        if node.kind != "integer":
            raise self.refused(found or parent, f"{called(parent)} wants a whole number here")
        return int(str(node.given[0]))

    def truth(self, found: Found) -> Node:
        """A node that is true, false or unknown. Raises SqlRefused."""
        node = self.node(found)
        # Nothing is cast on the quiet: engines differ in what they take for true.
        if node.kind not in {"boolean", "nothing"}:
            raise self.refused(
                found,
                f"{named(node.kind)} where true or false is wanted; compare it with something",
            )
        return node

    def text(self, found: Found | None, parent: Found) -> Node:
        """A node that gives a text. Raises SqlRefused."""
        node = self.node(found)
        if node.kind not in {"text", "nothing"}:
            raise self.refused(
                found or parent,
                f"{called(parent)} wants a text, not {named(node.kind)}; use CAST(… AS TEXT)",
            )
        return node

    def number(self, found: Found | None, parent: Found) -> Node:
        """A node that gives a number. Raises SqlRefused."""
        node = self.node(found)
        if node.op == "text":
            node = self.number_of(node, found or parent)
        if node.kind not in {"integer", "decimal", "nothing"}:
            raise self.refused(
                found or parent,
                f"{called(parent)} wants a number, not {named(node.kind)}; use TRY_CAST(… AS DECIMAL) or AS INTEGER",
            )
        return node

    def number_of(self, node: Node, found: Found) -> Node:
        """A text written out beside a number is that number, as in PostgreSQL."""
        text = str(node.given[0]).strip()
        if not NUMBER.fullmatch(text.removeprefix("-")):
            raise self.refused(found, f"{text!r} is no number")
        made = number_literal(self, exp.Literal.number(text.removeprefix("-")))
        if not text.startswith("-"):
            return made
        return Node("number", made.kind, given=(f"-{made.given[0]}",), scale=made.scale)

    def whole(self, found: Found | None, parent: Found) -> Node:
        """A node that gives a whole number. Raises SqlRefused."""
        node = self.number(found, parent)
        if node.kind == "decimal":
            raise self.refused(found or parent, f"{called(parent)} wants a whole number here")
        return node

    def alike(self, found: Found, parts: Sequence[Found | None]) -> list[Node]:
        """The parts, all of one kind. A text that is written out beside numbers is one."""
        nodes = [self.node(part) for part in parts]
        kinds = {node.kind for node in nodes} - {"nothing"}
        if kinds & {"integer", "decimal"}:
            nodes = [
                self.number_of(node, part or found) if node.op == "text" else node
                for node, part in zip(nodes, parts, strict=True)
            ]
            kinds = {node.kind for node in nodes} - {"nothing"}
            if kinds == {"integer", "decimal"}:
                nodes = [as_decimal(node) for node in nodes]
                kinds = {"decimal"}
        if len(kinds) > 1:
            first, second = sorted(kinds, key=["text", "integer", "decimal", "boolean"].index)[:2]
            ways = "TRY_CAST(… AS DECIMAL) makes a number of a text, CAST(… AS TEXT) a text of a number"
            raise self.refused(
                found, f"{named(first)} and {named(second)} do not go together; {ways}"
            )
        return nodes


def number_literal(reader: TreeReader, found: Found) -> Node:
    """A number that is written out."""
    text = str(found.this)
    whole, _, fraction = text.partition(".")
    if not fraction:
        # So many always fit in 64 bits.
        if len(whole.lstrip("0")) > 18:
            raise reader.refused(found, "a number of more than 18 digits")
        return Node("number", "integer", given=(str(int(whole)),))
    if len(whole.lstrip("0")) > WHOLE_DIGITS or len(fraction) > SCALE:
        limits = f"{WHOLE_DIGITS} digits before the point or {SCALE} behind it"
        raise reader.refused(found, f"a number of more than {limits}")
    return Node("number", "decimal", given=(text,), scale=len(fraction))


def flat(found: Found, kind: type[Found]) -> Iterator[Found]:
    """The parts of a chain as a || b || c, from the left, brackets of the same kind opened."""
    # A stack instead of recursion: a chain of a thousand `||` is a tree of a thousand levels.
    waiting: list[Found] = [found]
    while waiting:
        part = waiting.pop()
        if isinstance(part, kind):
            waiting += [part.args["expression"], part.this]
        else:
            yield part


def called(found: Found) -> str:
    """What a person would call one of sqlglot's nodes."""
    if isinstance(found, exp.Select | exp.Subquery):
        return "SELECT"
    if isinstance(found, exp.Anonymous):
        return str(found.name).upper()
    if type(found) in _NAMES:
        return _NAMES[type(found)]
    if isinstance(found, exp.Func):
        return str(found.sql_name()).upper()
    return _SIGNS.get(type(found), type(found).__name__.upper())
