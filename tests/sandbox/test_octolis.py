"""The dataset engine: keys, merges, defaults, protection, preparation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.sandbox.declare import Column, DatasetSpec, Readings
from migrate.sandbox.octolis import Dataset, Refused, Written, decode
from migrate.sandbox.raw_json import read_values

COLUMNS = (
    Column("key"),
    Column("email"),
    Column("phone"),
    Column("city", recipe="uppercase"),
    Column("optin", "boolean", default=False),
    Column("score", "float"),
)
SPEC = DatasetSpec("contacts", "ds", COLUMNS, (("key",), ("email", "phone")), protected=("score",))


def write(dataset: Dataset, record: Any, now_ms: int = 1) -> Written:
    """An upsert that must succeed."""
    outcome = dataset.upsert(record, now_ms)
    assert isinstance(outcome, Written), outcome
    return outcome


def refuse(dataset: Dataset, record: Any) -> dict[str, Any]:
    """The error of an upsert that must fail."""
    outcome = dataset.upsert(record, 1)
    assert isinstance(outcome, Refused), outcome
    return outcome.error


def test_create_takes_defaults_and_update_leaves_the_rest() -> None:
    """Omitted columns take their default on create and stay untouched on update; null erases."""
    dataset = Dataset(SPEC)
    first = write(dataset, {"key": "a", "city": "Lille"}, 1)
    assert decode(first.row)["optin"] is False
    second = write(dataset, {"key": "a", "optin": None}, 5)
    assert decode(second.row) == {
        "key": "a",
        "email": None,
        "phone": None,
        "city": "Lille",
        "optin": None,
        "score": None,
    }
    assert second.row.masterid == first.row.masterid
    assert (second.row.created_ms, second.row.updated_ms) == (1, 5)


def test_null_overrides_a_default_on_create() -> None:
    """An explicit null is taken into account even where there is a default."""
    assert decode(write(Dataset(SPEC), {"key": "a", "optin": None}).row)["optin"] is None


def test_protected_columns_are_ignored_and_named() -> None:
    """A protected column is not stored, and the warning names it; even its wrong values do not matter."""
    outcome = write(Dataset(SPEC), {"key": "a", "score": "no number"})
    assert outcome.protected == ("score",)
    assert decode(outcome.row)["score"] is None


def test_merge_of_several_records() -> None:
    """A record that matches two by different keys merges them: the most recent survives, with its values."""
    dataset = Dataset(SPEC)
    old = write(dataset, {"key": "a", "city": "old"}, 1).row
    new = write(dataset, {"key": "b", "email": "e", "phone": "p"}, 2).row
    merged = write(dataset, {"key": "a", "email": "e", "phone": "p"}, 3)
    assert merged.row.masterid == new.masterid
    assert merged.removed == (old.masterid,)
    assert merged.row.merged == (old.masterid,)
    assert decode(merged.row)["city"] is None
    assert list(dataset.visible) == [new.masterid]


def test_merge_by_a_key_that_the_merged_values_complete() -> None:
    """Keys that only the stored and the sent values together complete are matched as well."""
    dataset = Dataset(SPEC)
    write(dataset, {"key": "a", "email": "e", "phone": "1"})
    write(dataset, {"key": "b", "email": "e", "phone": "2"})
    write(dataset, {"key": "a", "phone": "2"})
    assert len(dataset.rows) == 1


@pytest.mark.parametrize(
    "record", [{"city": "x"}, {"key": None}, {"key": ""}, {"email": "only half of a key"}]
)
def test_no_complete_key_is_refused(record: dict[str, Any]) -> None:
    """Without one complete key alternative nothing is written."""
    dataset = Dataset(SPEC)
    error = refuse(dataset, record)
    assert error["status"] == 400
    assert "key" in error["missing"]
    assert not dataset.rows


def test_number_keys_compare_by_value() -> None:
    """2, 2.0 and 2e0 are one key; 2.5 and 2.50 another; false is not 0."""
    dataset = Dataset(DatasetSpec("d", "d", (Column("n", "float"),), (("n",),)))
    for literal in (b"2", b"2.0", b"2e0", b"2.5", b"2.50", b"0", b"-0.0"):
        write(dataset, {"n": read_values(literal)})
    assert [decode(row)["n"] for row in dataset.rows.values()][::2] == [2, 0]
    assert len(dataset.rows) == 3


def test_mandatory_columns() -> None:
    """They must be in the data of every upsert, with a value; an update needs them only where it is read so."""
    spec = DatasetSpec("c", "ds", (Column("key"), Column("name")), (("key",),), mandatory=("name",))
    dataset = Dataset(spec)
    assert refuse(dataset, {"key": "a"})["missing"] == ["name"]
    row = write(dataset, {"key": "a", "name": "A"}).row
    assert refuse(dataset, {"key": "a"})["missing"] == ["name"]
    assert refuse(dataset, {"key": "a", "name": None})["missing"] == ["name"]
    assert isinstance(dataset.update(row.masterid, {"key": "b"}, 9), Written)
    strict = Dataset(replace(spec, readings=Readings(update_mandatory="required")))
    made = write(strict, {"key": "a", "name": "A"}).row
    assert isinstance(strict.update(made.masterid, {"key": "b"}, 9), Refused)


def test_a_merge_may_give_a_new_masterid() -> None:
    """As both samples of the document show: none of the old ids is left."""
    columns = (Column("key"), Column("email"))
    spec = DatasetSpec("c", "ds", columns, (("key",), ("email",)))
    dataset = Dataset(replace(spec, readings=Readings(merged_id="new")))
    one = write(dataset, {"key": "a", "email": "x"}).row
    two = write(dataset, {"key": "b", "email": "y"}).row
    both = write(dataset, {"key": "a", "email": "y"})
    assert both.row.masterid not in {one.masterid, two.masterid}
    assert set(both.row.merged) == set(both.removed) == {one.masterid, two.masterid}
    assert len(dataset.rows) == 1


def test_keys_may_be_folded() -> None:
    """Letter case, spaces and Unicode form are then no difference, and the later write overwrites."""
    dataset = Dataset(replace(SPEC, readings=Readings(keys="folded")))
    first = write(dataset, {"key": "Jos\u00e9 A"}).row
    again = write(dataset, {"key": "jose\u0301a"}).row
    assert (again.masterid, len(dataset.rows)) == (first.masterid, 1)


def test_unknown_columns_by_setting() -> None:
    """An unknown column is an error, or ignored where the dataset says so."""
    strict = DatasetSpec("c", "ds", (Column("key"),), (("key",),))
    lenient = DatasetSpec("c", "ds", (Column("key"),), (("key",),), unknown_columns="ignore")
    record = {"key": "a", "zz": 1}
    assert refuse(Dataset(strict), record)["errors"] == [
        "zz (#/additionalProperties) - must NOT have additional properties"
    ]
    assert decode(write(Dataset(lenient), record).row) == {"key": "a"}


def test_update_by_masterid() -> None:
    """It changes the row; an unknown masterid, a taken key and an emptied key are refused."""
    dataset = Dataset(SPEC)
    row = write(dataset, {"key": "a"}).row
    write(dataset, {"key": "b"})
    changed = dataset.update(row.masterid, {"city": "Lyon"}, 9)
    assert isinstance(changed, Written)
    assert decode(changed.row)["city"] == "Lyon"
    for masterid, record, status in (
        ("unknown", {"city": "x"}, 404),
        (None, {"city": "x"}, 404),
        (row.masterid, {"key": "b"}, 400),
        (row.masterid, {"key": None}, 400),
        (row.masterid, {"city": 5}, 400),
    ):
        outcome = dataset.update(masterid, record, 9)
        assert isinstance(outcome, Refused)
        assert outcome.error["status"] == status
    assert dataset.rows[row.masterid] == changed.row


def test_preparation_lags_and_applies_recipes() -> None:
    """Reads show a write only once it is prepared, with the recipe applied; the written row stays raw."""
    dataset = Dataset(SPEC, preparation_ms=100)
    row = write(dataset, {"key": "a", "city": "Lille"}, 1000).row
    dataset.settle(1099)
    assert not dataset.visible
    assert dataset.pending() == 1
    dataset.settle(1100)
    assert decode(dataset.visible[row.masterid])["city"] == "LILLE"
    assert decode(dataset.rows[row.masterid])["city"] == "Lille"


def test_restore_continues_as_if_never_stopped() -> None:
    """Restored rows keep their ids and keys, and new masterids do not collide with old ones."""
    dataset = Dataset(SPEC, seed=7)
    rows = [write(dataset, {"key": str(n)}).row for n in range(5)]
    again = Dataset(SPEC, seed=7)
    again.restore(rows)
    assert write(again, {"key": "3"}).row.masterid == rows[3].masterid
    assert write(again, {"key": "new"}).row.masterid not in {row.masterid for row in rows}


RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["a", "b", "c", "", None]),
        "email": st.sampled_from(["x", "y", None]),
        "phone": st.sampled_from(["1", "2", None]),
        "city": st.sampled_from(["Lille", None]),
    },
)


@given(st.lists(st.tuples(st.booleans(), RECORDS), max_size=25))
def test_no_key_is_ever_held_twice(steps: list[tuple[bool, dict[str, Any]]]) -> None:
    """Whatever is written: no two rows share a key, every masterid given out is found once, values sent are there."""
    dataset = Dataset(SPEC)
    given_out: set[str] = set()
    for now_ms, (by_key, record) in enumerate(steps):
        masterid = next(iter(dataset.rows), "none")
        outcome = (
            dataset.upsert(dict(record), now_ms)
            if by_key
            else dataset.update(masterid, dict(record), now_ms)
        )
        if isinstance(outcome, Written):
            given_out.add(outcome.row.masterid)
            assert record.items() <= decode(outcome.row).items()
        rows = list(dataset.rows.values())
        for columns in SPEC.keys:
            keys = [tuple(decode(row)[column] for column in columns) for row in rows]
            complete = [key for key in keys if None not in key and "" not in key]
            assert len(complete) == len(set(complete))
        found = [masterid for row in rows for masterid in (row.masterid, *row.merged)]
        assert sorted(found) == sorted(given_out)
        assert dataset.visible.keys() == dataset.rows.keys()
        assert [row.sequence for row in rows] == sorted(row.sequence for row in rows)
