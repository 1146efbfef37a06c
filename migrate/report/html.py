"""The run's report: one self-contained HTML page without any request to the outside, for people who were not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.mapping.rules import RULES
from migrate.report.bars import segments
from migrate.report.extract import NOT_MIGRATED
from migrate.report.labels import COUNT_COLUMNS, EQUATION, KINDS, LOAD_COLUMNS
from migrate.report.page import render_page
from migrate.report.words import Words, words_of


def render_run(summary: Mapping[str, Any], *, made_at: str, words: Words | None = None) -> str:
    """The page for a run's JSON summary (see `migrate.report.run`), in English where no `words` are given."""
    datasets = summary.get("plan_datasets", {})
    kinds = [(kind, label) for kind, label in KINDS if any(d.get(kind) for d in datasets.values())]
    loaded = summary.get("load", {}).get("datasets", {})
    return render_page(
        "run.html.j2",
        words or words_of("en"),
        run=summary,
        verdict=summary["verdict"],
        kinds=kinds,
        bars={name: segments(d, kinds, d["read"]) for name, d in datasets.items()},
        reject_rules=_reject_rules(datasets),
        written={name: d for name, d in loaded.items() if d.get("requests") or d.get("written")},
        not_migrated=NOT_MIGRATED,
        made_at=made_at,
        about=summary.get("about", ()),
        count_columns=COUNT_COLUMNS,
        load_columns=LOAD_COLUMNS,
        equation=EQUATION,
    )


def _reject_rules(datasets: Mapping[str, Any]) -> list[tuple[str, str, str, str, int]]:
    """Dataset, rule, what it says, what helps and how many rows; of each dataset the most first."""
    rules = []
    for name, dataset in datasets.items():
        counts = dataset.get("rejected_by_rule", {})
        for rule in sorted(counts, key=lambda rule: (-counts[rule], rule)):
            known = RULES.get(rule)
            says, hint = (known.says, known.hint) if known else ("", "")
            rules.append((name, rule, says, hint, counts[rule]))
    return rules
