"""The client of Datatrics v2: pages and single records, paced, retried, and never anything but GET."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import quote

from pydantic import SecretStr

from migrate import __version__
from migrate.config import Datatrics
from migrate.errors import Refused
from migrate.names import PASSING_STATUSES
from migrate.net.http import NoReplyError, Remote, Reply, retry_after_s
from migrate.net.retry import Attempts, TransientError
from migrate.net.unanswered import TRY_FOR_S, trying, unanswered
from migrate.source.page import Page, error_text, read_page
from migrate.source.resources import Resource

_LOOK_AT_OUTER_S = 0.1
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
        # In short steps, since an event cannot wait for two: nobody notices a tenth of a second at a stop.
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_set():
            step_s = _LOOK_AT_OUTER_S
            if end is not None:
                step_s = min(step_s, end - time.monotonic())
                if step_s <= 0:
                    break
            super().wait(step_s)
        return self.is_set()


@dataclass(frozen=True)
class PageRequest:
    """A page of a list, of `size` records: by default in ascending order of creation.

    Drift disturbs that order least. `source`: only the records of that source.
    """

    resource: Resource
    number: int
    size: int
    sort: str = "created"
    order: Literal[1, -1] = 1
    source: str | None = None

    @property
    def params(self) -> dict[str, str | int]:
        """The query."""
        params: dict[str, str | int] = dict(self.resource.query)
        if self.source is not None:
            params["source"] = self.source
        params["limit"] = self.size
        params["page"] = self.number
        params["sort"] = self.sort
        params["order"] = self.order
        return params


class BadAnswerError(TransientError):
    """An answer of no use, which may pass; `body` is what came."""

    def __init__(self, reason: str, body: bytes, *, wait_s: float | None = None) -> None:
        super().__init__(reason, wait_s=wait_s)
        self.body = body


class ListService(Protocol):
    """What reading a list needs of a service. Thread-safe."""

    requests: int
    retry_budget_s: float

    def ask(self, wanted: PageRequest) -> bytes:
        """The body of one answer to one request.

        **Raises**: TransientError where asking again may help; Refused; Unreachable; Interrupted.
        """

    def ask_one(self, resource: Resource, id_: str, source: str) -> bytes | None:
        """The same for one record by its identity; None where the service has none."""

    def attempts(self, what: str) -> Attempts:
        """The tries of one thing."""

    def halt(self) -> None:
        """Ends all waiting for good."""

    def tell_notes(self) -> None:
        """Passes on what other threads had to say."""


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
        self._trying = False
        self._began: float | None = None
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
        """Page `number` of the list in ascending order of creation, whole.

        **Raises**: what `ask` raises; GaveUp.
        """
        attempts = self.attempts(f"Datatrics: {resource.name}, page {number}")
        while True:
            try:
                return read_page(number, self.ask(PageRequest(resource, number, size)))
            except TransientError as error:
                attempts.wait_after(error)

    def one(self, resource: Resource, id_: str, source: str) -> bytes | None:
        """The JSON of one record as the server sends it, None where it has none.

        **Raises**: what `ask` raises; GaveUp.
        """
        attempts = self.attempts(f"Datatrics: one record of {resource.name}")
        while True:
            try:
                return self.ask_one(resource, id_, source)
            except TransientError as error:
                attempts.wait_after(error)

    def ask(self, wanted: PageRequest) -> bytes:
        """See `ListService`."""
        return self._answer(self._path(wanted.resource), wanted.params).body

    def ask_one(self, resource: Resource, id_: str, source: str) -> bytes | None:
        """See `ListService`."""
        params: dict[str, str | int] = {**dict(resource.query), "source": source}
        try:
            reply = self._answer(f"{self._path(resource)}/{quote(id_, safe='')}", params)
        except Refused as error:
            if error.status == 404:
                return None
            raise
        # A single record is not unwrapped; what is no JSON object at all passes, as in a list.
        if not reply.body.strip().startswith(b"{"):
            raise BadAnswerError("no JSON object", reply.body)
        return reply.body

    def attempts(self, what: str) -> Attempts:
        """See `ListService`."""
        return Attempts(
            what, budget_s=self._settings.retry_budget_s, stop=self._halt, note=self._say
        )

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

    def _answer(self, path: str, params: dict[str, str | int]) -> Reply:
        """One whole answer to one request."""
        with self._free:
            # Inside the bound on requests in flight: a turn that is taken is used at once.
            self._pacer.wait()
            with self._lock:
                self.requests += 1
                self._began = self._began or time.monotonic()
            try:
                reply = self._remote.send("GET", path, params=params)
            except NoReplyError as error:
                raise self._no_reply(error) from None
        self._answered = True
        if reply.status in PASSING_STATUSES or reply.status >= 500:
            raise self._passing(reply)
        if not 200 <= reply.status < 300:
            raise _refusal(reply, self._settings.project_id)
        return reply

    def _no_reply(self, error: NoReplyError) -> Exception:
        if self._answered or error.applied:
            return TransientError(error.reason)
        # A host that never answered is more likely misspelt than down: it is not worth the whole
        # budget.
        elapsed_s = time.monotonic() - (self._began or 0.0)
        base_url, budget_s = self._settings.base_url, self._settings.retry_budget_s
        if elapsed_s + _FIRST_CONTACT_WAIT_S > min(TRY_FOR_S, budget_s):
            return unanswered("Datatrics", "datatrics", base_url, error.reason)
        with self._lock:
            is_first = not self._trying
            self._trying = True
        if is_first:
            self._say(trying("Datatrics", base_url, error.reason, budget_s))
        return TransientError(error.reason, wait_s=_FIRST_CONTACT_WAIT_S, is_said=True)

    def _passing(self, reply: Reply) -> TransientError:
        wait_s = retry_after_s(reply)
        # All callers rest, also those who wait already: the server asked for rest, and not for a later try of one page.
        if wait_s is not None and wait_s <= self._settings.retry_budget_s:
            self._pacer.hold(wait_s)
        reason = f"HTTP {reply.status} ({error_text(reply.body)})"
        # "0", or less, leaves the wait to us: a service in trouble is not asked again without any.
        return BadAnswerError(reason, reply.body, wait_s=wait_s or None)


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


class Pacer:
    """Lets one caller through every `1 / per_second` seconds.

    **Units**: seconds of `clock`, which must be monotonic. `sleep` waits at most that long and may return early.
    """

    def __init__(
        self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self._gap_s = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = self._held_until = clock()

    def wait(self) -> None:
        """Returns when it is the caller's turn; a hold that begins meanwhile takes the turn away, for a later one."""
        turn = self._take_turn()
        while (wait_s := turn - self._clock()) > 0:
            self._sleep(wait_s)
            if turn >= self._held_until:
                return
            turn = self._take_turn()

    def hold(self, seconds: float) -> None:
        """Lets no caller through for `seconds`, as a server asked, also of those who wait already."""
        with self._lock:
            self._held_until = max(self._held_until, self._clock() + seconds)
            self._free_at = max(self._free_at, self._held_until)

    def _take_turn(self) -> float:
        with self._lock:
            turn = max(self._clock(), self._free_at)
            self._free_at = turn + self._gap_s
            return turn
