"""The same plan whatever happens on the way: made twice, in memory or by way of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import polars as pl

from migrate.plan import batches, collapsed_rows, keys, matching, sending
from migrate.plan.partitions import Partitions, PartitionSet


def held_contact(number: int) -> dict[str, str | None]:
    """What the target shows for profile `number`, under an old name."""
    return {"__masterid__": f"m{number}", "contact_key": f"a{number}@example.test", "name": "Old"}


def collapsed(plan) -> pl.DataFrame:
    """The rows that went into others."""
    return pl.read_parquet(plan.file("contacts", "collapsed.parquet"))


def tree(folder: Path) -> dict[str, str]:
    """The hash of each file of a plan, but for the one that names it."""
    files = [
        path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "begun.json"
    ]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_the_same_inputs_give_the_same_bytes(bench, make_profile) -> None:
    """Two plans of one snapshot, mapping and target are the same byte for byte, in every file."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(number % 40, profileid=f"p{number}", name=f"N{number}") for number in range(60)
    ]
    bench.target.datasets["id-contacts"] = [held_contact(number) for number in range(20)]
    first, second = bench.plan("plan-1"), bench.plan("plan-2")
    assert tree(first.folder) == tree(second.folder)
    assert len(tree(first.folder)) == 28
    assert "plan-1" not in (first.folder / "plan.json").read_text()


def test_rows_on_disk_give_the_same_plan_as_rows_in_memory(
    bench, make_profile, monkeypatch
) -> None:
    """However few rows may stay in memory, are merged or are sorted at once; and no other file is left behind."""
    bench.snapshot.resources["profiles"].records = [
        make_profile(
            number * 7 % 40,
            profileid=f"p{number}",
            name=f"N{number}" * (number % 3),
            age="x" if number == 5 else None,
        )
        for number in range(60)
    ]
    bench.target.datasets["id-contacts"] = [held_contact(number) for number in range(20)]
    first = bench.plan("plan-1")
    monkeypatch.setattr(Partitions.__init__, "__defaults__", (200,))
    monkeypatch.setattr(PartitionSet.__init__, "__defaults__", (200,))
    monkeypatch.setattr(collapsed_rows, "PART_ROWS", 7)
    monkeypatch.setattr(sending, "RUN_ROWS", 9)
    monkeypatch.setattr(batches, "ROWS_SORTED", 6)
    monkeypatch.setattr(matching, "KEYS_AT_ONCE", 5)
    monkeypatch.setattr(matching, "CHUNK_ROWS", 8)
    monkeypatch.setattr(keys, "HASHES_AT_ONCE", 4)
    second = bench.plan("plan-2")
    ours, theirs = tree(first.folder), tree(second.folder)
    # of several buckets the collapsed rows stand bucket by bucket, and samples are of those that come first
    differing = {name for name in ours if ours[name] != theirs.get(name)}
    assert differing <= {"plan.json", "contacts/collapsed.parquet", "contacts/samples.parquet"}
    assert ours.keys() == theirs.keys()
    assert collapsed(first).equals(collapsed(second).sort("key", "rank"))
    assert first.document.datasets == second.document.datasets


def test_a_key_with_many_rows_is_made_one(bench, make_profile, monkeypatch) -> None:
    """More of them than are merged at once: all the same they go together, and leave no part without rows."""
    numbers = [0] * 30 + [1, 1] + list(range(2, 12))
    bench.snapshot.resources["profiles"].records = [
        make_profile(number, profileid=f"p{place}") for place, number in enumerate(numbers)
    ]
    monkeypatch.setattr(collapsed_rows, "PART_ROWS", 4)
    plan = bench.plan("plan-1")
    counts = plan.document.datasets["contacts"]
    assert (counts.read, counts.collapsed, counts.planned) == (42, 30, 12)
    assert collapsed(plan).get_column("rank").to_list() == [*range(2, 31), 2]
