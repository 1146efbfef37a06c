"""Where each source record ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from migrate.mapping.source_rows import LookupTable
from migrate.plan.collapsed_rows import FinalRows
from migrate.plan.files import SOURCE
from migrate.plan.lookups import lookup_frame
from migrate.plan.partitions import Partitions

SCHEMA = {"_source": pl.String, "_id": pl.String, "_element": pl.Int64, "key": pl.String}
ACCEPTED = [("s", "1", None, "a"), ("s", "2", None, "b"), (None, "1", None, "b")]


def final(
    folder: Path,
    accepted: list[tuple[object, ...]],
    alone: list[bool],
    merged: list[tuple[object, ...]] = (),
) -> FinalRows:
    """Final rows: which of the accepted are alone, and the survivors with the sources of each."""
    rows, survivors = Partitions(folder / "a"), Partitions(folder / "s")
    rows.add(pl.DataFrame(accepted, schema=SCHEMA, orient="row"))
    schema = {**SCHEMA, "_row": pl.UInt32, "_sources": pl.List(SOURCE)}
    survivors.add(pl.DataFrame(list(merged), schema=schema, orient="row"))
    return FinalRows(rows, pl.Series(alone, dtype=pl.Boolean), survivors)


def source(source_name: str | None, record: str, position: int | None = None) -> dict[str, object]:
    """One entry of `_sources`."""
    return {"resource": "profiles", "source": source_name, "id": record, "position": position}


def test_collapsed_records_lead_to_the_survivor(tmp_path) -> None:
    """Every record that went into a row finds it, one without a source too."""
    survivor = ("s", "2", None, "b", 1, [source("s", "2"), source(None, "1")])
    frame = lookup_frame(
        final(tmp_path, ACCEPTED, [True, False, False], [survivor]), {"key"}, ["profiles"]
    )
    assert sorted(frame.rows(), key=str) == [("s", "1", "a"), ("s", "2", "b"), (None, "1", "b")]
    assert frame.columns == ["source", "id", "key"]


def test_a_record_of_several_rows_leads_to_the_first(tmp_path) -> None:
    """With `each`, an order's lines share its identity: the first line stands first, and is the one found."""
    lines = [("s", "1", 2, "two"), ("s", "1", 1, "one")]
    frame = lookup_frame(final(tmp_path, lines, [True, True]), {"key"}, ["profiles"])
    assert frame.rows() == [("s", "1", "one"), ("s", "1", "two")]
    found = LookupTable(frame, {"key"}, {}).find(pl.Series(["s"]), pl.Series(["1"]))
    assert found.columns.rows() == [("one",)]


def test_of_a_delta_the_rows_that_are_planned_are_told(tmp_path) -> None:
    """A look-up that leads to a touched row makes the row that looks touched as well."""
    rows = replace(final(tmp_path, ACCEPTED, [True, True, False]), touched=pl.Series([True, False]))
    assert lookup_frame(rows, set(), ["profiles"]).rows() == [("s", "1", True), ("s", "2", False)]


def test_nothing_looked_up_is_still_a_frame(tmp_path) -> None:
    """A look-up may ask for no column, only whether a record is there; and there may be none."""
    assert lookup_frame(final(tmp_path, [], []), set(), ["profiles"]).columns == ["source", "id"]
