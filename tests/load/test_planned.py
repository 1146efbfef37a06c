"""Reading a plan's records batch by batch."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime

import polars as pl
import pytest

from migrate.errors import Damaged
from migrate.load.loader import body_of
from migrate.load.planned import PlannedRecords, time_columns_of


def test_every_batch_as_planned(make_plan, contacts):
    """Batches of different sizes, beyond one window, in and out of order."""
    batches = [payloads[: 1 + n % 4] for n, payloads in enumerate(contacts(40, 4))]
    [dataset] = make_plan(contacts=batches).datasets
    records = PlannedRecords(dataset)
    assert records.batch_rows == [len(payloads) for payloads in batches]
    for number in (0, 39, 17, 3):
        found = records.batch(number)
        assert [record.sent.key for record in found] == [
            row["contact_key"] for row in batches[number]
        ]
        assert [record.sent.position for record in found] == list(range(len(found)))
        assert body_of(found).startswith(b"[{")


@pytest.mark.parametrize("damage", ["cut", "rows", "order", "gap", "gone"])
def test_a_file_that_is_not_the_plans(make_plan, contacts, damage):
    """A file that is cut, short or reordered is refused before or while it is read, never sent."""
    [dataset] = make_plan(contacts=contacts(3, 4)).datasets
    frame = pl.read_parquet(dataset.records)
    if damage == "cut":
        dataset.records.write_bytes(dataset.records.read_bytes()[:-20])
    elif damage == "gone":
        dataset.records.unlink()
    elif damage == "rows":
        frame.head(10).write_parquet(dataset.records)
    elif damage == "order":
        frame.reverse().write_parquet(dataset.records)
    else:
        dataset = dataclasses.replace(dataset, rows=8, batches=2)
        frame.filter(pl.col("batch") != 1).write_parquet(dataset.records)
    with pytest.raises(Damaged, match=r"records\.parquet"):
        PlannedRecords(dataset).batch(0)


def test_columns_of_time(tmp_path):
    """Dates and date-times are known by the plan's file, under the names that the target has for them."""
    file = tmp_path / "records.parquet"
    frame = pl.DataFrame(
        {"batch": [0], "at": [datetime(2026, 1, 1)], "_position": [date(2026, 1, 1)], "text": ["x"]}
    )
    frame.write_parquet(file)
    assert time_columns_of(file, {"position": "_position"}) == frozenset({"at", "position"})
