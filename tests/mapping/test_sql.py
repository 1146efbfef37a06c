"""The guard before polars' SQL."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.mapping.checks import sql_problems
from migrate.mapping.columns import FIELD, evaluate
from migrate.mapping.model import Mapping
from migrate.mapping.sql import FUNCTIONS, KEYWORDS, TYPES, SqlRefused, guard_sql
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


EXPRESSIONS: list[tuple[str, list[str | None]]] = [
    ("source || ':' || id", ["Shop:1", None]),
    ("UPPER(source)", ["SHOP", None]),
    ("COALESCE(source, 'none')", ["Shop", "none"]),
    ("CASE WHEN id IN ('1', '3') THEN 'yes' ELSE 'no' END", ["yes", "no"]),
    ("TRY_CAST(item.price AS INTEGER) + 1", ["11", None]),
    ("LENGTH(item.price) - 5", ["-3", "-4"]),
    ("STRPOS(source, 'p') - 9", ["-5", "-9"]),
    ("TRY_CAST(item.price || '00000000' AS INTEGER) * 4", ["4000000000", None]),
    ("COALESCE(TRY_CAST(id AS INTEGER), LENGTH(id)) - (LENGTH(id) + 2)", ["-2", "-1"]),
    ("ROUND(TRY_CAST(item.price AS DECIMAL) * 1.5, 2)", ["15", None]),
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
    assert evaluate("sql", sql, _rows()).to_list() == wanted


@pytest.mark.parametrize(("sql", "wanted"), EXPRESSIONS)
@pytest.mark.parametrize("place", [0, 1])
def test_rows_alike_give_what_one_of_them_gives(
    sql: str, wanted: list[str | None], place: int
) -> None:
    """Fields that are the same in all rows are worked out once: each row has what it has among others."""
    alike = pl.concat([_rows()[place]] * 3)
    assert evaluate("sql", sql, alike).to_list() == [wanted[place]] * 3


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
        "'a\\' || id",
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
        guard_sql(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "id / 2",
        "TRY_CAST(id AS INTEGER) / 2",
        "id +",
        "LEFT(id)",
        "REGEXP_LIKE(id, '(')",
        "CASE id",
    ],
)
def test_says_at_reading_time_what_polars_cannot_run(sql: str) -> None:
    """What passes the guard but cannot be run, or gives a binary float, is found before any row is read."""
    assert sql_problems("sql", sql)


def test_says_where() -> None:
    """A refusal names what and at which character."""
    with pytest.raises(SqlRefused, match=r"SELECT is not allowed: .*\(character 9\)"):
        guard_sql("id IN ( SELECT 1)")


def test_where_wants_true_or_false() -> None:
    """A filter that gives text is an error of the file."""
    assert sql_problems("where", "id") == ["gives String, not true or false"]
    assert sql_problems("where", "id = '1'") == []


def test_reads_names_as_fields() -> None:
    """Each name is reported once: plain, dotted and quoted; a keyword of SQL can be a field in quotes."""
    assert guard_sql('id || item.name || "select" || id').fields == ("id", "item.name", "select")


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


@given(_TEXTS | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_nothing_else_gets_through(text: str) -> None:
    """Whatever passes is made of listed words only, every other word quoted, and never makes polars look for a file."""
    try:
        guarded = guard_sql(text)
    except SqlRefused:
        return
    for token in guarded.tokens:
        assert token.kind in {
            "text",
            "quoted",
            "name",
            "number",
            "operator",
            "open",
            "close",
            "comma",
        } or (token.text in KEYWORDS | FUNCTIONS | {"AS", "DECIMAL(38,6)"} | TYPES)
        assert "'" not in token.text or token.kind in {"text", "quoted"}
    written = guarded.write(lambda name: FIELD + name)
    try:
        expression = pl.sql_expr(written)
        assert "SubPlan" not in str(expression).replace("subplan", "SubPlan").replace(
            "f:SubPlan", ""
        )
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        assert "No such file" not in str(error)


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
