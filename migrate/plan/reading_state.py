"""How far the reading of a dataset is, kept beside its pages: a killed plan goes on at the first page it lacks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from migrate import parquet
from migrate.names import MASTERID
from migrate.plan.document import PlannedFile, TargetReading
from migrate.plan.files import write_parquet
from migrate.workspace import sha256_file, write_bytes

STATE_FILE = "reading.json"
_FORMAT = 1
REUSABLE = timedelta(minutes=15)
"""How long after its last page a reading may be gone on with: what it holds is taken for what the target holds."""


@dataclass(frozen=True)
class ReadingPlace:
    """Where a reading goes: the dataset, its id, its folder and the plan's folder; `now`: the wall clock."""

    dataset: str
    dataset_id: str
    folder: Path
    plan_folder: Path
    now: Callable[[], datetime]


class Round(BaseModel):
    """One pass over all pages: what was counted before it, and the pages that are on disk."""

    counted: int
    pages: list[PlannedFile] = []
    ended: bool = False

    @property
    def rows(self) -> int:
        """Rows on the pages."""
        return sum(page.rows for page in self.pages)


class State(BaseModel):
    """The rounds so far; `reading` once they gave one. `saved`: when it was written last."""

    model_config = ConfigDict(extra="forbid")
    format: int = _FORMAT
    dataset_id: str
    page_rows: int
    columns: tuple[str, ...] = ()
    rounds: list[Round] = []
    reading: TargetReading | None = None
    saved: datetime | None = None

    @property
    def files(self) -> list[PlannedFile]:
        """The pages of all rounds, in the order in which they were read."""
        return list(chain.from_iterable(one.pages for one in self.rounds))

    def save(self, place: ReadingPlace) -> None:
        """Writes the state: called after each page is on disk."""
        self.saved = place.now()
        write_bytes(place.folder / STATE_FILE, self.model_dump_json().encode())

    def add_page(self, place: ReadingPlace, page: pl.DataFrame, *, ends: bool) -> None:
        """Writes a page and then says that it is there, and whether the round ends with it."""
        path = place.folder / f"before-{len(self.files) + 1:05d}.parquet"
        self.rounds[-1].pages.append(_write_page(page, path, place.plan_folder))
        self.rounds[-1].ended = ends
        self.save(place)


def resume_state(place: ReadingPlace, page_rows: int, holds: Callable[[State], bool]) -> State:
    """What an earlier process has just read of this dataset, where all of it is whole; else a fresh start.

    `holds` is asked of rounds that have ended whether the target is still what they read; those that have not are
    judged at their end.
    """
    fresh = State(dataset_id=place.dataset_id, page_rows=page_rows)
    try:
        state = State.model_validate_json((place.folder / STATE_FILE).read_bytes())
    except (OSError, ValidationError):
        state = fresh
    same = (state.format, state.dataset_id, state.page_rows) == (
        _FORMAT,
        place.dataset_id,
        page_rows,
    )
    if state.reading:
        files = state.reading.files
    else:
        files = tuple(state.files)
    whole = (
        same
        and _is_recent(state, place.now())
        and all(_is_whole(place.plan_folder, file) for file in files)
    )
    if not whole or (state.rounds and state.rounds[-1].ended and not holds(state)):
        state = fresh
        files = ()
    known = {file.path for file in files}
    for page in place.folder.glob("before-*.parquet"):
        if page.relative_to(place.plan_folder).as_posix() not in known:
            page.unlink()
    return state


def _is_recent(state: State, now: datetime) -> bool:
    try:
        # A time in the future tells that the clock was set back, and then nothing of the age.
        return state.saved is not None and timedelta() <= now - state.saved < REUSABLE
    except TypeError:  # a time without a zone is of nobody's writing
        return False


def _write_page(page: pl.DataFrame, path: Path, folder: Path) -> PlannedFile:
    """A page as one group of rows, lightly compressed: it is written once and read a column at a time."""
    return write_parquet(page, path, folder, level=1, rows_a_group=max(page.height, 1))


def _is_whole(folder: Path, file: PlannedFile) -> bool:
    path = folder / file.path
    return path.is_file() and path.stat().st_size == file.bytes and sha256_file(path) == file.sha256


def masterids_of(files: list[PlannedFile], plan_folder: Path) -> pl.Series:
    """The masterids on the pages, in order."""
    pages = [
        parquet.read(plan_folder / file.path, columns=[MASTERID]).to_series() for file in files
    ]
    return pl.concat([pl.Series(MASTERID, dtype=pl.String), *pages])


def is_each_once(files: list[PlannedFile], plan_folder: Path) -> bool:
    """Whether no masterid is on the pages twice. Different hashes prove it; where two are the same, the texts tell."""
    if not files:
        return True
    pages = parquet.scan([plan_folder / file.path for file in files])
    hashes = pages.select(pl.col(MASTERID).hash()).collect().to_series()
    return hashes.n_unique() == len(hashes) or masterids_of(files, plan_folder).n_unique() == len(
        hashes
    )


def keep_last_of_each(
    files: list[PlannedFile], gone: set[str], place: ReadingPlace
) -> tuple[PlannedFile, ...]:
    """The pages rewritten so that each masterid stands once, as it was read last, and those `gone` not at all."""
    ids = pl.DataFrame({"masterid": masterids_of(files, place.plan_folder)})
    places = ids.with_row_index("place").unique("masterid", keep="last", maintain_order=True)
    kept = places.filter(~pl.col("masterid").is_in(list(gone))).get_column("place")
    written: list[PlannedFile] = []
    start = 0
    for file in files:
        path = place.plan_folder / file.path
        mine = kept.filter((kept >= start) & (kept < start + file.rows)) - start
        start += file.rows
        if len(mine) < file.rows:
            page = parquet.read(path)[mine]
        else:
            page = None
        if page is None:
            written.append(file)
        elif page.height:
            written.append(_write_page(page, path, place.plan_folder))
        else:
            path.unlink()
    return tuple(written)
