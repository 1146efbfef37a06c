"""The one door to the network: one request, one whole reply or one named reason why there is none.

Everything about httpx stays in this module. The key is added inside the transport, on a copy of the request, so that no
log line, exception, `repr` or traceback of the request ever holds it. Redirects are answers, not instructions: they are
never followed, and so the key never travels to another host.
"""

from __future__ import annotations

import logging
import math
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx

from migrate.errors import Unreachable
from migrate.net.deadline import Deadline, DeadlineBackend
from migrate.net.unpacking import MAX_BODY_BYTES, UnpackingError, unpack_body

_log = logging.getLogger(__name__)
_CHUNK_SILENCE_S = 30.0
_LONGEST_NUMBER = 20
Params = Mapping[str, str | int]
Request = httpx.Request
"""A request as `authorize` sees it, just before it leaves."""


@dataclass(frozen=True)
class Reply:
    """A whole answer. `headers` have lower-case names; `body` is decoded (gzip); times are in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    elapsed_s: float


class NoReplyError(Exception):
    """No whole answer came. `applied` tells whether the server may have acted on the request."""

    def __init__(self, reason: str, *, applied: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.applied = applied


class _KeyedTransport(httpx.BaseTransport):
    def __init__(
        self, inner: httpx.BaseTransport, authorize: Callable[[httpx.Request], None]
    ) -> None:
        self._inner = inner
        self._authorize = authorize

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        keyed = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=request.stream,
            extensions=dict(request.extensions),
        )
        self._authorize(keyed)
        return self._inner.handle_request(keyed)

    def close(self) -> None:
        self._inner.close()


class Remote:
    """A service at `base_url`. Thread-safe; one per service and process.

    `authorize` puts the key into the request just before it leaves; it may read `request.extensions["account_key"]`,
    the value given to `send`.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        authorize: Callable[[httpx.Request], None],
        headers: Mapping[str, str],
        connections: int,
        deadline_s: float,
    ) -> None:
        self.name = name
        self.base_url = base_url
        self._deadline_s = deadline_s
        self._deadline = Deadline()
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        inner = httpx.HTTPTransport(limits=limits, proxy=_proxy_of(base_url), trust_env=True)
        # httpx passes no backend on to its pool, which takes one.
        pool = inner._pool
        pool._network_backend = DeadlineBackend(pool._network_backend, self._deadline)
        self._client = httpx.Client(
            transport=_KeyedTransport(inner, authorize),
            headers=dict(headers),
            follow_redirects=False,
            timeout=httpx.Timeout(min(_CHUNK_SILENCE_S, deadline_s), pool=None),
        )

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: bytes | None = None,
        extra_headers: Mapping[str, str] | None = None,
        account_key: int = 0,
    ) -> Reply:
        """The reply to one request; `path` is below the base URL and already percent-encoded.

        **Guarantees**: one attempt; a body is returned only when it is whole; the time from the start to the last byte
        is at most the deadline.

        **Raises**: NoReplyError when trying again may help; Unreachable when it will not (unknown host, a certificate
        that is not to be trusted).
        """
        started = time.monotonic()
        try:
            with (
                self._deadline.within(self._deadline_s),
                self._client.stream(
                    method,
                    self.base_url + path,
                    params=params,
                    content=body,
                    headers=_with_gzip(extra_headers or {}),
                    extensions={"account_key": account_key},
                ) as response,
            ):
                content = _read(response, lambda: self._deadline.left_s(None) == 0)
                elapsed_s = time.monotonic() - started
                _log.debug(
                    "%s %s%s: %s in %.3f s",
                    method,
                    self.name,
                    path,
                    response.status_code,
                    elapsed_s,
                )
                headers = {name.lower(): value for name, value in response.headers.items()}
                return Reply(response.status_code, headers, content, elapsed_s)
        except UnpackingError as error:
            _log.debug("%s %s%s: %s", method, self.name, path, error)
            raise NoReplyError(str(error), applied=True) from None
        except httpx.HTTPError as error:
            _log.debug("%s %s%s: %s", method, self.name, path, type(error).__name__)
            is_over = time.monotonic() - started >= self._deadline_s
            raise self._translated(error, is_over=is_over) from None

    def _translated(self, error: httpx.HTTPError, *, is_over: bool) -> Exception:
        host = urlsplit(self.base_url).hostname
        causes = list(_causes(error))
        unresolved = next((cause for cause in causes if isinstance(cause, socket.gaierror)), None)
        if unresolved is not None and unresolved.errno == socket.EAI_AGAIN:
            return NoReplyError(
                f"the host name {host} cannot be resolved at the moment", applied=False
            )
        if unresolved is not None:
            return Unreachable(
                f"{self.name}: the host name {host} cannot be resolved",
                hint="check base_url in migrate.toml and this machine's network",
            )
        # Whatever else goes wrong with TLS may be the doing of one connection, as when the other side goes away.
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return Unreachable(
                f"{self.name}: no trustworthy TLS connection to {host}",
                hint="check base_url, the clock of this machine and any proxy in between",
            )
        if isinstance(error, httpx.UnsupportedProtocol):
            return Unreachable(f"{self.name}: {self.base_url} is no address to send to")
        before_sending = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        reason = (
            f"the answer was not whole after {self._deadline_s:g} s"
            if is_over
            else _reason(error, causes)
        )
        return NoReplyError(reason, applied=not before_sending)


def _with_gzip(headers: Mapping[str, str]) -> dict[str, str]:
    # A webhook's own headers come from the project file; they must not ask for what is not unpacked here.
    kept = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
    return {**kept, "Accept-Encoding": "gzip"}


def _read(response: httpx.Response, is_over: Callable[[], bool]) -> bytes:
    announced = response.headers.get("content-length", "")
    if (
        announced.isdecimal()
        and len(announced) < _LONGEST_NUMBER
        and int(announced) > MAX_BODY_BYTES
    ):
        raise UnpackingError(f"the answer is larger than {MAX_BODY_BYTES:,} bytes")
    # The library's own unpacking has no bound: 100 kB may become gigabytes before it gives anything back.
    encoding = response.headers.get("content-encoding", "")
    return unpack_body(response.iter_raw(), encoding, is_over)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = cause.__cause__ or cause.__context__
    return found


def _reason(error: httpx.HTTPError, causes: Sequence[BaseException]) -> str:
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "the TLS connection broke off"
    words = {
        httpx.ConnectTimeout: "no connection in time",
        httpx.ConnectError: "connection refused",
        httpx.ReadTimeout: "no answer in time",
        httpx.WriteTimeout: "the request could not be sent in time",
        httpx.RemoteProtocolError: "the connection was closed in the middle of the answer",
        httpx.ReadError: "the connection was reset",
        httpx.WriteError: "the connection was reset while sending",
        httpx.DecodingError: "the answer's compression is broken",
    }
    # h11 keeps at most 100 KiB of a head; what it says then is "Receive buffer too long".
    if isinstance(error, httpx.RemoteProtocolError) and "too long" in str(error):
        return "the answer's headers are longer than 100 KiB"
    return next(
        (text for kind, text in words.items() if isinstance(error, kind)), type(error).__name__
    )


def _proxy_of(base_url: str) -> str | None:
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    # A transport of one's own switches httpx's reading of HTTPS_PROXY and NO_PROXY off, so it is done here.
    if host in ("localhost", "127.0.0.1", "::1") or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def retry_after_s(reply: Reply) -> float | None:
    """Seconds the server asks to wait, or None where it does not say so in a form of RFC 9110 §10.2.3 or as a fraction.

    A date is judged by the answer's own `Date`, since this machine's clock may be wrong. Never negative.
    """
    text = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, reply.headers.get("date", ""))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(moment: str, now: str) -> float:
    try:
        return (parsedate_to_datetime(moment) - parsedate_to_datetime(now)).total_seconds()
    except (TypeError, ValueError):
        return math.nan
