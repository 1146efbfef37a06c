"""A mapping's SQL as a tree: what the text says, with a type at every node, before any engine runs it.

The text is cut and parsed by sqlglot as PostgreSQL's; what comes out is taken over node by node, each from a closed
list, into the small tree of this page. Two engines write that tree in their own words, so neither ever sees the text:
no word that a database knows and this page does not can act, and no sub-query, file or other row can be reached.

docs/sql.md says what each node means, with examples.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlglot import ParseError, TokenError, exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokens import Token, TokenType

from migrate.language.patterns import PatternRefused, check_pattern

MAX_LENGTH = 4000
MAX_DEPTH = 24
MAX_PADDED = 10_000
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


@dataclass(frozen=True)
class Expression:
    """A whole expression, and the fields it reads in the order of the text."""

    root: Node
    fields: tuple[str, ...]


class SqlRefused(ValueError):
    """What in the text is not allowed, and at which character (from 1)."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(f"{what} (character {at + 1})")
        self.at = at


FUNCTIONS = frozenset(
    """
    ABS BTRIM CAST COALESCE CONCAT CONCAT_WS ENDS_WITH GREATEST IF IFNULL INITCAP LEAST LEFT LENGTH LOWER LPAD LTRIM
    MOD NULLIF REGEXP_LIKE REPLACE REVERSE RIGHT ROUND RPAD RTRIM SPLIT_PART STARTS_WITH STRPOS SUBSTR SUBSTRING TRIM
    TRY_CAST UPPER
    """.split()
)
KEYWORDS = frozenset(
    """
    AND OR NOT IS NULL TRUE FALSE UNKNOWN CASE WHEN THEN ELSE END IN LIKE ILIKE ESCAPE BETWEEN DISTINCT FROM
    """.split()
)
TYPES = frozenset(
    "TEXT VARCHAR INTEGER INT INT4 BIGINT INT8 DECIMAL NUMERIC BOOLEAN BOOL".split()  # noqa: SIM905  as the others
)
_ELSEWHERE = frozenset(
    """
    SELECT WITH VALUES OVER ANY ALL SOME EXISTS UNION JOIN WHERE GROUP ORDER HAVING LIMIT UNNEST TABLE WINDOW
    PARTITION FILTER LATERAL AS
    """.split()
)
_SIGNS = {
    TokenType.DPIPE: "||", TokenType.EQ: "=", TokenType.NEQ: "<>", TokenType.LT: "<", TokenType.LTE: "<=",
    TokenType.GT: ">", TokenType.GTE: ">=", TokenType.PLUS: "+", TokenType.DASH: "-", TokenType.STAR: "*",
    TokenType.SLASH: "/", TokenType.MOD: "%", TokenType.L_PAREN: "(", TokenType.R_PAREN: ")", TokenType.COMMA: ",",
    TokenType.DCOLON: "::", TokenType.DOT: ".",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_GLUED = frozenset({TokenType.IDENTIFIER, TokenType.STRING, TokenType.NUMBER})
_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_ARITHMETIC: dict[type[exp.Expression], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%",
}  # fmt: skip
_INTEGER_BITS = {exp.DType.INT: 32, exp.DType.BIGINT: 64}
NOTHING = Node("null", "nothing")


@lru_cache(maxsize=1024)
def parse_sql(text: str) -> Expression:
    """The expression in `text`. Raises SqlRefused."""
    if len(text) > MAX_LENGTH:
        raise SqlRefused(f"longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens = list(_guarded_tokens(text))
    if not tokens:
        raise SqlRefused("empty", 0)
    _check_nesting(tokens)
    try:
        parsed = Postgres().parser().parse(tokens, text)
    except ParseError as error:
        raise _as_refusal(error, text) from None
    except RecursionError:
        raise SqlRefused("nested too deeply", 0) from None
    if len(parsed) != 1 or parsed[0] is None:
        raise SqlRefused("one expression only", 0)
    names = [token.text for token in tokens if token.token_type == TokenType.IDENTIFIER]
    fields = tuple(dict.fromkeys(name for name in names))
    return Expression(_Checker(text).node(parsed[0]), fields)


def _as_refusal(error: ParseError, text: str) -> SqlRefused:
    found = error.errors[0] if error.errors else {}
    what = str(found.get("description") or "this cannot be read").partition(" for <class")[0]
    what = re.sub(r"Required keyword: '\w+' missing", "something is missing before this place", what)
    what = what.replace("Invalid expression / Unexpected token", "this cannot follow here")
    at = len(str(found.get("start_context") or ""))
    return SqlRefused(what, min(at, len(text)))


# --- tokens: what may stand in a text at all -----------------------------------------------------------------------


def _guarded_tokens(text: str) -> Iterator[Token]:
    """The tokens that may go to the parser: each field, dotted or not, is one quoted name."""
    if "\0" in text:
        raise SqlRefused("a character that no text may hold", text.index("\0"))
    tokens = _cut(text)
    before: Token | None = None
    at = 0
    while at < len(tokens):
        token = tokens[at]
        after = _end_of_name(tokens, at)
        if token.token_type in _SIGNS or token.token_type in {TokenType.STRING, TokenType.NUMBER}:
            _check_plain(token, text)
        elif token.token_type == TokenType.IDENTIFIER:
            if not token.text.strip():
                raise SqlRefused("an empty column name", token.start)
        else:
            token = _word(tokens, at, after, text)
        _check_neighbours(before, token)
        yield token
        before, at = token, after


def _cut(text: str) -> list[Token]:
    try:
        tokens = Postgres().tokenize(text)
    except TokenError:
        quote = max(text.rfind("'"), text.rfind('"'), 0)
        raise SqlRefused("a text that does not end", quote) from None
    end = 0
    for token in tokens:
        # what lies between two tokens is space, or a comment that the parser would not show
        gap = text[end : token.start]
        if gap.strip(" \t\r\n"):
            odd = end + len(gap) - len(gap.lstrip(" \t\r\n"))
            raise SqlRefused(_not_between(text, odd), odd)
        end = token.end + 1
    rest = text[end:]
    if rest.strip(" \t\r\n"):
        odd = end + len(rest) - len(rest.lstrip(" \t\r\n"))
        raise SqlRefused(_not_between(text, odd), odd)
    return tokens


def _not_between(text: str, at: int) -> str:
    if text.startswith(("--", "/*"), at):
        return "a comment is not allowed: write it behind # beside the expression"
    return f"{text[at]!r} is not allowed"


def _end_of_name(tokens: list[Token], at: int) -> int:
    """The place behind a dotted name that begins at `at`, behind one token for anything else."""
    if tokens[at].token_type in _SIGNS or tokens[at].token_type in _GLUED:
        return at + 1
    after = at + 1
    while (
        after + 1 < len(tokens)
        and tokens[after].token_type == TokenType.DOT
        and tokens[after - 1].end + 1 == tokens[after].start
        and tokens[after].end + 1 == tokens[after + 1].start
        and _NAME.fullmatch(tokens[after + 1].text)
    ):
        after += 2
    return after


def _check_plain(token: Token, text: str) -> None:
    written = text[token.start : token.end + 1]
    kind = token.token_type
    if kind == TokenType.STRING and not written.startswith("'"):
        raise SqlRefused("a text stands in single quotes", token.start)
    if kind == TokenType.NUMBER and not _NUMBER.fullmatch(written):
        raise SqlRefused(f"{written} is no number of plain digits, as 12 or 1.5", token.start)
    if kind in _SIGNS and written not in {_SIGNS[kind], "!="}:
        raise SqlRefused(f"{written} is not allowed; {_SIGNS[kind]} is", token.start)
    if kind == TokenType.DOT:
        raise SqlRefused("a point belongs inside a name or a number", token.start)


def _check_neighbours(before: Token | None, token: Token) -> None:
    if before is None or before.token_type not in _GLUED or token.token_type not in _GLUED:
        return
    # PostgreSQL joins two texts only over a line end, and the parser would anywhere
    both_texts = before.token_type == token.token_type == TokenType.STRING
    what = "two texts" if both_texts else "two values"
    raise SqlRefused(f"{what} stand side by side; put an operator between them, as ||", token.start)


def _word(tokens: list[Token], at: int, after: int, text: str) -> Token:
    """A keyword, a function's or a type's name as it is, any other word as a field."""
    token = tokens[at]
    written = text[token.start : tokens[after - 1].end + 1]
    words = written.upper().split()
    followed_by_bracket = after < len(tokens) and tokens[after].token_type == TokenType.L_PAREN
    if words and all(word in KEYWORDS or (word == "AS" and len(words) == 1) for word in words):
        return token
    if not _NAME.fullmatch(written):
        raise SqlRefused(_refused_word(written, words), token.start)
    word = words[0]
    before = tokens[at - 1] if at else None
    if before is not None and (before.text.upper() == "AS" or before.token_type == TokenType.DCOLON):
        return _type(token, word)
    if followed_by_bracket:
        return _function(token, word)
    if word in _ELSEWHERE:
        raise SqlRefused(_refused_word(written, words), token.start)
    return _token(TokenType.IDENTIFIER, written, token, tokens[after - 1].end)


def _token(kind: TokenType, text: str, at: Token, end: int) -> Token:
    return Token(kind, text, at.line, at.col, at.start, end, [])


def _refused_word(written: str, words: list[str]) -> str:
    if words and words[0] in _ELSEWHERE:
        return (
            f"{words[0]} is not allowed: an expression reads its own row only "
            "(a field of that name wants double quotes)"
        )
    named = any(letter.isalpha() for letter in written)
    return f"{written[:30]!r} is not allowed" + ("; a field of such a name wants double quotes" if named else "")


def _type(token: Token, word: str) -> Token:
    if word not in TYPES:
        raise SqlRefused(f"the type {word} is not allowed; one of {', '.join(sorted(TYPES))}", token.start)
    return token


def _function(token: Token, word: str) -> Token:
    if word in FUNCTIONS:
        return token
    if word in _ELSEWHERE:
        raise SqlRefused(_refused_word(word, [word]), token.start)
    near = difflib.get_close_matches(word, FUNCTIONS, 1, 0.75)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise SqlRefused(
        f"the function {word} is not allowed{meant}; allowed are {', '.join(sorted(FUNCTIONS))}", token.start
    )


def _check_nesting(tokens: list[Token]) -> None:
    """Brackets and CASE that close, none too deep; signs in a row count as depth."""
    depth, signs = 0, 0
    opened: list[Token] = []
    for token in tokens:
        word = token.text.upper()
        signs = signs + 1 if word in {"NOT", "-", "+"} else 0
        if token.token_type == TokenType.L_PAREN or token.token_type == TokenType.CASE:
            depth += 1
            opened.append(token)
        elif token.token_type == TokenType.R_PAREN or token.token_type == TokenType.END:
            if not opened:
                raise SqlRefused(f"{token.text} closes what was not opened", token.start)
            depth -= 1
            opened.pop()
        elif token.token_type == TokenType.COMMA and not opened:
            raise SqlRefused("one expression only, no list", token.start)
        if depth > MAX_DEPTH or signs > MAX_DEPTH:
            raise SqlRefused(f"nested deeper than {MAX_DEPTH}", token.start)
    if opened:
        raise SqlRefused(f"{opened[-1].text} is not closed", opened[-1].start)


# --- nodes: what the parsed text may be made of ---------------------------------------------------------------------


class _Checker:
    """Takes over sqlglot's tree, node by node; each must be listed in `_readers`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self._readers: dict[type[exp.Expression], Callable[[Any], Node]] = {
            exp.Paren: lambda e: self.node(e.this),
            exp.Column: self._column,
            exp.Literal: self._literal,
            exp.Boolean: lambda e: Node("boolean", "boolean", given=(bool(e.this),)),
            exp.Null: lambda _e: NOTHING,
            exp.And: lambda e: self._all_of("and", exp.And, e),
            exp.Or: lambda e: self._all_of("or", exp.Or, e),
            exp.Not: lambda e: Node("not", "boolean", (self._truth(e.this),)),
            exp.Is: self._is,
            exp.NullSafeEQ: lambda e: self._same(e, negated=False),
            exp.NullSafeNEQ: lambda e: self._same(e, negated=True),
            exp.In: self._in,
            exp.Between: self._between,
            exp.Like: lambda e: self._like(e, None),
            exp.ILike: lambda e: self._like(e, None),
            exp.Escape: self._escape,
            exp.RegexpLike: self._regexp_like,
            exp.DPipe: self._joined,
            exp.Neg: self._negated,
            exp.Case: self._case,
            exp.If: self._if,
            exp.Cast: self._cast,
            exp.TryCast: self._cast,
            exp.Coalesce: lambda e: self._first_of(e, [e.this, *e.expressions]),
            exp.Nullif: self._nullif,
            exp.Greatest: lambda e: self._extreme("greatest", e),
            exp.Least: lambda e: self._extreme("least", e),
            exp.Abs: self._abs,
            exp.Round: self._round,
            exp.Concat: lambda e: self._concat("concat", e, e.expressions),
            exp.ConcatWs: lambda e: self._concat("concat_ws", e, e.expressions),
            exp.Lower: lambda e: self._text_function("lower", e),
            exp.Upper: lambda e: self._text_function("upper", e),
            exp.Initcap: lambda e: self._text_function("initcap", e, ("expression",)),
            exp.Reverse: lambda e: self._text_function("reverse", e),
            exp.Length: self._length,
            exp.Trim: self._trim,
            exp.Substring: self._substring,
            exp.Left: lambda e: self._side("left", e),
            exp.Right: lambda e: self._side("right", e),
            exp.Pad: self._pad,
            exp.Replace: self._replace,
            exp.SplitPart: self._split_part,
            exp.StrPosition: lambda e: self._two_texts("strpos", "integer", e, "substr", ("substr",)),
            exp.StartsWith: lambda e: self._two_texts("starts_with", "boolean", e, "expression", ("expression",)),
            exp.EndsWith: lambda e: self._two_texts("ends_with", "boolean", e, "expression", ("expression",)),
        }
        self._readers |= dict.fromkeys(_COMPARISONS, self._compared)
        self._readers |= dict.fromkeys(_ARITHMETIC, self._calculated)

    def node(self, found: Any) -> Node:
        """The node of one of sqlglot's. Raises SqlRefused."""
        if not isinstance(found, exp.Expression):
            raise SqlRefused("an argument is missing", 0)
        read = self._readers.get(type(found))
        if read is None:
            raise self._refused(found, f"{_called(found)} is not allowed: an expression reads its own row only")
        self.depth += 1
        # brackets are counted before; this is of chains as a + b + c, which are trees as well
        if self.depth > 8 * MAX_DEPTH:
            raise self._refused(found, "too many steps in one another")
        try:
            return read(found)
        finally:
            self.depth -= 1

    def _refused(self, found: exp.Expression, what: str) -> SqlRefused:
        starts = [node.meta["start"] for node in found.walk() if node.meta.get("start") is not None]
        own = found.meta.get("start")
        return SqlRefused(what, own if own is not None else min(starts, default=0))

    def _only(self, found: exp.Expression, allowed: Iterable[str]) -> None:
        """Refuses an argument that the language does not know, as the encoding of LENGTH."""
        known = {"this", "safe", "coalesce", "ignore_nulls", *allowed}
        for name, value in found.args.items():
            if name not in known and value:
                raise self._refused(found, f"{_called(found)} has an argument too many")

    # values

    def _column(self, found: exp.Column) -> Node:
        if not isinstance(found.this, exp.Identifier):
            raise self._refused(found, "* is not allowed; name a field")
        return Node("field", "text", given=(found.this.this,))

    def _literal(self, found: exp.Literal) -> Node:
        text = str(found.this)
        if found.is_string:
            return Node("text", "text", given=(text,))
        whole, _, fraction = text.partition(".")
        if not fraction:
            if len(whole.lstrip("0")) > 18:
                raise self._refused(found, "a number of more than 18 digits")
            return Node("number", "integer", given=(str(int(whole)),))
        if len(whole.lstrip("0")) > WHOLE_DIGITS or len(fraction) > SCALE:
            raise self._refused(
                found, f"a number of more than {WHOLE_DIGITS} digits before the point or {SCALE} behind it"
            )
        return Node("number", "decimal", given=(text,), scale=len(fraction))

    def _constant(self, found: exp.Expression | None, parent: exp.Expression, what: str) -> Node:
        node = self.node(found)
        if node.op == "negate" and node.args[0].op == "number":
            return Node("number", node.args[0].kind, given=(f"-{node.args[0].given[0]}",), scale=node.args[0].scale)
        if node.op not in {"text", "number"}:
            raise self._refused(found or parent, f"{_called(parent)} wants {what} written out here")
        return node

    def _text_constant(self, found: exp.Expression | None, parent: exp.Expression) -> str:
        node = self._constant(found, parent, "a text")
        if node.op != "text":
            raise self._refused(found or parent, f"{_called(parent)} wants a text here")
        return str(node.given[0])

    def _whole_constant(self, found: exp.Expression | None, parent: exp.Expression) -> int:
        node = self._constant(found, parent, "a whole number")
        if node.kind != "integer":
            raise self._refused(found or parent, f"{_called(parent)} wants a whole number here")
        return int(str(node.given[0]))

    def _truth(self, found: exp.Expression) -> Node:
        node = self.node(found)
        if node.kind not in {"boolean", "nothing"}:
            raise self._refused(found, f"{_a(node.kind)} where true or false is wanted; compare it with something")
        return node

    def _text(self, found: exp.Expression | None, parent: exp.Expression) -> Node:
        node = self.node(found)
        if node.kind not in {"text", "nothing"}:
            raise self._refused(
                found or parent, f"{_called(parent)} wants a text, not {_a(node.kind)}; use CAST(… AS TEXT)"
            )
        return node

    def _number(self, found: exp.Expression | None, parent: exp.Expression) -> Node:
        node = self.node(found)
        if node.op == "text":
            node = self._number_of(node, found or parent)
        if node.kind not in {"integer", "decimal", "nothing"}:
            raise self._refused(
                found or parent,
                f"{_called(parent)} wants a number, not {_a(node.kind)}; use TRY_CAST(… AS DECIMAL) or AS INTEGER",
            )
        return node

    def _number_of(self, node: Node, found: exp.Expression) -> Node:
        """A text written out beside a number is that number, as in PostgreSQL."""
        text = str(node.given[0]).strip()
        if not _NUMBER.fullmatch(text.removeprefix("-")):
            raise self._refused(found, f"{text!r} is no number")
        made = self._literal(exp.Literal.number(text.removeprefix("-")))
        if not text.startswith("-"):
            return made
        return Node("number", made.kind, given=(f"-{made.given[0]}",), scale=made.scale)

    def _whole(self, found: exp.Expression | None, parent: exp.Expression) -> Node:
        node = self._number(found, parent)
        if node.kind == "decimal":
            raise self._refused(found or parent, f"{_called(parent)} wants a whole number here")
        return node

    # truth

    def _all_of(self, op: str, kind: type[exp.Expression], found: exp.Expression) -> Node:
        return Node(op, "boolean", tuple(self._truth(part) for part in _flat(found, kind)))

    def _is(self, found: exp.Is) -> Node:
        wanted = found.args.get("expression")
        if isinstance(wanted, exp.Null):
            # sqlglot reads IS UNKNOWN as IS NULL, which is the same of a truth
            return Node("is_null", "boolean", (self.node(found.this),))
        if not isinstance(wanted, exp.Boolean):
            raise self._refused(found, "IS wants NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM")
        return Node("is_true" if wanted.this else "is_false", "boolean", (self._truth(found.this),))

    def _same(self, found: exp.Expression, *, negated: bool) -> Node:
        left, right = self._alike(found, [found.this, found.args["expression"]])
        same = Node("same", "boolean", (left, right))
        return Node("not", "boolean", (same,)) if negated else same

    def _compared(self, found: exp.Expression) -> Node:
        left, right = self._alike(found, [found.this, found.args.get("expression")])
        return Node("compare", "boolean", (left, right), (_COMPARISONS[type(found)],))

    def _in(self, found: exp.In) -> Node:
        if found.args.get("query") or found.args.get("unnest") or found.args.get("field"):
            raise self._refused(found, "SELECT is not allowed: an expression reads its own row only")
        if not found.expressions:
            raise self._refused(found, "IN wants one value or more in its brackets")
        wanted, *choices = self._alike(found, [found.this, *found.expressions])
        tests = tuple(Node("compare", "boolean", (wanted, choice), ("=",)) for choice in choices)
        return Node("or", "boolean", tests)

    def _between(self, found: exp.Between) -> Node:
        self._only(found, ("low", "high"))
        value, low, high = self._alike(found, [found.this, found.args["low"], found.args["high"]])
        over = Node("compare", "boolean", (value, low), (">=",))
        return Node("and", "boolean", (over, Node("compare", "boolean", (value, high), ("<=",))))

    def _escape(self, found: exp.Escape) -> Node:
        if not isinstance(found.this, exp.Like | exp.ILike):
            raise self._refused(found, "ESCAPE belongs behind LIKE or ILIKE")
        escape = self._text_constant(found.args["expression"], found)
        if len(escape) != 1:
            raise self._refused(found, "ESCAPE wants one character")
        return self._like(found.this, escape)

    def _like(self, found: exp.Expression, escape: str | None) -> Node:
        pattern = self._text_constant(found.args["expression"], found)
        ignores_case = isinstance(found, exp.ILike)
        parts = like_parts(pattern, escape or "\\")
        if parts is None:
            raise self._refused(found, "a pattern may not end with its escape character")
        text = self._text(found.this, found)
        node = Node("like", "boolean", (text,), (pattern, escape or "\\", ignores_case))
        return Node("not", "boolean", (node,)) if found.args.get("negate") else node

    def _regexp_like(self, found: exp.RegexpLike) -> Node:
        self._only(found, ("expression", "flag"))
        pattern = self._text_constant(found.args["expression"], found)
        flag = self._text_constant(found.args["flag"], found) if found.args.get("flag") else ""
        if flag not in {"", "i"}:
            raise self._refused(found, "the only flag is 'i', which ignores case")
        try:
            check_pattern(pattern)
        except PatternRefused as refused:
            raise self._refused(found.args["expression"], str(refused)) from None
        return Node("regexp_like", "boolean", (self._text(found.this, found),), (pattern, flag == "i"))

    # numbers

    def _calculated(self, found: exp.Expression) -> Node:
        left, right = self._number(found.this, found), self._number(found.args.get("expression"), found)
        sign = _ARITHMETIC[type(found)]
        if left.kind == right.kind == "integer":
            return Node("integer", "integer", (left, right), (sign,))
        scale = _scale_of(sign, _scale(left), _scale(right))
        return Node("decimal", "decimal", (_decimal(left), _decimal(right)), (sign,), scale)

    def _negated(self, found: exp.Neg) -> Node:
        node = self._number(found.this, found)
        if node.op == "number" and not str(node.given[0]).startswith("-"):
            return Node("number", node.kind, given=(f"-{node.given[0]}",), scale=node.scale)
        return Node("negate", node.kind, (node,), scale=node.scale)

    def _abs(self, found: exp.Abs) -> Node:
        node = self._number(found.this, found)
        return Node("abs", node.kind, (node,), scale=node.scale)

    def _round(self, found: exp.Round) -> Node:
        self._only(found, ("decimals",))
        node = self._number(found.this, found)
        places = self._whole_constant(found.args["decimals"], found) if found.args.get("decimals") else 0
        if not -WHOLE_DIGITS <= places <= SCALE:
            raise self._refused(found, f"ROUND takes from -{WHOLE_DIGITS} to {SCALE} places")
        return Node("round", "decimal", (_decimal(node),), (places,), max(places, 0))

    def _cast(self, found: exp.Cast) -> Node:
        node = self.node(found.this)
        may_fail = isinstance(found, exp.TryCast)
        kind, sizes = found.to.this, [int(str(size.this)) for size in found.to.expressions]
        if kind in {exp.DType.TEXT, exp.DType.VARCHAR}:
            return _cut_to(_text_of(node), sizes)
        if node.kind == "text" and not may_fail:
            raise self._refused(
                found, "CAST fails the whole file on one bad value; use TRY_CAST, or CAST(… AS VARCHAR)"
            )
        if kind in _INTEGER_BITS:
            return self._to_integer(found, node, _INTEGER_BITS[kind], may_fail=may_fail)
        if kind == exp.DType.DECIMAL:
            return self._to_decimal(found, node, sizes, may_fail=may_fail)
        if kind == exp.DType.BOOLEAN:
            if node.kind not in {"text", "boolean", "nothing"}:
                raise self._refused(found, f"{_a(node.kind)} is no truth; compare it with something")
            return Node("to_boolean", "boolean", (node,)) if node.kind == "text" else node
        raise self._refused(found, f"the type is not allowed; one of {', '.join(sorted(TYPES))}")

    def _to_integer(self, found: exp.Cast, node: Node, bits: int, *, may_fail: bool) -> Node:
        if node.kind == "boolean":
            raise self._refused(found, "true and false are no numbers; use CASE WHEN … THEN 1 ELSE 0 END")
        return Node("to_integer", "integer", (node,), (bits, may_fail))

    def _to_decimal(self, found: exp.Cast, node: Node, sizes: list[int], *, may_fail: bool) -> Node:
        if node.kind == "boolean":
            raise self._refused(found, "true and false are no numbers; use CASE WHEN … THEN 1 ELSE 0 END")
        digits, scale = (*sizes, 0, 0)[:2] if sizes else (WHOLE_DIGITS + SCALE, SCALE)
        if sizes and not (1 <= digits <= 38 and 0 <= scale <= min(digits, SCALE)):
            raise self._refused(found, f"DECIMAL(p, s) wants p from 1 to 38 and s from 0 to {SCALE}, at most p")
        whole = min(digits - scale, WHOLE_DIGITS) if sizes else WHOLE_DIGITS
        limited = bool(sizes) and digits - scale < WHOLE_DIGITS
        inner = node if node.kind in {"text", "nothing"} else _decimal(node)
        given = (whole, scale, may_fail and limited)
        return Node("to_decimal", "decimal", (inner,), given, scale if sizes else None)

    # choices

    def _case(self, found: exp.Case) -> Node:
        branches = found.args["ifs"]
        tests = [self._when(found, branch) for branch in branches]
        results = [branch.args["true"] for branch in branches]
        otherwise = found.args.get("default")
        return self._choice(found, tests, results, otherwise)

    def _when(self, found: exp.Case, branch: exp.If) -> Node:
        if found.this is None:
            return self._truth(branch.this)
        subject, wanted = self._alike(found, [found.this, branch.this])
        return Node("compare", "boolean", (subject, wanted), ("=",))

    def _if(self, found: exp.If) -> Node:
        return self._choice(found, [self._truth(found.this)], [found.args["true"]], found.args.get("false"))

    def _choice(
        self, found: exp.Expression, tests: list[Node], results: list[exp.Expression], otherwise: exp.Expression | None
    ) -> Node:
        values = self._alike(found, [*results, *([otherwise] if otherwise is not None else [])])
        if otherwise is None:
            values = [*values, NOTHING]
        kind, scale = _common(values)
        return Node("case", kind, (*tests, *values), (len(tests),), scale)

    def _first_of(self, found: exp.Expression, parts: list[exp.Expression]) -> Node:
        values = self._alike(found, parts)
        kind, scale = _common(values)
        return Node("coalesce", kind, tuple(values), scale=scale)

    def _nullif(self, found: exp.Nullif) -> Node:
        left, right = self._alike(found, [found.this, found.args.get("expression")])
        return Node("nullif", left.kind, (left, right), scale=left.scale)

    def _extreme(self, op: str, found: exp.Expression) -> Node:
        values = self._alike(found, [found.this, *found.expressions])
        kind, scale = _common(values)
        if kind == "boolean":
            raise self._refused(found, f"{op.upper()} wants texts or numbers")
        return Node(op, kind, tuple(values), scale=scale)

    def _alike(self, found: exp.Expression, parts: list[exp.Expression | None]) -> list[Node]:
        """The parts, all of one kind. A text that is written out beside numbers is one."""
        nodes = [self.node(part) for part in parts]
        kinds = {node.kind for node in nodes} - {"nothing"}
        if kinds & {"integer", "decimal"}:
            nodes = [
                self._number_of(node, part or found) if node.op == "text" else node
                for node, part in zip(nodes, parts, strict=True)
            ]
            kinds = {node.kind for node in nodes} - {"nothing"}
            if kinds == {"integer", "decimal"}:
                nodes = [_decimal(node) for node in nodes]
                kinds = {"decimal"}
        if len(kinds) > 1:
            first, second = sorted(kinds, key=["text", "integer", "decimal", "boolean"].index)[:2]
            ways = "TRY_CAST(… AS DECIMAL) makes a number of a text, CAST(… AS TEXT) a text of a number"
            raise self._refused(found, f"{_a(first)} and {_a(second)} do not go together; {ways}")
        return nodes

    # texts

    def _joined(self, found: exp.DPipe) -> Node:
        parts = list(_flat(found, exp.DPipe))
        nodes = [self.node(part) for part in parts]
        if all(node.kind in {"integer", "decimal", "boolean"} for node in nodes):
            raise self._refused(found, "|| joins texts; use CAST(… AS TEXT) on one side, or + to add")
        return Node("join", "text", tuple(_text_of(node) for node in nodes))

    def _concat(self, op: str, found: exp.Expression, parts: list[exp.Expression]) -> Node:
        if op == "concat_ws" and len(parts) < 2:
            raise self._refused(found, "CONCAT_WS wants a separator and values")
        nodes = [self.node(part) for part in parts]
        for node, part in zip(nodes, parts, strict=True):
            if node.kind == "boolean":
                # PostgreSQL writes t and f here, and true and false beside ||
                raise self._refused(part, f"{op.upper()} of a truth; say CASE WHEN … THEN 'yes' ELSE 'no' END")
        return Node(op, "text", tuple(_text_of(node) for node in nodes))

    def _text_function(self, op: str, found: exp.Expression, ignored: tuple[str, ...] = ()) -> Node:
        self._only(found, ignored)
        if op == "initcap" and found.args["expression"].meta.get("start") is not None:
            # sqlglot gives it PostgreSQL's own list of what parts words; one of the text has a place in it
            raise self._refused(found, "INITCAP takes one text")
        return Node(op, "text", (self._text(found.this, found),))

    def _length(self, found: exp.Length) -> Node:
        self._only(found, ())
        return Node("length", "integer", (self._text(found.this, found),))

    def _trim(self, found: exp.Trim) -> Node:
        self._only(found, ("position", "expression"))
        chars = self._text_constant(found.args["expression"], found) if found.args.get("expression") else " "
        side = str(found.args.get("position") or "BOTH").upper()
        return Node("trim", "text", (self._text(found.this, found),), (chars, side))

    def _substring(self, found: exp.Substring) -> Node:
        self._only(found, ("start", "length"))
        parts = [self._whole(found.args.get("start"), found)]
        if found.args.get("length"):
            parts.append(self._whole(found.args["length"], found))
        return Node("substr", "text", (self._text(found.this, found), *parts))

    def _side(self, op: str, found: exp.Expression) -> Node:
        count = self._whole(found.args.get("expression"), found)
        return Node(op, "text", (self._text(found.this, found), count))

    def _pad(self, found: exp.Pad) -> Node:
        length = self._whole_constant(found.args["expression"], found)
        fill = self._text_constant(found.args["fill_pattern"], found) if found.args.get("fill_pattern") else " "
        if length > MAX_PADDED:
            raise self._refused(found, f"a text is padded to at most {MAX_PADDED:,} characters")
        op = "lpad" if found.args.get("is_left") else "rpad"
        return Node(op, "text", (self._text(found.this, found),), (max(length, 0), fill))

    def _replace(self, found: exp.Replace) -> Node:
        old = self._text_constant(found.args.get("expression"), found)
        new = self._text_constant(found.args.get("replacement"), found)
        return Node("replace", "text", (self._text(found.this, found),), (old, new))

    def _split_part(self, found: exp.SplitPart) -> Node:
        separator = self._text_constant(found.args.get("delimiter"), found)
        place = self._whole_constant(found.args.get("part_index"), found)
        if place == 0:
            raise self._refused(found, "SPLIT_PART counts from 1, or from -1 at the end")
        return Node("split_part", "text", (self._text(found.this, found),), (separator, place))

    def _two_texts(self, op: str, kind: Kind, found: exp.Expression, second: str, known: tuple[str, ...]) -> Node:
        self._only(found, known)
        return Node(op, kind, (self._text(found.this, found), self._text(found.args.get(second), found)))


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


def _flat(found: exp.Expression, kind: type[exp.Expression]) -> Iterator[exp.Expression]:
    """The parts of a chain as a || b || c, from the left, brackets of the same kind opened."""
    waiting: list[exp.Expression] = [found]
    while waiting:
        part = waiting.pop()
        if isinstance(part, kind):
            waiting += [part.args["expression"], part.this]
        else:
            yield part


def _scale(node: Node) -> int | None:
    return 0 if node.kind == "integer" else node.scale


def _scale_of(sign: str, left: int | None, right: int | None) -> int | None:
    """How many digits PostgreSQL writes behind the point of a result; None where that hangs on the values."""
    if left is None or right is None or sign == "/":
        return None
    return min(left + right, SCALE) if sign == "*" else max(left, right)


def _decimal(node: Node) -> Node:
    if node.kind != "integer":
        return node
    if node.op == "number":
        return Node("number", "decimal", given=node.given, scale=0)
    return Node("widen", "decimal", (node,), scale=0)


def _text_of(node: Node) -> Node:
    return node if node.kind in {"text", "nothing"} else Node("to_text", "text", (node,))


def _cut_to(node: Node, sizes: list[int]) -> Node:
    return Node("left", "text", (node, Node("number", "integer", given=(str(sizes[0]),)))) if sizes else node


def _common(values: list[Node]) -> tuple[Kind, int | None]:
    """The kind of a choice; of decimals as many digits behind the point as the longest has, so that all look alike."""
    known = [value for value in values if value.kind != "nothing"]
    if not known:
        return "nothing", None
    scales = [value.scale for value in known]
    longest = None if None in scales else max(scale for scale in scales if scale is not None)
    return known[0].kind, longest if known[0].kind == "decimal" else None


def _a(kind: Kind) -> str:
    return {
        "text": "a text", "integer": "a whole number", "decimal": "a decimal number", "boolean": "a truth",
        "nothing": "NULL",
    }[kind]  # fmt: skip


def _called(found: exp.Expression) -> str:
    """What a person would call one of sqlglot's nodes."""
    if isinstance(found, exp.Select | exp.Subquery):
        return "SELECT"
    if isinstance(found, exp.Func):
        return str(found.name if isinstance(found, exp.Anonymous) else found.sql_name()).upper()
    names = {exp.DPipe: "||", exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.Neg: "-"}
    return names.get(type(found), type(found).__name__.upper())
