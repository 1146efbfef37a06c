"""The preflight against real services, and against what may be wrong with them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.harness import TARGET_KEY, Done, Project

MakeProject = Callable[..., Project]


def levels(done: Done) -> dict[str, str]:
    """The level of each named check; the worst where a name stands twice."""
    order = {"pass": 0, "warn": 1, "fail": 2}
    found: dict[str, str] = {}
    for check in done.summary["checks"]:
        worst = max(
            found.get(check["name"], "pass"), check["level"], key=lambda level: order[level]
        )
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
    texts = [check["text"] for check in done.summary["checks"] if len(check["text"]) > 80]
    assert len(texts) == len(set(texts)), "a long sentence is said once, not once a dataset"
    assert "the first record of each dataset's load will show it" in finding(done, "canary")["text"]


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
    mapping.write_text(
        mapping.read_text().replace(
            "\ncolumns:\n", "\ncolumns:\n  not_there: {value: x, type: text}\n"
        )
    )
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
    assert any(
        check["name"].startswith("octolis") and check["level"] == "fail"
        for check in done.summary["checks"]
    )


def test_no_keys_at_all(bare_project: Project) -> None:
    """Both missing keys are named in one go."""
    done = bare_project.run("check", "--json", DATATRICS_API_KEY="", OCTOLIS_API_KEYS="")
    assert done.code == 4
    assert (
        finding(done, "datatrics key")["level"] == finding(done, "octolis key")["level"] == "fail"
    )


def test_a_dataset_name_without_a_mapping(make_project: MakeProject) -> None:
    """A misspelt name under [octolis.datasets] would silently leave a dataset out; it is a failure."""
    project = make_project(feeding=False)
    project.write(datasets='contact = "contacts"')
    done = project.run("check", "--json")
    assert done.code == 4
    assert "contact" in finding(done, "dataset ids")["text"]


def test_one_of_several_keys_is_wrong(make_project: MakeProject) -> None:
    """Each key is tried alone and named by its number; the rest is asked with those that work."""
    project = make_project(feeding=False)
    done = project.run("check", "--json", OCTOLIS_API_KEYS=f"{TARGET_KEY},wrong")
    assert done.code == 4
    assert "key 2 of 2" in finding(done, "octolis key 2 of 2")["text"]
    assert levels(done)["octolis contacts"] == "pass"
    assert "octolis key 1 of 2" not in levels(done)


def test_a_dataset_id_that_is_wrong(make_project: MakeProject) -> None:
    """That dataset fails with the place to correct, the others are asked all the same."""
    project = make_project(feeding=False)
    project.write(datasets='contacts = "no-such-id"\norders = "orders"')
    done = project.run("check", "--json")
    assert levels(done)["octolis orders"] == "pass"
    assert "no-such-id" in finding(done, "octolis contacts")["text"]
    assert "[octolis.datasets]" in finding(done, "octolis contacts")["hint"]


def test_a_project_as_init_leaves_it(tmp_path: Path) -> None:
    """A newcomer is told in one screen all that is to be filled in, each with where."""
    project = Project(tmp_path)
    assert project.run("init", ".").code == 0
    done = project.run("check", DATATRICS_API_KEY="", OCTOLIS_API_KEYS="")
    assert done.code == 4
    for part in (
        "CHANGE-ME",
        "[octolis.datasets]",
        "DATATRICS_API_KEY",
        "OCTOLIS_API_KEYS",
        ".env.example",
    ):
        assert part in done.stdout, part
    assert len(done.stdout.splitlines()) <= 24
    failures = [line for line in done.stdout.splitlines() if line.startswith("  fail")]
    assert done.stdout.count("        -> ") == len(failures) == 4


def test_a_sandbox_that_was_not_started(bare_project: Project) -> None:
    """An address of this machine at which nothing listens is one finding, with the way out, and nothing is tried."""
    done = bare_project.run("check", "--json")
    assert done.code == 4
    failures = [check for check in done.summary["checks"] if check["level"] == "fail"]
    assert [failure["text"] for failure in failures] == ["nothing answers at http://127.0.0.1:9"]
    assert "`migrate sandbox --feed demo`" in failures[0]["hint"]
    assert "trying" not in done.stderr
    assert levels(done)["datatrics key"] == levels(done)["octolis key"] == "pass"


def test_an_unknown_host_name(bare_project: Project) -> None:
    """A name that no server knows is no fault that passes: said at once."""
    bare_project.write(
        source_url='"https://no-such-host.invalid/2.0"',
        target_url='"https://no-such-host.invalid/v1"',
    )
    done = bare_project.run("check", "--json")
    assert "no-such-host.invalid cannot be resolved" in finding(done, "datatrics profiles")["text"]
    assert "no-such-host.invalid cannot be resolved" in finding(done, "octolis key 1 of 1")["text"]


def test_a_certificate_that_nobody_trusts(bare_project: Project) -> None:
    """A port that speaks no proper TLS is told apart from one that is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_talk_nonsense, args=(listener,), daemon=True).start()
        bare_project.write(
            source_url=f'"https://127.0.0.1:{listener.getsockname()[1]}/2.0"', datasets=""
        )
        done = bare_project.run("check", "--json")
    assert "TLS" in finding(done, "datatrics profiles")["text"]


def _talk_nonsense(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 this is plain\r\n\r\n")


def make_strict(project: Project, dataset: str, old: str = "", new: str = "") -> None:
    """Has a mapping say `unmapped: fail`, and changes something else of it."""
    mapping = project.folder / "mappings" / f"{dataset}.yaml"
    text = mapping.read_text().replace("unmapped: report", "unmapped: fail")
    assert old in text
    mapping.write_text(text.replace(old, new))


def test_fields_that_would_stop_the_plan(make_project: MakeProject) -> None:
    """Where a mapping says `unmapped: fail` the check names what `plan` would stop at, those of list elements too."""
    project = make_project()
    make_strict(project, "categories", "  - categoryid\n")
    make_strict(project, "order_items", "  name: {from: item.name, type: text}\n")
    assert not any(name.startswith("unmapped") for name in levels(project.run("check", "--json")))
    assert project.run("extract", "content_categories", "profiles", "sales", "-q").code == 0
    done = project.run("check", "--json")
    assert done.code == 4
    for dataset, resource, field in (
        ("categories", "content_categories", "categoryid"),
        ("order_items", "sales", "items[].name"),
    ):
        found = finding(done, f"unmapped {resource}")
        assert found["level"] == "fail"
        assert (
            f"{dataset}.yaml says `unmapped: fail`, and no mapping uses {field} (snapshot"
            in found["text"]
        )
        assert "`ignore`" in found["hint"]
        stopped = project.run("plan", dataset, "--offline", "--json")
        assert stopped.code == 5
        assert [field] == re.findall(r"uses field '([^']+)'", stopped.stdout + stopped.stderr)[:1]
    make_strict(project, "categories", "ignore:\n", "ignore:\n  - categoryid\n")
    assert finding(project.run("check", "--json"), "unmapped content_categories")["level"] == "pass"


def test_what_is_not_planned_stops_nothing(make_project: MakeProject) -> None:
    """A dataset without an id is left out of a plan, and so are the fields that its mapping leaves."""
    project = make_project()
    make_strict(project, "categories", "  - categoryid\n")
    assert project.run("extract", "content_categories", "-q").code == 0
    project.write(datasets='contacts = "contacts"')
    assert "unmapped content_categories" not in levels(project.run("check", "--json"))


def test_a_snapshot_that_cannot_be_read(make_project: MakeProject) -> None:
    """It is a finding, and no crash: all the rest is checked."""
    project = make_project()
    make_strict(project, "order_items")
    assert project.run("extract", "sales", "-q").code == 0
    for part in (project.folder / "migration" / "snapshots").glob("*/sales/part-*.parquet"):
        part.write_bytes(b"torn")
    done = project.run("check", "--json")
    assert finding(done, "unmapped fields")["level"] == "warn"
    assert "cannot be read" in finding(done, "unmapped fields")["text"]
    assert levels(done)["octolis contacts"] == "pass"


def test_a_project_without_records(make_project: MakeProject) -> None:
    """Lists without a single record are a warning: the key may be good and the project another one."""
    done = make_project(feeding=False).run("check", "--json")
    assert (done.code, levels(done)["datatrics profiles"]) == (0, "warn")
    assert "project_id" in finding(done, "datatrics profiles")["hint"]
