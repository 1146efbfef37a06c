"""What the commands say comes next can be given as it is, and what they do by themselves is what was meant."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.harness import Project

MakeProject = Callable[..., Project]


def test_every_hint_names_the_project_file(bare_project: Project) -> None:
    """Given from another folder, a hint on stderr, as JSON and after a finished command names the file too."""
    file = str(bare_project.folder / "migrate.toml")
    there = Project(bare_project.folder.parent)
    told = f"migrate --project {file} extract"
    assert told in there.run("--project", file, "plan").stderr
    assert told in there.run("--project", file, "plan", "--json").summary["hint"]
    assert there.run("--project", file, "mapping", "check", "--json").summary["next"] == told
    assert "--project" not in bare_project.run("plan").stderr


def test_a_purge_that_nobody_confirmed(make_project: MakeProject) -> None:
    """Where nobody can be asked nothing is removed without --yes, of one person neither."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q").code == 0
    parts = sorted((project.folder / "migration" / "snapshots").rglob("*.parquet"))
    assert parts
    for arguments in ((), ("--subject", "jan@example.com")):
        refused = project.run("purge", *arguments)
        assert (refused.code, "--yes" in refused.stderr) == (2, True)
    assert all(part.exists() for part in parts)
    assert project.run("purge", "--dry-run", "-q").code == 0
    assert project.run("purge", "--yes", "-q").code == 0
    assert not any(part.exists() for part in parts)


def test_an_extract_that_came_to_nothing(make_project: MakeProject) -> None:
    """The next command works once the cause is fixed, and a person can be erased: there is nobody in it."""
    project = make_project()
    project.write(source_url='"http://127.0.0.1:9/2.0"', datatrics="retry_budget_s = 0.1")
    assert project.run("extract", "-q").code == 6
    assert project.run("status", "--json").summary["next"] == "migrate extract"
    project.write()
    assert project.run("extract", "content_categories", "-q").code == 0
    erased = project.run("purge", "--subject", "nobody@example.com", "--yes", "-q")
    assert erased.code == 0, erased.stderr


def test_a_snapshot_that_is_finished_already(make_project: MakeProject) -> None:
    """It is shown, and that nothing was asked is said in words and as JSON."""
    project = make_project()
    extract = ("extract", "content_categories", "--snapshot", "one")
    assert project.run(*extract, "--json", "-q").summary["status"] == "done"
    assert (
        project.run(*extract, "--json", "-q").summary["status"]
        == "finished already; nothing was asked"
    )
    assert "was finished already; nothing was asked" in project.run(*extract, "-q").stdout
    changed = project.run("extract", "sales", "content_items", "--snapshot", "one")
    assert "resources: content_categories, now content_items sales" in changed.stderr


def test_a_delta_is_not_looked_at_unasked(make_project: MakeProject) -> None:
    """`inspect`, `mapping check`, `preview` and `new` take the newest snapshot that is whole, as `plan` does."""
    project = make_project()
    assert project.run("extract", "content_categories", "--snapshot", "whole", "-q").code == 0
    delta = project.run(
        "extract", "content_categories", "--snapshot", "delta", "--since", "whole", "-q"
    )
    assert delta.code == 0, delta.stderr
    file = "mappings/categories.yaml"
    for command in (("inspect",), ("mapping", "check"), ("mapping", "preview", file)):
        assert project.run(*command, "--json", "-q").summary["snapshot"] == "whole"
    new = project.run("mapping", "new", "content_categories", "--out", "new.yaml", "--json", "-q")
    assert new.summary["snapshot"] == "whole"
    assert (
        project.run("mapping", "preview", file, "--snapshot", "delta", "--json").summary["snapshot"]
        == "delta"
    )


def test_a_page_goes_into_a_folder_that_is_there(make_project: MakeProject) -> None:
    """A mistyped folder is an error, and no new folder."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q").code == 0
    found = project.run("inspect", "--html", "nowhere/page.html")
    assert (found.code, "there is no folder nowhere" in found.stderr) == (2, True)
    assert not (project.folder / "nowhere").exists()


def test_a_plan_that_no_longer_holds(make_project: MakeProject) -> None:
    """`diff` says why, does not call it ready, and names a new plan as next; an unknown name lists those there are."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q").code == 0
    assert project.run("plan", "categories", "--plan", "pl", "--offline", "-q").code == 0
    assert "before you load: 40 new or changed" in project.run("diff").stdout
    with (project.folder / "mappings" / "categories.yaml").open("a", encoding="utf-8") as mapping:
        mapping.write("# looked at\n")
    shown = project.run("diff")
    assert "Do not load, this plan no longer holds" in shown.stdout
    assert "mapping categories.yaml (categories) was edited" in shown.stdout
    summary = project.run("diff", "--json").summary
    assert summary["status"] == "the plan no longer holds"
    assert summary["next"].startswith("migrate plan categories --snapshot ")
    assert summary["verdict"]["good"] is False
    assert "there are pl" in project.run("diff", "--plan", "nope").stderr
    again = project.run("plan", "categories", "--plan", "pl", "--offline")
    assert "migrate load --plan pl" in again.stderr


def test_evidence_holds_the_report_of_the_run(make_project: MakeProject) -> None:
    """`run` names its report after the snapshot; the archive of its plan has it all the same."""
    project = make_project(feeding=False)
    assert project.run("run", "-q").code == 0
    reports = project.folder / "migration" / "reports"
    [own] = reports.glob("*-run.json")
    own.rename(reports / "of-a-snapshot-run.json")  # both may have been begun in the same second
    packed = project.run("evidence", "--json", "-q").summary
    assert json.loads((reports / "of-a-snapshot-run.json").read_bytes())["plan"] == packed["plan"]
    assert b"run.json" in (reports / f"{packed['plan']}-evidence.zip").read_bytes()


def test_after_a_purge_nothing_is_suggested_that_needs_records(make_project: MakeProject) -> None:
    """Manifests stay; until the next extract there is nothing to go on with, and the status says why."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q").code == 0
    assert project.run("purge", "--yes", "-q").code == 0
    after = project.run("status", "--json").summary
    assert after["purged_at"] is not None
    assert after.get("next") is None
    assert "Personal data were removed on" in project.run("status").stdout
    assert project.run("extract", "content_categories", "--snapshot", "new", "-q").code == 0
    again = project.run("status", "--json").summary
    assert (again["purged_at"], again["next"]) == (None, "migrate plan --snapshot new")
