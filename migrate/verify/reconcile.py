"""The count equation of a dataset: before + created - merged away = after.

Each term comes from another place: `before` from the count endpoint, asked before the first write; `created` and
`merged` from the ledger; `after` from the count endpoint now. Pure, but for the counting that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["match", "mismatch"]
_WAITS_S = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0, 5.0, 5.0)
_RESTS_AFTER = 4


@dataclass(frozen=True)
class DatasetBooks:
    """What plan and ledger say of one dataset; all numbers are records."""

    dataset: str
    dataset_id: str
    planned: int
    count_before: int | None
    created: int
    updated: int
    merged: int
    written: int
    rejected: int
    deferred: int
    unknown: int
    unsent: int
    by_source: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceCount:
    """Records of one source: how many the plan sends or found equal, and how many the target holds now.

    `counted` is None where the target cannot be asked: no column holds the source, or its name has ':' or ','.
    """

    planned: int
    counted: int | None
    reason: str | None = None


@dataclass(frozen=True)
class DatasetReconciliation:
    """One dataset's equation with its verdict and, for a difference, what may explain it."""

    books: DatasetBooks
    expected: int
    count_after: int
    difference: int
    verdict: Verdict
    by_source: Mapping[str, SourceCount]
    explanations: tuple[str, ...]


@dataclass(frozen=True)
class Reconciliation:
    """All datasets of a plan."""

    plan: str
    datasets: Mapping[str, DatasetReconciliation]

    @property
    def matches(self) -> bool:
        """True when every dataset's equation holds."""
        return all(found.verdict == "match" for found in self.datasets.values())

    @property
    def is_finished(self) -> bool:
        """True when no planned record is still to be sent or settled."""
        return not any(found.books.unsent or found.books.unknown for found in self.datasets.values())


def expected_count(books: DatasetBooks) -> int:
    """The count the target should show: before + created - merged away."""
    return (books.count_before or 0) + books.created - books.merged


def judge(books: DatasetBooks, count_after: int, by_source: Mapping[str, SourceCount]) -> DatasetReconciliation:
    """The equation with its verdict."""
    expected = expected_count(books)
    difference = count_after - expected
    return DatasetReconciliation(
        books=books,
        expected=expected,
        count_after=count_after,
        difference=difference,
        verdict="match" if difference == 0 else "mismatch",
        by_source=by_source,
        explanations=tuple(_explain(books, difference)),
    )


def _explain(books: DatasetBooks, difference: int) -> list[str]:
    found = []
    if books.unsent:
        found.append(f"{books.unsent:,} planned records were never sent: the load is not finished")
    if books.unknown:
        found.append(f"{books.unknown:,} records were sent and their answers lost; load again settles them")
    if books.deferred:
        found.append(f"{books.deferred:,} records were deferred; load again sends them")
    if books.rejected:
        found.append(f"{books.rejected:,} records were refused by the target and are in no term")
    if difference > 0:
        found.append(f"{difference:,} more than expected: somebody else may have written since the count before")
    if difference < 0:
        found.append(
            f"{-difference:,} fewer than expected: merges that no answer told of, or records the target has not kept"
        )
    return found if difference or books.unsent or books.unknown else [line for line in found if "deferred" in line]


def settled_count(count: Callable[[], int], expected: int, sleep: Callable[[float], None]) -> int:
    """The target's count once it equals `expected`, or once it has rested at another value.

    Counts lag behind the target's asynchronous preparation, so a difference is believed only after several answers
    in a row agree. **Units**: seconds for `sleep`.
    """
    found = count()
    rested = 0
    for wait_s in _WAITS_S:
        if found == expected or rested >= _RESTS_AFTER:
            break
        sleep(wait_s)
        again = count()
        rested = rested + 1 if again == found else 0
        found = again
    return found


def can_filter(value: str) -> bool:
    """True when the target's filter syntax can carry `value`: it has no way to escape its two separators."""
    return bool(value) and ":" not in value and "," not in value
