"""Texts, joined and cut."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from migrate.language.sql.reader import Found, Take, TreeReader, flat
from migrate.language.sql.tree import Kind, Node, as_text

# Otherwise one expression makes a text of any size of every row.
MAX_PADDED = 10_000


def _field(reader: TreeReader, found: exp.Column) -> Node:
    if not isinstance(found.this, exp.Identifier):
        raise reader.refused(found, "* is not allowed; name a field")
    if not found.this.quoted:
        # each field came here as a quoted name, so this is a word of SQL where a value should be
        raise reader.refused(found, f"{found.this.this} cannot stand here")
    return Node("field", "text", given=(found.this.this,))


def _joined(reader: TreeReader, found: exp.DPipe) -> Node:
    parts = list(flat(found, exp.DPipe))
    nodes = [reader.node(part) for part in parts]
    if all(node.kind in {"integer", "decimal", "boolean"} for node in nodes):
        raise reader.refused(found, "|| joins texts; use CAST(… AS TEXT) on one side, or + to add")
    return Node("join", "text", tuple(as_text(node) for node in nodes))


def _concat(reader: TreeReader, op: str, found: Found, parts: list[Found]) -> Node:
    if op == "concat_ws" and len(parts) < 2:
        raise reader.refused(found, "CONCAT_WS wants a separator and values")
    nodes = [reader.node(part) for part in parts]
    for node, part in zip(nodes, parts, strict=True):
        if node.kind == "boolean":
            # PostgreSQL writes t and f here, and true and false beside ||
            raise reader.refused(
                part, f"{op.upper()} of a truth; say CASE WHEN … THEN 'yes' ELSE 'no' END"
            )
    return Node(op, "text", tuple(as_text(node) for node in nodes))


def _text_function(
    reader: TreeReader, op: str, found: Found, ignored: tuple[str, ...] = ()
) -> Node:
    reader.only(found, ignored)
    if op == "initcap" and found.args["expression"].meta.get("start") is not None:
        # sqlglot gives it PostgreSQL's own list of what parts words; one of the text has a place in it
        raise reader.refused(found, "INITCAP takes one text")
    return Node(op, "text", (reader.text(found.this, found),))


def _length(reader: TreeReader, found: exp.Length) -> Node:
    reader.only(found, ())
    return Node("length", "integer", (reader.text(found.this, found),))


def _trim(reader: TreeReader, found: exp.Trim) -> Node:
    reader.only(found, ("position", "expression"))
    if found.args.get("expression"):
        chars = reader.text_constant(found.args["expression"], found)
    else:
        chars = " "
    side = str(found.args.get("position") or "BOTH").upper()
    return Node("trim", "text", (reader.text(found.this, found),), (chars, side))


def _substring(reader: TreeReader, found: exp.Substring) -> Node:
    reader.only(found, ("start", "length"))
    parts = [reader.whole(found.args.get("start"), found)]
    if found.args.get("length"):
        parts.append(reader.whole(found.args["length"], found))
    return Node("substr", "text", (reader.text(found.this, found), *parts))


def _side(reader: TreeReader, op: str, found: Found) -> Node:
    count = reader.whole(found.args.get("expression"), found)
    return Node(op, "text", (reader.text(found.this, found), count))


def _pad(reader: TreeReader, found: exp.Pad) -> Node:
    length = reader.whole_constant(found.args["expression"], found)
    if found.args.get("fill_pattern"):
        fill = reader.text_constant(found.args["fill_pattern"], found)
    else:
        fill = " "
    if length > MAX_PADDED:
        raise reader.refused(found, f"a text is padded to at most {MAX_PADDED:,} characters")
    op = "lpad" if found.args.get("is_left") else "rpad"
    return Node(op, "text", (reader.text(found.this, found),), (max(length, 0), fill))


def _replace(reader: TreeReader, found: exp.Replace) -> Node:
    old = reader.text_constant(found.args.get("expression"), found)
    new = reader.text_constant(found.args.get("replacement"), found)
    return Node("replace", "text", (reader.text(found.this, found),), (old, new))


def _split_part(reader: TreeReader, found: exp.SplitPart) -> Node:
    separator = reader.text_constant(found.args.get("delimiter"), found)
    place = reader.whole_constant(found.args.get("part_index"), found)
    if place == 0:
        raise reader.refused(found, "SPLIT_PART counts from 1, or from -1 at the end")
    return Node("split_part", "text", (reader.text(found.this, found),), (separator, place))


def _two_texts(reader: TreeReader, op: str, kind: Kind, found: Found, second: str) -> Node:
    reader.only(found, (second,))
    return Node(
        op, kind, (reader.text(found.this, found), reader.text(found.args.get(second), found))
    )


TAKERS: Mapping[type[Found], Take] = {
    exp.Column: _field,
    exp.DPipe: _joined,
    exp.Concat: lambda reader, found: _concat(reader, "concat", found, found.expressions),
    exp.ConcatWs: lambda reader, found: _concat(reader, "concat_ws", found, found.expressions),
    exp.Lower: lambda reader, found: _text_function(reader, "lower", found),
    exp.Upper: lambda reader, found: _text_function(reader, "upper", found),
    exp.Initcap: lambda reader, found: _text_function(reader, "initcap", found, ("expression",)),
    exp.Reverse: lambda reader, found: _text_function(reader, "reverse", found),
    exp.Length: _length,
    exp.Trim: _trim,
    exp.Substring: _substring,
    exp.Left: lambda reader, found: _side(reader, "left", found),
    exp.Right: lambda reader, found: _side(reader, "right", found),
    exp.Pad: _pad,
    exp.Replace: _replace,
    exp.SplitPart: _split_part,
    exp.StrPosition: lambda reader, found: _two_texts(reader, "strpos", "integer", found, "substr"),
    exp.StartsWith: lambda reader, found: _two_texts(
        reader, "starts_with", "boolean", found, "expression"
    ),
    exp.EndsWith: lambda reader, found: _two_texts(
        reader, "ends_with", "boolean", found, "expression"
    ),
}
