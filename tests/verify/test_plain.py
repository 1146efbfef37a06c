"""What the verifier tells in SQL is what its functions say: a text that is plain to SQL is nobody's to read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.language.patterns import WHITE_SPACE
from migrate.language.zones import clock_changes, load_zone
from migrate.verify.apply import function_of, left_alone
from migrate.verify.column import trimmed
from migrate.verify.language.database import database
from migrate.verify.language.forms import FORMS
from migrate.verify.language.moments import plain_day, plain_moment
from migrate.verify.language.steps import Writer
from migrate.verify.rules import ColumnRule
from migrate.verify.typed import Broken, plain_texts, reader_of

FIRST = datetime(2000, 1, 2, tzinfo=UTC)
ZONES = ("UTC", "Europe/Amsterdam", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca")
"""Zones with and without summer time, one that shifts by half an hour, one that turns back in Ramadan."""


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database for the module."""
    with database() as opened:
        yield opened


def ask(connection: duckdb.DuckDBPyConnection, writer: Writer, sql: str, *texts: str) -> str | None:
    """What SQL gives of one row with the columns `t` and `z`."""
    query = writer.query(
        "(SELECT CAST($1 AS VARCHAR) AS t, CAST($2 AS VARCHAR) AS z)", [(sql, "v")]
    )
    [(found,)] = connection.execute(query, list(texts)).fetchall()
    return found


def ask_all(
    connection: duckdb.DuckDBPyConnection, writer: Writer, sql: str, texts: Sequence[str], zone: str
) -> list[str | None]:
    """The same of a row for each text, in one query."""
    rows = "(SELECT UNNEST(CAST($1 AS VARCHAR[])) AS t, CAST($2 AS VARCHAR) AS z)"
    answers = connection.execute(writer.query(rows, [(sql, "v")]), [list(texts), zone]).fetchall()
    return [value for (value,) in answers]


def _read(kind: str, text: str, zone: str, digits: str = "decimals") -> str | None:
    try:
        return reader_of(ColumnRule("c", kind), digits)(text, zone)
    except Broken:
        return None


_clocks = st.datetimes(
    min_value=datetime(1999, 12, 30), max_value=datetime(2040, 1, 2), allow_imaginary=False
)
_tails = st.sampled_from(
    ["", "", "", "Z", "+01:00", "-11:30", "+24:00", ".5", ".123456789Z", "z", " UTC"]
)


@given(clock=_clocks, tail=_tails, between=st.sampled_from(" T"), zone=st.sampled_from(ZONES))
def test_a_plain_time_is_the_same_moment(
    connection: duckdb.DuckDBPyConnection, clock: datetime, tail: str, between: str, zone: str
) -> None:
    """In every zone, around every change of its clock: NULL, or the moment that is read one text at a time."""
    text = clock.strftime(f"%Y-%m-%d{between}%H:%M:%S") + tail
    writer = Writer(FORMS, str)
    found = ask(connection, writer, plain_moment(writer, "t", "z", ZONES), text, zone)
    assert found in {None, _read("datetime", text, zone)}
    if 2000 <= clock.year < 2040 and tail in {"", "Z", "+01:00"}:
        assert found is not None


@pytest.mark.parametrize("zone", ZONES)
def test_around_a_change_of_the_clock(connection: duckdb.DuckDBPyConnection, zone: str) -> None:
    """A time that came twice is the earlier one, a skipped one moves forward (PEP 495), as zoneinfo has it."""
    _, changes = clock_changes(zone)
    recent = [change for change in changes if change.at > FIRST.timestamp()][:40]
    locals_ = [
        datetime(1970, 1, 1) + timedelta(seconds=change.at + change.before, minutes=minutes)
        for change in recent
        for minutes in (-61, -1, 0, 1, 59, 61)
    ]
    writer = Writer(FORMS, str)
    sql = plain_moment(writer, "t", "z", ZONES)
    texts = [local.isoformat(sep=" ") for local in locals_]
    moments = [local.replace(tzinfo=load_zone(zone)).astimezone(UTC) for local in locals_]
    expected = [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    assert ask_all(connection, writer, sql, texts, zone) == expected


@given(
    text=st.one_of(
        st.from_regex(r"-?[0-9]{1,4}(\.[0-9]{1,7})?", fullmatch=True),
        st.text(max_size=8),
        st.sampled_from(
            ["-0", "-0.5", "0.50", "00", "2147483648", "123456.7", "true", "True", "999999999"]
        ),
    )
)
@pytest.mark.parametrize(
    ("kind", "digits"),
    [
        ("integer", "decimals"),
        ("boolean", "decimals"),
        ("float", "decimals"),
        ("float", "significant"),
    ],
)
def test_a_plain_text_is_its_own_value(
    connection: duckdb.DuckDBPyConnection, kind: str, digits: str, text: str
) -> None:
    """A number or truth that SQL takes as it is, the type reads as the very same text."""
    text = text.replace("\0", "")
    [plain] = plain_texts(kind, digits, "t")
    is_plain = ask(connection, Writer(FORMS, str), f"CAST({plain} AS VARCHAR)", text, "")
    assert is_plain == "false" or _read(kind, text, "UTC", digits) == text


@given(
    text=st.one_of(
        st.text(max_size=12),
        st.sampled_from(
            [
                "jan@x.nl",
                "j.a+n@x-y.nl",
                "a@b",
                "a..b@x.nl",
                "jan@x.nl.",
                "CafÃ©",
                "a<b",
                "a&amp;b",
                "\u2028x",
                "é" * 9,
            ]
        ),
    )
)
@pytest.mark.parametrize(
    ("name", "argument"),
    [("email", None), ("fix_text", None), ("strip_html", None), ("truncate", 5)],
)
def test_what_sql_leaves_alone_the_function_does_too(
    connection: duckdb.DuckDBPyConnection, name: str, argument: int | None, text: str
) -> None:
    """Nobody calls a function for a text that it would give back unchanged; no other text is passed over."""
    text = text.replace("\0", "")
    [alone] = left_alone(name, argument, "t")
    if (
        ask(connection, Writer(FORMS, str), f"CAST({alone} AS VARCHAR)", text, "") == "true"
        and text
    ):
        assert function_of(name, argument)(text) == text


@given(text=st.text(alphabet=st.sampled_from(" \t\n\x1f\x7f\x85\xa0\u2003é~!a"), max_size=6))
def test_white_space_is_unicode_s(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """What is taken off both ends is what Unicode calls white space, and nothing else."""
    assert ask(connection, Writer(FORMS, str), trimmed("t"), text, "") == text.strip(WHITE_SPACE)


@given(
    day=st.one_of(
        st.dates().map(str),
        st.sampled_from(["2023-02-29", "0999-01-01", "2024-02-29 25:00:00", "2024-02-29T10:00:00"]),
    )
)
def test_a_plain_day_is_the_same_day(connection: duckdb.DuckDBPyConnection, day: str) -> None:
    """NULL, or the day that is read one text at a time."""
    writer = Writer(FORMS, str)
    assert ask(connection, writer, plain_day(writer, "t"), day, "") in {
        None,
        _read("date", day, "UTC"),
    }
