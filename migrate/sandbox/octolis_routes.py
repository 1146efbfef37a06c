"""The Octolis Data API over HTTP: headers, key, points, busy datasets, single and batch requests, webhooks.

Source: the Octolis data API collection. Decided here, as it is silent: a missing key is 401, a wrong one 403; a batch
with refused records is answered 200; a request is charged once its key is known, before anything else is looked at.
A webhook's request without the right id, key, method or headers is discarded; whether it learns so is not documented,
here it does.

An answer can be spoilt to order: some records refused, values altered, results that are wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from msgspec import Raw

from migrate.sandbox import octolis_reads as reads
from migrate.sandbox.declare import DatasetSpec, Readings, WebhookSpec
from migrate.sandbox.exchange import Call, Reply, ReplyError, is_same, json_reply
from migrate.sandbox.limits import READ_POINTS, WRITE_POINTS, Limiter
from migrate.sandbox.octolis import Dataset, Refused, Row, Written, error
from migrate.sandbox.raw_json import BrokenJson, read_values, write_json

# The document's bound of a batch, for POST and PATCH alike.
MAX_BATCH = 500
ID = "__masterid__"
Lies = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowChange:
    """What one write did to a dataset."""

    dataset: str
    row: Row
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outside:
    """What the service needs from the world: two clocks in seconds and a place to keep changes."""

    wall_s: Callable[[], float]
    monotonic_s: Callable[[], float]
    save: Callable[[list[RowChange]], None]


def refuse(
    status: int, title: str, detail: str, headers: tuple[tuple[str, str], ...] = ()
) -> ReplyError:
    """The documented error body."""
    return ReplyError(json_reply(error(title, detail, status), status, headers))


class OctolisService:
    """Answers every documented request; changes are saved before the answer."""

    def __init__(
        self,
        datasets: list[Dataset],
        webhooks: Webhooks,
        keys: tuple[str, ...],
        limiter: Limiter,
        outside: Outside,
    ) -> None:
        self.datasets = {dataset.spec.id: dataset for dataset in datasets}
        self.webhooks = webhooks
        self._keys = frozenset(keys)
        self._limiter = limiter
        self._outside = outside
        self._busy_until_s: dict[str, float] = {}
        self._last_ms = 0

    def make_busy(self, dataset_id: str, seconds: float) -> None:
        """Refuses writes to the dataset with 423 for so long."""
        self._busy_until_s[dataset_id] = self._outside.monotonic_s() + seconds

    def clear(self) -> None:
        """Forgets every row and everything the webhooks received."""
        for dataset in self.datasets.values():
            dataset.clear()
        self.webhooks.received.clear()

    def now_ms(self) -> int:
        """Wall time that never runs backwards, so that the order of modification is that of the times."""
        self._last_ms = max(self._last_ms, int(self._outside.wall_s() * 1000))
        return self._last_ms

    def handle(self, call: Call) -> Reply:
        """The answer to a request whose path begins after `/v1/data`."""
        try:
            reply = self._handle(call)
        except ReplyError as refusal:
            reply = refusal.reply
        except reads.BadQuery as bad:
            reply = json_reply(error("Invalid query parameters", str(bad), 400), 400)
        return replace(reply, kind=_kind(call))

    def _handle(self, call: Call) -> Reply:
        key = self._authenticate(call.query)
        # Without points: the document counts those of requests to datasets.
        if call.segments[:1] == ("webhook",) and len(call.segments) == 2:
            return self.webhooks.receive(call, call.segments[1])
        if (
            call.segments[:1] != ("datasets",)
            or call.segments[2:3] != ("records",)
            or len(call.segments) > 4
        ):
            raise refuse(404, "Not found", "There is no such endpoint")
        self._charge(key, READ_POINTS if call.method == "GET" else WRITE_POINTS)
        _check_headers(call.headers)
        dataset = self.datasets.get(call.segments[1])
        if dataset is None:
            raise refuse(404, "Not found", f"No dataset with id: {call.segments[1]}")
        # Nothing runs between requests: what is prepared by now is shown when somebody asks.
        dataset.settle(self.now_ms())
        return self._route(call, dataset, call.segments[3] if len(call.segments) == 4 else None)

    def _route(self, call: Call, dataset: Dataset, last: str | None) -> Reply:
        match call.method, last:
            case "GET", None:
                return self._export(call, dataset)
            case "GET", "count":
                wanted = reads.parse_export(call.query, dataset.spec)
                count = reads.count(dataset, wanted.clauses)
                if wanted.form == "csv":
                    body = reads.count_csv(count, header=wanted.header)
                    return Reply(200, body, "text/csv; charset=utf-8")
                return json_reply({"count": count})
            case "GET", str():
                return self._read(dataset, last)
            case "POST" | "PATCH", "batch":
                return self._batch(call, dataset)
            case ("POST", None) | ("PATCH", str()):
                return self._single(call, dataset, last)
        raise refuse(404, "Not found", "There is no such endpoint")

    def _authenticate(self, query: Mapping[str, str]) -> str:
        key = query.get("api-key")
        if not key:
            raise refuse(401, "Unauthorized", "The api-key query parameter is missing")
        # A list, so that every key is compared: the time taken tells not even which one was right.
        if not any([is_same(key, known) for known in self._keys]):
            raise refuse(403, "Forbidden", "The api-key is not known")
        return key

    def _charge(self, key: str, cost: int) -> None:
        wait_s = self._limiter.spend(key, cost, self._outside.monotonic_s())
        if wait_s is not None:
            after = (("Retry-After", self._limiter.retry_after(wait_s)),)
            raise refuse(
                429, "Too Many Requests", "The rate limit is reached, please retry later", after
            )

    def _export(self, call: Call, dataset: Dataset) -> Reply:
        wanted = reads.parse_export(call.query, dataset.spec)
        if wanted.form == "csv":
            return Reply(200, reads.export_csv(dataset, wanted), "text/csv; charset=utf-8")
        return Reply(200, reads.export_json(dataset, wanted))

    def _read(self, dataset: Dataset, masterid: str) -> Reply:
        row = dataset.visible.get(masterid)
        if row is None:
            raise refuse(404, "Not found", f"No record with masterid: {masterid}")
        merged = b',"isMerged":true' if row.merged else b""
        return Reply(200, b'{"record":' + reads.render(row, dataset.spec.readings) + merged + b"}")

    def _open_for_writes(self, call: Call, dataset: Dataset) -> Any:
        """The request's body, once the dataset takes writes at all."""
        if dataset.spec.read_only:
            raise refuse(
                400, "Read-only dataset", "A SQL dataset cannot be written to, only read from"
            )
        busy = self._outside.monotonic_s() < self._busy_until_s.get(dataset.spec.id, 0.0)
        if busy or "423" in call.lies:
            raise refuse(423, "Dataset busy", "The dataset is busy, please retry in a few seconds")
        try:
            return read_values(call.body)
        except BrokenJson:
            raise refuse(400, "Invalid JSON", "The body is not valid JSON") from None

    def _single(self, call: Call, dataset: Dataset, masterid: str | None) -> Reply:
        record = self._open_for_writes(call, dataset)
        if not isinstance(record, dict):
            raise refuse(400, "Invalid payload", "The body must be a JSON object")
        [record] = alter(call.lies, dataset.spec, [record])
        now_ms = self.now_ms()
        if masterid is None:
            outcome = dataset.upsert(record, now_ms)
        else:
            outcome = dataset.update(masterid, record, now_ms)
        if isinstance(outcome, Refused):
            return json_reply(outcome.error, outcome.error["status"])
        self.save(dataset, [outcome])
        return Reply(200, b"{" + _written(outcome, dataset.spec.readings) + b"}")

    def _batch(self, call: Call, dataset: Dataset) -> Reply:
        records = self._open_for_writes(call, dataset)
        if not isinstance(records, list) or not 0 < len(records) <= MAX_BATCH:
            raise refuse(
                400, "Invalid payload", f"The body must be an array of 1 to {MAX_BATCH} records"
            )
        records = alter(call.lies, dataset.spec, records)
        write = _update_one if call.method == "PATCH" else Dataset.upsert
        now_ms = self.now_ms()
        outcomes: list[Written | Refused] = []
        for position, record in enumerate(records):
            # In the order sent: of two records with one key the later one wins.
            outcomes.append(refuse_some(call.lies, position) or write(dataset, record, now_ms))
        self.save(dataset, [outcome for outcome in outcomes if isinstance(outcome, Written)])
        results = spoil_results(
            call.lies, [_result(outcome, dataset.spec.readings) for outcome in outcomes]
        )
        if results is None:
            return Reply(200, b'{"results":null}')
        return Reply(200, b'{"results":[' + b",".join(results) + b"]}")

    def save(self, dataset: Dataset, written: list[Written]) -> None:
        """Keeps what was written."""
        self._outside.save([RowChange(dataset.spec.id, one.row, one.removed) for one in written])


def _kind(call: Call) -> str:
    if call.segments[:1] == ("webhook",):
        return "webhook"
    last = call.segments[3] if len(call.segments) == 4 else "list"
    if call.method != "GET":
        return "batch" if last == "batch" else "single"
    return last if last in ("list", "count") else "get"


def _update_one(dataset: Dataset, record: Any, now_ms: int) -> Written | Refused:
    if not isinstance(record, dict) or ID not in record:
        return Refused(error("Validation failed for the provided data", f"{ID} is missing", 400))
    values = {name: value for name, value in record.items() if name != ID}
    return dataset.update(record[ID], values, now_ms)


def _written(outcome: Written, readings: Readings) -> bytes:
    data = b'"record":' + reads.render(outcome.row, readings)
    if outcome.protected:
        data += b',"warnings":' + write_json({"protected_columns": outcome.protected})
    return data


def _result(outcome: Written | Refused, readings: Readings) -> bytes:
    if isinstance(outcome, Refused):
        return write_json({"written": False, "error": outcome.error})
    return b'{"written":true,' + _written(outcome, readings) + b"}"


def _check_headers(headers: Mapping[str, str]) -> None:
    """Source: "For all requests Accept and Content-Type headers are mandatory"."""
    if "*/*" not in headers.get("accept", ""):
        raise refuse(400, "Missing header", "The Accept header must be */*")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise refuse(400, "Missing header", "The Content-Type header must be application/json")


def alter(lies: Lies, spec: DatasetSpec, records: list[Any]) -> list[Any]:
    """The records with one text of each changed, as if the service had stored something else."""
    if "altered" not in lies:
        return records
    # A key stays as sent, or the client would take the answer for another record's.
    keys = set(chain.from_iterable(spec.keys))
    names = [c.name for c in spec.columns if c.type == "text" and c.name not in keys]
    return [
        _alter_one(record, [lies["altered"]] if lies["altered"] else names) for record in records
    ]


def _alter_one(record: Any, names: list[str]) -> Any:
    name = next(
        (n for n in names if isinstance(record, dict) and isinstance(record.get(n), str)), None
    )
    if name is None:
        return record
    return {**record, name: record[name] + "?"}


def refuse_some(lies: Lies, position: int) -> Refused | None:
    """A refusal for every fifth record (or the n-th asked for), with a status that should pass by itself."""
    if "partial" not in lies:
        return None
    every, _, status = lies["partial"].partition("/")
    if (position + 1) % int(every or 5):
        return None
    return Refused(
        error("Record not written", "Something went wrong, please retry", int(status or 500))
    )


def spoil_results(lies: Lies, results: list[bytes]) -> list[bytes] | None:
    """The results too few, in another order, or not at all."""
    if "null-results" in lies:
        return None
    if "short-results" in lies:
        return results[: -int(lies["short-results"] or 1)]
    if "shuffle-results" in lies:
        results = list(results)
        # Seeded by their number, so that a test that fails does so again.
        random.Random(len(results)).shuffle(results)  # noqa: S311 - an order, not a secret
    return results


class Webhooks:
    """Keeps what was received; with nothing declared any id takes POST and PUT."""

    def __init__(
        self, declared: tuple[WebhookSpec, ...], save: Callable[[str, bytes], None]
    ) -> None:
        self._declared = {hook.id: hook for hook in declared}
        self._save = save
        self.received: list[tuple[str, bytes]] = []

    def receive(self, call: Call, webhook_id: str) -> Reply:
        """The answer to a request; the body is kept if it fits what is declared."""
        if self._declared:
            hook = self._declared.get(webhook_id)
        else:
            hook = WebhookSpec(webhook_id)
        if hook is None:
            raise _refuse(404, "No such webhook")
        if call.method not in hook.methods:
            raise _refuse(405, f"This webhook takes {', '.join(hook.methods)}")
        missing = [name for name, value in hook.headers.items() if call.headers.get(name) != value]
        if missing:
            raise _refuse(403, f"A header that must be sent is missing: {missing[0]}")
        try:
            read_values(call.body)
        except BrokenJson:
            raise _refuse(400, "The body is not valid JSON") from None
        self._save(webhook_id, call.body)
        self.received.append((webhook_id, call.body))
        return json_reply({"status": "received"})

    def listing(self) -> list[dict[str, object]]:
        """All that was received, oldest first."""
        return [{"id": webhook_id, "body": Raw(body)} for webhook_id, body in self.received]


def _refuse(status: int, detail: str) -> ReplyError:
    return ReplyError(json_reply(error("Webhook request discarded", detail, status), status))
