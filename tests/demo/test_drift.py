"""Made-up changes: each record meets one fate, values are such as the field can have, identities are new."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.demo.drift import DriftFields, Row, Shares, make_drift, pick_fields

MOMENT = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
FIELDS = DriftFields(ids=("id",), changeable=("city", "metadata.age"), unique=("email",))


def records(count: int) -> list[Row]:
    """Records with a field of each kind."""
    return [
        ("s", str(n), f'{{"id":"{n}","source":"s","city":"City {n}","price":1.10,"email":"p{n}@x.org",'
         f'"updated":"2024-01-01 00:00:00","created":"2024-01-01T00:00:00Z","metadata":{{"age":{n}}}}}')
        for n in range(count)
    ]  # fmt: skip


@given(
    count=st.integers(0, 60),
    changed=st.floats(0, 1),
    new=st.floats(0, 1),
    gone=st.floats(0, 1),
    seed=st.integers(0, 9),
)
def test_each_record_meets_one_fate(
    count: int, changed: float, new: float, gone: float, seed: int
) -> None:
    """As many as the shares say, no record twice, and the same again for the same seed."""
    shares = Shares(changed, new, gone)
    rows = records(count)
    drift = make_drift(rows, count, FIELDS, shares, MOMENT, seed)
    assert drift == make_drift(rows, count, FIELDS, shares, MOMENT, seed)
    expected = shares.of(count)
    touched = [json.loads(raw)["id"] for raw in drift.changed]
    assert len({*touched, *(id_ for _, id_ in drift.gone)}) == len(touched) + len(drift.gone)
    assert len(drift.gone) == expected[2]
    assert len(drift.changed) + len(drift.new) <= sum(expected[:2])
    if sum(expected) <= count:
        assert (len(drift.changed), len(drift.new)) == expected[:2]


def test_a_change_keeps_the_digits_and_takes_a_value_of_another_record() -> None:
    """One mapped field differs, its value is one that the field has elsewhere; the time stamp is the night's."""
    rows = records(40)
    before = {id_: json.loads(raw) for _, id_, raw in rows}
    drift = make_drift(rows, 40, FIELDS, Shares(0.5, 0, 0), MOMENT, 1)
    assert len(drift.changed) == 20
    for raw in drift.changed:
        assert b'"price":1.10' in raw
        after, old = json.loads(raw), before[json.loads(raw)["id"]]
        assert after["updated"] == "2026-03-01 22:00:00"
        assert after["email"] == old["email"]
        differing = [
            (after["city"], old["city"]),
            (after["metadata"]["age"], old["metadata"]["age"]),
        ]
        assert sum(new != was for new, was in differing) <= 1
        assert after["city"] in {one["city"] for one in before.values()}
    assert any(
        json.loads(raw)["city"] != before[json.loads(raw)["id"]]["city"] for raw in drift.changed
    )


def test_a_new_record_has_an_identity_of_its_own() -> None:
    """And the values that tell records apart are its own too; its times are spelt as the others'."""
    drift = make_drift(records(10), 10, FIELDS, Shares(0, 0.3, 0), MOMENT, 1)
    found = [json.loads(raw) for raw in drift.new]
    assert [one["id"] for one in found] == ["rehearsal-1", "rehearsal-2", "rehearsal-3"]
    assert len({one["email"] for one in found}) == 3
    assert all(one["email"].startswith("r") for one in found)
    assert {one["created"] for one in found} == {"2026-03-01T22:00:00Z"}
    numbered: list[Row] = [("s", "1", '{"id":1,"source":"s"}')]
    (raw,) = make_drift(numbered, 1, FIELDS, Shares(0, 1, 0), MOMENT, 1).new
    assert json.loads(raw)["id"] == 900_000_001


@pytest.mark.parametrize(
    ("source", "id_", "raw"),
    [
        ("s", None, '{"source":"s"}'),
        ("s", "1", '{"id":"1","x":NaN}'),
        ("s", "1", "[1]"),
        ("s", "1", '{"id":"1","source":"s"}'),
    ],
)
def test_what_cannot_change_is_left_alone(source: str, id_: str | None, raw: str) -> None:
    """Without an identity, not plain JSON, no object, or without any field that could change."""
    drift = make_drift([(source, id_, raw)], 1, FIELDS, Shares(1, 0, 0), MOMENT, 1)
    assert (drift.changed, drift.new, drift.gone) == ([], [], [])


def test_fields_that_decide_something_do_not_change() -> None:
    """Identities, time stamps, what other columns hang on, and elements of lists stay as they are."""
    columns = {"city", "email", "updated", "profileid", "item.price", "id", "goalid"}
    found = pick_fields(("id",), columns, {"profileid", "goalid"}, {"email", "id"})
    assert (found.ids, found.changeable, found.unique) == (("id",), ("city",), ("email",))


def test_shares_of_few_records() -> None:
    """A share that is not nothing is one record at least, where there is one; nothing stays nothing."""
    assert Shares(0.001, 0.5, 0).of(10) == (1, 5, 0)
    assert Shares(0.001, 0.5, 1).of(0) == (0, 0, 0)
    assert Shares(float(Decimal("0.02")), 0, 0).of(1_000) == (20, 0, 0)
