"""What was not loaded is never called a match, whatever was loaded beside it; and a migration comes to its end."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.harness import DATASETS, Project

MakeProject = Callable[..., Project]


@pytest.fixture
def planned(make_project: MakeProject) -> Project:
    """A project with a plan that nothing was loaded of."""
    project = make_project()
    assert project.run("extract", "-q").code == 0
    assert project.run("plan", "--plan", "pl", "-q").code in (0, 3)
    return project


def test_from_nothing_loaded_to_the_end(planned: Project) -> None:
    """At every step `reconcile`, `status`, `evidence` and `undo` say what is still to be sent, and what is next."""
    found = planned.run("reconcile", "--json", "-q")
    assert (found.code, found.summary["status"]) == (4, "unfinished")
    assert found.summary["not_loaded"].keys() == set(DATASETS)
    assert found.summary["next"] == "migrate load --plan pl"
    assert planned.run("status", "--json").summary["next"] == "migrate load --plan pl"
    watched = planned.run("status", "--watch")
    assert (watched.code, "Plan pl: not loaded yet" in watched.stdout) == (0, True)
    undone = planned.run("undo", "plan", "--json", "-q")
    assert (undone.code, "nothing of plan 'pl' was loaded" in undone.summary["error"]) == (2, True)
    packed = planned.run("evidence", "--json", "-q").summary
    assert packed["not_loaded"].keys() == set(DATASETS)

    loaded = planned.run("load", "contacts", "-q")
    assert "Plan pl, loaded in part" in loaded.stdout
    assert "Not loaded yet: categories (" in loaded.stdout
    assert "next: migrate load --plan pl" in loaded.stdout
    found = planned.run("reconcile", "--json", "-q")
    assert (found.code, found.summary["status"]) == (4, "unfinished")
    assert found.summary["not_loaded"].keys() == set(DATASETS) - {"contacts"}
    assert found.summary["datasets"]["contacts"]["verdict"] == "match"
    shown = planned.run("reconcile", "-q").stdout
    assert "records not loaded yet" in shown
    status = planned.run("status")
    assert "not loaded" in status.stdout
    assert "next: migrate load --plan pl" in status.stdout
    watched = planned.run("status", "--watch")
    assert "Plan pl: loaded in part" in watched.stdout
    assert "Not loaded yet: categories (" in planned.run("undo", "plan", "-q").stdout
    assert "Not loaded yet: categories (" in planned.run("evidence", "-q").stdout

    assert planned.run("load", "-q").code in (0, 3)
    assert planned.run("status", "--json").summary["next"] == "migrate reconcile --plan pl"
    found = planned.run("reconcile", "--json", "-q")
    assert (found.code, found.summary["status"], found.summary["not_loaded"]) == (0, "match", {})
    assert planned.run("status", "--json").summary["next"] == "migrate evidence --plan pl"
    assert planned.run("evidence", "--json", "-q").summary["not_loaded"] == {}
    over = planned.run("status", "--json").summary
    assert "next" not in over
    assert [(plan["left"], plan["counted"], plan["proved"]) for plan in over["plans"]] == [
        (0, True, True)
    ]
    report = planned.folder / "migration" / "reports" / "pl-reconcile.json"
    os.utime(report)
    assert planned.run("status", "--json").summary["next"] == "migrate evidence --plan pl"


def test_a_plan_without_a_row_to_send_is_complete(planned: Project) -> None:
    """All is in the target already, so a second plan needs no load: its counts match, and nothing is left."""
    assert planned.run("load", "-q").code in (0, 3)
    made = planned.run("plan", "contacts", "--plan", "same", "--json", "-q").summary["datasets"][
        "contacts"
    ]
    assert made["unchanged"] == made["planned"] > 0
    found = planned.run("reconcile", "--json", "-q")
    assert (found.code, found.summary["status"], found.summary["datasets"]) == (0, "match", {})
    shown = planned.run("status")
    assert "nothing to send" in shown.stdout
    assert "next: migrate evidence --plan same" in shown.stdout


def test_a_plan_that_is_not_there(bare_project: Project) -> None:
    """`status --plan` of a name nobody gave is an error, and no unfinished plan."""
    found = bare_project.run("status", "--plan", "nope", "--json")
    assert (found.code, "there is no plan 'nope'" in found.summary["error"]) == (7, True)
