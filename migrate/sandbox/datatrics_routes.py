"""Datatrics v2 over HTTP: which request does what, and how each is answered.

Source: the Datatrics API 2.0 collection. Where it is silent: an unknown identity is a 404, a wrong project is refused
like a wrong key, parameters it does not document (`q`, `includecount`) are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from msgspec import Raw

from migrate.sandbox import datatrics_shapes as shapes
from migrate.sandbox.datatrics import Identity, Record, Table
from migrate.sandbox.datatrics_shapes import (
    NO_SOURCE,
    NO_TYPE,
    RESOURCES,
    BadRecord,
    Resource,
    Stored,
)
from migrate.sandbox.exchange import Call, Reply, ReplyError, is_same, json_reply
from migrate.sandbox.raw_json import (
    BrokenJson,
    Members,
    literal_text,
    read_members,
    read_members_list,
)

FORBIDDEN = "Access is denied because you have not used the proper access token for the request."
UNKNOWN_URL = "Endpoint URL is invalid."
KINDS = {
    ("GET", ""): "list",
    ("GET", "id"): "get",
    ("POST", ""): "create",
    ("POST", "bulk"): "bulk",
    ("PUT", "id"): "update",
    ("DELETE", "id"): "delete",
}
_WHOLE = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Change:
    """What one write did to a table: `record` None means the identity is gone."""

    table: str
    identity: Identity
    record: Record | None


def refuse(status: int, message: str) -> ReplyError:
    """The documented error body."""
    return ReplyError(json_reply({"status": status, "message": message}, status))


class DatatricsService:
    """Answers every documented request from five tables; `save` is called with the changes before the answer."""

    def __init__(self, key: str, project_id: str, save: Callable[[list[Change]], None]) -> None:
        self.tables = {
            name: Table(resource.created_path) for name, resource in shapes.TABLES.items()
        }
        self._key = key
        self._project_id = project_id
        self._save = save

    def handle(self, call: Call) -> Reply:
        """The answer to a request whose path begins after `/2.0`."""
        try:
            reply = self._handle(call)
        except ReplyError as error:
            reply = error.reply
        return replace(reply, kind=_kind(call))

    def _handle(self, call: Call) -> Reply:
        if not is_same(call.headers.get("x-apikey"), self._key):
            raise refuse(403, FORBIDDEN)
        if len(call.segments) not in (3, 4) or call.segments[0] != "project":
            raise refuse(404, UNKNOWN_URL)
        # The document keeps 404 for a wrong URL, and says 403 of what a token does not open.
        if self._project_id not in ("*", call.segments[1]):
            raise refuse(403, FORBIDDEN)
        resource = RESOURCES.get(call.segments[2])
        if resource is None:
            raise refuse(404, UNKNOWN_URL)
        return self._route(call, resource)

    def _route(self, call: Call, resource: Resource) -> Reply:
        last = call.segments[3] if len(call.segments) == 4 else None
        match call.method, last:
            case "GET", None:
                return self._list(call, resource)
            case "POST", None:
                return self._create(call, resource)
            case "POST", "bulk":
                return self._bulk(call, resource)
            case "GET", str():
                return self._read(call, resource, last)
            case "PUT", str() if resource.updatable:
                return self._update(call, resource, last)
            case "DELETE", str():
                return self._delete(call, resource, last)
        raise refuse(404, UNKNOWN_URL)

    def _list(self, call: Call, resource: Resource) -> Reply:
        query = call.query
        table = self.tables[_table(resource, _content_type(resource, query))]
        limit = _whole(query, "limit", resource.limit)
        if "ignore-page" in call.lies:
            number = 1
        else:
            number = _whole(query, "page", 1)
        if "cap-limit" in call.lies:
            limit = min(limit, int(call.lies["cap-limit"]))
        # The document names the filter `source` for the list of profiles only.
        if resource.path == "profile":
            source = query.get("source")
        else:
            source = None
        order = _order(query, resource)
        sort = query.get("sort") or "created"
        page = table.page(sort, order, source, number, limit)
        total = max(page.total + int(call.lies.get("wrong-total") or 0), 0)
        # Rounded up: a last page that is not full is a page.
        last = -(-total // limit)
        # As servers do that clamp the page number; a client that
        # waits for an empty page never ends.
        if "repeat-last" in call.lies and number > last > 0:
            page = table.page(sort, order, source, last, limit)
        if call.lies.get("empty-page") == str(number):
            items = []
        else:
            items = page.items
        return Reply(200, _envelope(resource.totals, total, last, number, items, call.lies))

    def _read(self, call: Call, resource: Resource, record_id: str) -> Reply:
        source = _required(call.query, "source", NO_SOURCE)
        table = self.tables[_table(resource, _content_type(resource, call.query))]
        record = table.get((source, record_id))
        if record is None:
            raise refuse(404, f"No {resource.path} found with id: {record_id}")
        return Reply(200, record.data)

    def _create(self, call: Call, resource: Resource) -> Reply:
        content_type = _content_type(resource, call.query)
        stored = _shape(resource, content_type, _object(call.body))
        self._keep(_table(resource, content_type), [stored])
        return Reply(200, stored.data)

    def _update(self, call: Call, resource: Resource, record_id: str) -> Reply:
        content_type = _content_type(resource, call.query)
        stored = _shape(resource, content_type, _object(call.body))
        if stored.id != record_id:
            raise refuse(
                400, f"Invalid request, {resource.id_field} differs from the one in the URL."
            )
        name = _table(resource, content_type)
        if self.tables[name].get((stored.source, stored.id)) is None:
            raise refuse(404, f"No {resource.path} found with id: {record_id}")
        self._keep(name, [stored])
        return Reply(200, stored.data)

    def _bulk(self, call: Call, resource: Resource) -> Reply:
        body = _object(call.body)
        if resource.path == "content":
            content_type = _bulk_type(call.query, body)
        else:
            content_type = None
        field = next((name for name in resource.bulk_fields if name in body), None)
        if field is None:
            raise refuse(400, f"Invalid request, please provide {resource.bulk_fields[0]}.")
        try:
            writes = read_members_list(body[field])
        except BrokenJson:
            raise refuse(400, f"Invalid request, {field} must be a list of objects.") from None
        # The document has a common `source` beside the items for sales only.
        default = body.get("source") if resource.path == "sale" else None
        # All are looked at before one is kept: a request that is refused has changed nothing.
        stored = [_shape(resource, content_type, write, default) for write in writes]
        self._keep(_table(resource, content_type), stored)
        items = [one.data for one in stored]
        return Reply(200, _envelope(resource.bulk_totals, len(items), 1, 1, items, {}))

    def _delete(self, call: Call, resource: Resource, record_id: str) -> Reply:
        # The document's table has them as parameters, its sample in the body.
        query = {**_texts(call.body), **call.query}
        source = _required(query, "source", NO_SOURCE)
        name = _table(resource, _content_type(resource, query))
        if not self.tables[name].delete((source, record_id)):
            raise refuse(404, f"No {resource.path} found with id: {record_id}")
        self._save([Change(name, (source, record_id), None)])
        return json_reply(
            {"status": 200, "message": resource.removed.format(path=resource.path, id=record_id)}
        )

    def _keep(self, name: str, stored: list[Stored]) -> None:
        table = self.tables[name]
        changes = []
        for one in stored:
            identity = (one.source, one.id)
            changes.append(Change(name, identity, table.put(identity, one.data)))
        self._save(changes)

    def clear(self) -> None:
        """Forgets every record."""
        for table in self.tables.values():
            table.clear()

    def plant(self, name: str, records: list[tuple[Identity, bytes]]) -> None:
        """Keeps records exactly as given, even such as the API would refuse: a rehearsal of bad data."""
        self._keep(name, [Stored(identity[0], identity[1], data) for identity, data in records])


def _kind(call: Call) -> str:
    if len(call.segments) < 4:
        last = ""
    else:
        last = "bulk" if call.segments[3] == "bulk" else "id"
    return KINDS.get((call.method, last), "other")


def _table(resource: Resource, content_type: str | None) -> str:
    if content_type is None:
        return shapes.PATH_TABLES[resource.path]
    return shapes.TYPE_TABLES[content_type]


def _content_type(resource: Resource, query: Mapping[str, str]) -> str | None:
    if resource.path != "content":
        return None
    content_type = _required(query, "type", NO_TYPE)
    if content_type not in shapes.TYPE_TABLES:
        raise refuse(400, "Invalid request, type must be item or category.")
    return content_type


def _bulk_type(query: Mapping[str, str], body: Members) -> str:
    # In the query by the document; the official PHP and C# clients send it in the body.
    given = query.get("type") or _literals(body).get("type")
    if not given:
        raise refuse(400, NO_TYPE)
    if given not in shapes.BULK_TYPES:
        raise refuse(400, "Invalid request, type must be items or categories.")
    return shapes.BULK_TYPES[given]


def _shape(
    resource: Resource, content_type: str | None, write: Members, default_source: Raw | None = None
) -> Stored:
    try:
        return shapes.shape(resource, content_type, write, default_source)
    except (BadRecord, BrokenJson) as error:
        raise refuse(400, str(error)) from None


def _object(body: bytes) -> Members:
    try:
        # msgspec does not look into what it hands on as a raw slice.
        body.decode("utf-8")
        return read_members(body)
    except (BrokenJson, UnicodeDecodeError):
        raise refuse(400, "Invalid request, the body must be a JSON object.") from None


def _texts(body: bytes) -> dict[str, str]:
    return _literals(_object(body)) if body.strip() else {}


def _literals(members: Members) -> dict[str, str]:
    literals = ((name, literal_text(raw)) for name, raw in members.items())
    return {name: text for name, text in literals if text is not None}


def _required(query: Mapping[str, str], name: str, message: str) -> str:
    value = query.get(name)
    if not value:
        raise refuse(400, message)
    return value


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text) or int(text) == 0:
        raise refuse(400, f"Invalid request, {name} must be a positive number.")
    return int(text)


def _order(query: Mapping[str, str], resource: Resource) -> int:
    text = query.get("order", str(resource.order))
    if text not in ("1", "-1"):
        raise refuse(400, "Invalid request, order must be 1 or -1.")
    return int(text)


def _envelope(
    names: tuple[str, str],
    total: int,
    pages: int,
    number: int,
    items: list[bytes],
    lies: Mapping[str, str],
) -> bytes:
    """`size` is the number of items returned: every sample says so."""
    totals = f'"{names[0]}":{_quoted(total, lies)},"{names[1]}":{_quoted(pages, lies)},'
    if "no-totals" in lies:
        totals = ""
    head = f'{{{totals}"page":{number},"size":{len(items)},"items":['
    return b"".join((head.encode(), b",".join(items), b"]}"))


def _quoted(number: int, lies: Mapping[str, str]) -> str:
    return f'"{number}"' if "totals-text" in lies else str(number)
