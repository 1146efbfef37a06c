"""The page on SQL: each example gives what it says, on both engines, and each function has one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pytest

from migrate.language.sql import parse_sql
from migrate.language.sql.tokens import FUNCTIONS
from migrate.mapping.sql import run_sql
from migrate.verify.language.database import database
from migrate.verify.language.forms import FORMS, write_into
from migrate.verify.language.steps import Writer

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `(.+)` \| (`[^|]*`|NULL|fails) \|$", PAGE, re.MULTILINE)


def _planned(sql: str) -> str | None:
    found = run_sql(parse_sql(sql), pl.DataFrame({"row": [1]}), pl.col)
    if found.fails is not None and found.fails.item():
        return "fails"
    value = found.values.item()
    return str(value).lower() if isinstance(value, bool) else value


def _verified(database: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    writer = Writer(FORMS, str)
    [value] = write_into(writer, parse_sql(sql))
    outputs = [(value.value, "value"), (value.fails or "FALSE", "fails")]
    [(text, fails)] = database.execute(writer.query("(SELECT 1)", outputs)).fetchall()
    return "fails" if fails else text


@pytest.fixture(scope="module")
def second_engine() -> Iterator[duckdb.DuckDBPyConnection]:
    """The verifier's database."""
    with database() as connection:
        yield connection


@pytest.mark.parametrize(("sql", "says"), EXAMPLES)
def test_examples_give_what_the_page_says(
    second_engine: duckdb.DuckDBPyConnection, sql: str, says: str
) -> None:
    """Both engines give the answer of the page."""
    wanted = {"NULL": None, "fails": "fails"}.get(says, says.strip("`"))
    assert _planned(sql) == wanted
    assert _verified(second_engine, sql) == wanted


def test_every_function_has_an_example() -> None:
    """No function is allowed of which the page does not show what it does."""
    shown = " ".join(sql for sql, _ in EXAMPLES).upper()
    assert len(EXAMPLES) > 100
    assert [name for name in sorted(FUNCTIONS) if f"{name}(" not in shown] == []
