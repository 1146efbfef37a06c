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
    AnswerColumns,
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

KEY = AnswerColumns(("id",))


def test_times_without_a_zone():
    """They are UTC, and can be compared with the service's own."""
    sent = SentRecord(0, "1", '{"id": "1"}')
    record = {"id": "1", "__masterid__": "m", "__created_at__": "2026-01-02T03:04:05"}
    body = json.dumps({"results": [{"written": True, "record": record}]}).encode()
    reading = read_answer(Answer(200, body), [sent], KEY)
    assert isinstance(reading, Results)
    [written] = reading.verdicts
    assert isinstance(written, Written)
    assert written.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert written.was_created(datetime(2026, 1, 2, tzinfo=UTC))


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
    assert (verdict.masterid, verdict.merged_from, verdict.altered, verdict.protected) == (
        "m-a",
        (),
        (),
        (),
    )


def test_warnings_merges_and_changes():
    """Protected columns are not also altered; recipe columns are not compared; merged ids are the others."""
    row = {"id": "a", "kept": 1, "mine": "x", "lower": "A", "other": "b"}
    result = written(
        {**row, "mine": None, "lower": "a", "other": "c"},
        __all_masterids__=["m-a", "old-1", "old-2"],
    )
    result["warnings"] = {"protected_columns": ["mine"]}
    reading = read_answer(answer(result), sent(row), AnswerColumns(("id",), frozenset({"lower"})))
    assert isinstance(reading, Results)
    [verdict] = reading.verdicts
    assert isinstance(verdict, Written)
    assert (verdict.merged_from, verdict.protected, verdict.altered) == (
        ("old-1", "old-2"),
        ("mine",),
        ("other",),
    )


def test_a_column_that_is_not_stored_is_altered():
    """What was sent and does not come back was not stored as sent."""
    reading = read_answer(answer(written({"id": "a"})), sent({"id": "a", "gone": 1}), KEY)
    assert isinstance(reading, Results)
    assert isinstance(reading.verdicts[0], Written)
    assert reading.verdicts[0].altered == ("gone",)


def test_refused_records():
    """400 is final and told without values; 423 and 5xx concern only the records that have them."""
    rows = [{"id": name} for name in "abcd"]
    error = {
        "title": "Bad",
        "detail": "Bad row",
        "status": 400,
        "missing": ["firstname"],
        "values": {"x": "SECRET"},
    }
    error["errors"] = [{"message": "must be boolean", "schemaPath": "#/properties/consent/type"}]
    results = [
        {"written": False, "error": error},
        {"written": False, "error": {"title": "Busy", "status": 423}},
        {"written": False, "error": {"title": "Oops", "status": 500}},
        {"written": False, "error": {"title": "No such column", "status": 404}},
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


MISTYPED: tuple[Any, ...] = (
    None,
    7,
    "text",
    [],
    {},
    [None],
    [{"message": None, "dataPath": 1}],
    {"a": [1]},
    True,
)


@given(
    st.sampled_from([408, 423, 424, 425, 429, 500, 503]),
    st.sampled_from([int, str]),
    st.dictionaries(
        st.sampled_from(["title", "detail", "missing", "errors", "values"]),
        st.sampled_from(MISTYPED),
        max_size=5,
    ),
)
def test_a_passing_failure_passes_whatever_stands_beside_it(status, form, members):
    """No null or mistyped member of an error hides its status, so that none makes a refusal for good of it."""
    result = {"written": False, "error": {**members, "status": form(status)}}
    reading = read_answer(answer(result), sent({"id": "a"}), KEY)
    assert isinstance(reading, Results)
    [verdict] = reading.verdicts
    assert isinstance(verdict, Again)
    assert verdict.status == status


@given(
    st.sampled_from([400, "422"]),
    st.sampled_from(["missing", "errors", "detail"]),
    st.sampled_from(MISTYPED),
)
def test_a_refusal_keeps_its_title(status, member, value):
    """Nor do such members cost the reason of a refusal."""
    result = {"written": False, "error": {"title": "Bad row", member: value, "status": status}}
    reading = read_answer(answer(result), sent({"id": "a"}), KEY)
    assert isinstance(reading, Results)
    [verdict] = reading.verdicts
    assert isinstance(verdict, Rejected)
    assert (verdict.status, "Bad row" in verdict.error) == (int(status), True)


@pytest.mark.parametrize(
    "error",
    [
        None,
        "Dataset busy, retry",
        [],
        {},
        {"status": None},
        {"status": "soon"},
        {"status": 0},
        {"status": 200},
        {"status": True},
        {"status": {"code": 400}},
    ],
)
def test_a_failure_without_a_status_is_not_final(error):
    """Where nobody says that a record is refused for good it is sent again."""
    reading = read_answer(answer({"written": False, "error": error}), sent({"id": "a"}), KEY)
    assert isinstance(reading, Results)
    [verdict] = reading.verdicts
    assert isinstance(verdict, Again)
    assert verdict.status in (0, 200)
    if isinstance(error, str):
        assert verdict.reason == error


def test_a_failure_without_an_error_is_not_final():
    """The same for a result that says no more than that the record was not written."""
    reading = read_answer(answer({"written": False}), sent({"id": "a"}), KEY)
    assert reading == Results((Again(sent({"id": "a"})[0], 0, "no reason given"),))


def test_results_are_read_beside_a_mistyped_status():
    """A status of the whole body that is no number does not hide the results."""
    body = {"results": [written({"id": "a"})], "status": "ok"}
    reading = read_answer(Answer(200, json.dumps(body).encode()), sent({"id": "a"}), KEY)
    assert isinstance(reading, Results)


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
    assert isinstance(
        read_answer(Answer(200, json.dumps(body).encode()), sent({"id": "a"}), KEY), Unclear
    )


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
