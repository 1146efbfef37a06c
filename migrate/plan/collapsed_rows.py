"""The rows that a dataset ends with: one a key, with all that went into it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import polars as pl

from migrate.mapping.model import Mapping
from migrate.plan.batches import large_rows
from migrate.plan.collapse import CREATED, LOSERS, CollapseRule, collapse_rows
from migrate.plan.files import SOURCES
from migrate.plan.keys import repeated_hashes
from migrate.plan.partitions import Partitions, PartitionSet, read_ahead
from migrate.plan.rows import MappedRows, Narrow, as_rejects

PART_ROWS = 150_000
"""So many rows that share their key with others are in memory at once."""


@dataclass(frozen=True)
class FinalRows:
    """A `Table` of the final rows: those alone with their key in the order of the snapshot, then the survivors.

    `alone`: which accepted rows are. `survivors` have the columns of the accepted ones, `_row` of the winner and
    `_sources`. `touched` tells by place which rows are planned; None where all are.
    """

    accepted: Partitions
    alone: pl.Series
    survivors: Partitions
    touched: pl.Series | None = None

    @property
    def height(self) -> int:
        """How many rows there are."""
        return int(self.alone.sum()) + self.survivors.height

    @property
    def rows(self) -> pl.Series:
        """The place among the accepted rows that each row or its winner had."""
        merged = self.survivors.column("_row")
        single = self.alone.arg_true()
        if merged is None:
            return single
        return pl.concat([single, merged.cast(single.dtype)])

    @property
    def names(self) -> Collection[str]:
        """The columns there are."""
        return self.accepted.names

    def frames(self, names: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows part by part, at least one; `_sources` is null where a row is of one record, which it names."""
        wanted = [*(self.accepted.schema if names is None else names)]
        nothing = pl.DataFrame(schema={name: self.accepted.schema[name] for name in wanted})
        at = 0
        for frame in chain((nothing,), self.accepted.frames(wanted)):
            yield frame.filter(self.alone.slice(at, frame.height)).with_columns(_nobody_else())
            at += frame.height
        yield from self.survivors.frames([*wanted, "_sources"])

    def clear(self) -> None:
        """Removes what is on disk."""
        self.accepted.clear()
        self.survivors.clear()


def _nobody_else() -> pl.Expr:
    return pl.lit(None, SOURCES).alias("_sources")


@dataclass(frozen=True)
class CollapsedRows:
    """`rows`; what went into others (`losers`, as `collapse_rows` tells them); what fits in no request (`large`).

    `outside`: accepted rows of groups that no change has touched. `unsendable`: `resource, source, id` of every
    record that went into a row which fits in no request.
    """

    rows: FinalRows
    losers: Partitions
    large: pl.DataFrame
    outside: int
    unsendable: pl.DataFrame


def finish_rows(
    mapping: Mapping, mapped: MappedRows, folder: Path, batch_bytes: int, before: pl.Series
) -> CollapsedRows:
    """The mapped rows with those of one key made one; a row that no request can carry is rejected, `too_large`.

    `before`: hashes of keys that changed records had in the base; their groups have lost a member, and are touched.

    **Guarantees**: in memory beside a few bytes a row are only rows that share their key, some at a time.
    """
    narrow = _whole_groups(mapped.narrow, before)
    # Most keys stand on one row; only those that may not be alone are brought together in memory.
    shared = repeated_hashes(narrow.keys)
    survivors = Partitions(folder / "survivors")
    losers = Partitions(folder / "collapsed")
    survivors.know(
        {
            **mapped.accepted.schema,
            "_row": pl.UInt32(),
            "_touched": pl.Boolean(),
            "_sources": SOURCES,
        }
    )
    losers.know(LOSERS)
    merging = _Merging(mapping, batch_bytes, survivors, losers)
    for group in read_ahead(_shared_rows(mapped.accepted, shared, narrow, folder)):
        merging.add(group)
    alone = ~shared
    too_large = mapped.large.filter(alone.gather(mapped.large.get_column("_at")))
    alone = alone.scatter(too_large.get_column("_at"), False)
    unsendable = pl.concat([_own_source(too_large), *merging.unsendable])
    touched = None
    if narrow.touched is not None:
        too_large = too_large.filter(narrow.touched.gather(too_large.get_column("_at")))
        theirs = survivors.column("_touched")
        touched = pl.concat([narrow.touched.filter(alone), *([] if theirs is None else [theirs])])
    large = pl.concat([as_rejects(_named(frame)) for frame in (too_large, *merging.large)])
    if narrow.touched is None:
        outside = 0
    else:
        outside = int((~narrow.touched).sum())
    return CollapsedRows(
        FinalRows(mapped.accepted, alone, survivors, touched), losers, large, outside, unsendable
    )


def _whole_groups(narrow: Narrow, before: pl.Series) -> Narrow:
    """A group is touched as one: where any of its rows is, or where it has lost one."""
    if narrow.touched is None:
        return narrow
    every = narrow.keys
    keys = pl.concat([every.filter(narrow.touched), before]).unique()
    return replace(narrow, touched=every.is_in(keys.implode()))


def _shared_rows(
    accepted: Partitions, shared: pl.Series, narrow: Narrow, folder: Path
) -> Iterator[pl.DataFrame]:
    """The shared rows with `_row` and `_touched`, all rows of a key in one frame."""
    together = _parts_of(narrow.keys.filter(shared))
    created = narrow.created
    sizes = together.value_counts().sort(together.name).get_column("count").to_list()
    buckets = PartitionSet(folder / "shared", len(sizes))
    done = 0
    for rows in read_ahead(accepted.picked(shared)):
        row = rows.get_column("_row")
        touched = pl.lit(value=True) if narrow.touched is None else narrow.touched.gather(row)
        known = rows.with_columns(touched.alias("_touched"), created.gather(row))
        buckets.add(known, together.slice(done, rows.height))
        done += rows.height
        yield from buckets.take_full(sizes)


def _parts_of(keys: pl.Series) -> pl.Series:
    """The part from 0 in which each of the shared rows is merged: keys go together in the order of their first rows.

    Hashes tell which rows belong together, and nothing of the order: they are another machine's own.
    """
    count = -(-len(keys) // PART_ROWS)
    if count <= 1:
        return pl.Series([0], dtype=pl.UInt32).new_from_index(0, len(keys))
    groups = keys.rename("key").unique(maintain_order=True).to_frame().with_row_index("part")
    # without gaps, though one key may have rows for several parts
    part = (pl.col("part").cast(pl.UInt64) * count // groups.height).rle_id()
    rows = keys.rename("key").to_frame()
    parts = groups.with_columns(part)
    return rows.join(parts, on="key", how="left", maintain_order="left").get_column("part")


@dataclass
class _Merging:
    """Groups of rows on their way to one row each."""

    mapping: Mapping
    batch_bytes: int
    survivors: Partitions
    losers: Partitions
    large: list[pl.DataFrame] = field(default_factory=list)
    unsendable: list[pl.DataFrame] = field(default_factory=list)

    def add(self, rows: pl.DataFrame) -> None:
        """Makes the rows of each key one. What an untouched group lost long ago is not told again."""
        touched = rows.get_column("_touched")
        if touched.all():
            self._collapse(rows, told=True)
            return
        self._collapse(rows.filter(touched), told=True)
        self._collapse(rows.filter(~touched), told=False)

    def _collapse(self, rows: pl.DataFrame, *, told: bool) -> None:
        mapping = self.mapping
        collapsed = collapse_rows(
            rows, list(mapping.columns), collapse_rule(mapping), mapping.resources, drop=(CREATED,)
        )
        large = large_rows(self.mapping, collapsed.rows, self.batch_bytes)
        fits = (
            pl.Series([True])
            .new_from_index(0, collapsed.rows.height)
            .scatter(large.get_column("_at"), False)
        )
        self.survivors.add(collapsed.rows.filter(fits) if large.height else collapsed.rows)
        if large.height:
            self.unsendable.append(_all_sources(collapsed.rows.filter(~fits)))
        if told:
            self.losers.add(collapsed.losers)
            self.large.append(large)


def collapse_rule(mapping: Mapping, columns: Collection[str] | None = None) -> CollapseRule:
    """How rows of one key become one, of all columns or of some."""
    kept = mapping.columns if columns is None else columns
    consents = [n for n, column in mapping.columns.items() if column.consent and n in kept]
    how = mapping.collapse
    return CollapseRule(how.by, how.source_order, how.fill_gaps, consents)


def _all_sources(rows: pl.DataFrame) -> pl.DataFrame:
    who = rows.select(pl.col("_sources").explode()).unnest("_sources")
    return who.select("resource", "source", "id")


def _own_source(large: pl.DataFrame) -> pl.DataFrame:
    return large.select("resource", pl.col("_source").alias("source"), pl.col("_id").alias("id"))


def _named(large: pl.DataFrame) -> pl.DataFrame:
    return large.with_columns(rule=pl.lit("too_large"), column=pl.lit(None, pl.String))
