"""What a dataset should hold, worked out from the snapshot alone.

Rows are evaluated one by one in plain Python and put on a shelf as frames of texts; only keys that came more than once
are put together again, again in plain Python, a bucket of keys at a time. polars carries the rows and judges nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from migrate.verify.collapse import collapse_rows
from migrate.verify.evaluate import Evaluator
from migrate.verify.lookup import LookupTable, Pair, empty_rows, make_table
from migrate.verify.made import Identity, Left, Row
from migrate.verify.record import Record
from migrate.verify.request_size import fitting
from migrate.verify.rules import Conventions, DatasetRules
from migrate.verify.spill import KEY, Spill, buckets_for
from migrate.verify.typed import Unverifiable

SOURCE, ID, PLACE, ORDER, CREATED, RECENCY, NULLS, TOUCHED, PART = (
    "_source", "_id", "_position", "_order", "_created", "_recency", "_nulls", "_touched", "_part",
)  # fmt: skip
_CHUNK_RECORDS = 5_000
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


@dataclass(frozen=True)
class Bucket:
    """Some keys of a dataset as they should be.

    **Shape**: `rows` has one row per key: the columns of `_OWN` and each verified column as canonical text under
    `c:NAME`. `losers` has the same columns: the rows that went into another one. `_nulls` lists the places of the
    columns that send null, each between commas. `_touched` says whether any row of the key may have changed since the
    last plan: of the others nothing is expected that could be sent.
    """

    rows: pl.DataFrame
    losers: pl.DataFrame

    def judged(self, planned: pl.Series) -> pl.DataFrame:
        """The rows that may have changed, and those whose keys a plan has `planned` all the same.

        A delta's plan also makes a row anew that has lost a record, or that looked one up which is gone.
        """
        return self.rows.filter(pl.col(TOUCHED) | pl.col(KEY).is_in(planned.implode()))

    @property
    def touched(self) -> pl.DataFrame:
        """The rows that a plan is to write, or to find equal."""
        return self.rows.filter(TOUCHED)


@dataclass
class Expected:
    """A dataset as it should be, bucket by bucket.

    `left` counts the rows that were not made, by rule; `left_texts` holds the columns of them that were asked for.
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

    def bucket(self, number: int) -> Bucket:
        """The rows of one bucket, put together by key."""
        rows, losers = _collapsed(self._every(number), self.rules, self.columns)
        if self.batch_bytes and rows.height:
            # too_large: a row that no request can carry is in no plan, and nothing looks it up
            rows = rows.filter(fitting(rows, self.rules, self.columns, self.batch_bytes))
        return Bucket(rows, losers)

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
        """Some columns of the rows that a plan is to write, by their names in the target."""
        wanted = [pl.col(f"c:{name}").alias(name) for name in names]
        return pl.concat([bucket.touched.select(wanted) for bucket in self.buckets()])

    def texts_as_sent(self, names: Sequence[str]) -> pl.DataFrame:
        """The same columns of every row as sent: those that went into others and those that were left out, too."""
        wanted = [pl.col(f"c:{name}").alias(name) for name in names]
        rows = [
            self._every(number).filter(TOUCHED).select(wanted)
            for number in range(self.shelf.buckets)
        ]
        return pl.concat([*rows, self.left_texts.select(names)])

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
        for bucket in self.buckets():
            final = bucket.rows.select(
                KEY, TOUCHED, *(pl.col(f"c:{name}").alias(name) for name in named)
            )
            members = pl.concat(
                rows.filter(pl.col(PART) == part).select(who)
                for rows in (bucket.rows, bucket.losers)
            )
            parts.append(members.join(final, on=KEY, how="inner").select(parts[0].columns))
        return make_table(pl.concat(parts), named, aliases, self.withheld.get(part, set()))


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
    """

    frames: Iterable[pl.DataFrame]
    lookups: Mapping[str, LookupTable]
    touched_from: int = 0
    discarded: frozenset[Identity] = frozenset()
    rows: int = 0


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
        made = Expected(rules, columns, Spill(scope.folder, buckets_for(scope.rows)))
        made.batch_bytes = conventions.batch_bytes
        kept = [pl.DataFrame(schema=dict.fromkeys(scope.keep, pl.String))]
        for part, (evaluator, records) in enumerate(zip(evaluators, files, strict=True)):
            kept += _work_out(made, part, evaluator, records, tick)
            made.unverifiable |= evaluator.unverifiable
    made.left_texts = pl.concat(frame.cast(kept[0].schema) for frame in kept)
    return made


def _evaluator(
    part: DatasetRules, conventions: Conventions, records: FileRecords, scope: Scope
) -> Evaluator:
    keep, touched_from = tuple(scope.keep), records.touched_from
    return Evaluator(
        part, conventions, records.lookups, touched_from, keep, discarded=records.discarded
    )


def _columns_of(rules: DatasetRules, evaluators: Sequence[Evaluator]) -> tuple[str, ...]:
    """The dataset's columns that every file which makes them can be worked out for."""
    left_out = {name for evaluator in evaluators for name in evaluator.unverifiable}
    return tuple(name for name in rules.columns if name not in left_out)


def _work_out(
    made: Expected,
    part: int,
    evaluator: Evaluator,
    records: FileRecords,
    tick: Callable[[int], None],
) -> Iterator[pl.DataFrame]:
    """Adds the rows of one file; gives what is kept of records that make none."""
    own = evaluator.columns
    places = [own.index(name) if name in own else None for name in made.columns]
    is_alone = places == list(range(len(own)))
    withheld = made.withheld.setdefault(part, set())
    for frame in records.frames:
        narrow = frame.select("_raw", "_source", "_id", "_position")
        for chunk in narrow.iter_slices(_CHUNK_RECORDS):
            entries = list(evaluator.rows(Record(*row) for row in chunk.iter_rows()))
            left = [entry for entry in entries if isinstance(entry, Left)]
            rows = [entry for entry in entries if isinstance(entry, Row)]
            made.read += len(entries)
            made.left.update(entry.rule for entry in left)
            withheld.update(entry.pair for entry in left if entry.pair is not None)
            texts = [entry.kept for entry in left if entry.kept]
            yield pl.DataFrame(texts, dict.fromkeys(evaluator.keep, pl.String), orient="row")
            if part or not is_alone:
                rows = [row.placed(part, places) for row in rows]
            made.shelf.add(_frame(rows, made.rules, made.columns))
            tick(chunk.height)


def key_text(values: Iterable[str], types: Iterable[str]) -> str:
    """A row's key as one text: the value of one column, a compact JSON array of several."""
    found = list(zip(values, types, strict=True))
    if len(found) == 1:
        return found[0][0]
    plain = ("integer", "float", "boolean")
    return (
        "["
        + ",".join(v if kind in plain else json.dumps(v, ensure_ascii=False) for v, kind in found)
        + "]"
    )


def sends_null(place: int) -> pl.Expr:
    """Whether a row sends null in the column at `place`."""
    return pl.col(NULLS).str.contains(f",{place},", literal=True).fill_null(value=False)


def _schema(columns: tuple[str, ...]) -> dict[str, pl.DataType]:
    return dict(pl.Schema({**_OWN, **{f"c:{name}": pl.String for name in columns}}))


def _frame(rows: list[Row], rules: DatasetRules, columns: tuple[str, ...]) -> pl.DataFrame:
    places = [columns.index(name) for name in rules.key]
    types = [rules.columns[name].type for name in rules.key]
    data: dict[str, list[object]] = {
        KEY: [key_text((row.values[place] or "" for place in places), types) for row in rows],
        SOURCE: [row.source for row in rows],
        ID: [row.id for row in rows],
        PLACE: [row.position for row in rows],
        ORDER: [row.order for row in rows],
        CREATED: [row.created for row in rows],
        RECENCY: [row.recency for row in rows],
        NULLS: [f",{','.join(map(str, sorted(row.weak)))}," if row.weak else None for row in rows],
        TOUCHED: [row.touched for row in rows],
        PART: [row.part for row in rows],
    }
    data |= {f"c:{name}": [row.values[place] for row in rows] for place, name in enumerate(columns)}
    return pl.DataFrame(data, schema=_schema(columns))


def _collapsed(
    every: pl.DataFrame, rules: DatasetRules, columns: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    shared = every.get_column(KEY).is_duplicated()
    if not shared.any():
        return every, every.clear()
    groups: dict[str, list[Row]] = {}
    for (
        key,
        source,
        id_,
        position,
        order,
        created,
        recency,
        nulls,
        touched,
        part,
        *values,
    ) in every.filter(shared).iter_rows():
        places = frozenset(map(int, nulls.strip(",").split(","))) if nulls else frozenset()
        who = (source, id_, position, order, recency)
        row = Row(*who, tuple(values), places, touched, created, part)
        groups.setdefault(key, []).append(row)
    survivors: list[Row] = []
    lost: list[Row] = []
    keys: list[str] = []
    for key, rows in groups.items():
        winner, losers = collapse_rows(rows, rules, columns)
        survivors.append(winner)
        lost += losers
        keys += [key] * len(losers)
    losers_frame = _frame(lost, rules, columns).with_columns(pl.Series(KEY, keys, dtype=pl.String))
    return pl.concat([every.filter(~shared), _frame(survivors, rules, columns)]), losers_frame
