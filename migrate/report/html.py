"""The run's report: one self-contained HTML page without any request to the outside, for people who were not there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Template

from migrate.mapping.rules import RULES
from migrate.report.extract import NOT_MIGRATED
from migrate.report.page import page_template

KINDS = (
    ("create", "new"),
    ("update", "changed"),
    ("unknown", "new or changed"),
    ("unchanged", "already the same"),
    ("collapsed", "part of another row"),
    ("filtered", "left out on purpose"),
    ("rejected", "rejected"),
)

COUNT_COLUMNS = (
    ("read", "Read"),
    ("filtered", "Left out on purpose"),
    ("discarded", "Discarded by hand"),
    ("rejected", "Rejected"),
    ("waiting", "Waiting for a parent"),
    ("collapsed", "Part of another row"),
    ("outside", "Outside of the part or sample"),
    ("outside_delta", "Outside the delta"),
    ("create", "New"),
    ("update", "Changed"),
    ("unchanged", "Already the same"),
    ("unknown", "New or changed"),
)
"""What became of the rows, in the words of every page."""
LOAD_COLUMNS = (
    ("written", "Written"),
    ("created", "Created"),
    ("updated", "Updated"),
    ("merged", "Merged away"),
    ("rejected", "Refused"),
    ("deferred", "Put off"),
    ("altered", "Stored in another form"),
    ("requests", "Requests"),
    ("throttled_429", "Asked to slow down"),
    ("busy_423", "Dataset busy"),
)


def render_run(summary: Mapping[str, Any], *, made_at: str) -> str:
    """The page for a run's JSON summary (see `migrate.report.run`); every value is escaped and inert."""
    datasets = summary.get("plan_datasets", {})
    kinds = [(kind, label) for kind, label in KINDS if any(d.get(kind) for d in datasets.values())]
    rules = [
        (name, rule, *_words(rule), count)
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
        about=summary.get("about", ()),
        count_columns=COUNT_COLUMNS,
        load_columns=LOAD_COLUMNS,
    )


def _words(rule: str) -> tuple[str, str]:
    known = RULES.get(rule)
    return (known.says, known.hint) if known else ("", "")


@cache
def _template() -> Template:
    return page_template("run.html.j2")
