"""Every request to Octolis: paid from the budget, with the key added where no log can see it."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from pydantic import SecretStr

from migrate.config import Octolis, Webhook
from migrate.errors import GaveUp
from migrate.net.http import NoReplyError, Params, Remote, Reply, Request, retry_after_s
from migrate.net.retry import TransientError, call_with_retries
from migrate.net.unanswered import TRY_FOR_S, trying, unanswered
from migrate.target.answer import (
    Answer,
    error_title,
    redirect_place,
    refusal,
    server_moment,
    status_text,
)
from migrate.target.budget import READ_POINTS, WRITE_POINTS, Budget, Grant
from migrate.target.gate import Gate
from migrate.target.reads import (
    Count,
    csv_reader,
    read_count,
    read_list,
    read_one,
    read_raw_one,
)
from migrate.target.results import RawRecord
from migrate.target.spent import fingerprints

T = TypeVar("T")
# The service's own maximum: a page costs one point, however many rows it has.
PAGE_ROWS = 50_000
_QUIET_PAUSE_S = 5.0
_KEY_REFUSED = (401, 403)
# The service demands both on every request, reads as well.
_HEADERS = {"Accept": "*/*", "Content-Type": "application/json"}


class TargetClient:
    """One Octolis account: its keys, its budget. Thread-safe.

    `note` is told about waits and retries; `stop` ends every wait with Interrupted. Reads are tried again within the
    settings' retry budget; a write is one attempt, and its caller decides.

    **Raises**, for every request: GaveUp when the service lets no key ask again within the retry budget, also where an
    earlier process was told so.
    """

    def __init__(
        self,
        settings: Octolis,
        keys: tuple[SecretStr, ...],
        *,
        state_file: Path | None,
        stop: threading.Event,
        note: Callable[[str], None] = lambda _text: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._keys = keys
        self._stop = stop
        self._note = note
        self._clock = clock
        self._ever_answered = False
        self._no_reply: str | None = None
        self._dropped: set[int] = set()
        self._told_until = float("-inf")
        self._told_lock = threading.Lock()
        self._gate = Gate(
            Budget(len(keys), settings.limit_speed, settings.account_share, fingerprints(keys)),
            stop,
            state_file,
            longest_pause_s=settings.retry_budget_s,
            clock=clock,
        )
        self._remote = Remote(
            "Octolis",
            settings.base_url,
            authorize=self._authorize,
            headers=_HEADERS,
            connections=settings.concurrency + 2,
            deadline_s=settings.request_deadline_s,
        )

    def __enter__(self) -> TargetClient:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all connections. A thread that still asks gives up at its next wait, and holds no process."""
        self._gate.close()
        self._remote.close()

    @property
    def keys(self) -> int:
        """The number of keys that share the load."""
        return len(self._keys)

    def points_left(self) -> int:
        """The points that may be spent at once."""
        return self._gate.points_left()

    def paused_s(self) -> float:
        """Seconds until the service lets at least one key ask again; 0 when one may."""
        return self._gate.paused_s()

    def recall(self) -> None:
        """Ends every wait that is on now with Interrupted, as `stop` does; what asks afterwards is let through."""
        self._gate.recall()

    @property
    def retry_budget_s(self) -> float:
        """Seconds to go on trying; short while no answer has ever come, since then the address is probably wrong."""
        budget_s = self.settings.retry_budget_s
        if self._ever_answered:
            return budget_s
        return min(budget_s, TRY_FOR_S)

    def count(self, dataset_id: str, filters: Mapping[str, str] | None = None) -> Count:
        """The number of records, all or those equal to `filters`.

        **Raises**: ValueError for a value that cannot be filtered.
        """
        params = {"filter": filter_text(filters)} if filters else {}
        path = _records(dataset_id) + "/count"
        return self._read(f"counting dataset {dataset_id}", path, params, dataset_id, read_count)

    def export_csv(
        self,
        dataset_id: str,
        page: int,
        page_size: int = PAGE_ROWS,
        filters: Mapping[str, str] | None = None,
        selection: Sequence[str] | None = None,
    ) -> bytes:
        """One page of prepared records as CSV with a header, least recently modified first; pages count from 1.

        An answer without a single byte is believed only when asking twice more gives nothing else.
        """
        # Not the service's default, `desc`: what is written meanwhile must come at the end, where it is still read.
        params: dict[str, str | int] = {"format": "csv", "header": "true", "order": "asc"}
        params |= {"page": page, "pageSize": page_size}
        if filters:
            params["filter"] = filter_text(filters)
        if selection:
            params["selection"] = ",".join(selection)
        return self._read(
            f"reading dataset {dataset_id}, page {page}",
            _records(dataset_id),
            params,
            dataset_id,
            csv_reader(),
        )

    def list_records(
        self,
        dataset_id: str,
        page: int,
        page_size: int,
        any_of: tuple[str, Sequence[str]] | None = None,
        selection: Sequence[str] = (),
    ) -> list[RawRecord]:
        """One page of prepared records, most recently modified first; pages count from 1.

        `any_of`: a column and the values of which a record must have one. `selection`: the columns, all where none is
        named.

        **Raises**: ValueError for a value that cannot be filtered.
        """
        params: dict[str, str | int] = {
            "format": "json",
            "order": "desc",
            "page": page,
            "pageSize": page_size,
        }
        if any_of is not None:
            params["filter"] = ",".join(filter_text({any_of[0]: value}) for value in any_of[1])
        if selection:
            params["selection"] = ",".join(selection)
        return self._read(
            f"reading dataset {dataset_id}, page {page}",
            _records(dataset_id),
            params,
            dataset_id,
            read_list,
        )

    def get_record(self, dataset_id: str, masterid: str) -> Mapping[str, Any] | None:
        """One prepared record with its numbers as Decimal, None when there is none of that masterid."""
        what = f"reading a record of dataset {dataset_id}"
        path = f"{_records(dataset_id)}/{quote(masterid, safe='')}"
        # A merge deletes masterids, so 404 is an answer and no fault.
        return self._read(what, path, {}, dataset_id, read_one, accepted=(200, 404))

    def read_record(self, dataset_id: str, masterid: str) -> RawRecord | None:
        """One prepared record, each column as the JSON text that came; None when there is none of that masterid."""
        what = f"reading a record of dataset {dataset_id}"
        path = f"{_records(dataset_id)}/{quote(masterid, safe='')}"
        # A merge deletes masterids, so 404 is an answer and no fault.
        return self._read(what, path, {}, dataset_id, read_raw_one, accepted=(200, 404))

    def upsert_batch(self, dataset_id: str, body: bytes) -> Answer:
        """What one attempt to upsert a JSON array of at most 500 records came to."""
        return self._attempt("POST", _records(dataset_id) + "/batch", WRITE_POINTS, body=body)

    def patch_batch(self, dataset_id: str, body: bytes) -> Answer:
        """What one attempt to update a JSON array of at most 500 records, each with its `__masterid__`, came to."""
        return self._attempt("PATCH", _records(dataset_id) + "/batch", WRITE_POINTS, body=body)

    def send_webhook(self, webhook: Webhook, payload: object) -> None:
        """Sends `payload` as JSON to a webhook, trying again. Octolis discards silently what does not fit its settings.

        **Raises**: Refused, GaveUp, Unreachable.
        """
        body = msgspec.json.encode(payload, enc_hook=str)

        def call() -> None:
            answer = self.send_feed(webhook, body)
            if not 200 <= answer.status < 300:
                raise self._failure(answer, f"webhook {webhook.id}")

        self._retrying(call, f"sending to webhook {webhook.id}")

    def send_feed(self, webhook: Webhook, body: bytes) -> Answer:
        """What one attempt to send a JSON array to a webhook came to."""
        path = f"/webhook/{quote(webhook.id, safe='')}"
        return self._attempt(webhook.method, path, WRITE_POINTS, body=body, headers=webhook.headers)

    def _read(
        self,
        what: str,
        path: str,
        params: Params,
        dataset_id: str,
        parse: Callable[[Answer], T],
        accepted: tuple[int, ...] = (200,),
    ) -> T:
        def call() -> T:
            answer = self._attempt("GET", path, READ_POINTS, params=params)
            if answer.status not in accepted:
                raise self._failure(answer, f"dataset {dataset_id}")
            return parse(answer)

        return self._retrying(call, what)

    def _retrying(self, call: Callable[[], T], what: str) -> T:
        def note(error: TransientError, wait_s: float) -> None:
            if not error.is_said:
                self._note(f"{what}: {error.reason}; trying again in {wait_s:.1f} s")

        try:
            return call_with_retries(
                call,
                what=what,
                budget_s=lambda: self.retry_budget_s,
                stop=self._stop,
                on_retry=note,
                sleep=self._gate.sleep,
            )
        except GaveUp:
            if self._ever_answered or self._no_reply is None:
                raise
            base_url = self.settings.base_url
            raise unanswered("Octolis", "octolis", base_url, self._no_reply) from None

    def _failure(self, answer: Answer, place: str) -> Exception:
        if answer.is_final or answer.status in (400, 413, 422):
            return refusal(answer, place)
        if answer.is_throttled:
            # The gate has paused the key; another one may be free at once.
            return TransientError(
                "429 Too Many Requests", wait_s=answer.retry_after_s if self.keys == 1 else 0.0
            )
        title = error_title(answer)
        reason = (answer.reason or status_text(answer.status)) + (f" ({title})" if title else "")
        # "0" leaves the wait to us: a service in trouble is not asked again without any.
        return TransientError(
            reason,
            wait_s=answer.retry_after_s or None,
            is_said=not self._ever_answered and self._say_trying(reason),
        )

    def _say_trying(self, reason: str) -> bool:
        """Says once that no answer has ever come; True, since it is said then."""
        if self._no_reply is None:
            self._note(
                trying("Octolis", self.settings.base_url, reason, self.settings.retry_budget_s)
            )
        self._no_reply = reason
        return True

    def _attempt(
        self,
        method: str,
        path: str,
        cost: int,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        first = None
        tried = set[int]()
        while True:
            answer, used = self._ask_once(method, path, cost, tried, params, body, headers)
            if answer.status not in _KEY_REFUSED:
                if 200 <= answer.status < 300:
                    self._drop_keys(tried, first)
                return answer
            first = first or answer
            tried.add(used)
            # Another key may be allowed what this one is not: nothing was done, so it is asked the same.
            if len(tried | self._dropped) == len(self._keys):
                return first

    def _drop_keys(self, refused: Collection[int], answer: Answer | None) -> None:
        """Uses keys no longer that were refused where another one was not."""
        new = set(refused) - self._dropped
        if not new or answer is None:
            return
        self._dropped |= new
        self._note(
            f"Octolis refuses {answer.key} ({status_text(answer.status)}) and takes another one: it is not used again "
            "by this command; take it out of OCTOLIS_API_KEYS, or have it allowed"
        )

    def _ask_once(
        self,
        method: str,
        path: str,
        cost: int,
        tried: Collection[int],
        params: Params | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[Answer, int]:
        self._tell_pause()
        grant = self._gate.acquire(cost, self._dropped.union(tried))
        key = f"key {grant.key_index + 1} of {len(self._keys)}"
        started = self._clock()
        answer = None
        try:
            reply = self._remote.send(
                method,
                path,
                params=params,
                body=body,
                account_key=grant.key_index,
                extra_headers=headers,
            )
            self._ever_answered = True
            answer = _answer(reply, key, body or _as_json(params))
        except NoReplyError as error:
            answer = Answer(
                0,
                reason=error.reason,
                applied=error.applied,
                key=key,
                elapsed_s=self._clock() - started,
            )
        finally:
            self._settle(grant, started, answer)
        return answer, grant.key_index

    def _settle(self, grant: Grant, started: float, answer: Answer | None) -> None:
        # Without an answer no trip was measured, and the service may have charged: the points stay held as reserved.
        if answer is not None and answer.status:
            self._gate.settled(
                grant,
                started=started,
                ended=self._clock(),
                refused=answer.is_throttled,
                retry_after_s=answer.retry_after_s,
            )

    def _tell_pause(self) -> None:
        paused_s = self._gate.paused_s()
        if not _QUIET_PAUSE_S < paused_s <= self.settings.retry_budget_s:
            return
        until = self._clock() + paused_s
        # Every thread comes to the same pause; a person should read of it once.
        with self._told_lock:
            is_told = until <= self._told_until + 1.0
            self._told_until = max(until, self._told_until)
        if not is_told:
            self._note(f"Octolis lets no key ask again for {paused_s:.0f} s (429); waiting")

    def _authorize(self, request: Request) -> None:
        index = request.extensions.get("account_key", 0)
        # The service takes its key as a query parameter only, and URLs are what clients log.
        request.url = request.url.copy_merge_params(
            {"api-key": self._keys[index].get_secret_value()}
        )


def filter_text(filters: Mapping[str, str]) -> str:
    """The `filter` parameter for equality on every column. Raises ValueError where a value holds a separator."""
    for column, value in filters.items():
        # The service's filter knows no escape for its separators.
        if not {":", ","}.isdisjoint(column + value):
            raise ValueError(f"column {column!r} cannot be filtered by a value with ':' or ','")
    return ",".join(f"{column}:{value}" for column, value in filters.items())


def _records(dataset_id: str) -> str:
    return f"/datasets/{quote(dataset_id, safe='')}/records"


def _as_json(params: Params | None) -> bytes:
    # A filter's values are a record's.
    values = map(str, (params or {}).values())
    return msgspec.json.encode(list(chain.from_iterable(re.split("[:,]", v) for v in values)))


def _answer(reply: Reply, key: str, sent: bytes) -> Answer:
    return Answer(
        reply.status,
        body=reply.body,
        sent=sent,
        key=key,
        # The service's support asks for these two headers.
        request_id=reply.headers.get("apigw-requestid", "")[:200],
        traceparent=reply.headers.get("traceparent", "")[:200],
        server_time=server_moment(reply.headers.get("date", "")),
        retry_after_s=retry_after_s(reply),
        elapsed_s=reply.elapsed_s,
        location=redirect_place(reply.headers.get("location", "")),
    )
