"""Two plans beside each other: what a change of a mapping changes."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from migrate.plan.open_plan import open_plan
from migrate.report.diff_page import open_shown
from migrate.report.diff_plans import PlanComparison
from migrate.report.diff_plans import compare_plans as compare
from migrate.report.diff_plans_page import write_comparison
from migrate.report.diff_plans_text import render_comparison, summarise_comparison
from migrate.report.words import words_of
from tests.report.diff_project import CONTACTS, make_bench


def compare_plans(workspace, first: str, second: str, *, show_values: bool) -> PlanComparison:
    """The comparison of two plans of the workspace."""
    shown = open_shown(workspace, show_values=show_values)
    return compare(open_plan(workspace, first), open_plan(workspace, second), shown)


@pytest.fixture
def bench(tmp_path: Path):
    """The project with its first plan."""
    made = make_bench(tmp_path)
    made.plan("one")
    return made


def test_the_same_inputs_do_the_same(bench) -> None:
    """Two plans of the same say so, and nothing else."""
    bench.plan("two")
    found = compare_plans(bench.workspace, "one", "two", show_values=False)
    assert "They do the same." in render_comparison(found)
    assert found.inputs == ()


def test_an_edited_mapping_shows_its_columns_rows_and_rules(bench) -> None:
    """A column spelt otherwise, one that is gone, rows no longer rejected, and what follows in another dataset."""
    edited = CONTACTS.replace(
        "{from: name, type: text}", "{from: name, type: text, apply: [uppercase]}"
    )
    edited = edited.replace("  age:         {from: age, type: integer}\n", "")
    bench.write_mapping("contacts", edited)
    bench.plan("two")
    found = compare_plans(bench.workspace, "one", "two", show_values=True)
    contacts = found.datasets[0]
    assert found.inputs == ("mapping contacts.yaml (contacts) was edited",)
    assert (contacts.only_first, contacts.only_second, contacts.otherwise) == (0, 2, 118)
    assert contacts.columns == {"age": 118, "name": 118}
    assert contacts.counts["rejected"] == (2, 0)
    assert contacts.rules == {"not_an_integer": (1, 0), "out_of_int32": (1, 0)}
    assert contacts.turned == {("unchanged", "update"): 37}
    text = render_comparison(found)
    assert "NAME 1" in text
    orders = next(dataset for dataset in found.datasets if dataset.name == "orders")
    assert orders.only_second == 8, "orders that no longer wait for the two contacts"
    assert summarise_comparison(found)["datasets"]["contacts"]["turned"] == [
        {"first": "unchanged", "second": "update", "rows": 37}
    ]


def test_values_are_masked_unless_asked_for(bench) -> None:
    """The comparison hides what the report hides."""
    bench.write_mapping("contacts", CONTACTS.replace("{from: name,", "{from: email,"))
    bench.plan("two")
    assert "example.test" not in render_comparison(
        compare_plans(bench.workspace, "one", "two", show_values=False)
    )
    assert "example.test" in render_comparison(
        compare_plans(bench.workspace, "one", "two", show_values=True)
    )


def test_the_page_and_the_lists_hold_every_difference(bench, tmp_path: Path) -> None:
    """One page with the counts and samples; beside it every row and every value that differs, masked alike."""
    edited = CONTACTS.replace(
        "{from: name, type: text}", "{from: name, type: text, apply: [uppercase]}"
    )
    bench.write_mapping(
        "contacts", edited.replace("  age:         {from: age, type: integer}\n", "")
    )
    bench.plan("two")
    one, two = open_plan(bench.workspace, "one"), open_plan(bench.workspace, "two")
    shown = open_shown(bench.workspace, show_values=False)
    found = compare(one, two, shown)
    lists = write_comparison(
        one, two, found, shown, tmp_path / "page.html", made_at="now", words=words_of("en")
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "118 rows with other values, 10 more rows, 0 rows left out" in page
    assert "mapping contacts.yaml (contacts) was edited" in page
    assert "NAME 1" not in page
    by_name = {
        (written.dataset, written.what): pl.read_parquet(written.parquet) for written in lists
    }
    values = by_name["contacts", "values"]
    assert dict(values.group_by("column").len().iter_rows()) == {"age": 118, "name": 118}
    assert by_name["contacts", "rows"].height == 120
    assert by_name["contacts", "rows"].filter(pl.col("first").is_null()).height == 2
    assert not values.filter(pl.col("second").str.contains("NAME")).height


def test_the_page_of_equal_plans_says_so(bench, tmp_path: Path) -> None:
    """Nothing differs: one line says it, and no list is written."""
    bench.plan("two")
    one, two = open_plan(bench.workspace, "one"), open_plan(bench.workspace, "two")
    shown = open_shown(bench.workspace, show_values=False)
    lists = write_comparison(
        one,
        two,
        compare(one, two, shown),
        shown,
        tmp_path / "page.html",
        made_at="now",
        words=words_of("en"),
    )
    assert lists == []
    assert "the same rows with the same values" in (tmp_path / "page.html").read_text(
        encoding="utf-8"
    )
