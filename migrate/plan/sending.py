"""The planned rows in sending order, each with its payload, some at a time: a run is sorted in memory, all are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from migrate.mapping.model import Mapping
from migrate.mapping.types import payloads
from migrate.plan.batches import Cutter, sending_ranks
from migrate.plan.classify import Labels
from migrate.plan.collapse import resource_of, source_of
from migrate.plan.collapsed_rows import FinalRows
from migrate.plan.document import PlannedFile
from migrate.plan.files import LEADING, SOURCES, FileBeside, stored_columns, write_frames
from migrate.plan.partitions import PartitionSet, own_copy, some_of
from migrate.plan.rows import Narrow
from migrate.plan.tables import in_chunks
from migrate.plan.tally import count_values

RUN_ROWS = 64_000
"""So many rows are sorted in memory at once."""
_PAYLOAD_ROWS = 32_000
_STEP_ROWS = 64_000
_LABELS = {
    "_batch": pl.Int32(),
    "_slot": pl.Int32(),
    "_change": pl.String(),
    "_payload": pl.String(),
    "_sources": SOURCES,
    "_masterid": pl.String(),
    "_changed": pl.List(pl.String),
}


@dataclass
class Counts:
    """What was counted while the rows went by."""

    changes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)

    def add(self, rows: pl.DataFrame, resources: Sequence[str]) -> None:
        """Counts some rows, by the records that won them; `resources` are those of the dataset."""
        self.changes.update(count_values(rows.get_column("_change")))
        self.sources.update(count_values(rows.get_column("_source").fill_null("")))
        if len(resources) > 1:
            self.resources.update(count_values(rows.select(resource_of(resources)).to_series()))


@dataclass(frozen=True)
class WrittenRecords:
    """The files of the rows that are sent and of those that need no sending; their batches; what was counted."""

    files: tuple[PlannedFile, ...]
    batches: int
    counts: Counts


@dataclass(frozen=True)
class Rows:
    """The rows of a dataset with all that is known of them; `narrow` is of the accepted rows."""

    mapping: Mapping
    rows: FinalRows
    narrow: Narrow
    labels: Labels


def write_rows(
    given: Rows, folder: Path, plan_folder: Path, spill: Path, batch_bytes: int
) -> WrittenRecords:
    """Writes `records.parquet` and `unchanged.parquet`, both in sending order, the first cut into batches."""
    counts = Counts()
    cutter = Cutter(batch_bytes)
    leading = [pl.col(working).alias(name) for name, working in LEADING.items()]
    mapped = [
        pl.col(name).alias(stored)
        for name, stored in stored_columns(list(given.mapping.columns)).items()
    ]
    types = {**given.rows.accepted.schema, **_LABELS}
    schema = pl.DataFrame(schema=types).select(*leading, *mapped).schema

    rest = {name: schema[name] for name in schema if name not in ("batch", "position")}
    aside = FileBeside(
        lambda frames: write_frames(frames, rest, folder / "unchanged.parquet", plan_folder)
    )

    def sent() -> Iterator[pl.DataFrame]:
        for run in _runs(given, spill):
            counts.add(run, given.mapping.resources)
            still = run.get_column("_change") == "unchanged"
            # what is sent may wait for more, and few rows would keep the texts of whole runs
            aside.add(some_of(run, still).select(*leading[2:], *mapped))
            yield cutter.number(some_of(run, ~still)).select(*leading, *mapped)

    with aside:
        records = write_frames(sent(), schema, folder / "records.parquet", plan_folder)
    return WrittenRecords((records, aside.file()), cutter.batches, counts)


def _runs(given: Rows, spill: Path) -> Iterator[pl.DataFrame]:
    """The planned rows in sending order with all working columns of `LEADING` but the batch."""
    alone = pl.concat_list(source_of(given.mapping.resources))
    for rows in _rows_by_run(given, spill):
        run = rows.sort("_rank")
        yield run.with_columns(
            pl.when(pl.col("_sources").is_null())
            .then(alone)
            .otherwise(pl.col("_sources"))
            .alias("_sources"),
            _payloads(given.mapping, run),
        )


def _rows_by_run(given: Rows, spill: Path) -> Iterator[pl.DataFrame]:
    """The planned rows with their labels and `_rank`, those of one run in a frame."""
    touched = given.rows.touched
    if touched is None:
        planned = given.rows.height
    else:
        planned = int(touched.sum())
    sizes = [min(RUN_ROWS, planned - start) for start in range(0, planned, RUN_ROWS)]
    buckets = PartitionSet(spill / "runs", len(sizes))
    for rows in _ranked(given):
        yield from buckets.take_full(sizes)
        buckets.add(rows, rows.get_column("_rank") // RUN_ROWS)
    # what the ranks took is free by now
    yield from buckets.take_full(sizes)


def _ranked(given: Rows) -> Iterator[pl.DataFrame]:
    """The planned rows part by part, with their labels and `_rank`, their place in the sending order."""
    ranks = _ranks_by_place(given)
    labels = in_chunks(given.labels.chunks(given.rows.height), _STEP_ROWS)
    at = 0
    for frame in in_chunks(given.rows.frames(_needed(given)), _STEP_ROWS):
        rank = ranks.slice(at, frame.height).alias("_rank")
        at += frame.height
        ranked = frame.hstack([rank, *next(labels).get_columns()])
        yield own_copy(ranked.filter(rank.is_not_null())) if rank.null_count() else ranked


def _needed(given: Rows) -> list[str]:
    left = {"_position", "_recency"}
    return [name for name in given.rows.accepted.schema if name not in left]


def _ranks_by_place(given: Rows) -> pl.Series:
    """The place of each row in the sending order; null for those that no change has touched."""
    rows = given.rows.rows
    if given.rows.touched is None:
        planned = rows
    else:
        planned = rows.filter(given.rows.touched)
    recency = given.narrow.recency
    sent = pl.repeat(value=False, n=len(recency), eager=True).scatter(planned, True)
    return sending_ranks(recency, sent).gather(rows)


def _payloads(mapping: Mapping, rows: pl.DataFrame) -> pl.Series:
    """The payload of each row, made some at a time: the texts on the way are several times the result."""
    made = [payloads(mapping, some) for some in rows.iter_slices(_PAYLOAD_ROWS)]
    return pl.concat([pl.Series(dtype=pl.String), *made]).alias("_payload")
