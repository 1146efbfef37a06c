"""An OpenAPI 3.1 description of both services as the sandbox answers them, made from small tables.

Source: the two Postman collections; DELETE of profiles, sales and interactions and PUT of interactions are the official
PHP client's.
"""

from __future__ import annotations

from typing import Any

from migrate.sandbox.datatrics_shapes import RESOURCES, Resource
from migrate.sandbox.octolis_reads import MAX_PAGE_SIZE
from migrate.sandbox.octolis_routes import MAX_BATCH

Json = dict[str, Any]

WHOLE: Json = {"type": "integer", "minimum": 1}
TEXT: Json = {"type": "string", "minLength": 1}
OBJECT: Json = {"type": "object"}
ITEM_TYPE: Json = {"enum": ["item", "category"]}
DATATRICS_ERRORS = {
    "400": "Invalid request.",
    "403": "Wrong or missing x-apikey.",
    "404": "Endpoint URL is invalid.",
}
OCTOLIS_ERRORS = {
    "400": "The payload, a parameter or a header is invalid.",
    "401": "The api-key is missing.",
    "403": "The api-key is wrong.",
    "404": "No such dataset or record.",
    "429": "The points are used up; Retry-After says for how long.",
}
HEADERS_RULE = (  # OpenAPI has no place for it: parameters named Accept and Content-Type are to be ignored
    "Below /v1/data/datasets the headers `Accept: */*` and `Content-Type: application/json` are mandatory on "
    "every request, GET as well. A read costs 1 point, a write 10; per key 25 a second plus 150 a minute, 2,000 "
    "a minute in all."
)
EXPORT_PARAMETERS: tuple[tuple[str, Json], ...] = (
    ("format", {"enum": ["json", "csv"], "default": "json"}),
    ("header", {"enum": ["true", "false"], "default": "true"}),
    ("filter", {"type": "string"}),
)
PAGE_PARAMETERS: tuple[tuple[str, Json], ...] = (
    ("selection", {"type": "string"}),
    ("page", {**WHOLE, "default": 1}),
    ("pageSize", {**WHOLE, "maximum": MAX_PAGE_SIZE, "default": MAX_PAGE_SIZE}),
    ("order", {"enum": ["asc", "desc"], "default": "desc"}),
)


def document(dataset_ids: list[str]) -> Json:
    """The whole document; the datasets that exist are the values their path parameter may take."""
    paths: dict[str, Json] = {}
    for resource in RESOURCES.values():
        paths |= _datatrics_paths(resource)
    paths |= _octolis_paths(dataset_ids)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Datatrics v2 and Octolis Data API, as the sandbox answers them",
            "version": "1",
            "description": HEADERS_RULE,
        },
        "paths": paths,
        "components": {"securitySchemes": _security(), "schemas": _schemas()},
    }


def _security() -> Json:
    return {
        "datatrics": {"type": "apiKey", "in": "header", "name": "x-apikey"},
        "octolis": {"type": "apiKey", "in": "query", "name": "api-key"},
    }


def _datatrics_paths(resource: Resource) -> dict[str, Json]:
    base = f"/2.0/project/{{projectId}}/{resource.path}"
    project = [_parameter("projectId", TEXT, "path")]
    if resource.path == "content":
        content = [_parameter("type", ITEM_TYPE, required=True)]
    else:
        content = []
    source = [_parameter("source", TEXT, required=True)]
    one = {
        "parameters": [*project, _parameter("id", TEXT, "path")],
        "get": _operation(resource, "get", [*source, *content], OBJECT),
        "delete": _operation(resource, "delete", [*source, *content], _ref("DatatricsMessage")),
    }
    if resource.updatable:
        one["put"] = _operation(resource, "update", content, OBJECT, _write_schema(resource))
    return {
        base: {
            "parameters": project,
            "get": _operation(
                resource,
                "list",
                [*_list_parameters(resource), *content],
                _envelope(resource.totals),
            ),
            "post": _operation(resource, "create", content, OBJECT, _write_schema(resource)),
        },
        f"{base}/bulk": {"parameters": project, "post": _bulk(resource)},
        f"{base}/{{id}}": one,
    }


def _list_parameters(resource: Resource) -> list[Json]:
    parameters = [
        _parameter("limit", {**WHOLE, "default": resource.limit}),
        _parameter("page", {**WHOLE, "default": 1}),
        _parameter("sort", {"type": "string", "default": "created"}),
        _parameter("order", {"enum": [1, -1], "default": resource.order}),
    ]
    if resource.path == "profile":
        return [*parameters, _parameter("source", TEXT)]
    return parameters


def _bulk(resource: Resource) -> Json:
    fields = resource.bulk_fields
    body = {
        "type": "object",
        "properties": {
            name: {"type": "array", "items": _write_schema(resource)} for name in fields
        },
        "anyOf": [{"required": [name]} for name in fields],
    }
    if resource.path == "content":
        kinds = [_parameter("type", {"enum": ["items", "categories"]})]
    else:
        kinds = []
    return _operation(resource, "bulk", kinds, _envelope(resource.bulk_totals), body)


def _write_schema(resource: Resource) -> Json:
    properties = {
        resource.id_field: {"type": ["string", "number"], "minLength": 1},
        "source": TEXT,
        resource.body_field: OBJECT,
    }
    required = [name for name in properties if resource.path != "sale" or name != "source"]
    return {"type": "object", "properties": properties, "required": required}


def _envelope(totals: tuple[str, str]) -> Json:
    numbers = {name: {"type": "integer"} for name in (*totals, "page", "size")}
    properties = {**numbers, "items": {"type": "array", "items": OBJECT}}
    return {"type": "object", "properties": properties, "required": list(properties)}


def _operation(
    resource: Resource, action: str, parameters: list[Json], answer: Json, body: Json | None = None
) -> Json:
    responses = {"200": _content("Request successful.", answer)}
    responses |= {
        code: _content(text, _ref("DatatricsMessage")) for code, text in DATATRICS_ERRORS.items()
    }
    return _with_body(
        f"datatrics_{resource.path}_{action}", "datatrics", parameters, responses, body
    )


def _octolis_paths(dataset_ids: list[str]) -> dict[str, Json]:
    base = "/v1/data/datasets/{datasetId}/records"
    if dataset_ids:
        known = {"type": "string", "enum": dataset_ids}
    else:
        known = TEXT
    dataset = [_parameter("datasetId", known, "path")]
    one = [*dataset, _parameter("masterid", {"type": "string", "format": "uuid"}, "path")]
    batch = {"type": "array", "items": OBJECT, "minItems": 1, "maxItems": MAX_BATCH}
    export = [_parameter(name, schema) for name, schema in EXPORT_PARAMETERS]
    pages = [_parameter(name, schema) for name, schema in PAGE_PARAMETERS]
    results = _ref("OctolisResults")
    counted = {
        "type": "object",
        "properties": {"count": {"type": "integer"}},
        "required": ["count"],
    }
    return {
        base: {
            "parameters": dataset,
            "get": _also_csv(_octolis("export_records", [*export, *pages], _ref("OctolisRecords"))),
            "post": _octolis("upsert_record", [], _ref("OctolisRecord"), OBJECT),
        },
        f"{base}/batch": {
            "parameters": dataset,
            "post": _octolis("upsert_batch", [], results, batch),
            "patch": _octolis("update_batch", [], results, batch),
        },
        f"{base}/count": {
            "parameters": dataset,
            "get": _also_csv(_octolis("count_records", export, counted)),
        },
        f"{base}/{{masterid}}": {
            "parameters": one,
            "get": _octolis("get_record", [], _ref("OctolisRecord")),
            "patch": _octolis("update_record", [], _ref("OctolisRecord"), OBJECT),
        },
        "/v1/data/webhook/{webhookId}": {
            "parameters": [_parameter("webhookId", TEXT, "path")],
            "post": _webhook("post_webhook"),
            "put": _webhook("put_webhook"),
        },
    }


def _also_csv(operation: Json) -> Json:
    """With `format=csv` the answer is lines of text."""
    operation["responses"]["200"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    return operation


def _webhook(name: str) -> Json:
    operation = _octolis(name, [], OBJECT, {})
    operation["responses"]["405"] = _content(
        "The webhook takes another method.", _ref("OctolisError")
    )
    return operation


def _octolis(name: str, parameters: list[Json], answer: Json, body: Json | None = None) -> Json:
    responses = {"200": _content("Done.", answer)}
    responses |= {
        code: _content(text, _ref("OctolisError")) for code, text in OCTOLIS_ERRORS.items()
    }
    if body is not None:
        responses["423"] = _content(
            "The dataset is busy; retry in a few seconds.", _ref("OctolisError")
        )
    return _with_body(f"octolis_{name}", "octolis", parameters, responses, body)


def _with_body(
    name: str, side: str, parameters: list[Json], responses: Json, body: Json | None
) -> Json:
    operation: Json = {
        "operationId": name,
        "tags": [side],
        "security": [{side: []}],
        "responses": responses,
    }
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": body}},
        }
    return operation


def _schemas() -> Json:
    record = {
        "type": "object",
        "properties": {"__masterid__": {"type": "string", "format": "uuid"}},
    }
    warnings = {
        "type": "object",
        "properties": {"protected_columns": {"type": "array", "items": {"type": "string"}}},
    }
    single = {"record": record, "warnings": warnings, "isMerged": {"type": "boolean"}}
    result = {
        "written": {"type": "boolean"},
        "record": record,
        "warnings": warnings,
        "error": _ref("OctolisError"),
    }
    error = {
        "title": {"type": "string"},
        "detail": {"type": "string"},
        "status": {"type": "integer"},
    }
    message = {"status": {"type": "integer"}, "message": {"type": "string"}}
    return {
        "DatatricsMessage": _object(message, ["status", "message"]),
        "OctolisError": _object(error, ["title", "detail", "status"]),
        "OctolisRecord": _object(single, ["record"]),
        "OctolisRecords": _object({"records": {"type": "array", "items": record}}, ["records"]),
        "OctolisResults": _object(
            {"results": {"type": "array", "items": _object(result, ["written"])}}, ["results"]
        ),
    }


def _object(properties: Json, required: list[str]) -> Json:
    return {"type": "object", "properties": properties, "required": required}


def _content(text: str, schema: Json) -> Json:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _parameter(name: str, schema: Json, place: str = "query", *, required: bool = False) -> Json:
    return {"name": name, "in": place, "required": required or place == "path", "schema": schema}
