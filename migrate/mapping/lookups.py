"""Rows of other datasets beside each row, found by the identity of the record they came from."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping as Dict
from dataclasses import dataclass

import polars as pl

from migrate.mapping.types import render

TOUCHED = "_touched"
WITHHELD = "_withheld"
"""Of a record that gave no row for a reason that may pass: who looks it up waits for it."""
GHOST = "_ghost"
"""Of a record that a delta has taken the row away from: it is found no more, and that is a change."""


@dataclass(frozen=True)
class LookedUp:
    """What a look-up found.

    **Shape.** `columns` has one row per row asked for, in the same order, text only; `orphan` is true where an id
    found nothing; `waiting` where it found a record that was withheld;
    `touched` where the row found says `_touched`, None where the table has no such column.
    """

    columns: pl.DataFrame
    orphan: pl.Series
    touched: pl.Series | None
    waiting: pl.Series


class LookupTable:
    """Another dataset's rows by the identity of the record each came from.

    **Shape.** `table` has `source`, `id`, the dataset's typed columns, and may have `_touched`, `_withheld`
    and `_ghost`; of
    two rows of one identity the first counts.
    `aliases` are other names of sources: the left name is treated as the right one. Where two records
    meet under one name, the first by the name of its own source counts, whatever order they come in.
    """

    def __init__(
        self, table: pl.DataFrame, columns: Collection[str], aliases: Dict[str, str]
    ) -> None:
        self._names = sorted(columns)
        self._aliases = aliases
        self._says_touched = table.schema.get(TOUCHED) == pl.Boolean
        rows = _as_text(table, self._names)
        self._exact = _once(rows)
        self._resolved = _once(_meeting(self._exact, aliases)) if aliases else None

    def find(self, source: pl.Series, record_id: pl.Series) -> LookedUp:
        """The columns of the row that came from (source, id): by the exact source, else with aliases resolved.

        **Guarantees.** Keeps order and number of rows.
        """
        asked = pl.DataFrame({"s": source, "i": record_id}).with_columns(
            pl.when(pl.col("i") != "").then(pl.col("i")).alias("i")
        )
        found = _join(asked, self._exact)
        if self._resolved is not None:
            found = _prefer(found, _join(_resolved(asked, self._aliases), self._resolved))
        orphan = found.select(pl.col("i").is_not_null() & pl.col("hit").is_null()).to_series()
        columns = found.select(pl.col(f"v:{name}").alias(name) for name in self._names)
        if self._says_touched:
            touched = found[TOUCHED].fill_null(False)
        else:
            touched = None
        waiting = found.get_column("w").fill_null(value=False)
        return LookedUp(columns, orphan.rename("orphan"), touched, waiting.rename("waiting"))


def _as_text(table: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    known = table.collect_schema()
    nothing = pl.lit(None, dtype=pl.String)
    values = [
        (render(name, known[name]) if name in known else nothing).alias(f"v:{name}")
        for name in names
    ]
    touched = [TOUCHED] if known.get(TOUCHED) == pl.Boolean else []
    if GHOST in known:
        is_there = ~pl.col(GHOST).fill_null(value=False)
    else:
        is_there = pl.lit(value=True)
    hit = pl.when(is_there).then(pl.lit(value=True)).alias("hit")
    who = (pl.col("source").alias("s"), pl.col("id").alias("i"))
    if WITHHELD in known:
        withheld = pl.col(WITHHELD).fill_null(value=False)
    else:
        withheld = pl.lit(False)
    return table.select(*who, *values, *touched, hit, withheld.alias("w"))


def _once(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.unique(["s", "i"], keep="first", maintain_order=True)


def _meeting(rows: pl.DataFrame, aliases: Dict[str, str]) -> pl.DataFrame:
    """Rows under their common names, those that count first; a change of one is a change of all."""
    ordered = _resolved(rows.with_columns(pl.col("s").alias("own")), aliases).sort(
        "hit", "w", "own", nulls_last=True, maintain_order=True
    )
    if TOUCHED in ordered.columns:
        ordered = ordered.with_columns(pl.col(TOUCHED).any().over("s", "i"))
    return ordered.drop("own")


def _join(asked: pl.DataFrame, table: pl.DataFrame) -> pl.DataFrame:
    return asked.join(table, on=["s", "i"], how="left", maintain_order="left")


def _resolved(frame: pl.DataFrame, aliases: Dict[str, str]) -> pl.DataFrame:
    return frame.with_columns(pl.col("s").replace(list(aliases), list(aliases.values())))


def _prefer(first: pl.DataFrame, second: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([first, second.select(pl.all().name.prefix("2:"))], how="horizontal")
    hit = pl.col("hit").is_not_null()
    preferred = both.select(
        pl.when(hit).then(pl.col(name)).otherwise(pl.col(f"2:{name}")).alias(name)
        if name not in {"s", "i"}
        else pl.col(name)
        for name in first.columns
    )
    if TOUCHED not in first.columns:
        return preferred
    # What the exact name no longer finds, the other one may find: that is a change, too.
    either = pl.any_horizontal(TOUCHED, f"2:{TOUCHED}").alias(TOUCHED)
    return preferred.with_columns(both.select(either))
