"""The JSON Schema of mapping files, driven by a validator of another hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from migrate.errors import MappingError
from migrate.language.files import mapping_files
from migrate.language.yaml_text import read_yaml
from migrate.mapping.files import read_mapping
from migrate.mapping.model import json_schema

MAPPINGS = Path(__file__).parents[2] / "mappings"
VALIDATOR = jsonschema.Draft7Validator(json_schema())
GOOD: dict[str, Any] = {
    "version": 1,
    "dataset": "things",
    "resource": "profiles",
    "key": ["k"],
    "columns": {"k": {"from": "id", "type": "text"}},
}


def _with(column: dict[str, Any] | None = None, **top: Any) -> dict[str, Any]:
    columns = {**GOOD["columns"], **({"x": column} if column is not None else {})}
    return {**GOOD, "columns": columns, **top}


def test_the_schema_is_a_schema() -> None:
    """What is printed is itself valid."""
    jsonschema.Draft7Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", mapping_files(MAPPINGS), ids=lambda file: file.name)
def test_shipped_files_fit(file: Path) -> None:
    """Editors find nothing wrong in the shipped files."""
    assert [
        error.message for error in VALIDATOR.iter_errors(read_yaml(file.read_bytes()).value)
    ] == []


@pytest.mark.parametrize(
    "document",
    [
        _with({"from": ["a", "b"], "type": "integer", "on_invalid": None, "default": 5}),
        _with(
            {"sql": "a || b", "type": "text", "apply": ["trim", {"truncate": 3}, {"phone": "NL"}]}
        ),
        _with({"from": "a", "type": "float", "apply": ["decimal_comma"], "digits": "reject"}),
        _with({"from": "a", "type": "float", "apply": [{"decimal_comma": "or_point"}]}),
        _with(
            {
                "from": "a",
                "type": "boolean",
                "values": {"1": True},
                "unlisted": "omit",
                "consent": True,
            }
        ),
        _with(
            {"value": "x", "type": "text", "description": "why"},
            where="id IS NOT NULL",
            ignore=["z"],
        ),
        _with(
            {"from": "item.a", "type": "json", "null": "send"},
            each="items",
            lookups={"c": {"dataset": "contacts", "id": ["p", "q"], "on_orphan": "reject"}},
            collapse={"by": "source_order", "source_order": ["a"], "fill_gaps": True},
            alternative_keys=[["k"], ["k", "x"]],
        ),
    ],
)
def test_good_files_fit_both(tmp_path: Path, document: dict[str, Any]) -> None:
    """What the tool reads, the schema takes."""
    assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    file = tmp_path / "t.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    if "alternative_keys" not in document:
        read_mapping(file)


@pytest.mark.parametrize(
    "document",
    [
        {},
        _with(unknown=1),
        _with(version=2),
        _with(dataset="Things"),
        _with(resource="profile"),
        _with(key=[]),
        _with(columns={}),
        _with(unmapped="maybe"),
        _with(alternative_keys=["k"]),
        _with({"from": "a"}),
        _with({"from": 5, "type": "text"}),
        _with({"from": "a", "type": "datum"}),
        _with({"from": "a", "type": "text", "form": "b"}),
        _with({"from": "a", "type": "text", "apply": ["trimm"]}),
        _with({"from": "a", "type": "text", "apply": ["phone"]}),
        _with({"from": "a", "type": "text", "apply": [{"truncate": 0}]}),
        _with({"from": "a", "type": "text", "apply": [{"trim": 1}]}),
        _with({"from": "a", "type": "float", "apply": [{"decimal_comma": "point"}]}),
        _with({"from": "a", "type": "text", "required": "yes"}),
        _with({"from": "a", "type": "text", "on_invalid": "omitt"}),
        _with({"from": "a", "type": "text"}, lookups={"c": {"id": "a"}}),
        _with({"from": "a", "type": "text"}, collapse={"by": "newest"}),
    ],
)
def test_bad_files_fit_neither(tmp_path: Path, document: dict[str, Any]) -> None:
    """What an editor underlines, the tool refuses, and the other way round."""
    assert list(VALIDATOR.iter_errors(document))
    file = tmp_path / "t.yaml"
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(MappingError):
        read_mapping(file)
