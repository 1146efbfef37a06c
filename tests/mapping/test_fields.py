"""Names: the record's own beside its identity, other keys of the target, fields nobody uses."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from migrate.errors import MappingError
from migrate.mapping.fields import unused_fields, value_at
from migrate.mapping.model import Mapping
from migrate.mapping.transform import Settings, map_rows, needed_fields

Make = Callable[..., Mapping]
Rows = Callable[..., pl.DataFrame]


def test_own_fields_named_like_the_identity(mapping: Make, rows: Rows) -> None:
    """`id` and `source` are the record's identity; its own fields of these names are `record.id`, `record.source`."""
    made = mapping(
        "a: {from: id, type: text}\nb: {from: record.id, type: text}\n"
        "c: {sql: \"record.source || '/' || source\", type: text}"
    )
    frame = rows(ids=["1"], own=["x"]).with_columns(
        pl.lit("own id").alias("id"), pl.lit("own").alias("source")
    )
    found = map_rows(made, frame, {}, Settings())
    assert found.accepted.select("a", "b", "c").rows() == [("1", "own id", "own/shop")]
    assert needed_fields(made) >= {"id", "source"}


def test_own_fields_named_like_an_element(mapping: Make, rows: Rows) -> None:
    """With `each`, `position` and `item` are the element's; the record's own are `record.position`, `record.item`."""
    made = mapping(
        "p: {from: position, type: text}\nq: {from: record.position, type: text}\nr: {from: record.item, type: text}",
        top="each: items",
    )
    frame = rows(items=["[{}]"], item=["thing"]).with_columns(pl.lit("9").alias("position"))
    found = map_rows(made, frame, {}, Settings())
    assert found.accepted.select("p", "q", "r").rows() == [("1", "9", "thing")]


def test_alternative_keys(mapping: Make) -> None:
    """The target's other keys are lists of columns."""
    made = mapping("email: {from: e, type: text}", top="alternative_keys: [[email], [email, key]]")
    assert made.alternative_keys == (("email",), ("email", "key"))
    assert mapping().alternative_keys == ()


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        (
            "[[emial]]",
            "5:21: alternative_keys.0.0: there is no column 'emial'; did you mean 'email'?",
        ),
        ("[[key]]", "alternative_keys.0: is the key itself, or stands twice"),
        ("[[email], [email]]", "alternative_keys.1: is the key itself, or stands twice"),
        ("[[email, email]]", "alternative_keys.0: a column stands twice"),
        (
            "[email]",
            "must be a list of lists of columns, as [[email], [phone, lastname]], is 'email'",
        ),
        ("[[]]", "alternative_keys.0: may not be empty"),
    ],
)
def test_alternative_keys_are_checked(mapping: Make, keys: str, what: str) -> None:
    """A key that cannot be one is named at its place."""
    with pytest.raises(MappingError) as caught:
        mapping("email: {from: e, type: text}", top=f"alternative_keys: {keys}")
    assert what in str(caught.value)


def test_unused_fields(mapping: Make) -> None:
    """A field is used by any mapping, through its object, or by being ignored; an object counts by its fields."""
    one = mapping("a: {from: [x, m.y], type: text}", top="ignore: [left]")
    fields = ["x", "m", "m.y", "m.z", "left", "left.in", "source", "id", "new"]
    assert unused_fields(fields, [one]) == ["m.z", "new"]


@pytest.mark.parametrize(
    ("record", "value"),
    [
        ({"a": {"b": {"c": 1}}}, 1),
        ({"a.b": {"c": 1}}, 1),
        ({"a": {"b.c": 1}}, 1),
        ({"a.b.c": 1, "a": {"b": {"c": 2}}}, 1),
        ({"a.b": "text", "a": {"b": {"c": 1}}}, 1),
        ({"a.b": {"d": 2}, "a": {"b": {"c": 1}}}, 1),
        ({"a": {"b": [1]}}, None),
        ({"a.b.c": None, "a": {"b": {"c": 2}}}, None),
        ("text", None),
    ],
)
def test_a_named_field_is_found_whatever_else_begins_with_its_name(
    record: object, value: object
) -> None:
    """Also below a name with a dot in it; the longest name that is there comes first, and its null is a null."""
    assert value_at(record, "a.b.c") == value
