"""What one plan does otherwise than another: what a change of a mapping changes, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from migrate.plan.opening import Plan, open_plan
from migrate.report.diff_lists import as_text
from migrate.report.diff_page import open_shown
from migrate.report.diff_view import column_types
from migrate.report.shown import Shown
from migrate.report.terminal import Row, inert, render_table
from migrate.workspace import Workspace

if TYPE_CHECKING:
    from migrate.plan.document import PlanDocument

COUNTS = ("read", "filtered", "rejected", "collapsed", "create", "update", "unchanged", "unknown", "merge_forecast")
SAMPLES = 3
_CELL_CHARS = 40


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
class Comparison:
    """Two plans side by side; `inputs`: what they were made from that differs."""

    first: str
    second: str
    inputs: tuple[str, ...]
    datasets: tuple[DatasetComparison, ...]


def compare_plans(workspace: Workspace, first: str, second: str, *, show_values: bool) -> Comparison:
    """The comparison of two finished plans of the workspace. Raises WorkspaceError where one cannot be used."""
    shown = open_shown(workspace, show_values=show_values)
    one, two = open_plan(workspace, first), open_plan(workspace, second)
    names = list(dict.fromkeys([*one.document.datasets, *two.document.datasets]))
    found = tuple(_dataset(one, two, name, shown) for name in names)
    return Comparison(one.name, two.name, tuple(_inputs(one.document, two.document)), found)


def _inputs(one: PlanDocument, two: PlanDocument) -> list[str]:
    changed = []
    if one.snapshot.manifest_sha256 != two.snapshot.manifest_sha256:
        changed.append(f"snapshot: {one.snapshot.name} -> {two.snapshot.name}")
    for name in sorted({*one.mappings, *two.mappings}):
        before, after = one.mappings.get(name), two.mappings.get(name)
        if before is None or after is None:
            changed.append(f"mapping of {name}: in the {'second' if before is None else 'first'} plan only")
        elif before.sha256 != after.sha256:
            changed.append(f"mapping {after.file} ({name}) was edited")
    changed += [
        f"setting {name}" for name in sorted({*one.settings, *two.settings})
        if one.settings.get(name) != two.settings.get(name)
    ]  # fmt: skip  # one thought a line
    if one.offline != two.offline:
        changed.append(f"the {'first' if one.offline else 'second'} plan is offline: its changes are unknown")
    elif _files(one) != _files(two):
        changed.append("the target as it was read")
    return changed


def _files(document: PlanDocument) -> dict[str, list[str]]:
    return {name: [file.sha256 for file in reading.files] for name, reading in document.target_reading.items()}


def _dataset(one: Plan, two: Plan, name: str, shown: Shown) -> DatasetComparison:
    plans = [plan.document.datasets.get(name) for plan in (one, two)]
    counts = {count: tuple(getattr(plan, count) if plan else None for plan in plans) for count in COUNTS}
    rules = [plan.rejected_by_rule if plan else {} for plan in plans]
    joined = _joined(_side(one, name), _side(two, name))
    both = joined.filter(pl.col("change").is_not_null() & pl.col("change_after").is_not_null())
    columns, samples = _columns(one, two, name, both, shown)
    turned = both.filter(pl.col("change") != pl.col("change_after")).group_by("change", "change_after").len()
    return DatasetComparison(
        name=name,
        counts=counts,  # type: ignore[arg-type]  # each is a pair
        rules={rule: (rules[0].get(rule, 0), rules[1].get(rule, 0)) for rule in sorted({*rules[0], *rules[1]})},
        only_first=joined.get_column("change_after").null_count(),
        only_second=joined.get_column("change").null_count(),
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
    return pl.concat([pl.scan_parquet(file).select("key", "change", pl.col("payload").hash()) for file in files])


def _joined(one: pl.LazyFrame, two: pl.LazyFrame) -> pl.DataFrame:
    return one.join(two, on="key", how="full", coalesce=True, suffix="_after").sort("key").collect()


def _columns(
    one: Plan, two: Plan, dataset: str, both: pl.DataFrame, shown: Shown
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """In how many rows each column differs, the most first, and a few samples of each."""
    keys = both.filter(pl.col("payload") != pl.col("payload_after")).select("key")
    if not keys.height:
        return {}, []
    types = [column_types(plan, dataset) for plan in (one, two)]
    names = [name for name in dict.fromkeys([*types[0], *types[1]]) if _is_mapped(one, two, dataset, name)]
    counted: dict[str, int] = {}
    samples: dict[str, list[dict[str, Any]]] = {}
    for name in names:
        sides = [_values(plan, dataset, name, keys) for plan in (one, two)]
        pair = sides[0].join(sides[1], on="key", suffix="_after", how="inner").sort("key")
        differing = pair.filter(pl.col("value").ne_missing(pl.col("value_after")))
        if differing.height:
            counted[name] = differing.height
            samples[name] = _shown_samples(name, differing.head(SAMPLES), types[1].get(name), shown)
    order = sorted(counted, key=lambda name: (-counted[name], name))
    return {name: counted[name] for name in order}, [sample for name in order for sample in samples[name]]


def _is_mapped(one: Plan, two: Plan, dataset: str, name: str) -> bool:
    leading = {"batch", "change", "key", "payload", "sources", "masterid", "changed"}
    stored = {**one.document.mappings[dataset].stored_columns, **two.document.mappings[dataset].stored_columns}
    return name not in leading | {"position"} or name in stored


def _values(plan: Plan, dataset: str, name: str, keys: pl.DataFrame) -> pl.DataFrame:
    """`key` and a column's `value` as text of the rows with these keys; null where the plan has no such column."""
    stored = plan.document.mappings[dataset].stored_columns.get(name, name)
    parts = []
    for file in ("records", "unchanged"):
        frame = pl.scan_parquet(plan.file(dataset, f"{file}.parquet"))
        there = stored in frame.collect_schema()
        value = as_text(frame, stored) if there else pl.lit(None, pl.String)
        parts.append(frame.select("key", value.alias("value")))
    return pl.concat(parts).join(keys.lazy(), on="key", how="semi").collect()


def _shown_samples(name: str, rows: pl.DataFrame, dtype: pl.DataType | None, shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "column": name,
            "key": shown.text(row["key"]),
            "first": shown.value(row["value"], dtype),
            "second": shown.value(row["value_after"], dtype),
        }
        for row in rows.to_dicts()
    ]


def render_comparison(found: Comparison) -> str:
    """The comparison for a terminal."""
    parts = [f"Plan {found.second} against plan {found.first}"]
    parts.append(
        "Made from other inputs:\n" + "\n".join(f"  - {inert(line)}" for line in found.inputs)
        if found.inputs
        else "Both were made from the same inputs."
    )
    rows: list[Row] = [
        [d.name, count, before, after, (after or 0) - (before or 0)]
        for d in found.datasets
        for count, (before, after) in d.counts.items()
        if before != after
    ]
    parts += _table("Counts that differ:", ["dataset", "count", "first", "second", "by"], rows)
    rows = [[d.name, rule, *pair] for d in found.datasets for rule, pair in d.rules.items() if pair[0] != pair[1]]
    parts += _table("Rejected by rule:", ["dataset", "rule", "first", "second"], rows)
    rows = [
        [d.name, d.only_first, d.only_second, d.otherwise]
        for d in found.datasets
        if d.only_first or d.only_second or d.otherwise
    ]
    parts += _table("Rows:", ["dataset", "only in first", "only in second", "with other values"], rows)
    rows = [[d.name, then, now, count] for d in found.datasets for (then, now), count in d.turned.items()]
    parts += _table("Rows that do something else now:", ["dataset", "first", "second", "rows"], rows)
    rows = [[d.name, column, count] for d in found.datasets for column, count in d.columns.items()]
    parts += _table("Columns with other values, most rows first:", ["dataset", "column", "rows"], rows)
    rows = [
        [d.name, s["column"], _cell(s["key"]), _cell(s["first"]), _cell(s["second"])]
        for d in found.datasets
        for s in d.samples
    ]
    parts += _table("Samples:", ["dataset", "column", "key", "first", "second"], rows[:60])
    if len(parts) == 2:
        parts.append("They do the same.")
    return "\n\n".join(parts)


def _cell(text: str | None) -> str:
    if text is None:
        return "(nothing)"
    return text if len(text) <= _CELL_CHARS else text[: _CELL_CHARS - 1] + "…"


def _table(title: str, headers: list[str], rows: list[Row]) -> list[str]:
    return [f"{title}\n{render_table(headers, rows)}"] if rows else []


def summarise_comparison(found: Comparison) -> dict[str, Any]:
    """The comparison's part of the JSON object."""
    return {
        "plan": found.second,
        "against": found.first,
        "inputs": list(found.inputs),
        "datasets": {d.name: _summarise(d) for d in found.datasets},
    }


def _summarise(d: DatasetComparison) -> Mapping[str, Any]:
    return {
        "counts": {count: {"first": pair[0], "second": pair[1]} for count, pair in d.counts.items()},
        "rejected_by_rule": {rule: {"first": pair[0], "second": pair[1]} for rule, pair in d.rules.items()},
        "only_first": d.only_first,
        "only_second": d.only_second,
        "otherwise": d.otherwise,
        "columns": d.columns,
        "turned": [{"first": then, "second": now, "rows": rows} for (then, now), rows in d.turned.items()],
        "samples": d.samples,
    }
