"""Two plans beside each other, for a terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrate.report.diff_plans import DatasetComparison, PlanComparison
from migrate.report.terminal import Row, inert, render_table, shorten


def render_comparison(comparison: PlanComparison) -> str:
    """The comparison for a terminal."""
    parts = [f"Plan {comparison.second} against plan {comparison.first}"]
    parts.append(
        "Made from other inputs:\n" + "\n".join(f"  - {inert(line)}" for line in comparison.inputs)
        if comparison.inputs
        else "Both were made from the same inputs."
    )
    rows: list[Row] = []
    for d in comparison.datasets:
        rows.extend(
            [d.name, count, before, after, (after or 0) - (before or 0)]
            for count, (before, after) in d.counts.items()
            if before != after
        )
    parts += _table("Counts that differ:", ["dataset", "count", "first", "second", "by"], rows)
    rows = []
    for d in comparison.datasets:
        rows.extend([d.name, rule, *pair] for rule, pair in d.rules.items() if pair[0] != pair[1])
    parts += _table("Rejected by rule:", ["dataset", "rule", "first", "second"], rows)
    rows = [
        [d.name, d.only_first, d.only_second, d.otherwise]
        for d in comparison.datasets
        if d.only_first or d.only_second or d.otherwise
    ]
    parts += _table(
        "Rows:", ["dataset", "only in first", "only in second", "with other values"], rows
    )
    rows = []
    for d in comparison.datasets:
        rows.extend([d.name, then, now, count] for (then, now), count in d.turned.items())
    parts += _table(
        "Rows that do something else now:", ["dataset", "first", "second", "rows"], rows
    )
    rows = []
    for d in comparison.datasets:
        rows.extend([d.name, column, count] for column, count in d.columns.items())
    parts += _table(
        "Columns with other values, most rows first:", ["dataset", "column", "rows"], rows
    )
    rows = []
    for d in comparison.datasets:
        rows.extend(
            [d.name, s["column"], shorten(s["key"]), shorten(s["first"]), shorten(s["second"])]
            for s in d.samples
        )
    parts += _table("Samples:", ["dataset", "column", "key", "first", "second"], rows[:60])
    if len(parts) == 2:
        parts.append("They do the same.")
    return "\n\n".join(parts)


def _table(title: str, headers: list[str], rows: list[Row]) -> list[str]:
    if rows:
        return [f"{title}\n{render_table(headers, rows)}"]
    return []


def summarise_comparison(comparison: PlanComparison) -> dict[str, Any]:
    """The comparison's part of the JSON object."""
    return {
        "plan": comparison.second,
        "against": comparison.first,
        "inputs": list(comparison.inputs),
        "datasets": {d.name: _summarise(d) for d in comparison.datasets},
    }


def _summarise(d: DatasetComparison) -> Mapping[str, Any]:
    return {
        "counts": {
            count: {"first": pair[0], "second": pair[1]} for count, pair in d.counts.items()
        },
        "rejected_by_rule": {
            rule: {"first": pair[0], "second": pair[1]} for rule, pair in d.rules.items()
        },
        "only_first": d.only_first,
        "only_second": d.only_second,
        "otherwise": d.otherwise,
        "columns": d.columns,
        "turned": [
            {"first": then, "second": now, "rows": rows} for (then, now), rows in d.turned.items()
        ],
        "samples": d.samples,
    }
