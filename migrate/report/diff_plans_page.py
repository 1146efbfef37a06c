"""Two plans beside each other as one self-contained page, and every row and value that differs as full lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.report.diff_lists import WrittenList, write_list
from migrate.report.diff_plans import DatasetComparison, Pair, PlanComparison, pairs_of
from migrate.report.searchable import render_searchable, write_with_lists
from migrate.report.shown import Shown

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan

_VALUES = dict.fromkeys(["key", "column", "first", "second"], pl.String)


def write_comparison(
    one: Plan, two: Plan, found: PlanComparison, shown: Shown, page: Path, *, made_at: str
) -> list[WrittenList]:
    """Writes the page and, in a folder of its name beside it, the full lists. Raises WorkspaceError."""
    return write_with_lists(
        page,
        lambda folder: _write_lists(one, two, folder, shown),
        lambda lists, folder: render_comparison_page(
            found, lists, made_at=made_at, folder=folder, masked=shown.is_masked
        ),
    )


def render_comparison_page(
    found: PlanComparison, lists: Sequence[WrittenList], *, made_at: str, folder: str, masked: bool
) -> str:
    """The page; `folder`: where the full lists are, as seen from the page."""
    return render_searchable(
        "diff_plans.html.j2",
        dataset_names=[dataset.name for dataset in found.datasets],
        kinds=["change"],
        found=found,
        headline=headline_of(found),
        changed_counts={dataset.name: _changed_counts(dataset) for dataset in found.datasets},
        masked=masked,
        lists=lists,
        folder=folder,
        made_at=made_at,
    )


def headline_of(found: PlanComparison) -> str:
    """What differs, in one line."""
    first, second, otherwise = (
        sum(getattr(dataset, name) for dataset in found.datasets)
        for name in ("only_first", "only_second", "otherwise")
    )
    if not (first or second or otherwise):
        return "Both plans would write the same rows with the same values"
    return f"{otherwise:,} rows with other values, {second:,} more rows, {first:,} rows left out"


def _changed_counts(dataset: DatasetComparison) -> list[tuple[str, int | None, int | None]]:
    counts = [(name, first, second) for name, (first, second) in dataset.counts.items()]
    rules = [
        (f"rejected: {rule}", first, second) for rule, (first, second) in dataset.rules.items()
    ]
    return [entry for entry in (*counts, *rules) if entry[1] != entry[2]]


def _write_lists(one: Plan, two: Plan, folder: Path, shown: Shown) -> list[WrittenList]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return [
        write_list(folder, pair.dataset, what, frame)
        for pair in pairs_of(one, two)
        for what, frame in _lists(pair, shown)
        if frame.height
    ]


def _lists(pair: Pair, shown: Shown) -> Iterator[tuple[str, pl.DataFrame]]:
    """`rows`: every key that differs, with what each plan does with it; `values`: every value that differs."""
    rows = pair.rows()
    differing = rows.filter(pl.col("payload").ne_missing(pl.col("payload_after")))
    named = differing.select("key", first="change", second="change_after")
    yield "rows", named.with_columns(shown.column(named.get_column("key")))
    both = rows.drop_nulls(["change", "change_after"])
    parts = [
        values.select(
            shown.column(values.get_column("key")),
            pl.lit(name).alias("column"),
            shown.column(values.get_column("value"), dtype).alias("first"),
            shown.column(values.get_column("value_after"), dtype).alias("second"),
        )
        for name, dtype, values in pair.columns(both)
    ]
    yield "values", pl.concat([pl.DataFrame(schema=_VALUES), *parts])
