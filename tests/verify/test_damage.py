"""Damage planted in the target: every plant is found under its right name, and nothing else is reported."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.verify.deep import DeepDataset, verify_dataset
from migrate.verify.readback import Reading

from .conftest import DATASETS, STALE, Migrated

Found = tuple[str, str, str | None]
"""A finding, its name and the column."""


@dataclass(frozen=True)
class Row:
    """A row of the target's memory."""

    masterid: str
    sequence: int
    values: dict[str, Any]
    created_ms: int


class Memory:
    """The target's memory of one dataset, open for damage."""

    def __init__(self, connection: sqlite3.Connection, dataset: str) -> None:
        self.connection, self.dataset = connection, dataset

    def rows(self) -> list[Row]:
        query = "SELECT masterid, sequence, data, created_ms FROM rows WHERE dataset = ? ORDER BY sequence"
        return [
            Row(m, s, json.loads(b"{" + d + b"}"), c) for m, s, d, c in self.connection.execute(query, (self.dataset,))
        ]

    def delete(self, row: Row) -> None:
        self.connection.execute("DELETE FROM rows WHERE masterid = ?", (row.masterid,))

    def change(self, row: Row, **values: Any) -> None:
        data = json.dumps({**row.values, **values})[1:-1].encode()
        self.connection.execute("UPDATE rows SET data = ? WHERE masterid = ?", (data, row.masterid))

    def insert(self, masterid: str, values: dict[str, Any], created_ms: int) -> None:
        data = json.dumps(values)[1:-1].encode()
        last = self.connection.execute("SELECT max(sequence) FROM rows WHERE dataset = ?", (self.dataset,)).fetchone()[
            0
        ]
        self.connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, '[]', ?, ?)",
            (self.dataset, masterid, last + 1, data, created_ms, created_ms),
        )

    def absorb(self, row: Row, into: Row) -> None:
        self.delete(row)
        self.connection.execute(
            "UPDATE rows SET merged = ? WHERE masterid = ?", (json.dumps([row.masterid]), into.masterid)
        )


def lose(memory: Memory, row: Row, _other: Row, _n: int) -> Found:
    memory.delete(row)
    return "missing", "lost", None


def alter(memory: Memory, row: Row, _other: Row, n: int) -> Found:
    memory.change(row, source=f"Someone else {n}")
    return "different", "altered", "source"


def truncate(memory: Memory, row: Row, _other: Row, n: int) -> Found:
    text = row.values["source"]
    memory.change(row, source=text[: n % (len(text) - 1) + 1])
    return "different", "truncated", "source"


def empty(memory: Memory, row: Row, _other: Row, _n: int) -> Found:
    memory.change(row, source=None)
    return "different", "emptied", "source"


def shift(memory: Memory, row: Row, _other: Row, n: int) -> Found:
    column = "occurred_at" if memory.dataset == "interactions" else "created_at"
    moment = datetime.fromisoformat(row.values[column]) + timedelta(hours=n % 12 + 1)
    memory.change(row, **{column: moment.strftime("%Y-%m-%d %H:%M:%S")})
    return "different", "shifted_zone", column


def double(memory: Memory, row: Row, _other: Row, n: int) -> Found:
    memory.insert(f"double-{n}-{row.masterid}", row.values, int(time.time() * 1000))
    return "doubled", "doubled", None


def intrude(memory: Memory, row: Row, _other: Row, n: int) -> Found:
    key = next(iter(row.values))
    memory.insert(
        f"foreign-{n}-{row.masterid}", {**row.values, key: f"Till:{n}-{row.masterid}"}, int(time.time() * 1000)
    )
    return "extra", "foreign", None


def merge(memory: Memory, row: Row, other: Row, _n: int) -> Found:
    memory.absorb(row, other)
    return "missing", "merged_away", None


PLANTS: dict[str, Callable[[Memory, Row, Row, int], Found]] = {
    "lost": lose, "altered": alter, "truncated": truncate, "emptied": empty, "shifted zone": shift,
    "doubled": double, "foreign": intrude, "merged away": merge,
}  # fmt: skip


def verify(migrated: Migrated, dataset: str, damage: Callable[[sqlite3.Connection], None] | None = None) -> DeepDataset:
    """The dataset read back from a target with damage."""
    with TemporaryDirectory() as folder, migrated.target(Path(folder), damage) as client:
        reading = Reading(Path(folder) / "pages", lambda: datetime.now(UTC), Event(), lambda _rows: None, page_rows=25)
        return verify_dataset(
            migrated.expected[dataset], migrated.known[dataset], client, dataset, reading, lambda _s: None
        )


def found_in(result: DeepDataset) -> list[Found]:
    """The findings, sorted."""
    return sorted(result.findings.select("finding", "name", "column").iter_rows(), key=str)


@pytest.mark.parametrize("dataset", DATASETS)
def test_an_undamaged_target_has_no_finding(migrated: Migrated, dataset: str) -> None:
    """What was loaded reads back as the independent evaluator says, in every dataset; others' rows are only counted."""
    result = verify(migrated, dataset)
    assert (found_in(result), result.verdict, result.pending) == ([], "match", 0)
    assert result.compared == result.expected > 0
    assert result.there_before == (2 if dataset == "contacts" else 0)


@settings(max_examples=12)
@given(
    dataset=st.sampled_from(DATASETS),
    plants=st.lists(st.tuples(st.sampled_from(sorted(PLANTS)), st.integers(0, 30)), min_size=1, max_size=6),
)
def test_every_plant_is_found_under_its_name(migrated: Migrated, dataset: str, plants: list[tuple[str, int]]) -> None:
    """Any mix of damage to different records: each found once, by name and column, and nothing else."""
    planted: list[Found] = []

    def damage(connection: sqlite3.Connection) -> None:
        memory = Memory(connection, dataset)
        ours = [row for row in memory.rows() if not str(next(iter(row.values.values()))).startswith("Till")]
        ours = [row for row in ours if row.values.get("city") != "Old Town"]
        for place, (plant, n) in enumerate(plants):
            planted.append(PLANTS[plant](memory, ours[2 * place + n % 2], ours[-place - 1], n))

    result = verify(migrated, dataset, damage)
    assert found_in(result) == sorted(planted, key=str)
    assert result.verdict == "mismatch"
    counted = {
        name: sum(found[0] == name for found in planted) for name in ("missing", "extra", "doubled", "different")
    }
    assert counted == {name: getattr(result, name) for name in counted}


def test_a_record_that_went_back_is_stale(migrated: Migrated) -> None:
    """The value that the target held before the load is told from any other value."""

    def damage(connection: sqlite3.Connection) -> None:
        memory = Memory(connection, "contacts")
        updated = [row for row in memory.rows() if row.created_ms < int(time.time() * 1000)]
        chosen = [row for row in updated if row.values["profileid"] in {f"p{n}" for n in range(STALE)}][:3]
        for row in chosen:
            memory.change(row, city="Old Town")

    result = verify(migrated, "contacts", damage)
    assert found_in(result) == [("different", "stale", "city")] * 3


def test_what_moves_between_two_readings_is_pending(migrated: Migrated, tmp_path: Path) -> None:
    """A difference that the second reading does not show again is no difference."""
    folder = tmp_path / "target"
    folder.mkdir()
    with migrated.target(folder, lambda c: Memory(c, "orders").delete(Memory(c, "orders").rows()[0])) as client:
        expected, known = migrated.expected["orders"], migrated.known["orders"]

        def write_it(_seconds: float) -> None:
            payload = migrated.plan.file("orders", "records.parquet")
            import polars as pl

            body = "[" + ",".join(pl.read_parquet(payload)["payload"]) + "]"
            assert client.upsert_batch("orders", body.encode()).status == 200

        reading = Reading(folder / "pages", lambda: datetime.now(UTC), Event(), lambda _rows: None)
        result = verify_dataset(expected, known, client, "orders", reading, write_it)
    assert (found_in(result), result.verdict) == ([], "match")
