"""Totals set side by side, and whether they are equal: judged here, and nowhere else.

Plan, gate, verifier, terminal, JSON and page all ask this module, so none of them can say
something else than another. Pure. Amounts are decimals, exact to the sixth place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import polars as pl

from migrate.sentence import Sentence, amount_text
from migrate.totals.amounts import AMOUNT
from migrate.totals.declared import Kind

ON_PURPOSE = ("filtered", "discarded", "copies", "outside")
"""What is left out because somebody said so: a `where`, a person's decision, the same record sent
twice under one key, or what is outside of a part, a sample or a delta. A named remainder, and no difference."""

LACKING = ("rejected", "waiting", "replaced", "unread")
"""What the source has and the plan lacks: rows that broke a rule, that wait for their parent, that
went into a record of another amount, or that the mapping never saw."""

REASONS = (*ON_PURPOSE, *LACKING)
BESIDE = ("kept", "adopted")
"""Lines that the plan has although their own order is left out on purpose: named beside the plan, and part of it."""
WORDS = {
    "filtered": "left out by `where`",
    "discarded": "discarded by hand",
    "copies": "the same again under one key",
    "outside": "outside of the part, the sample or the delta",
    "rejected": "rejected by the plan",
    "waiting": "waiting for their parent",
    "replaced": "gone into a record of another amount, time or currency",
    "unread": "never seen by the mapping",
    "kept": "kept, though their order is left out",
    "adopted": "of an order that is left out, found under another name of its source",
}
TITLES: Mapping[Kind, str] = {
    "revenue": "Revenue",
    "events": "Events",
    "lines": "Order lines",
}
UNITS: Mapping[Kind, str] = {"revenue": "orders", "events": "events", "lines": "lines"}
NO_DATE = "no date"
NOTHING = "(none)"


@dataclass(frozen=True)
class Figure:
    """What one place says of one group: how many records, their sum, and how many amounts of them
    nobody can read (they are counted, and in no sum)."""

    rows: int = 0
    amount: Decimal = Decimal()
    unreadable: int = 0

    def __add__(self, other: Figure) -> Figure:
        return Figure(
            self.rows + other.rows,
            self.amount + other.amount,
            self.unreadable + other.unreadable,
        )

    def __sub__(self, other: Figure) -> Figure:
        return Figure(
            self.rows - other.rows,
            self.amount - other.amount,
            self.unreadable - other.unreadable,
        )

    def __bool__(self) -> bool:
        return bool(self.rows or self.amount or self.unreadable)


@dataclass(frozen=True)
class Group:
    """One month and currency, or one day and event, in all places.

    `left_out`: by reason what of the source is no row of the plan. `target` is None where the
    target was not read. `beside`: by reason what of the plan is there although its order is not.
    """

    period: str
    label: str
    source: Figure
    left_out: Mapping[str, Figure] = field(default_factory=dict)
    plan: Figure = Figure()
    target: Figure | None = None
    beside: Mapping[str, Figure] = field(default_factory=dict)

    @cached_property
    def snapshot(self) -> Figure:
        """What of the source is left after all that is left out: what the plan should have."""
        return self.source - _summed(self.left_out.values())

    @cached_property
    def on_purpose(self) -> Figure:
        """What is left out because somebody said so."""
        return _summed(self.left_out.get(reason, Figure()) for reason in ON_PURPOSE)

    @cached_property
    def lacking(self) -> Figure:
        """What the source has, nobody left out, and the plan lacks; below zero where it has more."""
        return self.source - self.on_purpose - self.plan

    @property
    def unreadable(self) -> int:
        """How many amounts of the source cannot be read, but of what is left out on purpose."""
        return (self.source - self.on_purpose).unreadable

    @cached_property
    def equal(self) -> bool:
        """True when amounts, counts and what cannot be read are the same in all places."""
        return self.is_planned and (self.target is None or self.target == self.plan)

    @cached_property
    def is_planned(self) -> bool:
        """True when the plan has what the source has; the target may not show it yet."""
        return not self.lacking and self.snapshot == self.plan


@dataclass(frozen=True)
class RowExample:
    """A record whose amount (or time: `what`) cannot be read. `text` is as sent, cut; never shown without a mask."""

    source: str
    id: str
    text: str
    what: str = "amount"


@dataclass(frozen=True)
class Table:
    """One total of one dataset. `by`: what period and label are, fewer where the dataset has no
    column for them. `examples`: a few records whose amount or time cannot be read. `unread_times`: how many records of
    the source, but for what is left out on purpose, have a time that cannot be read; they stand under no date.
    `resource`: whose records they are. `corrected`: in how many of them a person has put right what is totalled,
    so that the source is no longer as it was sent."""

    dataset: str
    kind: Kind
    by: tuple[str, ...]
    groups: tuple[Group, ...]
    examples: tuple[RowExample, ...] = ()
    doubts: tuple[str, ...] = ()
    unread_times: int = 0
    resource: str = ""
    corrected: int = 0

    @cached_property
    def equal(self) -> bool:
        """True when every group is."""
        return all(group.equal for group in self.groups)

    @cached_property
    def is_planned(self) -> bool:
        """True when the plan has all that the source has, as far as that can be told (see `doubts`)."""
        return all(group.is_planned for group in self.groups)

    @cached_property
    def has_sums(self) -> bool:
        """Whether there are sums to show: of money whose column nobody knows only the records are counted."""
        whole = self.whole
        is_summed = bool(whole.source.amount or whole.plan.amount)
        return self.kind == "revenue" and (is_summed or not self.doubts)

    @cached_property
    def unequal(self) -> tuple[Group, ...]:
        """The groups that differ."""
        return tuple(group for group in self.groups if not group.equal)

    @cached_property
    def whole(self) -> Group:
        """All groups as one: sums only, not what is judged."""
        reasons = set(chain.from_iterable(group.left_out for group in self.groups))
        targets = [group.target for group in self.groups if group.target is not None]
        return Group(
            "", "",
            _summed(group.source for group in self.groups),
            {
                reason: _summed(group.left_out.get(reason, Figure()) for group in self.groups)
                for reason in REASONS if reason in reasons
            },
            _summed(group.plan for group in self.groups),
            _summed(targets) if targets else None,
            {
                reason: _summed(group.beside.get(reason, Figure()) for group in self.groups)
                for reason in BESIDE if any(reason in group.beside for group in self.groups)
            },
        )  # fmt: skip

    @property
    def unreadable(self) -> int:
        """How many amounts of the source cannot be read."""
        return sum(group.unreadable for group in self.groups)

    @property
    def has_target(self) -> bool:
        """Whether the target was read."""
        return any(group.target is not None for group in self.groups)

    @property
    def title(self) -> str:
        """`Revenue per month and currency`."""
        what = Sentence(TITLES[self.kind])
        by = [Sentence(name) for name in self.by]
        if not by:
            return what
        if len(by) == 1:
            return Sentence("{what} per {one}", what=what, one=by[0])
        return Sentence("{what} per {one} and {other}", what=what, one=by[0], other=by[1])


def _summed(figures: Iterable[Figure]) -> Figure:
    return sum(figures, Figure())


Place = Literal["source", "plan", "target"]


def side_by_side(figures: Mapping[str, Mapping[tuple[str, str], Figure]]) -> tuple[Group, ...]:
    """The groups of all places, in order. Keys of `figures`: `source`, `plan`, `target`, and reasons."""
    keys = sorted(set(chain.from_iterable(figures.values())))
    has_target = "target" in figures

    def at(place: str, key: tuple[str, str]) -> Figure:
        return figures.get(place, {}).get(key, Figure())

    return tuple(
        Group(
            *key,
            source=at("source", key),
            left_out={r: at(r, key) for r in REASONS if at(r, key)},
            plan=at("plan", key),
            target=at("target", key) if has_target else None,
            beside={r: at(r, key) for r in BESIDE if at(r, key)},
        )
        for key in keys
    )


FRAME_SCHEMA: dict[str, Any] = {
    "period": pl.String,
    "label": pl.String,
    "place": pl.String,
    "rows": pl.Int64,
    "amount": AMOUNT,
    "unreadable": pl.Int64,
}
"""`place`: source, plan, or the reason why that much of the source is no row of the plan."""


def to_frame(table: Table | None) -> pl.DataFrame:
    """The figures of a table, one row each, as a plan keeps them."""
    rows: list[tuple[object, ...]] = []
    for group in table.groups if table else ():
        places = {"source": group.source, "plan": group.plan, **group.left_out, **group.beside}
        rows += [
            (group.period, group.label, place, figure.rows, figure.amount, figure.unreadable)
            for place, figure in places.items()
            if figure
        ]
    return pl.DataFrame(rows, schema=FRAME_SCHEMA, orient="row")


def groups_of(frame: pl.DataFrame) -> tuple[Group, ...]:
    """The groups that `to_frame` has written."""
    figures: dict[str, dict[tuple[str, str], Figure]] = {}
    for period, label, place, rows, amount, unreadable in frame.iter_rows():
        figures.setdefault(place, {})[period, label] = Figure(rows, amount.normalize(), unreadable)
    return side_by_side(figures)


def summarise_group(group: Group, kind: Kind) -> dict[str, Any]:
    """A group as JSON: sums of revenue as text, exact; of events and lines the sum is their number."""
    places = {"source": group.source, "snapshot": group.snapshot, "plan": group.plan}
    if group.target is not None:
        places["target"] = group.target
    summary: dict[str, Any] = {"period": group.period, "label": group.label}
    if kind == "revenue":
        summary |= {"month": group.period, "currency": group.label}
    for place, figure in places.items():
        summary[place] = amount_text(figure.amount) if kind == "revenue" else figure.rows
        summary[f"{place}_rows"] = figure.rows
    left_out, beside = (
        {
            reason: {"rows": figure.rows, "amount": amount_text(figure.amount)}
            for reason, figure in figures.items()
        }
        for figures in (group.left_out, group.beside)
    )
    return summary | {
        "left_out": left_out,
        "kept_lines": beside,
        "lacking": amount_text(group.lacking.amount) if kind == "revenue" else group.lacking.rows,
        "lacking_rows": group.lacking.rows,
        "unreadable": group.unreadable,
        "equal": group.equal,
    }


def summarise_table(table: Table) -> dict[str, Any]:
    """A table as JSON, with all of its groups."""
    return {
        "dataset": table.dataset,
        "kind": table.kind,
        "title": table.title,
        "by": list(table.by),
        "equal": table.equal,
        "unreadable": table.unreadable,
        "unreadable_times": table.unread_times,
        "corrected": table.corrected,
        "examples": [
            {"source": e.source, "id": e.id, "text": e.text, "what": e.what} for e in table.examples
        ],
        "doubts": list(table.doubts),
        # Equal by the groups: in their sum, what one has too much can hide what another lacks.
        "all": summarise_group(table.whole, table.kind) | {"equal": table.equal},
        "rows": [summarise_group(group, table.kind) for group in table.groups],
    }


def money_lacking(table: Table) -> Sequence[Group]:
    """The groups of revenue in which plan and source differ in money, on purpose apart."""
    if table.kind != "revenue":
        return ()
    return tuple(group for group in table.groups if group.lacking.amount)
