"""A service that asks for a long wait, in real loads over real sockets: nobody sleeps for a day in silence."""

from __future__ import annotations

import threading
import time

import pytest
from pydantic import SecretStr

from migrate.config import Gates, Octolis
from migrate.errors import GaveUp, Refused
from migrate.load.loader import Options, load
from migrate.load.scheduler import Waits
from migrate.progress import Silence
from migrate.target.answer import Answer
from migrate.target.client import TargetClient
from tests.load.scripted import scripted

QUICK = Options(waits=Waits(0.01, 0.1, 0.05, 0.2))


@pytest.fixture
def open_client(workspace):
    """Clients of one workspace, which share what the service asked for."""
    clients = []

    def go(url, kind=TargetClient, **settings):
        made = kind(
            Octolis(base_url=url, limit_speed=50, retry_budget_s=600, **settings),
            (SecretStr("k"),),
            state_file=workspace.root / "budget.json",
            stop=threading.Event(),
        )
        clients.append(made)
        return made

    yield go
    for made in clients:
        made.close()


@pytest.fixture
def run(workspace):
    """Loads a plan with short waits."""
    return lambda client, plan: load(
        client, workspace, plan, Gates(), Silence(), threading.Event(), options=QUICK
    ).datasets["contacts"]


def test_a_wait_of_a_day_ends_all_waiting(open_client, run, make_plan, contacts):
    """The load ends although others wait for the same key; so do the next load and the next read, without asking."""
    plan, begun = make_plan(contacts=contacts(60, 1)), time.monotonic()
    with scripted((429, {"Retry-After": "86400"})) as service:
        with pytest.raises(GaveUp, match=r"asked to wait .*86\d\d\d s"):
            run(open_client(service.url), plan)
        asked = len(service.asked_at)
        with pytest.raises(GaveUp, match=r"asked to wait another 86\d\d\d s") as caught:
            run(open_client(service.url), plan)
        assert "UTC" in (caught.value.hint or "")
        with pytest.raises(GaveUp, match="asked to wait another"):
            open_client(service.url).count("contacts")
        assert len(service.asked_at) == asked
        assert time.monotonic() - begun < 300


class LateRefusal(TargetClient):
    """The second batch is refused for good, once the others wait for the key."""

    sent = 0

    def upsert_batch(self, dataset_id: str, body: bytes) -> Answer:
        """What the service says, except for the second batch."""
        self.sent += 1
        if self.sent != 2:
            return super().upsert_batch(dataset_id, body)
        time.sleep(1)
        return Answer(404)


def test_a_reason_to_stop_wakes_who_waits(open_client, run, make_plan, contacts):
    """A load that has to stop does not wait until the key may ask again; what waited was never sent."""
    with scripted((429, {"Retry-After": "500"})) as service:
        begun = time.monotonic()
        with pytest.raises(Refused):
            run(
                open_client(service.url, LateRefusal, concurrency=4),
                make_plan(contacts=contacts(60, 1)),
            )
        assert time.monotonic() - begun < 250
    assert len(service.asked_at) < 20
