"""What a plan's counts and totals say against it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from migrate.app.finding import Finding, Kind, share_of
from migrate.mapping.rules import BROKEN_VALUES, LOSSES, RULES
from migrate.sentence import Sentence
from migrate.totals.table import Table, money_lacking

if TYPE_CHECKING:
    from migrate.plan.document import DatasetPlan

LOSS_KINDS: Mapping[str, Kind | None] = {
    "consent_unlisted": "consent",
    "consent_withheld": "consent",
    **dict.fromkeys(BROKEN_VALUES, "emptied"),
    "unlisted": "emptied",
    "truncated": "cut",
    "rounded": "cut",
    "zeros_dropped": "cut",
    "time_dropped": "cut",
    "dst_gap": "cut",
    "unranked": "unverified",
    "trimmed": None,
    "collapsed_spaces": None,
    "lowercased": None,
    "uppercased": None,
    "stripped_html": None,
    "hashed": None,
    "encoding_fixed": None,
    "phone_formatted": None,
    "country_coded": None,
    "comma_replaced": None,
    "amount_read": None,
    "invisible_removed": None,
    "fraction_dropped": None,
    "zone_assumed": None,
    "dst_fold": None,
    "flattened": None,
    "single_element": None,
    "unwrapped_list": None,
    # a zero date is how databases and PHP write that there is none
    "omitted_zero_date": None,
    "nulled_zero_date": None,
    "defaulted": None,
}
"""What each loss of a mapping means to an owner; None for another spelling of the same value."""

HARMS: Mapping[Kind, tuple[str, str]] = {
    "consent": ("{share} loses a consent: {loss}", "{share} lose a consent: {loss}"),
    "emptied": (
        "{share} arrives without a value: {loss}",
        "{share} arrive without a value: {loss}",
    ),
    "cut": (
        "{share} arrives with less than was sent: {loss}",
        "{share} arrive with less than was sent: {loss}",
    ),
    "unverified": (
        "{share} is ranked without knowing its time: {loss}",
        "{share} are ranked without knowing their time: {loss}",
    ),
}


def dataset_findings(name: str, dataset: DatasetPlan) -> Iterator[Finding]:
    """What of a dataset will not arrive, or not as it was sent."""
    judged = dataset.judged
    # What `where` leaves out and what was discarded is left out on purpose, and no finding.
    missing = dataset.rejected + dataset.waiting
    if missing:
        rules = sorted(dataset.rejected_by_rule.items(), key=lambda entry: (-entry[1], entry[0]))
        reasons = [
            Sentence("{rule}: {count}", rule=_says(rule), count=rows) for rule, rows in rules[:3]
        ]
        if dataset.waiting:
            reasons.append(Sentence("waiting for a parent: {count}", count=dataset.waiting))
        share = share_of(name, missing, judged)
        # The same in English, and not in other languages.
        text = Sentence(
            "{share} will not arrive ({why})",
            "{share} will not arrive ({why})",
            share=share,
            why=tuple(reasons),
            count=missing,
        )
        yield Finding("not_arriving", text, name, None, missing, judged)
    if dataset.collapsed:
        text = Sentence(
            "{share} becomes part of another row with the same key",
            "{share} become part of another row with the same key",
            share=share_of(name, dataset.collapsed, judged),
            count=dataset.collapsed,
        )
        yield Finding("merged", text, name, None, dataset.collapsed, judged)
    merges = dataset.merges
    # A merge cannot be undone: the API has no delete, and a masterid that is gone does not come back.
    if merges.masterids_lost or merges.rows_fused:
        lost = merges.masterids_lost + merges.rows_fused
        text = Sentence(
            "{dataset}: merges lose records for good: {theirs} of the target's own, {ours} of the plan's",
            dataset=name,
            theirs=merges.masterids_lost,
            ours=merges.rows_fused,
        )
        yield Finding("merged", text, name, None, lost, merges.records)
    for column, losses in dataset.losses.items():
        for loss, rows in losses.items():
            # A loss that this table does not know is never shown as harmless.
            kind = LOSS_KINDS.get(loss, "cut")
            if kind:
                share = share_of(f"{name}.{column}", rows, dataset.accepted)
                says = Sentence(LOSSES.get(loss, loss))
                text = Sentence(*HARMS[kind], share=share, loss=says, count=rows)
                yield Finding(kind, text, name, column, rows, dataset.accepted)


def _says(rule: str) -> Sentence:
    return Sentence(RULES[rule].says if rule in RULES else rule)


LACKING = {
    "revenue": (
        "{dataset}: {count} order of the source is not in the plan",
        "{dataset}: {count} orders of the source are not in the plan",
    ),
    "events": (
        "{dataset}: {count} event of the source is not in the plan",
        "{dataset}: {count} events of the source are not in the plan",
    ),
    "lines": (
        "{dataset}: {count} line of the source is not in the plan",
        "{dataset}: {count} lines of the source are not in the plan",
    ),
}
DIFFERING = {
    "revenue": "{dataset}: the numbers of orders in source and plan differ in some groups",
    "events": "{dataset}: the numbers of events in source and plan differ in some groups",
    "lines": "{dataset}: the numbers of lines in source and plan differ in some groups",
}


def money_findings(name: str, table: Table) -> Iterator[Finding]:
    """What of a dataset's totals the plan lacks, or nobody can tell."""
    groups = money_lacking(table)
    sums: dict[str, Decimal] = {}
    for group in groups:
        sums[group.label] = sums.get(group.label, Decimal()) + group.lacking.amount
    if groups:
        amounts = tuple(
            Sentence("{amount} {currency}", amount=total, currency=label) if label else total
            for label, total in sums.items()
        )
        text = Sentence(
            "{dataset}: the source has {amounts} that the plan lacks",
            dataset=name,
            amounts=amounts,
        )
        yield Finding("money", text, name, None, len(groups), len(table.groups))
    # Totals that nobody can prove say nothing of what is lacking; the doubt is told below.
    elif not table.is_planned and not table.doubts:
        lacking = table.whole.lacking.rows
        if lacking > 0:
            text = Sentence(*LACKING[table.kind], dataset=name, count=lacking)
        else:
            text = Sentence(DIFFERING[table.kind], dataset=name)
        yield Finding("money", text, name, None, len(table.unequal), len(table.groups))
    if table.unreadable:
        text = Sentence(
            "{dataset}: {count} amount cannot be read and is in no sum",
            "{dataset}: {count} amounts cannot be read and are in no sum",
            dataset=name,
            count=table.unreadable,
        )
        yield Finding("money", text, name, None, table.unreadable, table.whole.source.rows)
    if table.unread_times:
        text = Sentence(
            "{dataset}: {count} row has a time that cannot be read, and no date in the totals",
            "{dataset}: {count} rows have a time that cannot be read, and no date in the totals",
            dataset=name,
            count=table.unread_times,
        )
        yield Finding("unverified", text, name, None, table.unread_times, table.whole.source.rows)
    for doubt in table.doubts:
        text = Sentence("{dataset}: totals are not proven: {doubt}", dataset=name, doubt=doubt)
        yield Finding("unverified", text, name)
