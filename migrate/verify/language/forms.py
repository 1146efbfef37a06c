"""The truths, choices and texts of an expression in DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrate.language.patterns import spelt_out
from migrate.language.sql import Expression
from migrate.language.sql.tree import Kind, Node, as_text
from migrate.verify.language import numbers
from migrate.verify.language.steps import Form, Writer, Written, any_fails, by_turns, quoted

_SPACES = "' ' || chr(9) || chr(10) || chr(11) || chr(12) || chr(13)"
# What PostgreSQL reads as a boolean: these words, and every beginning of them that can be no other's.
_TRUE = "('true', 'tru', 'tr', 't', 'yes', 'ye', 'y', 'on', '1')"
_FALSE = "('false', 'fals', 'fal', 'fa', 'f', 'no', 'n', 'off', 'of', '0')"


def _and(writer: Writer, node: Node) -> Written:
    parts = writer.all(node, "boolean", keep=True)
    fails = by_turns([(part, f"{part.value} IS NOT FALSE") for part in parts])
    sql = "(" + " AND ".join(part.value for part in parts) + ")"
    if writer.strict:
        known = " AND ".join(f"{part.value} IS NOT NULL" for part in parts)
        sql = f"(CASE WHEN {known} THEN {sql} END)"
    return Written(sql, fails)


def _or(writer: Writer, node: Node) -> Written:
    parts = writer.all(node, "boolean", keep=True)
    fails = by_turns([(part, f"{part.value} IS NOT TRUE") for part in parts])
    return Written("(" + " OR ".join(part.value for part in parts) + ")", fails)


def _not(writer: Writer, node: Node) -> Written:
    part = writer.write(node.args[0], "boolean")
    return Written(f"(NOT {part.value})", part.fails)


def _is(test: str) -> Form:
    def form(writer: Writer, node: Node) -> Written:
        part = writer.kept_node(node.args[0], "boolean" if test != "NULL" else None)
        sql = f"({part.value} IS {test})"
        if writer.strict:
            sql = f"(CASE WHEN {part.value} IS NOT NULL THEN {sql} END)"
        return Written(sql, part.fails)

    return form


def _same(writer: Writer, node: Node) -> Written:
    left, right = parts = writer.all(node)
    sign = "=" if writer.strict else "IS NOT DISTINCT FROM"
    return Written(f"({left.value} {sign} {right.value})", any_fails(parts))


def _compare(writer: Writer, node: Node) -> Written:
    left, right = parts = writer.all(node)
    return Written(f"({left.value} {node.given[0]} {right.value})", any_fails(parts))


def _like(writer: Writer, node: Node) -> Written:
    pattern, escape, ignores_case = node.given
    text = writer.write(node.args[0], "text")
    if ignores_case:
        value = lowered(writer, text.value)
    else:
        value = text.value
    wanted = str(pattern)
    if ignores_case:
        # the letter that escapes stays what it is
        wanted = "".join(char if char == escape else char.lower() for char in wanted)
    return Written(f"({value} LIKE {quoted(wanted)} ESCAPE {quoted(str(escape))})", text.fails)


def _regexp_like(writer: Writer, node: Node) -> Written:
    text = writer.write(node.args[0], "text")
    pattern = quoted(spelt_out(str(node.given[0])))
    options = "'i'" if node.given[1] else "'c'"
    return Written(f"regexp_matches({text.value}, {pattern}, {options})", text.fails)


def _case(writer: Writer, node: Node) -> Written:
    count = int(str(node.given[0]))
    tests = [writer.kept_node(arg, "boolean") for arg in node.args[:count]]
    results = [writer.write(arg, _kind(node)) for arg in node.args[count:]]
    value, fails = results[-1].value, results[-1].fails
    for test, result in zip(reversed(tests), reversed(results[:-1]), strict=True):
        value = f"(CASE WHEN {test.value} THEN {result.value} ELSE {value} END)"
        if writer.strict:
            value = f"(CASE WHEN {test.value} IS NOT NULL THEN {value} END)"
        flags = [test.fails] if test.fails else []
        if result.fails:
            flags.append(f"({test.value} IS TRUE AND {result.fails})")
        if fails:
            flags.append(f"({test.value} IS NOT TRUE AND {fails})")
        fails = "(" + " OR ".join(flags) + ")" if flags else None
    return Written(value, fails)


def _coalesce(writer: Writer, node: Node) -> Written:
    args = list(node.args)
    if writer.strict:
        # a constant speaks for nobody
        args = [arg for arg in args if arg.op not in {"text", "number", "boolean"}]
        args = args or [Node("null", "nothing")]
    parts = [writer.kept_node(arg, _kind(node)) for arg in args]
    fails = by_turns([(part, f"{part.value} IS NULL") for part in parts])
    return Written("COALESCE(" + ", ".join(part.value for part in parts) + ")", fails)


def _nullif(writer: Writer, node: Node) -> Written:
    left, right = parts = writer.all(node)
    return Written(f"NULLIF({left.value}, {right.value})", any_fails(parts))


def _extreme(writer: Writer, node: Node) -> Written:
    parts = writer.all(node, _kind(node))
    return Written(f"{node.op}({', '.join(part.value for part in parts)})", any_fails(parts))


def _kind(node: Node) -> Kind:
    return "text" if node.kind == "nothing" else node.kind


def _field(writer: Writer, node: Node) -> Written:
    field = writer.field(str(node.given[0]))
    return Written(f"NULLIF({field}, '')" if writer.strict else field)


def _join(writer: Writer, node: Node) -> Written:
    parts = writer.all(node, "text")
    return Written("(" + " || ".join(part.value for part in parts) + ")", any_fails(parts))


def _concat(writer: Writer, node: Node) -> Written:
    parts = writer.all(node, "text")
    return Written(f"{node.op}({', '.join(part.value for part in parts)})", any_fails(parts))


def lowered(writer: Writer, text: str, how: str = "lower") -> str:
    """A text in small or big letters; DuckDB's own rules know one letter for one, Python's are Unicode's."""
    kept = writer.keep(text)
    # as many bytes as characters: ASCII alone
    return (
        f"(CASE WHEN strlen({kept}) = length({kept}) THEN {how}({kept}) ELSE py_{how}({kept}) END)"
    )


def _letters(writer: Writer, node: Node) -> Written:
    part = writer.write(node.args[0], "text")
    if node.op in {"lower", "upper"}:
        return Written(lowered(writer, part.value, node.op), part.fails)
    kept = writer.keep(part.value)
    # a function of Python's that gives '' is taken for one that gives nothing
    return Written(f"(CASE WHEN {kept} = '' THEN '' ELSE py_{node.op}({kept}) END)", part.fails)


def _length(writer: Writer, node: Node) -> Written:
    part = writer.write(node.args[0], "text")
    return Written(f"CAST(length({part.value}) AS HUGEINT)", part.fails)


def _trim(writer: Writer, node: Node) -> Written:
    chars = str(node.given[0])
    side = str(node.given[1])
    part = writer.write(node.args[0], "text")
    function = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(side, "trim")
    if chars:
        return Written(f"{function}({part.value}, {quoted(chars)})", part.fails)
    return part


def _substr(writer: Writer, node: Node) -> Written:
    text, *numbers = (
        writer.kept_node(arg, "text" if at == 0 else "integer") for at, arg in enumerate(node.args)
    )
    start = numbers[0].value
    first = f"greatest({start}, 1)"
    skipped = f"CAST(least({first}, 2000000000) AS BIGINT)"
    known = f"{start} IS NOT NULL"
    if len(numbers) == 1:
        return Written(
            f"(CASE WHEN {known} THEN substr({text.value}, {skipped}) END)",
            any_fails([text, *numbers]),
        )
    length = numbers[1].value
    # greatest() overlooks NULL, so what is unknown is told beforehand
    count = f"CAST(least(greatest({start} + {length} - {first}, 0), 2000000000) AS BIGINT)"
    value = (
        f"(CASE WHEN {known} AND {length} >= 0 THEN substr({text.value}, {skipped}, {count}) END)"
    )
    negative = f"({text.value} IS NOT NULL AND {known} AND {length} < 0)"
    return Written(value, any_fails([text, *numbers], negative))


def _side(writer: Writer, node: Node) -> Written:
    text = writer.write(node.args[0], "text")
    count = writer.kept_node(node.args[1], "integer")
    # of more characters than any text has it is all the same
    wanted = f"CAST(least(greatest({count.value}, -2000000000), 2000000000) AS BIGINT)"
    value = f"(CASE WHEN {count.value} IS NOT NULL THEN {node.op}({text.value}, {wanted}) END)"
    return Written(value, any_fails([text, count]))


def _pad(writer: Writer, node: Node) -> Written:
    length = int(str(node.given[0]))
    fill = str(node.given[1])
    part = writer.write(node.args[0], "text")
    if not fill:
        # PostgreSQL only cuts where there is nothing to fill with; DuckDB makes an error of it.
        return Written(f"left({part.value}, {length})", part.fails)
    return Written(f"{node.op}({part.value}, {length}, {quoted(fill)})", part.fails)


def _replace(writer: Writer, node: Node) -> Written:
    old = str(node.given[0])
    new = str(node.given[1])
    part = writer.write(node.args[0], "text")
    if old:
        return Written(f"replace({part.value}, {quoted(old)}, {quoted(new)})", part.fails)
    return part


def _split_part(writer: Writer, node: Node) -> Written:
    separator = str(node.given[0])
    place = int(str(node.given[1]))
    part = writer.kept_node(node.args[0], "text")
    if separator:
        return Written(f"split_part({part.value}, {quoted(separator)}, {place})", part.fails)
    # Without a separator the text is one part, the first and the last, as PostgreSQL has it.
    if abs(place) == 1:
        return part
    return Written(f"(CASE WHEN {part.value} IS NOT NULL THEN '' END)", part.fails)


def _strpos(writer: Writer, node: Node) -> Written:
    text, wanted = parts = writer.all(node, "text")
    return Written(f"CAST(strpos({text.value}, {wanted.value}) AS HUGEINT)", any_fails(parts))


def _begins_or_ends(writer: Writer, node: Node) -> Written:
    text, wanted = parts = writer.all(node, "text")
    return Written(f"{node.op}({text.value}, {wanted.value})", any_fails(parts))


def _to_boolean(writer: Writer, node: Node) -> Written:
    part = writer.write(node.args[0], "text")
    word = writer.keep(f"lower(trim({part.value}, {_SPACES}))")
    return Written(
        f"(CASE WHEN {word} IN {_TRUE} THEN TRUE WHEN {word} IN {_FALSE} THEN FALSE END)",
        part.fails,
    )


def _constant(write: Callable[[str], str]) -> Form:
    return lambda _writer, node: Written(write(str(node.given[0])))


FORMS: Mapping[str, Form] = {
    "boolean": _constant(str.upper),
    "text": _constant(lambda text: f"CAST({quoted(text)} AS VARCHAR)"),
    "field": _field,
    "and": _and,
    "or": _or,
    "not": _not,
    "is_null": _is("NULL"),
    "is_true": _is("TRUE"),
    "is_false": _is("FALSE"),
    "same": _same,
    "compare": _compare,
    "like": _like,
    "regexp_like": _regexp_like,
    "case": _case,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "greatest": _extreme,
    "least": _extreme,
    "join": _join,
    "concat": _concat,
    "concat_ws": _concat,
    "lower": _letters,
    "upper": _letters,
    "initcap": _letters,
    "reverse": _letters,
    "length": _length,
    "trim": _trim,
    "substr": _substr,
    "left": _side,
    "right": _side,
    "lpad": _pad,
    "rpad": _pad,
    "replace": _replace,
    "split_part": _split_part,
    "strpos": _strpos,
    "starts_with": _begins_or_ends,
    "ends_with": _begins_or_ends,
    "to_boolean": _to_boolean,
    **numbers.FORMS,
}


def write_into(writer: Writer, expression: Expression, *, strict: bool = False) -> list[Written]:
    """The SQL of an expression's text (a truth as true or false), its steps kept by the writer.

    With `strict` also of the answer that hangs on nobody's silence, NULL where there is none.
    """
    root = as_text(expression.root)
    found = [writer.write(root, "text")]
    if strict:
        writer.strict = True
        found.append(writer.write(root, "text"))
        writer.strict = False
    return found
