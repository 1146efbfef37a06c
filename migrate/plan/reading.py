"""What the target holds now, exported once page by page to `before-*.parquet`.

Pages are asked for in ascending order of modification, so that what is written meanwhile moves to the end. A row that
was written while it was read stands on two pages or on none: the same masterid comes twice, or the rows read are not
the rows counted. Then the pages are read again, and each row counts as it was read last: a row that one round has
missed, the other has seen. What only an earlier round has seen is looked up alone, since it may be gone.

**Source**: Octolis Data API, "Export records": 50,000 rows a page at most, no total and no next page; "Count records".
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Protocol

import polars as pl

from migrate import parquet
from migrate.errors import Interrupted, RemoteError
from migrate.names import MASTERID
from migrate.plan.document import PlannedFile, TargetReading
from migrate.plan.reading_state import (
    ReadingPlace,
    Round,
    State,
    is_each_once,
    keep_last_of_each,
    masterids_of,
    resume_state,
)
from migrate.plan.tables import ParquetTable
from migrate.progress import Progress

# The service's own maximum: a page costs one point, however many rows it has.
PAGE_ROWS = 50_000
# A target that is written to all the time never settles: then the report says so.
ROUNDS = 3
_LOOKED_UP = 100
__all__ = [
    "MASTERID",
    "PAGE_ROWS",
    "ROUNDS",
    "Held",
    "ReadingPlace",
    "TargetReader",
    "parse_page",
    "read_target",
]


class Counted(Protocol):
    """An answer of the count endpoint."""

    @property
    def count(self) -> int:
        """Rows in the dataset."""


class TargetReader(Protocol):
    """The reads that a plan needs; none changes anything."""

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Counted:
        """Rows in the dataset, as the count endpoint tells."""

    def export_csv(self, dataset_id: str, page: int, page_size: int = PAGE_ROWS) -> bytes:
        """One page of the export with a header, in ascending order; pages count from 1."""

    def get_record(self, dataset_id: str, masterid: str) -> Mapping[str, Any] | None:
        """One record, None when there is none of that masterid."""


@dataclass(frozen=True)
class Held:
    """The rows of the target, oldest modification first, each once, read from the files one after the other."""

    folder: Path
    reading: TargetReading

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self.reading.rows

    @property
    def names(self) -> Collection[str]:
        """The columns that the export shows."""
        return self.reading.columns

    def frames(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns as texts, file by file."""
        files = [self.folder / file.path for file in self.reading.files]
        return ParquetTable(files, self.names, self.height).frames(names)


def read_target(
    target: TargetReader,
    place: ReadingPlace,
    progress: Progress,
    stop: Event,
    page_rows: int = PAGE_ROWS,
) -> Held:
    """The dataset's rows; pages are read again up to twice where rows moved meanwhile, then recorded as moving.

    Pages that an interrupted plan has left in the folder are not asked for again: within a quarter of an hour, and
    where it had read all of them, only as long as the target has as many rows as then and the same one at the end.

    **Raises** Interrupted between two pages when `stop` is set; RemoteError where the export is no CSV.
    """
    state = resume_state(
        place, page_rows, lambda found: _still_holds(target, place, found, progress)
    )
    if not state.rounds:
        _begin_round(target, place, state)
    while state.reading is None:
        if not state.rounds[-1].ended:
            _read_round(target, place, state, progress, stop)
        state.reading = _judge(target, place, state)
        if state.reading is None:
            progress.note(
                f"{place.dataset}: rows of the target moved while they were read; reading it again"
            )
            _begin_round(target, place, state)
    state.save(place)
    return Held(place.plan_folder, state.reading)


def _still_holds(
    target: TargetReader, place: ReadingPlace, state: State, progress: Progress
) -> bool:
    """Whether the target is what rounds that have ended read, by two requests: its count, and its last row.

    What was written since stands at the end of the export, in ascending order of modification.
    """
    files, count = state.files, state.rounds[-1].rows
    if state.reading is not None:
        files = [*state.reading.files]
        count = state.reading.count
    moving = state.reading is not None and state.reading.moving
    if (
        not moving
        and target.count(place.dataset_id).count == count
        and _same_end(target, place, files, count)
    ):
        return True
    progress.note(f"{place.dataset}: the target was written to since it was read; reading it again")
    return False


def _same_end(
    target: TargetReader, place: ReadingPlace, files: Sequence[PlannedFile], count: int
) -> bool:
    """Whether the last row of the export is, to the letter, the last one of the pages."""
    if not files or not count:
        return not files and not count
    # With pages of one row the last page has the number of the count: one point instead of all pages.
    last = parse_page(target.export_csv(place.dataset_id, count, 1), place.dataset)
    kept = parquet.read(place.plan_folder / files[-1].path)[-1:]
    return (
        last.height == 1
        and set(last.columns) == set(kept.columns)
        and last.select(kept.columns).row(0) == kept.row(0)
    )


def _begin_round(target: TargetReader, place: ReadingPlace, state: State) -> None:
    state.rounds.append(Round(counted=target.count(place.dataset_id).count))
    state.save(place)


def _read_round(
    target: TargetReader, place: ReadingPlace, state: State, progress: Progress, stop: Event
) -> None:
    """Reads the pages up to an empty one, or to a short one once as many rows have come as were counted.

    A page is written while the next one is asked for; never more than one waits to be written.
    """
    one = state.rounds[-1]
    rows_a_page = state.page_rows
    number = len(one.pages)
    rows = one.rows
    ended = False
    task = f"read target {place.dataset}"
    progress.begin(task, total=one.counted, unit="rows", done=rows)
    written: Future[None] | None = None
    with ThreadPoolExecutor(1) as writer:
        while not ended:
            if stop.is_set():
                raise Interrupted(
                    f"stopped while reading {place.dataset} from the target; nothing was sent"
                )
            number += 1
            page = parse_page(
                target.export_csv(place.dataset_id, number, rows_a_page), place.dataset
            )
            rows += page.height
            # The export tells no total and no next page: a short page ends it only once all that was counted has come.
            ended = not page.height or (page.height < rows_a_page and rows >= one.counted)
            if written:
                written.result()
            state.columns = same_header(state.columns, page, place.dataset)
            if page.height:
                written = writer.submit(state.add_page, place, page, ends=ended)
                # Others write meanwhile: more may come than was counted.
                progress.advance(task, page.height, total=max(one.counted, rows))
        if written:
            written.result()
    one.ended = True
    progress.advance(task, 0, total=rows)
    progress.end(task)


def _judge(target: TargetReader, place: ReadingPlace, state: State) -> TargetReading | None:
    """The reading, where the rounds give one: all rows counted and each read once; None where to read again."""
    after = target.count(place.dataset_id).count
    last = state.rounds[-1]
    if last.rows == last.counted == after and is_each_once(last.pages, place.plan_folder):
        earlier = len(state.files) - len(last.pages)
        for page in state.files[:earlier]:
            (place.plan_folder / page.path).unlink()
        return _reading(state, after, tuple(last.pages), moving=False)
    if len(state.rounds) == 1:
        return None
    gone = _gone(target, place, state, masterids_of(last.pages, place.plan_folder))
    alive = masterids_of(state.files, place.plan_folder).n_unique() - len(gone)
    if alive != after and len(state.rounds) < ROUNDS:
        return None
    return _reading(
        state, after, keep_last_of_each(state.files, gone, place), moving=alive != after
    )


def _gone(target: TargetReader, place: ReadingPlace, state: State, last_ids: pl.Series) -> set[str]:
    """Those rows of earlier rounds which the last one has not seen and which the target no longer has.

    More than a hundred are not looked up one by one: that many are no drift.
    """
    seen = masterids_of(state.files, place.plan_folder).unique(maintain_order=True)
    missed = seen.filter(~seen.is_in(last_ids.implode())).to_list()
    if len(missed) > _LOOKED_UP:
        return set()
    return {
        masterid for masterid in missed if target.get_record(place.dataset_id, masterid) is None
    }


def _reading(state: State, count: int, files: tuple[Any, ...], *, moving: bool) -> TargetReading:
    return TargetReading(
        rows=sum(file.rows for file in files),
        count=count,
        files=files,
        columns=state.columns,
        repeated_keys=0,
        moving=moving,
        reread=sum(len(one.pages) for one in state.rounds[1:]),
    )


def parse_page(body: bytes, dataset: str) -> pl.DataFrame:
    """One page as texts: an empty field without quotes is null, with quotes ''.

    **Raises** RemoteError where the body is no CSV with a `__masterid__` column.
    """
    if not body.strip():
        return pl.DataFrame()
    try:
        # As texts: an id keeps its leading zeros, and a number every digit.
        page = pl.read_csv(body, infer_schema=False)
    except pl.exceptions.PolarsError:
        page = pl.DataFrame()
    if MASTERID not in page.columns:
        raise RemoteError(
            f"the export of dataset {dataset!r} is not a CSV with a {MASTERID} column",
            hint="check octolis.base_url and the dataset's id in migrate.toml, or plan with --offline",
        )
    return page


def same_header(header: tuple[str, ...], page: pl.DataFrame, dataset: str) -> tuple[str, ...]:
    """The header of all pages. Raises RemoteError where one has other columns: the dataset's structure was changed."""
    if header and page.height and set(page.columns) != set(header):
        raise RemoteError(
            f"the columns of dataset {dataset!r} changed while it was read",
            hint="run `migrate plan` again",
        )
    return header or tuple(page.columns)
