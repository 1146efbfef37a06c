"""Rejects as a frame: groups, choices, and files that are safe to open."""

from __future__ import annotations

from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.load.rejects import (
    SCHEMA,
    chosen_rejects,
    export_rejects,
    group_rejects,
    open_rejects,
)


def rejects(*rows: dict[str, object]) -> pl.DataFrame:
    """Rejects with what matters here."""
    plain = {"dataset": "d", "stage": "plan", "kind": "permanent", "reason": "bad", "source": "s"}
    return pl.DataFrame([{**plain, **row} for row in rows], schema=SCHEMA)


ROWS = rejects(
    {"reject": "d/p0", "id": "1", "value": "=1+1"},
    {"reject": "d/p1", "id": "2", "mark": "discarded", "note": "test"},
    {"reject": "d/t0.0", "id": "3", "kind": "transient", "reason": "deferred", "stage": "load"},
)


cuts = st.lists(st.integers(0, ROWS.height), max_size=3)


def parts_of(edges: list[int]) -> list[pl.DataFrame]:
    """The rejects cut at some places."""
    places = [0, *sorted(edges), ROWS.height]
    return [ROWS[start:end] for start, end in pairwise(places)]


@given(edges=cuts)
def test_groups_count_what_is_open(edges):
    """One row per reason, with an example, wherever the parts end in which rejects are read."""
    groups = group_rejects(parts_of(edges)).select("reason", "records", "open", "example").rows()
    assert groups == [("bad", 2, 1, "d/p0"), ("deferred", 1, 1, "d/t0.0")]


def test_choices():
    """By name, by reason; what fits nothing is nothing."""
    assert chosen_rejects(ROWS, ["d/p1"], None)["id"].to_list() == ["2"]
    assert chosen_rejects(ROWS, [], "defer")["id"].to_list() == ["3"]
    assert open_rejects(ROWS)["id"].to_list() == ["1", "3"]
    assert chosen_rejects(ROWS, ["d/p9"], None).is_empty()


@pytest.mark.parametrize("form", ["csv", "ndjson"])
@pytest.mark.parametrize("edges", [[], [1], [0, 1, 2]])
def test_permanent_and_transient_apart(tmp_path, form, edges):
    """Two files, the same however many parts there are; in CSV one head, and nothing is a formula."""
    whole, [permanent, transient] = export_rejects([ROWS], tmp_path / "whole", form)
    rows, files = export_rejects(parts_of(edges), tmp_path / "parts", form)
    assert (rows, whole) == (3, 3)
    assert [file.read_bytes() for file in files] == [permanent.read_bytes(), transient.read_bytes()]
    assert "d/t0.0" not in permanent.read_text()
    assert "d/p0" not in transient.read_text()
    assert ("'=1+1" in permanent.read_text()) == (form == "csv")
    assert len(permanent.read_text().splitlines()) == 2 + (form == "csv")
