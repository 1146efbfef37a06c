"""`load`, `rejects` and `status --watch` as a user gives them: real processes, a real server on loopback."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tests.harness import PATIENCE_S, from_batch, wait_until
from tests.load.projects import MakeProject, prepared, writes


def test_what_support_asks_for(make_project: MakeProject) -> None:
    """A record refused by the service is shown with the request that carried it."""
    project = prepared(make_project())
    httpx.post(
        f"{project.sandbox.url}/_sandbox/faults",
        json=["octolis:partial=40/400@path=*contacts*batch,at=2"],
    )
    done = project.run("load", "--json", "-q")
    summary = done.summary
    assert (done.code, summary["datasets"]["contacts"]["rejected"]) == (3, 12), done.stderr
    assert summary["reasons"][0]["records"] == 12
    [first] = project.run(
        "rejects", "show", "--reason", "Something", "--limit", "1", "--json"
    ).summary["rejects"]
    [request] = first["requests"]
    assert request["apigw-requestid"]
    assert request["traceparent"]
    assert len(request["payload_sha256"]) == 64
    files = project.run("rejects", "export", "--format", "csv", "--json").summary["files"]
    text = Path(files[0]).read_text("utf-8-sig")
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["stage"] == "load"]
    assert {row["requests"] for row in rows} == {request["apigw-requestid"]}
    done = project.run("rejects", "replay", "--json", "-q")
    assert done.summary["released"] == 12, done.stderr


def test_the_summary_goes_to_the_webhook(make_project: MakeProject) -> None:
    """The numbers of a load reach the configured webhook, without keys and without a record's value."""
    project = prepared(make_project(), '[octolis.webhooks.notify]\nid = "hook-1"\nmethod = "PUT"')
    done = project.run("load", "--json", "-q").summary
    [received] = httpx.get(f"{project.sandbox.url}/_sandbox/webhooks").json()["received"]
    assert received["id"] == "hook-1"
    assert (received["body"]["command"], received["body"]["datasets"]) == ("load", done["datasets"])


def test_a_webhook_that_is_not_there_spoils_nothing(make_project: MakeProject) -> None:
    """The load is done and says so; the webhook is a note."""
    project = prepared(make_project(), '[octolis.webhooks.notify]\nid = "hook-1"')
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=["octolis:404@path=*webhook*"])
    done = project.run("load", "--json")
    assert (done.code, done.summary["status"]) == (0, "done"), done.stderr
    assert "webhook" in done.stderr


def test_asked_to_stop_once_and_twice(make_project: MakeProject) -> None:
    """Once: what is in flight ends, and the last lines are counts and the next command. Twice: gone at once."""
    project = prepared(make_project(), "concurrency = 1")
    project.set_faults((from_batch(2, "slow=2"),))
    process = project.start("load", "--json", "-q")
    wait_until(lambda: project.state()["requests"]["octolis"].get("batch"))
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=PATIENCE_S)
    summary: dict[str, Any] = json.loads(stdout)
    assert (process.returncode, summary["status"]) == (130, "interrupted"), stderr
    assert sum(d["written"] for d in summary["datasets"].values()) > 0
    assert summary["next"].startswith("migrate load --plan")
    project.set_faults(
        (from_batch(1, "drip=10"),)
    )  # that ends with the request's deadline, after two minutes
    sent = writes(project)
    process = project.start("load", "--json", "-q")
    wait_until(lambda: writes(project) > sent)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    # Two signals before the first is taken are one to the process.
    assert process.stderr is not None
    assert any("stopping" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=PATIENCE_S)
    assert time.monotonic() - begun < 60
    assert (process.returncode, json.loads(stdout)["status"]) == (130, "interrupted")
    project.set_faults(())
    assert project.run("load", "-q").code == 0


def test_watching_from_another_terminal(make_project: MakeProject) -> None:
    """`status --watch` follows a load that another process runs, and ends with it."""
    project = prepared(make_project())
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=["octolis:slow=0.1@path=*batch"])
    load = project.start("load", "-q")
    # what has not begun is not followed
    wait_until(lambda: project.state()["requests"]["octolis"].get("batch"))
    watch = project.run("status", "--watch", "--every", "0.2")
    load.communicate(timeout=PATIENCE_S)
    assert watch.code == 0, watch.stderr
    assert "records/s" in watch.stdout
    assert "done\n" in watch.stdout


def test_a_full_disk(make_project: MakeProject) -> None:
    """One line and exit code 7 when the ledger cannot grow; when there is room again the same command finishes."""
    resource = pytest.importorskip("resource")
    project = prepared(make_project())

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    environ = {
        **os.environ,
        "DATATRICS_API_KEY": "source-key-canary-1b7f",
        "OCTOLIS_API_KEYS": "target-key-canary-9c2e",
    }
    done = subprocess.run(
        [sys.executable, "-m", "migrate", "load", "-q"],
        cwd=project.folder,
        env=environ,
        preexec_fn=limited,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr
    assert "free disk space" in done.stderr
    again = project.run("load", "--json", "-q")
    assert again.code == 0, again.stderr
    books = again.summary["datasets"]
    assert all(entry["written"] == entry["planned"] for entry in books.values())
    records = pl.read_parquet(
        project.folder
        / "migration"
        / "exports"
        / again.summary["plan"]
        / "crosswalk-contacts.parquet"
    )
    assert records.height >= books["contacts"]["written"]


def test_the_summary_of_a_whole_run_goes_to_the_webhook(make_project: MakeProject) -> None:
    """At the end of `run` the webhook is told once, with the numbers of all stages and no path of this machine."""
    project = make_project()
    project.write(
        octolis='limit_speed = 100\n[octolis.webhooks.notify]\nid = "hook-1"\nheaders = {x-origin = "me"}'
    )
    done = project.run("run", "--json", "-q")
    assert done.code == 3, done.stderr
    [received] = httpx.get(f"{project.sandbox.url}/_sandbox/webhooks").json()["received"]
    body = received["body"]
    assert (received["id"], body["command"], body["exit_code"]) == ("hook-1", "run", done.code)
    assert body["status"] == done.summary["status"]
    assert set(body) >= {"extract", "plan", "load", "reconcile"}
    assert body["load"]["datasets"] == done.summary["load"]["datasets"]
    assert str(project.folder) not in json.dumps(body)
