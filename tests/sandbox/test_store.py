"""State that survives: restarts, kill -9, damaged files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from migrate.errors import UsageError
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import Sandbox, SandboxSettings
from migrate.sandbox.store import Store
from tests.harness import PATIENCE_S

Connect = Callable[[Sandbox], Any]
SERVER = """
import sys
import threading
from pathlib import Path
from migrate.sandbox.limits import Limits
from migrate.sandbox.serve import SandboxSettings, serve
settings = SandboxSettings(datasets=Path(sys.argv[1]), db=Path(sys.argv[2]), limits=Limits(enforce=False))
serve(settings, lambda box: print(box.url, flush=True), threading.Event())
print("ended")
"""


def launch(datasets: Path, db: Path) -> tuple[subprocess.Popen[str], str]:
    """A sandbox in a process of its own, and its URL."""
    command = [sys.executable, "-c", SERVER, str(datasets), str(db)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert server.stdout is not None
    return server, server.stdout.readline().strip()


def test_everything_survives_a_restart(
    tmp_path: Path, datasets_file: Path, octolis: Connect, datatrics: Connect
) -> None:
    """Records, their order, masterids, merges, deletions and webhooks are as before."""
    settings = SandboxSettings(
        datasets=datasets_file, db=tmp_path / "s.db", limits=Limits(enforce=False)
    )
    with Sandbox(settings) as box:
        call, client = octolis(box), datatrics(box)
        call.results(
            [
                {"contact_key": "1", "firstname": "a"},
                {"contact_key": "2", "firstname": "b", "email": "e"},
            ]
        )
        call.results(
            [
                {"contact_key": "3", "firstname": "c"},
                {"contact_key": "1", "firstname": "d", "email": "e"},
            ]
        )
        for number in ("1", "2", "3"):
            client.post("/profile", json={"profileid": number, "source": "S", "profile": {"n": 1}})
        client.delete("/profile/2?source=S")
        headers = {"x-origin": "migration"}
        query = {"api-key": "sandbox-octolis-key"}
        httpx.post(
            f"{box.octolis_url}/webhook/notify", params=query, headers=headers, content=b"[1]"
        )
        before = call.records(), client.get("/profile").json()
    with Sandbox(settings) as box:
        call = octolis(box)
        assert (call.records(), datatrics(box).get("/profile").json()) == before
        assert len(before[0]) == 2
        assert httpx.get(f"{box.url}/_sandbox/webhooks").json()["received"] == [
            {"id": "notify", "body": [1]}
        ]
        updated = call.results([{"contact_key": "3", "firstname": "c", "orders": 1}])[0]["record"]
        assert updated["__masterid__"] in {record["__masterid__"] for record in before[0]}
        httpx.post(f"{box.url}/_sandbox/reset")
    with Sandbox(settings) as box:
        assert octolis(box).records() == []


def test_kill_loses_nothing_acknowledged(tmp_path: Path, datasets_file: Path) -> None:
    """SIGKILL right after an answer: a new process still has what it acknowledged."""
    server, url = launch(datasets_file, tmp_path / "s.db")
    query = {"api-key": "sandbox-octolis-key"}
    headers = {"Content-Type": "application/json"}
    records = [{"contact_key": str(n), "firstname": "x"} for n in range(300)]
    path = "/v1/data/datasets/ds-contacts/records"
    answer = httpx.post(f"{url}{path}/batch", params=query, headers=headers, json=records)
    server.kill()
    server.communicate()
    masterids = {result["record"]["__masterid__"] for result in answer.json()["results"]}
    server, url = launch(datasets_file, tmp_path / "s.db")
    try:
        listed = httpx.get(f"{url}{path}", params=query, headers=headers).json()["records"]
        assert {record["__masterid__"] for record in listed} == masterids
        assert len(listed) == 300
    finally:
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE_S)
    assert output.strip() == "ended"
    assert server.returncode == 0


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """One clear error, and the file is left alone."""
    path = tmp_path / "s.db"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(UsageError, match=r"s\.db"):
        Store(path)
    assert path.read_bytes().startswith(b"something else")
