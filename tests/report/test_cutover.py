"""The timetable as text and JSON: a line per step, within a terminal's width, and the end of the freeze."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migrate.app.cutover.run import Cutover
from migrate.app.cutover.timetable import Night, Step
from migrate.report.cutover import render_made_up, render_night, summarise_cutover
from migrate.report.delta import render_delta, summarise_delta
from migrate.snapshot.layout import DeltaCounts, ResourceResult

START = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
STEPS = (
    Step(
        "extract",
        "content_categories",
        60.0,
        "up to 1,204 requests, 20.1/s as in first-full-migration",
    ),
    Step("extract", "sales", 3_600.0, "up to 9,004 requests, 20.0/s as allowed"),
    Step("plan", "", 30.0, "150,000 records, 20,000/s assumed"),
    Step("load", "contacts", 90.0, "135 requests, as planned"),
    Step("reconcile", "", 5.0, "32 counts, 5 s to rest"),
)


def cutover(night: Night, *doubts: str) -> Cutover:
    """A night named tonight."""
    return Cutover("tonight", "first", ("sales",), ("contacts",), night, doubts)


def result(counts: DeltaCounts | None, distinct: int = 0) -> ResourceResult:
    """One resource of a delta."""
    return ResourceResult(0, 0, distinct, 0, 0, 0, 0, 0, 0, 0.0, 0, "proven", "", delta=counts)


def test_the_timetable_before_the_night(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage once with its sum, its parts below it, every line within 120 columns, no actual times."""
    monkeypatch.setenv("COLUMNS", "120")
    text = render_night(cutover(Night(START, STEPS, {}), "nothing was loaded"))
    lines = [line.split() for line in text.splitlines()]
    assert ["22:00:00", "extract", "1", "h", "01", "min"] in lines
    assert ["22:01:00", "sales", "1", "h", "00", "min", *STEPS[1].basis.split()] in lines
    assert ["23:01:00", "plan", "30", "s", *STEPS[2].basis.split()] in lines
    assert ["23:01:30", "load", "1", "min", "30", "s"] in lines
    assert ["23:03:00", "reconcile", "5.0", "s", *STEPS[4].basis.split()] in lines
    assert "Freeze from 22:00; by the forecast it ends at 23:03:05 (1 h 03 min)." in text
    assert text.endswith("Note: nothing was loaded.")
    assert "It took" not in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_timetable_after_the_night() -> None:
    """What each stage took, and when that would have been over; the same in the JSON object."""
    night = Night(START, STEPS, {}).done(
        "extract", 100.0, {"content_categories": 40.0, "sales": 55.0}
    )
    night = (
        night.done("plan", 10.0, {})
        .done("load", 60.0, {"contacts": 60.0})
        .done("reconcile", 10.0, {})
    )
    text = render_night(cutover(night))
    assert "It took 3 min 00 s: from 22:00 on that is 22:03:00." in text
    found = summarise_cutover(cutover(night))
    assert (found["forecast_seconds"], found["actual_seconds"]) == (3_785.0, 180.0)
    assert found["freeze_ends"] == "2026-03-01T23:03:05+00:00"
    assert found["stages"]["extract"] == {"forecast_seconds": 3_660.0, "actual_seconds": 100.0}
    assert [step["actual_seconds"] for step in found["steps"]] == [40.0, 55.0, 10.0, 60.0, 10.0]
    assert found["steps"][1]["from"] == "2026-03-01T22:01:00+00:00"
    assert found["steps"][1]["until"] == found["steps"][2]["from"]


def test_a_delta_in_one_sentence() -> None:
    """Counts over all resources; where nothing was compared, that is said instead."""
    known = {
        "a": result(DeltaCounts(1, 2, 1_000, 3, "read")),
        "b": result(DeltaCounts(4, 0, 0, 0, "read")),
    }
    assert (
        render_delta("B", "A", known)
        == "Delta B on A: 7 records of 1,007 (5 new, 2 changed), 3 gone."
    )
    unknown = {"a": result(DeltaCounts(None, None, None, None, "read"), 12)}
    assert "12 records; which of them are new, and what is gone, is not known" in render_delta(
        "B", "A", unknown
    )
    assert summarise_delta("A", unknown)["new"] is None


def test_what_a_rehearsal_made_up() -> None:
    """By resource: changed, new; of what nothing is gone no column is shown."""
    assert "profiles        2    1" in render_made_up({"profiles": (2, 1, 0)})
