"""The count equation."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st

from migrate.app.reconcile import summarise_reconciliation
from migrate.report.reconcile import judge_reconciliation, render_reconciliation
from migrate.totals.counts import Total, add_up, set_side_by_side
from migrate.verify.buckets import Buckets, explain_difference
from migrate.verify.compare import Later
from migrate.verify.known import JustBefore, Written
from migrate.verify.reconcile import (
    DatasetBooks,
    Reconciliation,
    SettledCount,
    can_filter,
    expected_count,
    judge,
    settled_count,
)

counts = st.integers(0, 10**7)


def books(**changes: int) -> DatasetBooks:
    numbers = {
        name: 0
        for name in (
            "planned",
            "count_before",
            "created",
            "updated",
            "merged",
            "written",
            "rejected",
            "deferred",
        )
    }
    return DatasetBooks("contacts", "id", **{**numbers, "unknown": 0, "unsent": 0, **changes})


@given(before=counts, created=counts, merged=counts, off=st.integers(-100, 100))
def test_verdict_is_match_exactly_when_the_equation_holds(
    before: int, created: int, merged: int, off: int
) -> None:
    """A difference of one record is a mismatch, and the difference is named with its sign."""
    after = SettledCount(before + created - merged + off)
    found = judge(books(count_before=before, created=created, merged=merged), after, {})
    assert found.expected == expected_count(found.books) == before + created - merged
    assert found.difference == off
    assert (found.verdict == "match") == (off == 0)


def test_a_difference_is_explained_by_what_the_books_know() -> None:
    """Unfinished, unsettled, deferred and refused records are named beside a difference."""
    found = judge(
        books(count_before=5, created=9, unsent=3, unknown=2, deferred=4, rejected=1),
        SettledCount(10),
        {},
    )
    text = "\n".join(found.explanations)
    for part in (
        "3 planned records were never sent",
        "2 records were sent",
        "4 records were deferred",
        "unexplained",
    ):
        assert part in text


class Counts:
    """A count endpoint that lags: gives its values in turn, then the last one for ever."""

    def __init__(self, *values: int) -> None:
        self.values = list(values)
        self.slept: list[float] = []

    def __call__(self) -> int:
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


def test_the_expected_count_is_believed_at_once() -> None:
    """No waiting where nothing differs."""
    counts = Counts(7)
    assert settled_count(counts, 7, counts.slept.append) == SettledCount(7)
    assert counts.slept == []


def test_a_lagging_count_is_asked_again() -> None:
    """A count that arrives at the expected value after a while is no mismatch."""
    counts = Counts(3, 3, 5, 7)
    assert settled_count(counts, 7, counts.slept.append) == SettledCount(7)
    assert len(counts.slept) == 3


def test_a_resting_count_ends_the_waiting() -> None:
    """A wrong count is believed once it has rested, within half a minute."""
    counts = Counts(3)
    assert settled_count(counts, 7, counts.slept.append) == SettledCount(3, rests=True)
    assert 5 <= sum(counts.slept) <= 31


def test_a_source_name_with_a_separator_cannot_be_filtered() -> None:
    """The filter syntax has no escape for ':' and ','."""
    assert can_filter("Magento 2")
    assert not any(can_filter(name) for name in ("a:b", "a,b", ""))


def test_a_count_that_never_rests_is_pending() -> None:
    """What still moves at the deadline is no mismatch yet."""
    counts = Counts(*range(100, 200))
    after = settled_count(counts, 7, counts.slept.append)
    assert not after.rests
    assert judge(books(created=7), after, {}).verdict == "pending"


masterids = st.sets(st.integers(0, 30).map(lambda n: f"m-{n:030d}"), max_size=12)


@given(ours=masterids, lost=masterids, foreign=masterids, absorbed=masterids, old=masterids)
def test_every_part_of_a_difference_has_its_bucket(
    ours: set[str], lost: set[str], foreign: set[str], absorbed: set[str], old: set[str]
) -> None:
    """Lost, foreign and merged records are counted apart, and nothing is left unexplained."""
    lost, absorbed = lost - ours, absorbed - ours - lost
    foreign = foreign - ours - lost - absorbed
    old = {f"old-{name}" for name in old}
    survivor = "s-" + "0" * 30
    begun = datetime(2026, 1, 1, 12, tzinfo=UTC)
    there = [(name, "2026-01-01T12:00:01.000Z", f'["{name}"]') for name in sorted(ours | foreign)]
    there += [(name, "2025-01-01T00:00:00.000Z", f'["{name}"]') for name in sorted(old)]
    there.append((survivor, "2026-01-01T12:00:01.000Z", json.dumps([survivor, *sorted(absorbed)])))
    held = pl.DataFrame(
        there, schema=["__masterid__", "__created_at__", "__all_masterids__"], orient="row"
    )
    written = Written(
        masterids=frozenset(ours | lost | absorbed | {survivor}),
        ours=frozenset(ours | {survivor}),
        begun=begun,
    )
    difference = len(foreign) - len(lost) - len(absorbed)
    found = explain_difference(difference, Buckets(rejected=2), held, written)
    assert found == Buckets(
        rejected=2, foreign=len(foreign), lost=len(lost), merged_unforecast=len(absorbed)
    )
    assert explain_difference(difference + 3, Buckets(), held, written).unexplained == 3


@given(
    made=st.integers(0, 4), kept=st.integers(0, 4), merged_ours=st.integers(0, 4),
    merged_theirs=st.integers(0, 4), foreign=st.integers(0, 2),
)  # fmt: skip
def test_what_later_plans_made_and_merged_is_explained(
    made: int, kept: int, merged_ours: int, merged_theirs: int, foreign: int
) -> None:
    """Records of a replay or a later night are no difference of this plan's; somebody else's still are."""
    now = "2026-01-01T12:00:01.000Z"
    ours = {f"ours-{n}" for n in range(kept + merged_ours)}
    gone = {f"ours-{n}" for n in range(merged_ours)} | {f"gone-{n}" for n in range(merged_theirs)}
    later = Later(
        made=frozenset(f"made-{n}" for n in range(made))
        | {f"gone-{n}" for n in range(merged_theirs)},
        gone=frozenset(gone),
    )
    there = sorted((ours | later.made) - gone) + [f"foreign-{n}" for n in range(foreign)]
    held = pl.DataFrame(
        {"__masterid__": there, "__created_at__": [now] * len(there)},
        schema={"__masterid__": pl.String, "__created_at__": pl.String},
    )
    written = Written(
        masterids=frozenset(ours), ours=frozenset(ours | later.made),
        begun=datetime(2026, 1, 1, 12, tzinfo=UTC), later=later,
    )  # fmt: skip
    difference = made - merged_ours + foreign
    found = explain_difference(difference, Buckets(), held, written)
    assert (found.later_created, found.later_merged) == (made, merged_ours)
    assert (found.foreign, found.lost, found.unexplained) == (foreign, 0, 0)
    assert found.is_explained == (not foreign)


@given(
    made=st.integers(0, 5), changed=st.integers(0, 5), quiet=st.integers(0, 5), told=st.booleans(),
)  # fmt: skip
def test_foreign_writes_are_known_by_their_times(
    made: int, changed: int, quiet: int, told: bool
) -> None:
    """Made inside the run is foreign and moves the count; only changed inside it is foreign too, and moves none.

    Where the target does not say when a record was made, the plan's own reading tells what was there.
    """
    early, late = "2025-01-01T00:00:00.000Z", "2026-01-01T12:00:01.000Z"
    rows = [(f"made-{n}", late, late) for n in range(made)]
    rows += [(f"changed-{n}", early, late) for n in range(changed)] + [
        (f"q-{n}", early, early) for n in range(quiet)
    ]
    rows += [("ours", late, late)]
    held = pl.DataFrame(
        rows, schema=["__masterid__", "__created_at__", "__updated_at__"], orient="row"
    )
    before = frozenset(name for name, created, _ in rows if created == early)
    ours = frozenset({"ours"})
    written = Written(
        masterids=ours, ours=ours, begun=datetime(2026, 1, 1, 12, tzinfo=UTC), before=before
    )
    found = explain_difference(
        made, Buckets(), held if told else held.drop("__created_at__"), written
    )
    assert found == Buckets(foreign=made, foreign_updates=changed)
    assert explain_difference(0, Buckets(), held, Written(masterids=ours, ours=ours)) == Buckets()


@given(
    came=st.integers(0, 5), shown=st.integers(0, 5), went=st.integers(0, 5), lost=st.integers(0, 2),
    strange=st.integers(0, 2),
)  # fmt: skip
def test_what_an_earlier_load_made_may_come_after_the_count_before(
    came: int, shown: int, went: int, lost: int, strange: int
) -> None:
    """Of a load just before, some records showed before the count and some after it: they are named, and no mismatch.

    What is lost or made by strangers is one all the same, and what is lost also where both sums are equal by chance.
    """
    late = JustBefore(
        frozenset(f"e{n}" for n in range(came + shown)), frozenset(f"g{n}" for n in range(went))
    )
    ours = frozenset(f"m{n}" for n in range(10))
    there = sorted((ours - {f"m{n}" for n in range(lost)}) | late.made)
    there += [f"s{n}" for n in range(strange)]
    times = [f"{1 if name[0] == 'e' else 2}026-01-01T12:00:01.000Z" for name in there]
    held = pl.DataFrame({"__masterid__": there, "__created_at__": times})
    begun = datetime(2026, 1, 1, 12, tzinfo=UTC)
    written = Written(masterids=ours, ours=ours | late.made, begun=begun, just_before=late)
    after = 100 + 10 + came - went - lost + strange
    one = judge(
        books(count_before=100, created=10), SettledCount(after), {},
        lambda n, left: explain_difference(n, left, held, written), may_be_late=bool(late),
    )  # fmt: skip
    named = (one.buckets.lost, one.buckets.foreign, one.buckets.earlier, one.buckets.unexplained)
    assume(came + shown + went)
    differs = bool(one.difference or lost)
    assert named == ((lost, strange, came - went, 0) if differs else (0, 0, 0, 0))
    assert one.verdict == ("mismatch" if lost or (strange and differs) else "match")


def test_what_was_not_loaded_is_no_match() -> None:
    """A plan of which nothing was begun, and a feed that was not handed over, are unfinished: exit code 4."""
    for unverifiable in ({}, {"feed": "sent to a webhook"}):
        found = Reconciliation("pl", {}, unverifiable, {"feed": 3})
        assert (found.verdict, found.matches, judge_reconciliation(found)) == (
            "unfinished",
            False,
            (4, "unfinished"),
        )
        assert "feed: 3 records not loaded yet" in render_reconciliation(found)
        assert summarise_reconciliation(found)["not_loaded"] == {"feed": 3}
    assert judge_reconciliation(Reconciliation("pl", {})) == (0, "match")


@given(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2))
def test_a_match_leaves_nothing_to_send(unsent: int, unknown: int, deferred: int) -> None:
    """Records that are unsent, unsettled or were deferred: the counts hold, and it is unfinished all the same."""
    one = judge(
        books(count_before=5, unsent=unsent, unknown=unknown, deferred=deferred),
        SettledCount(5),
        {},
    )
    found = Reconciliation("pl", {"contacts": one})
    left = unsent + unknown + deferred
    assert (one.verdict, found.verdict) == ("match", "unfinished" if left else "match")
    assert judge_reconciliation(found)[0] == (4 if left else 0)
    assert found.only_deferred == (deferred > 0 and deferred == left)


def test_orders_per_contact_says_what_it_counts() -> None:
    """The first column is the number of orders, and is called that."""
    total = Total("Orders per contact", "orders", ("contact_key",), spread=True)
    rows = pl.DataFrame({"contact_key": ["a", "a", "b"]})
    table = set_side_by_side(total, {"plan": add_up(total, rows)})
    assert (table.by, [row.group for row in table.rows]) == (("orders",), [("1",), ("2",)])
