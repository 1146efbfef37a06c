"""What a difference of the counts is made of: a read-back of masterids and times, put in named buckets. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import polars as pl

from migrate.verify.compare import absorbed_masterids, is_older
from migrate.verify.known import CountMark, Written
from migrate.verify.readback import ALL_MASTERIDS, CREATED_AT, MASTERID, MODIFIED_AT, UPDATED_AT

_TIMES = (CREATED_AT, UPDATED_AT, MODIFIED_AT)
SYSTEM_COLUMNS = (MASTERID, ALL_MASTERIDS, CREATED_AT, UPDATED_AT, MODIFIED_AT)


@dataclass(frozen=True)
class Buckets:
    """What explains a dataset's numbers. Units: records.

    `rejected`, `deferred`, `unknown` and `unsent` were planned and are in no term of the equation. The rest adds up to
    the difference of the counts: `foreign` (made inside the run by somebody else, or by a request of ours whose
    answer was lost) + `other_projects` (made inside the run by a load of another project that this one knows of)
    + `later_created` - `later_merged` (by plans of this workspace that were loaded since, a replay among them)
    - `lost` (acknowledged, and not there) - `merged_unforecast` (went into another record and no
    answer said so) + `unexplained`. `foreign_updates` are older records that were modified inside the run and by no
    batch of ours: they move no count, and tell that somebody else was writing. `earlier`: what an earlier load of this
    project has made (below zero: merged away) and the target showed only after the count before.
    """

    rejected: int = 0
    deferred: int = 0
    unknown: int = 0
    unsent: int = 0
    foreign: int = 0
    lost: int = 0
    merged_unforecast: int = 0
    unexplained: int = 0
    foreign_updates: int = 0
    other_projects: int = 0
    later_created: int = 0
    later_merged: int = 0
    earlier: int = 0

    @property
    def is_explained(self) -> bool:
        """True where nothing of a difference is in doubt: there is none, or it is what known loads have made."""
        return not (self.foreign or self.lost or self.merged_unforecast or self.unexplained)

    def filled(self) -> dict[str, int]:
        """The buckets that hold something."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}


def explain_difference(
    difference: int, left: Buckets, target_rows: pl.DataFrame, written: Written
) -> Buckets:
    """`left` with the difference of the counts explained by what the target holds.

    **Shape**: `held` has one row per record of the target with its system columns, as text.
    """
    there = set(target_rows.get_column(MASTERID))
    later = written.later
    gone = written.masterids - there - written.gone - later.gone
    later_created, later_merged = len(later.made & there), len(later.gone - later.made - there)
    merged = len(gone & absorbed_masterids(target_rows))
    lost = len(gone) - merged
    foreign, updated, theirs = _count_foreign(target_rows, written)
    rest = difference - foreign - theirs - later_created + later_merged + lost + merged
    earlier = _came_late(rest, there, written)
    return Buckets(
        rejected=left.rejected,
        deferred=left.deferred,
        unknown=left.unknown,
        unsent=left.unsent,
        foreign=foreign,
        lost=lost,
        merged_unforecast=merged,
        unexplained=rest - earlier,
        foreign_updates=updated,
        other_projects=theirs,
        later_created=later_created,
        later_merged=later_merged,
        earlier=earlier,
    )


def _came_late(rest: int, there: set[str], written: Written) -> int:
    """How much of what nothing else explains may be an earlier load's, prepared after the count before."""
    came = len(written.just_before.made & there)
    went = len(written.just_before.gone - there)
    # No more than nothing else explains: a late record must not hide a lost one.
    return max(-went, min(rest, came))


def _count_foreign(target_rows: pl.DataFrame, written: Written) -> tuple[int, int, int]:
    """Records that no acknowledged write of ours explains: made inside the run, and only modified inside it.

    Last those made inside it by another project's load: they are known, and nobody's whom one would have to look for.

    Where the target does not say when a record was made, one that the plan had not read there counts as made.
    """
    # Without a first write there is no time that a record could be older than.
    if written.begun is None:
        return 0, 0, 0
    times = [
        pl.col(n) if n in target_rows.columns else pl.lit(None, pl.String).alias(n) for n in _TIMES
    ]
    made = updated = theirs = 0
    for masterid, created, *modified in target_rows.select(MASTERID, *times).iter_rows():
        if masterid in written.ours:
            continue
        inside = any(_is_inside(moment, written.begun) for moment in modified)
        if _is_inside(created, written.begun) or (
            inside and not created and masterid not in written.before
        ):
            theirs += masterid in written.theirs
            made += masterid not in written.theirs
        elif inside and masterid not in written.theirs:
            updated += 1
    return made, updated, theirs


def _is_inside(moment: str | None, begun: datetime) -> bool:
    return bool(moment) and not is_older(moment, begun)


def find_interval(marks: Sequence[CountMark]) -> str | None:
    """Between which batches the count first left what the ledger allowed, as a sentence; None where it never did."""
    sound = 0
    for mark in marks:
        if not mark.least <= mark.count <= mark.most:
            side, bound = ("below", mark.least) if mark.count < mark.least else ("above", mark.most)
            return (
                f"the count first went {side} the ledger between batches {sound:,} and {mark.batches_done:,}: "
                f"{mark.count:,}, {bound:,} expected"
            )
        sound = mark.batches_done
    return None
