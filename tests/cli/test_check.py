"""The preflight against real services, and against what may be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.harness import Done, Project

MakeProject = Callable[..., Project]


def levels(done: Done) -> dict[str, str]:
    """The level of each named check; the worst where a name stands twice."""
    order = {"pass": 0, "warn": 1, "fail": 2}
    found: dict[str, str] = {}
    for check in done.summary["checks"]:
        worst = max(found.get(check["name"], "pass"), check["level"], key=lambda level: order[level])
        found[check["name"]] = worst
    return found


def finding(done: Done, name: str) -> dict[str, Any]:
    """The last finding of that name."""
    return next(check for check in reversed(done.summary["checks"]) if check["name"] == name)


def test_all_is_well(make_project: MakeProject) -> None:
    """Every list, every dataset, its columns, the mappings, disk and lock are named and pass."""
    project = make_project()
    done = project.run("check", "--json")
    assert done.code == 0, done.stdout
    found = levels(done)
    assert {name for name, level in found.items() if level == "fail"} == set()
    both = ("datatrics profiles", "datatrics interactions", "octolis contacts", "columns contacts")
    for name in ("mappings", "disk", "lock", *both):
        assert found[name] == "pass", (name, found)
    assert "1,200 records" in finding(done, "datatrics profiles")["text"]


def test_nothing_is_written(make_project: MakeProject) -> None:
    """The check reads only: the source and the target hold what they held."""
    project = make_project()
    before = project.state()
    project.run("check")
    after = project.state()
    assert before["datasets"] == after["datasets"]
    assert before["resources"] == after["resources"]


def test_a_mapped_column_that_is_missing(make_project: MakeProject) -> None:
    """Once the dataset has a record its columns can be compared, and the missing one is named."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q").code == 0
    assert project.run("plan", "categories", "-q").code == 0
    assert project.run("load", "-q").code == 0
    mapping = project.folder / "mappings" / "categories.yaml"
    mapping.write_text(mapping.read_text().replace("\ncolumns:\n", "\ncolumns:\n  not_there: {value: x, type: text}\n"))
    done = project.run("check", "--json")
    assert done.code == 4
    assert finding(done, "columns categories")["level"] == "fail"
    assert "not_there" in finding(done, "columns categories")["text"]


def test_wrong_keys_are_told_apart(make_project: MakeProject) -> None:
    """Each side is checked though the other fails, and the exit code is 4."""
    project = make_project(feeding=False)
    done = project.run("check", "--json", DATATRICS_API_KEY="wrong", OCTOLIS_API_KEYS="wrong")
    assert done.code == 4
    assert "DATATRICS_API_KEY" in finding(done, "datatrics profiles")["text"] + str(
        finding(done, "datatrics profiles")["hint"]
    )
    assert any(check["name"].startswith("octolis") and check["level"] == "fail" for check in done.summary["checks"])


def test_no_keys_at_all(bare_project: Project) -> None:
    """Both missing keys are named in one go."""
    done = bare_project.run("check", "--json", DATATRICS_API_KEY="", OCTOLIS_API_KEYS="")
    assert done.code == 4
    assert finding(done, "datatrics key")["level"] == finding(done, "octolis key")["level"] == "fail"


def test_a_dataset_name_without_a_mapping(make_project: MakeProject) -> None:
    """A misspelt name under [octolis.datasets] would silently leave a dataset out; it is a failure."""
    project = make_project(feeding=False)
    project.write(datasets='contact = "contacts"')
    done = project.run("check", "--json")
    assert done.code == 4
    assert "contact" in finding(done, "dataset ids")["text"]
