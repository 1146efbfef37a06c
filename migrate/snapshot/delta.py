"""What is new, changed, unchanged and gone since an earlier snapshot: by identity and hash of the record as sent."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from migrate.snapshot.layout import DeltaCounts, disk_errors
from migrate.snapshot.reading import SnapshotResource
from migrate.snapshot.spool import Spool
from migrate.workspace import FileEntry, entry_of, write_bytes

DELTA_FILE = "delta.parquet"
WHOLE_LIST = "the whole list, compared by hash"
NEWEST_FIRST = "newest first, until the watermark was passed"
_BASE = {"key": pl.UInt64, "before": pl.UInt64}
_READ = {"key": pl.UInt64, "now": pl.UInt64, "page": pl.Int64, "row": pl.UInt32, "_source": pl.String, "_id": pl.String}


@dataclass(frozen=True)
class Comparison:
    """The states of the records read, and which of their rows to leave out of the parts because they are unchanged.

    **Shape**: `states` has one row per record that is new, changed or gone: `_source`, `_id`, `state`.
    """

    counts: DeltaCounts
    states: pl.DataFrame
    left_out: Mapping[int, list[int]]


def compare(spool: Spool, left_out: Mapping[int, list[int]], base: SnapshotResource, how: str) -> Comparison:
    """The records in the spool, but for the rows `left_out`, beside those of an earlier snapshot.

    What is gone can be told only where the whole list was read.
    """
    before = pl.concat([pl.DataFrame(schema=_BASE), *_base_keys(base)]).unique("key", keep="last", maintain_order=True)
    read = pl.concat([pl.DataFrame(schema=_READ), *_read_keys(spool, left_out)])
    joined = read.join(before, on="key", how="left", maintain_order="left")
    state = (
        pl.when(pl.col("before").is_null())
        .then(pl.lit("new"))
        .when(pl.col("before") == pl.col("now"))
        .then(pl.lit("unchanged"))
        .otherwise(pl.lit("changed"))
    )
    found = joined.with_columns(state=state)
    tally = dict(found.group_by("state").len().iter_rows())
    gone_keys = before.join(read, on="key", how="anti")["key"]
    new, changed = tally.get("new", 0), tally.get("changed", 0)
    is_whole = how == WHOLE_LIST
    counts = DeltaCounts(
        new=new,
        changed=changed,
        unchanged=before.height - changed - (len(gone_keys) if is_whole else 0),
        gone=len(gone_keys) if is_whole else 0,
        how=how,
    )
    moved = found.filter(pl.col("state") != "unchanged").select("_source", "_id", "state")
    states = pl.concat([moved, _named(base, gone_keys)]) if is_whole else moved
    return Comparison(counts, states, _rows_of(found.filter(pl.col("state") == "unchanged"), left_out))


def write_states(states: pl.DataFrame, folder: Path, root: Path) -> FileEntry:
    """The file with the states, for the manifest in `root`."""
    buffer = io.BytesIO()
    states.write_parquet(buffer, compression="zstd", statistics=False)
    path = folder / DELTA_FILE
    with disk_errors(path, buffer.getbuffer().nbytes):
        write_bytes(path, buffer.getvalue())
    return entry_of(path, root, states.height)


def _key() -> pl.Expr:
    # Used within one process only: polars promises the same hash for no longer.
    return pl.when(pl.col("_id").is_null()).then(pl.col("_raw").hash(1)).otherwise(pl.struct("_source", "_id").hash())


def _content(name: str) -> pl.Expr:
    return pl.col("_raw").hash().alias(name)


def _base_keys(base: SnapshotResource) -> Iterator[pl.DataFrame]:
    for frame in base.frames([]):
        yield frame.select(_key().alias("key"), _content("before"))


def _read_keys(spool: Spool, left_out: Mapping[int, list[int]]) -> Iterator[pl.DataFrame]:
    for entry in spool.filled():
        frame = spool.read(entry).frame().with_row_index("row")
        frame = frame.filter(~pl.col("row").is_in(left_out.get(entry.number, [])))
        yield frame.select(_key().alias("key"), _content("now"), pl.col("_page").alias("page"), "row", "_source", "_id")


def _named(base: SnapshotResource, keys: pl.Series) -> pl.DataFrame:
    schema = {"_source": pl.String, "_id": pl.String, "state": pl.String}
    frames = [
        frame.filter(_key().is_in(keys.implode())).select("_source", "_id", state=pl.lit("gone"))
        for frame in base.frames([])
    ]
    return pl.concat([pl.DataFrame(schema=schema), *frames])


def _rows_of(unchanged: pl.DataFrame, left_out: Mapping[int, list[int]]) -> dict[int, list[int]]:
    rows = {page: list(rows) for page, rows in left_out.items()}
    for page, row in unchanged.select("page", "row").iter_rows():
        rows.setdefault(page, []).append(row)
    return rows
