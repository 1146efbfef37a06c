"""A target that has changed since the plan read it: nothing of it is overwritten unasked."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from migrate.config import Gates
from migrate.config_values import Limit
from migrate.errors import GateError, Interrupted
from migrate.load.changes import Changes
from migrate.load.gates import LoadGates
from migrate.load.loader import Options, load
from migrate.load.planned import PlannedRecord
from migrate.load.scheduler import Waits
from migrate.progress import Silence
from migrate.target.results import SentRecord, Written
from tests.harness import TARGET_KEY
from tests.load.projects import prepared

QUICK = Options(waits=Waits(0.01, 0.1, 0.05, 0.2))


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""

    def go(client, plan, gates=Gates(), progress=None, stop=None):  # noqa: B008 - Gates is frozen
        stop = stop or threading.Event()
        return load(
            client, workspace, plan, gates, progress or Silence(), stop, options=QUICK
        ).datasets

    return go


def planned(plan, **counted):
    """The plan with what it counted in its datasets."""
    return dataclasses.replace(
        plan,
        datasets=tuple(dataclasses.replace(d, counted=counted.get(d.name)) for d in plan.datasets),
    )


def put(client, *keys):
    """Others write records of their own."""
    rows = [{"contact_key": key, "firstname": "Others"} for key in keys]
    assert client.upsert_batch("contacts", json.dumps(rows).encode()).status == 200


class Notes(Silence):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        """Kept."""
        self.told.append(text)


def test_a_target_that_has_grown_is_refused(
    start_sandbox, client_of, run, make_plan, contacts, sandbox_state
):
    """Nothing is sent, also on the second try; the error names the dataset, both counts and what to do."""
    box = start_sandbox()
    client, plan = (
        client_of(box),
        planned(make_plan(change="create", contacts=contacts(2, 5), orders=[]), contacts=0),
    )
    put(client, "shop:1", "shop:2")
    for _ in range(2):
        with pytest.raises(GateError, match="dataset contacts: 0 records then, 2 now") as caught:
            run(client, plan)
    assert "migrate plan" in (caught.value.hint or "")
    assert "migrate load --plan first" in (caught.value.hint or "")
    assert sandbox_state(box)["requests"]["octolis"]["batch"] == {"200": 1}


def test_going_on_on_purpose(start_sandbox, client_of, run, make_plan, contacts):
    """A raised limit lets the load go on; what was there already counts as updated, so that the counts agree."""
    client, notes = client_of(start_sandbox()), Notes()
    plan = planned(make_plan(change="create", contacts=contacts(2, 5)), contacts=0)
    put(client, "shop:1", "shop:2")
    # The service tells its time in whole seconds.
    time.sleep(1.1)
    totals = run(client, plan, Gates(max_target_change=Limit(text="2", number=2)), notes)[
        "contacts"
    ]
    assert (totals.count_before, totals.written, totals.created) == (2, 10, 8)
    assert client.count("contacts").count == totals.count_before + totals.created
    assert [text for text in notes.told if "calls new were made" in text] == [
        "dataset contacts: records that the plan calls new were made since it read the target, by others or by an "
        "earlier load that the target was still preparing; they count as updated"
    ]


def test_a_resumed_load_does_not_refuse_its_own_records(
    start_sandbox, client_of, run, make_plan, contacts
):
    """What the first part of the load made is no change by others."""
    box, stop = start_sandbox(), threading.Event()
    plan = planned(make_plan(change="create", contacts=contacts(40, 3)), contacts=0)

    class StopSoon(Silence):
        def advance(self, task: str, by: int, *, total: int | None = None) -> None:
            """Interrupts once something was written."""
            stop.set()

    with pytest.raises(Interrupted):
        run(client_of(box, stop=stop), plan, progress=StopSoon(), stop=stop)
    client = client_of(box)
    assert 0 < client.count("contacts").count < 120
    totals = run(client, plan)["contacts"]
    assert (totals.written, totals.created, totals.count_before) == (120, 120, 0)


def test_without_a_reading_nothing_is_compared(start_sandbox, client_of, run, make_plan, contacts):
    """Plans that never read the target, such as offline ones, repairs and undos, know no count."""
    client, plan = client_of(start_sandbox()), make_plan(contacts=contacts(1, 5))
    put(client, "shop:1", "others")
    assert run(client, plan)["contacts"].written == 5


@pytest.mark.parametrize(
    ("counted", "now", "limit", "is_refused"),
    [
        (None, 9, Limit(text="0", number=0), False),
        (9, 9, Limit(text="0", number=0), False),
        (9, 8, Limit(text="0", number=0), True),
        (100, 105, Limit(text="5%", share=0.05), False),
        (100, 94, Limit(text="5%", share=0.05), True),
    ],
)
def test_the_limit(make_plan, contacts, counted, now, limit, is_refused):
    """Records that went count like those that came; a share is of what the plan counted."""
    plan = planned(make_plan(contacts=contacts(1, 1)), contacts=counted)
    found = LoadGates(plan, Gates(max_target_change=limit)).judge_target([(plan.datasets[0], now)])
    assert (found is not None) == is_refused


@pytest.mark.parametrize(
    ("change", "age_s", "updated_s", "expected"),
    [
        ("create", -1, -1, "create"),
        ("create", 60, -1, "update"),
        ("create", 60, 60, "create"),
        ("create", None, None, "create"),
        ("update", -1, -1, "update"),
        ("unknown", -1, 0, "create"),
        ("unknown", 60, 60, "update"),
    ],
)
def test_what_a_write_did(make_plan, contacts, change, age_s, updated_s, expected):
    """A planned creation that only changed an older record is an update; where the service's clocks disagree, not."""
    since, sent = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC), SentRecord(0, "a", "{}")
    created, updated = (
        None if s is None else since - timedelta(seconds=s) for s in (age_s, updated_s)
    )
    written = Written(sent, "m", created_at=created, updated_at=updated)
    [dataset] = make_plan(contacts=contacts(1, 1)).datasets
    assert (
        Changes(Notes().note).of(dataset, PlannedRecord(sent, change), since, written) == expected
    )
    assert (
        Changes(Notes().note).of(dataset, PlannedRecord(sent, "create"), None, written) == "create"
    )


def test_from_the_command_line(make_project):
    """A plan remembers what it counted; load refuses with exit code 8, and goes on when the limit is raised."""
    project = prepared(make_project())
    url = f"{project.sandbox.octolis_url}/datasets/contacts/records/batch"
    row = {"contact_key": "others:1", "firstname": "Others"}
    sent = httpx.post(url, params={"api-key": TARGET_KEY}, json=[row], headers={"Accept": "*/*"})
    assert sent.json()["results"][0]["written"], sent.text
    before = writes_of(project)
    refused = project.run("load", "-q")
    assert refused.code == 8, refused.stderr
    assert "dataset contacts: 0 records then, 1 now" in refused.stderr
    assert "max_target_change" in refused.stderr
    assert writes_of(project) == before
    project.write(octolis="limit_speed = 100", gates="max_target_change = 1")
    allowed = project.run("load", "-q")
    assert allowed.code in (0, 3), allowed.stderr
    assert project.run("reconcile", "-q").code in (0, 3)


def writes_of(project) -> int:
    """The batches that the target has seen."""
    return sum(project.state()["requests"]["octolis"].get("batch", {}).values())
