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
from uuid import uuid4

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from migrate.verify.compare import KnownRows, compare_bucket, held_keys, names_of_rekeyed
from migrate.verify.deep import DeepDataset, verify_dataset
from migrate.verify.expected import expect_dataset
from migrate.verify.known import Known
from migrate.verify.readback import Reading
from migrate.verify.rules import Conventions, read_rules
from migrate.verify.spill import Spill

from .conftest import CONTACTS, DATASETS, OLD, ORDERS, Migrated, old_keys

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
            Row(m, s, json.loads(b"{" + d + b"}"), c)
            for m, s, d, c in self.connection.execute(query, (self.dataset,))
        ]

    def delete(self, row: Row) -> None:
        self.connection.execute("DELETE FROM rows WHERE masterid = ?", (row.masterid,))

    def change(self, row: Row, **values: Any) -> None:
        data = json.dumps({**row.values, **values})[1:-1].encode()
        self.connection.execute("UPDATE rows SET data = ? WHERE masterid = ?", (data, row.masterid))

    def insert(self, masterid: str, values: dict[str, Any], created_ms: int) -> None:
        data = json.dumps(values)[1:-1].encode()
        last = self.connection.execute(
            "SELECT max(sequence) FROM rows WHERE dataset = ?", (self.dataset,)
        ).fetchone()[0]
        self.connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?, '[]', ?, ?)",
            (self.dataset, masterid, last + 1, data, created_ms, created_ms),
        )

    def absorb(self, row: Row, into: Row) -> None:
        self.delete(row)
        self.connection.execute(
            "UPDATE rows SET merged = ? WHERE masterid = ?",
            (json.dumps([row.masterid]), into.masterid),
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
        f"foreign-{n}-{row.masterid}",
        {**row.values, key: f"Till:{n}-{row.masterid}"},
        int(time.time() * 1000),
    )
    return "extra", "foreign", None


def merge(memory: Memory, row: Row, other: Row, _n: int) -> Found:
    memory.absorb(row, other)
    return "missing", "merged_away", None


def make_stale(memory: Memory, row: Row, _other: Row, _n: int) -> Found:
    column, value = OLD[memory.dataset]
    memory.change(row, **{column: value})
    return "different", "stale", column


PLANTS: dict[str, Callable[[Memory, Row, Row, int], Found]] = {
    "lost": lose, "altered": alter, "truncated": truncate, "emptied": empty, "shifted zone": shift,
    "doubled": double, "foreign": intrude, "merged away": merge, "stale": make_stale,
}  # fmt: skip


def verify(
    migrated: Migrated, dataset: str, damage: Callable[[sqlite3.Connection], None] | None = None
) -> DeepDataset:
    """The dataset read back from a target with damage."""
    with TemporaryDirectory() as folder, migrated.target(Path(folder), damage) as client:
        reading = Reading(
            Path(folder) / "pages",
            lambda: datetime.now(UTC),
            Event(),
            page_rows=25,
        )
        result = verify_dataset(
            migrated.expected[dataset], migrated.known[dataset], client, dataset, reading, lambda _s: None,
            migrated.memory.parent / f"differences-{uuid4()}.parquet",
        )  # fmt: skip
    assert (
        judged_once(result) == result.expected == migrated.plan.document.datasets[dataset].planned
    )
    return result


def judged_once(result: DeepDataset) -> int:
    """The records in all the states that one can be found in."""
    differing = result.different + result.recipe_changed
    absent = result.missing + result.merged_away + sum(result.unsettled.values())
    return result.verified + differing + absent + result.pending


def found_in(result: DeepDataset) -> list[Found]:
    """The findings, sorted."""
    assert result.file is not None
    return sorted(
        pl.read_parquet(result.file).select("finding", "name", "column").iter_rows(), key=str
    )


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
    plants=st.lists(
        st.tuples(st.sampled_from(sorted(PLANTS)), st.integers(0, 30)), min_size=1, max_size=6
    ),
)
def test_every_plant_is_found_under_its_name(
    migrated: Migrated, dataset: str, plants: list[tuple[str, int]]
) -> None:
    """Any mix of damage to different records: each found once, by name and column, and nothing else."""
    planted: list[Found] = []

    def damage(connection: sqlite3.Connection) -> None:
        memory = Memory(connection, dataset)
        keys = {row.masterid: str(next(iter(row.values.values()))) for row in memory.rows()}
        ours = [row for row in memory.rows() if not keys[row.masterid].startswith("Till")]
        known = [row for row in ours if keys[row.masterid] in old_keys(dataset)]
        fresh = [row for row in ours if keys[row.masterid] not in old_keys(dataset)]
        for place, (plant, n) in enumerate(plants):
            chosen = known[place] if plant == "stale" else fresh[2 * place + n % 2]
            planted.append(PLANTS[plant](memory, chosen, fresh[-place - 1], n))

    result = verify(migrated, dataset, damage)
    assert found_in(result) == sorted(planted, key=str)
    assert result.verdict == "mismatch"
    counted = {
        name: sum(found[0] == name for found in planted)
        for name in ("missing", "extra", "doubled", "different")
    }
    assert counted == {name: getattr(result, name) for name in counted}


@pytest.mark.parametrize("dataset", ["contacts", "order_items"])
def test_a_record_under_another_key_is_not_lost(migrated: Migrated, dataset: str) -> None:
    """Another planned row has taken it over, or it has another spelling of its key, or another key."""

    def damage(connection: sqlite3.Connection) -> None:
        memory = Memory(connection, dataset)
        taken, overwriting, respelt, rekeyed = memory.rows()[-4:]
        memory.delete(overwriting)
        memory.change(taken, **overwriting.values)
        key = next(iter(taken.values))
        memory.change(respelt, **{key: f" {respelt.values[key].upper()}"})
        memory.change(rekeyed, **{key: "Till:3"})

    result = verify(migrated, dataset, damage)
    named = [("extra", "rekeyed"), ("extra", "spelling")]
    named += [("missing", "fused"), ("missing", "rekeyed"), ("missing", "spelling")]
    assert [found[:2] for found in found_in(result)] == named
    assert (result.missing, result.extra) == (3, 2)


@pytest.mark.parametrize("state", ["written", "unchanged"])
def test_whatever_the_plan_holds_can_be_taken_over(tmp_path: Path, state: str) -> None:
    """The key of the record is one of the plan's: of a row that is written, or that it found unchanged."""
    known = Known(Spill(tmp_path / "known", 3), None, KnownRows())
    states = {"_key": ["a@x", "A@x"], "state": [state, "written"], "masterid": ["m1", "m1"]}
    known.states.add(pl.DataFrame(states))
    assert known.planned({"A@x", "b@x"}) == {"A@x"}
    names = names_of_rekeyed({"m1": "a@x"}, {"m1": "A@x"}, known.planned({"A@x"}))
    assert names == {"m1": "fused"}


def test_the_value_of_an_earlier_version_is_stale(tmp_path: Path) -> None:
    """What a record lost to a newer one of its key is told from any other wrong value."""
    (tmp_path / "contacts.yaml").write_text(CONTACTS)
    rules = read_rules(tmp_path)["contacts"]
    raws = [
        {"profileid": str(n), "email": "a@b.nl", "city": f"City {n}", "updated": f"202{n}-01-01"}
        for n in range(3)
    ]
    snapshot = pl.DataFrame(
        {
            "_position": [0, 1, 2],
            "_source": ["s"] * 3,
            "_id": ["0", "1", "2"],
            "_raw": [json.dumps(r) for r in raws],
        }
    )
    expected = expect_dataset(rules, [snapshot], Conventions(), {}, lambda _n: None)
    states = pl.DataFrame({"_key": ["a@b.nl"], "state": ["written"], "masterid": ["m"]})
    for city, name in (
        ("City 1", "stale"),
        ("City 0", "stale"),
        ("City 9", "altered"),
        ("City", "truncated"),
    ):
        held = pl.DataFrame({"__masterid__": ["m"], "email": ["a@b.nl"], "city": [city]})
        held = held.with_columns(held_keys(rules, held))
        found = compare_bucket(expected, expected.bucket(0), held, KnownRows(states)).findings
        assert found.select("finding", "name", "column").rows() == [("different", name, "city")]


def test_what_moves_between_two_readings_is_pending(migrated: Migrated, tmp_path: Path) -> None:
    """A difference that the second reading does not show again is no difference."""
    folder = tmp_path / "target"
    folder.mkdir()
    with migrated.target(
        folder, lambda c: Memory(c, "orders").delete(Memory(c, "orders").rows()[0])
    ) as client:
        expected, known = migrated.expected["orders"], migrated.known["orders"]

        def write_it(_seconds: float) -> None:
            payload = migrated.plan.file("orders", "records.parquet")
            body = "[" + ",".join(pl.read_parquet(payload)["payload"]) + "]"
            assert client.upsert_batch("orders", body.encode()).status == 200

        reading = Reading(folder / "pages", lambda: datetime.now(UTC), Event())
        result = verify_dataset(
            expected, known, client, "orders", reading, write_it, folder / "differences.parquet"
        )
    assert (found_in(result), result.verdict) == ([], "match")
    assert (result.verified, judged_once(result)) == (result.expected, result.expected)


def test_what_goes_on_moving_is_counted_once(migrated: Migrated, tmp_path: Path) -> None:
    """Records that change from reading to reading, in two columns each, are pending once; all records are told once."""
    payloads = pl.read_parquet(migrated.plan.file("orders", "records.parquet"))["payload"]
    rows = [json.loads(payload) for payload in payloads]
    readings = 0
    with migrated.target(tmp_path) as client:

        def change(of: slice) -> None:
            changed = [{**row, "currency": "ZZZ", "source": "nobody"} for row in rows[of]]
            assert client.upsert_batch("orders", json.dumps(changed).encode()).status == 200

        def change_others(_seconds: float) -> None:
            nonlocal readings
            readings += 1
            change(slice(readings * 3, readings * 3 + 3))

        change(slice(0, 1))
        reading = Reading(tmp_path / "pages", lambda: datetime.now(UTC), Event())
        expected, known = migrated.expected["orders"], migrated.known["orders"]
        file = tmp_path / "differences.parquet"
        result = verify_dataset(expected, known, client, "orders", reading, change_others, file)
    assert (result.different, result.pending) == (1 + 3 * (readings - 1), 3)
    assert judged_once(result) == result.expected == ORDERS
    assert result.verdict == "mismatch"
