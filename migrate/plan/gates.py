"""The limits of `[gates]`, held against a plan's counts. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from types import MappingProxyType

from migrate.config import Gates
from migrate.errors import ConfigError
from migrate.plan.document import DatasetPlan, GateFinding
from migrate.totals.table import Table, amount_text, money_lacking


def judge_gates(
    datasets: Mapping[str, DatasetPlan],
    verdicts: Mapping[str, str],
    gates: Gates,
    totals: Mapping[str, Table] = MappingProxyType({}),
) -> tuple[GateFinding, ...]:
    """One finding per gate that a plan can be held against; a broken one says where and by how much."""
    return (
        _finding("max_rejected", _rejected(datasets, gates)),
        _finding("max_collapsed", _collapsed(datasets, gates)),
        _finding("max_placeholder", _placeholders(datasets, gates)),
        _finding("max_updates", _updated(datasets, gates)),
        _finding("max_missing", _missing(datasets, gates)),
        _finding("max_merges", _merged(datasets, gates)),
        _finding("max_loss", _lost(datasets, gates), is_set=bool(gates.max_loss)),
        _finding("max_unequal", _unequal(totals, gates)),
        _finding("require_proven", _unproven(verdicts), is_set=gates.require_proven),
    )


def _finding(gate: str, breaches: Iterable[str], *, is_set: bool = True) -> GateFinding:
    if not is_set:
        return GateFinding(gate=gate, verdict="not set", text="")
    found = list(breaches)
    return GateFinding(gate=gate, verdict="broken" if found else "ok", text="; ".join(found))


def _rejected(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_rejected
    for name, plan in datasets.items():
        if not limit.allows(plan.rejected, plan.judged):
            yield f"{name}: {plan.rejected:,} of {plan.judged:,} rows rejected, allowed is {limit.text}"


def _collapsed(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_collapsed
    for name, plan in datasets.items():
        if not limit.allows(plan.collapsed, plan.judged):
            yield (
                f"{name}: {plan.collapsed:,} of {plan.judged:,} rows become part of another one, "
                f"allowed is {limit.text}"
            )


def _placeholders(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_placeholder
    for name, plan in datasets.items():
        if not limit.allows(plan.placeholder, plan.judged):
            yield (
                f"{name}: {plan.placeholder:,} of {plan.judged:,} rows have a key that stands for nobody, such as "
                f"n/a or noreply@, and would become one with others; allowed is {limit.text}; leave them out by "
                "`where`, or take another key"
            )


def _updated(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_updates
    for name, plan in datasets.items():
        if not limit.allows(plan.update, plan.planned):
            yield f"{name}: {plan.update:,} of {plan.planned:,} rows would be updated, allowed is {limit.text}"


def _missing(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    limit = gates.max_missing
    for name, plan in datasets.items():
        missing = plan.outside_missing or 0
        if not limit.allows(missing, plan.outside_delta):
            yield (
                f"{name}: {missing:,} rows of the delta's base are not in the target and would never be sent, allowed "
                f"is {limit.text}; load the base's plan to its end, then plan the delta anew (in a cut-over night "
                "under another --name)"
            )


def _merged(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    found = {name: plan.merge_forecast for name, plan in datasets.items() if plan.merge_forecast}
    total = sum(found.values())
    if total > gates.max_merges:
        places = ", ".join(f"{name} {count:,}" for name, count in found.items())
        yield (
            f"{total:,} records would be merged away for good ({places}), allowed are {gates.max_merges:,}; "
            f"`migrate load --confirm-merges {total}` accepts them"
        )


def _lost(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[str]:
    for place, limit in gates.max_loss.items():
        name, column, *only = place.split(".")
        plan = datasets.get(name)
        for loss, rows in plan.losses.get(column, {}).items() if plan else ():
            if (not only or loss in only) and plan and not limit.allows(rows, plan.accepted):
                yield f"{name}.{column}: {rows:,} of {plan.accepted:,} rows {loss}, allowed is {limit.text}"


_GROUPS_TOLD = 3


def _unequal(totals: Mapping[str, Table], gates: Gates) -> Iterable[str]:
    """Money that the source has and the plan lacks, or the other way round, by month and currency."""
    limit = gates.max_unequal
    for name, table in totals.items():
        broken = [
            group
            for group in money_lacking(table)
            if not limit.allows_amount(group.lacking.amount, group.source.amount)
        ]
        if not broken or table.doubts:
            continue
        lacking = sum((group.lacking.amount for group in broken), Decimal())
        worst = sorted(broken, key=lambda group: -abs(group.lacking.amount))[:_GROUPS_TOLD]
        places = ", ".join(
            f"{group.period or 'in all'} {group.label}".strip()
            + f" {amount_text(group.lacking.amount)}"
            for group in worst
        )
        more = f" and {len(broken) - len(worst):,} more" if len(broken) > len(worst) else ""
        yield (
            f"{name}: the source has {amount_text(lacking)} that the plan lacks ({places}{more}), "
            f"allowed is {limit.text}; `migrate diff` shows where it went"
        )


def check_places(
    gates: Gates, columns: Mapping[str, Collection[str]], losses: Collection[str]
) -> None:
    """Nothing, when `max_loss` names what there is: datasets with their `columns`, and `losses`.

    A limit on a name that nothing has would never stop anything. **Raises** ConfigError.
    """
    for place in gates.max_loss:
        name, column, *only = place.split(".")
        for what, known in (
            (name, columns),
            (column, columns.get(name, ())),
            *((loss, losses) for loss in only),
        ):
            if what not in known:
                near = difflib.get_close_matches(what, list(known), 1)
                raise ConfigError(
                    f"[gates] max_loss names {place!r}, but there is no {what!r}"
                    + (f"; did you mean {near[0]!r}?" if near else ""),
                    hint='write "dataset.column" or "dataset.column.loss", as the mappings and the plan name them',
                )


def _unproven(verdicts: Mapping[str, str]) -> Iterable[str]:
    for resource, verdict in verdicts.items():
        if verdict == "unproven":
            yield (
                f"the extract of {resource} is unproven, not proven; where it came from saved files, "
                f"`migrate extract --from-files DIR --expect {resource}=N` vouches for it alone"
            )
        elif verdict != "proven":
            yield f"the extract of {resource} is {verdict}, not proven"
