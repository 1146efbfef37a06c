"""One row per element."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.mapping.each import read_elements
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Settings, map_rows
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.resources import PROFILES
from migrate.verify.evaluate import Evaluator
from migrate.verify.made import Record
from migrate.verify.rules import Conventions, read_rules


def _values(text: str, *fields: str) -> dict[str, list[str | None]]:
    return {
        name: found.to_list()
        for name, found in read_elements(pl.Series([text]), fields).values.items()
    }


def test_values_come_out_as_sent() -> None:
    """Numbers keep their digits, strings are decoded, objects stay JSON, null and absent are null."""
    text = (
        '[{"a":1.10,"b":"\\u00e9\\"","c":{"d":[1, 2]},"e":null,"f":true},{"a":9223372036854775808}]'
    )
    assert _values(text, "item.a", "item.b", "item.c", "item.e", "item.f") == {
        "item.a": ["1.10", "9223372036854775808"],
        "item.b": ['é"', None],
        "item.c": ['{"d":[1, 2]}', None],
        "item.e": [None, None],
        "item.f": ["true", None],
    }


def test_nested_names_and_elements_that_are_no_objects() -> None:
    """Dotted names reach into objects, a key with a dot goes first; a plain element is `item` alone."""
    text = '[{"a":{"b":{"c":5}}},{"a.b":{"c":6}},{"a.b.c":7,"a":1},"x\\n",12.0,null,[1]]'
    found = _values(text, "item", "item.a.b.c")
    assert found["item.a.b.c"] == ["5", "6", "7", None, None, None, None]
    assert found["item"][3:] == ["x\n", "12.0", None, "[1]"]


def test_an_object_counts_as_a_list_of_its_values() -> None:
    """PHP sends lists with holes as objects: their values in order, whatever the keys."""
    found = read_elements(pl.Series(['{"2":{"a":1},"x":{"a":2}}', '[{"a":3}]']), ["item.a"])
    assert (found.values["item.a"].to_list(), found.parents.to_list(), found.places.to_list()) == (
        ["1", "2", "3"],
        [0, 0, 1],
        [1, 2, 1],
    )


def test_none_empty_and_broken() -> None:
    """Null, '' and empty lists give no row and are counted; what is no list is named."""
    found = read_elements(
        pl.Series([None, "", "[]", "{}", "[ ]", "12", "[1,", "true", "[" * 100_000]), ["item"]
    )
    assert (found.empty, found.broken, found.places.to_list()) == (5, [5, 6, 7, 8], [])


def test_keys_spelt_with_escapes_are_found() -> None:
    """A key whose letters are written as escapes is the same key; one that stands in a value only is no key."""
    assert _values('[{"\\u0061":1}]', "item.a", "item.b") == {"item.a": ["1"], "item.b": [None]}
    assert _values('[{"a":"\\"b\\""}]', "item.a", "item.b") == {"item.a": ['"b"'], "item.b": [None]}
    assert _values('[{"\\u00e9 \\/":1}]', "item.é /") == {"item.é /": ["1"]}


def test_half_a_pair_becomes_what_no_text_may_hold() -> None:
    """A string with half a surrogate pair holds a NUL, so that it is refused by name; its neighbours are read."""
    bad = '[{"a":"x\\ud800"},{"a":"\\\\ud800 \\ud83d\\ude00"}]'
    assert _values(bad, "item.a") == {"item.a": ["x\0", "\\ud800 \U0001f600"]}


@pytest.mark.parametrize(
    "texts",
    [
        ['[{"a":1}] [{"a":2}]', '[{"a":3}', "[4]}]"],
        ['[{"a":[[1]', "[2]]}]", '[{"a":5}]'],
        ['[{"a":"]', '["}]', '[{"a":1}],[{"a":2}]'],
        ["[0]", "[]0[]", '[{"a":1}]\n0\n[{"a":1}]'],
    ],
)
def test_broken_texts_side_by_side(texts: list[str]) -> None:
    """Texts that are broken each are broken together too, even where they would make sense in one piece."""
    alone = [read_elements(pl.Series([text]), ["item.a"]) for text in texts]
    together = read_elements(pl.Series(texts), ["item.a"])
    assert together.broken == [number for number, found in enumerate(alone) if found.broken]
    assert together.values["item.a"].to_list() == [
        v for found in alone for v in found.values["item.a"].to_list()
    ]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "c.d", "é"]), _JSON, max_size=4), max_size=5
    ),
    st.booleans(),
)
def test_any_elements_come_back(elements: list[dict[str, object]], whole: bool) -> None:
    """For any elements each field is what Python's own parser reads, whichever way is taken."""
    fields = ["item.a", "item.é"] + (["item"] if whole else [])
    found = read_elements(pl.Series([json.dumps(elements)]), fields)
    assert found.places.to_list() == list(range(1, len(elements) + 1))
    for name in ("a", "é"):
        wanted = [element.get(name) for element in elements]
        got = [
            value if value is None or isinstance(want, str) else json.loads(value)
            for value, want in zip(found.values[f"item.{name}"], wanted, strict=True)
        ]
        assert got == wanted


def test_rows_keep_parent_place_and_order(
    mapping: Callable[..., Mapping], rows: Callable[..., pl.DataFrame]
) -> None:
    """Lines know their record and place; records without lines, and broken ones, are accounted for."""
    made = mapping(
        "p: {from: position, type: integer}\nn: {from: item.n, type: integer}\no: {from: owner, type: text}",
        top="each: items",
    )
    items = ['[{"n":1},{"n":2}]', None, "[]", "oops", '{"x":{"n":3},"y":{"n":7}}', '[{"n":"x"}]']
    found = map_rows(made, rows(items=items, owner=list("abcdef")), {}, Settings())
    assert found.accepted.select("_position", "_element", "p", "n", "o").rows() == [
        (0, 1, 1, 1, "a"),
        (0, 2, 2, 2, "a"),
        (4, 1, 1, 3, "e"),
        (4, 2, 2, 7, "e"),
    ]
    assert found.rejected.select("_position", "_element", "rule", "column", "value").rows() == [
        (3, None, "each_not_a_list", "items", "oops"),
        (5, 1, "not_an_integer", "n", "x"),
    ]
    assert (found.read, found.empty_each, found.filtered) == (6, 2, 0)


LINES = "a: {from: [item.a, item.item], type: text}\n"
LINES += "b: {from: item.b.c, type: text}\np: {from: position, type: integer}"


@pytest.mark.parametrize(
    ("text", "values", "rejected", "losses"),
    [
        ('[{"a":"1"},{"a":"2"}]', ["1", "2"], [], {}),
        ('{"a":"1","price":"9"}', ["1"], [], {"single_element": 1}),
        ('{"item":[{"a":"1"},{"a":"2"}]}', ["1", "2"], [], {"unwrapped_list": 1}),
        ('{"item":{"a":"1"}}', ["1"], [], {"unwrapped_list": 1}),
        ('{"line":[{"a":"1"}]}', ["1"], [], {"unwrapped_list": 1}),
        ('{"0":{"a":"1"},"5":{"a":"2"}}', ["1", "2"], [], {}),
        ('{"x":{"a":"1"},"y":{"a":"2"}}', ["1", "2"], [], {}),
        ('{"a":{"a":"1"},"z":{"a":"2"}}', ['{"a":"1"}'], [], {"single_element": 1}),
        ('{"item":null}', [], [], {}),
        ('{"item":""}', [], [], {}),
        ("null", [], ["each_not_a_list"], {}),
        ('["x","y"]', [], ["empty_element"] * 2, {}),
        ('[null,{"a":"1"},{}]', ["1"], ["empty_element"] * 2, {}),
        ('[{"q":"1"}]', [], ["empty_element"], {}),
        ('{"q":"1","r":"2"}', [], ["empty_element"], {"single_element": 1}),
        ("5", [], ["each_not_a_list"], {}),
    ],
)
def test_what_is_no_plain_list_has_one_rule_each(
    mapping: Callable[..., Mapping],
    rows: Callable[..., pl.DataFrame],
    text: str,
    values: list[str],
    rejected: list[str],
    losses: dict[str, int],
) -> None:
    """Bare objects, wrappers, keyed lists, plain values and nulls: rows, rejects and counts; the verifier agrees."""
    made = mapping(LINES, top="each: items")
    found = map_rows(made, rows(items=[text]), {}, Settings())
    assert found.accepted["a"].to_list() == values
    assert found.rejected["rule"].to_list() == rejected
    assert found.losses.get("items", {}) == losses
    raw = json.dumps({"profileid": "1", "source": "shop"})[:-1] + f', "items": {text}}}'
    frame = identify_page(1, [raw.encode()], PROFILES.fields)
    page = add_fields(frame).frame.with_columns(pl.lit(0, pl.Int64).alias("_position"))
    rules = read_rules(Path(made.file).parent)["things"]
    evaluator = Evaluator(rules, Conventions(), {})
    record = Record(page["_raw"][0], page["_source"][0], page["_id"][0])
    with contextlib.closing(evaluator):
        verified = evaluator.steps([record]) if text != "null" else []
    assert [row["c:a"] for row in verified if row["_left"] is None] == values
    if text != "null":
        assert [row["_left"] for row in verified if row["_left"] is not None] == rejected
