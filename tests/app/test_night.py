"""The timetable: where its numbers come from, that they add up, and what is filled in afterwards."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.app.cutover.timetable import (
    CutoverHistory,
    Night,
    Step,
    expect_night,
    expected_batches,
    load_steps,
    read_rate,
)
from migrate.config import Datatrics, Project
from migrate.snapshot.layout import ResourceResult

START = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
PROJECT = Project.model_validate({"datatrics": {"project_id": "1"}})


def result(distinct: int, requests: int = 0, seconds: float = 0.0) -> ResourceResult:
    """What a whole reading found."""
    return ResourceResult(
        distinct, distinct, distinct, 0, 0, 0, 0, 1, requests, seconds, 0, "proven", ""
    )


def known(**changes: Any) -> CutoverHistory:
    """A shop of two resources without any plan."""
    read = {"profiles": result(10_000, 20, 4.0), "sales": result(5_000)}
    return CutoverHistory("first", read, {"profiles": 1_200, "sales": 300}, "as told", **changes)


@pytest.mark.parametrize(
    ("found", "settings", "rate", "how"),
    [
        (result(10_000, 20, 4.0), {}, 5.0, "as in first"),
        (result(10_000, 400, 4.0), {}, 20.0, "as allowed"),
        (result(10_000, 1, 0.1), {}, 16.0, "assumed"),
        (result(10_000), {"requests_per_second": 3}, 3.0, "assumed"),
    ],
)
def test_the_rate_is_measured_allowed_or_assumed(
    found: ResourceResult, settings: dict[str, Any], rate: float, how: str
) -> None:
    """Measured where it was, never more than the project file allows, assumed where nothing was measured."""
    assert read_rate(found, Datatrics(project_id="1", **settings), "first") == (rate, how)


def test_steps_follow_each_other() -> None:
    """33 and 22 requests with the ends of pages, 15,000 records, two datasets: the times add up to the end."""
    night = expect_night(known(), PROJECT, START)
    by_part = {(step.stage, step.part): step for step in night.steps}
    assert by_part["extract", "profiles"].forecast_s == pytest.approx(33 / 5)
    assert by_part["extract", "sales"].forecast_s == pytest.approx(22 / 16)
    assert by_part["plan", ""].forecast_s == pytest.approx(15_000 / 20_000)
    assert by_part["load", "profiles"].basis == "3 requests, as told"
    begins = night.begins()
    assert begins[0] == START
    assert begins == sorted(begins)
    assert (night.freeze_ends - START).total_seconds() == pytest.approx(night.forecast_s, abs=0.001)
    assert night.actual_s is None


def test_what_it_took_is_filled_in() -> None:
    """Stage by stage and part by part; a stage of one part takes all of it; the sum is there at the end only."""
    night = expect_night(known(), PROJECT, START)
    night = night.done("extract", 9.0, {"profiles": 6.0, "sales": 2.0}).done("plan", 3.0, {})
    night = night.with_stage("load", [Step("load", "contacts", 1.0, "as planned")])
    assert [step.actual_s for step in night.steps] == [6.0, 2.0, 3.0, None, None]
    assert night.actual_s is None
    night = night.done("load", 2.0, {"contacts": 1.5}).done("reconcile", 5.0, {})
    assert [step.actual_s for step in night.steps] == [6.0, 2.0, 3.0, 1.5, 5.0]
    assert night.actual_s == 19.0
    assert [step.stage for step in night.steps] == [
        "extract",
        "extract",
        "plan",
        "load",
        "reconcile",
    ]


@settings(max_examples=15)
@given(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 90), min_size=1))
def test_the_load_is_simulated_as_a_whole(batches: dict[str, int]) -> None:
    """No step is negative, one without requests takes no time, and 135 requests take about a minute."""
    steps = load_steps(batches, PROJECT, "as told")
    assert [step.part for step in steps] == list(batches)
    assert all(step.forecast_s >= 0 for step in steps)
    assert all(step.forecast_s == 0 for step in steps if batches[step.part] == 0)
    total = sum(batches.values())
    assert sum(step.forecast_s for step in steps) <= total * 60 / 120 + len(batches) + 1


def test_without_a_plan_the_changes_are_the_rows() -> None:
    """And with keys of two accounts the load is quicker."""
    assert expected_batches(known()) == {"profiles": 3, "sales": 1}
    one = sum(step.forecast_s for step in load_steps({"contacts": 900}, PROJECT, ""))
    keys = PROJECT.secrets.model_copy(update={"octolis": ("a", "b")})
    two = sum(
        step.forecast_s
        for step in load_steps({"contacts": 900}, PROJECT.model_copy(update={"secrets": keys}), "")
    )
    assert two < one
    assert Night(START, (), {}).forecast_s == 0
