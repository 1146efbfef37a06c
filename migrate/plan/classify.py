"""What each planned row will do in the target: create, update with the columns that change, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

from migrate.names import MASTERID
from migrate.plan.compare import differing
from migrate.plan.matching import CHUNK_ROWS, Aligned, align_rows, match_rows, nowhere
from migrate.plan.partitions import some_of
from migrate.plan.shipments import LEAST_ROWS, Shipment, explaining, is_spelling_only, was_sent
from migrate.plan.tables import PlanTable, in_chunks, rows_at, texts_of

SAMPLES_A_COLUMN = 10
_COLUMNS_AT_ONCE = 2
"""One alone leaves cores idle."""
SAMPLE_SCHEMA = {
    "key": pl.String,
    "masterid": pl.String,
    "column": pl.String,
    "old": pl.String,
    "new": pl.String,
    "report_only": pl.Boolean,
}
_FOUND_SCHEMA = {
    "place": pl.UInt32,
    **{name: SAMPLE_SCHEMA[name] for name in ("column", "old", "new", "report_only")},
}


@dataclass(frozen=True)
class ComparedColumns:
    """The mapped columns of a dataset with their types; its key; those that the target's own recipes change.

    `settled`: columns of which the mapping says itself whether they are a recipe's, so that nothing is guessed. `sent`:
    what earlier loads have sent, without which no guess is believed.
    """

    types: Mapping[str, pl.DataType]
    key: Sequence[str]
    recipes: Collection[str] = ()
    settled: Collection[str] = ()
    sent: Callable[[], Sequence[Shipment]] = tuple


@dataclass(frozen=True)
class Labels:
    """What each planned row will do, by its place.

    `matches`: the place of its row in the target's, null where there is none, and `there` these rows in the order of
    the planned ones; None where the target was not read. `marks`: by column, which rows it makes an update. `of_all`:
    the place of its row of every row of ours, also of those that the plan is not of; `touched` tells these apart.
    """

    there: Aligned | None
    matches: pl.Series
    marks: Mapping[str, pl.Series]
    of_all: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt32))
    touched: pl.Series | None = None

    @property
    def chunk_rows(self) -> int:
        """How many rows each of the `chunks` has."""
        return CHUNK_ROWS if self.there is None else self.there.rows

    def chunks(self, height: int) -> Iterator[pl.DataFrame]:
        """`_change`, `_masterid` and `_changed`, the columns that differ, of all rows, which are `height`."""
        if self.there is None:
            for start in range(0, height, self.chunk_rows):
                yield _unknown(min(self.chunk_rows, height - start))
            return
        start = 0
        for names in self.there.chunks([MASTERID]):
            marks = {name: mark.slice(start, names.height) for name, mark in self.marks.items()}
            yield _labelled(names[MASTERID], self.matches.slice(start, names.height), marks)
            start += names.height

    def of(self, places: pl.Series) -> pl.DataFrame:
        """The same of a few rows."""
        if self.there is None:
            return _unknown(len(places))
        masterids = self.there.at([MASTERID], places)[MASTERID]
        marks = {name: mark.gather(places) for name, mark in self.marks.items()}
        return _labelled(masterids, self.matches.gather(places), marks)


def _unknown(height: int) -> pl.DataFrame:
    nobody = pl.Series("_masterid", [None], dtype=pl.String).new_from_index(0, height)
    nothing = pl.lit([], dtype=pl.List(pl.String)).alias("_changed")
    return nobody.to_frame().select(pl.lit("unknown").alias("_change"), "_masterid", nothing)


def _labelled(
    masterids: pl.Series, matches: pl.Series, marks: Mapping[str, pl.Series]
) -> pl.DataFrame:
    rows = pl.DataFrame([matches.alias("_match"), masterids.alias("_masterid")])
    if marks:
        is_update = pl.any_horizontal(*marks.values())
    else:
        is_update = pl.lit(value=False)
    change = (
        pl.when(pl.col("_match").is_null())
        .then(pl.lit("create"))
        .when(is_update)
        .then(pl.lit("update"))
    )
    labelled = rows.with_columns(change.otherwise(pl.lit("unchanged")).alias("_change"))
    changed = _changed(labelled.get_column("_change") == "update", marks)
    return labelled.with_columns(changed).select("_change", "_masterid", "_changed")


@dataclass(frozen=True)
class Classified:
    """`labels` of the planned rows; the rest is counts.

    `foreign`: rows of the target whose key none of our rows has: `masterid` and the key columns as text.
    `repeated_keys`: rows of the target beyond the first of a key. `samples`: up to ten old and new values per column,
    as text. `recipe_suspects`: columns that differ in nothing but letter case and spaces, as a recipe of the target
    would do. `recognised`: columns of which every value is exactly what one recipe makes of ours, by the recipe's name,
    and earlier loads prove that ours was sent; they are compared as report-only. `unproven`: those where none does.
    `missing`: of a delta, by place which untouched rows the target does not hold.
    """

    labels: Labels
    change_counts: dict[str, int]
    recipe_counts: dict[str, int]
    foreign: pl.DataFrame
    repeated_keys: int
    samples: pl.DataFrame
    recipe_suspects: tuple[str, ...] = ()
    recognised: Mapping[str, str] = field(default_factory=dict)
    unproven: Mapping[str, str] = field(default_factory=dict)
    missing: pl.Series | None = None


def label_unread(columns: ComparedColumns) -> Classified:
    """Every row `unknown`: the target was not read."""
    nobody = pl.DataFrame(schema=dict.fromkeys(["masterid", *_foreign_names(columns)], pl.String))
    return Classified(
        Labels(None, nowhere(0), {}),
        {},
        {},
        nobody,
        0,
        pl.DataFrame(schema=SAMPLE_SCHEMA),
    )


def label_rows(
    planned: PlanTable,
    target_rows: PlanTable,
    columns: ComparedColumns,
    folder: Path,
    touched: pl.Series | None = None,
) -> Classified:
    """Every row `create`, `update` or `unchanged`, by key and by value, of both sides some rows of a column at a time.

    Only the columns that a row's payload has are compared, by the rules of `compare`. A column that the target's
    recipes change is counted, but makes no row an update. Of several rows of the target with one key, the last (the
    most recently modified) is compared. Rows that are not `touched` are compared with nothing: they only tell which
    rows of the target are ours, and which of ours it lacks. Below `folder` the target's rows are put aside, and stay.

    **Shape**: `planned` has a unique `_key`.
    """
    matched = match_rows(
        planned, target_rows, {name: columns.types[name] for name in columns.key}, folder
    )
    matches = matched.places
    missing = None
    if touched is not None:
        missing = matches.is_null() & ~touched
        places = pl.DataFrame([matches, touched.alias("touched")])
        matches = places.select(pl.when("touched").then("_match").alias("_match")).to_series()
    there = align_rows(target_rows, matches, [MASTERID, *columns.types], folder / "there")
    compared = _compare_columns(_Sides(planned, there, matches), columns)
    recognised = {name: column.recipe for name, column in compared.items() if column.recipe}
    marks = {name: column.mark for name, column in compared.items() if column.mark is not None}
    # What a recipe does to a value is no change of ours: sending it again would change nothing.
    by_recipe = {*columns.recipes, *recognised}
    counts = {name: int(mark.sum()) for name, mark in marks.items()}
    changing = {name: mark for name, mark in marks.items() if name not in by_recipe}
    no_samples = pl.DataFrame(schema=_FOUND_SCHEMA)
    samples = pl.concat([no_samples, *(column.samples for column in compared.values())])
    return Classified(
        labels=Labels(there, matches, changing, matched.places, touched),
        change_counts={name: count for name, count in counts.items() if name in changing},
        recipe_counts={name: count for name, count in counts.items() if name not in changing},
        foreign=_foreign(target_rows, matched.is_foreign, columns),
        repeated_keys=matched.repeated,
        samples=_name_samples(samples, planned, there),
        recipe_suspects=tuple(name for name, column in compared.items() if column.is_suspect),
        recognised=recognised,
        unproven={name: column.unproven for name, column in compared.items() if column.unproven},
        missing=missing,
    )


@dataclass(frozen=True)
class _Sides:
    """The planned rows, those of the target in their order, and which of ours has one there."""

    planned: PlanTable
    there: Aligned
    matches: pl.Series

    def pairs(self, name: str) -> Iterator[pl.DataFrame]:
        """One column of both sides, a planned row a line, some after others.

        **Shape**: `new`, `old`, and `sent`, where a match is sent the column.
        """
        # A column that is not sent leaves the target's value alone, so it is no difference.
        is_sent = pl.col(name).is_not_null()
        null = f"_null:{name}"
        names = [name]
        if null in self.planned.names:
            names.append(null)
            is_sent |= pl.col(null).fill_null(value=False)
        ours = in_chunks(self.planned.frames(names), self.there.rows)
        start = 0
        for new, old in zip(ours, self.there.chunks([name]), strict=True):
            has_match = self.matches.slice(start, new.height).is_not_null()
            start += new.height
            yield new.select(
                pl.col(name).alias("new"),
                old[name].alias("old"),
                (is_sent & has_match).alias("sent"),
            )


def _compare_columns(sides: _Sides, columns: ComparedColumns) -> dict[str, _Column]:
    compare = partial(_compare_column, sides, columns)
    with ThreadPoolExecutor(_COLUMNS_AT_ONCE) as pool:
        return dict(zip(columns.types, pool.map(compare, columns.types), strict=True))


def _foreign(
    target_rows: PlanTable, is_foreign: pl.Series, columns: ComparedColumns
) -> pl.DataFrame:
    names = _foreign_names(columns)
    keys = [pl.col(name).alias(alias) for alias, name in names.items()]
    rows = [pl.DataFrame(schema=dict.fromkeys(["masterid", *names], pl.String))]
    start = 0
    for frame in texts_of(target_rows, list(dict.fromkeys([MASTERID, *names.values()]))):
        mine = some_of(frame, is_foreign.slice(start, frame.height))
        start += frame.height
        rows.append(mine.select(pl.col(MASTERID).alias("masterid"), *keys))
    return pl.concat(rows)


def _foreign_names(columns: ComparedColumns) -> dict[str, str]:
    return {f"_{name}" if name == "masterid" else name: name for name in columns.key}


@dataclass(frozen=True)
class _Column:
    """One column compared: `mark` tells the planned rows that differ; None where none does.

    `recipe` makes the target's value from ours in every row, and was proven to; `unproven` was not.
    """

    mark: pl.Series | None
    samples: pl.DataFrame
    recipe: str | None = None
    unproven: str | None = None
    is_suspect: bool = False


def _compare_column(sides: _Sides, columns: ComparedColumns, name: str) -> _Column:
    dtype = columns.types[name]
    settled = name in columns.settled or name in columns.recipes
    marks = [pl.Series(dtype=pl.Boolean)]
    samples = [pl.DataFrame(schema=_FOUND_SCHEMA)]
    # A key is no recipe's; neither is what the mapping has settled.
    recipes = explaining(None if settled or name in columns.key else dtype)
    is_spelling = not settled and dtype == pl.String
    start = counted = 0
    for pair in sides.pairs(name):
        mark = differing(pair, dtype)
        marks.append(mark)
        places = mark.arg_true()
        if len(places):
            other = pair.filter(mark)
            few = places.head(SAMPLES_A_COLUMN - min(counted, SAMPLES_A_COLUMN))
            examples = pair[few].with_columns((few + start).alias("place"))
            samples.append(_samples(examples, name, dtype))
            recipes = explaining(dtype, other, recipes)
            is_spelling = is_spelling and is_spelling_only(other, dtype)
            counted += len(places)
        start += pair.height
    whole = pl.concat(marks)
    if not counted:
        return _Column(None, samples[0])
    guess = None
    if counted >= LEAST_ROWS and recipes:
        guess = _guess(sides, name, dtype, recipes)
    is_proven = guess is not None and _is_proven(sides, whole, name, columns)
    report_only = name in columns.recipes or is_proven
    return _Column(
        whole,
        pl.concat(samples).with_columns(pl.lit(report_only).alias("report_only")),
        guess if is_proven else None,
        None if is_proven else guess,
        is_suspect=guess is None and is_spelling,
    )


def _guess(sides: _Sides, name: str, dtype: pl.DataType, recipes: Sequence[str]) -> str | None:
    """Which of the recipes that make all values that differ makes all others as well; None where none does.

    The rows that differ rule most of them out, so that a second look at all rows is rare.
    """
    left = recipes
    for pair in sides.pairs(name):
        left = explaining(dtype, pair.filter("sent"), left)
        if not left:
            return None
    return left[0]


def _is_proven(sides: _Sides, mark: pl.Series, name: str, columns: ComparedColumns) -> bool:
    """Whether the rows that differ were sent as they are planned now: else the target may hold what we sent before."""
    # A target that shows DELFT has a recipe, or was sent DELFT before: only what was sent tells the two apart.
    shipments = columns.sent()
    if not shipments or "_key" not in sides.planned.names:
        return False
    asked = []
    start = 0
    for rows in sides.planned.frames(["_key", name]):
        mine = some_of(rows.select("_key", name), mark.slice(start, rows.height))
        start += rows.height
        asked.append(mine.select(key="_key", new=name))
    return was_sent(shipments, name, pl.concat(asked))


def _changed(is_update: pl.Series, marks: Mapping[str, pl.Series]) -> pl.Series:
    """The names of the columns that change in each row; they are listed for updates only, most rows being none."""
    names = [pl.when(pl.col(name)).then(pl.lit(name)) for name in marks]
    if marks:
        of_updates = pl.DataFrame([mark.alias(name) for name, mark in marks.items()]).filter(
            is_update
        )
    else:
        of_updates = None
    nothing = pl.Series("_changed", [[]], dtype=pl.List(pl.String))
    if of_updates is None:
        return nothing.new_from_index(0, len(is_update))
    lists = of_updates.select(pl.concat_list(names).list.drop_nulls().alias("_changed")).to_series()
    which = pl.select(pl.when(is_update).then(is_update.cum_sum()).otherwise(0)).to_series()
    return pl.concat([nothing, lists]).rechunk().gather(which)


def _samples(some: pl.DataFrame, column: str, dtype: pl.DataType) -> pl.DataFrame:
    return some.select(
        pl.col("place").cast(pl.UInt32),
        pl.lit(column).alias("column"),
        "old",
        written_text(pl.col("new"), dtype).alias("new"),
        pl.lit(value=False).alias("report_only"),
    )


def _name_samples(samples: pl.DataFrame, planned: PlanTable, there: Aligned) -> pl.DataFrame:
    """The samples with the key and the masterid of the row each is of, in place of the row's place."""
    places = samples.get_column("place")
    if len(places):
        keys = rows_at(planned, ["_key"], places)["_key"]
    else:
        keys = pl.Series(dtype=pl.String)
    masterids = there.at([MASTERID], places)[MASTERID]
    named = samples.with_columns(keys.alias("key"), masterids.alias("masterid"))
    return named.select(list(SAMPLE_SCHEMA))


def written_text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A planned value as a person writes it: no zeros at the end of a fraction, a time of day beside every date."""
    if dtype.is_temporal():
        return value.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
    text = value.cast(pl.String)
    if dtype.is_decimal():
        return text.str.replace(r"\.?0+$", "")
    return text
