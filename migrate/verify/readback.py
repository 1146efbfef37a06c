"""Every record of a dataset read back by CSV export, page by page, resumable; one point per 50,000 records."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Protocol

import polars as pl

from migrate.errors import Interrupted, RemoteError
from migrate.workspace import replacing, write_json

MASTERID, ALL_MASTERIDS = "__masterid__", "__all_masterids__"
CREATED_AT, MODIFIED_AT = "__created_at__", "__modified_at__"
PAGE_ROWS = 50_000
_KEPT_FOR = timedelta(hours=1)


class Count(Protocol):
    """A count as the client gives it."""

    @property
    def count(self) -> int:
        """The number of records."""


class Target(Protocol):
    """What is asked of the target: reads only."""

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Count:
        """The number of records, all or those equal to `filters`."""

    def export_csv(
        self,
        dataset_id: str,
        page: int,
        page_size: int = PAGE_ROWS,
        filters: Mapping[str, str] | None = None,
        selection: Sequence[str] | None = None,
    ) -> bytes:
        """One page as CSV with a header, least recently modified first; pages count from 1."""


@dataclass(frozen=True)
class Reading:
    """Where a reading goes and how it is stopped."""

    folder: Path
    now: Callable[[], datetime]
    stop: Event
    tick: Callable[[int], None]
    page_rows: int = PAGE_ROWS


def read_back(target: Target, dataset_id: str, reading: Reading) -> pl.DataFrame:
    """The dataset's records as texts, one row per masterid, least recently modified first.

    An interrupted reading goes on at its next page as long as the count has not changed and an hour has not passed;
    its pages stay in `folder` until `forget_reading`. **Raises**: Interrupted between two pages; RemoteError.
    """
    counted = target.count(dataset_id).count
    _begin(reading, counted)
    pages = sorted(reading.folder.glob("page-*.parquet"))
    rows = 0
    frames: list[pl.DataFrame] = []
    for page in pages:
        frames.append(pl.read_parquet(page))
        rows += frames[-1].height
    reading.tick(rows)
    while not _is_last(frames, rows, counted, reading.page_rows):
        if reading.stop.is_set():
            raise Interrupted("stopped while the target was read back; what was read is kept")
        number = len(frames) + 1
        frames.append(parse_page(target.export_csv(dataset_id, number, reading.page_rows), dataset_id))
        with replacing(reading.folder / f"page-{number:05d}.parquet") as temporary:
            frames[-1].write_parquet(temporary)
        rows += frames[-1].height
        reading.tick(frames[-1].height)
    return _one_per_masterid([frame for frame in frames if frame.height] or frames[:1])


def _is_last(frames: Sequence[pl.DataFrame], rows: int, counted: int, page_rows: int) -> bool:
    """Whether the last page was the end: an empty one, or a short one once all that was counted has come."""
    if not frames:
        return False
    return not frames[-1].height or (frames[-1].height < page_rows and rows >= counted)


def forget_reading(folder: Path) -> None:
    """Removes the pages of a reading, so that the next one starts anew."""
    shutil.rmtree(folder, ignore_errors=True)


def _begin(reading: Reading, counted: int) -> None:
    mark = reading.folder / "reading.json"
    now = reading.now()
    try:
        begun = json.loads(mark.read_bytes())
        kept = begun["count"] == counted and now - datetime.fromisoformat(begun["started"]) < _KEPT_FOR
    except (OSError, ValueError, KeyError, TypeError):
        kept = False
    if not kept:
        forget_reading(reading.folder)
        reading.folder.mkdir(parents=True, mode=0o700)
        write_json(mark, {"count": counted, "started": now.isoformat()})


def parse_page(body: bytes, dataset_id: str) -> pl.DataFrame:
    """One page as texts. Raises RemoteError where the body is no CSV with masterids."""
    try:
        page = pl.read_csv(BytesIO(body), infer_schema=False) if body.strip() else pl.DataFrame({MASTERID: []})
    except pl.exceptions.PolarsError:
        page = pl.DataFrame()
    if MASTERID not in page.columns:
        raise RemoteError(
            f"the export of dataset {dataset_id!r} is not a CSV with a {MASTERID} column",
            hint="check octolis.base_url and the dataset's id in migrate.toml",
        )
    return page.with_columns(pl.all().cast(pl.String))


def _one_per_masterid(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    whole = pl.concat(frames, how="diagonal")
    # a record that was modified meanwhile comes again at the end: its last version counts
    return whole.unique(MASTERID, keep="last", maintain_order=True)
