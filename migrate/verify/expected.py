"""What a dataset should hold, worked out from the snapshot alone.

Rows are evaluated one by one in plain Python and kept as frames of texts; only keys that came more than once are put
together again, again in plain Python. polars carries the rows and judges nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from migrate.verify.collapse import collapse_rows
from migrate.verify.evaluate import Evaluator, Left, LookupTable, Row
from migrate.verify.record import Record
from migrate.verify.rules import Conventions, DatasetRules

KEY, SOURCE, ID, PLACE, ORDER, RECENCY, NULLS = (
    "_key", "_source", "_id", "_position", "_order", "_recency", "_nulls",
)  # fmt: skip
_TICK_ROWS = 2_000
_OWN: dict[str, pl.DataType | type[pl.DataType]] = {
    KEY: pl.String,
    SOURCE: pl.String,
    ID: pl.String,
    PLACE: pl.Int64,
    ORDER: pl.Int64,
    RECENCY: pl.String,
    NULLS: pl.List(pl.Int64),
}


@dataclass
class Expected:
    """A dataset as it should be.

    **Shape**: `rows` has one row per key: the columns of `_OWN` and each verified column as canonical text under
    `c:NAME`. `losers` has the same columns: the rows that went into another one. `identities`: `(source, id, key)` of
    every record that went into a row, the first element's key where a record gave several rows.
    """

    rules: DatasetRules
    columns: tuple[str, ...]
    rows: pl.DataFrame
    losers: pl.DataFrame
    left: Counter[str] = field(default_factory=Counter)
    read: int = 0
    unverifiable: Mapping[str, str] = field(default_factory=dict)

    def lookup_table(
        self, wanted: Iterable[str], aliases: Mapping[str, str]
    ) -> dict[tuple[str, str], dict[str, str | None]]:
        """Where each record ended: its (source, id) to the columns of the row it went into.

        Under an alias a source is found as `\\0ALIAS`; where two records meet there, the first by source name is it.
        """
        named = [name for name in self.columns if name in set(wanted)]
        final = self.rows.select(KEY, *(f"c:{name}" for name in named))
        members = pl.concat([self.rows.select(SOURCE, ID, PLACE, KEY), self.losers.select(SOURCE, ID, PLACE, KEY)])
        joined = members.join(final, on=KEY, how="inner").sort(SOURCE, ID, PLACE, nulls_last=False)
        table: dict[tuple[str, str], dict[str, str | None]] = {}
        for source, id_, _place, _key, *values in joined.iter_rows():
            if source is None:
                continue
            found = dict(zip(named, values, strict=True))
            table.setdefault((source, id_), found)
            if aliases:
                table.setdefault((f"\0{aliases.get(source, source)}", id_), found)
        return table


def expect_dataset(
    rules: DatasetRules,
    frames: Iterable[pl.DataFrame],
    conventions: Conventions,
    lookups: Mapping[str, LookupTable],
    tick: Callable[[int], None],
) -> Expected:
    """The dataset worked out from the snapshot's `frames` (`_source`, `_id`, `_raw`).

    `tick` is told the records as they are done, and may raise to stop. **Raises**: Unverifiable.
    """
    evaluator = Evaluator(rules, conventions, lookups)
    left: Counter[str] = Counter()
    parts = [_frame([], rules, evaluator.columns)]
    parts += (_frame(list(_rows(evaluator, frame, left, tick)), rules, evaluator.columns) for frame in frames)
    every = pl.concat(parts)
    once, losers = _collapsed(every, rules, evaluator.columns)
    return Expected(
        rules, evaluator.columns, once, losers, left, every.height + sum(left.values()), dict(evaluator.unverifiable)
    )


def _rows(evaluator: Evaluator, frame: pl.DataFrame, left: Counter[str], tick: Callable[[int], None]) -> Iterator[Row]:
    records = frame.select("_raw", "_source", "_id", "_position").iter_rows()
    for count, (raw, source, id_, order) in enumerate(records, 1):
        for found in evaluator.rows(Record(raw, source, id_, order)):
            if isinstance(found, Left):
                left[found.rule] += 1
            else:
                yield found
        if count % _TICK_ROWS == 0 or count == frame.height:
            tick(count - (count - 1) // _TICK_ROWS * _TICK_ROWS)


def key_text(values: Iterable[str], types: Iterable[str]) -> str:
    """A row's key as one text: the value of one column, a compact JSON array of several."""
    found = list(zip(values, types, strict=True))
    if len(found) == 1:
        return found[0][0]
    plain = ("integer", "float", "boolean")
    return "[" + ",".join(v if kind in plain else json.dumps(v, ensure_ascii=False) for v, kind in found) + "]"


def _frame(rows: list[Row], rules: DatasetRules, columns: tuple[str, ...]) -> pl.DataFrame:
    places = [columns.index(name) for name in rules.key]
    types = [rules.columns[name].type for name in rules.key]
    data: dict[str, list[object]] = {
        KEY: [key_text((row.values[place] or "" for place in places), types) for row in rows],
        SOURCE: [row.source for row in rows],
        ID: [row.id for row in rows],
        PLACE: [row.position for row in rows],
        ORDER: [row.order for row in rows],
        RECENCY: [row.recency for row in rows],
        NULLS: [sorted(row.nulls) for row in rows],
    }
    data |= {f"c:{name}": [row.values[place] for row in rows] for place, name in enumerate(columns)}
    schema = {**_OWN, **{f"c:{name}": pl.String for name in columns}}
    return pl.DataFrame(data, schema=schema)


def _collapsed(every: pl.DataFrame, rules: DatasetRules, columns: tuple[str, ...]) -> tuple[pl.DataFrame, pl.DataFrame]:
    shared = every.get_column(KEY).is_duplicated()
    if not shared.any():
        return every, every.clear()
    groups: dict[str, list[Row]] = {}
    for key, source, id_, position, order, recency, nulls, *values in every.filter(shared).iter_rows():
        row = Row(source, id_, position, order, recency, tuple(values), frozenset(nulls))
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
