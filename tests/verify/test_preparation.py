"""The target shows what was written some time later: waited for, and then the truth."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from migrate.app.reconcile import wait_for_preparation, wait_until_shown
from migrate.verify.compare import SCHEMA
from migrate.verify.known import JustBefore, read_just_before, read_youngest_made
from migrate.verify.preparation import Acknowledged, hold_back, is_on_its_way
from migrate.verify.reconcile import (
    DatasetBooks,
    DatasetReconciliation,
    Reconciliation,
    judge,
    settled_count,
)

from .conftest import Migrated

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


@pytest.mark.parametrize("lag_s", [0, 4, 15, 60, 600, 10**6])
def test_a_plan_waits_for_what_the_load_before_it_has_made(lag_s: float) -> None:
    """It reads the target once the youngest record shows; at the latest when everything counts as prepared."""
    target = LateTarget(lag_s)

    def read() -> str | None:
        return "m199" if "m199" in target.shown() else None

    wait_until_shown(read, BEGUN + BOUND, target.now, target.sleep, target.notes.append)
    assert min(lag_s, 899.9) <= target.now_s <= min(lag_s + 60, 900)
    assert bool(target.notes) == bool(lag_s)


@pytest.mark.parametrize(
    ("seconds_before", "late"), [(1, True), (899, True), (901, False), (-1, False)]
)
def test_what_other_plans_have_made_just_before_is_known(
    migrated: Migrated, tmp_path: Path, seconds_before: int, late: bool
) -> None:
    """Made and merged away within the bound before this plan's first record was written, in the same dataset."""
    ledger = tmp_path / "ledger.sqlite"
    shutil.copy(migrated.context.workspace.ledger, ledger)
    with closing(sqlite3.connect(ledger)) as db, db:
        mine = db.execute(
            "SELECT id, dataset_id, min(settled_at) FROM datasets JOIN records ON dataset = id WHERE name = 'contacts'"
        ).fetchone()
        at = mine[2] - seconds_before
        db.execute("INSERT INTO plans (id, name, begun_at) VALUES (99, 'other', 0)")
        for number, dataset_id in ((98, "elsewhere"), (99, mine[1])):
            row = (number, f"d{number}", dataset_id)
            db.execute(
                "INSERT INTO datasets (id, plan, name, dataset_id, place) VALUES (?, 99, ?, ?, 0)",
                row,
            )
            db.execute(
                "INSERT INTO batches (dataset, batch, rows, state, changed_at) VALUES (?, 0, 2, 'acked', ?)",
                (number, at),
            )
            for position, change in enumerate(("create", "update")):
                db.execute(
                    "INSERT INTO records (dataset, batch, position, key, state, change, masterid, settled_at)"
                    " VALUES (?, 0, ?, ?, 'written', ?, ?, ?)",
                    (number, position, f"k{position}", change, f"{number}-{change}", at),
                )
            db.execute(
                "INSERT INTO merges (dataset, gone, survivor, batch, position) VALUES (?, ?, 's', 0, 1)",
                (number, f"{number}-gone"),
            )
    found = read_just_before(ledger, migrated.plan.name, "contacts", BOUND)
    assert found == (
        JustBefore(frozenset({"99-create"}), frozenset({"99-gone"})) if late else JustBefore()
    )
    youngest = read_youngest_made(ledger, mine[1])
    assert youngest is not None
    assert (youngest.masterid == "99-create") == (seconds_before < 0)


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
