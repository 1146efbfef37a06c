"""The count equation."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrate.verify.reconcile import DatasetBooks, can_filter, expected_count, judge, settled_count

counts = st.integers(0, 10**7)


def books(**changes: int) -> DatasetBooks:
    numbers = {
        name: 0
        for name in ("planned", "count_before", "created", "updated", "merged", "written", "rejected", "deferred")
    }
    return DatasetBooks("contacts", "id", **{**numbers, "unknown": 0, "unsent": 0, **changes})


@given(before=counts, created=counts, merged=counts, off=st.integers(-100, 100))
def test_verdict_is_match_exactly_when_the_equation_holds(before: int, created: int, merged: int, off: int) -> None:
    """A difference of one record is a mismatch, and the difference is named with its sign."""
    found = judge(books(count_before=before, created=created, merged=merged), before + created - merged + off, {})
    assert found.expected == expected_count(found.books) == before + created - merged
    assert found.difference == off
    assert (found.verdict == "match") == (off == 0)


def test_a_difference_is_explained_by_what_the_books_know() -> None:
    """Unfinished, unsettled, deferred and refused records are named beside a difference."""
    found = judge(books(count_before=5, created=9, unsent=3, unknown=2, deferred=4, rejected=1), 10, {})
    text = "\n".join(found.explanations)
    for part in ("3 planned records were never sent", "2 records were sent", "4 records were deferred", "4 fewer"):
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
    assert settled_count(counts, 7, counts.slept.append) == 7
    assert counts.slept == []


def test_a_lagging_count_is_asked_again() -> None:
    """A count that arrives at the expected value after a while is no mismatch."""
    counts = Counts(3, 3, 5, 7)
    assert settled_count(counts, 7, counts.slept.append) == 7
    assert len(counts.slept) == 3


def test_a_resting_count_ends_the_waiting() -> None:
    """A wrong count is believed once it has rested, within half a minute."""
    counts = Counts(3)
    assert settled_count(counts, 7, counts.slept.append) == 3
    assert 5 <= sum(counts.slept) <= 31


def test_a_source_name_with_a_separator_cannot_be_filtered() -> None:
    """The filter syntax has no escape for ':' and ','."""
    assert can_filter("Magento 2")
    assert not any(can_filter(name) for name in ("a:b", "a,b", ""))
