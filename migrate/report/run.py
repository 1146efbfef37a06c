"""A whole run's summary: as JSON, as the last screen of a terminal, and as a report on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.app.finding import Finding, Verdict, judge_findings
from migrate.app.reconcile import summarise_reconciliation
from migrate.app.verdict import judge_load, judge_plan, judge_reconciliation
from migrate.names import Language
from migrate.plan.open_plan import read_totals
from migrate.report.about import Fact, facts_of_making, facts_of_plan
from migrate.report.extract import render_extraction, summarise_extraction
from migrate.report.html import render_run
from migrate.report.load import render_load, summarise_load
from migrate.report.plan import render_plan, summarise_plan, times_by_keys
from migrate.report.reconcile import render_reconciliation
from migrate.report.terminal import Row, inert_lines, render_table
from migrate.report.words import words_of
from migrate.sentence import Sentence
from migrate.workspace import write_bytes

_WORST = 5

if TYPE_CHECKING:
    from migrate.app.pipeline import Run
    from migrate.demo.sums import RevenueRow


def summarise_run(
    run: Run, revenue: Sequence[RevenueRow] = (), notes: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The run's part of the JSON object; the report is made from nothing else.

    `notes` may hold `rehearsal` and `revenue_note`, sentences for the reader.
    """
    summary: dict[str, Any] = {
        "snapshot": run.extraction.snapshot,
        "plan": run.plan.name if run.plan else None,
        "extract": summarise_extraction(run.extraction),
        "plan_datasets": {},
        "load": {},
        "reconcile": {},
        "forecast": "",
        "seconds": dict(run.seconds or {}),
        "rehearsal": "",
        "revenue_note": "",
        **(notes or {}),
        "verdict": judge_run(run).summarise(),
        "about": _about(run),
        "revenue": [_revenue_entry(row) for row in revenue],
    }
    if run.plan:
        planned = summarise_plan(run.plan)
        summary |= {"plan_datasets": planned["datasets"], "forecast": forecast_sentence(run)}
    if run.loaded:
        summary["load"] = summarise_load(run.loaded)
    if run.reconciliation:
        summary["reconcile"] = summarise_reconciliation(run.reconciliation)
    return summary


def _about(run: Run) -> list[Fact]:
    if run.plan is None:
        return [("Snapshot", run.extraction.snapshot), *facts_of_making()]
    state = "loaded" if run.loaded else "planned"
    return list(facts_of_plan(run.plan, state))


def forecast_sentence(run: Run) -> str:
    """How long the load takes at the documented limits, by number of keys."""
    if run.plan is None:
        return ""
    forecast = run.plan.document.forecast
    if not forecast.requests:
        return Sentence("There is nothing to send.")
    return Sentence(
        "{requests} requests, {points} points: {times}.",
        requests=forecast.requests,
        points=forecast.points,
        times=times_by_keys(run.plan.document),
    )


def _revenue_entry(row: RevenueRow) -> dict[str, Any]:
    amounts = {"source": row.source, "plan": row.plan, "target": row.target}
    texts = {
        place: None if amount is None else str(_cents(amount)) for place, amount in amounts.items()
    }
    return {"month": row.month, "currency": row.currency, **texts, "equal": row.equal}


def _cents(amount: Decimal) -> Decimal:
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -2:
        # More places than cents are shown as they are: to round them would make unequal sums look equal.
        return amount
    return amount.quantize(Decimal("0.01"))


def render_run_text(run: Run, revenue: Sequence[RevenueRow] = ()) -> str:
    """What every stage found, stage after stage."""
    parts = [
        inert_lines(judge_run(run).render(_WORST, "the report named below has them all")),
        render_extraction(run.extraction),
    ]
    if run.plan:
        parts.append(render_plan(run.plan, is_judged=True))
    if run.loaded:
        parts.append(render_load(run.loaded))
    if run.reconciliation:
        parts.append(render_reconciliation(run.reconciliation))
    if revenue:
        parts.append(render_revenue(revenue))
    return "\n\n".join(parts)


def render_revenue(revenue: Sequence[RevenueRow]) -> str:
    """Revenue per month and currency in source, plan and target."""

    def text(amount: Decimal | None) -> str:
        return "-" if amount is None else f"{_cents(amount):,}"

    places = ("source", "plan", "target")
    amounts = [[text(getattr(row, place)) for place in places] for row in revenue]
    width = max(map(len, chain.from_iterable((places, *amounts))))
    rows: list[Row] = [
        [row.month, row.currency, *(cell.rjust(width) for cell in cells), row.equal]
        for row, cells in zip(revenue, amounts, strict=True)
    ]
    headers = ["month", "currency", *(place.rjust(width) for place in places), "equal"]
    return "Revenue per month:\n" + render_table(headers, rows)


def write_report(
    reports: Path,
    name: str,
    summary: Mapping[str, Any],
    now: datetime,
    language: Language = "en",
) -> Path:
    """Writes NAME-run.json and NAME-run.html, the page in a reader's language, and returns the page's path."""
    words = words_of(language)
    write_bytes(
        reports / f"{name}-run.json",
        (json.dumps(summary, ensure_ascii=False, indent=2) + "\n").encode(),
    )
    page = reports / f"{name}-run.html"
    write_bytes(page, render_run(summary, made_at=words.moment(now), words=words).encode())
    return page


def judge_run(run: Run) -> Verdict:
    """Whether a whole run did what it was for: the findings of all stages that it reached, the worst first."""
    findings = [
        Finding("unverified", _unproven_text(name, r.verdict, r.why), name)
        for name, r in run.extraction.resources.items()
        if r.verdict != "proven"
    ]
    if run.stopped:
        findings += [Finding("gate", said) for said in run.stopped.said]
    if run.plan:
        planned = judge_plan(run.plan.document, read_totals(run.plan))
        # A gate that the plan broke was confirmed, or the load would not have begun.
        passed = run.loaded is not None
        findings += [f for f in planned.findings if not (passed and f.kind == "gate")]
    if run.loaded:
        findings += judge_load(run.loaded).findings
    if run.reconciliation is None:
        if not run.stopped:
            findings.append(Finding("gate", Sentence("the run has not been reconciled")))
        return judge_findings(findings, "", "", Sentence("Not finished"))
    reconciled = judge_reconciliation(run.reconciliation)
    findings += reconciled.findings
    if run.loaded:
        written = sum(d.written for d in run.loaded.datasets.values())
    else:
        written = 0
    if written:
        what = Sentence(
            "{count} record written in {datasets} datasets",
            "{count} records written in {datasets} datasets",
            count=written,
            datasets=len(run.reconciliation.datasets),
        )
    else:
        what = Sentence("nothing to do, the target has all of it")
    good = Sentence("All counts agree: {what}", what=what)
    doubtful = Sentence("Done, but not all of it: {what}", what=what)
    if not written:
        doubtful = Sentence("Nothing was left to do, but not all of the source is in the target")
    return judge_findings(findings, good, doubtful, reconciled.headline)


def _unproven_text(resource: str, verdict: str, reason: str) -> Sentence:
    return Sentence(
        "{resource}: not proven complete ({verdict}): {reason}",
        resource=resource,
        verdict=Sentence(verdict),
        reason=reason,
    )
