"""One of several values."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from migrate.language.sql.reader import Found, Take, TreeReader
from migrate.language.sql.tree import NOTHING, Node, common_kind


def _case(reader: TreeReader, found: exp.Case) -> Node:
    branches = found.args["ifs"]
    tests = [_when(reader, found, branch) for branch in branches]
    results = [branch.args["true"] for branch in branches]
    otherwise = found.args.get("default")
    return _choice(reader, found, tests, results, otherwise)


def _when(reader: TreeReader, found: exp.Case, branch: exp.If) -> Node:
    if found.this is None:
        return reader.truth(branch.this)
    subject, wanted = reader.alike(found, [found.this, branch.this])
    # By `=`, to which NULL is never equal: `CASE x WHEN NULL` is no branch in SQL either.
    return Node("compare", "boolean", (subject, wanted), ("=",))


def _if(reader: TreeReader, found: exp.If) -> Node:
    return _choice(
        reader, found, [reader.truth(found.this)], [found.args["true"]], found.args.get("false")
    )


def _choice(
    reader: TreeReader,
    found: Found,
    tests: list[Node],
    results: list[Found],
    otherwise: Found | None,
) -> Node:
    values = reader.alike(found, [*results, *([otherwise] if otherwise is not None else [])])
    if otherwise is None:
        values = [*values, NOTHING]
    kind, scale = common_kind(values)
    return Node("case", kind, (*tests, *values), (len(tests),), scale)


def _first_of(reader: TreeReader, found: Found, parts: list[Found]) -> Node:
    values = reader.alike(found, parts)
    kind, scale = common_kind(values)
    return Node("coalesce", kind, tuple(values), scale=scale)


def _nullif(reader: TreeReader, found: exp.Nullif) -> Node:
    left, right = reader.alike(found, [found.this, found.args.get("expression")])
    return Node("nullif", left.kind, (left, right), scale=left.scale)


def _extreme(reader: TreeReader, op: str, found: Found) -> Node:
    values = reader.alike(found, [found.this, *found.expressions])
    kind, scale = common_kind(values)
    if kind == "boolean":
        raise reader.refused(found, f"{op.upper()} wants texts or numbers")
    return Node(op, kind, tuple(values), scale=scale)


TAKERS: Mapping[type[Found], Take] = {
    exp.Case: _case,
    exp.If: _if,
    exp.Coalesce: lambda reader, found: _first_of(reader, found, [found.this, *found.expressions]),
    exp.Nullif: _nullif,
    exp.Greatest: lambda reader, found: _extreme(reader, "greatest", found),
    exp.Least: lambda reader, found: _extreme(reader, "least", found),
}
