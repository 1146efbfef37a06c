"""Both doors of one plan, in any order: no row is ever on its way by both, none is lost, none is sent twice."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.errors import Stale
from migrate.load.handover import DatasetFiles
from migrate.load.ledger import Ledger
from migrate.load.ledger_opening import PlannedDataset
from migrate.target.answer import Answer
from migrate.target.results import SentRecord, Written

ROWS = (3, 2, 1)
PLACES = [(batch, place) for batch, rows in enumerate(ROWS) for place in range(rows)]
BATCHES = st.integers(0, len(ROWS) - 1)


SOME = st.sets(st.sampled_from(PLACES))
CALLS = st.one_of(
    st.tuples(st.just("load"), BATCHES, st.sampled_from(["all", "some", "none", "lost", "killed"])),
    st.tuples(st.just("hand_over")),
    st.tuples(st.just("read_back"), SOME, st.sampled_from([None, "settled"])),
    st.tuples(st.just("read_back"), st.just(()), st.just("taken back")),
    st.tuples(st.just("another_plan")),
)


class TwoDoors:
    """Calls of `load`, by the API and by files, of one plan; what the world knows of each row is kept beside them.

    `by_api`: rows of which a request may have arrived. `by_files`: rows in files that may be imported. `there`: rows
    that are known to be in the target, each by the door that it came through.
    """

    def __init__(self, folder: Path) -> None:
        """A plan of three batches, of which nothing was sent."""
        self.folder, self.file = folder, folder / "ledger.sqlite"
        self.by_api: set[tuple[int, int]] = set()
        self.by_files: set[tuple[int, int]] = set()
        self.there: dict[tuple[int, int], str] = {}

    def call(self, work: Callable[[Ledger], None], plan: str = "p", *, by_files: bool) -> bool:
        """One call of the command: False where it refuses to begin."""
        with contextlib.closing(Ledger(self.file)) as ledger:
            try:
                ledger.open_plan(
                    plan, [PlannedDataset("lines", "id", list(ROWS))], by_files=by_files
                )
                work(ledger)
                if plan == "p":
                    self.check(ledger)
            except Stale:
                return False
        return True

    def left(self, batch: int) -> list[tuple[int, int]]:
        """The rows of a batch that are not there."""
        return [place for place in PLACES if place[0] == batch and place not in self.there]

    def load(self, batch: int, answer: str) -> None:
        """The API is asked to take a batch: it answers, or nobody knows what it did."""
        rows = self.left(batch)

        def send(ledger: Ledger) -> None:
            if batch not in {entry.batch for entry in ledger.open_batches("lines")}:
                return
            ledger.mark_sending("lines", batch)
            assert not self.by_files & set(rows), "a row is on its way by both doors"
            self.by_api |= set(rows)
            if answer == "killed":
                return
            if answer == "lost":
                lost = Answer(0, reason="reset")
                ledger.mark_failed("lines", batch, lost, "reset", "", applied=True)
                return
            taken = {"all": rows, "some": rows[:1], "none": []}[answer]
            if taken:
                ledger.settle("lines", batch, verdicts(taken))
            else:
                busy = Answer(423)
                ledger.mark_failed("lines", batch, busy, "busy", "", applied=False)
            self.by_api -= set(rows)
            self.arrive(taken, "api")

        did = self.call(send, by_files=False)
        assert did == (not self.by_files), "refused exactly as long as a file may be imported"

    def hand_over(self) -> None:
        """All that is left becomes files, unless nobody knows what became of a request."""

        def write(ledger: Ledger) -> None:
            if ledger.handovers.open_ones():
                return
            left = ledger.handovers.left("lines")
            rows = {place for place in PLACES if place[0] in left.batches.to_list()}
            rows -= {(batch, place) for batch, place in left.settled.iter_rows()}
            assert left.rows == len(rows)
            assert not rows & self.there.keys(), "a row that is there would be imported once more"
            assert not rows & self.by_api, "a row is on its way by both doors"
            if rows:
                files = [DatasetFiles("lines", left, ())]
                ledger.handovers.hand_over(self.folder, "", files)
                self.by_files |= rows

        did = self.call(write, by_files=True)
        assert did or self.by_api

    def read_back(self, chosen: Collection[tuple[int, int]], ended: str | None) -> None:
        """What was read back is settled; the rest stays handed over, or may go by the API."""

        def keep(ledger: Ledger) -> None:
            for handover in ledger.handovers.open_ones():
                seen = self.by_files & set(chosen)
                batches = {batch for batch, _ in seen}
                found = {b: verdicts(sorted(p for p in seen if p[0] == b)) for b in batches}
                ledger.settle_import("lines", found)
                self.arrive(seen, "file")
                self.by_files -= seen
                ledger.handovers.note_reading(handover, len(self.by_files), 0)
                if ended is not None and self.by_files:
                    ledger.handovers.release(handover, ended)
                    self.by_files.clear()

        assert self.call(keep, by_files=True)

    def another_plan(self) -> None:
        """Another plan of the same dataset sends nothing while a file may be imported over it."""
        did = self.call(lambda _ledger: None, "other", by_files=False)
        assert did == (not self.by_files)

    def arrive(self, rows: Collection[tuple[int, int]], door: str) -> None:
        """Rows are in the target; each comes once."""
        assert not self.there.keys() & set(rows), "a row has come twice"
        self.there |= dict.fromkeys(rows, door)

    def check(self, ledger: Ledger) -> None:
        """The ledger's sums are those of the rows that are there, and of those that are in files."""
        assert ledger.totals()["lines"].written == len(self.there)
        assert sum(one.left for one in ledger.handovers.open_ones()) == len(self.by_files)


def verdicts(rows: Collection[tuple[int, int]]) -> list[tuple[Written, str]]:
    """The last word on rows that are written."""
    return [
        (Written(SentRecord(place, f"{batch}-{place}", "{}"), f"m-{batch}-{place}"), "create")
        for batch, place in rows
    ]


@settings(max_examples=15, deadline=None)
@given(st.lists(CALLS, min_size=4, max_size=12))
def test_no_row_is_on_its_way_by_both_doors(calls):
    """Whatever is called in whatever order, killed or not: the ledger lets a row out by one door at a time."""
    with tempfile.TemporaryDirectory() as folder:
        doors = TwoDoors(Path(folder))
        for name, *given_ in calls:
            getattr(doors, name)(*given_)
