"""What the sandbox takes for a record beside the record's own size: by it a rehearsal is told whether it fits."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

from migrate.app.rehearsal_memory import RECORD_EXTRA, ROW_EXTRA
from migrate.sandbox.datatrics import Table
from migrate.sandbox.declare import Column, DatasetSpec
from migrate.sandbox.octolis import Dataset
from migrate.sandbox.raw_json import read_values

RECORDS = 4_000
SPEC = DatasetSpec("contacts", "ds", (Column("key"), Column("name")), (("key",),))


def held(work: Callable[[], object]) -> float:
    """Bytes a record that stay, by Python's own count, while what `work` gives back is there."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = work()
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept is not None
    return size / RECORDS


def source_record(number: int) -> bytes:
    """A record as it is planted."""
    return b'{"id":"%d","source":"Shop","created":"2024-01-01 00:%02d:00"}' % (number, number % 60)


def test_a_record_of_the_source() -> None:
    """With the two orders that a night asks for: less than a rehearsal counts with, and not far from it."""

    def plant() -> Table:
        table = Table(("created",))
        for number in range(RECORDS):
            table.put(("".join(["Sh", "op"]), f"{number}"), source_record(number))
        assert (
            table.page("created", 1, None, 1, 10).total
            == table.page("updated", -1, None, 1, 10).total
            == RECORDS
        )
        return table

    own = sum(len(source_record(number)) for number in range(RECORDS)) / RECORDS
    assert RECORD_EXTRA / 2 < held(plant) - own < RECORD_EXTRA


def test_a_row_of_the_target() -> None:
    """Less than a rehearsal counts with, and not far from it."""
    sizes: list[int] = []

    def write() -> Dataset:
        dataset = Dataset(SPEC)
        for number in range(RECORDS):
            dataset.upsert(
                read_values(b'{"key":"Shop:%d","name":"%d"}' % (number, number)), number // 500
            )
        sizes.append(sum(len(row.values) for row in dataset.rows.values()))
        return dataset

    extra = held(write) - sizes[0] / RECORDS
    assert ROW_EXTRA / 2 < extra < ROW_EXTRA


def test_what_is_not_prepared_is_kept_once() -> None:
    """Reads show the rows themselves; where a recipe changes them, both are kept."""
    plain = Dataset(SPEC)
    plain.upsert({"key": "a", "name": "Jan"}, 1)
    assert plain.visible is plain.rows
    recipe = Dataset(
        DatasetSpec(
            "contacts", "ds", (Column("key"), Column("name", recipe="lowercase")), (("key",),)
        )
    )
    recipe.upsert({"key": "a", "name": "Jan"}, 1)
    (written,), (shown,) = recipe.rows.values(), recipe.visible.values()
    assert (written.values, shown.values) == (b'"key":"a","name":"Jan"', b'"key":"a","name":"jan"')
