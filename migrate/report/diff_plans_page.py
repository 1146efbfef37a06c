"""Two plans beside each other as one self-contained page, and every row and value that differs as full lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from migrate.mapping.rules import RULES
from migrate.report.about import Fact, facts_of_plan
from migrate.report.diff_lists import WrittenList, write_list
from migrate.report.diff_plans import DatasetComparison, Pair, PlanComparison, pairs_of
from migrate.report.labels import COMPARED, KINDS
from migrate.report.searchable import render_searchable, write_with_lists
from migrate.report.shown import Shown
from migrate.report.words import Words
from migrate.sentence import Sentence

if TYPE_CHECKING:
    from migrate.plan.open_plan import Plan

_VALUES = dict.fromkeys(["key", "column", "first", "second"], pl.String)


def write_comparison(
    one: Plan,
    two: Plan,
    comparison: PlanComparison,
    shown: Shown,
    page: Path,
    *,
    made_at: str,
    words: Words,
) -> list[WrittenList]:
    """Writes the page and, in a folder of its name beside it, the full lists. Raises WorkspaceError."""
    return write_with_lists(
        page,
        lambda folder: _write_lists(one, two, folder, shown, words),
        lambda lists, folder: render_comparison_page(
            comparison,
            lists,
            made_at=made_at,
            folder=folder,
            masked=shown.is_masked,
            words=words,
            about=facts_of_plan(two, "compared"),
        ),
    )


def render_comparison_page(
    comparison: PlanComparison,
    lists: Sequence[WrittenList],
    *,
    made_at: str,
    folder: str,
    masked: bool,
    words: Words,
    about: Sequence[Fact],
) -> str:
    """The page; `folder`: where the full lists are, as seen from the page."""
    return render_searchable(
        "diff_plans.html.j2",
        words,
        about=about,
        changes=dict(KINDS),
        dataset_names=[dataset.name for dataset in comparison.datasets],
        kinds=["change"],
        found=comparison,
        headline=headline_of(comparison),
        changed_counts={dataset.name: _changed_counts(dataset) for dataset in comparison.datasets},
        masked=masked,
        lists=lists,
        folder=folder,
        made_at=made_at,
    )


def headline_of(comparison: PlanComparison) -> str:
    """What differs, in one line."""
    first = sum(dataset.only_first for dataset in comparison.datasets)
    second = sum(dataset.only_second for dataset in comparison.datasets)
    otherwise = sum(dataset.otherwise for dataset in comparison.datasets)
    if not (first or second or otherwise):
        return Sentence("Both plans would write the same rows with the same values")
    return Sentence(
        "{others} rows with other values, {more} more rows, {fewer} rows left out",
        others=otherwise,
        more=second,
        fewer=first,
    )


def _changed_counts(dataset: DatasetComparison) -> list[tuple[str, int | None, int | None]]:
    counts = [(COMPARED[name], first, second) for name, (first, second) in dataset.counts.items()]
    rules = [(_rejected_by(rule), first, second) for rule, (first, second) in dataset.rules.items()]
    return [entry for entry in (*counts, *rules) if entry[1] != entry[2]]


def _rejected_by(rule: str) -> Sentence:
    says = Sentence(RULES[rule].says if rule in RULES else rule)
    return Sentence("rejected: {rule}", rule=says)


def _write_lists(
    one: Plan, two: Plan, folder: Path, shown: Shown, words: Words
) -> list[WrittenList]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for pair in pairs_of(one, two):
        for what, frame in _lists(pair, shown):
            if frame.height:
                written.append(write_list(folder, pair.dataset, what, frame, words))
    return written


def _lists(pair: Pair, shown: Shown) -> Iterator[tuple[str, pl.DataFrame]]:
    """`rows`: every key that differs, with what each plan does with it; `values`: every value that differs."""
    shown = pair.shown(shown)
    rows = pair.rows()
    differing = rows.filter(pl.col("payload").ne_missing(pl.col("payload_after")))
    named = differing.select("key", first="change", second="change_after")
    yield "rows", named.with_columns(shown.column(named.get_column("key")))
    both = rows.drop_nulls(["change", "change_after"])
    parts = [
        values.select(
            shown.column(values.get_column("key")),
            pl.lit(name).alias("column"),
            shown.column(values.get_column("value"), dtype, name).alias("first"),
            shown.column(values.get_column("value_after"), dtype, name).alias("second"),
        )
        for name, dtype, values in pair.columns(both)
    ]
    yield "values", pl.concat([pl.DataFrame(schema=_VALUES), *parts])
