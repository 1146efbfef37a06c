"""Which Datatrics record became which Octolis record: the file that every later integration needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.load.ledger_view import LedgerView
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.load.totals import SettledRecord
from migrate.workspace import Workspace, replacing

_PART_ROWS = 25_000
SCHEMA: dict[str, pl.DataType] = {
    "source": pl.String(),
    "id": pl.String(),
    "resource": pl.String(),
    "position": pl.Int64(),
    "key": pl.String(),
    "masterid": pl.String(),
    "change": pl.String(),
    "written_at": pl.Datetime("us", "UTC"),
}


def write_crosswalks(view: LedgerView, workspace: Workspace, plan: PlanToLoad) -> list[Path]:
    """The files exports/PLAN/crosswalk-DATASET.parquet, one per dataset.

    **Shape**: one row per source identity of every written or unchanged record, in sending order; `masterid` is the one
    that exists now where a merge of this plan ended the first one. `written_at` is null for unchanged records.
    **Guarantees**: each file is whole or what it was; memory does not grow with the plan.

    **Raises**: WorkspaceError where the disk is full.
    """
    return [
        _write(view, workspace.exports / plan.name, plan.name, dataset) for dataset in plan.datasets
    ]


def _write(view: LedgerView, folder: Path, plan: str, dataset: DatasetToLoad) -> Path:
    target = folder / f"crosswalk-{dataset.name}.parquet"
    parts = folder / f".crosswalk-{dataset.name}.parts"
    try:
        # A full disk is told as one also while the parts are written.
        with replacing(target) as temporary:
            parquet.sink(parquet.scan(_write_parts(parts, _parts(view, plan, dataset))), temporary)
    finally:
        shutil.rmtree(parts, ignore_errors=True)
    return target


def _write_parts(folder: Path, frames: Iterator[pl.DataFrame]) -> list[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    files = [folder / "empty.parquet"]
    parquet.write(pl.DataFrame(schema=SCHEMA), files[0])
    for number, frame in enumerate(frames):
        files.append(folder / f"part-{number:05}.parquet")
        parquet.write(frame, files[-1])
    return files


def _parts(view: LedgerView, plan: str, dataset: DatasetToLoad) -> Iterator[pl.DataFrame]:
    survivors = view.survivors(plan, dataset.name)
    written = view.settled(plan, dataset.name, "written")
    while settled := list(islice(written, _PART_ROWS)):
        yield _joined(dataset, settled, survivors)
    if dataset.unchanged is not None and dataset.unchanged.exists():
        rows = parquet.scan(dataset.unchanged).select("key", "masterid", "sources")
        for part in rows.collect_batches(chunk_size=_PART_ROWS, maintain_order=True):
            yield _exploded(part.with_columns(change=pl.lit("unchanged"), written_at=None))


def _joined(
    dataset: DatasetToLoad, settled: list[SettledRecord], survivors: Mapping[str, str]
) -> pl.DataFrame:
    first, last = settled[0].batch, settled[-1].batch
    sources = (
        parquet.scan(dataset.records)
        .filter(pl.col("batch").is_between(first, last))
        .select("batch", pl.col("position").alias("place"), "sources")
    )
    written = pl.LazyFrame(
        {
            "batch": [record.batch for record in settled],
            "place": [record.position for record in settled],
            "key": [record.key for record in settled],
            # A later record of this plan may have merged this one away: integrations need the id that exists.
            "masterid": [survivor_of(record.masterid, survivors) for record in settled],
            "change": [record.change for record in settled],
            "written_at": [datetime.fromtimestamp(record.settled_at, UTC) for record in settled],
        },
        schema_overrides={"batch": pl.Int32, "place": pl.Int32},
    )
    joined = written.join(sources, on=["batch", "place"], how="inner", maintain_order="left")
    return _exploded(joined.collect())


def _exploded(rows: pl.DataFrame) -> pl.DataFrame:
    flat = rows.explode("sources").unnest("sources")
    return flat.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def survivor_of(masterid: str | None, survivors: Mapping[str, str]) -> str | None:
    """The masterid that exists after all merges."""
    seen: set[str] = set()
    # A survivor may be merged away in its turn, and answers that contradict each other may close a ring.
    while masterid is not None and masterid in survivors and masterid not in seen:
        seen.add(masterid)
        masterid = survivors[masterid]
    return masterid
