"""A plan as the loader needs it, and its records read a few batches at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.config import Webhook
from migrate.errors import Damaged
from migrate.plan.open_plan import PLAN_FILE
from migrate.target.answer import Answer
from migrate.target.results import AnswerColumns, Reading, SentRecord, read_answer, read_receipt
from migrate.workspace import sha256_file

# One reading of the file for 8,000 records at most, which are a few megabytes.
_WINDOW_BATCHES = 16


@dataclass(frozen=True)
class ParentLink:
    """How records refer to those of another dataset: their columns, and which column of its key each of them has."""

    dataset: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class DatasetToLoad:
    """One dataset of a plan. `records` has one row per record to send, `unchanged` those that need no sending.

    `counted`: the records that the dataset held when the plan read it, None where the plan has not read it.
    `several_keys`: the target may merge by other keys, too. `time_columns`: those that are compared as date-times, None
    where the types are not known. `before`: files of what the target held. `webhook`: where the records go instead, and
    `dataset_id` is its id then; it has no records that could be counted or read back. `mapping_sha256`: the hash of the
    mapping that made the records, empty where none did. `parents`: the datasets that its records refer to.
    """

    name: str
    dataset_id: str
    key_columns: tuple[str, ...]
    recipe_columns: frozenset[str]
    records: Path
    unchanged: Path | None
    rows: int
    batches: int
    merge_forecast: int = 0
    counted: int | None = None
    several_keys: bool = False
    time_columns: frozenset[str] | None = None
    before: tuple[Path, ...] = ()
    webhook: Webhook | None = None
    mapping_sha256: str = ""
    alternative_keys: tuple[tuple[str, ...], ...] = ()
    parents: tuple[ParentLink, ...] = ()

    @property
    def all_keys(self) -> tuple[tuple[str, ...], ...]:
        """The key's columns, and those of each other key by which the target may find a record."""
        return (self.key_columns, *self.alternative_keys)

    @property
    def target(self) -> str:
        """`dataset` or `webhook`: what the records are sent to."""
        return "dataset" if self.webhook is None else "webhook"

    @property
    def place(self) -> str:
        """What the records are sent to, as messages name it."""
        if self.name == self.dataset_id:
            named = ""
        else:
            named = f" ({self.name})"
        return f"{self.target} {self.dataset_id}{named}"

    def read(self, answer: Answer, sent: Sequence[SentRecord]) -> Reading:
        """What an answer to these records means."""
        if self.webhook is None:
            return read_answer(answer, sent, self.columns)
        return read_receipt(answer, sent)

    @property
    def columns(self) -> AnswerColumns:
        """How the columns are compared with what the target stores."""
        return AnswerColumns(self.key_columns, self.recipe_columns, self.time_columns)


def time_columns_of(records: Path, stored_columns: Mapping[str, str]) -> frozenset[str]:
    """The mapped columns that hold dates or date-times, by their names in the target.

    `stored_columns`: the name of a column in the plan's file, where it is another one.
    """
    schema = parquet.schema(records)
    named = {stored: name for name, stored in stored_columns.items()}
    return frozenset(named.get(name, name) for name, kind in schema.items() if kind.is_temporal())


@dataclass(frozen=True)
class PlanToLoad:
    """A finished plan; its datasets in the order in which they are loaded.

    `undoes`: the plan whose load this one takes back. `remake`: the command that makes a new plan of the same.
    """

    name: str
    folder: Path
    datasets: tuple[DatasetToLoad, ...]
    undoes: str | None = None
    remake: str = "migrate plan"

    def sha256(self) -> str:
        """The hash of the document that names the hash of every file of the plan; empty for a plan without one."""
        document = self.folder / PLAN_FILE
        return sha256_file(document) if document.is_file() else ""


@dataclass(frozen=True)
class PlannedRecord:
    """A record to send and what the plan expects it to do: `create`, `update` or `unknown`."""

    sent: SentRecord
    change: str


class PlannedRecords:
    """The batches of one records.parquet. Memory does not grow with the file: sixteen batches are kept at a time."""

    def __init__(self, dataset: DatasetToLoad) -> None:
        self._file = dataset.records
        self.batch_rows = self._count_rows() if dataset.rows else []
        if len(self.batch_rows) != dataset.batches or sum(self.batch_rows) != dataset.rows:
            raise self._damaged("it does not have the batches and rows that the plan records")
        self._window: dict[int, list[PlannedRecord]] = {}

    def batch(self, number: int) -> list[PlannedRecord]:
        """The records of a batch in the order of their positions. Raises Damaged."""
        if number not in self._window:
            self._window = self._read_window(number)
        return self._window[number]

    def _count_rows(self) -> list[int]:
        try:
            counted = (
                parquet.scan(self._file)
                .group_by("batch")
                .agg(pl.len().alias("rows"))
                .sort("batch")
                .collect()
            )
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(str(error)) from None
        if counted["batch"].to_list() != list(range(counted.height)):
            raise self._damaged("its batches are not numbered 0, 1, 2 …")
        return [int(rows) for rows in counted["rows"]]

    def _read_window(self, first: int) -> dict[int, list[PlannedRecord]]:
        rows = self.batch_rows[first : first + _WINDOW_BATCHES]
        columns = ["batch", "position", "key", "change", "payload"]
        try:
            scan = parquet.scan(self._file).select(columns)
            frame = scan.slice(sum(self.batch_rows[:first]), sum(rows)).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(str(error)) from None
        window: dict[int, list[PlannedRecord]] = {}
        for batch, position, key, change, payload in frame.iter_rows():
            records = window.setdefault(batch, [])
            # A result is matched with its record by place, so a file in another order would settle the wrong ones.
            if position != len(records):
                raise self._damaged("its rows are not in sending order")
            records.append(PlannedRecord(SentRecord(position, key, payload), change))
        # The slice was cut by the batches' sizes: rows of other batches in it mean another order.
        if [len(window.get(first + n, ())) for n in range(len(rows))] != rows:
            raise self._damaged("its rows are not in sending order")
        return window

    def _damaged(self, why: str) -> Damaged:
        return Damaged(
            f"{self._file} cannot be loaded: {why:.300}", hint="make a new plan with `migrate plan`"
        )
