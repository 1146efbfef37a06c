"""Every shipped mapping on records in the shapes that shops and the documents send, read as a snapshot reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.mapping.files import read_mappings
from migrate.mapping.transform import Settings, lookup_columns, map_rows, needed_fields
from migrate.mapping.types import payloads
from migrate.plan.collapse import CollapseRule, collapse_rows
from migrate.snapshot.records import add_fields, identify_page
from migrate.source.resources import RESOURCES

SHAPES = Path(__file__).parent / "shapes"
MAPPINGS = Path(__file__).parents[2] / "mappings"
SETTINGS = Settings({"*": "UTC", "Prestashop-1": "Europe/Amsterdam"}, {"Magento2": "Magento 2"})


def map_shape(shape: str) -> dict[str, Any]:
    """What every dataset makes of a shape's records: payloads, rejects, orphans."""
    records = json.loads((SHAPES / f"{shape}.json").read_text(encoding="utf-8"))
    mappings = read_mappings(MAPPINGS)
    tables: dict[str, pl.DataFrame] = {}
    made: dict[str, Any] = {}
    for dataset, mapping in mappings.items():
        items = [
            json.dumps(record, ensure_ascii=False).encode() for record in records[mapping.resource]
        ]
        rows = add_fields(identify_page(1, items, RESOURCES[mapping.resource].fields)).frame
        rows = rows.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("_position"))
        lookups = {name: tables[lookup.dataset] for name, lookup in mapping.lookups.items()}
        found = map_rows(mapping, rows, lookups, SETTINGS)
        assert found.read == found.accepted.height + found.filtered + found.rejected.height
        assert needed_fields(mapping) is not None
        collapsed = collapse_rows(
            found.accepted, list(mapping.columns), CollapseRule(), mapping.resources
        ).rows
        columns = {
            c
            for other in mappings.values()
            for names in lookup_columns(other).values()
            for c in names
        }
        tables[dataset] = _whose(collapsed, columns & set(mapping.columns))
        made[dataset] = {
            "payloads": [json.loads(text) for text in payloads(mapping, found.accepted)],
            "rejected": [
                list(row) for row in found.rejected.select("_id", "rule", "column", "value").rows()
            ],
            "orphans": found.orphans,
        }
    return made


def _whose(rows: pl.DataFrame, columns: set[str]) -> pl.DataFrame:
    """Each record that went into a row, beside the row's columns; of a record's elements the first goes first."""
    named = (
        rows.select(*sorted(columns - {"source", "id"}), "_sources")
        .explode("_sources")
        .unnest("_sources")
    )
    return named.sort("position", nulls_last=False, maintain_order=True)


@pytest.mark.parametrize("shape", ["documents", "magento", "prestashop"])
def test_shapes_become_what_was_agreed(shape: str) -> None:
    """Payload by payload, reject by reject, what each shape becomes in all seven datasets."""
    wanted = json.loads((SHAPES / f"{shape}.expected.json").read_text(encoding="utf-8"))
    assert map_shape(shape) == wanted
