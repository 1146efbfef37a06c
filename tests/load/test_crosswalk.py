"""From Datatrics identities to masterids."""

from __future__ import annotations

import dataclasses
import json
import resource

import polars as pl
import pytest

from migrate.errors import WorkspaceError
from migrate.load import crosswalk
from migrate.load.crosswalk import survivor_of, write_crosswalks
from migrate.load.ledger import Ledger
from migrate.load.ledger_opening import PlannedDataset
from migrate.load.ledger_view import LedgerView
from migrate.load.planned import DatasetToLoad, PlanToLoad
from migrate.target.results import Rejected, SentRecord, Written


@pytest.fixture
def planned(tmp_path):
    """A plan of two batches; the second record collapsed two sources; one unchanged row."""

    def source(id_, position):
        return {"resource": "profiles", "source": "shop", "id": id_, "position": position}

    rows = [
        {"batch": 0, "position": 0, "sources": [source("a", 0)]},
        {"batch": 0, "position": 1, "sources": [source("b", 1), source("b2", 9)]},
        {"batch": 1, "position": 0, "sources": [source("c", 2)]},
        {"batch": 1, "position": 1, "sources": [source("d", 3)]},
    ]
    overrides = {"batch": pl.Int32, "position": pl.Int32}
    records, unchanged = tmp_path / "records.parquet", tmp_path / "unchanged.parquet"
    pl.DataFrame(rows, schema_overrides=overrides).write_parquet(records)
    pl.DataFrame([{"key": "ku", "masterid": "mu", "sources": [source("u", 4)]}]).write_parquet(
        unchanged
    )
    dataset = DatasetToLoad("contacts", "x", ("k",), frozenset(), records, unchanged, 4, 2)
    return PlanToLoad("p", tmp_path, (dataset,))


@pytest.mark.parametrize("part_rows", [1, 2, 100])
def test_written_collapsed_merged_and_unchanged(planned, workspace, monkeypatch, part_rows):
    """One row per source of each written or unchanged record, with the masterid that is left after merges."""
    monkeypatch.setattr(crosswalk, "_PART_ROWS", part_rows)
    sent = [SentRecord(n % 2, f"k{n}", json.dumps({})) for n in range(4)]
    with Ledger(workspace.ledger) as ledger:
        ledger.open_plan("p", [PlannedDataset("contacts", "x", [2, 2])])
        ledger.mark_sending("contacts", 0)
        ledger.settle(
            "contacts", 0, [(Written(sent[0], "m0"), "create"), (Written(sent[1], "m1"), "update")]
        )
        ledger.mark_sending("contacts", 1)
        merged = Written(sent[2], "m2", merged_from=("m0",))
        ledger.settle("contacts", 1, [(merged, "update"), (Rejected(sent[3], 400, "no"), None)])
    with LedgerView(workspace.ledger) as view:
        [file] = write_crosswalks(view, workspace, planned)
    frame = pl.read_parquet(file)
    columns = ["source", "id", "position", "key", "masterid", "change"]
    assert frame.select(columns).rows() == [
        ("shop", "a", 0, "k0", "m2", "create"),
        ("shop", "b", 1, "k1", "m1", "update"),
        ("shop", "b2", 9, "k1", "m1", "update"),
        ("shop", "c", 2, "k2", "m2", "update"),
        ("shop", "u", 4, "ku", "mu", "unchanged"),
    ]
    assert frame["written_at"].null_count() == 1
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_an_empty_plan_has_an_empty_crosswalk(planned, workspace):
    """The file is there, with its columns."""
    dataset = dataclasses.replace(planned.datasets[0], unchanged=None)
    with Ledger(workspace.ledger) as ledger:
        ledger.open_plan("p", [PlannedDataset("contacts", "x", [2, 2])])
    with LedgerView(workspace.ledger) as view:
        [file] = write_crosswalks(
            view, workspace, dataclasses.replace(planned, datasets=(dataset,))
        )
    assert pl.read_parquet(file).height == 0


def test_a_full_disk_is_told(planned, workspace):
    """Where there is no room for the parts, the error names the file and what to do; nothing half-written stays."""
    with Ledger(workspace.ledger) as ledger:
        ledger.open_plan("p", [PlannedDataset("contacts", "x", [2, 2])])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with LedgerView(workspace.ledger) as view:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
        try:
            with pytest.raises(
                WorkspaceError, match=r"crosswalk-contacts\.parquet cannot be written"
            ) as caught:
                write_crosswalks(view, workspace, planned)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert "free disk space" in str(caught.value.hint)
        assert list((workspace.exports / "p").iterdir()) == []
        assert write_crosswalks(view, workspace, planned)[0].exists()


def test_chains_of_merges_end():
    """A survivor that was merged later is followed, and a circle does not hang."""
    assert survivor_of("a", {"a": "b", "b": "c"}) == "c"
    assert survivor_of("a", {"a": "b", "b": "a"}) == "a"
    assert survivor_of(None, {}) is None
