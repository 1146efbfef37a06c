"""The guard before polars' SQL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.language.sql import Node, SqlRefused, parse_sql
from migrate.language.sql.tokens import FUNCTIONS, KEYWORDS, RESERVED, TYPES
from migrate.mapping.checks import sql_problems
from migrate.mapping.columns import evaluate
from migrate.mapping.model import Mapping
from migrate.mapping.sql import run_sql
from migrate.mapping.transform import Settings, map_rows


def _rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "f:source": ["Shop", None],
            "f:id": ["1", "2"],
            "f:item.price": ["10", "x"],
            "f:my field": ["a", ""],
            "f:^.*$": ["r", "s"],
        }
    )


def _answers(sql: str, rows: pl.DataFrame) -> list[str | None]:
    """What an expression gives as the text that is sent; FAILS where it cannot be worked out."""
    found = evaluate("sql", sql, rows)
    fails = [False] * rows.height if found.fails is None else found.fails.to_list()
    texts = [str(v).lower() if isinstance(v, bool) else v for v in found.values]
    return ["FAILS" if failed else text for text, failed in zip(texts, fails, strict=True)]


EXPRESSIONS: list[tuple[str, list[str | None]]] = [
    ("source || ':' || id", ["Shop:1", None]),
    ("UPPER(source)", ["SHOP", None]),
    ("COALESCE(source, 'none')", ["Shop", "none"]),
    ("CASE WHEN id IN ('1', '3') THEN 'yes' ELSE 'no' END", ["yes", "no"]),
    ("TRY_CAST(item.price AS INTEGER) + 1", ["11", None]),
    ("LENGTH(item.price) - 5", ["-3", "-4"]),
    ("STRPOS(source, 'p') - 9", ["-5", None]),
    ("TRY_CAST(item.price || '00000000' AS INTEGER) * 4", ["4000000000", None]),
    ("COALESCE(TRY_CAST(id AS INTEGER), LENGTH(id)) - (LENGTH(id) + 2)", ["-2", "-1"]),
    ("ROUND(TRY_CAST(item.price AS DECIMAL) * 1.5, 2)", ["15.00", None]),
    ("'it''s'", ["it's", "it's"]),
    ("\"my field\" = ''", ["false", "true"]),
    ('"^.*$"', ["r", "s"]),
    ("REGEXP_LIKE(id, '^[0-9]\\.?$')", ["true", "true"]),
    ("id <> '1' AND NOT (source IS NULL)", ["false", "false"]),
    ("id BETWEEN '2' AND '3'", ["false", "true"]),
    ("CAST(id AS VARCHAR)", ["1", "2"]),
]


@pytest.mark.parametrize(("sql", "wanted"), EXPRESSIONS)
def test_evaluates_row_by_row(sql: str, wanted: list[str | None]) -> None:
    """Expressions over the text fields give text, dotted and quoted names reaching the flat columns."""
    assert sql_problems("sql", sql) == []
    assert _answers(sql, _rows()) == wanted


@pytest.mark.parametrize(("sql", "wanted"), EXPRESSIONS)
@pytest.mark.parametrize("place", [0, 1])
def test_rows_alike_give_what_one_of_them_gives(
    sql: str, wanted: list[str | None], place: int
) -> None:
    """Fields that are the same in all rows are worked out once: each row has what it has among others."""
    alike = pl.concat([_rows()[place]] * 3)
    assert _answers(sql, alike) == [wanted[place]] * 3


@pytest.mark.parametrize(
    "sql",
    [
        "(SELECT 1)",
        "id IN (SELECT b FROM read_csv('/etc/passwd'))",
        "(FROM read_csv('/etc/passwd'))",
        "id IN (/* ' */ SELECT 1 /* ' */)",
        "id -- x",
        "$$'$$",
        "`id`",
        "N'x'",
        "E'\\''",
        "X'00'",
        "U&'x'",
        "read_csv('/etc/passwd')",
        "\"read_csv\"('x')",
        "SUM(id)",
        "COUNT(*)",
        "*",
        "id, source",
        "ROW_NUMBER() OVER ()",
        "EXISTS (id)",
        "id = ANY(source)",
        "VALUES (1)",
        "WITH x AS (id) id",
        "id::INTEGER",
        "id -> 'a'",
        "id[1]",
        "{id}",
        "id; id",
        "CAST(id AS INTEGER)",
        "TRY_CAST(id AS DOUBLE)",
        "TRY_CAST(id AS DATE)",
        "STRPTIME(id, '%Y')",
        "NOW()",
        "id AS x",
        "id source",
        "1e5",
        "((id)",
        "id)",
        "",
        " ",
        '""',
        "'open",
        '"open',
        "id id",
        "DATE '2020-01-01'",
        "INTERVAL '1' DAY",
        "id ~ 'x'",
        "@id",
        "(" * 40 + "id" + ")" * 40,
        "id || " * 1000 + "id",
        "\0",
        "é",
        "id\u00a0= 1",
        "UNNEST(id)",
        "item.*",
        "id.read_csv('x')",
    ],
)
def test_refuses_what_is_not_listed(sql: str) -> None:
    """Sub-queries, comments, prefixed strings, unlisted functions and everything else not on the page are refused."""
    with pytest.raises(SqlRefused):
        parse_sql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "id / 2",
        "id +",
        "LEFT(id)",
        "REGEXP_LIKE(id, '(')",
        "CASE id",
    ],
)
def test_says_at_reading_time_what_polars_cannot_run(sql: str) -> None:
    """What passes the guard but cannot be run, or gives a binary float, is found before any row is read."""
    assert sql_problems("sql", sql)


@pytest.mark.parametrize(
    ("sql", "at", "what"),
    [
        ("'a' 'b'", 5, "two texts stand side by side"),
        ("id || 'a' || LENGHT(id)", 14, "did you mean"),
        ("id = 5", 1, "TRY_CAST"),
        ("id -- x", 4, "a comment"),
        ("LOWER(id) || COUNT(*)", 14, "COUNT is not allowed"),
        ("id || (SELECT 1)", 8, "SELECT is not allowed"),
        ("CAST(id AS INTEGER)", 6, "TRY_CAST"),
        ("TRY_CAST(id AS DOUBLE)", 16, "one of BIGINT"),
        ("REGEXP_LIKE(id, '(?=x)')", 17, "is not read"),
        ("id == 'x'", 4, "= is"),
        ("SUM(id) OVER ()", 1, "SUM is not allowed"),
        ("id IN (1)", 1, "do not go together"),
        ("NOT id", 5, "true or false is wanted"),
    ],
)
def test_errors_point_and_say_what_is_allowed(sql: str, at: int, what: str) -> None:
    """Each refusal names the character, the rule, and what may be written instead."""
    with pytest.raises(SqlRefused) as refused:
        parse_sql(sql)
    assert refused.value.at + 1 == at
    assert what in str(refused.value)


NEGATED = [
    ("f IS NULL", "f IS NOT NULL"),
    ("(f = '0') IS TRUE", "(f = '0') IS NOT TRUE"),
    ("(f = '0') IS FALSE", "(f = '0') IS NOT FALSE"),
    ("(f = '0') IS UNKNOWN", "(f = '0') IS NOT UNKNOWN"),
    ("f IS DISTINCT FROM '0'", "f IS NOT DISTINCT FROM '0'"),
    ("f IN ('0', 'abc')", "f NOT IN ('0', 'abc')"),
    ("f BETWEEN '0' AND '3'", "f NOT BETWEEN '0' AND '3'"),
    ("f LIKE '%b%'", "f NOT LIKE '%b%'"),
    ("f ILIKE '%B%'", "f NOT ILIKE '%B%'"),
    ("f LIKE '%!b%' ESCAPE '!'", "f NOT LIKE '%!b%' ESCAPE '!'"),
]
"""Each test of PostgreSQL's that has a form with NOT in its middle."""


@pytest.mark.parametrize(("sql", "negated"), NEGATED)
def test_not_in_the_middle_turns_the_answer_round(sql: str, negated: str) -> None:
    """The form with NOT says of each value what NOT before the whole would."""
    rows = pl.DataFrame({"f:f": NASTY}, schema={"f:f": pl.String})
    answers = _answers(sql, rows)
    turned = {"true": "false", "false": "true", None: None}
    assert _answers(negated, rows) == [turned[answer] for answer in answers]
    assert _answers(f"NOT ({sql})", rows) == [turned[answer] for answer in answers]
    assert "true" in answers
    assert "false" in answers


def test_a_word_that_no_taker_reads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a later parser puts into an argument of its own is never dropped: without NOT the meaning is another."""
    monkeypatch.setattr("migrate.language.sql.reader._ARGUMENTS", {})
    with pytest.raises(SqlRefused, match="an argument too many"):
        parse_sql("unseen_field IS NOT NULL")


NASTY = ["1e32", "0", "-7", "2.5", "abc", None, "", "99999999999999999999"]
FAILING: list[tuple[str, list[str | None]]] = [
    ("TRY_CAST(f AS DECIMAL)", ["FAILS", "0", "-7", "2.5", None, None, None, "FAILS"]),
    ("TRY_CAST(f AS INTEGER)", [None, "0", "-7", None, None, None, None, None]),
    ("10 / TRY_CAST(f AS INTEGER)", [None, "FAILS", "-1", None, None, None, None, None]),
    ("CASE WHEN f = '0' THEN 0 ELSE 10 / TRY_CAST(f AS INTEGER) END", [None, "0", "-1", None, None, None, None, None]),
    ("LENGTH(f) * 900000000000000000 * 10", ["FAILS", "9000000000000000000"] + ["FAILS"] * 3 + [None, "0", "FAILS"]),
    ("COALESCE(TRY_CAST(f AS DECIMAL), 0) || ' EUR'",
     ["FAILS", "0 EUR", "-7 EUR", "2.5 EUR", "0 EUR", "0 EUR", "0 EUR", "FAILS"]),
    ("SUBSTR('abc', 1, TRY_CAST(f AS INTEGER))", [None, "", "FAILS", None, None, None, None, None]),
    ("RPAD('x', 3, '-') < LOWER(f)", ["false", "false", "false", "false", "false", None, "false", "false"]),
    ("(f = '0') IS NOT TRUE", ["true", "false", "true", "true", "true", "true", "true", "true"]),
    ("STRPOS(f, '@x') = 0", ["true"] * 5 + [None, "true", "true"]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "wanted"), FAILING)
def test_one_value_never_stops_the_others(sql: str, wanted: list[str | None]) -> None:
    """A division by zero or a number too large is its own record's; the others have their answers."""
    rows = pl.DataFrame({"f:f": NASTY}, schema={"f:f": pl.String})
    assert _answers(sql, rows) == wanted
    for place, value in enumerate(NASTY):
        alike = pl.DataFrame({"f:f": [value] * 3}, schema={"f:f": pl.String})
        assert _answers(sql, alike) == [wanted[place]] * 3


def test_a_number_too_large_rejects_its_record_by_name(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """The row is rejected as `not_computable` under its column or under `where`, and the plan goes on."""
    made = mapping("x: {sql: 'TRY_CAST(f AS DECIMAL) * 2', type: float}")
    found = map_rows(made, rows(f=["1e32", "2", None]), {}, Settings())
    assert found.accepted["_id"].to_list() == ["1", "2"]
    assert found.rejected.select("_id", "rule", "column").rows() == [("0", "not_computable", "x")]
    made = mapping("x: {from: f, type: text}", top='where: "10 / TRY_CAST(f AS INTEGER) > 1"')
    found = map_rows(made, rows(f=["0", "5", "20", None]), {}, Settings())
    assert found.accepted["_id"].to_list() == ["1"]
    assert found.rejected.select("_id", "rule", "column").rows() == [
        ("0", "not_computable", "where")
    ]
    assert (found.read, found.filtered) == (4, 2)


CONSENTS: list[tuple[str, list[tuple[str | None, str | None]], list[bool | None]]] = [
    # what the person's own field says, another field, and what may be sent
    ("CASE WHEN f = '1' THEN 'true' ELSE 'false' END",
     [("1", None), ("0", None), (None, None), ("", "NL"), (None, "NL")], [True, False, None, None, None]),
    ("CASE WHEN f = '1' AND g = 'NL' THEN 'true' ELSE 'false' END",
     [("1", "NL"), ("1", "BE"), (None, "BE"), ("", "NL"), ("0", "NL")], [True, False, None, None, False]),
    ("CASE WHEN COALESCE(f, '0') = '1' THEN 'true' ELSE 'false' END",
     [("1", "x"), ("0", "x"), (None, "x"), ("", "x")], [True, False, None, None]),
    ("CASE WHEN f IS NULL THEN 'false' WHEN f = '1' THEN 'true' END",
     [("1", "x"), (None, "x"), ("", "x")], [True, None, None]),
    ("CASE WHEN COALESCE(NULLIF(f, ''), g) = '1' THEN 'true' ELSE 'false' END",
     [(None, "0"), ("", "1"), ("0", "1"), (None, None)], [False, True, False, None]),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "said", "wanted"), CONSENTS)
def test_silence_is_no_consent_and_no_refusal(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame], sql: str,
    said: list[tuple[str | None, str | None]], wanted: list[bool | None],
) -> None:  # fmt: skip
    """A consent by SQL is true or false only where no silent field decides; ELSE speaks for nobody."""
    made = mapping(f'x: {{sql: "{sql}", type: boolean, consent: true}}')
    frame = rows(f=[one for one, _ in said], g=[other for _, other in said])
    assert map_rows(made, frame, {}, Settings()).accepted["x"].to_list() == wanted


def test_says_where() -> None:
    """A refusal names what and at which character."""
    with pytest.raises(SqlRefused, match=r"SELECT is not allowed: .*\(character 9\)"):
        parse_sql("id IN ( SELECT 1)")


def test_where_wants_true_or_false() -> None:
    """A filter that gives text is an error of the file."""
    assert sql_problems("where", "id") == [
        "gives a value, not true or false; compare it with something, as in f = 'x'"
    ]
    assert sql_problems("where", "id = '1'") == []


def test_reads_names_as_fields() -> None:
    """Each name is reported once: plain, dotted and quoted; a keyword of SQL can be a field in quotes."""
    assert parse_sql('id || item.name || "select" || id').fields == ("id", "item.name", "select")


@pytest.mark.parametrize("cast", ["TRY_CAST(id AS {})", "CAST(1 AS {})", "1::{}"])
@pytest.mark.parametrize("name", sorted(TYPES))
def test_only_the_types_of_the_page_take_a_size(name: str, cast: str) -> None:
    """VARCHAR takes one size and DECIMAL two, as in PostgreSQL; every other size is refused and not left unread."""
    most = {"VARCHAR": 1, "DECIMAL": 2, "NUMERIC": 2}.get(name, 0)
    for count in range(1, 4):
        written = cast.format(f"{name}({', '.join(['2'] * count)})")
        if count <= most:
            parse_sql(written)
        else:
            with pytest.raises(SqlRefused, match="a size that the type does not take"):
                parse_sql(written)


@pytest.mark.parametrize(
    "name",
    [
        "VARCHAR(0)", "VARCHAR(10485761)", "VARCHAR('3')", "VARCHAR(1.5)", "VARCHAR(-3)", "VARCHAR(id)",
        "VARCHAR(MAX)", "DECIMAL(0)", "DECIMAL(39)", "DECIMAL(0, 0)", "DECIMAL(2, 3)", "DECIMAL(20, 13)",
        "DECIMAL('5')", "DECIMAL(5, x)", "VARCHAR[]", "VARCHAR(3)[]", "VARCHAR(3 id)",
    ],
)  # fmt: skip
def test_a_size_has_bounds(name: str) -> None:
    """VARCHAR has room for 1 to 10,485,760 letters (PostgreSQL 15, 8.3); a size is a whole number written out."""
    for written in (f"TRY_CAST(id AS {name})", f"CAST(1 AS {name})"):
        with pytest.raises(SqlRefused):
            parse_sql(written)


def test_sizes_at_their_bounds_are_read() -> None:
    """The smallest and the largest size are no errors."""
    for name in (
        "VARCHAR(1)",
        "VARCHAR(10485760)",
        "DECIMAL(1)",
        "DECIMAL(38, 12)",
        "DECIMAL(1, 1)",
    ):
        parse_sql(f"TRY_CAST(id AS {name})")


COMPARISONS = ["=", "<>", "!=", "<", "<=", ">", ">="]


@pytest.mark.parametrize("first", COMPARISONS)
@pytest.mark.parametrize("second", COMPARISONS)
def test_comparisons_in_a_row_want_brackets(first: str, second: str) -> None:
    """Comparison operators have one precedence and do not associate (PostgreSQL 15, 4.1.6)."""
    for around in ("{}", "NOT {}", "{} IS TRUE", "a = b AND {}", "CASE WHEN {} THEN 1 END", "({})"):
        with pytest.raises(SqlRefused, match="two comparisons in a row"):
            parse_sql(around.format(f"a {first} b {second} c"))
        parse_sql(around.format(f"(a {first} b) {second} (b {second} c)"))
        parse_sql(around.format(f"(a {first} b) {second} TRUE"))


@pytest.mark.parametrize(
    "first", ["BETWEEN 'a' AND b", "LIKE 'a'", "ILIKE 'a' ESCAPE '!'", "IN ('a')"]
)
@pytest.mark.parametrize("second", ["BETWEEN TRUE AND FALSE", "IN (TRUE)", "NOT IN (TRUE)"])
def test_ranges_in_a_row_want_brackets(first: str, second: str) -> None:
    """BETWEEN, IN and LIKE are of one precedence, too."""
    with pytest.raises(SqlRefused, match="two comparisons in a row"):
        parse_sql(f"a {first} {second}")
    parse_sql(f"(a {first}) {second}")


@pytest.mark.parametrize(
    ("bare", "bracketed"),
    [
        # 4.1.6, from the highest: + - … others, BETWEEN IN LIKE, comparisons, IS, NOT, AND, OR
        ("a = 'b' IS TRUE", "(a = 'b') IS TRUE"),
        ("a = 'b' IS NULL", "(a = 'b') IS NULL"),
        ("a IS NULL = TRUE", "(a IS NULL) = TRUE"),
        ("TRUE = a IN ('b')", "TRUE = (a IN ('b'))"),
        ("TRUE <> a NOT IN ('b')", "TRUE <> (a NOT IN ('b'))"),
        ("TRUE = a BETWEEN 'a' AND 'b'", "TRUE = (a BETWEEN 'a' AND 'b')"),
        ("a LIKE 'b' = TRUE", "(a LIKE 'b') = TRUE"),
        ("a NOT LIKE 'b' = TRUE", "(a NOT LIKE 'b') = TRUE"),
        ("a IN ('b') IS NOT TRUE", "(a IN ('b')) IS NOT TRUE"),
        ("NOT a = 'b'", "NOT (a = 'b')"),
        ("NOT a IN ('b') = TRUE", "NOT ((a IN ('b')) = TRUE)"),
        ("NOT a = 'b' IS NULL", "NOT ((a = 'b') IS NULL)"),
        ("TRUE IS DISTINCT FROM a = 'b'", "TRUE IS DISTINCT FROM (a = 'b')"),
        ("a = 'b' IS DISTINCT FROM TRUE", "(a = 'b') IS DISTINCT FROM TRUE"),
        # where the page says that it is more than PostgreSQL
        ("a NOT LIKE 'b' IN (TRUE)", "(a NOT LIKE 'b') IN (TRUE)"),
        ("a IS DISTINCT FROM b IS NULL", "(a IS DISTINCT FROM b) IS NULL"),
        ("a || 'b' = 'c' || b", "(a || 'b') = ('c' || b)"),
        ("a = 'b' AND b = 'c' OR a = b", "((a = 'b') AND (b = 'c')) OR (a = b)"),
    ],
)
def test_tests_bind_by_the_table_of_precedence(bare: str, bracketed: str) -> None:
    """What stands without brackets is read as with those that PostgreSQL's table puts there."""
    assert parse_sql(bare) == parse_sql(bracketed)


VALUES_OF_THE_DATABASE = [
    "CURRENT_CATALOG", "CURRENT_DATE", "CURRENT_ROLE", "CURRENT_SCHEMA", "CURRENT_TIME", "CURRENT_TIMESTAMP",
    "CURRENT_USER", "LOCALTIME", "LOCALTIMESTAMP", "SESSION_USER", "USER",
]  # fmt: skip
"""What PostgreSQL 15 gives for a bare word, without a table (its documentation, 9.9.5 and 9.26)."""


@pytest.mark.parametrize("word", VALUES_OF_THE_DATABASE)
def test_a_value_of_the_database_is_no_field(word: str) -> None:
    """A bare word that is a value in PostgreSQL is refused at its place, and says how such a field is written."""
    for written in (word, word.lower()):
        with pytest.raises(SqlRefused, match=f"{written} is a word of SQL.*double quotes") as error:
            parse_sql(f"created < {written}")
        assert error.value.at == len("created < ")
    assert parse_sql(f'created < "{word}"').fields == ("created", word)


@pytest.mark.parametrize("word", sorted(RESERVED))
def test_a_reserved_word_is_a_field_in_quotes_only(word: str) -> None:
    """No word that PostgreSQL reserves is read as a field unless it stands in double quotes, or after a point."""
    for bare in (word, word.title()):
        try:
            assert parse_sql(bare).fields == ()
        except SqlRefused:
            continue
    assert parse_sql(f'"{word}"').fields == (word,)
    assert parse_sql(f"item.{word.lower()}").fields == (f"item.{word.lower()}",)


_WORDS = [
    *sorted(KEYWORDS | FUNCTIONS | TYPES),
    "SELECT",
    "FROM",
    "read_csv",
    "WITH",
    "VALUES",
    "OVER",
    "ANY",
    "EXISTS",
    "AS",
    "UNION",
    "a",
    "item.b",
    "'",
    "''",
    "'x'",
    '"',
    '"a"',
    "(",
    ")",
    ",",
    "*",
    "--",
    "/*",
    "*/",
    "$$",
    "$a$",
    "`",
    "\\",
    "\\'",
    "N'",
    "E'",
    ";",
    "::",
    "->",
    "[",
    "]",
    "{",
    "}",
    "1",
    "1.5",
    "=",
    "<",
    "||",
    ":",
    "@",
    "#",
    "\n",
    "\t",
    "\u00a0",
    "/nonexistent/secret.csv",
    "'/nonexistent/secret.csv'",
    "read_csv('/nonexistent/secret.csv')",
]
_TEXTS = st.lists(st.sampled_from(_WORDS), max_size=14).flatmap(
    lambda ws: st.sampled_from(["", " "]).map(lambda gap: gap.join(ws))
)


_OPS = {
    "field", "text", "number", "boolean", "null", "and", "or", "not", "is_null", "is_true", "is_false", "same",
    "compare", "like", "regexp_like", "integer", "decimal", "widen", "negate", "abs", "round", "to_integer",
    "to_decimal", "to_boolean", "to_text", "case", "coalesce", "nullif", "greatest", "least", "join", "concat",
    "concat_ws", "lower", "upper", "initcap", "reverse", "length", "trim", "substr", "left", "right", "lpad",
    "rpad", "replace", "split_part", "strpos", "starts_with", "ends_with",
}  # fmt: skip


def _ops(node: Node) -> set[str]:
    return {node.op}.union(*(_ops(arg) for arg in node.args))


@given(_TEXTS | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_nothing_else_gets_through(text: str) -> None:
    """Whatever passes is made of the language's own nodes only, and can be worked out over any row."""
    try:
        expression = parse_sql(text)
    except SqlRefused as refused:
        assert 0 <= refused.at <= len(text)
        return
    assert _ops(expression.root) <= _OPS
    rows = pl.DataFrame(
        {name: ["x", "1", None] for name in expression.fields} or {"row": [1, 2, 3]}
    )
    assert len(run_sql(expression, rows, pl.col).values) == 3


def test_no_file_is_opened(tmp_path: Path) -> None:
    """A pipe that would block whoever opens it proves that no reading function was reached."""
    pipe = tmp_path / "trap.csv"
    os.mkfifo(pipe)
    for text in (
        f"(FROM read_csv('{pipe}'))",
        f"id IN (SELECT a FROM read_csv('{pipe}'))",
        f"read_csv('{pipe}')",
    ):
        assert sql_problems("sql", text)


def test_where_leaves_out_unknown(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """Rows for which `where` is false or null are counted as filtered, none is lost."""
    made = mapping("x: {from: f, type: text}", top="where: \"f <> 'no'\"")
    found = map_rows(made, rows(f=["yes", "no", None, ""]), {}, Settings())
    assert found.accepted["_id"].to_list() == ["0", "3"]
    assert (found.read, found.filtered, found.rejected.height) == (4, 2, 0)
