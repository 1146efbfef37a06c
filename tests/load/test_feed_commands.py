"""A mapping with `target: webhook`, from the check to the reconciliation, as a user gives the commands."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.harness import Project
from tests.load.projects import MakeProject

FEED = """
version: 1
dataset: clicks
target: webhook
resource: interactions
key: [click]
columns:
  click: {sql: "source || ':' || id", type: text}
  event: {from: [metadata.event, event], type: text}
"""
HOOK = '[octolis.webhooks.clicks]\nid = "hook-7"\nmethod = "PUT"'


@pytest.fixture
def project(make_project: MakeProject) -> Project:
    """A project with a feed beside its datasets, and a snapshot."""
    made = make_project()
    (made.folder / "mappings" / "clicks.yaml").write_text(FEED, encoding="utf-8")
    made.write(octolis=f"limit_speed = 100\n{HOOK}")
    assert made.run("extract", "-q").code == 0
    return made


def received(project: Project) -> list[str]:
    """The keys that reached the feed's webhook, in order."""
    assert project.sandbox is not None
    entries = httpx.get(f"{project.sandbox.url}/_sandbox/webhooks").json()["received"]
    assert {entry["id"] for entry in entries} <= {"hook-7"}
    return [record["click"] for entry in entries for record in entry["body"]]


def test_a_feed_from_plan_to_reconcile(project: Project) -> None:
    """All rows are handed over once; plan, load and reconcile each say that nothing of it can be verified."""
    planned = project.run("plan", "--json", "-q").summary
    feed, contacts = planned["datasets"]["clicks"], planned["datasets"]["contacts"]
    assert feed["unknown"] == feed["planned"] > 0
    assert contacts["create"] == contacts["planned"]
    assert any("not verifiable" in warning for warning in feed["warnings"])
    loaded = project.run("load", "--json", "-q")
    entry = loaded.summary["datasets"]["clicks"]
    assert (entry["target"], entry["written"], entry["created"]) == (
        "webhook",
        feed["planned"],
        0,
    ), loaded.stderr
    assert loaded.summary["datasets"]["contacts"]["target"] == "dataset"
    keys = received(project)
    assert len(keys) == len(set(keys)) == feed["planned"]
    found = project.run("reconcile", "--deep", "--json", "-q")
    assert (found.code, found.summary["status"]) == (4, "unverified"), found.stderr
    assert "clicks" not in found.summary["datasets"]
    assert "webhook" in found.summary["unverifiable"]["clicks"]
    assert "clicks: not verifiable" in project.run("reconcile", "-q").stdout
    assert project.run("load", "-q").code == loaded.code
    assert received(project) == keys


def test_the_feed_alone(project: Project) -> None:
    """Planned and loaded by its name, it asks nothing of any dataset."""
    before = project.state()["requests"].get("octolis", {})
    assert project.run("plan", "clicks", "-q").code == 0
    text = project.run("load", "-q").stdout
    assert "clicks went to a webhook: not verifiable" in text
    after = project.state()["requests"]["octolis"]
    assert {kind for kind in after if after[kind] != before.get(kind)} == {"webhook"}


def test_a_feed_without_its_webhook(project: Project) -> None:
    """Not planned where no webhook is configured; asked for by name, the message says what to write."""
    project.write()
    planned = project.run("plan", "--offline", "--json", "-q").summary
    assert planned["skipped"]["clicks"] == "no [octolis.webhooks.clicks]"
    refused = project.run("plan", "clicks", "--offline")
    assert refused.code == 5
    assert "[octolis.webhooks.clicks]" in refused.stderr


def test_another_webhook_makes_the_plan_stale(project: Project) -> None:
    """A plan that was looked at for one webhook is not sent to another."""
    assert project.run("plan", "clicks", "-q").code == 0
    project.write(octolis=HOOK.replace("hook-7", "hook-8"))
    done = project.run("load", "-q")
    assert (done.code, "webhook 'clicks'" in done.stderr) == (7, True), done.stderr
    assert received(project) == []


def test_a_replay_never_sends_a_feed_again(project: Project) -> None:
    """A new plan of a feed would send all of it: a replay leaves it out, and says so where there is nothing else."""
    file = project.folder / "mappings" / "clicks.yaml"
    file.write_text(
        FEED.replace("[metadata.event, event], type: text", "id, type: integer"), encoding="utf-8"
    )
    assert (
        project.run("plan", "clicks", "--json", "-q").summary["datasets"]["clicks"]["rejected"] > 0
    )
    project.run("load", "-q")
    sent = received(project)
    refused = project.run("rejects", "replay")
    assert (refused.code, "send all of its rows to the webhook again" in refused.stderr) == (
        2,
        True,
    ), refused.stderr
    assert received(project) == sent


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("dataset: clicks", "dataset: notify", "webhook of the summaries"),
        ("key: [click]", "key: [click]\nalternative_keys: [[event]]", "merges nothing"),
        ("event], type: text", "event], type: text, recipe: true", "not compared"),
        ("target: webhook", "target: mailbox", "target"),
    ],
)
def test_what_a_feed_cannot_have(old: str, new: str, word: str, project: Project) -> None:
    """What only a dataset has is an error of the mapping, with file and line."""
    file = project.folder / "mappings" / "clicks.yaml"
    file.write_text(FEED.replace(old, new), encoding="utf-8")
    done = project.run("mapping", "check", str(file), "--json")
    assert (done.code, word in json.dumps(done.summary) + done.stderr) == (5, True), (
        done.stdout + done.stderr
    )
