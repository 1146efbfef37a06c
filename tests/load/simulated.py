"""A simulated service with its own idea of the truth, and the plan that is loaded into it: no socket, no sleep."""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from migrate.config import Octolis
from migrate.load.loader import body_of
from migrate.load.planned import PlannedRecord
from migrate.load.scheduler import BatchRequest
from migrate.target.answer import Answer
from migrate.target.results import RawRecord, SentRecord

DATASETS = {"contacts": [3, 2, 3], "orders": [2, 1]}
BAD = "contacts-1-1"
"""The record that the service will never take."""
FAILING = (
    "429",
    "423",
    "500",
    "html200",
    "lost",
    "never-arrived",
    "short",
    "shuffled",
    "null",
    "late",
    "misread",
)
ANSWERED = ("ok", "partial", "whole-400", *FAILING)

UNDONE = {
    "423": Answer(423),
    "429": Answer(429, retry_after_s=1.0),
    "500": Answer(500),
    "refused": Answer(400, b'{"title": "Closed", "status": 400}'),
    "misread": Answer(200, b'{"results": null}'),
    "never-arrived": Answer(0, reason="refused", applied=False),
}
"""What is answered without anything having been done."""


class Service:
    """The target: records by key, with one record it will never take."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}
        self.late: list[list[dict[str, str]]] = []

    def list_records(self, _dataset_id: str, _page: int, _size: int, any_of=None):  # type: ignore[no-untyped-def]
        """The records that are stored, as the export shows them."""
        keys = [key for key in self.stored if key in any_of[1]]
        rows = [{"id": key, "value": self.stored[key], "__masterid__": f"m-{key}"} for key in keys]
        return [msgspec.json.decode(json.dumps(row), type=RawRecord) for row in rows]

    def apply(
        self, records: list[dict[str, str]], failing: frozenset[int] = frozenset()
    ) -> list[dict[str, object]]:
        """Upserts a batch; gives the results."""
        results: list[dict[str, object]] = []
        for place, record in enumerate(records):
            key = record["id"]
            if key == BAD:
                results.append({"written": False, "error": {"title": "Bad", "status": 400}})
            elif place in failing:
                results.append({"written": False, "error": {"title": "Later", "status": 500}})
            else:
                self.stored[key] = record["value"]
                results.append({"written": True, "record": {**record, "__masterid__": f"m-{key}"}})
        return results

    def apply_late(self) -> None:
        """Does at last what was asked long ago, and given up on since."""
        if self.late:
            self.apply(self.late.pop(0))

    def answer(self, request: BatchRequest, kind: str) -> Answer:
        """What the service says, having done it or not."""
        records = json.loads(body_of(request.records))
        if kind in UNDONE:
            return UNDONE[kind]
        if kind == "whole-400":
            return (
                Answer(400, b'{"title": "Invalid", "status": 400}')
                if len(records) > 1
                else self.answer(request, "ok")
            )
        if kind == "late":
            self.late.append(records)
            return Answer(504)
        results = self.apply(records, frozenset({0}) if kind == "partial" else frozenset())
        if kind == "lost":
            return Answer(0, reason="reset")
        if kind == "html200":
            return Answer(200, b"<html>")
        if kind == "short":
            results = results[:-1]
        if kind == "shuffled":
            results = results[1:] + results[:1] if len(results) > 1 else []
        return Answer(200, json.dumps({"results": None if kind == "null" else results}).encode())


@dataclass
class FakeClient:
    """What the loader's decisions ask of a client."""

    settings: Octolis
    retry_budget_s: float = 1e9

    def paused_s(self) -> float:
        """A second, as the service asks."""
        return 1.0


def records_of(name: str, batch: int) -> list[PlannedRecord]:
    """The planned records of a batch."""
    keys = [f"{name}-{batch}-{n}" for n in range(DATASETS[name][batch])]
    return [
        PlannedRecord(
            SentRecord(n, key, json.dumps({"id": key, "value": f"value of {key}"})), "create"
        )
        for n, key in enumerate(keys)
    ]


def all_keys() -> list[str]:
    """Every key of the plan."""
    return [
        r.sent.key
        for name, rows in DATASETS.items()
        for b in range(len(rows))
        for r in records_of(name, b)
    ]
