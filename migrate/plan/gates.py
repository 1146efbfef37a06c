"""The limits of `[gates]`, held against a plan's counts. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from migrate.config import Gates
from migrate.config_values import Limit
from migrate.errors import ConfigError
from migrate.mapping.rules import BROKEN, BROKEN_VALUES, NULLED, OMITTED
from migrate.plan.document import DatasetPlan, GateFinding
from migrate.sentence import Sentence, one_after_other
from migrate.totals.table import Group, Table, money_lacking

Share = tuple[int, int]
"""So many rows, of how many."""
SHARES = {
    "max_rejected": "{dataset}: {rows} of {of} rows rejected, allowed is {limit}",
    "max_collapsed": "{dataset}: {rows} of {of} rows become part of another one, allowed is {limit}",
    "max_placeholder": "{dataset}: {rows} of {of} rows have a key that stands for nobody, such as n/a or noreply@, and "
    "would become one with others; allowed is {limit}; leave them out by `where`, or take another key",
    "max_updates": "{dataset}: {rows} of {of} rows would be updated, allowed is {limit}",
}
"""What is said where a gate on a share of a dataset's rows is broken."""


def judge_gates(
    datasets: Mapping[str, DatasetPlan],
    verdicts: Mapping[str, str],
    gates: Gates,
    totals: Mapping[str, Table] = MappingProxyType({}),
) -> tuple[GateFinding, ...]:
    """One finding per gate that a plan can be held against; a broken one says where and by how much."""

    def share(gate: str, limit: Limit, rows_of: Callable[[DatasetPlan], Share]) -> GateFinding:
        return _finding(gate, _beyond(datasets, limit, SHARES[gate], rows_of))

    return (
        share("max_rejected", gates.max_rejected, lambda plan: (plan.rejected, plan.judged)),
        share("max_collapsed", gates.max_collapsed, lambda plan: (plan.collapsed, plan.judged)),
        share(
            "max_placeholder", gates.max_placeholder, lambda plan: (plan.placeholder, plan.judged)
        ),
        share("max_updates", gates.max_updates, lambda plan: (plan.update, plan.planned)),
        _finding("max_missing", _missing(datasets, gates)),
        _finding("max_merges", _merged(datasets, gates)),
        _finding("max_loss", _lost(datasets, gates), is_set=bool(gates.max_loss)),
        _judge_unequal(totals, gates),
        _finding("require_proven", _unproven(verdicts), is_set=gates.require_proven),
    )


def _finding(gate: str, breaches: Iterable[Sentence], *, is_set: bool = True) -> GateFinding:
    if not is_set:
        return GateFinding(gate=gate, verdict="not set", text="")
    reasons = list(breaches)
    return GateFinding(
        gate=gate, verdict="broken" if reasons else "ok", text=one_after_other(reasons)
    )


def _beyond(
    datasets: Mapping[str, DatasetPlan],
    limit: Limit,
    says: str,
    rows_of: Callable[[DatasetPlan], Share],
) -> Iterator[Sentence]:
    """What is said of each dataset that is beyond a limit on a share of its rows."""
    for name, plan in datasets.items():
        rows, of = rows_of(plan)
        if not limit.allows(rows, of):
            yield Sentence(says, dataset=name, rows=rows, of=of, limit=limit.text)


def _missing(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[Sentence]:
    limit = gates.max_missing
    for name, plan in datasets.items():
        missing = plan.outside_missing or 0
        if not limit.allows(missing, plan.outside_delta):
            yield Sentence(
                "{dataset}: {rows} rows of the delta's base are not in the target and would never be sent, allowed "
                "is {limit}; load the base's plan to its end, then plan the delta again (in a cut-over night under "
                "another --name)",
                dataset=name,
                rows=missing,
                limit=limit.text,
            )


def _merged(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[Sentence]:
    forecasts = {
        name: plan.merge_forecast for name, plan in datasets.items() if plan.merge_forecast
    }
    # Of all datasets together, and as a number: the target deletes a masterid that it merges, and none comes back.
    total = sum(forecasts.values())
    if total > gates.max_merges:
        places = tuple(
            Sentence("{dataset} {rows}", dataset=name, rows=count)
            for name, count in forecasts.items()
        )
        yield Sentence(
            "{count} records would be merged away for good ({places}), allowed are {limit}; "
            "`migrate load --confirm-merges {number}` accepts them",
            count=total,
            places=places,
            limit=gates.max_merges,
            number=str(total),
        )


def _lost(datasets: Mapping[str, DatasetPlan], gates: Gates) -> Iterable[Sentence]:
    for place, limit in gates.max_loss.items():
        name, column, *only = place.split(".")
        plan = datasets.get(name)
        for loss, rows in _by_kind(plan.losses.get(column, {}), only) if plan else ():
            if plan and not limit.allows(rows, plan.accepted):
                yield Sentence(
                    "{column}: {rows} of {of} rows {loss}, allowed is {limit}",
                    column=f"{name}.{column}",
                    rows=rows,
                    of=plan.accepted,
                    loss=loss,
                    limit=limit.text,
                )


def _by_kind(losses: Mapping[str, int], only: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The losses that a limit on a column is held against: those it names, else all.

    Values that broke a rule count together where no rule is named: the limit is on what is lost, whatever it broke.
    """
    counts = Counter(losses)
    for loss, rows in losses.items():
        if loss in BROKEN_VALUES and not loss.endswith(BROKEN):
            counts[f"{OMITTED if loss.startswith(OMITTED) else NULLED}{BROKEN}"] += rows
            if loss not in only:
                del counts[loss]
    yield from ((loss, rows) for loss, rows in counts.items() if not only or loss in only)


_GROUPS_TOLD = 3


def _judge_unequal(totals: Mapping[str, Table], gates: Gates) -> GateFinding:
    """`max_unequal`; not judged where nothing is known to be lacking and not all of it can be known."""
    finding = _finding("max_unequal", _unequal(totals, gates))
    doubts: list[Sentence] = []
    for name, table in totals.items():
        doubts += [Sentence("{dataset}: {doubt}", dataset=name, doubt=d) for d in table.doubts]
    if finding.verdict == "broken" or not doubts:
        return finding
    return GateFinding(gate=finding.gate, verdict="not judged", text=one_after_other(doubts))


def _unequal(totals: Mapping[str, Table], gates: Gates) -> Iterable[Sentence]:
    """Money that the source has and the plan lacks, or the other way round, by month and currency."""
    limit = gates.max_unequal
    for name, table in totals.items():
        broken = [
            group
            for group in money_lacking(table)
            if not limit.allows_amount(group.lacking.amount, group.source.amount)
        ]
        # Where the source's own amount is not known for sure there is nothing to
        # hold the plan against.
        if not broken or table.doubts:
            continue
        lacking = sum((group.lacking.amount for group in broken), Decimal())
        worst = sorted(broken, key=lambda group: -abs(group.lacking.amount))[:_GROUPS_TOLD]
        places = [_place_of(group) for group in worst]
        if len(broken) > len(worst):
            places.append(Sentence("and {count} more", count=len(broken) - len(worst)))
        yield Sentence(
            "{dataset}: the source has {amount} that the plan lacks ({places}), allowed is {limit}; "
            "`migrate diff` shows where it went",
            dataset=name,
            amount=lacking,
            places=tuple(places),
            limit=limit.text,
        )


def _place_of(group: Group) -> Sentence:
    period = group.period or Sentence("in all")
    if not group.label:
        return Sentence("{period} {amount}", period=period, amount=group.lacking.amount)
    return Sentence(
        "{period} {currency} {amount}",
        period=period,
        currency=group.label,
        amount=group.lacking.amount,
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


def _unproven(verdicts: Mapping[str, str]) -> Iterable[Sentence]:
    for resource, verdict in verdicts.items():
        if verdict == "unproven":
            yield Sentence(
                "the extract of {resource} is unproven, not proven; where it came from saved files, "
                "`migrate extract --from-files DIR --expect {resource}=N` vouches for it alone",
                resource=resource,
            )
        elif verdict != "proven":
            yield Sentence(
                "the extract of {resource} is {verdict}, not proven",
                resource=resource,
                verdict=verdict,
            )
