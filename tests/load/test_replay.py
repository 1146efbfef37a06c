"""`migrate rejects` as a user gives it: listed, shown, exported apart, discarded, and brought through at last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.harness import Project
from tests.load.projects import MakeProject, counts, fix, prepared


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
    [open_value] = project.run("rejects", "show", "orders/p0", "--show-values", "--json").summary[
        "rejects"
    ]
    assert shown["value"] != open_value["value"]
    assert open_value["value"] == "on request"
    exported = project.run("rejects", "export", "--json").summary
    permanent, transient = (Path(file) for file in exported["files"])
    assert [json.loads(line)["kind"] for line in permanent.read_text().splitlines()] == [
        "permanent"
    ] * groups["open"]
    assert transient.read_text() == ""
    assert (
        project.run("rejects", "discard", "products/p0", "--note", "a test product", "--json").code
        == 0
    )
    before = counts(project)
    fix(project, "orders", " total: {", " total: {on_invalid: omit, ")
    done = project.run("rejects", "replay", "--plan", loaded["plan"], "--json", "-q")
    assert (done.code, done.summary["released"], done.summary["rejects"]) == (
        3,
        1,
        groups["open"] - 1,
    ), done.stderr
    after = counts(project)
    assert after["orders"] == before["orders"] + 1
    # the lines of that order have waited for it
    assert after["order_items"] > before["order_items"]
    theirs = ("orders", "order_items")
    assert {name: after[name] for name in after if name not in theirs} == {
        n: before[n] for n in before if n not in theirs
    }
    left = project.run("rejects", "list", "--plan", loaded["plan"], "--json").summary
    assert (left["rejects"], left["open"]) == (groups["rejects"], groups["open"] - 2)


def test_children_of_a_released_parent_come_with_it(make_project: MakeProject) -> None:
    """Lines of a rejected order wait for it, and are written by the replay that brings it through."""
    project = make_project()
    prepared(project)
    waiting = project.run("rejects", "list", "--json").summary["waiting"]
    assert waiting > 0
    plan = project.run("load", "--json", "-q").summary["plan"]
    before = counts(project)
    fix(project, "orders", " total: {", " total: {on_invalid: omit, ")
    done = project.run("rejects", "replay", "--plan", plan, "--json", "-q").summary
    assert (done["released"], done["fates"]["sent"]) == (1, 1)
    left = project.run("rejects", "list", "--json").summary["waiting"]
    assert counts(project)["order_items"] == before["order_items"] + waiting - left
    assert left < waiting


def json_lines(file: Path) -> list[dict[str, Any]]:
    """The rows of an exported file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def exported(project: Project, plan: str) -> dict[str, list[dict[str, Any]]]:
    """The open rejects in the two files, by kind."""
    files = project.run("rejects", "export", "--plan", plan, "--json").summary["files"]
    return {Path(f).stem.removeprefix("rejects-"): json_lines(Path(f)) for f in files}


def loaded_while_busy(project: Project) -> dict[str, Any]:
    """The summary of a load during which the dataset of the orders never took a write."""
    project.set_faults(("octolis:423@path=*orders*batch",))
    done = project.run("load", "--json", "-q")
    assert done.code == 3, done.stderr
    project.set_faults(())
    return done.summary


def test_transient_rejects_only_need_the_service(make_project: MakeProject) -> None:
    """Records that a busy dataset did not take are sent by the same plan, as planned, once it is well."""
    project = prepared(make_project(), "busy_budget_s = 0")
    summary = loaded_while_busy(project)
    plan, deferred = summary["plan"], summary["datasets"]["orders"]["deferred"]
    assert deferred == summary["datasets"]["orders"]["planned"] > 0
    files = exported(project, plan)
    assert {row["kind"] for row in files["permanent"]} == {"permanent"}
    assert [row["kind"] for row in files["transient"]] == ["transient"] * deferred
    assert not {row["reject"] for row in files["permanent"]} & {
        row["reject"] for row in files["transient"]
    }
    names = [row["reject"] for row in files["permanent"]]
    assert (
        project.run("rejects", "discard", *names, "--note", "not wanted", "--plan", plan).code == 0
    )
    done = project.run("rejects", "replay", "--plan", plan, "--json", "-q")
    assert (done.code, done.summary["new_plan"]) == (0, plan), done.stderr
    assert (done.summary["released"], done.summary["rejects"]) == (deferred, deferred)
    assert counts(project)["orders"] == deferred
    assert exported(project, plan)["transient"] == []
    assert project.run("rejects", "replay", "--plan", plan).code == 2


def test_what_waits_is_no_match(make_project: MakeProject) -> None:
    """A run that could not write one dataset ends with 3 and the load to give; the counts alone are not the end."""
    project = prepared(make_project(), "busy_budget_s = 0")
    project.set_faults(("octolis:423@path=*orders*batch",))
    run = project.run("run", "--json", "-q")
    assert (run.code, run.summary["status"]) == (3, "done, with rejected or deferred rows"), (
        run.stderr
    )
    assert "load --plan" in run.summary["next"]
    found = project.run("reconcile", "--json", "-q")
    assert (found.code, found.summary["status"]) == (4, "unfinished")


def test_both_kinds_together_need_a_new_plan(make_project: MakeProject) -> None:
    """With a permanent reject open, a new plan brings those that were fixed and those that had to wait, each once."""
    project = prepared(make_project(), "busy_budget_s = 0")
    summary = loaded_while_busy(project)
    plan, deferred = summary["plan"], summary["datasets"]["orders"]["deferred"]
    fix(project, "orders", " total: {", " total: {on_invalid: omit, ")
    before = counts(project)
    done = project.run("rejects", "replay", "--plan", plan, "--json", "-q")
    assert done.summary["new_plan"] != plan, done.stderr
    assert done.summary["released"] == deferred + 1
    after = counts(project)
    assert after["orders"] == deferred + 1
    # the lines of that order have waited for it
    assert after["order_items"] > before["order_items"]
    theirs = ("orders", "order_items")
    assert {name: after[name] for name in after if name not in theirs} == {
        n: before[n] for n in before if n not in theirs
    }
    assert exported(project, plan)["transient"] == []


def test_nothing_is_replayed_while_the_service_is_still_busy(make_project: MakeProject) -> None:
    """What the service does not take stays a reject, and the command says so."""
    project = prepared(make_project(), "busy_budget_s = 0")
    plan = loaded_while_busy(project)["plan"]
    names = [row["reject"] for row in exported(project, plan)["permanent"]]
    project.run("rejects", "discard", *names, "--note", "not wanted", "--plan", plan)
    project.set_faults(("octolis:423@path=*orders*batch",))
    done = project.run("rejects", "replay", "--plan", plan, "--json", "-q")
    assert (done.code, done.summary["released"]) == (3, 0), done.stderr
    assert exported(project, plan)["transient"]
