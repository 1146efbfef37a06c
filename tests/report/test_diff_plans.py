"""Two plans beside each other: what a change of a mapping changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrate.report.diff_plans import compare_plans, render_comparison, summarise_comparison
from tests.report.diff_project import CONTACTS, make_bench


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
    edited = CONTACTS.replace("{from: name, type: text}", "{from: name, type: text, apply: [uppercase]}")
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
    assert orders.columns == {"contact_key": 8}, "orders of the two contacts that are there now"
    assert summarise_comparison(found)["datasets"]["contacts"]["turned"] == [
        {"first": "unchanged", "second": "update", "rows": 37}
    ]


def test_values_are_masked_unless_asked_for(bench) -> None:
    """The comparison hides what the report hides."""
    bench.write_mapping("contacts", CONTACTS.replace("{from: name,", "{from: email,"))
    bench.plan("two")
    assert "example.test" not in render_comparison(compare_plans(bench.workspace, "one", "two", show_values=False))
    assert "example.test" in render_comparison(compare_plans(bench.workspace, "one", "two", show_values=True))
