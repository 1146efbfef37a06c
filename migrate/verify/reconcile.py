"""The count equation of a dataset: before + created - merged away = after.

Each term comes from another place: `before` from the count endpoint, asked before the first write; `created` and
`merged` from the ledger; `after` from the count endpoint now. Pure, but for the counting that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from migrate.verify.buckets import Buckets

# For their names only: the equation of counts must not wait for modules that read every record.
if TYPE_CHECKING:
    from migrate.totals.counts import TotalsTable
    from migrate.totals.table import Table
    from migrate.verify.deep import DeepDataset

Verdict = Literal["match", "mismatch", "pending", "unverified", "undone"]
PlanVerdict = Literal["match", "mismatch", "pending", "unfinished", "unverified", "undone"]
# The target says nothing of how long its preparation takes, so the waits grow; half a minute in all.
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
    handed_over: int = 0

    @property
    def was_sent(self) -> bool:
        """Whether anything was sent at all, whatever became of it."""
        return bool(self.written + self.rejected + self.deferred + self.unknown)

    @property
    def left(self) -> int:
        """Records that are still to be sent, settled or sent again."""
        return self.unsent + self.unknown + self.deferred + self.handed_over


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
    """One dataset's equation with its verdict and, for a difference, what explains it.

    `pending` is a count that still changes, or that lacks what the target may still be preparing; `deep` what
    the read-back of every record found, if it was asked. `settles_at`: from when on a difference is believed.
    `unverified` is a count that holds and proves nothing: the undo of another plan has put values back.
    """

    books: DatasetBooks
    expected: int
    count_after: int
    difference: int
    verdict: Verdict
    by_source: Mapping[str, SourceCount]
    explanations: tuple[str, ...]
    buckets: Buckets = field(default_factory=Buckets)
    deep: DeepDataset | None = None
    settles_at: datetime | None = None

    @property
    def is_pending(self) -> bool:
        """True when its count or its records are waited for."""
        return "pending" in (self.verdict, self.deep.verdict if self.deep else None)


@dataclass(frozen=True)
class SettledCount:
    """A count of the target; `rests` when several answers in a row agreed on it, or when it is the expected one."""

    count: int
    rests: bool = True


@dataclass(frozen=True)
class Reconciliation:
    """All datasets of a plan; `unverifiable` names those of which nothing can be asked, and why.

    `not_loaded`: records that are still to be sent, of datasets that have no equation: their load was never begun, or
    they are sent to where nothing can be counted. `tables` and `totals`: what orders are worth and when events were by
    the source's own fields, and how many rows there are of each kind, where they were asked for.
    `standing`: the plan's state, and what is known of it where it is overtaken or undone; `told` says it
    in a sentence, and `remake` is the command that makes a new plan.
    """

    plan: str
    datasets: Mapping[str, DatasetReconciliation]
    unverifiable: Mapping[str, str] = field(default_factory=dict)
    not_loaded: Mapping[str, int] = field(default_factory=dict)
    totals: Sequence[TotalsTable] = ()
    tables: Sequence[Table] = ()
    standing: Mapping[str, object] = field(default_factory=dict)
    told: str = ""
    remake: str = ""

    @property
    def matches(self) -> bool:
        """True when all is loaded, every equation holds, and all that was read back or added up is as it should be."""
        return self.verdict == "match"

    @property
    def verdict(self) -> PlanVerdict:
        """The worst of all: undone, mismatch, pending, unfinished where something is not sent, match.

        Of a plan that was undone no count proves anything: those records are there all the same.
        """
        if "undone" in self.standing:
            return "undone"
        if any(dataset.books.handed_over for dataset in self.datasets.values()):
            # What an import has brought, or will, is in no term before it was read back.
            return "unfinished"
        deep = [dataset.deep.verdict for dataset in self.datasets.values() if dataset.deep]
        verdicts: set[str] = {*(dataset.verdict for dataset in self.datasets.values()), *deep}
        if "mismatch" in verdicts or not all(table.is_planned for table in self.tables):
            return "mismatch"
        # Before the totals: what the target still prepares is missing in them as well.
        if "pending" in verdicts:
            return "pending"
        are_equal = [table.equal for table in self.tables] + [table.equal for table in self.totals]
        if not all(are_equal):
            return "mismatch"
        if not self.is_finished:
            return "unfinished"
        # a read-back that was asked for and could not be told about a dataset or a column proves nothing of it
        is_proven = "unverified" not in verdicts and not (deep and self.unverifiable)
        is_proven = is_proven and not any(table.doubts for table in self.tables)
        # A plan that sent nothing has no equation to show what an undo took away below it.
        is_proven = is_proven and self._undone_below() <= self.datasets.keys()
        return "match" if is_proven else "unverified"

    def _undone_below(self) -> set[object]:
        """The datasets in which another plan was undone since."""
        later = self.standing.get("overtaken_by")
        if not isinstance(later, list):
            return set()
        return {one["dataset"] for one in later if one["undoes"]}

    @property
    def settles_at(self) -> datetime | None:
        """From when on what is pending is believed; None where nothing is."""
        pending = [dataset for dataset in self.datasets.values() if dataset.is_pending]
        return max((dataset.settles_at for dataset in pending if dataset.settles_at), default=None)

    @property
    def totals_equal(self) -> bool:
        """True when every total that was asked for is equal and proven."""
        proven = all(table.equal and not table.doubts for table in self.tables)
        return proven and all(table.equal for table in self.totals)

    @property
    def is_finished(self) -> bool:
        """True when no planned record is still to be sent, sent again or settled."""
        return not self.not_loaded and not any(
            dataset.books.left for dataset in self.datasets.values()
        )

    @property
    def only_deferred(self) -> bool:
        """True when all that is left are records that the target was too busy for: the next load sends them."""
        unsettled = any(
            dataset.books.unsent or dataset.books.unknown for dataset in self.datasets.values()
        )
        return not (self.is_finished or unsettled or self.not_loaded)


def expected_count(books: DatasetBooks) -> int:
    """The count the target should show: before + created - merged away."""
    return (books.count_before or 0) + books.created - books.merged


def judge(
    books: DatasetBooks,
    after: SettledCount,
    by_source: Mapping[str, SourceCount],
    explain: Callable[[int, Buckets], Buckets] | None = None,
    is_coming: Callable[[], bool] = lambda: False,
    *,
    may_be_late: bool = False,
) -> DatasetReconciliation:
    """The equation with its verdict; `explain` is asked for the buckets of a difference.

    `is_coming`: whether what differs may still be on its way; asked only of a difference. `may_be_late`: an earlier
    load ended so shortly before that the count before may lack what it made: then equal counts are looked into, too.
    """
    expected = expected_count(books)
    difference = after.count - expected
    buckets = Buckets(
        rejected=books.rejected, deferred=books.deferred, unknown=books.unknown, unsent=books.unsent,
        unexplained=difference,
    )  # fmt: skip
    if explain and (difference or may_be_late):
        looked_into = explain(difference, buckets)
        # of equal counts nothing but records of ours that are gone shows that they are so by chance
        is_chance = looked_into.lost or looked_into.merged_unforecast
        buckets = looked_into if difference or is_chance else buckets
    is_being_imported = bool(books.handed_over) and 0 <= difference <= books.handed_over
    differs = bool(difference) or not buckets.is_explained
    waits = differs and (is_being_imported or not after.rests or is_coming())
    return DatasetReconciliation(
        books=books,
        expected=expected,
        count_after=after.count,
        difference=difference,
        verdict="match" if buckets.is_explained else "pending" if waits else "mismatch",
        by_source=by_source,
        explanations=(*_explain(buckets, difference), *_explain_handover(books)),
        buckets=buckets,
    )


_SENTENCES = {
    "unsent": "{:,} planned records were never sent: the load is not finished",
    "unknown": "{:,} records were sent and their answers lost; load again settles them",
    "deferred": "{:,} records were deferred; load again sends them",
    "rejected": "{:,} records were refused by the target and are in no term",
    "foreign": "{:,} records were written since the count before, and by no acknowledged batch of ours",
    "earlier": "{:+,} records by an earlier load of this project, which the target showed only after the count before",
    "other_projects": "{:,} records were written since the count before by other projects into the same dataset",
    "later_created": "{:,} records were created since by later plans of this workspace",
    "later_merged": "{:,} records were merged away since by later plans of this workspace",
    "lost": "{:,} records were acknowledged and are not there",
    "merged_unforecast": "{:,} records went into others, and no answer told of it: merges that were not forecast",
    "unexplained": "{:,} records are unexplained",
    "foreign_updates": "{:,} records of others were changed during the load; that moves no count",
}
_SAID_WITHOUT_DIFFERENCE = ("unsent", "unknown", "deferred")


def _explain(buckets: Buckets, difference: int) -> list[str]:
    filled = buckets.filled()
    unfinished = bool(buckets.unsent or buckets.unknown)
    differs = bool(difference) or not buckets.is_explained
    said = _SENTENCES if differs or unfinished else _SAID_WITHOUT_DIFFERENCE
    return [_SENTENCES[name].format(filled[name]) for name in said if name in filled]


def _explain_handover(books: DatasetBooks) -> list[str]:
    if not books.handed_over:
        return []
    return [
        f"{books.handed_over:,} rows are handed over as files and were not read back yet: "
        "`migrate load --settle` does it once they are imported"
    ]


def settled_count(
    count: Callable[[], int], expected: int, sleep: Callable[[float], None]
) -> SettledCount:
    """The target's count once it equals `expected`, or once it has rested at another value.

    Counts lag behind the target's asynchronous preparation, so a difference is believed only after several answers
    in a row agree; one that still moves at the deadline does not rest. **Units**: seconds for `sleep`.
    """
    counted = count()
    rested = 0
    for wait_s in _WAITS_S:
        if counted == expected or rested >= _RESTS_AFTER:
            break
        sleep(wait_s)
        again = count()
        rested = rested + 1 if again == counted else 0
        counted = again
    return SettledCount(counted, counted == expected or rested >= _RESTS_AFTER)


def can_filter(value: str) -> bool:
    """True when the target's filter syntax can carry `value`: it has no way to escape its two separators."""
    return bool(value) and ":" not in value and "," not in value
