"""Exports: filters, selections, pages, order, JSON and CSV."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.sandbox.declare import Column, DatasetSpec
from migrate.sandbox.octolis import Dataset, Written
from migrate.sandbox.octolis_reads import (
    BadQuery,
    count,
    export_csv,
    export_json,
    parse_export,
    parse_filter,
)
from migrate.sandbox.raw_json import read_values

SPEC = DatasetSpec(
    "d",
    "d",
    (
        Column("key"),
        Column("name"),
        Column("optin", "boolean"),
        Column("n", "integer"),
        Column("at", "datetime"),
    ),
    (("key",),),
)


def fill(*records: dict[str, Any]) -> Dataset:
    """A dataset of these records, written one millisecond apart."""
    dataset = Dataset(SPEC)
    for now_ms, record in enumerate(records):
        assert isinstance(dataset.upsert(record, now_ms), Written)
    return dataset


def keys(dataset: Dataset, **query: str) -> list[str]:
    """The keys of the records that a list request gives back, in order."""
    return [
        row["key"]
        for row in read_values(export_json(dataset, parse_export(query, SPEC)))["records"]
    ]


def lines(dataset: Dataset, **query: str) -> list[str]:
    """The lines of a CSV export."""
    return (
        export_csv(dataset, parse_export({"format": "csv", **query}, SPEC))
        .decode()
        .split("\r\n")[:-1]
    )


def test_order_is_that_of_the_last_change() -> None:
    """Newest first unless asked otherwise; an update moves a record to the new end."""
    dataset = fill({"key": "a"}, {"key": "b"}, {"key": "c"}, {"key": "a", "n": 1})
    assert keys(dataset) == ["a", "c", "b"]
    assert keys(dataset, order="asc") == ["b", "c", "a"]


def test_pages() -> None:
    """Pages do not overlap, the one after the last is empty."""
    dataset = fill(*({"key": str(n)} for n in range(5)))
    pages = [keys(dataset, order="asc", pageSize="2", page=str(page)) for page in (1, 2, 3, 4)]
    assert pages == [["0", "1"], ["2", "3"], ["4"], []]


def test_filters() -> None:
    """One column several times is OR, several columns are AND; types are compared as such."""
    dataset = fill(
        {"key": "a", "name": "Marc", "optin": True, "n": 1},
        {"key": "b", "name": "Jeanne", "optin": False, "n": 12},
        {"key": "c", "name": "Jeanne", "optin": True},
        {"key": "d:1", "name": '","optin":true,'},
    )
    assert sorted(keys(dataset, filter="name:Marc,name:Jeanne,optin:true")) == ["a", "c"]
    assert keys(dataset, filter="n:1") == ["a"]
    assert keys(dataset, filter="key:d:1") == ["d:1"]
    assert keys(dataset, filter="name:marc") == []
    assert count(dataset, parse_filter("optin:true", SPEC)) == 2
    masterid = next(row.masterid for row in dataset.visible.values())
    assert keys(dataset, filter=f"__masterid__:{masterid}") == ["a"]


def test_selection() -> None:
    """Only the columns asked for, in that order."""
    data = export_json(fill({"key": "a", "n": 3}), parse_export({"selection": "n,key"}, SPEC))
    assert data == b'{"records":[{"n":3,"key":"a"}]}'


@pytest.mark.parametrize(
    "query",
    [
        {"filter": "nope:1"},
        {"filter": "key"},
        {"selection": "key,nope"},
        {"page": "0"},
        {"page": "x"},
        {"pageSize": "50001"},
        {"pageSize": "-1"},
        {"order": "up"},
        {"format": "xml"},
        {"header": "no"},
    ],
)
def test_bad_queries(query: dict[str, str]) -> None:
    """What the document does not allow is refused."""
    with pytest.raises(BadQuery):
        parse_export(query, SPEC)


def test_csv_null_and_empty_differ() -> None:
    """Null is nothing, '' is a quoted nothing, times are ISO, booleans words, the ids JSON."""
    dataset = fill({"key": "a", "name": "", "optin": True, "at": "2020-01-02 03:04:05"})
    header, line = lines(dataset)
    assert (
        header
        == "key,name,optin,n,at,__modified_at__,__masterid__,__all_masterids__,__created_at__,__updated_at__"
    )
    masterid = next(iter(dataset.rows))
    assert line == (
        'a,"",true,,2020-01-02T03:04:05.000Z,1970-01-01T00:00:00.000Z,'
        f'{masterid},"[""{masterid}""]",1970-01-01T00:00:00.000Z,1970-01-01T00:00:00.000Z'
    )
    assert lines(dataset, header="false", selection="key") == ["a"]


@given(
    st.text(min_size=1),
    st.one_of(st.none(), st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
)
def test_csv_survives_any_text(key: str, name: str | None) -> None:
    """A CSV reader gets back the text, whatever is in it, and line ends inside stay inside."""
    if any(0xD800 <= ord(char) <= 0xDFFF for char in key):
        return
    data = export_csv(
        fill({"key": key, "name": name}),
        parse_export({"format": "csv", "selection": "key,name"}, SPEC),
    )
    rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert rows == [["key", "name"], [key, name or ""]]
