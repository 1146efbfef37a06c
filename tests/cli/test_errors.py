"""Each mistake a user can make ends with one clear message, the contract's exit code and no traceback."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Done, Project, wait_until

MakeProject = Callable[..., Project]


def complains(done: Done, code: int, *parts: str) -> None:
    """Checks code, message and next step, and that no key and no traceback is shown."""
    assert done.code == code, (done.code, done.stdout, done.stderr)
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "canary" not in done.stderr + done.stdout
    for part in parts:
        assert part in done.stderr, done.stderr


def test_a_wrong_source_key(make_project: MakeProject) -> None:
    """Named by its variable, and the run stops at the first answer."""
    project = make_project(feeding=False)
    complains(project.run("extract", "-q", DATATRICS_API_KEY="wrong"), 6, "DATATRICS_API_KEY")


def test_a_wrong_target_key(make_project: MakeProject) -> None:
    """Said by number, since keys are never shown."""
    project = make_project(feeding=False)
    assert project.run("extract", "-q").code == 0
    complains(project.run("plan", "-q", OCTOLIS_API_KEYS="wrong"), 6, "key 1 of 1")


def test_a_missing_key(bare_project: Project) -> None:
    """Says where to put it."""
    complains(
        bare_project.run("extract", DATATRICS_API_KEY=""), 5, "DATATRICS_API_KEY is not set", ".env"
    )


def test_a_wrong_project_id(make_project: MakeProject) -> None:
    """The project id is named, since the service only says no."""
    project = make_project(feeding=False)
    project.write(project_id='"another"')
    complains(project.run("extract", "-q"), 6, "another")


def test_an_unreachable_host(bare_project: Project) -> None:
    """Given up after seconds, not after the retry budget of minutes."""
    complains(
        bare_project.run("extract", "-q"), 6, "nothing answers at http://127.0.0.1:9", "sandbox"
    )


def test_an_unknown_mapping_key(bare_project: Project) -> None:
    """File, line, column and the nearest known key."""
    mapping = bare_project.folder / "mappings" / "contacts.yaml"
    mapping.write_text(
        mapping.read_text().replace("  source: {from: source,", "  source: {form: source,")
    )
    line = mapping.read_text()[: mapping.read_text().index("form: source")].count("\n") + 1
    complains(
        bare_project.run("mapping", "check"),
        5,
        f"contacts.yaml:{line}:",
        "'form'",
        "did you mean 'from'?",
    )


def test_a_key_column_that_is_not_mapped(bare_project: Project) -> None:
    """A key must be one of the columns."""
    mapping = bare_project.folder / "mappings" / "contacts.yaml"
    mapping.write_text(mapping.read_text().replace("key: [contact_key]", "key: [contact_kee]"))
    complains(bare_project.run("mapping", "check"), 5, "contacts.yaml:", "contact_kee")


def test_broken_yaml(bare_project: Project) -> None:
    """A file that is no YAML is named with the place."""
    (bare_project.folder / "mappings" / "contacts.yaml").write_text(
        "version: 1\ncolumns: [unclosed\n"
    )
    complains(bare_project.run("mapping", "check"), 5, "contacts.yaml:")


def test_a_dataset_without_an_id(make_project: MakeProject) -> None:
    """Says which line to add."""
    project = make_project(feeding=False)
    assert project.run("extract", "-q").code == 0
    project.write(datasets='contacts = "contacts"')
    complains(project.run("plan", "orders", "-q"), 5, "orders", "[octolis.datasets]")


def test_a_dataset_nobody_knows(make_project: MakeProject) -> None:
    """A misspelt dataset is a usage error that names the nearest one."""
    project = make_project(feeding=False)
    assert project.run("extract", "-q").code == 0
    complains(project.run("plan", "contact", "-q"), 2, "contact", "contacts")


def test_an_unknown_key_in_the_project_file(bare_project: Project) -> None:
    """The nearest known key is named."""
    file = bare_project.folder / "migrate.toml"
    file.write_text(file.read_text().replace("project_id", "projekt_id"))
    complains(bare_project.run("status"), 5, "projekt_id", "did you mean 'project_id'?")


def test_a_project_file_that_is_not_there(tmp_path: Path) -> None:
    """Says how to make one."""
    complains(Project(tmp_path).run("status"), 5, "migrate.toml", "migrate init")


def test_a_plain_http_host(bare_project: Project) -> None:
    """Keys never travel unencrypted."""
    bare_project.write(source_url='"http://datatrics.example/2.0"')
    complains(bare_project.run("extract"), 5, "https://")


@pytest.mark.skipif(
    os.name != "posix", reason="folders that are files behave differently elsewhere"
)
def test_an_unwritable_workspace(bare_project: Project) -> None:
    """Refused before the first request. A file in the way stops root, too."""
    (bare_project.folder / "blocked").write_text("")
    bare_project.write(workspace='"blocked/migration"')
    complains(bare_project.run("extract"), 7, "workspace", "cannot be written")


def test_an_unfinished_snapshot(make_project: MakeProject) -> None:
    """A snapshot without its manifest is not planned from."""
    project = make_project(feeding=False)
    assert project.run("extract", "-q", "--snapshot", "half").code == 0
    (project.folder / "migration" / "snapshots" / "half" / "manifest.json").unlink()
    complains(project.run("plan", "-q", "--snapshot", "half"), 7, "half", "unfinished")


def test_no_snapshot_at_all(bare_project: Project) -> None:
    """Says what to run first."""
    complains(bare_project.run("plan", "-q"), 7, "no snapshot", "migrate extract")


def test_a_damaged_snapshot(make_project: MakeProject) -> None:
    """A flipped byte is found by hash and the file is named."""
    project = make_project()
    assert project.run("extract", "profiles", "-q").code == 0
    part = next((project.folder / "migration" / "snapshots").glob("*/profiles/part-*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))
    complains(project.run("plan", "contacts", "-q"), 7, part.name)


def test_a_name_that_leaves_the_workspace(bare_project: Project) -> None:
    """Names are names, not paths."""
    complains(bare_project.run("extract", "--snapshot", "../elsewhere"), 2, "cannot be the name")


def test_an_edited_mapping_makes_a_plan_stale(make_project: MakeProject) -> None:
    """The load of a plan is refused, and what changed is named."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q").code == 0
    assert project.run("plan", "categories", "-q").code == 0
    mapping = project.folder / "mappings" / "categories.yaml"
    mapping.write_text(mapping.read_text() + "\n# a remark\n")
    complains(project.run("load", "-q"), 7, "categories.yaml", "migrate plan")


def test_a_plan_over_a_gate_is_not_loaded(make_project: MakeProject) -> None:
    """Rejected rows beyond the limit stop the load with exit code 8, and nothing is written."""
    project = make_project()
    assert project.run("extract", "content_items", "-q").code == 0
    project.write(gates="max_rejected = 0")
    assert project.run("plan", "products", "-q").code == 3
    complains(project.run("load", "-q"), 8, "max_rejected", "products")
    assert project.state()["datasets"]["products"]["written"] == 0


def test_an_error_is_one_json_object_too(bare_project: Project) -> None:
    """Programs get the same message, hint and code."""
    done = bare_project.run("plan", "--json")
    assert done.code == 7
    assert done.summary["exit_code"] == 7
    assert done.summary["status"] == "error"
    assert "no snapshot" in done.summary["error"]


def test_an_unknown_command_names_the_nearest(bare_project: Project) -> None:
    """Click's own suggestion, with the contract's code for usage."""
    done = bare_project.run("extrakt")
    assert done.code == 2
    assert "extract" in done.stderr


@pytest.mark.parametrize("group", ["corrections", "mapping", "rejects"])
def test_a_group_without_a_command_shows_its_help_once(bare_project: Project, group: str) -> None:
    """Its commands, without an error before them, and the contract's code for usage."""
    done = bare_project.run(group)
    assert done.code == 2
    assert done.stderr.count("Usage:") == 1
    assert "Error" not in done.stderr
    assert "Commands:" in done.stderr


def test_two_extracts_into_one_snapshot(make_project: MakeProject) -> None:
    """The second is refused and names the first one's process."""
    project = make_project()
    project.write(datatrics="page_size = 50\nconcurrency = 1")
    project.set_faults(("datatrics:slow=2@method=GET",))
    first = project.start("extract", "profiles", "-q", "--snapshot", "one")
    journal = project.folder / "migration/snapshots/one/profiles/journal.jsonl"
    wait_until(lambda: journal.exists() or first.poll() is not None)
    second = project.run("extract", "profiles", "-q", "--snapshot", "one")
    complains(second, 7, str(first.pid), "in use")
    first.terminate()
    first.communicate()
    shutil.rmtree(project.folder)


def test_a_delta_is_planned_only_where_it_is_named(make_project: MakeProject) -> None:
    """Without a name, `plan` and `status` go on from the newest whole snapshot."""
    project = make_project()
    assert project.run("extract", "content_categories", "-q", "--snapshot", "whole").code == 0
    assert (
        project.run(
            "extract", "content_categories", "-q", "--since", "whole", "--snapshot", "delta"
        ).code
        == 0
    )
    assert project.run("status", "--json").summary["next"] == "migrate plan --snapshot whole"
    assert project.run("plan", "categories", "--json", "-q").summary["snapshot"] == "whole"
    assert project.run("status", "--json").summary["next"].startswith("migrate load")
