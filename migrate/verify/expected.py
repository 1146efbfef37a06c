"""What a dataset should hold, worked out from the snapshot alone.

Rows are worked out by DuckDB and put on a shelf as frames of texts; only keys that came more than once are put
together again, a bucket of keys at a time. polars carries the rows and judges nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import polars as pl

from migrate.verify.collapse import collapse
from migrate.verify.evaluate import Evaluator
from migrate.verify.fields import ID, LEFT, ORDER, PLACE, SOURCE
from migrate.verify.lookup import LookupTable, Pair, empty_rows, make_table
from migrate.verify.made import Identity
from migrate.verify.mapping_query import CREATED, KEY, NULLS, PART, RECENCY, TOUCHED
from migrate.verify.rules import Conventions, DatasetRules
from migrate.verify.spill import Spill, buckets_for
from migrate.verify.typed import Unverifiable

_OWN: dict[str, pl.DataType | type[pl.DataType]] = {
    KEY: pl.String,
    SOURCE: pl.String,
    ID: pl.String,
    PLACE: pl.Int64,
    ORDER: pl.Int64,
    CREATED: pl.String,
    RECENCY: pl.String,
    NULLS: pl.String,
    TOUCHED: pl.Boolean,
    PART: pl.Int64,
}
_WHERE = (PART, ORDER, PLACE)
"""Of which file a row is, and where its record and element stand."""
_BATCH_ROWS = 100_000
_BRACKETS = 2
_PLAIN = frozenset({"integer", "float", "boolean"})
# a character becomes at most so many bytes of JSON: an escape as \u0001
_MOST_BYTES = 6
_NO_ROW = ("id_missing", "each_not_a_list", "empty_element")


@dataclass(frozen=True)
class Bucket:
    """Some keys of a dataset as they should be.

    **Shape**: `rows` has one row per key: the columns of `_OWN` and each verified column as canonical text under
    `c:NAME`. `losers` has the same columns: the rows that went into another one; so has `unsendable`: the rows that fit
    in no request. `_nulls` lists the places of the columns that send null, each between commas. `_touched` says whether
    any row of the key may have changed since the last plan: of the others nothing is expected that could be sent.
    """

    rows: pl.DataFrame
    losers: pl.DataFrame
    unsendable: pl.DataFrame

    def judged(self, planned: pl.Series) -> pl.DataFrame:
        """The rows that may have changed, and those whose keys a plan has `planned` all the same.

        A delta's plan also makes a row anew that has lost a record, or that looked one up which is gone.
        """
        return self.rows.filter(pl.col(TOUCHED) | pl.col(KEY).is_in(planned.implode()))

    def beyond(self, planned: pl.Series) -> pl.DataFrame:
        """The rows with a key that a plan has `planned`, of which nothing is in what the plan is of."""
        return self.rows.filter(~pl.col(TOUCHED), pl.col(KEY).is_in(planned.implode()))

    @property
    def touched(self) -> pl.DataFrame:
        """The rows that a plan is to write, or to find equal."""
        return self.rows.filter(TOUCHED)


@dataclass
class Expected:
    """A dataset as it should be, bucket by bucket.

    `left` counts the rows that were not made, by rule; `left_texts` holds the columns of them that were asked for.
    `is_limited`: the plan is to be of a sample or a part only, and of no other row.
    """

    rules: DatasetRules
    columns: tuple[str, ...]
    shelf: Spill
    left: Counter[str] = field(default_factory=Counter)
    read: int = 0
    unverifiable: dict[str, str] = field(default_factory=dict)
    left_texts: pl.DataFrame = field(default_factory=pl.DataFrame)
    withheld: dict[int, set[Pair]] = field(default_factory=dict)
    batch_bytes: int = 0
    is_limited: bool = False

    def put_away(self, made: pl.DataFrame, part: int, keep: Sequence[str]) -> pl.DataFrame:
        """Puts rows of one file on the shelf and counts what it left out; gives some columns of what may have changed
        of that."""
        left = made.filter(pl.col(LEFT).is_not_null())
        self.read += made.height
        self.left.update(left.get_column(LEFT))
        # What a `where` leaves out is left out on purpose: its children are orphans and wait for nobody.
        may_come = left.filter(
            pl.col(LEFT) != "filtered", pl.col(SOURCE).is_not_null(), pl.col(ID) != ""
        )
        self.withheld.setdefault(part, set()).update(may_come.select(SOURCE, ID).iter_rows())
        rows = made.filter(pl.col(LEFT).is_null()).with_columns(pl.lit(part, pl.Int64).alias(PART))
        self.shelf.add(rows.select(list(_schema(self.columns))))
        standing = left.filter(pl.col(TOUCHED), ~pl.col(LEFT).is_in(_NO_ROW))
        columns = {name: f"c:{name}" for name in keep if name in self.columns}
        texts = [
            (pl.col(columns[name]) if name in columns else pl.lit(None, pl.String)).alias(name)
            for name in keep
        ]
        return standing.with_columns(pl.lit(part, pl.Int64).alias(PART)).select(*_WHERE, *texts)

    def bucket(self, number: int) -> Bucket:
        """The rows of one bucket, put together by key."""
        rows, losers = _collapsed(self._every(number), self.rules, self.columns)
        if not self.batch_bytes or not rows.height:
            return Bucket(rows, losers, rows.clear())
        # too_large: a row that no request can carry is in no plan, and what looks it up waits
        fits = _fitting(rows, self.rules, self.columns, self.batch_bytes)
        return Bucket(rows.filter(fits), losers, rows.filter(~fits))

    def _every(self, number: int) -> pl.DataFrame:
        """All rows of a bucket; one that may have changed makes its whole key so."""
        schema = _schema(self.columns)
        every = self.shelf.bucket(number, schema).select(list(schema))
        if not every.get_column(TOUCHED).all():
            every = every.with_columns(pl.col(TOUCHED).any().over(KEY))
        return every

    def buckets(self) -> Iterator[Bucket]:
        """All buckets."""
        return (self.bucket(number) for number in range(self.shelf.buckets))

    @property
    def rows(self) -> pl.DataFrame:
        """One row per key of the whole dataset, as in `Bucket.rows`."""
        return pl.concat([bucket.rows for bucket in self.buckets()])

    def texts(self, names: Iterable[str]) -> pl.DataFrame:
        """Some columns of the rows that a plan is to write, by their names in the target.

        **Shape**: also `_part`, `_order` and `_position` of the record that won, and `_merged`: whether others went
        into it.
        """
        wanted = [pl.col(*_WHERE), *(pl.col(f"c:{name}").alias(name) for name in names)]
        return pl.concat(
            bucket.touched.select(
                *wanted, pl.col(KEY).is_in(bucket.losers.get_column(KEY).implode()).alias("_merged")
            )
            for bucket in self.buckets()
        )

    def texts_as_sent(self, names: Sequence[str]) -> pl.DataFrame:
        """The same columns of every row as sent: those that went into others and those that were left out, too."""
        wanted = [pl.col(*_WHERE), *(pl.col(f"c:{name}").alias(name) for name in names)]
        rows = [
            self._every(number).filter(TOUCHED).select(wanted)
            for number in range(self.shelf.buckets)
        ]
        return pl.concat([*rows, self.left_texts.select(*_WHERE, *names)])

    def lookup_table(
        self, wanted: Iterable[str], aliases: Mapping[str, str], resource: str | None = None
    ) -> LookupTable:
        """Where each record ended: its source and id to the columns of the row it went into.

        `resource`: of which the records are, where several files make the dataset; None for that of the first.
        """
        part = self.rules.place_of(resource)
        asked = set(wanted) - set(self.unverifiable)
        named = tuple(name for name in self.columns if name in asked)
        parts = [empty_rows(named).with_columns(pl.lit(0, pl.Int64).alias(PLACE))]
        who = (SOURCE, ID, PLACE, KEY)
        withheld = set(self.withheld.get(part, ()))
        for bucket in self.buckets():
            final = bucket.rows.select(
                KEY, TOUCHED, *(pl.col(f"c:{name}").alias(name) for name in named)
            )
            members = pl.concat(
                rows.filter(pl.col(PART) == part).select(who)
                for rows in (bucket.rows, bucket.losers)
            )
            parts.append(members.join(final, on=KEY, how="inner").select(parts[0].columns))
            lost = bucket.losers.join(final, on=KEY, how="anti")
            for rows in (bucket.unsendable, lost):
                mine = rows.filter(pl.col(PART) == part).select(SOURCE, ID)
                withheld |= {(source, id_) for source, id_ in mine.iter_rows()}
        return make_table(pl.concat(parts), named, aliases, withheld)


@dataclass(frozen=True)
class Scope:
    """What of a dataset is worked out, and where it is put.

    `touched_from`: records from this place on may have changed since the last plan. `keep`: columns that are wanted of
    records that make no row, too. With a `folder`, what does not fit in one bucket of about `rows` rows is kept there.
    `discarded`: what a person has discarded, as the plan carries it.
    """

    touched_from: int = 0
    keep: Sequence[str] = ()
    folder: Path | None = None
    rows: int = 0
    discarded: frozenset[Identity] = frozenset()


@dataclass(frozen=True)
class FileRecords:
    """What one of a dataset's files is worked out from: the snapshot's `frames` of its resource, and its look-ups.

    **Shape**: `frames` have `_source`, `_id`, `_raw`, `_position`, and about `rows` rows; the rest as of `Scope`.
    `inside`: by place whether the plan is of the record, where it is a sample or a part.
    """

    frames: Iterable[pl.DataFrame]
    lookups: Mapping[str, LookupTable]
    touched_from: int = 0
    discarded: frozenset[Identity] = frozenset()
    rows: int = 0
    inside: pl.Series | None = None


def expect_dataset(
    rules: DatasetRules,
    frames: Iterable[pl.DataFrame],
    conventions: Conventions,
    lookups: Mapping[str, LookupTable],
    tick: Callable[[int], None],
    scope: Scope | None = None,
) -> Expected:
    """The dataset of one file worked out from the snapshot's `frames` (`_source`, `_id`, `_raw`, `_position`).

    `tick` is told the records as they are done, and may raise to stop. **Raises**: Unverifiable.
    """
    scope = scope or Scope()
    records = FileRecords(frames, lookups, scope.touched_from, scope.discarded)
    return expect_files(rules, [records], conventions, tick, scope)


def expect_files(
    rules: DatasetRules,
    files: Sequence[FileRecords],
    conventions: Conventions,
    tick: Callable[[int], None],
    scope: Scope,
) -> Expected:
    """A dataset worked out from what each of its files is made of, in their order. See `expect_dataset`."""
    if rules.doubts:
        raise Unverifiable(f"{rules.doubts[0]}: not known to the verifier")
    with contextlib.ExitStack() as stack:
        evaluators = [
            stack.enter_context(contextlib.closing(_evaluator(part, conventions, records, scope)))
            for part, records in zip(rules.parts, files, strict=True)
        ]
        columns = _columns_of(rules, evaluators)
        shelf = Spill(scope.folder and scope.folder / "rows", buckets_for(scope.rows))
        made = Expected(rules, columns, shelf, batch_bytes=conventions.batch_bytes)
        places = dict.fromkeys(_WHERE, pl.Int64)
        kept = [pl.DataFrame(schema={**places, **dict.fromkeys(scope.keep, pl.String)})]
        for part, (evaluator, records) in enumerate(zip(evaluators, files, strict=True)):
            # The same columns of each file, so that their rows can lie on one shelf.
            evaluator.order = columns
            made.is_limited |= records.inside is not None
            made.unverifiable |= evaluator.unverifiable
            worked_out = evaluator.work_out(_batches(records.frames, tick))
            limited = (_limited(rows, records.inside) for rows in worked_out)
            kept += [made.put_away(rows, part, scope.keep) for rows in limited]
    made.left_texts = pl.concat(kept)
    return made


def _limited(rows: pl.DataFrame, inside: pl.Series | None) -> pl.DataFrame:
    """The rows, of which a plan of a sample or a part is to send those whose record is of it, whatever they look up."""
    if inside is None:
        return rows
    return rows.with_columns(inside.gather(rows.get_column(ORDER)).alias(TOUCHED))


def _evaluator(
    part: DatasetRules, conventions: Conventions, records: FileRecords, scope: Scope
) -> Evaluator:
    folder = scope.folder and scope.folder / f"fields-{part.resource}"
    return Evaluator(
        part, conventions, records.lookups, records.touched_from, records.discarded, folder
    )


def _batches(frames: Iterable[pl.DataFrame], tick: Callable[[int], None]) -> Iterator[pl.DataFrame]:
    """Frames put together to some size: what a query costs beside its rows, it costs once."""
    waiting: list[pl.DataFrame] = []
    for frame in frames:
        waiting.append(frame.select("_raw", "_source", "_id", "_position"))
        if sum(one.height for one in waiting) >= _BATCH_ROWS:
            yield pl.concat(waiting)
            waiting = []
        tick(frame.height)
    if waiting:
        yield pl.concat(waiting)


def _columns_of(rules: DatasetRules, evaluators: Sequence[Evaluator]) -> tuple[str, ...]:
    """The dataset's columns that every file which makes them can be worked out for."""
    left_out = set(chain.from_iterable(evaluator.unverifiable for evaluator in evaluators))
    return tuple(name for name in rules.columns if name not in left_out)


def sends_null(place: int) -> pl.Expr:
    """Whether a row sends null in the column at `place`."""
    return pl.col(NULLS).str.contains(f",{place},", literal=True).fill_null(value=False)


def _schema(columns: tuple[str, ...]) -> dict[str, pl.DataType]:
    return dict(pl.Schema({**_OWN, **{f"c:{name}": pl.String for name in columns}}))


def _collapsed(
    every: pl.DataFrame, rules: DatasetRules, columns: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    shared = every.get_column(KEY).is_duplicated()
    if not shared.any():
        return every, every.clear()
    survivors, losers = collapse(every.filter(shared), rules, columns)
    return pl.concat([every.filter(~shared), survivors]), losers


def _fitting(
    rows: pl.DataFrame, rules: DatasetRules, columns: Sequence[str], most: int
) -> pl.Series:
    """Which rows fit in a request of `most` bytes, as the list that a request is; nearly always all.

    **Shape**: `rows` has each column's text as `c:NAME`, and `_nulls` the places of those that send null.
    """
    names = [f"c:{name}" for name in columns]
    around = sum(len(json.dumps(name)) + 8 for name in columns) + _BRACKETS
    texts = pl.sum_horizontal(pl.col(name).str.len_bytes() for name in names)
    # A guess from above, so that only what may be too large is written out and measured.
    suspects = rows.select(texts * _MOST_BYTES + around > most).to_series()
    fits = ~suspects
    if not suspects.any():
        return fits
    # Numbers and booleans stand in a payload without quotes.
    known = [rules.columns[name].type in _PLAIN for name in columns]
    sizes = [
        _size(columns, known, values, nulls or "")
        for nulls, *values in rows.filter(suspects).select("_nulls", *names).iter_rows()
    ]
    return fits.scatter(suspects.arg_true(), [size + _BRACKETS <= most for size in sizes])


def _size(
    columns: Sequence[str], plain: Sequence[bool], values: Sequence[str | None], nulls: str
) -> int:
    members = []
    for place, (name, value) in enumerate(zip(columns, values, strict=True)):
        if value is None and f",{place}," not in nulls:
            continue
        written = "null" if value is None else value
        if value is not None and not plain[place]:
            written = json.dumps(value, ensure_ascii=False)
        members.append(f"{json.dumps(name, ensure_ascii=False)}:{written}")
    return len(("{" + ",".join(members) + "}").encode())
