"""What the answer to a batch means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.target.answer import Answer
from migrate.target.results import (
    Again,
    Columns,
    Fatal,
    Rejected,
    Results,
    SentRecord,
    SplitNeeded,
    Transient,
    Unclear,
    Written,
    read_answer,
)

KEY = Columns(("id",))


def sent(*rows: dict[str, Any]) -> list[SentRecord]:
    """The rows as they are sent."""
    return [SentRecord(n, str(row["id"]), json.dumps(row)) for n, row in enumerate(rows)]


def written(row: dict[str, Any], **extra: Any) -> dict[str, Any]:
    """The service's result for a stored row."""
    record = {**row, "__masterid__": f"m-{row['id']}", "__all_masterids__": [f"m-{row['id']}"]}
    return {"written": True, "record": {**record, **extra}}


def answer(*results: Any, status: int = 200) -> Answer:
    """An answer with results."""
    return Answer(status, json.dumps({"results": results}).encode())


@pytest.mark.parametrize("status", [200, 201, 207, 400])
def test_results_are_read_whatever_the_status(status):
    """A list of results is believed with every status that may come with one."""
    row = {"id": "a", "n": 1.50}
    reading = read_answer(answer(written(row), status=status), sent(row), KEY)
    assert isinstance(reading, Results)
    [verdict] = reading.verdicts
    assert isinstance(verdict, Written)
    assert (verdict.masterid, verdict.merged_from, verdict.altered, verdict.protected) == ("m-a", (), (), ())


def test_warnings_merges_and_changes():
    """Protected columns are not also altered; recipe columns are not compared; merged ids are the others."""
    row = {"id": "a", "kept": 1, "mine": "x", "lower": "A", "other": "b"}
    result = written({**row, "mine": None, "lower": "a", "other": "c"}, __all_masterids__=["m-a", "old-1", "old-2"])
    result["warnings"] = {"protected_columns": ["mine"]}
    reading = read_answer(answer(result), sent(row), Columns(("id",), frozenset({"lower"})))
    assert isinstance(reading, Results)
    [verdict] = reading.verdicts
    assert isinstance(verdict, Written)
    assert (verdict.merged_from, verdict.protected, verdict.altered) == (("old-1", "old-2"), ("mine",), ("other",))


def test_a_column_that_is_not_stored_is_altered():
    """What was sent and does not come back was not stored as sent."""
    reading = read_answer(answer(written({"id": "a"})), sent({"id": "a", "gone": 1}), KEY)
    assert isinstance(reading, Results)
    assert isinstance(reading.verdicts[0], Written)
    assert reading.verdicts[0].altered == ("gone",)


def test_refused_records():
    """400 is final and told without values; 423 and 5xx concern only the records that have them."""
    rows = [{"id": name} for name in "abcd"]
    error = {"title": "Bad", "detail": "Bad row", "status": 400, "missing": ["firstname"], "values": {"x": "SECRET"}}
    error["errors"] = [{"message": "must be boolean", "schemaPath": "#/properties/consent/type"}]
    results = [
        {"written": False, "error": error},
        {"written": False, "error": {"title": "Busy", "status": 423}},
        {"written": False, "error": {"title": "Oops", "status": 500}},
        {"written": False},
    ]
    reading = read_answer(answer(*results), sent(*rows), KEY)
    assert isinstance(reading, Results)
    first, second, third, fourth = reading.verdicts
    assert isinstance(first, Rejected)
    assert "firstname" in first.error
    assert "must be boolean" in first.error
    assert "SECRET" not in first.error
    assert isinstance(second, Again)
    assert isinstance(third, Again)
    assert (second.status, third.status) == (423, 500)
    assert isinstance(fourth, Rejected)


@given(st.permutations(range(5)))
def test_order_is_never_guessed(order):
    """Results in another order are not matched by chance."""
    rows = [{"id": str(n)} for n in range(5)]
    reading = read_answer(answer(*(written(rows[n]) for n in order)), sent(*rows), KEY)
    assert isinstance(reading, Results if list(order) == list(range(5)) else Unclear)


@pytest.mark.parametrize(
    "body",
    [
        {"results": []},
        {"results": None},
        {"results": [{"written": True, "record": {"id": "b", "__masterid__": "m"}}]},
        {"results": [{"written": True, "record": {"id": "a"}}]},
        {"results": [{"written": True, "record": None}]},
        {"results": [{"written": None}]},
        {"results": [{}, {}]},
        {},
    ],
)
def test_unclear_answers(body):
    """Too few, too many, of another record, without a masterid: unclear, not guessed."""
    assert isinstance(read_answer(Answer(200, json.dumps(body).encode()), sent({"id": "a"}), KEY), Unclear)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (0, b"", Transient),
        (200, b"", Transient),
        (200, b"<html>", Transient),
        (200, b'{"results": [', Transient),
        (204, b"", Transient),
        (200, b'{"title": "e", "status": 500}', Transient),
        (200, b'{"title": "e", "status": 403}', Fatal),
        (400, b'{"title": "e", "status": 400}', SplitNeeded),
        (413, b"", SplitNeeded),
        (401, b"{}", Fatal),
        (404, b"", Fatal),
        (302, b"", Fatal),
        (418, b"", Fatal),
        (424, b"", Transient),
        (429, b"", Transient),
        (503, b"<html>", Transient),
    ],
)
def test_answers_without_results(status, body, kind):
    """Each status has one meaning; a body that is not the documented JSON never counts as success."""
    assert isinstance(read_answer(Answer(status, body), sent({"id": "a"}), KEY), kind)


def test_busy_is_told_apart():
    """423 is a state of the dataset, not a failure."""
    reading = read_answer(Answer(423, b"{}"), sent({"id": "a"}), KEY)
    assert isinstance(reading, Transient)
    assert reading.busy


def test_created_or_updated():
    """Created at or after the load began; where that is not known, never updated since its creation."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    later = now + timedelta(seconds=1)
    [record] = sent({"id": "a"})
    assert Written(record, "m", created_at=now).was_created(now)
    assert not Written(record, "m", created_at=now).was_created(later)
    assert Written(record, "m", created_at=now, updated_at=now).was_created(None)
    assert not Written(record, "m", created_at=now, updated_at=later).was_created(None)
    assert not Written(record, "m").was_created(None)


@given(st.binary(max_size=200), st.sampled_from([200, 400, 500]))
def test_any_body_is_survived(body, status):
    """No body makes the reader fail, and none but results counts as written."""
    assert not isinstance(read_answer(Answer(status, body), sent({"id": "a"}), KEY), Results)
