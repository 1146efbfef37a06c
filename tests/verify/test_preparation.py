"""The target shows what was written some time later: waited for, and then the truth."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from migrate.app.reconcile import wait_for_preparation
from migrate.verify.compare import SCHEMA
from migrate.verify.preparation import Acknowledged, hold_back, is_on_its_way
from migrate.verify.reconcile import (
    DatasetBooks,
    DatasetReconciliation,
    Reconciliation,
    judge,
    settled_count,
)

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BOUND = timedelta(minutes=15)


class LateTarget:
    """A target of 100 records before, to which 200 were added in two bursts, and that shows them after a lag.

    `lost`: how many of them it never shows. Its clock is that of the waiting.
    """

    def __init__(self, lag_s: float, lost: int = 0, lose_first: bool = False) -> None:
        self.lag_s = lag_s
        self.now_s = 0.0
        self.notes: list[str] = []
        # one burst three minutes before the end of the load, one at its end
        times = {f"m{n}": -180.0 if n < 100 else 0.0 for n in range(200)}
        self.made = times
        names = list(times)
        self.lost = set(names[:lost] if lose_first else names[len(names) - lost :])

    def sleep(self, seconds: float) -> None:
        """Time goes by."""
        self.now_s += seconds

    def now(self) -> datetime:
        """The time of this machine."""
        return BEGUN + timedelta(seconds=self.now_s)

    def shown(self) -> set[str]:
        """The masterids that are prepared."""
        return {
            name
            for name, at in self.made.items()
            if at + self.lag_s <= self.now_s and name not in self.lost
        }

    def check(self) -> Reconciliation:
        """One reconciliation, as the command does it."""
        books = DatasetBooks("contacts", "id", 200, 100, 200, 0, 0, 200, 0, 0, 0, 0)
        after = settled_count(lambda: 100 + len(self.shown()), 300, self.sleep)
        made = {name: (BEGUN + timedelta(seconds=at)).timestamp() for name, at in self.made.items()}
        acknowledged = Acknowledged(BEGUN, made)
        settles_at = BEGUN + BOUND

        def coming() -> bool:
            return self.now() < settles_at and is_on_its_way(self.shown(), acknowledged)

        found: DatasetReconciliation = judge(books, after, {}, None, coming)
        return Reconciliation("pl", {"contacts": replace(found, settles_at=settles_at)})

    def wait(self) -> Reconciliation:
        """What a run ends with."""
        return wait_for_preparation(self.check, self.now, self.sleep, self.notes.append)


@pytest.mark.parametrize("lag_s", [0, 4, 15, 60, 600, 890])
def test_every_lag_within_the_bound_ends_in_a_match(lag_s: float) -> None:
    """Seconds or minutes: never called lost, and no longer waited for than needed."""
    target = LateTarget(lag_s)
    assert target.wait().verdict == "match"
    assert target.now_s < lag_s + 120
    assert bool(target.notes) == (lag_s > 10)
    assert all("migrate reconcile --plan pl" in note for note in target.notes)


@pytest.mark.parametrize("lag_s", [4, 60, 600])
def test_what_is_lost_is_said_in_the_end(lag_s: float) -> None:
    """The youngest records never come: pending up to the bound, and then a mismatch."""
    target = LateTarget(lag_s, lost=5)
    assert target.wait().verdict == "mismatch"
    assert target.now_s <= BOUND.total_seconds() + 60


def test_what_is_older_than_what_is_there_is_lost_at_once() -> None:
    """Records of the first burst are missing while the second one shows: that is no lag."""
    target = LateTarget(0, lost=5, lose_first=True)
    assert target.wait().verdict == "mismatch"
    assert (target.notes, target.now_s < 60) == ([], True)


def test_a_reading_after_the_bound_is_final() -> None:
    """Long after the load nothing is waited for."""
    target = LateTarget(10**6)
    target.now_s = BOUND.total_seconds() + 1
    assert target.check().verdict == "mismatch"


def test_merged_records_that_still_show_are_on_their_way_out() -> None:
    """A merge is prepared later as well."""
    acknowledged = Acknowledged(BEGUN, {}, {"old"})
    assert is_on_its_way({"old", "new"}, acknowledged)
    assert not is_on_its_way({"new"}, acknowledged)


def finding(finding: str, name: str, modified_at: str | None) -> dict[str, str | None]:
    """A finding of a deep verification."""
    told = {"finding": finding, "name": name, "modified_at": modified_at}
    return dict.fromkeys(SCHEMA) | told


@pytest.mark.parametrize(
    ("row", "coming", "waits"),
    [
        (finding("different", "stale", "2026-01-02T03:04:00.000Z"), False, True),
        (finding("different", "altered", "2026-01-02T03:04:06.000Z"), False, False),
        (finding("different", "altered", None), False, False),
        (finding("missing", "lost", None), True, True),
        (finding("missing", "lost", None), False, False),
        (finding("missing", "not_planned", None), True, False),
        (finding("extra", "foreign", "2026-01-02T03:04:00.000Z"), True, False),
    ],
)
def test_only_what_was_there_before_the_load_waits(
    row: dict[str, str | None], coming: bool, waits: bool
) -> None:
    """A value of before the first write may still change; a record may come where the count lacks some."""
    frame = pl.DataFrame([row], schema=SCHEMA)
    assert hold_back(frame, BEGUN, coming=coming).to_list() == [waits]
