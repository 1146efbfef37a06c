"""Two projects into one account: their keys must not meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import httpx
import polars as pl
import pytest

from migrate.app.context import Context
from migrate.app.other_projects import (
    AllProjects,
    ProjectShare,
    add_up_projects,
    newest_collisions,
)
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.undo import run_undo
from migrate.config import Project as Settings
from migrate.config import load_project
from migrate.errors import ConfigError, Stale, UsageError
from migrate.plan.open_plan import open_plan
from migrate.report.reconcile import render_projects, summarise_projects
from migrate.totals.table import Figure, Table, side_by_side
from migrate.verify.reconcile import Reconciliation
from tests.harness import SOURCE_KEY, TARGET_KEY, Project
from tests.verify.conftest import make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}
PLAIN = "contact_key: {sql: $record_key, type: text}"
OF_PROJECT = """contact_key: {sql: "project || ':' || $record_key", type: text}"""


def beside(project: Project, project_id: str, others: str = "") -> Context:
    """Another project of the same sandbox, in a folder of its own, with a plan of the contacts."""
    folder = project.folder.parent / project_id
    made = Project(folder, project.sandbox)
    folder.mkdir()
    made.write(
        project_id=f'"{project_id}"',
        octolis="limit_speed = 100",
        workspace=f'"migration"\n{others}',
    )
    mappings = folder / "mappings"
    mappings.mkdir()
    for file in (project.folder / "mappings").iterdir():
        (mappings / file.name).write_bytes(file.read_bytes())
    return plan(folder)


def plan(folder: Path, key: str = PLAIN, name: str = "first") -> Context:
    """A plan of the contacts with this key."""
    file = folder / "mappings" / "contacts.yaml"
    lines = [
        f"  {key}" if line.startswith("  contact_key:") else line
        for line in file.read_text(encoding="utf-8").splitlines()
        if not line.startswith(("examples:", "  - says", "    record:", "    row:"))
    ]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    context = make_job(load_project(folder / "migrate.toml", KEYS))
    if not context.workspace.names(context.workspace.snapshots):
        run_extract(context, ["profiles"])
    run_plan(context, ["contacts"], name=name)
    return context


def test_keys_that_meet_stop_the_load(make_project: Callable[..., Project]) -> None:
    """The same identities in two projects are two people: by a plain key one would overwrite the other."""
    project = make_project(project_id="*")
    first = beside(project, "one")
    second = beside(project, "two", 'other_projects = ["../one/migrate.toml"]')
    run_load(first, name="first")
    with pytest.raises(ConfigError, match="1,200 keys are also those of project one") as caught:
        run_load(second, name="first")
    assert "project ||" in str(caught.value.hint)
    assert len(newest_collisions(second.project, second.workspace)) == 1

    apart = plan(second.project.file.parent, OF_PROJECT, name="apart")
    assert newest_collisions(apart.project, apart.workspace) == []
    assert run_load(apart, name="apart").datasets["contacts"].created == 1_200


def test_rows_of_other_projects_are_nobody_elses(make_project: Callable[..., Project]) -> None:
    """What the other project loads before and during ours is foreign in no plan, no equation and no read-back."""
    project = make_project(project_id="*")
    other = 'other_projects = ["../{}/migrate.toml"]'
    first = beside(project, "one", other.format("two"))
    second = beside(project, "two", other.format("one"))
    first, second = (
        plan(context.project.file.parent, OF_PROJECT, name="apart") for context in (first, second)
    )
    run_load(first, name="apart")
    # what the first has made since this plan has read the target is no change that would stop it
    assert run_load(second, name="apart").datasets["contacts"].created == 1_200
    again = run_plan(second, ["contacts"], name="again").document.datasets["contacts"]
    assert (again.foreign, again.other_projects, again.unchanged) == (0, 1_200, 1_200)
    for context, name in ((first, "apart"), (second, "apart")):
        found = run_reconcile(context, name, deep=True, wait_s=0)
        contacts = found.datasets["contacts"]
        assert found.verdict == "match", contacts.explanations
        assert contacts.buckets.foreign == 0
        assert contacts.deep is not None
        assert (contacts.deep.extra, contacts.deep.there_before) == (0, 1_200)
        undone = run_undo(context, name, wait_s=0)
        assert (undone.restored, dict(undone.foreign)) == (0, {})
        assert [entry.count("created") for entry in undone.datasets] == [1_200]
    counted = run_reconcile(first, "apart")
    assert counted.datasets["contacts"].buckets.other_projects == 1_200
    every = add_up_projects(first, "apart")
    told = summarise_projects(every, counted)
    assert told["datasets"]["contacts"] == {
        "by_project": {"one": 1_200, "two": 1_200},
        "together": 2_400,
        "shared": 0,
        "in_target": 2_400,
    }
    assert told["plans"] == {"one": "apart", "two": "apart"}
    (walk,) = (pl.read_parquet(file) for file in every.files)
    assert walk.get_column("project").value_counts(sort=True).rows() == [
        ("one", 1_200),
        ("two", 1_200),
    ]
    assert walk.get_column("masterid").n_unique() == walk.height == 2_400
    assert "project one" in render_projects(every, counted)
    with pytest.raises(UsageError, match="no other project"):
        add_up_projects(replace(first, project=project_without(first.project)), "apart")


def project_without(project: Settings) -> Settings:
    """The same project, which knows of no other."""
    return project.model_copy(update={"other_projects": ()})


def test_totals_of_several_projects_add_up() -> None:
    """Revenue of each currency by project and in all; what only one has stands for itself, counts have no amount."""
    euro, dollar = (("2024-01", "EUR"), ("2024-02", "EUR")), (("2024-01", "USD"),)

    def table(kind: str, groups: tuple[tuple[str, str], ...], amount: str) -> Table:
        figures = {key: Figure(2, Decimal(amount)) for key in groups}
        return Table(
            "orders",
            kind,
            ("month", "currency"),
            side_by_side({"source": figures, "plan": figures}),
        )

    shares = [
        ProjectShare("one", {"orders": 4}, "p", {"orders": table("revenue", euro, "1.10")}),
        ProjectShare(
            "two", {"orders": 3}, "q", {"orders": table("revenue", euro[:1] + dollar, "0.05")}
        ),
        ProjectShare("three", {"orders": 1}, None, {}),
    ]
    every = AllProjects(shares, {"orders": 7}, [Path("gone.toml")], [Path("x/crosswalk.parquet")])
    found = Reconciliation("p", {})
    totals = {entry["label"]: entry for entry in summarise_projects(every, found)["totals"]}
    assert totals["EUR"]["by_project"] == {
        "one": {"rows": 4, "amount": "2.20"},
        "two": {"rows": 2, "amount": "0.05"},
    }
    assert totals["EUR"]["together"] == {"rows": 6, "amount": "2.25"}
    assert totals["USD"]["together"] == {"rows": 2, "amount": "0.05"}
    text = render_projects(every, found)
    assert "orders: 1 record of the target is of several projects" in text
    assert "project three: only samples or parts were loaded" in text
    assert "gone.toml cannot be read" in text


SALES = """
version: 1
dataset: orders
resource: sales
key: [order_key]
lookups:
  contact: {dataset: contacts, project: "one", source: source, id: [profileid, profile_id]}
  strict: {dataset: contacts, project: "one", source: source, id: [profileid, profile_id], on_orphan: ORPHAN}
columns:
  order_key: {sql: "project || ':' || source || ':' || id", type: text}
  contact_key: {from: contact.contact_key, type: text}
  goalid: {from: contact.firstname, type: text}
"""


def test_orders_look_up_the_contacts_of_another_project(
    make_project: Callable[..., Project],
) -> None:
    """Keys and values are those of that project's loaded plan; its snapshot proves them; a plan that is gone stops."""
    project = make_project(project_id="*")
    first = beside(project, "one")
    one = plan(first.project.file.parent, OF_PROJECT, name="apart")
    second = beside(project, "two", 'other_projects = ["../one/migrate.toml"]')
    two = plan(second.project.file.parent, OF_PROJECT, name="apart")
    folder = two.project.file.parent / "mappings"
    (folder / "orders.yaml").write_text(SALES.replace("ORPHAN", "keep"), encoding="utf-8")
    assert project.sandbox is not None
    lost = {
        "conversionid": "lost",
        "source": "Magento 2",
        "profileid": "nobody",
        "created": "2024-01-01",
    }
    httpx.post(f"{project.sandbox.url}/_sandbox/records/sales", json=[lost]).raise_for_status()
    run_extract(two, ["profiles", "sales"], "both")
    with pytest.raises(ConfigError, match="project one, which has loaded no whole plan"):
        run_plan(two, ["orders"], snapshot="both", name="early")
    run_load(one, name="apart")
    made = run_plan(two, ["orders"], snapshot="both", name="late")
    rows = pl.read_parquet(made.file("orders", "records.parquet"))
    theirs = pl.read_parquet(open_plan(one.workspace, "apart").file("contacts", "records.parquet"))
    known = dict(zip(theirs["key"], theirs["firstname"], strict=True))
    named = rows.drop_nulls("contact_key")
    orphans = made.document.datasets["orders"].orphans["contact"]
    assert named.height > 100
    assert orphans == 1
    assert named["contact_key"].str.starts_with("one:").all()
    assert named["goalid"].to_list() == [known[key] for key in named["contact_key"]]
    run_load(two, name="late")
    proof = run_reconcile(two, "late", deep=True, wait_s=0)
    deep = proof.datasets["orders"].deep
    assert (proof.verdict, deep.verified, dict(deep.unverifiable)) == ("match", rows.height, {})

    (folder / "orders.yaml").write_text(SALES.replace("ORPHAN", "reject"), encoding="utf-8")
    strict = run_plan(two, ["orders"], snapshot="both", name="strict").document
    assert strict.datasets["orders"].rejected_by_rule == {"orphan": orphans}
    assert [(used.project, used.plan) for used in strict.looked_up] == [("one", "apart")]
    (one.workspace.plans / "apart" / "plan.json").unlink()
    with pytest.raises(Stale, match="looks up rows of plan 'apart' of project one"):
        run_load(two, name="strict")
