"""Plans on disk: opened, damaged, unfinished, stale."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from migrate.errors import Damaged, Locked, Stale, Unfinished, UsageError, WorkspaceError
from migrate.plan.open_plan import check_fresh, open_plan
from migrate.plan.plan_folder import begin_plan
from migrate.report.words import words_of


def test_a_plan_is_opened_as_it_was_made(bench) -> None:
    """The newest by default, or by name; what it says survives the file."""
    made = bench.plan("first")
    assert open_plan(bench.workspace) == made
    assert open_plan(bench.workspace, "first").document == made.document
    assert open_plan(bench.workspace).summary() == made.summary()


def test_an_unfinished_plan_is_none(bench) -> None:
    """Without `plan.json` there is no plan, and the error says which command makes it."""
    with pytest.raises(WorkspaceError, match="there is no plan"):
        open_plan(bench.workspace)
    (bench.workspace.plans / "half").mkdir(parents=True)
    with pytest.raises(Unfinished, match="no plan is finished"):
        open_plan(bench.workspace)
    with pytest.raises(Unfinished, match="never finished"):
        open_plan(bench.workspace, "half")
    bench.plan("whole")
    assert open_plan(bench.workspace).name == "whole"
    with pytest.raises(WorkspaceError, match="there is no plan 'other'"):
        open_plan(bench.workspace, "other")
    with pytest.raises(UsageError):
        open_plan(bench.workspace, "../whole")


@pytest.mark.parametrize("harm", ["cut", "flip", "remove"])
def test_a_damaged_file_is_named(bench, harm: str) -> None:
    """A file that was cut, changed or removed after the plan was made is refused by name."""
    plan = bench.plan(offline=True)
    file = plan.file("contacts", "records.parquet")
    data = file.read_bytes()
    if harm == "remove":
        file.unlink()
    else:
        file.write_bytes(data[:-1] if harm == "cut" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(Damaged, match=r"contacts/records\.parquet"):
        open_plan(bench.workspace)
    assert open_plan(bench.workspace, check_files=False).name == plan.name


def test_a_broken_plan_file_is_told_from_one_of_another_format(bench) -> None:
    """No JSON and missing parts are damage; another format number is another version's plan."""
    plan = bench.plan(offline=True)
    file = plan.folder / "plan.json"
    values = json.loads(file.read_text())
    for text, error in [
        ("{", Damaged),
        ("[]", Stale),
        (json.dumps(values | {"format": 99}), Stale),
        (json.dumps({"format": values["format"]}), Damaged),
        (json.dumps(values | {"dataset_ids": {}}), Damaged),
    ]:
        file.write_text(text)
        with pytest.raises(error):
            open_plan(bench.workspace)


def test_a_plan_never_names_a_file_outside_its_folder(bench) -> None:
    """A path that climbs out is refused, not read."""
    plan = bench.plan(offline=True)
    file = plan.folder / "plan.json"
    values = json.loads(file.read_text())
    values["files"][0]["path"] = "../../snapshots/snap/manifest.json"
    file.write_text(json.dumps(values))
    with pytest.raises(Damaged, match="outside"):
        open_plan(bench.workspace)


def test_nothing_changed_is_fresh(bench) -> None:
    """A comment in the project file, other gates or more speed make no plan stale."""
    plan = bench.plan(offline=True)
    bench.set("gates", max_merges=5)
    bench.set("octolis", concurrency=2)
    check_fresh(plan, bench.project, bench.workspace)


def test_a_stale_plan_says_all_that_changed(bench) -> None:
    """Snapshot, mapping, settings and dataset ids are each named, all at once."""
    plan = bench.plan(offline=True)
    (bench.workspace.snapshots / "snap" / "manifest.json").write_text("{} ")
    bench.write_mapping(
        "contacts", (bench.project.mappings / "contacts.yaml").read_text() + "# a remark\n"
    )
    (bench.project.mappings / "orders.yaml").unlink()
    bench.set("datatrics", timezones={"*": "Europe/Paris"}, project_id="2")
    bench.set("octolis", batch_bytes=10_000, datasets={"contacts": "other", "orders": "id-orders"})
    with pytest.raises(Stale) as caught:
        check_fresh(plan, bench.project, bench.workspace)
    assert caught.value.what.splitlines()[1:] == [
        "- snapshot 'snap' has another manifest",
        "- mapping contacts.yaml (contacts) was edited: 1 line added, 0 removed",
        "    +# a remark",
        "- mapping orders.yaml (orders) is gone",
        "- datatrics.project_id in migrate.toml was changed: '1' then, '2' now",
        "- datatrics.timezones in migrate.toml was changed: '*': None then, 'Europe/Paris' now",
        "- octolis.batch_bytes in migrate.toml was changed: 5000000 then, 10000 now",
        "- the id of dataset 'contacts' in migrate.toml was changed",
    ]
    # a page says each change in its reader's language, without the lines of files
    german = [words_of("de").say(said) for said in caught.value.said]
    assert german[1:4] == [
        "Mapping contacts.yaml (contacts) wurde bearbeitet",
        "Mapping orders.yaml (orders) fehlt",
        "datatrics.project_id in migrate.toml wurde geändert",
    ]


def test_a_snapshot_that_is_gone_is_named(bench) -> None:
    """The plan cannot be checked against a snapshot that was removed."""
    plan = bench.plan(offline=True)
    (bench.workspace.snapshots / "snap" / "manifest.json").unlink()
    with pytest.raises(Stale, match="gone"):
        check_fresh(plan, bench.project, bench.workspace)


def test_two_cannot_make_one_plan(bench) -> None:
    """The second of two at the same name is told who is first."""
    now = bench.plan("other", offline=True)
    assert now
    with begin_plan(bench.workspace, "one", {}, bench.now), pytest.raises(Locked):
        bench.plan("one", offline=True)


def test_a_link_in_the_way_is_not_followed(bench, tmp_path) -> None:
    """A plan's folder is a folder of its own: nothing is written or removed elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    bench.workspace.plans.mkdir(parents=True)
    (bench.workspace.plans / "one").symlink_to(elsewhere)
    with pytest.raises(WorkspaceError, match="a link to another place"):
        bench.plan("one", offline=True)
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]


def test_a_setting_that_did_not_matter_before_is_named(bench) -> None:
    """A plan that was made without regard to a setting that matters now is stale."""
    plan = bench.plan(offline=True)
    settings = {
        name: value for name, value in plan.document.settings.items() if name != "octolis.base_url"
    }
    older = replace(plan, document=plan.document.model_copy(update={"settings": settings}))
    with pytest.raises(Stale, match=r"octolis\.base_url in migrate\.toml is new"):
        check_fresh(older, bench.project, bench.workspace)
