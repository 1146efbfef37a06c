"""A service that takes no large body: what was learnt holds for the rest of the load, and for the next one."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

from migrate.config import Gates
from migrate.load.loader import Options, load
from migrate.load.scheduler import Waits
from tests.load.sayings import Sayings
from tests.load.scripted import scripted

QUICK = Options(waits=Waits(0.01, 0.02, 0.05, 0.2))
MOST_BYTES = 1_000


@pytest.fixture
def run(workspace, client_of):
    """Loads a plan into a service."""

    def go(service, plan, progress=None, **settings):
        client = client_of(SimpleNamespace(octolis_url=service.url), **settings)
        progress, stop = progress or Sayings(), threading.Event()
        found = load(client, workspace, plan, Gates(), progress, stop, options=QUICK)
        return found.datasets["contacts"]

    return go


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_limit_is_learnt_once(concurrency, run, make_plan, contacts):
    """413 above a thousand bytes: a few refusals find the limit, it is told, and nothing larger is sent again."""
    refused: list[int] = []

    def judge(records):
        size = len(json.dumps(records, ensure_ascii=False).encode())
        if size > MOST_BYTES:
            refused.append(size)
            return 413, {"title": "Payload Too Large", "status": 413}
        return None

    progress = Sayings()
    with scripted(judge=judge) as service:
        plan = make_plan("one", contacts=contacts(20, 40))
        totals = run(service, plan, progress, concurrency=concurrency)
        assert (totals.written, totals.rejected, totals.open) == (800, 0, 0)
        assert len(refused) <= concurrency + 4
        assert "the service refuses larger bodies (413)" in progress.text
        assert "batch_bytes = " in progress.text
        before = len(refused)
        run(service, make_plan("two", contacts=contacts(5, 40)), progress, concurrency=concurrency)
        assert len(refused) == before
        assert "an earlier load had larger ones refused" in progress.text


def test_a_record_that_is_too_large_alone(run, make_plan, contacts):
    """It is rejected for itself, and the others get in."""

    def judge(records):
        is_large = any(len(record["firstname"]) > MOST_BYTES for record in records)
        return (413, {"title": "Payload Too Large", "status": 413}) if is_large else None

    rows = contacts(2, 8)
    rows[1][3]["firstname"] = "x" * (MOST_BYTES + 1)
    with scripted(judge=judge) as service:
        totals = run(service, make_plan(contacts=rows), concurrency=1)
    assert (totals.written, totals.rejected, totals.open) == (15, 1, 0)


def test_poison_stays_set_aside(run, make_plan, contacts):
    """Three records that make the service fail: the next load tries each once, and does not blame the service."""
    poison = {"shop:2", "shop:5", "shop:11"}

    def judge(records):
        is_ill = any(record["contact_key"] in poison for record in records)
        return (500, {"title": "Internal", "status": 500}) if is_ill else None

    with scripted(judge=judge) as service:
        plan = make_plan(contacts=contacts(3, 8))
        first = run(service, plan, concurrency=1)
        assert (first.written, first.unknown, first.rejected) == (21, 3, 0)
        before = len(service.asked_at)
        again = run(service, plan, concurrency=1, retry_budget_s=5)
        assert (again.written, again.unknown, len(service.asked_at) - before) == (21, 3, 3)
        poison.clear()
        assert run(service, plan, concurrency=1).open == 0
