"""What no request can carry is too large to planner and verifier alike."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from migrate.mapping.files import read_mappings
from migrate.mapping.transform import Settings, map_rows
from migrate.plan.batches import large_rows
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.resources import RESOURCES
from migrate.verify.expected import expect_dataset
from migrate.verify.rules import Conventions, read_rules

MAPPING = """
version: 1
dataset: contacts
resource: profiles
key: [k]
columns:
  k: {from: id, type: text}
  note: {from: note, type: text, null: send}
  more: {from: more, type: text}
  size: {from: size, type: integer}
"""


LETTERS = ["x", '"', "\\", "\n", "\u0001", "é", "🙂", "/", "\u007f", "\u2028"]


@pytest.mark.parametrize("letter", LETTERS)
def test_both_measure_a_request_alike(tmp_path: Path, letter: str) -> None:
    """Around the limit, byte for byte, whatever letters a text holds: a row is too large to both or to none."""
    (tmp_path / "contacts.yaml").write_text(MAPPING)
    records = [
        {"profileid": str(n), "source": "a", "note": letter * 40 + "x" * n, "more": None, "size": n}
        for n in range(60)
    ] + [{"profileid": "none", "source": "a"}]
    pages = [json.dumps(record).encode() for record in records]
    page = add_fields(identify_page(1, pages, RESOURCES["profiles"].fields)).frame
    rows = page.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))
    mapping = read_mappings(tmp_path)["contacts"]
    accepted = map_rows(mapping, rows, {}, Settings()).accepted
    seen = set()
    for most in range(60, 400, 7):
        at = large_rows(mapping, accepted, most).get_column("_at").to_list()
        fit = {key for place, key in enumerate(accepted["_key"]) if place not in set(at)}
        rules, conventions = read_rules(tmp_path)["contacts"], Conventions(batch_bytes=most)
        made = expect_dataset(rules, [rows], conventions, {}, lambda _n: None)
        assert set(made.rows["_key"]) == fit, most
        seen.add(len(fit))
    assert len(seen) > 3


def test_a_row_that_no_request_carries_is_not_missed(tmp_path: Path) -> None:
    """Five people and one with a note of 12,000 letters: five are expected where a request holds 10,000 bytes."""
    (tmp_path / "contacts.yaml").write_text(MAPPING)
    records = [{"profileid": str(n), "source": "a", "note": "x"} for n in range(5)]
    records.append({"profileid": "long", "source": "a", "note": "x" * 12_000})
    pages = [json.dumps(record).encode() for record in records]
    page = add_fields(identify_page(1, pages, RESOURCES["profiles"].fields)).frame
    rows = page.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))
    rules = read_rules(tmp_path)["contacts"]
    made = expect_dataset(rules, [rows], Conventions(batch_bytes=10_000), {}, lambda _n: None)
    assert sorted(made.rows["_key"]) == ["0", "1", "2", "3", "4"]
    assert expect_dataset(rules, [rows], Conventions(), {}, lambda _n: None).rows.height == 6
