"""The handles of the sandbox itself, below `/_sandbox/`: state, log, faults, busy datasets, reset, planted records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from migrate.errors import UsageError
from migrate.sandbox.datatrics_routes import DatatricsService
from migrate.sandbox.datatrics_shapes import TABLES, Resource
from migrate.sandbox.exchange import Call, Reply, ReplyError, json_reply
from migrate.sandbox.faults import FaultBook, parse_fault
from migrate.sandbox.journal import Journal
from migrate.sandbox.octolis_routes import OctolisService
from migrate.sandbox.openapi import document
from migrate.sandbox.raw_json import BrokenJson, literal_text, read_members, slice_array

Identity = tuple[str, str]


@dataclass(slots=True)
class Control:
    """Answers the sandbox's own requests; `clear` empties both services."""

    datatrics: DatatricsService
    octolis: OctolisService
    faults: FaultBook
    journal: Journal
    clear: Callable[[], None]
    _planted: int = field(default=0, init=False)

    def handle(self, call: Call) -> Reply:
        """The answer to a request whose path begins after `/_sandbox`, or to `/openapi.json`."""
        try:
            return self._route(call)
        except (BrokenJson, UsageError, ValueError) as error:
            return json_reply({"error": str(error), "hint": getattr(error, "hint", None)}, 400)
        except ReplyError as error:
            return error.reply

    def _route(self, call: Call) -> Reply:
        match call.method, *call.segments:
            case "GET", "openapi.json":
                return json_reply(document(list(self.octolis.datasets)))
            case "GET", "state":
                return json_reply(self._state())
            case "GET", "log":
                return json_reply(
                    {"requests": self.journal.since(int(call.query.get("since", "0")))}
                )
            case "GET", "webhooks":
                return json_reply({"received": self.octolis.webhooks.listing()})
        return self._post(call) or json_reply({"error": "no such endpoint"}, 404)

    def _post(self, call: Call) -> Reply | None:
        match call.method, *call.segments:
            case "POST", "faults":
                return self._set_faults(call.body)
            case "POST", "busy", name:
                return self._make_busy(name, float(call.query.get("seconds", "5")))
            case "POST", "records", name if name in TABLES:
                return self._plant(name, TABLES[name], call.body)
            case "POST", "reset":
                self.clear()
                self.journal.clear()
                return json_reply({"status": "reset"})
        return None

    def _state(self) -> dict[str, Any]:
        now_ms = self.octolis.now_ms()
        datasets = {}
        for dataset in self.octolis.datasets.values():
            dataset.settle(now_ms)
            shown = {
                "id": dataset.spec.id,
                "count": len(dataset.visible),
                "written": len(dataset.rows),
            }
            datasets[dataset.spec.name] = {
                **shown,
                "keys": dataset.spec.keys,
                "pending": dataset.pending(),
            }
        return {
            "datasets": datasets,
            "resources": {name: len(table) for name, table in self.datatrics.tables.items()},
            "requests": self.journal.counts(),
            "total_requests": self.journal.total,
        }

    def _set_faults(self, body: bytes) -> Reply:
        texts = msgspec.json.decode(body or b"[]", type=list[str])
        self.faults.replace([parse_fault(text) for text in texts])
        return json_reply({"faults": texts})

    def _make_busy(self, name: str, seconds: float) -> Reply:
        known = {dataset.spec.name: id_ for id_, dataset in self.octolis.datasets.items()}
        if name not in known and name not in known.values():
            return json_reply({"error": f"no dataset {name}"}, 404)
        self.octolis.make_busy(known.get(name, name), seconds)
        return json_reply({"dataset": name, "seconds": seconds})

    def _plant(self, name: str, resource: Resource, body: bytes) -> Reply:
        """Keeps read-shape records byte for byte, even such as the API would refuse: without an id, or one twice."""
        records: dict[Identity, bytes] = {}
        for text in slice_array(body.decode("utf-8", "surrogateescape")):
            data = text.encode("utf-8", "surrogateescape")
            identity = _identity(resource, data)
            if identity is None or identity in records:
                self._planted += 1
                identity = ("", f"planted-{self._planted}")
            records[identity] = data
        self.datatrics.plant(name, list(records.items()))
        return json_reply({"planted": len(records)})


def _identity(resource: Resource, data: bytes) -> Identity | None:
    """The identity a planted record has, None where it has none that could be asked for."""
    try:
        members = read_members(data)
        id_field = "id" if resource.path == "content" else resource.id_field
        holder = read_members(members["metadata"]) if resource.path == "content" else members
        source, record_id = literal_text(holder["source"]), literal_text(members[id_field])
    except (BrokenJson, KeyError, msgspec.DecodeError):
        return None
    return (source, record_id) if source and record_id else None
