"""Create, update, unchanged: against a model in plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from migrate.plan.classify import Classified, ComparedColumns, label_rows, label_unread
from migrate.plan.tables import FrameTable

NOWHERE = Path("nothing is put aside of so few rows")
NO_LABELS = pl.DataFrame(
    schema={"_change": pl.String, "_masterid": pl.String, "_changed": pl.List(pl.String)}
)
KEYS = ["k1", "k2", "k3", "k4"]
TYPES = {"key": pl.String(), "name": pl.String(), "age": pl.Int32(), "nick": pl.String()}
COLUMNS = ComparedColumns(TYPES, ("key",), ("nick",))
names = st.sampled_from([None, "a", "b"])
ages = st.sampled_from([None, 1, 2])
planned_drawn = st.dictionaries(
    st.sampled_from(KEYS),
    st.fixed_dictionaries({"name": names, "age": ages, "nick": names, "erase": st.booleans()}),
)
held_drawn = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from([*KEYS, "other", "", None]),
            "name": st.sampled_from([None, "", "a", "b"]),
            "age": st.sampled_from([None, "", "1", "1.0", "2", "x"]),
            "nick": names,
        }
    ),
    max_size=8,
)


def planned_frame(planned: dict[str, dict[str, Any]]) -> pl.DataFrame:
    """Rows as they are before comparison; `name` may be erased."""
    rows = [
        {"_key": key, "key": key, "_null:name": row["erase"] and row["name"] is None}
        | {name: row[name] for name in ("name", "age", "nick")}
        for key, row in planned.items()
    ]
    return pl.DataFrame(rows, schema={"_key": pl.String, "_null:name": pl.Boolean, **TYPES})


def labelled(found: Classified, rows: pl.DataFrame) -> pl.DataFrame:
    """The planned rows with their labels."""
    labels = pl.concat([NO_LABELS, *found.labels.chunks(rows.height)])
    places = pl.int_range(rows.height, dtype=pl.UInt32, eager=True)
    assert found.labels.of(places).equals(labels)
    return rows.hstack(labels)


def held_frame(held: list[dict[str, Any]], *without: str) -> FrameTable:
    """The target's export, without some of its columns."""
    rows = [{"__masterid__": f"m{place}"} | row for place, row in enumerate(held)]
    schema = dict.fromkeys(["__masterid__", "key", "name", "age", "nick"], pl.String)
    return FrameTable(pl.DataFrame(rows, schema=schema).drop(without))


def changes(row: dict[str, Any], there: dict[str, Any]) -> list[str]:
    """The columns in which a planned row differs from what the target holds."""
    found = []
    name_sent = row["name"] is not None or row["erase"]
    if name_sent and (row["name"] or None) != (there["name"] or None):
        found.append("name")
    held_age = {"1": 1, "1.0": 1, "2": 2, "x": "x"}.get(there["age"])
    if row["age"] is not None and row["age"] != held_age:
        found.append("age")
    return found


@given(planned_drawn, held_drawn)
def test_each_row_is_what_the_values_say(
    planned: dict[str, dict[str, Any]], held: list[dict[str, Any]]
) -> None:
    """Change, masterid, changed columns and all counts are those of a plain model; order is kept."""
    there = {row["key"]: (f"m{place}", row) for place, row in enumerate(held) if row["key"]}
    frame = planned_frame(planned)
    result = label_rows(FrameTable(frame), held_frame(held), COLUMNS, NOWHERE)
    expected = []
    for key, row in planned.items():
        masterid, other = there.get(key, (None, None))
        columns = changes(row, other) if other else []
        expected.append(
            (
                key,
                "create" if other is None else "update" if columns else "unchanged",
                masterid,
                columns,
            )
        )
    assert (
        labelled(result, frame).select("_key", "_change", "_masterid", "_changed").rows()
        == expected
    )
    counted = [column for _, _, _, columns in expected for column in columns]
    assert result.change_counts == {
        name: counted.count(name) for name in ("name", "age") if name in counted
    }
    others = [
        (f"m{place}", row["key"]) for place, row in enumerate(held) if row["key"] not in planned
    ]
    assert result.foreign.rows() == others
    assert result.repeated_keys == sum(1 for row in held if row["key"]) - len(there)


def test_a_recipe_column_is_counted_and_changes_nothing() -> None:
    """What the target's own preparation changes is report-only: no row is sent for it."""
    planned = planned_frame({"k1": {"name": "a", "age": 1, "nick": "Bo", "erase": False}})
    held = held_frame([{"key": "k1", "name": "a", "age": "1", "nick": "bo"}])
    result = label_rows(FrameTable(planned), held, COLUMNS, NOWHERE)
    assert labelled(result, planned)["_change"].to_list() == ["unchanged"]
    assert (result.change_counts, result.recipe_counts) == ({}, {"nick": 1})
    assert result.samples.rows() == [("k1", "m0", "nick", "bo", "Bo", True)]


def test_what_looks_like_a_recipe_is_suspected() -> None:
    """A column that differs in letter case and spaces alone is named; one other difference clears it."""
    row = {"age": None, "nick": None, "erase": False}
    planned = planned_frame({"k1": {"name": "A  b", **row}, "k2": {"name": "C", **row}})
    held = [
        {"key": "k1", "name": "a b", "age": "", "nick": ""},
        {"key": "k2", "name": "C", "age": "", "nick": ""},
    ]
    assert label_rows(FrameTable(planned), held_frame(held), COLUMNS, NOWHERE).recipe_suspects == (
        "name",
    )
    held[1]["name"] = None
    assert label_rows(FrameTable(planned), held_frame(held), COLUMNS, NOWHERE).recipe_suspects == ()


def test_samples_are_few() -> None:
    """Ten of a column at most, old and new as text, the first in the order of the rows."""
    keys = [f"k{number:02d}" for number in range(20)]
    planned = planned_frame(
        {key: {"name": None, "age": 2, "nick": None, "erase": False} for key in keys}
    )
    held = held_frame([{"key": key, "name": None, "age": "1", "nick": None} for key in keys])
    samples = label_rows(FrameTable(planned), held, COLUMNS, NOWHERE).samples
    assert samples["key"].to_list() == keys[:10]
    assert samples.row(0) == ("k00", "m0", "age", "1", "2", False)


def test_a_target_that_lacks_a_column_gets_it() -> None:
    """A column that the export does not show counts as empty there."""
    planned = planned_frame({"k1": {"name": "a", "age": 1, "nick": None, "erase": False}})
    held = held_frame([{"key": "k1", "name": "a", "age": None, "nick": None}], "age", "nick")
    assert labelled(label_rows(FrameTable(planned), held, COLUMNS, NOWHERE), planned)[
        "_changed"
    ].to_list() == [["age"]]


def test_untouched_rows_are_compared_with_nothing() -> None:
    """Of a delta only touched rows are counted; the others still tell which rows of the target are ours."""
    row = {"name": "new", "age": None, "nick": None, "erase": False}
    planned = FrameTable(planned_frame({"k1": row, "k2": row}))
    held = held_frame(
        [{"key": key, "name": "old", "age": None, "nick": None} for key in ("k1", "k2", "other")]
    )
    result = label_rows(planned, held, COLUMNS, NOWHERE, touched=pl.Series([False, True]))
    assert result.change_counts == {"name": 1}
    assert result.samples["key"].to_list() == ["k2"]
    assert result.foreign["key"].to_list() == ["other"]
    assert result.labels.of(pl.Series([1], dtype=pl.UInt32)).rows() == [("update", "m1", ["name"])]


def test_a_target_without_the_key_column_matches_nothing() -> None:
    """Then every row is new, and every row of the target foreign."""
    planned = planned_frame({"k1": {"name": "a", "age": 1, "nick": None, "erase": False}})
    held = held_frame([{"key": "k1", "name": "a", "age": None, "nick": None}], "key")
    result = label_rows(FrameTable(planned), held, COLUMNS, NOWHERE)
    assert (labelled(result, planned)["_change"].to_list(), result.foreign.rows()) == (
        ["create"],
        [("m0", None)],
    )


def test_a_key_of_several_columns_matches_in_all_of_them() -> None:
    """By value in each column's type: 1 is 1.0 there as well."""
    columns = ComparedColumns(TYPES, ("name", "age"))
    planned = planned_frame({"k1": {"name": "a", "age": 1, "nick": "n", "erase": False}})
    held = held_frame(
        [
            {"key": "k1", "name": "a", "age": "2", "nick": "n"},
            {"key": "k1", "name": "a", "age": "1.0", "nick": "n"},
        ]
    )
    result = label_rows(FrameTable(planned), held, columns, NOWHERE)
    assert (labelled(result, planned)["_masterid"].to_list(), result.foreign.rows()) == (
        ["m1"],
        [("m0", "a", "2")],
    )


def test_unread_rows_are_unknown() -> None:
    """Offline, nothing is claimed."""
    planned = planned_frame({"k1": {"name": "a", "age": 1, "nick": None, "erase": False}})
    result = label_unread(COLUMNS)
    rows = labelled(result, planned)
    assert rows.select("_change", "_masterid", "_changed").rows() == [("unknown", None, [])]
    assert rows.schema["_changed"] == pl.List(pl.String)
    assert result.foreign.columns == ["masterid", "key"]
