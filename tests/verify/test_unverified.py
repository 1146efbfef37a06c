"""Whatever cannot be verified is named, with its planned rows, and nothing of it passes for verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.app import deep
from migrate.app.reconcile import run_reconcile, summarise_reconciliation
from migrate.report.reconcile import judge_reconciliation
from migrate.verify.compare import compare_bucket, held_keys
from migrate.verify.expected import FileRecords, Scope, expect_files
from migrate.verify.known import read_known
from migrate.verify.rules import Conventions, DatasetRules, read_rules
from migrate.verify.typed import Unverifiable

from .conftest import DATASETS, ORDERS, Serve


def _rows(summary: dict[str, Any], dataset: str) -> int:
    """The records of a dataset in all the states that the JSON has."""
    found = summary["datasets"][dataset]
    states = ("verified", "different", "recipe_changed", "missing", "merged_away", "pending")
    return sum(found[state] for state in (*states, "unverified")) + sum(found["unsettled"].values())


def test_all_planned_rows_are_told(serve: Serve) -> None:
    """In the JSON of a deep verification every planned row of every dataset is in one state."""
    served = serve()
    exit_code, summary = served.call("reconcile", "--deep", "--plan", served.plan)
    plan = served.call("plan", "--offline")[1]
    assert exit_code == 0
    for dataset in DATASETS:
        planned = plan["datasets"][dataset]["planned"]
        assert _rows(summary, dataset) == planned == summary["datasets"][dataset]["judged"]


@pytest.mark.parametrize("how", ["no file", "doubt"])
def test_a_dataset_that_cannot_be_worked_out_is_named(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A mapping that the verifier does not see, or not understand: exit 4, the reason, and all its rows unverified."""
    served = serve()

    def overlook(folder: Path) -> dict[str, DatasetRules]:
        found = read_rules(folder)
        if how == "no file":
            del found["orders"], found["order_items"]
        return found

    def doubt(rules: DatasetRules, *rest: Any) -> Any:
        if how == "doubt" and rules.dataset == "orders":
            raise Unverifiable("the moon")
        return expect(rules, *rest)

    expect = deep.expect_files
    monkeypatch.setattr(deep, "read_rules", overlook)
    monkeypatch.setattr(deep, "expect_files", doubt)
    found = run_reconcile(served.context, served.plan, deep=True, wait_s=0.1)
    summary = summarise_reconciliation(found)
    assert found.verdict == "unverified"
    exit_code, _ = judge_reconciliation(found)
    assert exit_code == 4
    reason = "no mapping file makes it" if how == "no file" else "the moon"
    assert summary["datasets"]["orders"]["unverifiable"] == {"*": reason}
    assert (summary["datasets"]["orders"]["unverified"], _rows(summary, "orders")) == (
        ORDERS,
        ORDERS,
    )
    # what looks it up cannot be verified either, and says why
    assert "orders" in summary["datasets"]["order_items"]["unverifiable"]["*"] or how == "no file"
    assert summary["datasets"]["contacts"]["unverifiable"] == {}
    assert _rows(summary, "contacts") == summary["datasets"]["contacts"]["verified"] > 0


@pytest.mark.parametrize("damage", ["gone", "edited"])
def test_a_text_of_the_plan_that_is_not_as_it_was_is_refused(serve: Serve, damage: str) -> None:
    """A mapping that the plan carries is gone or edited: exit 7, and the file is named."""
    served = serve()
    file = served.context.workspace.plans / served.plan / "mappings" / "orders.yaml"
    if damage == "gone":
        file.unlink()
    else:
        file.write_text(file.read_text() + "# later\n")
    exit_code, summary = served.call("reconcile", "--deep", "--plan", served.plan)
    assert exit_code == 7
    assert "orders.yaml" in str(summary)


PART = """
version: 1
dataset: people
precedence: {place}
resource: {resource}
key: [email]
columns:
  email: {{from: email, type: text}}
"""


def test_a_reject_excuses_the_record_of_its_own_resource(tmp_path: Path) -> None:
    """Profile 1 may be absent, for a column that cannot be worked out; sale 1 is another record, and missing."""
    for place, resource in ((1, "profiles"), (2, "sales")):
        text = PART.format(place=place, resource=resource)
        (tmp_path / f"{resource}.yaml").write_text(text)
    rules = read_rules(tmp_path)["people"]
    of_plan = tmp_path / "plan" / "people"
    of_plan.mkdir(parents=True)
    nothing = pl.DataFrame(schema={"key": pl.String, "masterid": pl.String})
    nothing.write_parquet(of_plan / "records.parquet")
    nothing.write_parquet(of_plan / "unchanged.parquet")
    reject = {"resource": "profiles", "source": "shop", "id": "1", "column": "odd"}
    pl.DataFrame([reject]).write_parquet(of_plan / "rejects.parquet")

    def records(email: str) -> FileRecords:
        raw = json.dumps({"email": email})
        row = {"_position": 0, "_source": "shop", "_id": "1", "_raw": raw}
        return FileRecords([pl.DataFrame([row])], {})

    made = expect_files(
        rules, [records("p@x.nl"), records("s@x.nl")], Conventions(), lambda _n: None, Scope()
    )
    held = pl.DataFrame(schema={"__masterid__": pl.String, "email": pl.String})
    held = held.with_columns(held_keys(rules, held))
    known = read_known(tmp_path / "no-ledger", of_plan.parent, "first", rules, {"odd"})
    compared = compare_bucket(made, made.bucket(0), held, known.bucket(0))
    assert compared.findings.select("finding", "name", "key").rows() == [
        ("missing", "not_planned", "s@x.nl")
    ]
    assert compared.unsettled["undecided"] == 1
