"""A plan's Parquet files: their columns, and writing them so that the same rows give the same bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from migrate.plan.document import PlannedFile
from migrate.workspace import entry_of, replacing

SOURCE = pl.Struct({"resource": pl.String, "source": pl.String, "id": pl.String, "position": pl.Int64})
LEADING = {
    "batch": "_batch",
    "position": "_slot",
    "change": "_change",
    "key": "_key",
    "payload": "_payload",
    "sources": "_sources",
    "masterid": "_masterid",
    "changed": "_changed",
}
"""The columns of `records.parquet` before the mapped ones, and their names while the plan is made.

A mapping may have a column `position`: the working names begin with an underscore, which no mapped column does.
"""

ROWS_A_GROUP = 16_000
_PAGE_BYTES = 1 << 20


def stored_columns(columns: Iterable[str]) -> dict[str, str]:
    """The name each mapped column has in the plan's files: its own, after an underscore where that one is taken.

    No mapped column begins with an underscore: the mapping files are checked for that.
    """
    return {name: f"_{name}" if name in LEADING else name for name in columns}


def write_parquet(
    frame: pl.DataFrame, path: Path, folder: Path, level: int = 3, rows_a_group: int = ROWS_A_GROUP
) -> PlannedFile:
    """Writes `frame` whole or not at all, and gives its entry for `plan.json`.

    **Guarantees**: the same rows give the same bytes, however the frame is chunked and on any number of threads.
    """
    with replacing(path) as temporary:
        frame.rechunk().write_parquet(
            temporary,
            compression="zstd",
            compression_level=level,
            statistics=False,
            row_group_size=rows_a_group,
            data_page_size=_PAGE_BYTES,
        )
    with contextlib.suppress(OSError):
        path.chmod(0o600)
    entry = entry_of(path, folder, frame.height)
    return PlannedFile(path=entry.path, rows=entry.rows, bytes=entry.bytes, sha256=entry.sha256)
