"""Every kind of page in many states, of one project: what tests of languages and of browsers look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migrate.app.cutover.run import Cutover
from migrate.app.cutover.timetable import Night, Step
from migrate.app.pipeline import Run, refuse_unproven
from migrate.app.verdict import judge_plan
from migrate.demo.sums import RevenueRow
from migrate.errors import GateError, Stale
from migrate.load.loader import LoadResult
from migrate.load.totals import Totals
from migrate.plan.open_plan import check_fresh, open_plan, read_totals
from migrate.privacy.mask import Masker
from migrate.report.cutover import summarise_cutover
from migrate.report.diff_page import open_report, write_page
from migrate.report.diff_plans import compare_plans
from migrate.report.diff_plans_page import write_comparison
from migrate.report.html import render_run
from migrate.report.inspect import summarise_inspection
from migrate.report.inspect_html import render_inspection_page
from migrate.report.run import summarise_run
from migrate.report.shown import Shown
from migrate.report.words import Words
from migrate.sentence import Sentence, write_parts
from migrate.snapshot.layout import ResourceResult
from migrate.source.extract import Extraction
from migrate.source.verdict import Observation
from migrate.source.verdict import judge as judge_reading
from migrate.verify.reconcile import DatasetBooks, Reconciliation, SettledCount
from migrate.verify.reconcile import judge as judge_count
from tests.report.diff_project import make_bench
from tests.snapshot.test_inspection import inspect

START = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
RECORDS: list[dict[str, Any] | str] = [
    {"id": "7001", "source": "Magento 2", "goalid": -1, "total": "24,99", "status": "Synced"},
    {"id": "000000123", "source": "magento2", "total": "1.234,50", "born": "0000-00-00", "mix": 1},
    {"id": "3", "source": "magento2", "at": "2026-01-01T00:00:00Z", "mix": "x", "tax": 0.12345678},
    '{"id": "4", "source": "magento2", "at": "9999-12-31", "mix": [1], "profile_id": "p9"}',
]


@dataclass(frozen=True)
class Pages:
    """What pages are made of; `make` writes all of them in a language, by name."""

    writers: dict[str, Callable[[Path, Words], None]]

    def make(self, folder: Path, words: Words) -> dict[str, Path]:
        """The pages of a language in a folder of it."""
        there = folder / words.language
        there.mkdir()
        made = {}
        for name, write in self.writers.items():
            made[name] = there / f"{name}.html"
            write(made[name], words)
        return made


def result(seen: Observation) -> ResourceResult:
    """A resource of which this was seen."""
    verdict, reason = judge_reading(seen)
    received = seen.distinct
    return ResourceResult(
        seen.announced_end, received, received, 0, 0, 0, 0, 1, 1, 0.1, 0, verdict, str(reason),
        reason_parts=write_parts(reason), damaged=seen.damaged,
    )  # fmt: skip


def books(dataset: str, **counts: int) -> DatasetBooks:
    """A dataset's books; all other counts are zero."""
    names = (
        "planned",
        "count_before",
        "created",
        "updated",
        "merged",
        "written",
        "rejected",
        "deferred",
    )
    numbers = dict.fromkeys(names, 0)
    return DatasetBooks(dataset, dataset, **{**numbers, "unknown": 0, "unsent": 0, **counts})


def gather_pages(folder: Path) -> Pages:
    """Plan, plan that no longer holds, comparison, runs in three states, cut-over and inspection."""
    bench = make_bench(folder)
    plan = bench.plan("p1")
    _, view, shown = open_report(bench.workspace, "p1", show_values=False, start=START)
    stale = replace(view, verdict=judge_plan(plan.document, read_totals(plan), why_stale(bench)))
    second = bench.plan("p2")
    compared = compare_plans(plan, second, shown)
    found = inspect(folder / "inspected", sales=RECORDS, profiles=[], content_items=RECORDS[:1])
    inspected = summarise_inspection(found, Shown(Masker(b"salt")))

    sound = Extraction("snap", folder, {"profiles": result(Observation(5, 5, 5, False, 0))})
    drifted = Observation(
        5, 7, 6, moved=True, rounds=3, damaged=2, unread=1, vanished=1,
        asked_as=Sentence("in pages of {count}", count=50),
        troubles=[Sentence("page {page} repeats page {earlier}", page=4, earlier=3)],
    )  # fmt: skip
    missing = Observation(None, 9, 9, False, 0)
    doubtful = Extraction("snap", folder, {"profiles": result(drifted), "sales": result(missing)})
    runs = {
        "run": Run(doubtful, plan, loaded(plan.name), differing(plan.name)),
        "stopped": Run(doubtful, stopped=gate_of(bench, doubtful)),
        "done": Run(
            sound, plan, LoadResult(plan.name, {"contacts": Totals()}), agreeing(plan.name)
        ),
    }
    summaries = {name: summarise_run(run, revenue(), notes()) for name, run in runs.items()}
    summaries["cutover"] = summarise_cutover(cutover_of(runs["done"]), notes())

    def write_run(name: str) -> Callable[[Path, Words], None]:
        return lambda page, words: _write(
            page, render_run(summaries[name], made_at="now", words=words)
        )

    return Pages(
        {
            "plan": lambda page, words: void(write_page(plan, view, shown, page, made_at="now", words=words)),
            "stale": lambda page, words: void(write_page(plan, stale, shown, page, made_at="now", words=words)),
            "comparison": lambda page, words: void(
                write_comparison(plan, second, compared, shown, page, made_at="now", words=words)
            ),
            "inspect": lambda page, words: _write(
                page, render_inspection_page(inspected, made_at="now", words=words)
            ),
            **{name: write_run(name) for name in summaries},
        }
    )  # fmt: skip


def cutover_of(run: Run) -> Cutover:
    """A night with this run."""
    night = Night(START, (Step("extract", "profiles", 60.0, "as then"),), {})
    return Cutover("tonight", "first", ("profiles",), ("contacts",), night, run=run)


def _write(page: Path, text: str) -> None:
    page.write_text(text, encoding="utf-8")


def void(_made: object) -> None:
    """Nothing, whatever was made."""


def why_stale(bench: Any) -> tuple[str, ...]:
    """Changes the mappings and says why the first plan no longer holds."""
    file = bench.project.mappings / "contacts.yaml"
    file.write_text(file.read_text() + "# a remark\n")
    file = bench.project.mappings / "orders.yaml"
    file.write_text(file.read_text().replace("goalid <> '-1'", "goalid <> '-2'"))
    with pytest.raises(Stale) as caught:
        check_fresh(open_plan(bench.workspace, "p1"), bench.project, bench.workspace)
    return caught.value.said


def gate_of(bench: Any, extraction: Extraction) -> GateError:
    """Why a run is stopped that asks for proof."""
    with pytest.raises(GateError) as caught:
        refuse_unproven(SimpleNamespace(project=bench.project), extraction)  # type: ignore[arg-type]  # all it reads
    return caught.value


def loaded(plan: str) -> LoadResult:
    """A load with a loss of each kind."""
    lossy = Totals(
        planned=12, written=6, created=6, rejected=1, waiting=1, deferred=2, open=2, merged=1, protected=1,
        altered=1, requests=3, throttled_429=1, busy_423=1,
    )  # fmt: skip
    feed = Totals(planned=1, written=1, target="webhook", requests=1)
    return LoadResult(plan, {"contacts": lossy, "leads": feed})


def differing(plan: str) -> Reconciliation:
    """A count that differs, one that may still change, one that cannot be asked, one that was not loaded."""
    found = {
        "contacts": judge_count(books("contacts", created=6, written=6), SettledCount(5), {}),
        "orders": judge_count(books("orders", created=2), SettledCount(2, rests=False), {}),
    }
    unverifiable = {"leads": Sentence("sent to a webhook, which cannot be asked what it holds")}
    return Reconciliation(plan, found, unverifiable, {"interactions": 300})


def agreeing(plan: str) -> Reconciliation:
    """Counts that agree, of a load that had nothing to do."""
    return Reconciliation(plan, {"contacts": judge_count(books("contacts"), SettledCount(0), {})})


def revenue() -> list[RevenueRow]:
    """A month that agrees and one that does not."""
    same, other = Decimal("10.00"), Decimal("9.50")
    return [
        RevenueRow("2026-01", "EUR", same, same, same),
        RevenueRow("2026-02", "EUR", same, other, None),
    ]


def notes() -> dict[str, str]:
    """What a rehearsal says of itself."""
    return {"rehearsal": Sentence("at the services' speed"), "revenue_note": ""}
