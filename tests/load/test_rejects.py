"""Rejects as a frame: groups, choices, and files that are safe to open."""

from __future__ import annotations

import polars as pl
import pytest

from migrate.errors import UsageError
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


def test_groups_count_what_is_open():
    """One row per reason, with an example."""
    groups = group_rejects(ROWS).select("reason", "records", "open", "example").rows()
    assert groups == [("bad", 2, 1, "d/p0"), ("deferred", 1, 1, "d/t0.0")]


def test_choices():
    """By name, by reason; an unknown name is told."""
    assert chosen_rejects(ROWS, ["d/p1"], None)["id"].to_list() == ["2"]
    assert chosen_rejects(ROWS, [], "defer")["id"].to_list() == ["3"]
    assert open_rejects(ROWS)["id"].to_list() == ["1", "3"]
    with pytest.raises(UsageError, match="d/p9"):
        chosen_rejects(ROWS, ["d/p9"], None)


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_permanent_and_transient_apart(tmp_path, form):
    """Two files; in CSV nothing is a formula."""
    permanent, transient = export_rejects(ROWS, tmp_path / "exports", form)
    assert "d/t0.0" not in permanent.read_text()
    assert "d/p0" not in transient.read_text()
    assert ("'=1+1" in permanent.read_text()) == (form == "csv")
