"""The versions of records that were left out because another one of the same record was kept.

`RESOURCE/doubles.parquet`: one row a version that differs from the one kept: `_source`, `_id`, `_page`,
`_raw`, `kept_page`, and `by_time`: the kept one says that it is newer, else it is in the later place.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from migrate import parquet
from migrate.snapshot.layout import DOUBLES, disk_errors
from migrate.snapshot.spool import Spool
from migrate.snapshot.survey import ChangedDuplicate
from migrate.workspace import FileEntry, entry_of, write_bytes


def write_doubles(spool: Spool, changed: Sequence[ChangedDuplicate], root: Path) -> list[FileEntry]:
    """The file, written, as the manifest in `root` lists it; none where there are no such versions."""
    path = spool.folder / DOUBLES
    if not changed:
        path.unlink(missing_ok=True)
        return []
    frame = _versions(spool, changed)
    buffer = io.BytesIO()
    parquet.write(frame, buffer, compression="zstd", statistics=False)
    with disk_errors(path, buffer.getbuffer().nbytes):
        write_bytes(path, buffer.getvalue())
    return [entry_of(path, root, frame.height)]


def _versions(spool: Spool, changed: Sequence[ChangedDuplicate]) -> pl.DataFrame:
    by_page: dict[int, list[ChangedDuplicate]] = defaultdict(list)
    for one in changed:
        by_page[one.page].append(one)
    frames = []
    for entry in spool.stored():
        ones = by_page.get(entry.number, [])
        if ones:
            records = spool.read(entry).rows([one.row for one in ones]).frame()
            kept = pl.Series("kept_page", [one.kept_page for one in ones], dtype=pl.Int64)
            frames.append(records.with_columns(kept, by_time=pl.Series([o.by_time for o in ones])))
    return pl.concat(frames)
