"""Totals on the terminal, as JSON, on the page and at the gate: made from one judgement, so they agree."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from migrate.config import Gates
from migrate.plan.gates import judge_gates
from migrate.report.totals import render_tables, say_unequal, summarise_tables, view_table
from migrate.totals.table import (
    LACKING,
    ON_PURPOSE,
    Figure,
    Group,
    Table,
    groups_of,
    side_by_side,
    to_frame,
)
from migrate.verify.reconcile import Reconciliation

cents = st.integers(-3, 3).map(lambda n: Decimal(n) / 100)
figures = st.builds(Figure, st.integers(0, 2), cents, st.integers(0, 1))
reasons = st.dictionaries(st.sampled_from([*ON_PURPOSE, *LACKING]), figures, max_size=2)


@st.composite
def groups(draw: st.DrawFn, period: str, has_target: bool) -> Group:
    """A group that is equal half of the time: source, what is left out, and what is left as the plan."""
    plan, left_out = draw(figures), draw(reasons)
    source = sum(left_out.values(), plan)
    if draw(st.booleans()):
        source += draw(figures)
    target = draw(st.just(plan) | figures) if has_target else None
    return Group(period, "EUR", source, left_out, plan, target)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of up to four months."""
    months = [f"2024-0{n}" for n in range(1, draw(st.integers(1, 5)))]
    has_target = draw(st.booleans())
    found = tuple(draw(groups(month, has_target)) for month in months)
    return Table("orders", "revenue", ("month", "currency"), found)


@given(tables())
def test_all_say_the_same(table: Table) -> None:
    """Verdict, terminal, JSON and page call the same groups equal; the gate stops exactly where money differs."""
    [summary], view, text = summarise_tables([table]), view_table(table), render_tables([table])
    flags = [group.equal for group in table.groups]
    assert (
        [row["equal"] for row in summary["rows"]] == [row["equal"] for row in view["rows"]] == flags
    )
    assert summary["equal"] == view["equal"] == all(flags)
    assert (Reconciliation("pl", {}, tables=[table]).verdict == "match") == all(flags)
    if table.groups:
        assert ("differ" in text) == (not all(flags))
    for group in table.groups:
        assert (f"    {group.period}  EUR" in text) == (not group.equal)
    assert bool(say_unequal({"orders": table})) == (not all(flags))
    [gate] = [f for f in judge_gates({}, {}, Gates(), {"orders": table}) if f.gate == "max_unequal"]
    is_money = any(group.lacking.amount for group in table.groups)
    assert (gate.verdict == "broken") == is_money


@given(tables(), tables())
def test_a_gate_does_not_keep_what_nobody_can_know(doubted: Table, known: Table) -> None:
    """Of totals with a doubt the gate says that it has not judged them, unless money is lacking elsewhere."""
    doubted = replace(doubted, doubts=("no column is known",))
    tables = {"orders": doubted, "subscriptions": known}
    [gate] = [f for f in judge_gates({}, {}, Gates(), tables) if f.gate == "max_unequal"]
    lacks_money = any(group.lacking.amount for group in known.groups)
    assert gate.verdict == ("broken" if lacks_money else "not judged")
    assert ("no column is known" in str(gate.text)) == (not lacks_money)


@given(tables())
def test_equal_means_amounts_and_counts_of_all_that_nobody_left_out(table: Table) -> None:
    """By arithmetic on the figures themselves, and what a plan keeps on disk gives the same groups back."""
    for group in table.groups:
        purpose = [group.left_out.get(reason, Figure()) for reason in ON_PURPOSE]
        for name in ("rows", "amount", "unreadable"):
            left = getattr(group.source, name) - sum(getattr(part, name) for part in purpose)
            if group.equal:
                assert left == getattr(group.plan, name)
                assert group.target in (None, group.plan)
    kept = [g for g in table.groups if g.source or g.plan or any(g.left_out.values())]
    again = groups_of(to_frame(table))
    assert [(g.source, g.plan, g.on_purpose) for g in again] == [
        (g.source, g.plan, g.on_purpose) for g in kept
    ]


def test_one_cent_and_one_order() -> None:
    """The smallest differences there are."""
    for other in (Figure(1, Decimal("10.01")), Figure(2, Decimal("10.00"))):
        [group] = side_by_side(
            {
                "source": {("2024-01", "EUR"): other},
                "plan": {("2024-01", "EUR"): Figure(1, Decimal(10))},
            }
        )
        assert not group.equal
