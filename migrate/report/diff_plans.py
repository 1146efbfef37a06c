"""How one plan differs from another: what a change of a mapping changes, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate import parquet
from migrate.plan.open_plan import Plan
from migrate.report.diff_lists import as_text
from migrate.report.diff_view import column_types
from migrate.report.shown import Shown
from migrate.sentence import Sentence

if TYPE_CHECKING:
    from migrate.plan.document import PlanDocument

COUNTS = (
    "read",
    "filtered",
    "rejected",
    "collapsed",
    "create",
    "update",
    "unchanged",
    "unknown",
    "merge_forecast",
)
SAMPLES = 3


@dataclass(frozen=True)
class DatasetComparison:
    """One dataset in two plans. Units: rows.

    `only_first`, `only_second`: keys that one plan has; `otherwise`: keys of both whose values differ; `columns`: by
    column in how many; `turned`: how many rows are another kind of change now, by (then, now).
    """

    name: str
    counts: dict[str, tuple[int | None, int | None]]
    rules: dict[str, tuple[int, int]]
    only_first: int
    only_second: int
    otherwise: int
    columns: dict[str, int]
    turned: dict[tuple[str, str], int]
    samples: list[dict[str, Any]]


@dataclass(frozen=True)
class PlanComparison:
    """Two plans side by side; `inputs`: what they were made from that differs."""

    first: str
    second: str
    inputs: tuple[str, ...]
    datasets: tuple[DatasetComparison, ...]


@dataclass(frozen=True)
class Pair:
    """One dataset in two plans, read as it is needed."""

    one: Plan
    two: Plan
    dataset: str

    def shown(self, shown: Shown) -> Shown:
        """How the dataset's values are shown: by what its rows were made of in either plan."""
        used = [plan.document.mappings.get(self.dataset) for plan in (self.one, self.two)]
        return shown.of([file.resource for mapping in used if mapping for file in mapping.files])

    def rows(self) -> pl.DataFrame:
        """Every key of either plan.

        **Shape**: `key`; `change, payload` in the first plan and `change_after, payload_after` in the second, null
        where it has no such key. The payload is a hash, to be compared within this frame. Sorted by key.
        """
        one = _side(self.one, self.dataset)
        two = _side(self.two, self.dataset)
        return (
            one.join(two, on="key", how="full", coalesce=True, suffix="_after")
            .sort("key")
            .collect()
        )

    def columns(self, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataType | None, pl.DataFrame]]:
        """Of each column that differs among `rows`: name, type in the second plan, and `key, value, value_after`."""
        keys = rows.filter(pl.col("payload") != pl.col("payload_after")).select("key")
        if keys.height:
            types = [column_types(plan, self.dataset) for plan in (self.one, self.two)]
        else:
            types = [{}, {}]
        for name in dict.fromkeys([*types[0], *types[1]]):
            if _is_mapped(self.one, self.two, self.dataset, name):
                sides = [_values(plan, self.dataset, name, keys) for plan in (self.one, self.two)]
                both = sides[0].join(sides[1], on="key", suffix="_after", how="inner").sort("key")
                differing = both.filter(pl.col("value").ne_missing(pl.col("value_after")))
                if differing.height:
                    yield name, types[1].get(name), differing


def pairs_of(one: Plan, two: Plan) -> list[Pair]:
    """The datasets of either plan, those of the first before others."""
    return [
        Pair(one, two, name)
        for name in dict.fromkeys([*one.document.datasets, *two.document.datasets])
    ]


def compare_plans(one: Plan, two: Plan, shown: Shown) -> PlanComparison:
    """The comparison of two finished plans."""
    datasets = tuple(_dataset(pair, shown) for pair in pairs_of(one, two))
    return PlanComparison(one.name, two.name, tuple(_inputs(one.document, two.document)), datasets)


def _inputs(one: PlanDocument, two: PlanDocument) -> list[str]:
    changed: list[str] = []
    if one.snapshot.manifest_sha256 != two.snapshot.manifest_sha256:
        changed.append(
            Sentence(
                "snapshot: {first} -> {second}",
                first=one.snapshot.name,
                second=two.snapshot.name,
            )
        )
    for name in sorted({*one.mappings, *two.mappings}):
        before = one.mappings.get(name)
        after = two.mappings.get(name)
        if before is None or after is None:
            if before is None:
                only = "mapping of {dataset}: in the second plan only"
            else:
                only = "mapping of {dataset}: in the first plan only"
            changed.append(Sentence(only, dataset=name))
        elif before.sha256 != after.sha256:
            changed.append(
                Sentence("mapping {file} ({dataset}) was edited", file=after.file, dataset=name)
            )
    changed += [
        Sentence("setting {name}", name=name) for name in sorted({*one.settings, *two.settings})
        if one.settings.get(name) != two.settings.get(name)
    ]  # fmt: skip  # one thought a line
    if one.offline != two.offline:
        changed.append(
            Sentence("the first plan is offline: its changes are unknown")
            if one.offline
            else Sentence("the second plan is offline: its changes are unknown")
        )
    # Only where both have read it: an offline plan differs by that alone.
    elif _files(one) != _files(two):
        changed.append(Sentence("the target as it was read"))
    return changed


def _files(document: PlanDocument) -> dict[str, list[str]]:
    hashes: dict[str, list[str]] = {}
    for name, reading in document.target_reading.items():
        hashes[name] = [file.sha256 for file in reading.files]
    return hashes


def _dataset(pair: Pair, shown: Shown) -> DatasetComparison:
    plans = [plan.document.datasets.get(pair.dataset) for plan in (pair.one, pair.two)]
    counts = {
        count: tuple(getattr(plan, count) if plan else None for plan in plans) for count in COUNTS
    }
    rules = [plan.rejected_by_rule if plan else {} for plan in plans]
    rows = pair.rows()
    both = rows.filter(pl.col("change").is_not_null() & pl.col("change_after").is_not_null())
    columns, samples = _columns(pair, both, pair.shown(shown))
    turned = (
        both.filter(pl.col("change") != pl.col("change_after"))
        .group_by("change", "change_after")
        .len()
    )
    return DatasetComparison(
        name=pair.dataset,
        counts=counts,  # type: ignore[arg-type]  # each is a pair
        rules={
            rule: (rules[0].get(rule, 0), rules[1].get(rule, 0))
            for rule in sorted({*rules[0], *rules[1]})
        },
        only_first=rows.get_column("change_after").null_count(),
        only_second=rows.get_column("change").null_count(),
        otherwise=int((both.get_column("payload") != both.get_column("payload_after")).sum()),
        columns=columns,
        turned={(then, now): rows for then, now, rows in sorted(turned.iter_rows())},
        samples=samples,
    )


def _side(plan: Plan, dataset: str) -> pl.LazyFrame:
    """The rows of a dataset in a plan: `key, change` and a hash of the payload; none where it has no such dataset."""
    schema = {"key": pl.String, "change": pl.String, "payload": pl.UInt64}
    if dataset not in plan.document.datasets:
        return pl.LazyFrame(schema=schema)
    files = [plan.file(dataset, f"{name}.parquet") for name in ("records", "unchanged")]
    # Hashes are compared within this process only, where equal texts have equal ones.
    return pl.concat(
        [parquet.scan(file).select("key", "change", pl.col("payload").hash()) for file in files]
    )


def _columns(
    pair: Pair, both: pl.DataFrame, shown: Shown
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """In how many rows each column differs, the most first, and a few samples of each."""
    counted: dict[str, int] = {}
    samples: dict[str, list[dict[str, Any]]] = {}
    for name, dtype, differing in pair.columns(both):
        counted[name] = differing.height
        samples[name] = _shown_samples(name, differing.head(SAMPLES), dtype, shown)
    order = sorted(counted, key=lambda name: (-counted[name], name))
    return {name: counted[name] for name in order}, list(
        chain.from_iterable(samples[name] for name in order)
    )


def _is_mapped(one: Plan, two: Plan, dataset: str, name: str) -> bool:
    leading = {"batch", "change", "key", "payload", "sources", "masterid", "changed"}
    stored = {
        **one.document.mappings[dataset].stored_columns,
        **two.document.mappings[dataset].stored_columns,
    }
    return name not in leading | {"position"} or name in stored


def _values(plan: Plan, dataset: str, name: str, keys: pl.DataFrame) -> pl.DataFrame:
    """`key` and a column's `value` as text of the rows with these keys; null where the plan has no such column."""
    stored = plan.document.mappings[dataset].stored_columns.get(name, name)
    parts = []
    for file in ("records", "unchanged"):
        frame = parquet.scan(plan.file(dataset, f"{file}.parquet"))
        there = stored in frame.collect_schema()
        if there:
            value = as_text(frame, stored)
        else:
            value = pl.lit(None, pl.String)
        parts.append(frame.select("key", value.alias("value")))
    return pl.concat(parts).join(keys.lazy(), on="key", how="semi").collect()


def _shown_samples(
    name: str, rows: pl.DataFrame, dtype: pl.DataType | None, shown: Shown
) -> list[dict[str, Any]]:
    return [
        {
            "column": name,
            "key": shown.text(row["key"]),
            "first": shown.value(row["value"], dtype, name),
            "second": shown.value(row["value_after"], dtype, name),
        }
        for row in rows.to_dicts()
    ]
