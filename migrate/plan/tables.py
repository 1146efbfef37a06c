"""Rows of which one column at a time is looked at: in memory or in Parquet files, where all of them would not fit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl

from migrate import parquet


class PlanTable(Protocol):
    """Rows in a fixed order, a column at a time."""

    @property
    def height(self) -> int:
        """How many rows there are."""

    def column(self, name: str) -> pl.Series | None:
        """One column, None where there is none of that name."""


@dataclass(frozen=True)
class FrameTable:
    """The rows of a frame."""

    frame: pl.DataFrame

    @property
    def height(self) -> int:
        """How many rows there are."""
        return self.frame.height

    def column(self, name: str) -> pl.Series | None:
        """One column, None where the frame has none of that name."""
        if name in self.frame.columns:
            return self.frame.get_column(name)
        return None


@dataclass(frozen=True)
class ParquetTable:
    """The rows of Parquet files one after another, with the same columns in any order; nothing is kept in memory."""

    files: Sequence[Path]
    names: Collection[str]
    height: int

    def column(self, name: str) -> pl.Series | None:
        """One column read from the files, None where they have none of that name or there are no files."""
        if name not in self.names or not self.files:
            return None
        return parquet.read(list(self.files), columns=[name]).get_column(name)


def texts_of(table: PlanTable, name: str) -> pl.Series:
    """One column of texts, all null where the table has none of that name; in one piece, to find rows fast."""
    column = table.column(name)
    missing = pl.Series(name, [None], dtype=pl.String)
    if column is None:
        return missing.new_from_index(0, table.height)
    return column.rechunk()
