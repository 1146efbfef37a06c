"""The tree of an expression: small, typed at every node, the same for both engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

SCALE = 12
"""A DECIMAL has at most so many digits after the point."""
WHOLE_DIGITS = 14
"""A DECIMAL has at most so many digits before the point."""

Kind = Literal["text", "integer", "decimal", "boolean", "nothing"]
Constant = str | int | bool | None


@dataclass(frozen=True)
class Node:
    """One step of an expression: `op` on `args`, with constants that no record changes in `given`.

    `scale`: of a decimal, how many digits it is written with after the point; None for as many as it needs.
    """

    op: str
    kind: Kind
    args: tuple[Node, ...] = ()
    given: tuple[Constant, ...] = ()
    scale: int | None = None


class SqlRefused(ValueError):
    """What in the text is not allowed, and at which character (from 1)."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(f"{what} (character {at + 1})")
        self.at = at


NOTHING = Node("null", "nothing")


def named(kind: Kind) -> str:
    """What a kind is called in a message."""
    return {
        "text": "a text", "integer": "a whole number", "decimal": "a decimal number",
        "boolean": "a truth", "nothing": "NULL",
    }[kind]  # fmt: skip


def scale_of(node: Node) -> int | None:
    """With how many digits behind the point a number is written; None where its value says."""
    return 0 if node.kind == "integer" else node.scale


def as_decimal(node: Node) -> Node:
    """A number as a decimal one."""
    if node.kind != "integer":
        return node
    if node.op == "number":
        return Node("number", "decimal", given=node.given, scale=0)
    return Node("widen", "decimal", (node,), scale=0)


def as_text(node: Node) -> Node:
    """A value as the text it is written as."""
    if node.kind in {"text", "nothing"}:
        return node
    return Node("to_text", "text", (node,))


def common_kind(values: Sequence[Node]) -> tuple[Kind, int | None]:
    """The kind of a choice between values that are alike, and the scale of decimals.

    All are written with as many digits as the longest has: one column has one spelling.
    """
    known = [value for value in values if value.kind != "nothing"]
    if not known:
        return "nothing", None
    scales = [value.scale for value in known]
    if known[0].kind != "decimal" or None in scales:
        return known[0].kind, None
    return "decimal", max(scale for scale in scales if scale is not None)


def like_parts(pattern: str, escape: str) -> list[str | None] | None:
    """A LIKE pattern as letters to be found as they are, '' for any character (`_`) and None for any text (`%`).

    None altogether where the pattern ends with its escape character.
    """
    parts: list[str | None] = []
    letters = iter(pattern)
    for letter in letters:
        if letter == escape:
            escaped = next(letters, None)
            if escaped is None:
                return None
            parts.append(escaped)
        else:
            parts.append({"%": None, "_": ""}.get(letter, letter))
    return parts
