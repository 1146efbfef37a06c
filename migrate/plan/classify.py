"""What each planned row will do in the target: create, update with the columns that change, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import polars as pl

from migrate.names import MASTERID
from migrate.plan.compare import Matched, differing, match_rows
from migrate.plan.shipments import Shipment, is_spelling_only, recognise_recipe, was_sent
from migrate.plan.tables import PlanTable, texts_of

SAMPLES_A_COLUMN = 10
_FEW_ROWS = 3_000_000
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

    `matches`: the place of its row in `held`, null where there is none. `marks`: by column, which rows it makes an
    update. `of_all`: the place of its row of every row of ours, also of those that the plan is not of; `touched` tells
    these apart. Without `held` the target was not read.
    """

    held: PlanTable | None
    matches: pl.Series
    marks: Mapping[str, pl.Series]
    of_all: pl.Series = field(default_factory=lambda: pl.Series(dtype=pl.UInt32))
    touched: pl.Series | None = None

    @property
    def masterids(self) -> pl.Series:
        """The masterids of the target's rows. They are long texts: to be asked for once, and not kept."""
        if self.held is None:
            return pl.Series(MASTERID, [], dtype=pl.String)
        return texts_of(self.held, MASTERID)

    def of(self, places: pl.Series, masterids: pl.Series) -> pl.DataFrame:
        """`_change`, `_masterid` and `_changed`, the columns that differ, of the rows at these places."""
        if self.held is None:
            nobody = pl.Series("_masterid", [None], dtype=pl.String).new_from_index(0, len(places))
            nothing = pl.lit([], dtype=pl.List(pl.String)).alias("_changed")
            return nobody.to_frame().select(
                pl.lit("unknown").alias("_change"), "_masterid", nothing
            )
        mine = self.matches.gather(places)
        rows = pl.DataFrame([mine.alias("_match"), masterids.gather(mine).alias("_masterid")])
        marks = {name: mark.gather(places) for name, mark in self.marks.items()}
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
        Labels(None, pl.Series(dtype=pl.UInt32), {}),
        {},
        {},
        nobody,
        0,
        pl.DataFrame(schema=SAMPLE_SCHEMA),
    )


def label_rows(
    planned: PlanTable, held: PlanTable, columns: ComparedColumns, touched: pl.Series | None = None
) -> Classified:
    """Every row `create`, `update` or `unchanged`, by key and by value, of both sides a column at a time.

    Only the columns that a row's payload has are compared, by the rules of `compare`. A column that the target's
    recipes change is counted, but makes no row an update. Of several rows of the target with one key, the last (the
    most recently modified) is compared. Rows that are not `touched` are compared with nothing: they only tell which
    rows of the target are ours, and which of ours it lacks.

    **Shape**: `planned` has a unique `_key`.
    """
    matched = match_rows(planned, held, {name: columns.types[name] for name in columns.key})
    of_all = matched.places
    if touched is None:
        missing = None
    else:
        missing = matched.places.is_null() & ~touched
    if touched is not None:
        places = pl.DataFrame([matched.places, touched.alias("touched")])
        mine = places.select(pl.when("touched").then(pl.col("_match")).alias("_match")).to_series()
        matched = replace(matched, places=mine)
    compared = _compare_columns(planned, held, matched, columns)
    recognised = {name: column.recipe for name, column in compared.items() if column.recipe}
    marks = {name: column.mark for name, column in compared.items() if column.mark is not None}
    # What a recipe does to a value is no change of ours: sending it again would change nothing.
    by_recipe = {*columns.recipes, *recognised}
    counts = {name: int(mark.sum()) for name, mark in marks.items()}
    changing = {name: mark for name, mark in marks.items() if name not in by_recipe}
    labels = Labels(held, matched.places, changing, of_all, touched)
    masterids = labels.masterids
    no_samples = pl.DataFrame(schema=_FOUND_SCHEMA)
    samples = pl.concat([no_samples, *(column.samples for column in compared.values())])
    return Classified(
        labels=labels,
        change_counts={name: count for name, count in counts.items() if name in changing},
        recipe_counts={name: count for name, count in counts.items() if name not in changing},
        foreign=_foreign(held, masterids, matched.foreign, columns),
        repeated_keys=matched.repeated,
        samples=_name_samples(samples, planned, matched.places, masterids),
        recipe_suspects=tuple(name for name, column in compared.items() if column.is_suspect),
        recognised=recognised,
        unproven={name: column.unproven for name, column in compared.items() if column.unproven},
        missing=missing,
    )


def _compare_columns(
    planned: PlanTable, held: PlanTable, matched: Matched, columns: ComparedColumns
) -> dict[str, _Column]:
    # One alone leaves cores idle, and several long ones would take more memory than the rest.
    if max(planned.height, held.height) <= _FEW_ROWS:
        at_once = 2
    else:
        at_once = 1
    compare = partial(_compare_column, planned, held, matched, columns)
    with ThreadPoolExecutor(at_once) as pool:
        return dict(zip(columns.types, pool.map(compare, columns.types), strict=True))


def _foreign(
    held: PlanTable, masterids: pl.Series, places: pl.Series, columns: ComparedColumns
) -> pl.DataFrame:
    names = _foreign_names(columns)
    keys = [texts_of(held, name).gather(places).alias(alias) for alias, name in names.items()]
    return pl.DataFrame([masterids.gather(places).alias("masterid"), *keys])


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


def _compare_column(
    planned: PlanTable, held: PlanTable, matched: Matched, columns: ComparedColumns, name: str
) -> _Column:
    dtype = columns.types[name]
    pair = _pair(planned, held, matched, name)
    mark = differing(pair, dtype)
    if not mark.any():
        return _Column(None, pl.DataFrame(schema=_FOUND_SCHEMA))
    guess = _recipe(pair, mark, name, columns)
    is_proven = guess is not None and _is_proven(planned, pair, mark, name, columns)
    recipe, unproven = (guess, None) if is_proven else (None, guess)
    places = mark.arg_true().head(SAMPLES_A_COLUMN)
    report_only = name in columns.recipes or recipe is not None
    samples = _samples(pair[places].with_columns(places.alias("place")), name, dtype, report_only)
    return _Column(
        mark, samples, recipe, unproven, guess is None and _is_suspect(pair, mark, name, columns)
    )


def _recipe(pair: pl.DataFrame, mark: pl.Series, name: str, columns: ComparedColumns) -> str | None:
    """What the target was seen to do to the column; None where nothing is guessed: a key, or said by the mapping."""
    if name in columns.recipes or name in columns.settled or name in columns.key:
        return None
    return recognise_recipe(pair, mark, columns.types[name])


def _is_proven(
    planned: PlanTable, pair: pl.DataFrame, mark: pl.Series, name: str, columns: ComparedColumns
) -> bool:
    """Whether the rows that differ were sent as they are planned now: else the target may hold what we sent before."""
    # A target that shows DELFT has a recipe, or was sent DELFT before: only what was sent tells the two apart.
    shipments = columns.sent()
    keys = planned.column("_key")
    if not shipments or keys is None:
        return False
    asked = pl.DataFrame([keys.filter(mark).alias("key"), pair.get_column("new").filter(mark)])
    return was_sent(shipments, name, asked)


def _is_suspect(pair: pl.DataFrame, mark: pl.Series, name: str, columns: ComparedColumns) -> bool:
    known = name in columns.recipes or name in columns.settled
    return not known and is_spelling_only(pair.filter(mark), columns.types[name])


def _pair(planned: PlanTable, held: PlanTable, matched: Matched, name: str) -> pl.DataFrame:
    """One column of both sides, a planned row a line: `new`, `old`, and `sent`, where a match is sent the column."""
    new = planned.column(name)
    if new is None:
        raise AssertionError(f"the planned rows have no column {name}")
    nulls = planned.column(f"_null:{name}")
    # A column that is not sent leaves the target's value alone, so it is no difference.
    if nulls is None:
        sent = new.is_not_null()
    else:
        sent = new.is_not_null() | nulls.fill_null(value=False)
    old = texts_of(held, name).gather(matched.places)
    return pl.DataFrame(
        [new.alias("new"), old.alias("old"), (sent & matched.places.is_not_null()).alias("sent")]
    )


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


def _samples(
    some: pl.DataFrame, column: str, dtype: pl.DataType, report_only: bool
) -> pl.DataFrame:
    return some.select(
        pl.col("place").cast(pl.UInt32),
        pl.lit(column).alias("column"),
        "old",
        written_text(pl.col("new"), dtype).alias("new"),
        pl.lit(report_only).alias("report_only"),
    )


def _name_samples(
    samples: pl.DataFrame, planned: PlanTable, matches: pl.Series, masterids: pl.Series
) -> pl.DataFrame:
    """The samples with the key and the masterid of the row each is of, in place of the row's place."""
    places = samples.get_column("place")
    keys = planned.column("_key")
    if keys is None or not len(places):
        key = pl.Series([], dtype=pl.String)
    else:
        key = keys.gather(places)
    named = samples.with_columns(
        key.alias("key"), masterids.gather(matches.gather(places)).alias("masterid")
    )
    return named.select(list(SAMPLE_SCHEMA))


def written_text(value: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """A planned value as a person writes it: no zeros at the end of a fraction, a time of day beside every date."""
    if dtype.is_temporal():
        return value.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
    text = value.cast(pl.String)
    if dtype.is_decimal():
        return text.str.replace(r"\.?0+$", "")
    return text
