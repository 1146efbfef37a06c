"""The records that did not make it, of plan and load, some thousand at a time.

Permanent ones broke a rule of the mapping or were refused by the service: sent again as they are, they would be again.
Transient ones were not taken for a reason that passes, or nobody can tell: `migrate load` sends them again. The two are
never mixed in one file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.load.ledger_view import LedgerView
from migrate.load.totals import Failure
from migrate.names import BATCH_ROWS
from migrate.plan.open_plan import Plan
from migrate.spreadsheet import write_csv
from migrate.workspace import replacing

PERMANENT, TRANSIENT = "permanent", "transient"
SCHEMA: dict[str, pl.DataType] = {
    "reject": pl.String(),
    "dataset": pl.String(),
    "stage": pl.String(),
    "kind": pl.String(),
    "reason": pl.String(),
    "column": pl.String(),
    "resource": pl.String(),
    "source": pl.String(),
    "id": pl.String(),
    "position": pl.Int64(),
    "key": pl.String(),
    "value": pl.String(),
    "status": pl.Int64(),
    "batch": pl.Int64(),
    "payload": pl.String(),
    "mark": pl.String(),
    "note": pl.String(),
}
_GROUPED = {"records": pl.Int64(), "open": pl.Int64(), "example": pl.String()}
IDENTITY = ("dataset", "resource", "source", "id", "position")
_FRAME_ROWS = 20_000
# Those of a load are read with what was sent: as many as the load itself has in memory.
_LOAD_BATCHES = 16
_LOAD_ROWS = _LOAD_BATCHES * BATCH_ROWS
_WAITING = {
    "deferred": "deferred: the dataset stayed busy",
    "unknown": "unknown: no answer told what became of it",
}


def reject_frames(plan: Plan, view: LedgerView | None) -> Iterator[pl.DataFrame]:
    """All rejects of a plan by dataset, those of the plan before those of the load, some thousand at a time.

    **Shape**: one row per rejected row of a mapping or record of a batch; `reject` names it: DATASET/p… for the plan,
    DATASET/l… for a refused record, DATASET/t… for a transient one. `payload` is what was sent. `mark` is `discarded`
    or `replayed`, null for one that is open.
    """
    for dataset in plan.document.datasets:
        for frame in _of_plan(plan, dataset):
            yield frame if view is None else _marked(frame, plan.name, view)
        if view is not None:
            for frame in _of_load(plan, dataset, view):
                yield _marked(frame, plan.name, view)


def open_rejects(rejects: pl.DataFrame) -> pl.DataFrame:
    """Those that are neither discarded nor replayed."""
    return rejects.filter(pl.col("mark").is_null())


def chosen_rejects(
    rejects: pl.DataFrame, names: Collection[str], reason: str | None
) -> pl.DataFrame:
    """Those of the given names, and with `reason` in theirs; all when neither is given."""
    if names:
        rejects = rejects.filter(pl.col("reject").is_in(list(names)))
    if reason is None:
        return rejects
    return rejects.filter(pl.col("reason").str.contains(reason, literal=True))


def group_rejects(parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """One row per dataset, stage, reason and column: `records`, `open` of them, and an `example`; the most first."""
    keys = ["dataset", "stage", "kind", "reason", "column"]
    counted = pl.DataFrame(schema={name: SCHEMA[name] for name in keys} | _GROUPED)
    for part in parts:
        groups = part.group_by(keys).agg(
            pl.len().cast(pl.Int64).alias("records"),
            pl.col("mark").is_null().sum().cast(pl.Int64).alias("open"),
            pl.col("reject").min().alias("example"),
        )
        both = pl.concat([counted, groups]).group_by(keys)
        counted = both.agg(pl.col("records", "open").sum(), pl.col("example").min())
    return counted.sort(
        ["open", "records", *keys],
        descending=[True, True, *(False for _ in keys)],
        nulls_last=True,
    )


def export_rejects(
    parts: Iterable[pl.DataFrame], folder: Path, form: str
) -> tuple[int, list[Path]]:
    """Writes the files rejects-permanent and rejects-transient in `folder`, as `ndjson` or `csv`; gives their rows.

    **Guarantees**: in CSV no text begins as a formula does, so that a spreadsheet runs nothing. Only one part is in
    memory at a time.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    paths = [folder / f"rejects-{kind}.{form}" for kind in (PERMANENT, TRANSIENT)]
    rows = 0
    with ExitStack() as stack:
        temporaries = [stack.enter_context(replacing(path)) for path in paths]
        files = [stack.enter_context(temporary.open("wb")) for temporary in temporaries]
        # What has no rows has a head all the same.
        nothing = with_requests(pl.DataFrame(schema=SCHEMA), ())
        for number, part in enumerate(chain([nothing], parts)):
            rows += part.height
            for kind, file in zip((PERMANENT, TRANSIENT), files, strict=True):
                some = part.filter(pl.col("kind") == kind)
                if form == "csv":
                    write_csv(some, file, has_head=number == 0)
                else:
                    some.write_ndjson(file)
    return rows, paths


def with_requests(rejects: pl.DataFrame, failures: Iterable[Failure]) -> pl.DataFrame:
    """The rejects with `requests`: the ids by which the service knows the failed requests of their batch.

    Null where no request of the batch has failed, as for what the plan rejects.
    """
    ids: dict[tuple[str, int], list[str]] = {}
    for failure in failures:
        ids.setdefault((failure.dataset, failure.batch), []).append(failure.request_id)
    rows = [(*batch, " ".join(dict.fromkeys(filter(None, some)))) for batch, some in ids.items()]
    schema = {"dataset": pl.String, "batch": pl.Int64, "requests": pl.String}
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return rejects.join(table, on=["dataset", "batch"], how="left", maintain_order="left")


def _of_plan(plan: Plan, dataset: str) -> Iterator[pl.DataFrame]:
    file = plan.file(dataset, "rejects.parquet")
    if not file.exists():
        return
    scan = parquet.scan(file)
    start = 0
    while (frame := scan.slice(start, _FRAME_ROWS).collect()).height:
        rows = frame.with_row_index("row", offset=start)
        start += frame.height
        yield rows.select(
            pl.format("{}/p{}", pl.lit(dataset), "row").alias("reject"),
            pl.lit(dataset).alias("dataset"),
            pl.lit("plan").alias("stage"),
            pl.lit(PERMANENT).alias("kind"),
            pl.col("rule").alias("reason"),
            "column",
            "resource",
            "source",
            "id",
            "position",
            pl.lit(None).alias("key"),
            "value",
            *(pl.lit(None).alias(name) for name in ("status", "batch", "payload", "mark", "note")),
        ).cast(SCHEMA)  # type: ignore[arg-type]  # polars types its own schema too narrowly


def _of_load(plan: Plan, dataset: str, view: LedgerView) -> Iterator[pl.DataFrame]:
    file = plan.file(dataset, "records.parquet")
    schema = {name: SCHEMA[name] for name in ("reject", "kind", "reason", "status", "batch")}
    schema["place"] = pl.Int64()
    for rows in chain(_refused(plan.name, dataset, view), _waiting(plan, dataset, view)):
        yield _with_records(pl.DataFrame(rows, schema=schema, orient="row"), dataset, file)


def _with_records(rejects: pl.DataFrame, dataset: str, file: Path) -> pl.DataFrame:
    """The rejects of a load with what the plan's file has of their records."""
    batches = rejects["batch"].unique()
    records = (
        parquet.scan(file)
        # The file is in the order of its batches: of the others no row is read.
        .filter(pl.col("batch").is_between(batches.min(), batches.max()))
        .select(
            pl.col("batch").cast(pl.Int64),
            pl.col("position").cast(pl.Int64).alias("place"),
            "key",
            "payload",
            pl.col("sources").list.first().alias("first"),
        )
        .filter(pl.col("batch").is_in(batches.to_list()))
    )
    joined = (
        rejects.lazy()
        .join(records, on=["batch", "place"], how="left", maintain_order="left")
        .unnest("first")
    )
    fixed = {"dataset": dataset, "stage": "load"}
    return joined.select(
        (pl.col(name) if name in _JOINED else pl.lit(fixed.get(name)).alias(name)).cast(kind)
        for name, kind in SCHEMA.items()
    ).collect()


_JOINED = frozenset(
    (
        "reject",
        "kind",
        "reason",
        "status",
        "batch",
        "key",
        "payload",
        "resource",
        "source",
        "id",
        "position",
    )
)
_LoadRow = tuple[str, str, str | None, int | None, int, int]
"""Name, kind, reason, status, batch and place of a reject of a load."""


def _refused(plan: str, dataset: str, view: LedgerView) -> Iterator[list[_LoadRow]]:
    rows: list[_LoadRow] = []
    for record in view.settled(plan, dataset, "rejected"):
        name = f"{dataset}/l{record.batch}.{record.position}"
        rows.append((name, PERMANENT, record.error, record.status, record.batch, record.position))
        if len(rows) >= _LOAD_ROWS:
            yield rows
            rows = []
    if rows:
        yield rows


def _waiting(plan: Plan, dataset: str, view: LedgerView) -> Iterator[list[_LoadRow]]:
    left = [entry for entry in view.unfinished(plan.name, dataset) if entry[1] in _WAITING]
    places = parquet.scan(plan.file(dataset, "records.parquet")).select("batch", "position")
    for start in range(0, len(left), _LOAD_BATCHES):
        some = {batch: (state, done) for batch, state, done in left[start : start + _LOAD_BATCHES]}
        inside = pl.col("batch").is_between(min(some), max(some)) & pl.col("batch").is_in(
            list(some)
        )
        rows: list[_LoadRow] = []
        for batch, position in places.filter(inside).collect().iter_rows():
            state, done = some[batch]
            if position not in done:
                name = f"{dataset}/t{batch}.{position}"
                rows.append((name, TRANSIENT, _WAITING[state], None, batch, position))
        if rows:
            yield rows


def _marked(rejects: pl.DataFrame, plan: str, view: LedgerView) -> pl.DataFrame:
    marks = view.reject_marks(plan, rejects["reject"])
    if not marks:
        return rejects
    schema = {"reject": pl.String, "mark": pl.String, "note": pl.String}
    table = pl.DataFrame(marks, schema=schema, orient="row")
    return (
        rejects.drop("mark", "note")
        .join(table, on="reject", how="left", maintain_order="left")
        .select(list(SCHEMA))
    )
