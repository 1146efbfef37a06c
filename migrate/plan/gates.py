"""The limits of `[gates]`, held against a plan's counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from migrate.config import Gates
from migrate.plan.document import DatasetPlan, GateFinding


def judge_gates(
    datasets: Mapping[str, DatasetPlan], verdicts: Mapping[str, str], gates: Gates
) -> tuple[GateFinding, ...]:
    """One finding per gate that a plan can be held against; a broken one says where and by how much."""
    return (
        _finding("max_rejected", _rejected(datasets, gates)),
        _finding("max_updates", _updated(datasets, gates)),
        _finding("max_merges", _merged(datasets, gates)),
        _finding("require_proven", _unproven(verdicts) if gates.require_proven else ()),
    )


def _finding(gate: str, breaches: Iterable[str]) -> GateFinding:
    found = list(breaches)
    return GateFinding(gate=gate, verdict="broken" if found else "ok", text="; ".join(found))


def _rejected(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_rejected
    for name, plan in datasets.items():
        if limit is not None and not limit.allows(plan.rejected, plan.read):
            yield f"{name}: {plan.rejected:,} of {plan.read:,} rows rejected, allowed is {limit.text}"


def _updated(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_updates
    for name, plan in datasets.items():
        if not limit.allows(plan.update, plan.planned):
            yield f"{name}: {plan.update:,} of {plan.planned:,} rows would be updated, allowed is {limit.text}"


def _merged(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    found = sum(plan.merge_forecast for plan in datasets.values())
    if found > gates.max_merges:
        yield f"{found:,} records of the target would be merged away for good, allowed are {gates.max_merges:,}"


def _unproven(verdicts: Mapping[str, str]) -> Iterable[str]:
    for resource, verdict in verdicts.items():
        if verdict != "proven":
            yield f"the extract of {resource} is {verdict}, not proven"
