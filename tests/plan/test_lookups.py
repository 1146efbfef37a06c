"""Where each source record ended."""

from __future__ import annotations

import polars as pl

from migrate.plan.files import SOURCE
from migrate.plan.lookups import lookup_frame


def source(source_name: str | None, record: str, position: int | None = None) -> dict[str, object]:
    """One entry of `_sources`."""
    return {"resource": "profiles", "source": source_name, "id": record, "position": position}


def framed(*rows: tuple[str, list[dict[str, object]]]) -> pl.DataFrame:
    """Final rows with a key and their sources."""
    data = {"key": [row[0] for row in rows], "_sources": [row[1] for row in rows]}
    return pl.DataFrame(data, schema={"key": pl.String, "_sources": pl.List(SOURCE)})


def test_collapsed_records_lead_to_the_survivor() -> None:
    """Every record that went into a row finds it, one without a source too."""
    frame = lookup_frame(framed(("b", [source("s", "2"), source(None, "1")]), ("a", [source("s", "1")])), {"key"})
    assert frame.rows() == [(None, "1", "b"), ("s", "1", "a"), ("s", "2", "b")]
    assert frame.columns == ["source", "id", "key"]


def test_a_record_of_several_rows_leads_to_the_first() -> None:
    """With `each`, an order's lines share its identity: the first line is found."""
    frame = lookup_frame(framed(("two", [source("s", "1", 2)]), ("one", [source("s", "1", 1)])), {"key"})
    assert frame.rows() == [("s", "1", "one")]


def test_nothing_looked_up_is_still_a_frame() -> None:
    """A look-up may ask for no column, only whether a record is there; and there may be none."""
    assert lookup_frame(framed(), set()).columns == ["source", "id"]
