"""Rows in memory or in Parquet files, of which some at a time are looked at: all of them would not fit."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from migrate import parquet


class PlanTable(Protocol):
    """Rows in a fixed order, part by part. The place of a row counts from 0."""

    @property
    def height(self) -> int:
        """How many rows there are."""

    @property
    def names(self) -> Collection[str]:
        """The columns there are."""

    def frames(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns that there are, and maybe others; some rows after others."""


@dataclass(frozen=True)
class FrameTable:
    """The rows of a frame."""

    frame: pl.DataFrame

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self.frame.height

    @property
    def names(self) -> Collection[str]:
        """The columns there are."""
        return self.frame.columns

    def frames(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns of the rows."""
        yield self.frame.select(names)


@dataclass(frozen=True)
class ParquetTable:
    """The rows of Parquet files one after another, with the same columns in any order; nothing is kept in memory."""

    files: Sequence[Path]
    names: Collection[str]
    height: int

    def frames(self, names: Sequence[str]) -> Iterator[pl.DataFrame]:
        """Columns of the rows, file by file; without files one part, of texts, without rows."""
        if not self.files:
            yield pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        for file in self.files:
            yield parquet.read(file, columns=names).select(names)


def texts_of(table: PlanTable, names: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Columns of texts, part by part; all null where the table has none of that name."""
    there = [name for name in names if name in table.names]
    if not there:
        nothing = pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        yield nothing.clear(table.height)
        return
    lacking = [pl.lit(None, pl.String).alias(name) for name in names if name not in table.names]
    for frame in table.frames(there):
        yield frame.select(*there, *lacking).select(names)


def in_chunks(frames: Iterable[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """The same rows in frames of `rows` each, the last one shorter."""
    waiting: list[pl.DataFrame] = []
    count = 0
    for frame in frames:
        left = frame
        while count + left.height >= rows:
            missing = rows - count
            yield pl.concat([*waiting, left[:missing]])
            left = left[missing:]
            waiting = []
            count = 0
        if left.height:
            waiting.append(left)
            count += left.height
    if waiting:
        yield pl.concat(waiting)


def rows_at(table: PlanTable, names: Sequence[str], places: pl.Series) -> pl.DataFrame:
    """A few rows by their places, in the order of these; all null where a place is."""
    picked = [pl.DataFrame(schema={"_at": pl.UInt32})]
    wanted = places.cast(pl.UInt32).drop_nulls().unique().sort()
    start = 0
    for frame in texts_of(table, names):
        end = start + frame.height
        mine = wanted.filter(wanted.is_between(start, end, closed="left"))
        if len(mine) or not start:
            picked.append(frame[mine - start].with_columns(mine.alias("_at")))
        start = end
    rows = pl.concat(picked, how="diagonal")
    asked = places.cast(pl.UInt32).alias("_at").to_frame()
    return asked.join(rows, on="_at", how="left", maintain_order="left").select(names)
