"""What of a snapshot a plan is: a sample, a part, or all of it. One statement, asked of the records' identities.

A row is inside where any record that it is made of is; it is worked out from all of its records all the same, and what
it looks up is found wherever it is. So a row is the same in every plan that has it, and two parts that overlap send
nothing twice: the second finds the target as it would leave it.

What of a whole snapshot its parts cover is added up from the counts by source and day that each part carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain
from pathlib import Path
from typing import Protocol

import polars as pl

from migrate import parquet
from migrate.mapping.transform import Settings
from migrate.plan.collapse import CREATED_FIELDS, times_of
from migrate.plan.document import SCOPE_FOLDER, PartOf, PlannedFile, SampleOf
from migrate.plan.files import write_parquet

IDENTITIES = pl.Schema({"source": pl.String, "id": pl.String})
CELLS = pl.Schema({"resource": pl.String, "source": pl.String, "day": pl.Date, "records": pl.Int64})
"""How many records a source has of each day, null for no readable time, over the whole snapshot."""
WHOLE_FILE = "whole.parquet"
UPDATED_FIELDS = ("updated", "updated_at", "metadata.updated", "metadata.updated_at")
"""Where a record says when it was changed; one that does not was last changed when it was created."""


class Inside(Protocol):
    """Tells which records of a snapshot a plan is of."""

    @property
    def fields(self) -> tuple[str, ...]:
        """What it has to see of a record besides its identity."""

    def of(self, resource: str, records: pl.DataFrame) -> pl.Series:
        """True for each of the records that is inside."""


def are_among(
    rows: pl.DataFrame,
    known: pl.DataFrame,
    by: Sequence[str] = ("source", "id"),
    *,
    nulls_equal: bool = False,
) -> pl.Series:
    """True for each row whose columns `by` stand in `known`; a null stands for nothing, unless nulls are equal."""
    marked = known.select(by).unique().with_columns(pl.lit(value=True).alias("_among"))
    joined = rows.join(
        marked, on=list(by), how="left", nulls_equal=nulls_equal, maintain_order="left"
    )
    return joined.get_column("_among").fill_null(value=False)


@dataclass(frozen=True)
class InsideSample:
    """The records of a sample: `identities` by resource, with the columns of `IDENTITIES`."""

    identities: Mapping[str, pl.DataFrame]
    fields: tuple[str, ...] = ()

    def of(self, resource: str, records: pl.DataFrame) -> pl.Series:
        """True for each of the records that was drawn, or hangs together with one that was."""
        chosen = self.identities.get(resource, pl.DataFrame(schema=IDENTITIES))
        own = records.select(source="_source", id="_id")
        return are_among(own, chosen, nulls_equal=True)


@dataclass(frozen=True)
class InsidePart:
    """The records of some sources, of a span of days, or both; see `PartOf`."""

    part: PartOf
    settings: Settings

    @property
    def fields(self) -> tuple[str, ...]:
        """Where the time of a record stands, the first that has a value."""
        return part_fields(self.part) if self.part.has_days else ()

    def of(self, resource: str, records: pl.DataFrame) -> pl.Series:
        """True for each of the records that is of the part, whichever its resource."""
        del resource
        inside = pl.Series([True]).new_from_index(0, records.height)
        if self.part.sources:
            inside &= records.get_column("_source").fill_null("").is_in(list(self.part.sources))
        if not self.part.has_days:
            return inside
        times = part_times(self.part, records, self.settings)
        if self.part.first_day is not None:
            inside &= (times >= _midnight(self.part.first_day)).fill_null(value=False)
        if self.part.last_day is not None:
            end = _midnight(self.part.last_day + timedelta(days=1))
            # Without a readable time it belongs to the part that has no first day, so that every record is in one.
            inside &= (times < end).fill_null(value=self.part.first_day is None)
        return inside


def part_fields(part: PartOf) -> tuple[str, ...]:
    """The fields that say in which span of days a record is."""
    if part.field == "updated":
        return (*UPDATED_FIELDS, *CREATED_FIELDS)
    return CREATED_FIELDS


def part_times(part: PartOf, records: pl.DataFrame, settings: Settings) -> pl.Series:
    """The moment, in UTC, by which a part takes each record; null where it says none in a known spelling."""
    return times_of(records, part_fields(part), settings.timezones, settings.source_aliases)


def count_days(
    part: PartOf, resource: str, records: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """The records counted by source and day, as `CELLS`."""
    days = part_times(part, records, settings).dt.date().alias("day")
    return (
        records.select(pl.lit(resource).alias("resource"), pl.col("_source").alias("source"), days)
        .group_by("resource", "source", "day")
        .len("records")
        .cast(CELLS)
    )


def add_days(counted: list[pl.DataFrame]) -> pl.DataFrame:
    """Counts of several frames as one, in order."""
    every = pl.concat([pl.DataFrame(schema=CELLS), *counted])
    by = ["resource", "source", "day"]
    return every.group_by(by).agg(pl.col("records").sum()).sort(by, nulls_last=False)


def words_of_whole(cells: pl.DataFrame) -> str:
    """What sources and days a snapshot has, for whoever asked for a part that is empty."""
    sources = cells.get_column("source").fill_null("").unique().sort().to_list()
    days = cells.get_column("day").drop_nulls().sort().to_list()
    span = f", records of {days[0]} to {days[-1]}" if days else ""
    return f"it has the sources {', '.join(repr(name) for name in sources)}{span}"


def write_identities(
    identities: Mapping[str, pl.DataFrame], plan_folder: Path
) -> list[PlannedFile]:
    """Writes a sample's records, a file for each resource."""
    folder = plan_folder / SCOPE_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return [
        write_parquet(frame, folder / f"{resource}.parquet", plan_folder)
        for resource, frame in sorted(identities.items())
    ]


def write_days(cells: pl.DataFrame, plan_folder: Path) -> list[PlannedFile]:
    """Writes how many records the whole snapshot has by source and day."""
    folder = plan_folder / SCOPE_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    # Of the whole, in every part: from it `status` and `reconcile` add up what the parts cover.
    return [write_parquet(cells, folder / WHOLE_FILE, plan_folder)]


def read_inside(
    plan_folder: Path, scope: SampleOf | PartOf | None, settings: Settings
) -> Inside | None:
    """What tells which records a finished plan is of; None where it is of all."""
    if scope is None:
        return None
    if isinstance(scope, PartOf):
        return InsidePart(scope, settings)
    files = sorted((plan_folder / SCOPE_FOLDER).glob("*.parquet"))
    return InsideSample({file.stem: parquet.read(file) for file in files})


def _midnight(day: date) -> datetime:
    # naive and in UTC, as the times of records are
    return datetime.combine(day, time())


@dataclass(frozen=True)
class Gap:
    """Records that are in none of the parts: of one source, between two days in UTC.

    Both days are None for records without a readable time.
    """

    source: str | None
    first_day: date | None
    last_day: date | None
    records: int

    @property
    def told(self) -> str:
        """What is missing, as a reader is told."""
        days = f"from {self.first_day} to {self.last_day}"
        if self.first_day is None:
            days = "without a readable time"
        elif self.first_day == self.last_day:
            days = f"on {self.first_day}"
        return f"{self.source or '(none)'} {days}: {self.records:,}"


@dataclass(frozen=True)
class Covered:
    """How many of the `records` of a resource the parts have, and what is in none of them."""

    records: int
    inside: int
    gaps: tuple[Gap, ...] = ()


def add_parts(cells: pl.DataFrame, parts: Sequence[PartOf], *, is_whole: bool) -> Covered:
    """What parts have of one resource; `is_whole`: all of it is there anyway.

    A record that several parts have counts once. **Shape**: `cells` as `CELLS`, of one resource.
    """
    records = int(cells.get_column("records").sum())
    if is_whole:
        return Covered(records, records)
    covered = pl.lit(value=False)
    for part in parts:
        covered |= _is_of(part)
    marked = cells.with_columns(covered.alias("covered"))
    inside = int(marked.filter("covered").get_column("records").sum())
    by_source = marked.sort("source", "day", nulls_last=False).partition_by(
        "source", maintain_order=True
    )
    gaps = tuple(chain.from_iterable(map(_gaps, by_source)))
    return Covered(records, inside, gaps)


def _is_of(part: PartOf) -> pl.Expr:
    inside = pl.lit(value=True)
    if part.sources:
        inside &= pl.col("source").fill_null("").is_in(list(part.sources))
    if not part.has_days:
        return inside
    is_in_span = pl.lit(value=True)
    if part.first_day is not None:
        is_in_span &= pl.col("day") >= part.first_day
    if part.last_day is not None:
        is_in_span &= pl.col("day") <= part.last_day
    return inside & is_in_span.fill_null(value=part.first_day is None)


def _gaps(rows: pl.DataFrame) -> Iterator[Gap]:
    """The uncovered records of one source: those without a time, then each run of days that no part has."""
    # records without a time are no neighbours of any day
    runs = rows.with_columns(
        pl.struct("covered", pl.col("day").is_null().alias("timeless")).rle_id().alias("run")
    )
    for run in runs.filter(~pl.col("covered")).partition_by("run", maintain_order=True):
        days = run.get_column("day").to_list()
        yield Gap(run.item(0, "source"), days[0], days[-1], int(run.get_column("records").sum()))
