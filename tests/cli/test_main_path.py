"""The whole migration by the command line: straight, twice, and after kill -9."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl

from tests.harness import DATASETS, PATIENCE_S, TARGET_KEY, Project, from_batch, wait_until

MakeProject = Callable[..., Project]
CONCURRENCY = 8


def target_content(project: Project) -> dict[str, pl.DataFrame]:
    """What the target holds, without its system columns, in the order of the first column."""
    assert project.sandbox is not None
    found = {}
    for dataset in DATASETS:
        url = f"{project.sandbox.octolis_url}/datasets/{dataset}/records?api-key={TARGET_KEY}&format=csv"
        body = httpx.get(url, headers={"Accept": "*/*", "Content-Type": "application/json"}).content
        frame = pl.read_csv(body, infer_schema=False).select(pl.exclude("^__.*__$"))
        found[dataset] = frame.sort(frame.columns[0])
    return found


def batch_requests(project: Project) -> int:
    """How many batch upserts have come to the target."""
    assert project.sandbox is not None
    log = httpx.get(f"{project.sandbox.url}/_sandbox/log").json()["requests"]
    return sum(entry["path"].endswith("/records/batch") for entry in log)


def answered_batches(project: Project) -> int:
    """How many of them with what became of the records."""
    return int(project.state()["requests"].get("octolis", {}).get("batch", {}).get("200", 0))


def list_requests(project: Project) -> int:
    """How many list pages the source has answered."""
    assert project.sandbox is not None
    log = httpx.get(f"{project.sandbox.url}/_sandbox/log").json()["requests"]
    return sum("/project/" in entry["path"] and entry["method"] == "GET" for entry in log)


def manifest(project: Project, name: str) -> dict[str, Any]:
    """The manifest of a finished snapshot."""
    text = (project.folder / "migration" / "snapshots" / name / "manifest.json").read_text(
        encoding="utf-8"
    )
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_the_demo_ends_with_counts_that_match(tmp_path: Path) -> None:
    """One command, no account: exit code 0, every dataset matches, revenue is equal in all three places."""
    done = Project(tmp_path).run("demo", "--json", "-q", "--dir", "demo", "--speed", "20")
    assert done.code == 0, done.stderr
    summary = done.summary
    assert {d["verdict"] for d in summary["reconcile"]["datasets"].values()} == {"match"}
    assert {r["verdict"] for r in summary["extract"]["resources"].values()} == {"proven"}
    assert all(row["equal"] for row in summary["revenue"])
    assert len(summary["revenue"]) == 25
    page = Path(tmp_path / summary["report"]).read_text(encoding="utf-8")
    assert "Done, but not all of it: 11,242 records written" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert summary["next"].startswith("migrate ")


def test_run_and_run_again(make_project: MakeProject) -> None:
    """The first run creates everything; the second finds everything unchanged and sends nothing."""
    project = make_project()
    first = project.run("run", "--json", "-q")
    assert first.code == 3, first.stderr  # some of the demo's data break rules
    for name, d in first.summary["plan_datasets"].items():
        buckets = ("filtered", "rejected", "discarded", "waiting", "collapsed", "planned")
        assert d["read"] == sum(d[bucket] for bucket in buckets), name
        assert d["planned"] == d["create"], name
    sent = batch_requests(project)
    before = target_content(project)
    second = project.run("run", "--json", "-q")
    assert second.code == 3, second.stderr
    for name, d in second.summary["plan_datasets"].items():
        assert d["unchanged"] == d["planned"], (name, d["change_counts"])
    assert batch_requests(project) == sent
    assert all(d["verdict"] == "match" for d in second.summary["reconcile"]["datasets"].values())
    after = target_content(project)
    assert all(before[name].equals(after[name]) for name in DATASETS)


def test_an_update_is_sent_alone(make_project: MakeProject) -> None:
    """One record that changed at the source is one update of one column, and nothing else is sent."""
    project = make_project()
    assert project.run("run", "-q").code == 3
    assert project.sandbox is not None
    url = f"{project.sandbox.datatrics_url}/project/demo/profile"
    listed = httpx.get(
        url,
        params={"limit": 1, "source": "MailChimp"},
        headers={"x-apikey": "source-key-canary-1b7f"},
    )
    record = listed.json()["items"][0]
    body = {
        name: value
        for name, value in record.items()
        if name not in ("profileid", "source", "objecttype")
    }
    change = {
        "profileid": record["profileid"],
        "source": record["source"],
        "profile": {**body, "city": "Nieuwstad"},
    }
    httpx.post(url, json=change, headers={"x-apikey": "source-key-canary-1b7f"}).raise_for_status()
    assert project.run("extract", "profiles", "-q").code == 0
    planned = project.run("plan", "contacts", "--json", "-q").summary["datasets"]["contacts"]
    assert (planned["create"], planned["update"], planned["unchanged"]) == (
        0,
        1,
        planned["planned"] - 1,
    )
    assert planned["change_counts"] == {"city": 1}
    loaded = project.run("load", "--json", "-q").summary["datasets"]["contacts"]
    assert (loaded["written"], loaded["updated"], loaded["created"], loaded["requests"]) == (
        1,
        1,
        0,
        1,
    )
    assert project.run("reconcile", "-q").code == 0


def test_kill_during_extract(make_project: MakeProject) -> None:
    """After kill -9 the same command asks only for what is not stored, and ends in the same bytes as a clean run."""
    project = make_project(whole=True)
    project.write(datatrics="page_size = 25\nrequests_per_second = 1000\nconcurrency = 4")
    assert project.run("extract", "--snapshot", "clean", "-q").code == 0
    clean_requests = list_requests(project)
    folder = project.folder / "migration" / "snapshots" / "killed"
    for resource, path, lines in (("profiles", "profile", 5), ("sales", "sale", 20)):
        journal = folder / resource / "journal.jsonl"
        project.set_faults(
            (f"datatrics:stall@path=*/{path},at={lines + 9}",)
        )  # so that it cannot end before
        project.kill_when(
            lambda journal=journal, lines=lines: journal.exists() and journal.read_bytes().count(b"\n") >= lines,
            "extract", "--snapshot", "killed", "-q",
        )  # fmt: skip
    project.set_faults(())
    done = project.run("extract", "--snapshot", "killed", "--json", "-q")
    assert done.code == 0, done.stderr
    assert {r["verdict"] for r in done.summary["resources"].values()} == {"proven"}
    spent = list_requests(project) - clean_requests
    assert spent <= clean_requests + 2 * (4 + 5), (spent, clean_requests)
    clean, killed = manifest(project, "clean"), manifest(project, "killed")
    for resource, entry in clean["resources"].items():
        assert [p["sha256"] for p in entry["parts"]] == [
            p["sha256"] for p in killed["resources"][resource]["parts"]
        ]


def test_kill_during_load(make_project: MakeProject) -> None:
    """After kill -9, three times: the target of a clean run, and at most the batches in flight were sent again."""
    clean = make_project("clean")
    clean.write(octolis="limit_speed = 100")
    assert clean.run("run", "-q").code == 3
    expected = target_content(clean)
    planned = batch_requests(clean)
    project = make_project("killed")
    project.write(octolis="limit_speed = 100")
    assert project.run("extract", "-q").code == 0
    assert project.run("plan", "-q").code == 3
    kills = 0
    for answered, left in ((2, ()), (5, ()), (4, ("applied=1",))):
        # Before the faults begin to count: a request of the killed process may come in only now.
        goal = answered_batches(project) + answered
        project.set_faults((from_batch(answered + 1, "stall", *left),))  # so that it cannot end
        project.kill_when(lambda goal=goal: answered_batches(project) >= goal, "load", "-q")
        kills += 1
    project.set_faults(())
    done = project.run("load", "--json", "-q")
    assert done.code == 0, done.stderr
    for name, d in done.summary["datasets"].items():
        assert d["planned"] == d["written"] == d["created"], name
    assert batch_requests(project) <= planned + kills * CONCURRENCY
    assert project.run("reconcile", "-q").code == 0
    content = target_content(project)
    assert all(content[name].equals(expected[name]) for name in DATASETS)


def test_interrupt_drains_and_says_how_to_go_on(make_project: MakeProject) -> None:
    """SIGTERM finishes what is in flight, ends with 130 and names the command that continues."""
    project = make_project()
    assert project.run("extract", "-q").code == 0
    assert project.run("plan", "-q").code == 3
    project.write(octolis="concurrency = 1\nlimit_speed = 100")
    project.set_faults((from_batch(3, "slow=1"),))
    process = project.start("load", "-q")
    wait_until(lambda: batch_requests(project) >= 2)
    process.terminate()
    _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "migrate load" in stderr
    assert "Traceback" not in stderr
    project.set_faults(())
    done = project.run("load", "--json", "-q")
    assert done.code == 0, done.stderr
    assert sum(d["requests"] for d in done.summary["datasets"].values()) == batch_requests(project)
