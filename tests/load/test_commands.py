"""`load`, `rejects` and `status --watch` as a user gives them: real processes, a real server on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from migrate.load.ledger_view import LedgerView
from tests.harness import Project

MakeProject = Callable[..., Project]


def prepared(project: Project, octolis: str = "") -> Project:
    """The project with quick limits, a snapshot and a plan."""
    project.write(octolis=f"limit_speed = 100\n{octolis}")
    for command in ("extract", "plan"):
        done = project.run(command, "--json", "-q")
        assert done.code in (0, 3), done.stderr
    return project


def writes(project: Project) -> int:
    """The writes that the ledger has announced."""
    with LedgerView(project.folder / "migration" / "ledger.sqlite") as view:
        return sum(entry.requests for plan in view.plans() for entry in view.totals(plan).values())


def mend(project: Project, dataset: str, old: str, new: str) -> None:
    """Changes a mapping file."""
    file = project.folder / "mappings" / f"{dataset}.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def counts(project: Project) -> dict[str, int]:
    """The records that the target holds."""
    return {name: entry["count"] for name, entry in project.state()["datasets"].items()}


def test_rejects_from_the_first_look_to_the_replay(make_project: MakeProject) -> None:
    """Listed by reason, shown without values, exported apart, discarded with a note, replayed after a mapping fix."""
    project = prepared(make_project())
    loaded = project.run("load", "--json", "-q").summary
    groups = project.run("rejects", "list", "--json").summary
    assert {(g["dataset"], g["stage"], g["kind"]) for g in groups["groups"]} == {
        ("orders", "plan", "permanent"),
        ("order_items", "plan", "permanent"),
        ("products", "plan", "permanent"),
    }
    [shown] = project.run("rejects", "show", "orders/p0", "--json").summary["rejects"]
    [open_value] = project.run("rejects", "show", "orders/p0", "--show-values", "--json").summary["rejects"]
    assert shown["value"] != open_value["value"]
    assert open_value["value"] == "on request"
    exported = project.run("rejects", "export", "--json").summary
    permanent, transient = (Path(file) for file in exported["files"])
    assert [json.loads(line)["kind"] for line in permanent.read_text().splitlines()] == ["permanent"] * groups["open"]
    assert transient.read_text() == ""
    assert project.run("rejects", "discard", "products/p0", "--note", "a test product", "--json").code == 0
    before = counts(project)
    mend(project, "orders", " total: {", " total: {on_invalid: omit, ")
    done = project.run("rejects", "replay", "--plan", loaded["plan"], "--json", "-q")
    assert (done.code, done.summary["released"], done.summary["rejects"]) == (3, 1, groups["open"] - 1), done.stderr
    after = counts(project)
    assert after["orders"] == before["orders"] + 1
    assert {name: after[name] for name in after if name != "orders"} == {n: before[n] for n in before if n != "orders"}
    left = project.run("rejects", "list", "--plan", loaded["plan"], "--json").summary
    assert (left["rejects"], left["open"]) == (groups["rejects"], groups["open"] - 2)


def test_children_of_a_released_parent_come_with_it(make_project: MakeProject) -> None:
    """Rows that were rejected because their parent was are written by the same replay."""
    project = make_project()
    mend(project, "order_items", "id: id, on_orphan: keep", "id: id, on_orphan: reject")
    prepared(project)
    plan = project.run("load", "--json", "-q").summary["plan"]
    groups = project.run("rejects", "list", "--json").summary["groups"]
    [orphans] = [g["records"] for g in groups if (g["dataset"], g["column"]) == ("order_items", "order")] or [0]
    assert orphans > 0, groups
    mend(project, "orders", " total: {", " total: {on_invalid: omit, ")
    done = project.run("rejects", "replay", "--plan", plan, "--json", "-q").summary
    assert done["released"] == 1 + orphans


def test_what_support_asks_for(make_project: MakeProject) -> None:
    """A record refused by the service is shown with the request that carried it."""
    project = prepared(make_project())
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=["octolis:partial=40/400@path=*contacts*batch,times=1"])
    done = project.run("load", "--json", "-q")
    summary = done.summary
    assert (done.code, summary["datasets"]["contacts"]["rejected"]) == (3, 12), done.stderr
    assert summary["reasons"][0]["records"] == 12
    [first] = project.run("rejects", "show", "--reason", "Something", "--limit", "1", "--json").summary["rejects"]
    [request] = first["requests"]
    assert request["apigw-requestid"]
    assert request["traceparent"]
    assert len(request["payload_sha256"]) == 64
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


@pytest.mark.slow
def test_asked_to_stop_once_and_twice(make_project: MakeProject) -> None:
    """Once: what is in flight ends, and the last lines are counts and the next command. Twice: gone at once."""
    project = prepared(make_project())
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=["octolis:slow=0.3@path=*batch"])
    process = project.start("load", "--json", "-q")
    wait_for(lambda: project.state()["requests"]["octolis"].get("batch"))
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=30)
    summary: dict[str, Any] = json.loads(stdout)
    assert (process.returncode, summary["status"]) == (130, "interrupted"), stderr
    assert sum(d["written"] for d in summary["datasets"].values()) > 0
    assert summary["next"].startswith("migrate load --plan")
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=["octolis:stall@path=*batch"])
    sent = writes(project)
    process = project.start("load", "--json", "-q")
    wait_for(lambda: writes(project) > sent)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    begun = time.monotonic()
    stdout, _ = process.communicate(timeout=30)
    assert time.monotonic() - begun < 2
    assert (process.returncode, json.loads(stdout)["status"]) == (130, "interrupted")
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=[])
    assert project.run("load", "-q").code == 0


def test_watching_from_another_terminal(make_project: MakeProject) -> None:
    """`status --watch` follows a load that another process runs, and ends with it."""
    project = prepared(make_project())
    httpx.post(f"{project.sandbox.url}/_sandbox/faults", json=["octolis:slow=0.1@path=*batch"])
    load = project.start("load", "-q")
    watch = project.run("status", "--watch", "--every", "0.2", timeout_s=60)
    load.communicate(timeout=60)
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
        timeout=60,
    )
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr
    assert "free disk space" in done.stderr
    again = project.run("load", "--json", "-q")
    assert again.code == 0, again.stderr
    books = again.summary["datasets"]
    assert all(entry["written"] == entry["planned"] for entry in books.values())
    records = pl.read_parquet(
        project.folder / "migration" / "exports" / again.summary["plan"] / "crosswalk-contacts.parquet"
    )
    assert records.height >= books["contacts"]["written"]


def wait_for(true: Callable[[], object]) -> None:
    """Waits at most 30 s."""
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
