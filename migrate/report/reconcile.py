"""The count equation, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from migrate.report.terminal import render_table
from migrate.verify.reconcile import Reconciliation, SourceCount


def judge_reconciliation(found: Reconciliation) -> tuple[int, str]:
    """Exit code and status: 4 for a difference, and for records that are still to be sent."""
    if not found.matches:
        return 4, "mismatch"
    return (0, "match") if found.is_finished else (4, "unfinished")


def summarise_reconciliation(found: Reconciliation) -> dict[str, Any]:
    """The reconciliation's part of the JSON object (contract §6)."""
    return {
        "plan": found.plan,
        "datasets": {
            name: {
                "count_before": d.books.count_before,
                "created": d.books.created,
                "merged": d.books.merged,
                "expected": d.expected,
                "count_after": d.count_after,
                "difference": d.difference,
                "by_source": {source: asdict(count) for source, count in d.by_source.items()},
                "verdict": d.verdict,
                "explanations": list(d.explanations),
            }
            for name, d in found.datasets.items()
        },
    }


def render_reconciliation(found: Reconciliation) -> str:
    """The equation of every dataset, the counts by source, and what explains a difference."""
    rows = [
        [
            name, d.books.count_before, d.books.created, d.books.merged, d.expected, d.count_after, d.difference,
            d.verdict,
        ]
        for name, d in found.datasets.items()
    ]  # fmt: skip
    headers = ["dataset", "before", "+ created", "- merged", "= expected", "after", "difference", "verdict"]
    parts = [f"Counts of plan {found.plan}", render_table(headers, rows)]
    sources = [row for name, d in found.datasets.items() for row in _source_rows(name, d.by_source)]
    if sources:
        parts.append("By source:\n" + render_table(["dataset", "source", "planned", "in the target now"], sources))
    explanations = [f"  {name}: {line}" for name, d in found.datasets.items() for line in d.explanations]
    if explanations:
        parts.append("\n".join(explanations))
    return "\n\n".join(parts)


def _source_rows(name: str, by_source: Mapping[str, SourceCount]) -> list[list[str | int]]:
    return [
        [name, source, count.planned, count.counted if count.counted is not None else f"not counted: {count.reason}"]
        for source, count in by_source.items()
    ]
