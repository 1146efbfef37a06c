"""The verifier's own reading of a mapping's SQL: a small parser and functions over one record, in plain Python.

It knows what the language allows: `||`, arithmetic, comparisons, AND OR NOT, IS NULL, CASE, IN, LIKE, BETWEEN, TRY_CAST
and the functions of `sql_functions`, with SQL's unknown (None). Whatever else stands in an expression makes its column
unverifiable, by name. Nothing is ever handed to a database or to polars.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from migrate.verify.record import Record
from migrate.verify.sql_functions import FUNCTIONS, like
from migrate.verify.sql_numbers import calculate, cast_function, show, show_result
from migrate.verify.typed import Unverifiable

Value = str | int | bool | Decimal | None
Expression = Callable[[Record], Any]
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<quoted>"[^"]+")|(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)|(?P<sign>\|\||<>|!=|<=|>=|[=<>+\-*/%(),]))""",
    re.VERBOSE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def compile_expression(
    sql: str, reader: Callable[[str], Callable[[Record], str | None]]
) -> Expression:
    """A function that gives the value of `sql` for a record; `reader` finds a field. Raises Unverifiable."""
    parser = _Parser(_cut(sql), reader)
    found = parser.either()
    if parser.peek()[1]:
        raise Unverifiable(f"sql: {parser.peek()[1]}")
    return found


def fields_of(sql: str) -> list[str]:
    """The fields that an expression names. Raises Unverifiable."""
    names: list[str] = []

    def note(name: str) -> Callable[[Record], str | None]:
        names.append(name)
        return lambda _record: None

    compile_expression(sql, note)
    return list(dict.fromkeys(names))


def text_of(value: Value) -> str | None:
    """The text that a value is written as."""
    return None if value is None else show_result(value)


def _cut(sql: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    while sql[at:].strip():
        found = _TOKEN.match(sql, at)
        if found is None or found.lastgroup is None:
            raise Unverifiable(f"sql: {sql[at : at + 20].strip()}")
        tokens.append((found.lastgroup, found.group(found.lastgroup)))
        at = found.end()
    return tokens


class _Parser:
    """Recursive descent, loosest binding first: OR, AND, NOT, comparison, sum and ||, product, sign, value."""

    def __init__(
        self, tokens: list[tuple[str, str]], reader: Callable[[str], Callable[[Record], str | None]]
    ) -> None:
        self.tokens = tokens
        self.reader = reader
        self.at = 0

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        """The kind and text of a token to come, empty at the end."""
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else ("", "")

    def word(self) -> str:
        """The next token as a keyword or sign."""
        kind, text = self.peek()
        return text.upper() if kind in {"name", "sign"} else ""

    def take(self, *words: str) -> str:
        """The next token if it is one of `words`, else ''."""
        word = self.word()
        if word not in words or not word:
            return ""
        self.at += 1
        return word

    def need(self, word: str) -> None:
        """Takes exactly this token. Raises Unverifiable."""
        if not self.take(word):
            raise Unverifiable(f"sql: {word} expected, {self.peek()[1] or 'the end'} found")

    def either(self) -> Expression:
        """a OR b."""
        left = self.both()
        while self.take("OR"):
            left = _or(left, self.both())
        return left

    def both(self) -> Expression:
        """a AND b."""
        left = self.denied()
        while self.take("AND"):
            left = _and(left, self.denied())
        return left

    def denied(self) -> Expression:
        """NOT a."""
        return _not(self.denied()) if self.take("NOT") else self.compared()

    def compared(self) -> Expression:
        """a = b, a IS NULL, a IN (…), a LIKE b, a BETWEEN b AND c."""
        left = self.summed()
        while True:
            sign = self.take(*_COMPARE)
            if sign:
                left = _both_known(_COMPARE[sign], left, self.summed(), alike=True)
            elif self.take("IS"):
                left = self._is(left)
            else:
                negated = self.word() == "NOT" and self.peek(1)[1].upper() in {
                    "IN",
                    "LIKE",
                    "ILIKE",
                    "BETWEEN",
                }
                self.at += negated
                found = self._tested(left)
                if found is None:
                    return left
                left = _not(found) if negated else found

    def _is(self, left: Expression) -> Expression:
        negated = bool(self.take("NOT"))
        wanted = {"NULL": None, "TRUE": True, "FALSE": False}.get(self.word(), "")
        if wanted == "":
            raise Unverifiable(f"sql: IS {self.peek()[1]}")
        self.at += 1
        return lambda record: (left(record) is wanted) != negated

    def _tested(self, left: Expression) -> Expression | None:
        test = self.take("IN", "LIKE", "ILIKE", "BETWEEN")
        if test == "IN":
            self.need("(")
            found: Expression = lambda _record: False  # noqa: E731  the start of a fold
            for choice in self._list():
                found = _or(found, _both_known(_COMPARE["="], left, choice, alike=True))
            return found
        if test == "BETWEEN":
            low = self.summed()
            self.need("AND")
            return _and(_both_known(_COMPARE[">="], left, low, alike=True),
                        _both_known(_COMPARE["<="], left, self.summed(), alike=True))  # fmt: skip
        if test:
            ignore_case = test == "ILIKE"
            return _both_known(
                lambda text, pattern: like(text, pattern, ignore_case), left, self.summed()
            )
        return None

    def _list(self) -> list[Expression]:
        found = [self.either()]
        while self.take(","):
            found.append(self.either())
        self.need(")")
        return found

    def summed(self) -> Expression:
        """a || b, a + b, a - b."""
        left = self.multiplied()
        while sign := self.take("||", "+", "-"):
            right = self.multiplied()
            left = _both_known(
                (lambda a, b: show(a) + show(b)) if sign == "||" else calculate(sign), left, right
            )
        return left

    def multiplied(self) -> Expression:
        """a * b, a / b, a % b."""
        left = self.valued()
        while sign := self.take("*", "/", "%"):
            left = _both_known(calculate(sign), left, self.valued())
        return left

    def valued(self) -> Expression:
        """A literal, a field, a call, CASE, or something in brackets."""
        kind, text = self.peek()
        self.at += 1
        if kind == "text":
            constant = text[1:-1].replace("''", "'")
            return lambda _record: constant
        if kind == "number":
            number = Decimal(text) if "." in text else int(text)
            return lambda _record: number
        if kind == "quoted":
            return self.reader(text[1:-1])
        if kind == "name":
            return self._named(text)
        if text == "(":
            found = self.either()
            self.need(")")
            return found
        if text == "-":
            return _both_known(calculate("-"), lambda _record: 0, self.valued())
        raise Unverifiable(f"sql: {text or 'the end'}")

    def _named(self, name: str) -> Expression:
        word = name.upper()
        if word in {"NULL", "TRUE", "FALSE"}:
            constant = {"NULL": None, "TRUE": True, "FALSE": False}[word]
            return lambda _record: constant
        if word == "CASE":
            return self._case()
        if not self.take("("):
            return self.reader(name)
        if word in {"CAST", "TRY_CAST"}:
            return self._cast()
        if word not in FUNCTIONS:
            raise Unverifiable(f"sql: {word}")
        function, arguments = FUNCTIONS[word], self._list()
        return lambda record: function(*(argument(record) for argument in arguments))

    def _cast(self) -> Expression:
        value = self.either()
        self.need("AS")
        convert = cast_function(self.peek()[1].upper())
        self.at += 1
        self.need(")")
        return lambda record: convert(value(record))

    def _case(self) -> Expression:
        subject = None if self.word() == "WHEN" else self.either()
        branches: list[tuple[Expression, Expression]] = []
        while self.take("WHEN"):
            test = self.either()
            self.need("THEN")
            branches.append(
                (
                    _both_known(_COMPARE["="], subject, test, alike=True) if subject else test,
                    self.either(),
                )
            )
        otherwise: Expression = self.either() if self.take("ELSE") else lambda _record: None
        self.need("END")

        def choose(record: Record) -> Any:
            return next(
                (value(record) for test, value in branches if test(record) is True),
                otherwise(record),
            )

        return choose


def _both_known(
    act: Callable[[Any, Any], Any], a: Expression, b: Expression, *, alike: bool = False
) -> Expression:
    """`act` on two values, unknown where one of them is; with `alike` they must be of one kind."""

    def run(record: Record) -> Any:
        left, right = a(record), b(record)
        if left is None or right is None:
            return None
        if alike and isinstance(left, str) != isinstance(right, str):
            raise Unverifiable("sql: a text compared with a number")
        return act(left, right)

    return run


def _or(a: Expression, b: Expression) -> Expression:
    def run(record: Record) -> bool | None:
        left = a(record)
        if left is True:
            return True
        right = b(record)
        return True if right is True else None if left is None or right is None else False

    return run


def _and(a: Expression, b: Expression) -> Expression:
    def run(record: Record) -> bool | None:
        left = a(record)
        if left is False:
            return False
        right = b(record)
        return False if right is False else None if left is None or right is None else True

    return run


def _not(a: Expression) -> Expression:
    def run(record: Record) -> bool | None:
        value = a(record)
        return None if value is None else not value

    return run
