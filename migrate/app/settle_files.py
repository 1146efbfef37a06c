"""After an import: what of the rows that were handed over the target holds, and what may go by the API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.app.as_loaded import as_loaded
from migrate.app.file_door import file_columns, opened_ledger
from migrate.app.plan_to_load import plan_to_load
from migrate.app.sftp_files import remove_uploaded
from migrate.app.standing import note_loaded, note_loading
from migrate.app.target_client import open_target, reading_folder
from migrate.errors import Interrupted, UsageError
from migrate.load.changes import Changes
from migrate.load.files.readback import CREATED_AT, UPDATED_AT, Sought, compare_rows
from migrate.load.handover import Handover
from migrate.load.ledger import Ledger
from migrate.load.ledger_rows import Verdicts
from migrate.load.ledger_view import LedgerView
from migrate.load.loader import LoadResult, write_exports
from migrate.load.merged import Merges
from migrate.load.planned import DatasetToLoad, PlannedRecord, PlanToLoad
from migrate.mapping.files import read_mappings
from migrate.names import ALL_MASTERIDS, MASTERID
from migrate.plan.files import write_frames
from migrate.plan.open_plan import Plan, open_plan
from migrate.plan.partitions import Partitions
from migrate.target.client import TargetClient
from migrate.target.results import SentRecord, Written, read_all_ids
from migrate.verify.readback import Reading, forget_reading, read_pages

if TYPE_CHECKING:
    from migrate.app.context import Context

LEFT_SCHEMA = {"key": pl.String, "reason": pl.String, "columns": pl.String}
"""Of `not-imported-DATASET.parquet`: the rows that the import did not take, `missing` or `different`, and in what."""


@dataclass(frozen=True)
class SettledDataset:
    """What the target shows of the rows of one dataset that were handed over. Units: rows.

    `written` of them were read back as they would have been sent, now; `rows` is what was handed over. `file` lists
    the others. `counted` and `expected`: what the target counts, and what it should once all is there.
    """

    rows: int
    written: int
    missing: int
    different: int
    counted: int
    expected: int
    columns: Mapping[str, int] = field(default_factory=dict)
    file: Path | None = None

    @property
    def left(self) -> int:
        """Rows of which nothing is settled."""
        return self.missing + self.different


@dataclass(frozen=True)
class SettledFiles:
    """What a reading after an import gave. `released`: the import is over, so what is left may go by the API."""

    plan: str
    datasets: Mapping[str, SettledDataset]
    result: LoadResult
    released: bool

    @property
    def left(self) -> int:
        """Rows of which nothing is settled."""
        return sum(entry.left for entry in self.datasets.values())


def run_settle(
    context: Context, datasets: Sequence[str], name: str | None, *, import_over: bool = False
) -> SettledFiles:
    """Reads the target back and keeps as written every row that it shows as it would have been sent.

    `import_over`: whoever gives this knows that no file of it will be imported any more: what is not there may be sent
    by the API from now on. Without it such rows stay handed over, and the same command looks again.

    **Raises**: UsageError where nothing of the plan is handed over.
    """
    plan = open_plan(context.workspace, name)
    # Compared with what the files hold, whatever the mappings say by now.
    context = as_loaded(context, plan, "settling a handover", "migrate load --settle")
    to_load = handed_over(context, plan, datasets)
    note_loading(context.workspace, plan, {"import_over": True} if import_over else {})
    settled: dict[str, SettledDataset] = {}
    with opened_ledger(context, to_load) as ledger, open_target(context) as client:
        for handover in ledger.handovers.open_ones():
            dataset = next(d for d in to_load.datasets if d.name == handover.dataset)
            one = _Settling(context, plan, client, ledger, dataset).settle(handover)
            settled[dataset.name] = one
            ledger.handovers.note_reading(handover, one.missing, one.different)
            # Only by somebody's word: an import may take the rest as long as a file of it is there.
            if one.left and import_over:
                ledger.handovers.release(handover, "settled")
        result = write_exports(context.workspace, to_load)
    note_loaded(context.workspace, plan)
    return SettledFiles(plan.name, settled, result, import_over)


def handed_over(context: Context, plan: Plan, datasets: Sequence[str]) -> PlanToLoad:
    """The datasets of a plan that are handed over, of those that are named. Raises UsageError where none is."""
    with LedgerView(context.workspace.ledger) as view:
        open_ones = {one.dataset for one in view.handovers(plan.name) if one.is_open}
    chosen = plan_to_load(plan, context.project.octolis, datasets)
    handed = tuple(d for d in chosen.datasets if d.name in open_ones)
    if not handed:
        raise UsageError(
            f"nothing of plan {plan.name!r} is handed over as files",
            hint=f"migrate load --files DIR --plan {plan.name}",
        )
    return replace(chosen, datasets=handed)


class _Settling:
    """One dataset's rows looked for in the target."""

    def __init__(
        self, context: Context, plan: Plan, client: TargetClient, ledger: Ledger,
        dataset: DatasetToLoad,
    ) -> None:  # fmt: skip
        self.context, self.plan, self.client = context, plan, client
        self.ledger, self.dataset = ledger, dataset
        totals = ledger.totals()[dataset.name]
        self.totals = totals
        self.protected = frozenset(totals.protected_columns)
        moment = totals.server_time
        if moment is None:
            self.since = None
        else:
            self.since = datetime.fromtimestamp(moment, UTC)
        merges = Merges(ledger.lessons.seen)
        self.merges = merges
        self.changes = Changes(context.progress.note, merges.had)
        self.left = Partitions(self._folder("left"))
        self.reasons: Counter[str] = Counter()
        self.columns: Counter[str] = Counter()
        self.written = 0

    def settle(self, handover: Handover) -> SettledDataset:
        """Reads the dataset, keeps what is there, lists what is not."""
        counted = self.client.count(self.dataset.dataset_id).count
        mapping = read_mappings(self.context.project.mappings)[self.dataset.name]
        sought = Sought(
            self.dataset.records,
            file_columns(mapping),
            self.dataset.key_columns,
            # The target changes the one and stores none of the other: neither proves that a row is not imported.
            self.dataset.recipe_columns | self.protected,
            self.ledger.handovers.left(self.dataset.name),
        )
        task = f"read back {self.dataset.name}"
        self.context.progress.begin(task, total=counted, unit="records")
        try:
            for frame in compare_rows(sought, self._pages(task), self._folder("compared")):
                self._take(frame)
                if self.context.stop.is_set():
                    raise Interrupted(
                        "stopped while the target was compared; what was settled is kept",
                        hint=f"migrate load --settle --plan {self.plan.name}",
                    )
            file = self._list_left()
        finally:
            self.context.progress.end(task)
            self.left.clear()
            forget_reading(self._folder("pages"))
        return SettledDataset(
            handover.rows,
            self.written,
            self.reasons["missing"],
            self.reasons["different"],
            counted,
            self._expected(sought),
            dict(self.columns),
            file,
        )

    def _expected(self, sought: Sought) -> int:
        """The count once every row is there: of those that the plan calls new, each is one more."""
        after = self.ledger.totals()[self.dataset.name]
        return (after.count_before or 0) + after.created - after.merged + self.reasons["new"]

    def _pages(self, task: str) -> Iterator[pl.DataFrame]:
        reading = Reading(
            self._folder("pages"),
            self.context.now,
            self.context.stop,
            tick=lambda rows, total: self.context.progress.advance(task, rows, total=total),
        )
        # Pages of an earlier look may be of a time before the import.
        forget_reading(reading.folder)
        return read_pages(self.client, self.dataset.dataset_id, reading).frames()

    def _folder(self, what: str) -> Path:
        return reading_folder(self.context, self.plan, f"{self.dataset.name}.settle-{what}")

    def _take(self, frame: pl.DataFrame) -> None:
        missed = frame.filter(pl.col("reason").is_not_null())
        self.reasons.update(missed.get_column("reason").to_list())
        self.reasons["new"] += missed.filter(
            (pl.col("reason") == "missing") & (pl.col("change") == "create")
        ).height
        self.columns.update(missed.get_column("columns").explode().drop_nulls().to_list())
        self.left.add(
            missed.select("key", "reason", pl.col("columns").list.join(", ").alias("columns"))
        )
        there = frame.filter(pl.col("reason").is_null()).sort("batch", "position")
        verdicts: dict[int, Verdicts] = {}
        for batch, records in _by_batch(there):
            verdicts[batch] = self._verdicts(records)
            self.written += len(records)
        self.ledger.settle_import(self.dataset.name, verdicts)

    def _verdicts(self, records: Sequence[tuple[PlannedRecord, Written]]) -> Verdicts:
        counted = self.merges.count(self.dataset, [written for _record, written in records])
        made = []
        for (record, _), written in zip(records, counted, strict=True):
            assert isinstance(written, Written)
            made.append((written, self.changes.of(self.dataset, record, self.since, written)))
        return made

    def _list_left(self) -> Path | None:
        name = f"not-imported-{self.dataset.name}.parquet"
        file = self.context.workspace.exports / self.plan.name / name
        if not self.left.height:
            file.unlink(missing_ok=True)
            return None
        write_frames(self.left.frames(), LEFT_SCHEMA, file, file.parent)
        return file


def _by_batch(
    there: pl.DataFrame,
) -> Iterator[tuple[int, list[tuple[PlannedRecord, Written]]]]:
    names = ["position", "key", "change", MASTERID, ALL_MASTERIDS, CREATED_AT, UPDATED_AT]
    for (batch,), rows in there.group_by("batch", maintain_order=True):
        assert isinstance(batch, int)
        yield batch, [_written(*row) for row in rows.select(names).iter_rows()]


def _written(
    position: int, key: str, change: str, masterid: str, all_ids: str | None, *times: Any
) -> tuple[PlannedRecord, Written]:
    sent = SentRecord(position, key, "")
    created_at, updated_at = (_moment(text) for text in times)
    others = tuple(other for other in read_all_ids(all_ids or "") if other != masterid)
    written = Written(sent, masterid, others, created_at=created_at, updated_at=updated_at)
    return PlannedRecord(sent, change), written


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    # The target's times are UTC where they name no zone.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def run_take_back(context: Context, datasets: Sequence[str], name: str | None) -> Mapping[str, int]:
    """Ends a handover whose files will never be imported: they are removed, and the rows may go by the API.

    Files that were uploaded are removed from the server, too. Gives back the rows of each dataset that may be sent
    again.

    **Raises**: Stale where the server has no longer a file that it had: an import may have taken it.
    """
    plan = open_plan(context.workspace, name)
    to_load = handed_over(context, plan, datasets)
    note_loading(context.workspace, plan, {"take_back": True})
    freed = {}
    with opened_ledger(context, to_load) as ledger:
        for handover in ledger.handovers.open_ones():
            # The server first: it refuses where an import may have taken a file, and then nothing is freed.
            remove_uploaded(context, handover, ledger.handovers.files(handover))
            for file in ledger.handovers.files(handover):
                (handover.folder / file.name).unlink(missing_ok=True)
            freed[handover.dataset] = handover.left
            ledger.handovers.release(handover, "taken back")
    return freed
