"""The handles of the sandbox itself, below `/_sandbox/`: state, log, faults, busy datasets, reset, planted records.

The log counts what was asked and how it was answered, and keeps the most recent requests. A key is never in it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from migrate.errors import UsageError
from migrate.sandbox.datatrics_routes import DatatricsService
from migrate.sandbox.datatrics_shapes import TABLES, Resource
from migrate.sandbox.exchange import Call, Reply, ReplyError, json_reply
from migrate.sandbox.faults import FaultBook, parse_fault
from migrate.sandbox.imports import Importer
from migrate.sandbox.octolis_routes import OctolisService
from migrate.sandbox.openapi import document
from migrate.sandbox.raw_json import BrokenJson, literal_text, read_members, slice_array

Identity = tuple[str, str]
# As many requests as 10,000,000 records take in batches of 500; older ones are only counted.
KEPT = 20000
# Octolis wants its key in the query; Datatrics' is seen there, too, in real clients.
SECRET_PARAMETERS = ("api-key", "apikey")


@dataclass(slots=True)
class Control:
    """Answers the sandbox's own requests; `clear` empties both services."""

    datatrics: DatatricsService
    octolis: OctolisService
    faults: FaultBook
    journal: Journal
    clear: Callable[[], None]
    importer: Importer | None = None
    _planted: int = field(default=0, init=False)

    def answer_octolis(self, call: Call) -> Reply:
        """What the Data API answers, once the files that came meanwhile are imported."""
        if self.importer is not None:
            self.importer.look()
        return self.octolis.handle(call)

    def handle(self, call: Call) -> Reply:
        """The answer to a request whose path begins after `/_sandbox`, or to `/openapi.json`."""
        if self.importer is not None:
            self.importer.look()
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
            case "GET", "imports" if self.importer is not None:
                return json_reply({"imported": self.importer.listing()})
            case "GET", "webhooks":
                return json_reply({"received": self.octolis.webhooks.listing()})
        return self._post(call) or json_reply({"error": "no such endpoint"}, 404)

    def _post(self, call: Call) -> Reply | None:
        match call.method, *call.segments:
            case "POST", "faults":
                return self._set_faults(call.body)
            case "POST", "busy", name:
                # A dataset is "usually" busy for 5 s, the document says.
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
        # Broken UTF-8 may be just what is rehearsed, so its bytes go through unchanged.
        for text in slice_array(body.decode("utf-8", "surrogateescape")):
            data = text.encode("utf-8", "surrogateescape")
            identity = _identity(resource, data)
            # Kept under a name that nobody can ask for: it shows in lists
            # only, as it would at the source.
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
        if resource.path == "content":
            # Content is written with an `itemid` and read with an `id`, its source in `metadata`.
            record_id = literal_text(members["id"])
            source = literal_text(read_members(members["metadata"])["source"])
        else:
            record_id = literal_text(members[resource.id_field])
            source = literal_text(members["source"])
    except (BrokenJson, KeyError, msgspec.DecodeError):
        return None
    return (source, record_id) if source and record_id else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One request."""

    n: int
    at: float
    side: str
    kind: str
    method: str
    path: str
    query: str
    status: int
    bytes_in: int
    bytes_out: int
    milliseconds: float
    faults: tuple[str, ...]


class Journal:
    """The last requests, and how many there were of each side, kind and status."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.total = 0

    def add(self, entry: Entry) -> None:
        """Keeps one request."""
        self.total += 1
        self._entries.append(entry)
        self._counts[entry.side, entry.kind, str(entry.status)] += 1

    def since(self, number: int) -> list[dict[str, Any]]:
        """The kept requests after the `number`-th."""
        return [asdict(entry) for entry in self._entries if entry.n > number]

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Side → kind → status → how many; status 0 is a connection cut instead of an answer."""
        nested: dict[str, dict[str, dict[str, int]]] = {}
        for (side, kind, status), number in self._counts.items():
            nested.setdefault(side, {}).setdefault(kind, {})[status] = number
        return nested


def mask_query(query: str) -> str:
    """The query without the value of a key."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode(
        [(name, "***" if name.lower() in SECRET_PARAMETERS else value) for name, value in pairs]
    )
