"""What a plan says, for a terminal and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from migrate.report.terminal import format_duration, render_table

if TYPE_CHECKING:
    from migrate.plan.document import DatasetPlan, PlanDocument
    from migrate.plan.opening import Plan

_COUNTS = ("read", "filtered", "rejected", "collapsed", "create", "update", "unchanged", "unknown", "batches")


def summarise_plan(plan: Plan) -> dict[str, Any]:
    """The plan's part of the JSON object (contract §6)."""
    rules: Counter[str] = Counter()
    for dataset in plan.document.datasets.values():
        rules.update(dataset.rejected_by_rule)
    return {**plan.summary(), "rejected_by_rule": dict(sorted(rules.items()))}


def render_plan(plan: Plan) -> str:
    """Counts per dataset, why rows were rejected, warnings, gates and the forecast."""
    document = plan.document
    parts = [
        f"Plan {plan.name} from snapshot {document.snapshot.name}"
        + (" (offline: the target was not read)" if document.offline else ""),
        render_table(
            ["dataset", *_COUNTS],
            [[name, *(getattr(d, count) for count in _COUNTS)] for name, d in document.datasets.items()],
        ),
    ]
    parts += [section for section in (_rejects(document), _warnings(document), _gates(document)) if section]
    parts.append(_forecast(document))
    return "\n\n".join(parts)


def _rejects(document: PlanDocument) -> str:
    rows: list[list[str | int]] = [
        [name, rule, count]
        for name, dataset in document.datasets.items()
        for rule, count in sorted(dataset.rejected_by_rule.items(), key=lambda item: (-item[1], item[0]))
    ]
    return "Rejected rows, by the rule they broke:\n" + render_table(["dataset", "rule", "rows"], rows) if rows else ""


def _warnings(document: PlanDocument) -> str:
    lines = [f"  {name}: {text}" for name, dataset in document.datasets.items() for text in _warnings_of(dataset)]
    lines += [f"  {name}: not planned, {reason}" for name, reason in document.skipped.items()]
    return "\n".join(["Worth knowing:", *lines]) if lines else ""


def _warnings_of(dataset: DatasetPlan) -> list[str]:
    found = list(dataset.warnings)
    found += [f"{n:,} rows point to a {lookup} that is not there" for lookup, n in dataset.orphans.items() if n]
    if dataset.foreign:
        found.append(f"{dataset.foreign:,} records of the target come from elsewhere; they are left alone")
    if dataset.unmapped:
        fields = ", ".join(f"{entry.field} ({entry.filled:.0%} filled)" for entry in dataset.unmapped[:8])
        more = f" and {len(dataset.unmapped) - 8} more" if len(dataset.unmapped) > 8 else ""
        found.append(f"fields that no mapping uses: {fields}{more}")
    return found


def _gates(document: PlanDocument) -> str:
    broken = [f"  {finding.gate}: {finding.text}" for finding in document.gates if finding.verdict == "broken"]
    return "\n".join(["Stopped by a safety gate; load will refuse this plan:", *broken]) if broken else ""


def _forecast(document: PlanDocument) -> str:
    forecast = document.forecast
    times = ", ".join(
        f"{format_duration(minutes * 60)} with {keys} key{'s' if keys != 1 else ''}"
        for keys, minutes in forecast.minutes_by_keys.items()
    )
    return f"Load: {forecast.requests:,} requests, {forecast.points:,} points; at the documented limits {times}."
