"""What the service did not store, or not as sent: one row per value, for the people who own the target's columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.load.ledger_view import LedgerView
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.load.totals import SettledRecord
from migrate.target.results import SentRecord
from migrate.workspace import Workspace, replacing

# Payloads of so many records are in memory at a time.
_PART_RECORDS = 20_000
SCHEMA: dict[str, pl.DataType] = {
    "batch": pl.Int32(),
    "position": pl.Int32(),
    "key": pl.String(),
    "masterid": pl.String(),
    "column": pl.String(),
    "loss": pl.String(),
    "sent": pl.String(),
    "stored": pl.String(),
}


def write_altered(view: LedgerView, workspace: Workspace, plan: PlanToLoad) -> list[Path]:
    """The files exports/PLAN/altered-DATASET.parquet of the datasets where something was lost.

    **Shape**: one row per column of a written record that was not stored (`loss` is `protected`) or not as sent
    (`altered`); `sent` and `stored` are JSON texts, `stored` is null for what is not there or not told.
    """
    folder = workspace.exports / plan.name
    return [
        path
        for dataset in plan.datasets
        if (path := _write(view, folder, plan.name, dataset)) is not None
    ]


def _write(view: LedgerView, folder: Path, plan: str, dataset: DatasetToLoad) -> Path | None:
    target = folder / f"altered-{dataset.name}.parquet"
    records = view.with_losses(plan, dataset.name)
    frames = []
    while part := list(islice(records, _PART_RECORDS)):
        frames.append(_frame(part, dataset))
    if not frames:
        # What an earlier call wrote would go on saying that something was lost.
        target.unlink(missing_ok=True)
        return None
    with replacing(target) as temporary:
        parquet.write(pl.concat(frames), temporary)
    return target


def _frame(records: list[SettledRecord], dataset: DatasetToLoad) -> pl.DataFrame:
    batches = {record.batch for record in records}
    payloads = (
        parquet.scan(dataset.records)
        .filter(pl.col("batch").is_in(sorted(batches)))
        .select("batch", "position", "payload")
        .collect()
    )
    sent = {(batch, position): payload for batch, position, payload in payloads.iter_rows()}
    return pl.DataFrame(list(_rows(records, sent)), schema=SCHEMA, orient="row")


def _rows(
    records: Iterable[SettledRecord], sent: dict[tuple[int, int], str]
) -> Iterator[tuple[object, ...]]:
    for record in records:
        payload = sent[record.batch, record.position]
        values = SentRecord(record.position, record.key, payload).values()
        stored = dict(zip(record.altered, record.stored, strict=False))
        for loss, names in (("protected", record.protected), ("altered", record.altered)):
            for name in names:
                if name in values:
                    value = bytes(values[name]).decode()
                else:
                    value = None
                head = (record.batch, record.position, record.key, record.masterid)
                yield (*head, name, loss, value, stored.get(name) if loss == "altered" else None)
