"""The records that did not make it, of plan and load, in one frame.

Permanent ones broke a rule of the mapping or were refused by the service: sent again as they are, they would be again.
Transient ones were not taken for a reason that passes, or nobody can tell: `migrate load` sends them again. The two are
never mixed in one file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.errors import UsageError
from migrate.load.ledger_view import LedgerView
from migrate.load.totals import Failure
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
IDENTITY = ("dataset", "resource", "source", "id", "position")
_WAITING = {
    "deferred": "deferred: the dataset stayed busy",
    "unknown": "unknown: no answer told what became of it",
}


def read_rejects(plan: Plan, view: LedgerView | None) -> pl.DataFrame:
    """All rejects of a plan, those of the plan before those of the load.

    **Shape**: one row per rejected row of a mapping or record of a batch; `reject` names it: DATASET/p… for the plan,
    DATASET/l… for a refused record, DATASET/t… for a transient one. `payload` is what was sent. `mark` is `discarded`
    or `replayed`, null for one that is open.
    """
    frames = [pl.DataFrame(schema=SCHEMA)]
    for dataset in plan.document.datasets:
        frames.append(_of_plan(plan, dataset))
        if view is not None:
            frames.append(_of_load(plan, dataset, view))
    marks = {} if view is None else view.reject_marks(plan.name)
    return _marked(pl.concat(frames), marks)


def open_rejects(rejects: pl.DataFrame) -> pl.DataFrame:
    """Those that are neither discarded nor replayed."""
    return rejects.filter(pl.col("mark").is_null())


def chosen_rejects(rejects: pl.DataFrame, names: Sequence[str], reason: str | None) -> pl.DataFrame:
    """Those of the given names, or with `reason` in theirs; all when neither is given. Raises UsageError."""
    missing = sorted(set(names) - set(rejects["reject"]))
    if missing:
        raise UsageError(
            f"there is no reject {missing[0]!r:.120}",
            hint="`migrate rejects list` shows an example each",
        )
    if names:
        rejects = rejects.filter(pl.col("reject").is_in(list(names)))
    return (
        rejects
        if reason is None
        else rejects.filter(pl.col("reason").str.contains(reason, literal=True))
    )


def group_rejects(rejects: pl.DataFrame) -> pl.DataFrame:
    """One row per dataset, stage, reason and column: `records`, `open` of them, and an `example`; the most first."""
    keys = ["dataset", "stage", "kind", "reason", "column"]
    return (
        rejects.group_by(keys)
        .agg(
            pl.len().alias("records"),
            pl.col("mark").is_null().sum().alias("open"),
            pl.col("reject").sort().first().alias("example"),
        )
        .sort(
            ["open", "records", *keys],
            descending=[True, True, *(False for _ in keys)],
            nulls_last=True,
        )
    )


def export_rejects(rejects: pl.DataFrame, folder: Path, form: str) -> list[Path]:
    """The files rejects-permanent and rejects-transient in `folder`, as `ndjson` or `csv`.

    **Guarantees**: in CSV no text begins as a formula does, so that a spreadsheet runs nothing.
    """
    written = []
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for kind in (PERMANENT, TRANSIENT):
        some = rejects.filter(pl.col("kind") == kind)
        path = folder / f"rejects-{kind}.{form}"
        with replacing(path) as temporary:
            if form == "csv":
                write_csv(some, temporary)
            else:
                some.write_ndjson(temporary)
        written.append(path)
    return written


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


def _of_plan(plan: Plan, dataset: str) -> pl.DataFrame:
    file = plan.file(dataset, "rejects.parquet")
    if not file.exists():
        return pl.DataFrame(schema=SCHEMA)
    rows = parquet.read(file).with_row_index("row")
    return rows.select(
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


def _of_load(plan: Plan, dataset: str, view: LedgerView) -> pl.DataFrame:
    rows = [*_refused(plan.name, dataset, view), *_waiting(plan, dataset, view)]
    if not rows:
        return pl.DataFrame(schema=SCHEMA)
    schema = {name: SCHEMA[name] for name in ("reject", "kind", "reason", "status", "batch")}
    found = pl.DataFrame(rows, schema={**schema, "place": pl.Int64}, orient="row")
    records = (
        parquet.scan(plan.file(dataset, "records.parquet"))
        .select(
            pl.col("batch").cast(pl.Int64),
            pl.col("position").cast(pl.Int64).alias("place"),
            "key",
            "payload",
            pl.col("sources").list.first().alias("first"),
        )
        .filter(pl.col("batch").is_in(found["batch"].unique().to_list()))
    )
    joined = (
        found.lazy()
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


def _refused(plan: str, dataset: str, view: LedgerView) -> Iterator[tuple[object, ...]]:
    for record in view.settled(plan, dataset, "rejected"):
        name = f"{dataset}/l{record.batch}.{record.position}"
        yield name, PERMANENT, record.error, record.status, record.batch, record.position


def _waiting(plan: Plan, dataset: str, view: LedgerView) -> Iterator[tuple[object, ...]]:
    left = {
        batch: (state, done)
        for batch, state, done in view.unfinished(plan.name, dataset)
        if state in _WAITING
    }
    if not left:
        return
    places = (
        parquet.scan(plan.file(dataset, "records.parquet"))
        .select("batch", "position")
        .filter(pl.col("batch").is_in(list(left)))
        .collect()
    )
    for batch, position in places.iter_rows():
        state, done = left[batch]
        if position not in done:
            yield (
                f"{dataset}/t{batch}.{position}",
                TRANSIENT,
                _WAITING[state],
                None,
                batch,
                position,
            )


def _marked(rejects: pl.DataFrame, marks: Mapping[str, tuple[str, str]]) -> pl.DataFrame:
    if not marks:
        return rejects
    known: Iterable[tuple[str, str, str]] = (
        (name, mark, note) for name, (mark, note) in marks.items()
    )
    schema = {"reject": pl.String, "mark": pl.String, "note": pl.String}
    table = pl.DataFrame(list(known), schema=schema, orient="row")
    return (
        rejects.drop("mark", "note")
        .join(table, on="reject", how="left", maintain_order="left")
        .select(list(SCHEMA))
    )
