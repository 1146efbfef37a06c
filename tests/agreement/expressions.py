"""Expressions by chance: every function, operator and word of the language's SQL, each under its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .chance import Chance

Form = Callable[[], str]
_CASTS = ("DECIMAL", "NUMERIC", "DECIMAL(10, 2)", "NUMERIC(5, 1)", "DECIMAL(20, 0)")
_LIKES = ("%a%", "_b", r"%\%%", "É%", "%", "", "a_c")
_WHOLE_CASTS = ("INTEGER", "INT", "INT4", "BIGINT", "INT8")
_PATTERNS = ("^[a-z]+$", r"\d", "(a|b)+.", "^$", r"^\w{2,3}\s?", "[^A-Z]", "é|ü", r"\.", "(x|1)*$")


class Expressions:
    """Makes expressions over some fields. Depth bounds how many stand in one another."""

    def __init__(self, chance: Chance, fields: Sequence[str]) -> None:
        self.chance = chance
        self.fields = [written(name) for name in fields]

    def any(self) -> str:
        """An expression of any kind."""
        depth = self.chance.of(1, 2, 3)
        return self.chance.of(self.text, self.whole, self.decimal, self.truth)(depth)

    def text(self, depth: int) -> str:
        """An expression that gives a text."""
        of = self.chance.of
        if depth <= 0 or self.chance.maybe(0.2):
            return of(*self.fields, *self.fields, "'x'", "''", "NULL", "'É b'", "'it''s'", r"'a\b'")
        return f"({self.chance.make(self._texts(depth - 1))})"

    def _texts(self, deep: int) -> dict[str, Form]:
        text, whole, truth, of = self.text, self.whole, self.truth, self.chance.of
        fill = of("'ab'", "'é'", "''", "'0'")
        side = of("", "BOTH ", "LEADING ", "TRAILING ")
        old, separator = of("'a'", fill), of("' '", fill)
        return {
            "||": lambda: f"{text(deep)} || {of(text, whole, self.decimal)(deep)}",
            "LOWER": lambda: f"LOWER({text(deep)})",
            "UPPER": lambda: f"UPPER({text(deep)})",
            "INITCAP": lambda: f"INITCAP({text(deep)})",
            "REVERSE": lambda: f"REVERSE({text(deep)})",
            "TRIM": lambda: f"TRIM({of('', side + quoted('x ') + ' FROM ')}{text(deep)})",
            "BTRIM": lambda: f"BTRIM({text(deep)}{of('', ', ' + fill)})",
            "LTRIM": lambda: f"LTRIM({text(deep)}{of('', ', ' + fill)})",
            "RTRIM": lambda: f"RTRIM({text(deep)}{of('', ', ' + fill)})",
            "SUBSTR": lambda: f"SUBSTR({text(deep)}, {whole(deep)}{of('', ', ' + whole(0))})",
            "SUBSTRING": lambda: f"SUBSTRING({text(deep)}, {whole(0)}, {of(0, 1, 2, 3)})",
            "LEFT": lambda: f"LEFT({text(deep)}, {whole(deep)})",
            "RIGHT": lambda: f"RIGHT({text(deep)}, {whole(deep)})",
            "LPAD": lambda: f"LPAD({text(deep)}, {of(0, 3, 7)}{of('', ', ' + fill)})",
            "RPAD": lambda: f"RPAD({text(deep)}, {of(0, 3, 7)}{of('', ', ' + fill)})",
            "REPLACE": lambda: f"REPLACE({text(deep)}, {old}, {of(fill, quoted('$0'))})",
            "SPLIT_PART": lambda: f"SPLIT_PART({text(deep)}, {separator}, {of(1, 2, -1, -2, 9)})",
            "CONCAT": lambda: f"CONCAT({text(deep)}, {of('NULL', whole(0))}, {text(deep)})",
            "CONCAT_WS": lambda: f"CONCAT_WS({of(text(0), fill)}, {text(deep)}, {of(whole(0), text(deep))})",
            "COALESCE": lambda: f"COALESCE({text(deep)}, {text(deep)}{of('', ', ' + fill)})",
            "IFNULL": lambda: f"IFNULL({text(deep)}, {text(deep)})",
            "NULLIF": lambda: f"NULLIF({text(deep)}, {text(deep)})",
            "GREATEST": lambda: f"GREATEST({text(deep)}, {text(deep)}, {text(0)})",
            "LEAST": lambda: f"LEAST({text(deep)}, {text(deep)})",
            "CASE WHEN": lambda: f"CASE WHEN {truth(deep)} THEN {text(deep)} WHEN {truth(0)} THEN {text(0)}"
            f"{of('', ' ELSE ' + text(deep))} END",
            "CASE x WHEN": lambda: f"CASE {text(deep)} WHEN {text(0)} THEN {text(deep)} ELSE {text(0)} END",
            "IF": lambda: f"IF({truth(deep)}, {text(deep)}, {text(deep)})",
            "CAST AS TEXT": lambda: f"CAST({of(whole, truth, self.decimal)(deep)} AS {of('TEXT', 'VARCHAR')})",
            "CAST AS VARCHAR(n)": lambda: f"CAST({text(deep)} AS VARCHAR({of(1, 2, 5)}))",
            "::": lambda: f"({of(whole, truth)(deep)})::{of('TEXT', 'VARCHAR(2)')}",
        }  # fmt: skip

    def whole(self, depth: int) -> str:
        """An expression that gives a whole number."""
        of = self.chance.of
        if depth <= 0 or self.chance.maybe(0.25):
            return of("1", "0", "-2", "3", f"LENGTH({of(*self.fields)})", "TRY_CAST(b AS INTEGER)")
        return f"({self.chance.make(self._wholes(depth - 1))})"

    def _wholes(self, deep: int) -> dict[str, Form]:
        text, whole, truth, of = self.text, self.whole, self.truth, self.chance.of
        return {
            "LENGTH": lambda: f"LENGTH({text(deep)})",
            "STRPOS": lambda: f"STRPOS({text(deep)}, {text(0)})",
            "whole +": lambda: f"{whole(deep)} + {whole(deep)}",
            "whole -": lambda: f"{whole(deep)} - {whole(deep)}",
            "whole *": lambda: f"{whole(deep)} * {of(whole(deep), 9223372036854775)}",
            "whole /": lambda: f"{whole(deep)} / {whole(deep)}",
            "whole %": lambda: f"{whole(deep)} % {whole(deep)}",
            "MOD": lambda: f"MOD({whole(deep)}, {whole(deep)})",
            "whole negated": lambda: f"-({whole(deep)})",
            "whole ABS": lambda: f"ABS({whole(deep)})",
            "whole COALESCE": lambda: f"COALESCE({whole(deep)}, {whole(0)})",
            "whole CASE": lambda: f"CASE WHEN {truth(deep)} THEN {whole(deep)} END",
            "whole GREATEST": lambda: f"{of('GREATEST', 'LEAST')}({whole(deep)}, {whole(deep)})",
            "whole NULLIF": lambda: f"NULLIF({whole(deep)}, {whole(0)})",
            "TRY_CAST AS INTEGER": lambda: f"TRY_CAST({text(deep)} AS {of(*_WHOLE_CASTS)})",
            "CAST AS INTEGER": lambda: f"CAST({self.decimal(deep)} AS {of(*_WHOLE_CASTS)})",
        }  # fmt: skip

    def decimal(self, depth: int) -> str:
        """An expression that gives a decimal number."""
        of = self.chance.of
        if depth <= 0 or self.chance.maybe(0.25):
            cast = f"TRY_CAST({of(*self.fields)} AS {of(*_CASTS)})"
            return of(cast, cast, "1.5", "0.07", "1.50")
        return f"({self.chance.make(self._decimals(depth - 1))})"

    def _decimals(self, deep: int) -> dict[str, Form]:
        decimal, whole, of = self.decimal, self.whole, self.chance.of
        return {
            "decimal +": lambda: f"{decimal(deep)} + {of(decimal, whole)(deep)}",
            "decimal -": lambda: f"{decimal(deep)} - {decimal(deep)}",
            "decimal *": lambda: f"{decimal(deep)} * {of(decimal, whole)(deep)}",
            "decimal /": lambda: f"{of(decimal, whole)(deep)} / {decimal(deep)}",
            "decimal %": lambda: f"{decimal(deep)} % {decimal(deep)}",
            "decimal negated": lambda: f"-({decimal(deep)})",
            "ABS": lambda: f"ABS({decimal(deep)})",
            "ROUND": lambda: f"ROUND({of(decimal, whole)(deep)}{of('', ', 2', ', 0', ', -1', ', 5')})",
            "decimal COALESCE": lambda: f"COALESCE({decimal(deep)}, {of(whole, decimal)(0)})",
            "decimal GREATEST": lambda: f"{of('GREATEST', 'LEAST')}({decimal(deep)}, {of(whole, decimal)(0)})",
            "decimal CASE": lambda: f"CASE WHEN {self.truth(deep)} THEN {decimal(deep)}"
            f" ELSE {of(whole, decimal)(0)} END",
            "TRY_CAST AS DECIMAL": lambda: f"TRY_CAST({self.text(deep)} AS {of(*_CASTS)})",
            "CAST AS DECIMAL": lambda: f"CAST({of(decimal, whole)(deep)} AS {of(*_CASTS)})",
        }  # fmt: skip

    def truth(self, depth: int) -> str:
        """An expression that is true, false or unknown."""
        if depth <= 0:
            return self.chance.of(
                "a = '1'", "b IS NULL", "TRUE", "FALSE", "NULL IS UNKNOWN", "c <> a"
            )
        return f"({self.chance.make(self._truths(depth - 1))})"

    def _truths(self, deep: int) -> dict[str, Form]:
        text, truth, of = self.text, self.truth, self.chance.of
        sides = of((text, text), (self.whole, self.decimal), (self.whole, self.whole), (text, text))
        no = of("", "NOT ")
        return {
            "comparison": lambda: f"{sides[0](deep)} {of('=', '<>', '<', '>', '<=', '>=')} {sides[1](deep)}",
            "AND": lambda: f"{truth(deep)} AND {truth(deep)}",
            "OR": lambda: f"{truth(deep)} OR {truth(deep)}",
            "NOT": lambda: f"NOT ({truth(deep)})",
            "IS TRUE": lambda: f"({truth(deep)}) IS {no}TRUE",
            "IS FALSE": lambda: f"({truth(deep)}) IS {no}FALSE",
            "IS UNKNOWN": lambda: f"({truth(deep)}) IS {no}UNKNOWN",
            "IS NULL": lambda: f"{sides[0](deep)} IS {no}NULL",
            "IN": lambda: f"{text(deep)} {no}IN ('1', {text(0)}{of('', ', NULL')})",
            "whole IN": lambda: f"{self.whole(deep)} {no}IN (1, {self.whole(0)})",
            "LIKE": lambda: f"{text(deep)} {no}LIKE {quoted(of(*_LIKES))}",
            "LIKE ESCAPE": lambda: f"{text(deep)} LIKE {quoted(of('%!%%', '!_x', 'a!!%'))} ESCAPE '!'",
            "ILIKE": lambda: f"{text(deep)} {no}ILIKE {quoted(of('a%', '%É%', '%ss%', 'İ%'))}",
            "IS DISTINCT FROM": lambda: f"{sides[0](deep)} IS {no}DISTINCT FROM {sides[1](deep)}",
            "BETWEEN": lambda: f"{sides[0](deep)} {no}BETWEEN {sides[0](0)} AND {sides[1](0)}",
            "REGEXP_LIKE": lambda: f"REGEXP_LIKE({text(deep)}, {quoted(of(*_PATTERNS))}{of('', ', ' + quoted('i'))})",
            "STARTS_WITH": lambda: f"STARTS_WITH({text(deep)}, {text(0)})",
            "ENDS_WITH": lambda: f"ENDS_WITH({text(deep)}, {text(0)})",
            "TRY_CAST AS BOOLEAN": lambda: f"TRY_CAST({text(deep)} AS {of('BOOLEAN', 'BOOL')})",
        }  # fmt: skip


def written(field: str) -> str:
    """A field's name as an expression has it."""
    plain = all(part.isidentifier() and part.isascii() for part in field.split("."))
    return field if plain else '"' + field.replace('"', '""') + '"'


def quoted(text: str) -> str:
    """A text as an expression has it."""
    return "'" + text.replace("'", "''") + "'"
