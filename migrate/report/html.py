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
        verdict=summary["verdict"],
        kinds=kinds,
        reject_rules=rules,
        not_migrated=NOT_MIGRATED,
        made_at=made_at,
    )


@cache
def _template() -> Template:
    return page_template("run.html.j2")
