"""Personal data out of the workspace: all of it, or one person's, out of every kind of file there is."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from migrate.app.erasure import erase_person
from migrate.app.purge import run_purge
from migrate.app.reconcile import run_reconcile
from migrate.app.undo import run_undo
from migrate.plan.open_plan import open_plan
from migrate.privacy.mask import workspace_masker
from migrate.privacy.own import mark_rehearsal
from migrate.snapshot.reading import open_snapshot

from .conftest import DATASETS, PEOPLE, Serve, Served
from .test_commands import lose_three_orders

pytestmark = pytest.mark.end_to_end

VALUES = ("erson1@", "Anneliese", "Magento 2:p1", "Amsterdam-")


def say(path: Path) -> str:
    """Everything that a file says, out of whatever it is packed in."""
    if path.suffix == ".parquet":
        return str(pl.read_parquet(path).to_dicts())
    if path.name == "ledger.sqlite":
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return "\n".join(connection.iterdump())
    return path.read_bytes().decode("utf-8", "replace")


def said(root: Path) -> dict[str, str]:
    """What every file of the workspace says, by its name there."""
    return {
        path.relative_to(root).as_posix(): say(path)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def leave_traces(served: Served) -> None:
    """Fills the workspace with every kind of file: findings, an undo, reports, a log, what was stopped half way."""
    workspace = served.context.workspace
    run_reconcile(served.context, None, deep=True, wait_s=0)
    run_undo(served.context, None, wait_s=0)
    served.call("diff", "--html", str(workspace.reports / "plain.html"), "--show-values")
    served.call("diff", "--html", str(workspace.reports / "masked.html"))
    plan = open_plan(workspace, None)
    half = workspace.plans / "99990101-000000"
    shutil.copytree(plan.folder, half)
    (half / "plan.json").unlink()
    (half / "begun.json").write_text("{}")
    pages = workspace.reports / f".{plan.name}-read-back" / "contacts"
    pages.mkdir(parents=True)
    shutil.copy(plan.file("contacts", "records.parquet"), pages / "page-00001.parquet")
    shutil.copytree(workspace.snapshots, mark_rehearsal(workspace.root) / "snapshots")
    workspace.log.mkdir(exist_ok=True)
    (workspace.log / "20260101.jsonl").write_text('{"message": "refused: person7@example.test"}\n')
    (workspace.log / "20260102.jsonl").write_text('{"message": "1007 records"}\n')


def test_purge_leaves_counts_and_no_values(serve: Serve) -> None:
    """Afterwards no file of the workspace holds a person's value; the plan's counts are still there."""
    served = serve(lose_three_orders)
    leave_traces(served)
    root = served.context.workspace.root
    before = said(root)
    assert sum(any(value in text for value in VALUES) for text in before.values()) > 20
    assert run_purge(served.context, dry_run=True).files == run_purge(served.context).files
    for name, text in said(root).items():
        assert not [value for value in VALUES if value in text], name
    assert not list(root.rglob("*.parquet"))
    assert open_plan(served.context.workspace, None, check_files=False).document.datasets
    assert len(json.loads((root / "purged.json").read_bytes())[0]["files"]) > 10


RECORDS = (
    ("evidence",), ("trace", "profiles", "p1", "--offline"), ("rejects", "list"), ("rejects", "export"),
    ("rejects", "replay"), ("reconcile", "--deep"), ("reconcile", "--totals"), ("undo", "plan"), ("undo", "run"),
    ("load",), ("diff",),
)  # fmt: skip
"""Commands that need the records of a plan."""


def test_after_a_purge_what_needs_records_says_that_they_were_removed(serve: Serve) -> None:
    """Exit code 7, with the day and what is left; nobody is told to have edited a file."""
    served = serve()
    assert served.call("purge", "--yes")[0] == 0
    for command in RECORDS:
        code, summary = served.call(*command)
        assert (code, "`migrate purge` removed the records of plan" in summary["error"]) == (
            7,
            True,
        )
        assert summary["hint"].endswith("to begin again: migrate extract")
    code, summary = served.call("inspect")
    assert (code, "is missing" in summary["error"]) == (7, True)


@pytest.mark.parametrize("subject", ["PERSON7@example.test", "p7"])
def test_one_person_is_erased_and_nobody_else(serve: Serve, subject: str) -> None:
    """By address or id: the person leaves every file, masked or not; others stay; the masterids are told."""
    served = serve(lose_three_orders)
    leave_traces(served)
    workspace = served.context.workspace
    masker = workspace_masker(workspace.root)
    theirs = (
        "erson7@",
        "'p7'",
        '"p7"',
        masker.mask("Magento 2:p7"),
        masker.mask("person7@example.test"),
    )
    assert sum(any(word in text for word in theirs) for text in said(workspace.root).values()) > 15
    stored = {row["contact_key"]: row["__masterid__"] for row in served.records("contacts")}
    erased = erase_person(served.context, subject, None)
    assert ("contacts", stored["Magento 2:p7"]) in erased.masterids
    assert {dataset for dataset, _ in erased.masterids} >= {"contacts", "orders"}
    left = said(workspace.root)
    words = (*theirs, "Magento 2:p7'", *(masterid for _, masterid in erased.masterids))
    for name, text in left.items():
        assert not [word for word in words if word in text], name
    snapshot = open_snapshot(workspace, None)
    raws = [
        raw for r in snapshot.resources.values() for frame in r.frames([]) for raw in frame["_raw"]
    ]
    assert len([raw for raw in raws if "erson17@" in raw]) == 2
    profiles = snapshot.resource("profiles")
    assert profiles is not None
    assert profiles.rows == PEOPLE - 1
    plan = open_plan(workspace, None)
    assert (
        "Magento 2:p17"
        in pl.read_parquet(plan.file("contacts", "records.parquet"))["key"].to_list()
    )
    assert "log/20260102.jsonl" in left
    assert run_reconcile(served.context, None, wait_s=0).datasets.keys() == set(DATASETS)
    assert erase_person(served.context, "nobody@example.test", None).records == 0


def test_what_a_collapse_lost_is_erased_too(serve: Serve) -> None:
    """A value that stands only in the list of what lost against another record goes with the person."""
    served = serve()
    plan = open_plan(served.context.workspace, None)
    file = plan.file("contacts", "collapsed.parquet")
    empty = pl.read_parquet(file)
    row = {name: None for name in empty.columns} | {"key": "k", "source": "s", "id": "other"}
    lost = json.dumps({"email": "person7@example.test"})
    pl.DataFrame([row], schema=empty.schema).with_columns(lost=pl.lit(lost)).write_parquet(file)
    erased = erase_person(served.context, "person7@example.test", None)
    assert erased.rows[file.relative_to(served.context.workspace.root).as_posix()] == 1
    assert pl.read_parquet(file).height == 0
