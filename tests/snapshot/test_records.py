"""Records as text columns: nothing lost, nothing typed, nothing that stops a page."""

from __future__ import annotations

import json
import re
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.snapshot.json_text import MAX_COLUMNS, MAX_DEPTH, column_name
from migrate.snapshot.literals import RecordFields
from migrate.snapshot.records import (
    ChosenColumns,
    IdentityFields,
    ParsedRecords,
    add_fields,
    identify_page,
    identities_digest,
)


def parse_page(number: int, items: list[bytes], fields: IdentityFields) -> ParsedRecords:
    """A page's records with all their columns."""
    return add_fields(identify_page(number, items, fields), ChosenColumns())


FIELDS = IdentityFields(("id", "itemid"), ("metadata.source", "source"), ("updated",))
texts = st.text(max_size=8) | st.sampled_from(
    ["", "_id", "a.b", "É", "a b", "\0", "😀", "A", "a", "_source", "null"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(), max_size=10)
    | st.sampled_from(["\0", "\ud800", "a\udc00b", "😀", "\u202e", '"\\/'])
)
values = st.recursive(
    scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(texts, v, max_size=3), max_leaves=8
)
records = st.dictionaries(texts, values, max_size=6)


def literal_text(value: Any, literal: str) -> str | None:
    """What a column should hold for a value, by the plain json module."""
    if value is None:
        return None
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else literal


@given(st.lists(records, max_size=4), st.booleans())
def test_every_record_comes_back_as_sent(page: list[dict[str, Any]], ascii_only: bool) -> None:
    """`_raw` is the text sent, to the byte, and top-level columns hold the value's literal text."""
    sent = [json.dumps(record, ensure_ascii=True) for record in page]
    if not ascii_only:
        sent = [json.dumps(r, ensure_ascii=False).encode("utf-8", "replace").decode() for r in page]
        page = [json.loads(text) for text in sent]
    parsed = parse_page(7, [text.encode() for text in sent], FIELDS)
    assert parsed.frame["_raw"].to_list() == sent
    assert parsed.frame["_page"].to_list() == [7] * len(page)
    assert not parsed.unparsed
    for row, record in enumerate(page):
        for name, value in record.items():
            found = parsed.frame[column_name(name)][row]
            assert found == literal_text(value, json.dumps(value, ensure_ascii=ascii_only))


@given(page=st.lists(records, max_size=3))
def test_the_columns_open_in_polars_and_duckdb(
    page: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The Parquet file of any records gives back the same rows in both."""
    path = tmp_path_factory.mktemp("part") / "part.parquet"
    frame = parse_page(1, [json.dumps(record).encode() for record in page], FIELDS).frame
    frame.write_parquet(path)
    assert pl.read_parquet(path).equals(frame)
    assert [row[0] for row in duckdb.sql(f"select _raw from '{path}'").fetchall()] == frame[
        "_raw"
    ].to_list()


@pytest.mark.parametrize(
    ("record", "column", "text"),
    [
        ('{"v":1.10}', "v", "1.10"),
        ('{"v":9223372036854775808}', "v", "9223372036854775808"),
        ('{"v":1e400}', "v", "1e400"),
        ('{"v":-0.0}', "v", "-0.0"),
        ('{"v":NaN}', "v", "NaN"),
        ('{"v":true}', "v", "true"),
        ('{"v":"true"}', "v", "true"),
        ('{"v":""}', "v", ""),
        ('{"v":null}', "v", None),
        ('{"v":[1, {"a":2}]}', "v", '[1, {"a":2}]'),
        ('{"v":{"w":{"x":"y"}}}', "v.w.x", "y"),
        ('{"v":{"w":{"x":"y"}}}', "v.w", '{"x":"y"}'),
        ('{"v":"half \\ud83d."}', "v", "half \\ud83d."),
        ('{"v":"a\\u0000b"}', "v", "a\0b"),
        ('{"v":"tab\there"}', "v", "tab\there"),
        ('{"v":1,"v":2}', "v", "2"),
        ('{"_id":1}', "__id", "1"),
        ('{"__raw":1}', "___raw", "1"),
        ('{"_other":1}', "_other", "1"),
        ('{"":1}', "", "1"),
        ('{"a.b":1,"a":{"b":2}}', "a.b", "1"),
        ('{"a":{"b":2},"a.b":1}', "a.b", "1"),
    ],
)
def test_a_value_keeps_its_literal_text(record: str, column: str, text: str | None) -> None:
    """Each kind of value under its column's name, exactly as written."""
    assert parse_page(1, [record.encode()], FIELDS).frame[column].to_list() == [text]


def test_names_that_fold_to_one_are_counted() -> None:
    """The deeper of two equal dotted names has no column of its own, and that is said."""
    assert parse_page(1, [b'{"a.b":1,"a":{"b":2}}'], FIELDS).shared_names == {"a.b"}


@pytest.mark.parametrize(
    ("record", "inside"),
    [
        (b'{"a.b":"text","a":{"b":{"c":2}}}', "2"),
        (b'{"a":{"b":{"c":2}},"a.b":"text"}', "2"),
        (b'{"a.b":{"c":1},"a":{"b":"text"}}', "1"),
        (b'{"a.b":{"d":1},"a":{"b":{"c":2}}}', "2"),
    ],
)
def test_a_field_is_read_whatever_else_has_its_beginning(record: bytes, inside: str) -> None:
    """What is inside of the one field is a column, though the other one of that name is no object."""
    for fields in (RecordFields([record]), RecordFields([record], frozenset({"a.b.c"}))):
        assert fields.values(["a.b.c"])["a.b.c"].to_list() == [inside]


@pytest.mark.parametrize(
    ("record", "identity"),
    [
        ('{"id":"12","source":"s"}', ("s", "12")),
        ('{"id":12,"source":"s"}', ("s", "12")),
        ('{"id":12.0}', (None, "12.0")),
        ('{"itemid":"007"}', (None, "007")),
        ('{"id":"","itemid":"9"}', (None, "9")),
        ('{"id":null}', (None, None)),
        ('{"id":true}', (None, None)),
        ('{"id":["1"]}', (None, None)),
        ('{"id":{"a":1}}', (None, None)),
        ('{"id":1,"source":"top","metadata":{"source":"deep"}}', ("deep", "1")),
        ('{"id":1,"source":"top","metadata":{"source":""}}', ("top", "1")),
        ("17", (None, None)),
        ('"text"', (None, None)),
        ("[1]", (None, None)),
        ("null", (None, None)),
    ],
)
def test_identity(record: str, identity: tuple[str | None, str | None]) -> None:
    """The first place that has a text or a number; anything else is no identity, and no reason to fail."""
    assert (
        parse_page(1, [record.encode()], FIELDS).frame.select("_source", "_id").row(0) == identity
    )


def test_columns_appear_in_first_seen_order_and_late_ones_are_filled() -> None:
    """A field that comes late is null before, one that stops is null after."""
    frame = parse_page(1, [b'{"b":1}', b'{"c":2,"b":3}', b'{"a":4}'], FIELDS).frame
    assert frame.columns[4:] == ["b", "c", "a"]
    assert frame.select("b", "c", "a").rows() == [
        ("1", None, None),
        ("3", "2", None),
        (None, None, "4"),
    ]


def test_nesting_without_end_is_one_column() -> None:
    """Depth costs neither a stack nor columns: what is too deep stays JSON text."""
    lists = '{"id":1,"v":' + "[" * 10_000 + "]" * 10_000 + "}"
    objects = '{"id":2,"v":' + '{"k":' * 10_000 + "1" + "}" * 10_000 + "}"
    parsed = parse_page(1, [lists.encode(), objects.encode()], FIELDS)
    assert parsed.unparsed == 0
    assert parsed.frame["_id"].to_list() == ["1", "2"]
    assert parsed.frame["_raw"].to_list() == [lists, objects]
    assert len(parsed.frame.columns) == 4 + 1 + MAX_DEPTH


def test_more_fields_than_columns() -> None:
    """What has no column is counted and still in `_raw`."""
    record = json.dumps({f"f{n}": n for n in range(MAX_COLUMNS + 5)})
    chosen = ChosenColumns()
    parsed = add_fields(identify_page(1, [record.encode()], FIELDS), chosen)
    assert len(parsed.frame.columns) == 4 + MAX_COLUMNS
    assert len(chosen.unlisted) == 5
    assert parsed.frame["_raw"].to_list() == [record]


def test_a_strange_record_does_not_hurt_its_neighbours() -> None:
    """What cannot be read at all keeps its text and is counted."""
    parsed = parse_page(1, [b'{"id":1}', b'{"id":2,"v":"\\q"}', b"3", b'{"id":4}'], FIELDS)
    assert parsed.frame["_id"].to_list() == ["1", "2", None, "4"]
    assert parsed.unparsed == 2


def test_the_digest_of_identities_knows_records_not_their_order_or_values() -> None:
    """Equal for the same records in another order or with other values; different for other records."""
    digest = [
        identities_digest(identify_page(1, page, FIELDS))
        for page in (
            [b'{"id":1}', b'{"id":2,"v":1}'],
            [b'{"id":2,"v":9}', b'{"id":1}'],
            [b'{"id":1}', b'{"id":3}'],
            [b'{"v":1}'],
            [b'{"v":2}'],
        )
    ]
    assert digest[0] == digest[1]
    assert len(set(digest)) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", text) for text in digest)
