"""Samples and parts from plan to proof, against a sandbox in this process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import httpx
import polars as pl
import pytest

from migrate.app.context import Context
from migrate.app.parts import parts_beside
from migrate.app.pipeline import run_extract, run_load, run_plan
from migrate.app.reconcile import run_reconcile
from migrate.app.standing import read_standing, remake_command
from migrate.app.status import read_status
from migrate.app.totals import reconcile_with_totals
from migrate.app.trace import run_trace
from migrate.app.undo import run_undo
from migrate.config import load_project
from migrate.errors import UsageError
from migrate.plan.document import PartOf
from migrate.plan.open_plan import Plan, choose_plan, open_plan
from migrate.plan.request import SampleAsked
from migrate.report.status import render_status, summarise_status
from tests.harness import DATASETS, SALES, SOURCE_KEY, TARGET_KEY, TEST_COPIES, TEST_TARGET, Project
from tests.verify.conftest import make_job

KEYS = {"DATATRICS_API_KEY": SOURCE_KEY, "OCTOLIS_API_KEYS": TARGET_KEY}


MAIL = PartOf(sources=("MailChimp",))


@pytest.fixture
def job(make_project: Callable[..., Project]) -> Context:
    """A project of the demo's data with a snapshot, beside a sandbox with two sets of datasets."""
    project = make_project(copies=TEST_COPIES)
    project.write(octolis="limit_speed = 100", more=TEST_TARGET)
    context = make_job(load_project(project.folder / "migrate.toml", KEYS))
    run_extract(context)
    return context


def held(context: Context) -> dict[str, int]:
    """How many records each dataset of the target holds."""
    url = context.project.octolis.base_url.removesuffix("/v1/data")
    state = httpx.get(f"{url}/_sandbox/state").json()
    return {name: entry["count"] for name, entry in state["datasets"].items()}


def sent(context: Context, name: str) -> int:
    """The records that a load of a plan has written, now or before."""
    return sum(entry.written for entry in run_load(context, name=name).datasets.values())


def test_a_sample_goes_elsewhere_and_disturbs_nothing(job: Context) -> None:
    """It is in the test datasets, proven value by value; the whole then goes to the real ones undisturbed."""
    sample = run_plan(job, name="sample", scope=SampleAsked(15), target="test")
    written = sent(job, "sample")
    proof = run_reconcile(job, "sample", deep=True, wait_s=0)
    assert proof.verdict == "match"
    counts = held(job)
    assert counts["test-contacts"] == 15
    assert [counts[name] for name in DATASETS] == [0] * len(DATASETS)
    assert sum(counts[f"test-{name}"] for name in DATASETS) == written
    assert choose_plan(job.workspace, None, "test") == "sample"

    run_plan(job, name="whole", datasets=("contacts", "orders"))
    assert choose_plan(job.workspace, None, None) == "whole"
    with pytest.raises(UsageError):
        choose_plan(job.workspace, "whole", "test")
    loaded = run_load(job, name="whole")
    assert set(loaded.canaries) == {"contacts", "orders"}, (
        "the test datasets prove nothing of these"
    )
    assert read_standing(job.workspace, sample).state == "loaded"
    assert run_reconcile(job, "whole").verdict == "match"
    assert run_reconcile(job, "sample").verdict == "match"
    assert held(job)["contacts"] == 1_200
    assert remake_command(sample) == (
        f"migrate plan --snapshot {sample.document.snapshot.name} --sample 15 --target test"
    )
    run_undo(job, "sample", wait_s=0)
    assert read_standing(job.workspace, open_plan(job.workspace, "whole")).state == "loaded"


def part(context: Context, name: str, **limits: Any) -> Plan:
    """The plan of a part of the orders."""
    return run_plan(context, ["orders"], name=name, scope=PartOf(**limits))


def test_parts_add_up_to_the_whole(job: Context) -> None:
    """Overlapping parts send nothing twice; what is missing is named after each; the last one leaves nothing."""
    part(job, "early", last_day=date(2024, 6, 30))
    early = sent(job, "early")
    opened = open_plan(job.workspace, "early")
    counts = opened.document.datasets["orders"]
    assert counts.read == counts.outside + counts.rejected + counts.planned
    assert run_reconcile(job, "early", deep=True, wait_s=0).verdict == "match"
    first = parts_beside(job.workspace, opened)
    assert first is not None
    assert not first.are_all
    found = first.datasets["orders"]
    assert found.records == SALES
    assert found.inside == counts.planned + counts.rejected
    assert sum(gap.records for gap in found.gaps) == SALES - found.inside
    assert {gap.first_day >= date(2024, 7, 1) for gap in found.gaps if gap.first_day} == {True}

    # Both have the Magento orders up to June 2024: the second finds them unchanged.
    second = part(job, "magento", sources=("Magento 2", "Magento2"))
    again = second.document.datasets["orders"]
    assert again.unchanged > 0
    sent(job, "magento")
    assert held(job)["orders"] == early + again.create
    assert again.update == 0
    assert run_reconcile(job, "magento", deep=True, wait_s=0).verdict == "match"

    rest = part(job, "rest", first_day=date(2024, 7, 1))
    sent(job, "rest")
    last = parts_beside(job.workspace, rest)
    assert last is not None
    assert last.are_all
    assert sorted(last.said) == ["early", "magento", "rest"]
    whole = run_plan(job, ["orders"], name="whole").document.datasets["orders"]
    assert (whole.create, whole.update) == (0, 0), "the parts have left what the whole would send"


def test_a_part_that_was_undone_or_not_loaded_is_missing(job: Context) -> None:
    """Only what is in the target counts, and a plan that is not loaded, or a sample, adds nothing."""
    plan = part(job, "early", last_day=date(2024, 6, 30))
    parts = parts_beside(job.workspace, plan)
    assert parts is not None
    assert parts.datasets["orders"].inside == 0
    run_plan(job, ["orders"], name="sample", scope=SampleAsked(5))
    status = read_status(job.workspace)
    assert "orders: missing: " in render_status(status)
    told = summarise_status(status)["parts"][0]
    assert told["datasets"]["orders"]["missing"] == SALES
    assert told["in_target"] == {}


def test_a_trace_says_that_a_record_is_outside(job: Context) -> None:
    """Of a record that the plan is not of, the trace says so, and that no row of the plan has it."""
    run_plan(job, ["contacts"], name="mail", scope=PartOf(sources=("MailChimp",)))
    snapshot = next(iter(job.workspace.names(job.workspace.snapshots)))
    frame = pl.read_parquet(job.workspace.snapshots / snapshot / "profiles" / "part-*.parquet")
    for source, outside in (("MailChimp", False), ("Magento 2", True)):
        id_ = frame.filter(_source=source).get_column("_id")[0]
        facts = run_trace(job, "profiles", id_, source=source, plan_name="mail", live=False)
        assert facts["snapshot"]["outside"] is outside
        assert bool(facts["datasets"]["contacts"]["rows"]) is not outside


def test_what_a_part_sends_beyond_itself_is_found(
    job: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planner that takes every record for one of the part is told by the verifier, row by row."""
    everyone = lambda _self, _resource, records: pl.Series([True] * records.height)  # noqa: E731
    with monkeypatch.context() as wrong:
        wrong.setattr("migrate.plan.scope.InsidePart.of", everyone)
        run_plan(job, ["contacts"], name="mail", scope=PartOf(sources=("MailChimp",)))
    run_load(job, name="mail")
    found = run_reconcile(job, "mail", deep=True, wait_s=0)
    deep = found.datasets["contacts"].deep
    assert deep is not None
    ours = found.datasets["contacts"].by_source["MailChimp"].planned
    assert found.verdict == "mismatch"
    assert deep.by_name["extra"] == {"outside": 1_200 - ours}


def test_a_part_of_a_delta_is_proven_like_any_other(job: Context) -> None:
    """What is new and what the target lacks of the part is sent; counts, values and sums agree, and undo knows it."""
    url = job.project.octolis.base_url.removesuffix("/v1/data")
    base = job.workspace.names(job.workspace.snapshots)[-1]
    run_load(job, name=run_plan(job, ["contacts"], scope=MAIL).name)
    news = [{"profileid": f"new{n}", "source": source, "email": f"new{n}@example.test", "created": "2026-01-01"}
            for n, source in enumerate(["MailChimp", "Magento 2"])]  # fmt: skip
    httpx.post(f"{url}/_sandbox/records/profiles", json=news).raise_for_status()
    delta = run_extract(job, ["profiles"], since=base).snapshot
    plan = run_plan(job, ["contacts"], snapshot=delta, scope=MAIL, name="part")
    counts = plan.document.datasets["contacts"]
    assert (counts.create, counts.update, counts.outside) == (1, 0, counts.read - counts.planned)
    assert counts.unchanged == counts.planned - 1 > 0
    run_load(job, name="part")
    found = reconcile_with_totals(job, "part", deep=True, wait_s=0)
    assert (found.verdict, found.totals_equal) == ("match", True)
    assert remake_command(plan).endswith(f"--snapshot {delta} --base {base} --source MailChimp")
    parts = parts_beside(job.workspace, plan)
    assert parts is not None
    assert parts.is_of_delta
