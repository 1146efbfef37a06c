"""What a dataset of the target holds now, exported once page by page to `before-*.parquet`.

Pages are asked for in ascending order of modification, so that what is written meanwhile moves to the end. A row that
was written while it was read stands on two pages or on none: the same masterid comes twice, or the rows read are not
the rows counted. Then everything is read again.

**Source**: Octolis Data API, "Export records": 50,000 rows a page at most, no total and no next page; "Count records".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Protocol

import polars as pl

from migrate.errors import Interrupted, RemoteError
from migrate.plan.classify import MASTERID
from migrate.plan.document import PlannedFile, TargetReading
from migrate.plan.files import write_parquet
from migrate.progress import Progress

PAGE_ROWS = 50_000
ROUNDS = 3


class Counted(Protocol):
    """An answer of the count endpoint."""

    @property
    def count(self) -> int:
        """Rows in the dataset."""


class Target(Protocol):
    """The two reads that a plan needs; neither changes anything."""

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Counted:
        """Rows in the dataset, as the count endpoint tells."""

    def export_csv(self, dataset_id: str, page: int, page_size: int = PAGE_ROWS) -> bytes:
        """One page of the export with a header, in ascending order; pages count from 1."""


@dataclass(frozen=True)
class Held:
    """The rows of the target, oldest modification first, read from the files a column at a time.

    `kept` are the rows' places in the files where some came twice; None: all rows, as they stand.
    """

    folder: Path
    reading: TargetReading
    kept: pl.Series | None = None

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self.reading.rows

    def column(self, name: str) -> pl.Series | None:
        """One column as text, None where the export does not show it."""
        if name not in self.reading.columns:
            return None
        pages = [pl.read_parquet(self.folder / file.path, columns=[name]) for file in self.reading.files]
        whole = pl.concat([pl.DataFrame(schema={name: pl.String}), *pages]).get_column(name)
        return whole if self.kept is None else whole.gather(self.kept)


@dataclass(frozen=True)
class Place:
    """Where a reading goes: the dataset, its id, its folder and the plan's folder."""

    dataset: str
    dataset_id: str
    folder: Path
    plan_folder: Path


def read_target(target: Target, place: Place, progress: Progress, stop: Event, page_rows: int = PAGE_ROWS) -> Held:
    """The dataset's rows, read again up to three times where they moved meanwhile; then recorded as moving.

    **Raises** Interrupted between two pages when `stop` is set; RemoteError where the export is no CSV.
    """
    for attempt in range(1, ROUNDS + 1):
        held = _read_once(target, place, progress, stop, page_rows)
        if not held.reading.moving:
            break
        if attempt < ROUNDS:
            progress.note(f"{place.dataset}: rows of the target moved while they were read; reading it again")
    return held


def _read_once(target: Target, place: Place, progress: Progress, stop: Event, page_rows: int) -> Held:
    for old in place.folder.glob("before-*.parquet"):
        old.unlink()
    counted = target.count(place.dataset_id).count
    task = f"read target {place.dataset}"
    progress.begin(task, total=counted, unit="rows")
    masterids = pl.Series(dtype=pl.String)
    files: list[PlannedFile] = []
    header: tuple[str, ...] = ()
    for page in _pages(target, place, counted, stop, page_rows):
        header = _same_header(header, page, place.dataset)
        if page.height:
            path = place.folder / f"before-{len(files) + 1:05d}.parquet"
            files.append(write_parquet(page, path, place.plan_folder))
            masterids = pl.concat([masterids, page.get_column(MASTERID)])
            progress.advance(task, page.height)
    progress.end(task)
    after = target.count(place.dataset_id).count
    last = _last_of_each(masterids)
    reading = TargetReading(
        rows=len(masterids) if last is None else len(last),
        count=after,
        files=tuple(files),
        columns=header,
        repeated_keys=0,
        moving=last is not None or not counted == after == len(masterids),
    )
    return Held(place.plan_folder, reading, last)


def _same_header(header: tuple[str, ...], page: pl.DataFrame, dataset: str) -> tuple[str, ...]:
    """The header of all pages. Raises RemoteError where one has other columns: the dataset's structure was changed."""
    if header and page.height and set(page.columns) != set(header):
        raise RemoteError(
            f"the columns of dataset {dataset!r} changed while it was read", hint="run `migrate plan` again"
        )
    return header or tuple(page.columns)


def _last_of_each(masterids: pl.Series) -> pl.Series | None:
    """The places to keep where a masterid came twice: its last; None where none did."""
    if masterids.n_unique() == len(masterids):
        return None
    numbered = pl.DataFrame({"masterid": masterids}).with_row_index("place")
    return numbered.unique("masterid", keep="last", maintain_order=True).get_column("place")


def _pages(target: Target, place: Place, counted: int, stop: Event, page_rows: int) -> Iterator[pl.DataFrame]:
    """The pages up to an empty one, or to a short one once as many rows have come as were counted."""
    number, rows = 0, 0
    while True:
        if stop.is_set():
            raise Interrupted(f"stopped while reading {place.dataset} from the target; nothing was sent")
        number += 1
        page = parse_page(target.export_csv(place.dataset_id, number, page_rows), place.dataset)
        yield page
        rows += page.height
        if not page.height or (page.height < page_rows and rows >= counted):
            return


def parse_page(body: bytes, dataset: str) -> pl.DataFrame:
    """One page as texts: an empty field without quotes is null, with quotes ''.

    **Raises** RemoteError where the body is no CSV with a `__masterid__` column.
    """
    if not body.strip():
        return pl.DataFrame()
    try:
        page = pl.read_csv(BytesIO(body), infer_schema=False)
    except pl.exceptions.PolarsError:
        page = pl.DataFrame()
    if MASTERID not in page.columns:
        raise RemoteError(
            f"the export of dataset {dataset!r} is not a CSV with a {MASTERID} column",
            hint="check octolis.base_url and the dataset's id in migrate.toml, or plan with --offline",
        )
    return page
