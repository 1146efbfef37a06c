"""Fields of many records read at once are what each record alone holds."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import Interrupted
from migrate.verify.evaluate import Evaluator
from migrate.verify.fields import Wanted, read_columns, read_fields
from migrate.verify.record import reach, split_object
from migrate.verify.rules import Conventions, read_rules

NAMES = ("a", "b", "n.x", "n.x.y", "n.z", "é")
_scalars = st.sampled_from(
    ['"x"', '""', "null", "1.10", "-0", "1e5", "true", '"\\ud800"', '"\\u0000"', '"\\u00e9"', "[1, 2]", "{}", '"{"']
)  # fmt: skip
_values = st.one_of(
    _scalars,
    st.dictionaries(st.sampled_from(["x", "z", "x.y"]), _scalars, max_size=2).map(
        lambda inner: "{" + ",".join(f'"{name}": {value}' for name, value in inner.items()) + "}"
    ),
)
_members = st.lists(
    st.tuples(st.sampled_from(["a", "b", "n", "n.x", "é", "other", "\\u0061"]), _values), max_size=4
)
_records = st.one_of(
    _members.map(lambda pairs: "{" + ", ".join(f'"{n}":{v}' for n, v in pairs) + "}"),
    st.sampled_from(["[1]", "3", "", "{", "{},{}"]),
)


@given(records=st.lists(_records, min_size=1, max_size=6))
def test_reading_at_once_is_reading_each_alone(records: list[str]) -> None:
    """Whatever stands beside a record: twice a name, halves of pairs, names with dots, texts that are no JSON."""
    data = [record.encode() for record in records]
    found = read_columns(data, NAMES)
    for name in NAMES:
        alone = [reach(split_object(one) or {}, name) for one in data]
        assert list(found.get(name, [None] * len(data))) == alone


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("007", "007"), ('"a\tb"', "a\tb"), ('"a\x01"', "a\x01"),
        (r'"\x41"', None), ('{"x":NaN,"y":"z"}', '{"x":NaN,"y":"z"}'), ("[NaN,1]", "[NaN,1]"), ("1,", "1"),
    ],
)  # fmt: skip
def test_what_writers_of_little_care_send_is_read(value: str, text: str | None) -> None:
    """A snapshot takes such a record (docs/design/extract.md), so its other fields are verified, too."""
    data = f'{{"a": "x", "odd": {value}}}'.encode()
    plain = b'{"a": "y", "odd": "z"}'
    found = read_columns([plain, data], ["a", "odd", "odd.y"])
    assert (list(found["a"]), found["odd"][1]) == (["y", "x"], text)
    assert found["odd.y"][1] == ("z" if value.startswith("{") else None)


@pytest.mark.parametrize(
    "data", [b"{,}", b'{"a":}', b'{"a" 1}', b'{"a":1', b'{"a":1}}', b'{"a":[}]}', b'{"a":tru}']
)
def test_what_is_no_object_is_none(data: bytes) -> None:
    """Nothing is guessed of what is cut off, or has members without a name or a value."""
    assert split_object(data) is None


def _frame(records: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "_raw": [json.dumps(record) for record in records],
            "_source": ["s"] * len(records),
            "_id": [record.get("id") for record in records],
            "_position": range(len(records)),
        },
        schema_overrides={"_id": pl.String},
    )


@pytest.mark.parametrize("odd", [{"id": "9", "list": {"item": {"v": "e"}}}, {"id": "9"}])
def test_each_element_is_a_row(odd: dict[str, Any]) -> None:
    """Elements in their order, empty ones and lists that are none with their rule; an object beside changes nothing."""
    records = [
        {"id": "1", "a": "x", "list": [{"v": "p"}, {"w": "q"}]},
        {"a": "y", "list": [{"v": "z"}]},
        {"id": "3", "list": "text"},
        {"id": "4", "list": []},
        odd,
    ]
    rows = read_fields(_frame(records), Wanted(("a",), "list", ("item.v",)))
    made = rows.select("_id", "_position", "_left", "_left_at", "f:a", "e:item.v").rows()
    assert made[:4] == [
        ("1", 1, None, None, "x", "p"),
        ("1", 2, "empty_element", "list", "x", None),
        (None, None, "id_missing", "id", "y", None),
        ("3", None, "each_not_a_list", "list", None, None),
    ]
    assert made[4:] == ([("9", 1, None, None, None, "e")] if "list" in odd else [])


def test_nothing_of_a_stopped_verification_stays(tmp_path: Path) -> None:
    """Fields of records wait in files beside the rows: they are gone when the work is, however it ends."""
    (tmp_path / "d.yaml").write_text(
        "version: 1\ndataset: d\nresource: profiles\nkey: [k]\ncolumns:\n  k: {from: id, type: text}\n"
    )
    rules, folder = read_rules(tmp_path)["d"], tmp_path / "work"
    frames = [_frame([{"id": "1"}])] * 3

    def frames_until_stopped() -> Iterator[pl.DataFrame]:
        yield from frames
        raise Interrupted("stopped")

    evaluator = Evaluator(rules, Conventions(), {}, folder=folder)
    with pytest.raises(Interrupted), contextlib.closing(evaluator):
        for rows in evaluator.work_out(frames_until_stopped()):
            assert rows["_key"].to_list() == ["1"]
            assert folder.is_dir()
    assert not folder.exists()
