"""What of a whole snapshot its parts cover, added up from the counts by source and day that each part carries. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from migrate.plan.document import PartOf


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
    gaps = tuple(gap for rows in by_source for gap in _gaps(rows))
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
