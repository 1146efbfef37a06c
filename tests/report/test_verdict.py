"""One judgement: what an owner reads first is what the counts say, in the same words everywhere."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.app.finding import ORDER
from migrate.app.plan_findings import LOSS_KINDS
from migrate.app.verdict import judge_plan
from migrate.mapping.rules import LOSSES
from migrate.plan.document import DatasetPlan, Forecast, GateFinding, PlanDocument, SnapshotUsed
from migrate.totals.table import Figure, Group, Table

NOTHING = dict.fromkeys(
    ("read", "filtered", "rejected", "collapsed", "planned", "create", "update", "unchanged", "unknown",
     "merge_forecast", "batches", "points", "foreign", "empty_each"), 0,
)  # fmt: skip


def dataset(**changes: Any) -> DatasetPlan:
    """A dataset's counts; all other counts are zero."""
    empty = {
        "rejected_by_rule": {}, "by_source": {}, "change_counts": {}, "recipe_counts": {}, "losses": {}, "orphans": {},
    }  # fmt: skip
    values = {**NOTHING, **empty, "minutes": 0.0, "unmapped": (), "warnings": (), **changes}
    return DatasetPlan.model_validate(values)


def document(gates: tuple[GateFinding, ...] = (), **datasets: DatasetPlan) -> PlanDocument:
    """A plan of these datasets."""
    return PlanDocument.model_construct(
        datasets=datasets,
        gates=gates,
        offline=False,
        webhook_ids={},
        forecast=Forecast(requests=0, points=0, minutes_by_keys={}),
        snapshot=SnapshotUsed.model_construct(name="s", base=None),
    )


def test_every_loss_has_a_meaning() -> None:
    """A loss that a mapping can name is either no harm or a kind of harm: none falls through."""
    assert set(LOSS_KINDS) == set(LOSSES)
    assert {kind for kind in LOSS_KINDS.values() if kind} <= set(ORDER)


def test_green_is_only_what_arrives_whole() -> None:
    """Left out on purpose and another spelling of the same value are no harm."""
    plan = document(
        contacts=dataset(read=10, filtered=4, planned=6, create=6, losses={"a": {"trimmed": 3}})
    )
    found = judge_plan(plan, {})
    assert (found.colour, found.headline, found.lines) == ("green", "Ready to load: 6 new", ())


def test_what_will_not_arrive_is_said_in_numbers_and_shares() -> None:
    """73 of 400 products are 18.25 %, shown as 18.2%."""
    products = dataset(
        read=400, rejected=73, planned=327, create=327, rejected_by_rule={"not_a_number": 73}
    )
    found = judge_plan(document(products=products), {})
    assert found.colour == "amber"
    assert found.headline == "Read this before you load: 327 new"
    assert found.lines == (
        "products: 73 of 400 (18.2%) will not arrive (not a decimal number: 73)",
    )


def test_the_worst_comes_first() -> None:
    """A gate before money, money before rows, rows before consents, consents before emptied values."""
    counts = dataset(
        read=100, rejected=1, planned=99, create=99, rejected_by_rule={"not_a_date": 1},
        losses={"optin": {"consent_unlisted": 50}, "born": {"omitted_invalid": 90}, "name": {"truncated": 2}},
    )  # fmt: skip
    gate = GateFinding(gate="max_unequal", verdict="broken", text="orders: lacks 1.00")
    group = Group("2026-01", "EUR", Figure(2, Decimal(5)), plan=Figure(1, Decimal(4)))
    orders = Table("orders", "revenue", ("month", "currency"), (group,))
    found = judge_plan(document((gate,), contacts=counts), {"orders": orders})
    assert found.colour == "red"
    assert [f.kind for f in found.findings] == [
        "gate",
        "money",
        "not_arriving",
        "consent",
        "emptied",
        "cut",
    ]
    assert found.lines[1] == "orders: the source has 1.00 EUR that the plan lacks"


@pytest.mark.parametrize(
    ("rows", "of", "share"),
    [
        (1, 10_000, "less than 0.1%"),
        (9_999, 10_000, "more than 99.9%"),
        (1, 3, "33.3%"),
        (5, 5, "100%"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(rows: int, of: int, share: str) -> None:
    """One record in ten thousand is not 0 %, and all but one is not 100 %."""
    counts = dataset(read=of, rejected=rows, planned=of - rows, rejected_by_rule={"r": rows})
    assert f"{rows:,} of {of:,} ({share})" in judge_plan(document(d=counts), {}).lines[0]


def test_nothing_to_do_is_said() -> None:
    """A second plan of what is there already."""
    found = judge_plan(document(contacts=dataset(read=6, planned=6, unchanged=6)), {})
    assert found.headline == "Ready to load: nothing to do, 6 already the same"


def test_a_plan_that_no_longer_holds_is_red() -> None:
    """Whatever its counts say."""
    found = judge_plan(
        document(contacts=dataset(read=1, planned=1, create=1)), {}, ["mapping x was edited"]
    )
    assert (found.colour, found.lines) == ("red", ("mapping x was edited",))


@given(
    st.integers(0, 50), st.integers(0, 50), st.integers(0, 50),
    st.dictionaries(st.sampled_from(sorted(LOSSES)), st.integers(1, 50)),
)  # fmt: skip
def test_green_means_that_nothing_is_found(
    rejected: int, collapsed: int, planned: int, losses: dict[str, int]
) -> None:
    """Green if and only if no row and no value is lost; JSON and terminal hold every finding."""
    read = rejected + collapsed + planned
    counts = dataset(
        read=read, rejected=rejected, collapsed=collapsed, planned=planned, create=planned,
        rejected_by_rule={"r": rejected} if rejected else {}, losses={"c": losses},
    )  # fmt: skip
    found = judge_plan(document(d=counts), {})
    harmful = [loss for loss in losses if LOSS_KINDS[loss]]
    assert (found.colour == "green") == (not rejected and not collapsed and not harmful)
    assert len(found.findings) == bool(rejected) + bool(collapsed) + len(harmful)
    assert found.summarise()["lines"] == [line.strip() for line in found.render().splitlines()[1:]]
