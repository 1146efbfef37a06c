"""What of the rows that were handed over the target holds as they would have been sent, read back by key.

Nothing counts as written because a file was taken: only a record that the target shows with every value of the row.
One that is not there, or shows another value, is `missing` or `different`; both may go by the API.

Both sides are cut into the same buckets by key and compared one after another, so memory does not grow with the rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.errors import Damaged
from migrate.load.files.rows import FileColumn, null_member
from migrate.load.handover import LeftRows
from migrate.names import ALL_MASTERIDS, MASTERID
from migrate.plan.compare import comparable, differing, read_text
from migrate.plan.partitions import HOLD_BYTES, Partitions

BUCKET_ROWS = 200_000
_CHUNK_ROWS = 50_000
CREATED_AT, UPDATED_AT = "__created_at__", "__updated_at__"
SYSTEM = (MASTERID, ALL_MASTERIDS, CREATED_AT, UPDATED_AT)
_EMPTIED = "_emptied:"


@dataclass(frozen=True)
class Sought:
    """The rows of one dataset that are looked for.

    `key`: its key's columns. `unsure`: columns that are not compared, since the target prepares them itself or takes
    no writes to them.
    """

    records: Path
    columns: Sequence[FileColumn]
    key: Collection[str]
    unsure: Collection[str]
    left: LeftRows


def compare_rows(
    sought: Sought, pages: Iterable[pl.DataFrame], folder: Path
) -> Iterator[pl.DataFrame]:
    """The rows bucket by bucket with what became of them. `pages`: the target's records as texts. Raises Damaged.

    **Shape**: `batch`, `position`, `key`, `change`; `reason`: null where the record is there as sent, else `missing` or
    `different`; `columns`: those that differ; the system columns of the record as texts, null where there is none.
    """
    buckets = max(1, -(-sought.left.rows // BUCKET_ROWS))
    shutil.rmtree(folder, ignore_errors=True)
    hold = HOLD_BYTES // buckets
    ours = [Partitions(folder / f"ours-{n}", hold) for n in range(buckets)]
    theirs = [Partitions(folder / f"theirs-{n}", hold) for n in range(buckets)]
    schema = parquet.schema(sought.records)
    kinds = {column.name: schema[column.stored] for column in sought.columns}
    keys = [name for name in kinds if name in sought.key]
    try:
        for frame in _planned(sought):
            _spill(ours, frame, [comparable(pl.col(_new(name)), kinds[name]) for name in keys])
        for page in pages:
            target_rows = _held_columns(page, kinds)
            _spill(
                theirs, target_rows, [read_text(pl.col(_old(name)), kinds[name]) for name in keys]
            )
        for one, other in zip(ours, theirs, strict=True):
            if one.height:
                yield _compare(one.whole(), other.whole(), kinds, keys, sought.unsure)
            one.clear()
            other.clear()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _planned(sought: Sought) -> Iterator[pl.DataFrame]:
    names = ["batch", "position", "key", "change"]
    emptied = [
        pl.col("payload").str.contains(null_member(c.name), literal=True).alias(_EMPTIED + c.name)
        for c in sought.columns
        if c.sends_null
    ]
    mapped = [pl.col(c.stored).alias(_new(c.name)) for c in sought.columns]
    try:
        scan = parquet.scan(sought.records).select(*names, *emptied, *mapped)
        for frame in scan.collect_batches(chunk_size=_CHUNK_ROWS, maintain_order=True):
            chosen = frame.filter(pl.col("batch").is_in(sought.left.batches.implode()))
            settled = sought.left.settled
            yield chosen.join(settled, on=["batch", "position"], how="anti")
    except (pl.exceptions.PolarsError, OSError) as error:
        why = f"{sought.records} cannot be read: {error!s:.300}"
        raise Damaged(why, hint="make a new plan with `migrate plan`") from None


def _new(name: str) -> str:
    return f"_new:{name}"


def _old(name: str) -> str:
    return f"_old:{name}"


def _held_columns(page: pl.DataFrame, kinds: Mapping[str, pl.DataType]) -> pl.DataFrame:
    nothing = pl.lit(None, pl.String)
    there = set(page.columns)
    system = [(pl.col(n) if n in there else nothing).alias(n) for n in SYSTEM]
    mapped = [(pl.col(n) if n in there else nothing).alias(_old(n)) for n in kinds]
    return page.select(*system, *mapped)


def _spill(buckets: Sequence[Partitions], frame: pl.DataFrame, key: Sequence[pl.Expr]) -> None:
    parts = [part.cast(pl.String).alias(f"_key:{n}") for n, part in enumerate(key)]
    # A record that lacks a part of its key is nobody's row.
    keyed = frame.with_columns(parts).drop_nulls([f"_key:{n}" for n in range(len(key))])
    # A fixed seed: a key has to fall into the same bucket on both sides.
    bucket = keyed.select(pl.struct(pl.col("^_key:.*$")).hash(7) % len(buckets)).to_series()
    for number, store in enumerate(buckets):
        store.add(keyed.filter(bucket == number) if len(buckets) > 1 else keyed)


def _compare(
    ours: pl.DataFrame,
    theirs: pl.DataFrame,
    kinds: Mapping[str, pl.DataType],
    keys: Sequence[str],
    unsure: Collection[str],
) -> pl.DataFrame:
    on = [name for name in ours.columns if name.startswith("_key:")]
    # A record that moved while pages were read stands in two of them: the later one is newer.
    last = theirs.unique(on, keep="last", maintain_order=True)
    joined = ours.join(last, on=on, how="left", maintain_order="left")
    is_there = joined.get_column(MASTERID).is_not_null()
    marks = []
    for name in kinds:
        if name in unsure or name in keys:
            continue
        new = joined.get_column(_new(name))
        if _EMPTIED + name in joined.columns:
            emptied = joined.get_column(_EMPTIED + name)
        else:
            emptied = None
        if emptied is None:
            sent = new.is_not_null()
        else:
            sent = new.is_not_null() | emptied
        pair = pl.DataFrame(
            {"new": new, "old": joined.get_column(_old(name)), "sent": sent & is_there}
        )
        marks.append(differing(pair, kinds[name]).alias(name))
    return joined.select(
        "batch", "position", "key", "change", *SYSTEM, _differing_names(marks, joined.height)
    ).with_columns(
        pl.when(pl.col(MASTERID).is_null())
        .then(pl.lit("missing"))
        .when(pl.col("columns").list.len() > 0)
        .then(pl.lit("different"))
        .alias("reason")
    )


def _differing_names(marks: Sequence[pl.Series], height: int) -> pl.Series:
    if not marks:
        return pl.Series("columns", [[]] * height, dtype=pl.List(pl.String))
    frame = pl.DataFrame(marks)
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in frame.columns]
    return frame.select(pl.concat_list(names).list.drop_nulls().alias("columns")).to_series()
