"""The OpenAPI document describes what is answered."""

from __future__ import annotations

import re
from typing import Any

import httpx

from migrate.sandbox.openapi import document
from migrate.sandbox.serve import Sandbox


def operations(paths: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """(method, path) → operation."""
    return {
        (m.upper(), p): op
        for p, item in paths.items()
        for m, op in item.items()
        if m != "parameters"
    }


def references(value: Any) -> set[str]:
    """Every $ref in a document."""
    if isinstance(value, dict):
        own = {value["$ref"]} if "$ref" in value else set()
        return own.union(*(references(one) for one in value.values()))
    return set().union(*(references(one) for one in value)) if isinstance(value, list) else set()


def test_document_is_whole() -> None:
    """Operation ids are unique, references resolve, path parameters are declared."""
    described = document(["ds"])
    found = operations(described["paths"])
    ids = [operation["operationId"] for operation in found.values()]
    assert len(ids) == len(set(ids))
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references(described) <= known
    for path, item in described["paths"].items():
        declared = {
            parameter["name"] for parameter in item["parameters"] if parameter["in"] == "path"
        }
        assert declared == set(re.findall(r"{(\w+)}", path))


def test_every_described_operation_exists(box: Sandbox) -> None:
    """Asked with a broken body, each operation refuses that, or answers: none is an unknown URL."""
    described = httpx.get(f"{box.url}/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    found = operations(described["paths"])
    assert len(found) == 32
    headers = {"x-apikey": "sandbox-datatrics-key", "Content-Type": "application/json"}
    with httpx.Client(
        base_url=box.url, headers=headers, params={"api-key": "sandbox-octolis-key"}
    ) as client:
        for method, path in found:
            url = path.replace("{projectId}", "demo").replace("{datasetId}", "ds-contacts")
            answer = client.request(method, re.sub(r"{\w+}", "x", url), content=b"{")
            unknown = answer.status_code == 404 and (
                "URL" in answer.text or "endpoint" in answer.text
            )
            assert not unknown, (method, path, answer.text)
