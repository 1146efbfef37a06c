"""What each planned row will do in the target: create, update with the columns that change, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import polars as pl

from migrate.plan.compare import comparable, differing, read_text
from migrate.plan.export_page import MASTERID
from migrate.plan.recipes import is_spelling_only, recognise_recipe

SAMPLES_A_COLUMN = 10
_AT_ONCE = 2
SAMPLE_SCHEMA = {
    "key": pl.String,
    "masterid": pl.String,
    "column": pl.String,
    "old": pl.String,
    "new": pl.String,
    "report_only": pl.Boolean,
}


@dataclass(frozen=True)
class Columns:
    """The mapped columns of a dataset with their types; its key; those that the target's own recipes change.

    `settled`: columns of which the mapping says itself whether they are a recipe's, so that nothing is guessed.
    """

    types: Mapping[str, pl.DataType]
    key: Sequence[str]
    recipes: Collection[str] = ()
    settled: Collection[str] = ()


@dataclass(frozen=True)
class Classified:
    """`rows` with `_change`, `_masterid`, `_changed` and `_match` added, in their order; the rest is counts.

    `foreign`: rows of the target whose key no planned row has: `masterid` and the key columns as text. `repeated_keys`:
    rows of the target beyond the first of a key. `samples`: up to ten old and new values per column, as text.
    `recipe_suspects`: columns that differ in nothing but letter case and spaces, as a recipe of the target would do.
    `recognised`: columns of which every value is exactly what one recipe makes of ours, by the recipe's name; they are
    compared as report-only. `_match`: the place of the row of the target, null where there is none.
    """

    rows: pl.DataFrame
    change_counts: dict[str, int]
    recipe_counts: dict[str, int]
    foreign: pl.DataFrame
    repeated_keys: int
    samples: pl.DataFrame
    recipe_suspects: tuple[str, ...] = ()
    recognised: Mapping[str, str] = field(default_factory=dict)


class HeldColumns(Protocol):
    """The target's rows, a column of texts at a time, oldest modification first."""

    @property
    def height(self) -> int:
        """How many rows there are."""

    def column(self, name: str) -> pl.Series | None:
        """One column, None where the target does not show it."""


def classify_unread(rows: pl.DataFrame, columns: Columns) -> Classified:
    """Every row `unknown`: the target was not read."""
    labelled = rows.with_columns(pl.lit("unknown").alias("_change"), *_nothing_known())
    nobody = pl.DataFrame(schema=dict.fromkeys(["masterid", *_foreign_names(columns)], pl.String))
    return Classified(labelled, {}, {}, nobody, 0, pl.DataFrame(schema=SAMPLE_SCHEMA))


def classify_rows(rows: pl.DataFrame, held: HeldColumns, columns: Columns) -> Classified:
    """Every row `create`, `update` or `unchanged`, by key and by value.

    Only the columns that a row's payload has are compared, by the rules of `compare`. A column that the target's
    recipes change is counted, but makes no row an update. Of several rows of the target with one key, the last (the
    most recently modified) is compared.

    **Shape**: `rows` has a unique `_key`.
    """
    keys = _held_keys(held, columns)
    last = keys.unique(list(columns.key), keep="last", maintain_order=True)
    wanted = rows.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("_place"), *_planned_keys(columns))
    pairs = wanted.join(last, on=list(columns.key), how="inner").sort("_place").select("_place", "_held")
    ours = keys.join(wanted, on=list(columns.key), how="semi").get_column("_held")
    compared = _compare(rows, held, pairs, columns)
    places = wanted.select("_place")
    labels = places.join(compared.labels, on="_place", how="left", maintain_order="left")
    return Classified(
        rows.with_columns(
            places.join(pairs, on="_place", how="left", maintain_order="left").get_column("_held").alias("_match"),
            labels.get_column("_change").fill_null("create"),
            labels.get_column("_masterid"),
            labels.select(pl.col("_changed").fill_null(_no_columns())).to_series(),
        ),
        compared.change_counts,
        compared.recipe_counts,
        _foreign(held, ours, columns),
        keys.height - last.height,
        compared.samples,
        compared.recipe_suspects,
        compared.recognised,
    )


def _foreign(held: HeldColumns, ours: pl.Series, columns: Columns) -> pl.DataFrame:
    """The rows of the target that are in none of the places `ours`."""
    numbered = pl.DataFrame({"_held": pl.int_range(held.height, dtype=pl.UInt32, eager=True)})
    places = numbered.join(ours.to_frame(), on="_held", how="anti").get_column("_held").sort()
    wanted = {"masterid": MASTERID, **_foreign_names(columns)}
    return pl.DataFrame([_held_column(held, name).gather(places).alias(alias) for alias, name in wanted.items()])


def _foreign_names(columns: Columns) -> dict[str, str]:
    return {f"_{name}" if name == "masterid" else name: name for name in columns.key}


@dataclass(frozen=True)
class _Compared:
    """`labels`: `_place, _change, _masterid, _changed` of the rows that the target has."""

    labels: pl.DataFrame
    change_counts: dict[str, int]
    recipe_counts: dict[str, int]
    samples: pl.DataFrame
    recipe_suspects: tuple[str, ...]
    recognised: Mapping[str, str]


def _planned_keys(columns: Columns) -> list[pl.Expr]:
    return [comparable(pl.col(name), columns.types[name]).alias(name) for name in columns.key]


def _held_keys(held: HeldColumns, columns: Columns) -> pl.DataFrame:
    texts = pl.DataFrame([_held_column(held, name) for name in columns.key])
    keys = [read_text(pl.col(name), columns.types[name]).alias(name) for name in columns.key]
    numbered = texts.select(*keys, pl.int_range(pl.len(), dtype=pl.UInt32).alias("_held"))
    return numbered.drop_nulls(list(columns.key))


def _held_column(held: HeldColumns, name: str) -> pl.Series:
    found = held.column(name)
    return pl.Series([None], dtype=pl.String).new_from_index(0, held.height).alias(name) if found is None else found


@dataclass(frozen=True)
class _Column:
    """One column compared: `mark` tells the pairs that differ; None where none does."""

    mark: pl.Series | None
    samples: pl.DataFrame
    recipe: str | None = None
    is_suspect: bool = False


def _compare(rows: pl.DataFrame, held: HeldColumns, pairs: pl.DataFrame, columns: Columns) -> _Compared:
    """The rows of `pairs` labelled: `_place` is a row's place in `rows`, `_held` that of its match in the target.

    Two columns are compared at a time: one alone leaves cores idle, and all at once would take as much memory again as
    the rows have.
    """
    masterid = _held_column(held, MASTERID).gather(pairs.get_column("_held")).alias("_masterid")
    keys = rows.get_column("_key").gather(pairs.get_column("_place"))
    who = pl.DataFrame([keys.alias("key"), masterid.alias("masterid")])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        one = partial(_compare_column, who, rows, held, pairs, columns)
        compared = dict(zip(columns.types, pool.map(one, columns.types), strict=True))
    recognised = {name: found.recipe for name, found in compared.items() if found.recipe}
    marks = {name: found.mark for name, found in compared.items() if found.mark is not None}
    counted = {name: mark for name, mark in marks.items() if name not in columns.recipes and name not in recognised}
    return _Compared(
        labels=pairs.select("_place", _labels(counted), masterid, _changed(counted)),
        change_counts={name: int(mark.sum()) for name, mark in counted.items()},
        recipe_counts={name: int(mark.sum()) for name, mark in marks.items() if name not in counted},
        samples=pl.concat([pl.DataFrame(schema=SAMPLE_SCHEMA), *(found.samples for found in compared.values())]),
        recipe_suspects=tuple(name for name, found in compared.items() if found.is_suspect),
        recognised=recognised,
    )


def _compare_column(
    who: pl.DataFrame, rows: pl.DataFrame, held: HeldColumns, pairs: pl.DataFrame, columns: Columns, name: str
) -> _Column:
    dtype = columns.types[name]
    pair = _pair(rows, held, pairs, name)
    mark = pair.get_column("sent") & differing(pair, dtype)
    if not mark.any():
        return _Column(None, pl.DataFrame(schema=SAMPLE_SCHEMA))
    recipe = _recipe(pair, mark, name, columns)
    some = mark.arg_true().head(SAMPLES_A_COLUMN)
    report_only = name in columns.recipes or recipe is not None
    samples = _samples(pl.concat([pair[some], who[some]], how="horizontal"), name, dtype, report_only)
    return _Column(mark, samples, recipe, recipe is None and _is_suspect(pair, mark, name, columns))


def _recipe(pair: pl.DataFrame, mark: pl.Series, name: str, columns: Columns) -> str | None:
    """What the target was seen to do to the column; None where nothing is guessed: a key, or said by the mapping."""
    if name in columns.recipes or name in columns.settled or name in columns.key:
        return None
    sent = pair.get_column("sent")
    return recognise_recipe(pair.filter(sent), mark.filter(sent), columns.types[name])


def _is_suspect(pair: pl.DataFrame, mark: pl.Series, name: str, columns: Columns) -> bool:
    known = name in columns.recipes or name in columns.settled
    return not known and is_spelling_only(pair.filter(mark), columns.types[name])


def _pair(rows: pl.DataFrame, held: HeldColumns, pairs: pl.DataFrame, column: str) -> pl.DataFrame:
    """One column of both sides: `new`, `old`, and `sent`, true where the row's payload has the column."""
    places = pairs.get_column("_place")
    new = rows.get_column(column).gather(places)
    sent = new.is_not_null()
    if f"_null:{column}" in rows.columns:
        sent = sent | rows.get_column(f"_null:{column}").gather(places).fill_null(value=False)
    old = _held_column(held, column).gather(pairs.get_column("_held"))
    return pl.DataFrame([new.alias("new"), old.alias("old"), sent.alias("sent")])


def _labels(marks: Mapping[str, pl.Series]) -> pl.Expr:
    differs_somewhere = pl.any_horizontal(*marks.values()) if marks else pl.lit(value=False)
    return pl.when(differs_somewhere).then(pl.lit("update")).otherwise(pl.lit("unchanged")).alias("_change")


def _changed(marks: Mapping[str, pl.Series]) -> pl.Expr:
    names = [pl.when(mark).then(pl.lit(name)) for name, mark in marks.items()]
    return (pl.concat_list(names).list.drop_nulls() if names else _no_columns()).alias("_changed")


def _samples(some: pl.DataFrame, column: str, dtype: pl.DataType, report_only: bool) -> pl.DataFrame:
    return some.select(
        "key",
        "masterid",
        pl.lit(column).alias("column"),
        "old",
        written_text(pl.col("new"), dtype).alias("new"),
        pl.lit(report_only).alias("report_only"),
    )


def written_text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A planned value as a person writes it: no zeros at the end of a fraction, a time of day beside every date."""
    if dtype.is_temporal():
        return value.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
    text = value.cast(pl.String)
    return text.str.replace(r"\.?0+$", "") if dtype.is_decimal() else text


def _no_columns() -> pl.Expr:
    return pl.lit([], dtype=pl.List(pl.String))


def _nothing_known() -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    nobody = pl.lit(None, pl.String).alias("_masterid")
    return nobody, _no_columns().alias("_changed"), pl.lit(None, pl.UInt32).alias("_match")
