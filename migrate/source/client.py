"""The client of Datatrics v2: pages and single records, paced, retried, and never anything but GET."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar
from urllib.parse import quote

from pydantic import SecretStr

from migrate import __version__
from migrate.config import Datatrics
from migrate.errors import Refused, Unreachable
from migrate.names import PASSING_STATUSES
from migrate.net.http import NoReplyError, Remote, Reply, retry_after_s
from migrate.net.retry import TransientError, call_with_retries
from migrate.source.envelope import Page, error_text, read_page
from migrate.source.pacer import Pacer
from migrate.source.resources import Resource

T = TypeVar("T")
_FIRST_CONTACT_S = 10.0
_FIRST_CONTACT_WAIT_S = 1.0
_HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": f"migrate/{__version__}",
}


class _Halt(threading.Event):
    """Set when it is set itself or when `outer` is; waiting looks at `outer` ten times a second."""

    def __init__(self, outer: threading.Event) -> None:
        super().__init__()
        self._outer = outer

    def is_set(self) -> bool:
        return super().is_set() or self._outer.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (end is None or time.monotonic() < end):
            super().wait(0.1 if end is None else min(0.1, max(0.0, end - time.monotonic())))
        return self.is_set()


@dataclass(frozen=True)
class Wanted:
    """A page of a list, of `size` records: by default in ascending order of creation, which drift disturbs least."""

    resource: Resource
    number: int
    size: int
    sort: str = "created"
    order: Literal[1, -1] = 1

    @property
    def params(self) -> dict[str, str | int]:
        """The query."""
        own: dict[str, str | int] = dict(self.resource.query)
        return {
            **own,
            "limit": self.size,
            "page": self.number,
            "sort": self.sort,
            "order": self.order,
        }


class PageFailsError(Exception):
    """A page keeps failing although the service is well; `reason` is what it failed with last."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RetryPatience:
    """How often a page may fail before it is asked for in pieces. One for each call.

    It ends after `tries` failures, or two within `limit_s`, provided that `is_well` says that others are answered.
    """

    def __init__(self, tries: int, limit_s: float, is_well: Callable[[], bool]) -> None:
        self._tries = tries
        self._limit_s = limit_s
        self._is_well = is_well
        self._failures = 0

    def ends(self, elapsed_s: float) -> bool:
        """Counts one more failure; True when it was one too many."""
        self._failures += 1
        is_due = self._failures % self._tries == 0 or (
            self._failures > 1 and elapsed_s > self._limit_s
        )
        return is_due and self._is_well()


class SourceClient:
    """Reads a Datatrics project. Thread-safe: at most `concurrency` requests are in flight, whoever asks.

    `requests` counts every attempt that was sent.

    `note` is told of retries, only ever in the thread that made the client (see `tell_notes`); `stop` ends all waiting.
    """

    def __init__(
        self,
        settings: Datatrics,
        key: SecretStr,
        *,
        stop: threading.Event,
        note: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self.retry_budget_s = settings.retry_budget_s
        self._note = note
        self._halt = _Halt(stop)
        self._pacer = Pacer(settings.requests_per_second, time.monotonic, self._halt.wait)
        self._owner = threading.current_thread()
        self._waiting_notes: deque[str] = deque()
        self._lock = threading.Lock()
        self._free = threading.Semaphore(settings.concurrency)
        self._answered = False
        self.requests = 0
        self._remote = Remote(
            "Datatrics",
            settings.base_url,
            authorize=lambda request: request.headers.update({"x-apikey": key.get_secret_value()}),
            headers=_HEADERS,
            connections=settings.concurrency,
            deadline_s=settings.request_deadline_s,
        )

    def close(self) -> None:
        """Closes all connections."""
        self._remote.close()

    def halt(self) -> None:
        """Ends all waiting for good; calls that wait raise Interrupted."""
        self._halt.set()

    def page(self, resource: Resource, number: int, size: int) -> Page:
        """Page `number` of the list in ascending order of creation; for what `fetch` raises, see there."""
        return self.fetch(
            Wanted(resource, number, size), lambda body: read_page(number, body), patience=None
        )

    def fetch(
        self, wanted: Wanted, take: Callable[[bytes], T], *, patience: RetryPatience | None
    ) -> T:
        """What `take` makes of a page's body; it raises TransientError for a body that is no whole page.

        **Raises**: Refused for a final answer; Unreachable or GaveUp when no whole page came; Interrupted on stop;
        PageFailsError when `patience` is at an end although the service is well.
        """
        path, params = self._path(wanted.resource), wanted.params
        what = f"Datatrics: {wanted.resource.name}, page {wanted.number}"
        return self._persist(what, lambda: take(self._whole_answer(path, params).body), patience)

    def one(self, resource: Resource, id_: str, source: str) -> bytes | None:
        """The JSON of one record as the server sends it, None where it has none."""
        params: dict[str, str | int] = {**dict(resource.query), "source": source}
        path = f"{self._path(resource)}/{quote(id_, safe='')}"
        try:
            return self._persist(
                f"Datatrics: one record of {resource.name}",
                lambda: _checked_record(self._whole_answer(path, params)),
            )
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def _path(self, resource: Resource) -> str:
        return f"/project/{quote(self._settings.project_id, safe='')}/{resource.path}"

    def tell_notes(self) -> None:
        """Passes on what other threads had to say; from the thread that made the client only."""
        while self._waiting_notes:
            self._note(self._waiting_notes.popleft())

    def _say(self, text: str) -> None:
        # Whoever shows notes need not be fit for threads.
        if threading.current_thread() is self._owner:
            self._note(text)
        else:
            self._waiting_notes.append(text)

    def _persist(
        self, what: str, call: Callable[[], T], patience: RetryPatience | None = None
    ) -> T:
        began = time.monotonic()

        def attempt() -> T:
            try:
                return call()
            except NoReplyError as error:
                raise self._no_reply(error, time.monotonic() - began) from None

        def on_retry(error: TransientError, wait_s: float) -> None:
            if (
                patience is not None
                and error.wait_s is None
                and patience.ends(time.monotonic() - began)
            ):
                raise PageFailsError(error.reason) from None
            self._say(f"{what}: {error.reason}; trying again in {wait_s:.1f} s")

        return call_with_retries(
            attempt,
            what=what,
            budget_s=self._settings.retry_budget_s,
            stop=self._halt,
            on_retry=on_retry,
        )

    def _no_reply(self, error: NoReplyError, elapsed_s: float) -> Exception:
        if self._answered or error.applied:
            return TransientError(error.reason)
        # A host that never answered is more likely misspelt than down: it is not worth the whole budget.
        if elapsed_s + _FIRST_CONTACT_WAIT_S > min(_FIRST_CONTACT_S, self._settings.retry_budget_s):
            return Unreachable(
                f"Datatrics: {self._settings.base_url} cannot be reached: {error.reason}",
                hint="check [datatrics] base_url in migrate.toml and this machine's network",
            )
        return TransientError(error.reason, wait_s=_FIRST_CONTACT_WAIT_S)

    def _whole_answer(self, path: str, params: dict[str, str | int]) -> Reply:
        with self._free:
            self._pacer.wait()
            with self._lock:
                self.requests += 1
            reply = self._remote.send("GET", path, params=params)
        self._answered = True
        if reply.status in PASSING_STATUSES or reply.status >= 500:
            raise self._passing(reply)
        if not 200 <= reply.status < 300:
            raise _refusal(reply, self._settings.project_id)
        return reply

    def _passing(self, reply: Reply) -> TransientError:
        wait_s = retry_after_s(reply)
        if wait_s is not None and wait_s <= self._settings.retry_budget_s:
            self._pacer.hold(wait_s)
        return TransientError(f"HTTP {reply.status} ({error_text(reply.body)})", wait_s=wait_s)


def _checked_record(reply: Reply) -> bytes:
    # A single record is not unwrapped, but what is no JSON object at all is a passing fault as in a list.
    if not reply.body.strip().startswith(b"{"):
        raise TransientError("no JSON object")
    return reply.body


def _refusal(reply: Reply, project_id: str) -> Refused:
    status, words = reply.status, error_text(reply.body)
    said = f"HTTP {status} ({words})"
    if status in (401, 403):
        return Refused(
            f"Datatrics does not accept the key for project {project_id}: {said}",
            status=status,
            hint="check DATATRICS_API_KEY, and [datatrics] project_id in migrate.toml: the key must be the project's",
        )
    if status in (404, 410):
        return Refused(
            f"Datatrics knows no such address for project {project_id}: {said}",
            status=status,
            hint="check project_id and base_url under [datatrics] in migrate.toml; "
            "if both are right, the v2 API may have been switched off for this project",
        )
    if 300 <= status < 400:
        return Refused(
            f"Datatrics answers with a redirect, which is not followed: HTTP {status}",
            status=status,
            hint="check [datatrics] base_url in migrate.toml",
        )
    return Refused(
        f"Datatrics refuses the request: {said}",
        status=status,
        hint="check [datatrics] in migrate.toml",
    )
