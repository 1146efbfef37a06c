"""Every record of a dataset read back by CSV export, page by page, resumable; one point per 50,000 records."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Protocol

import polars as pl

from migrate import parquet
from migrate.errors import Interrupted, RemoteError
from migrate.workspace import replacing, write_json

MASTERID, ALL_MASTERIDS = "__masterid__", "__all_masterids__"
CREATED_AT, MODIFIED_AT = "__created_at__", "__modified_at__"
UPDATED_AT = "__updated_at__"
PAGE_ROWS = 50_000
# The pages are a picture of the target at one time: what is older is too old to judge it by.
_KEPT_FOR = timedelta(hours=1)


def _folded(name: str) -> str:
    if name.startswith("__"):
        return name.replace("-", "").replace("_", "").lower()
    return ""


# the API's own pages write __masterid__ and __modified_at__, its help pages __master-Id__ and __modified-At__
_SYSTEM = {
    _folded(name): name for name in (MASTERID, ALL_MASTERIDS, CREATED_AT, MODIFIED_AT, UPDATED_AT)
}


class CountReading(Protocol):
    """A count as the client gives it."""

    @property
    def count(self) -> int:
        """The number of records."""


class Target(Protocol):
    """What is asked of the target: reads only."""

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> CountReading:
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
    """Where a reading goes, how it is stopped, and who hears how far it is.

    `begin` hears how many records are there already, and how many there will be; `tick` how many more have come, and
    how many there will be now.
    """

    folder: Path
    now: Callable[[], datetime]
    stop: Event
    begin: Callable[[int, int], None] = lambda _done, _total: None
    tick: Callable[[int, int], None] = lambda _records, _total: None
    page_rows: int = PAGE_ROWS


@dataclass(frozen=True)
class Pages:
    """A finished reading: its files in order, and which of their rows a later row of the same record replaces."""

    files: tuple[Path, ...]
    replaced: Mapping[int, frozenset[int]]

    def frames(self, columns: Collection[str] | None = None) -> Iterator[pl.DataFrame]:
        """The records page by page, each once and as it was read last; those of `columns` that are there."""
        for number, file in enumerate(self.files):
            frame = parquet.read(file)
            if number in self.replaced:
                frame = frame.filter(~pl.int_range(pl.len()).is_in(list(self.replaced[number])))
            yield (
                frame
                if columns is None
                else frame.select(name for name in frame.columns if name in columns)
            )

    def whole(self, columns: Collection[str] | None = None) -> pl.DataFrame:
        """All records in one frame, least recently modified first."""
        frames = list(self.frames(columns))
        return pl.concat([frame for frame in frames if frame.height] or frames[:1], how="diagonal")


def read_back(target: Target, dataset_id: str, reading: Reading) -> pl.DataFrame:
    """The dataset's records as texts, one row per masterid, least recently modified first. Raises as `read_pages`."""
    return read_pages(target, dataset_id, reading).whole()


def read_pages(target: Target, dataset_id: str, reading: Reading) -> Pages:
    """The dataset's records, kept page by page in `reading.folder`.

    An interrupted reading goes on at its next page as long as the count has not changed and an hour has not passed;
    its pages stay until `forget_reading`. **Raises**: Interrupted between two pages; RemoteError.
    """
    # Asked first, so that records which come while the pages are read are a surplus and no gap.
    counted = target.count(dataset_id).count
    _begin(reading, counted)
    files = sorted(reading.folder.glob("page-*.parquet"))
    heights = [parquet.scan(file).select(pl.len()).collect().item() for file in files]
    reading.begin(sum(heights), counted)
    while not _is_last(heights, counted, reading.page_rows):
        if reading.stop.is_set():
            raise Interrupted("stopped while the target was read back; what was read is kept")
        number = len(files) + 1
        page = parse_page(target.export_csv(dataset_id, number, reading.page_rows), dataset_id)
        files.append(reading.folder / f"page-{number:05d}.parquet")
        with replacing(files[-1]) as temporary:
            parquet.write(page, temporary, compression="lz4", statistics=False)
        heights.append(page.height)
        # Others write meanwhile: a page may bring more than was counted.
        reading.tick(page.height, max(counted, sum(heights)))
    reading.tick(0, sum(heights))
    return Pages(tuple(files), _replaced_rows(files))


def _is_last(heights: Sequence[int], counted: int, page_rows: int) -> bool:
    """Whether the last page was the end: an empty one, or a short one once all that was counted has come."""
    if not heights:
        return False
    return not heights[-1] or (heights[-1] < page_rows and sum(heights) >= counted)


def _replaced_rows(files: Sequence[Path]) -> dict[int, frozenset[int]]:
    """By page, the rows whose record comes again later: it was modified meanwhile, and its last version counts."""
    hashes = [
        parquet.read(file, columns=[MASTERID]).select(pl.col(MASTERID).hash(1)) for file in files
    ]
    pages = [
        frame.with_row_index("row").with_columns(page=pl.lit(n, pl.UInt32))
        for n, frame in enumerate(hashes)
    ]
    again = pl.concat(pages).filter(pl.col(MASTERID).is_duplicated())
    replaced: dict[int, set[int]] = {}
    seen: set[str] = set()
    # the last page first, and told apart by the masterid itself: two may share a hash
    for (number,), rows in sorted(again.partition_by("page", as_dict=True).items(), reverse=True):
        masterids = parquet.read(files[int(number)], columns=[MASTERID]).get_column(MASTERID)
        for row in sorted(rows.get_column("row"), reverse=True):
            if masterids[row] in seen:
                replaced.setdefault(int(number), set()).add(row)
            seen.add(masterids[row])
    return {number: frozenset(rows) for number, rows in replaced.items()}


def forget_reading(folder: Path) -> None:
    """Removes the pages of a reading, so that the next one starts anew."""
    shutil.rmtree(folder, ignore_errors=True)


def _begin(reading: Reading, counted: int) -> None:
    mark = reading.folder / "reading.json"
    now = reading.now()
    try:
        begun = json.loads(mark.read_bytes())
        kept = (
            begun["count"] == counted and now - datetime.fromisoformat(begun["started"]) < _KEPT_FOR
        )
    except (OSError, ValueError, KeyError, TypeError):
        kept = False
    if not kept:
        forget_reading(reading.folder)
        # What is read back is of people: for this user alone.
        reading.folder.mkdir(parents=True, mode=0o700)
        write_json(mark, {"count": counted, "started": now.isoformat()})


def parse_page(body: bytes, dataset_id: str) -> pl.DataFrame:
    """One page as texts. Raises RemoteError where the body is no CSV with masterids."""
    try:
        if body.strip():
            # All as text: a guessed type would read `007` as 7 and find differences that nobody made.
            page = pl.read_csv(BytesIO(body), infer_schema=False)
        else:
            page = pl.DataFrame({MASTERID: []})
        page = page.rename(
            {name: _SYSTEM[_folded(name)] for name in page.columns if _folded(name) in _SYSTEM}
        )
    except pl.exceptions.PolarsError:
        page = pl.DataFrame()
    # An error page with status 200 is no empty dataset.
    if MASTERID not in page.columns:
        raise RemoteError(
            f"the export of dataset {dataset_id!r} is not a CSV with a {MASTERID} column",
            hint="check octolis.base_url and the dataset's id in migrate.toml",
        )
    return page.with_columns(pl.all().cast(pl.String))
