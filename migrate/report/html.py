"""The run's report: one self-contained HTML page without any request to the outside, for people who were not there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Template

from migrate.report.extract import NOT_MIGRATED
from migrate.report.page import page_template

KINDS = (
    ("create", "created"),
    ("update", "updated"),
    ("unknown", "created or updated"),
    ("unchanged", "unchanged"),
    ("collapsed", "collapsed into another row"),
    ("filtered", "filtered by the mapping"),
    ("rejected", "rejected"),
)


def render_run(summary: Mapping[str, Any], *, made_at: str) -> str:
    """The page for a run's JSON summary (see `migrate.report.run`); every value is escaped and inert."""
    datasets = summary.get("plan_datasets", {})
    kinds = [(kind, label) for kind, label in KINDS if any(d.get(kind) for d in datasets.values())]
    rules = [
        (name, rule, count)
        for name, dataset in datasets.items()
        for rule, count in sorted(
            dataset.get("rejected_by_rule", {}).items(), key=lambda item: (-item[1], item[0])
        )
    ]
    return _template().render(
        run=summary,
        verdict=judge_run(summary),
        kinds=kinds,
        reject_rules=rules,
        not_migrated=NOT_MIGRATED,
        made_at=made_at,
    )


def judge_run(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The headline: whether the counts agree, and what a reader must know besides."""
    lines = []
    unproven = [
        name for name, r in summary["extract"]["resources"].items() if r["verdict"] != "proven"
    ]
    if unproven:
        lines.append(f"Not proven complete: {', '.join(unproven)}.")
    rejected = sum(d["rejected"] for d in summary.get("plan_datasets", {}).values())
    if rejected:
        lines.append(
            f"{rejected:,} rows broke a rule of the mapping and were not sent; they are listed by rule below."
        )
    refused = sum(d["rejected"] for d in summary.get("load", {}).get("datasets", {}).values())
    if refused:
        lines.append(f"{refused:,} records were refused by Octolis.")
    wrong = [
        n
        for n, d in summary.get("reconcile", {}).get("datasets", {}).items()
        if d["verdict"] != "match"
    ]
    if wrong:
        return {
            "good": False,
            "headline": f"The counts do not agree: {', '.join(wrong)}",
            "lines": lines,
        }
    if not summary.get("reconcile"):
        return {"good": False, "headline": "The run has not been reconciled", "lines": lines}
    written = sum(d["written"] for d in summary["load"]["datasets"].values())
    headline = f"All counts agree: {written:,} records written in {len(summary['load']['datasets'])} datasets"
    return {"good": not (unproven or refused), "headline": headline, "lines": lines}


@cache
def _template() -> Template:
    return page_template("run.html.j2")
