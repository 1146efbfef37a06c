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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from migrate.errors import Unreachable
from migrate.net.bounds import (
    MAX_BODY_BYTES,
    Deadline,
    DeadlineBackend,
    UnpackingError,
    unpack_body,
)
from migrate.net.environment import (
    Proxy,
    check_tls_variables,
    proxy_for,
    trusted_certificates,
)

_log = logging.getLogger(__name__)
_CHUNK_SILENCE_S = 30.0
_LONGEST_NUMBER = 20
LONGEST_WAIT_S = 86_400.0
"""The longest wait that a service is believed to ask for."""
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL")
_PASSING_PROXY = ("502", "503", "504")
_TRUST_HINT = (
    "check base_url, and whether a proxy on the way signs TLS itself: then put its certificate into a file and name it "
    "in SSL_CERT_FILE (docs/apis.md)"
)
_TRUST_HINTS = {
    9: "the certificate is not valid yet: check this machine's clock",
    10: "the certificate has expired: check this machine's clock, then tell the service",
    62: "the certificate is another host's: check base_url in migrate.toml, and any proxy in between",
    64: "the certificate is another host's: write a host name in base_url, no address",
}
"""**Source**: OpenSSL, X509_V_ERR_*."""
_REASONS: Mapping[type[httpx.HTTPError], str] = {
    httpx.ConnectTimeout: "no connection in time",
    httpx.ReadTimeout: "no answer in time",
    httpx.WriteTimeout: "the request could not be sent in time",
    httpx.RemoteProtocolError: "the connection was closed in the middle of the answer",
    httpx.ReadError: "the connection was reset",
    httpx.WriteError: "the connection was reset while sending",
    httpx.DecodingError: "the answer's compression is broken",
}
Params = Mapping[str, str | int]
E = TypeVar("E", bound=BaseException)
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
        self._proxy = proxy_for(base_url)
        if self._proxy is None:
            proxy = None
        else:
            proxy = httpx.Proxy(self._proxy.url, auth=self._proxy.auth)
        inner = httpx.HTTPTransport(
            limits=limits, proxy=proxy, verify=_trust_for(base_url), trust_env=False
        )
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
        except httpx.InvalidURL as error:
            # No service has such an identity; a file that somebody has changed may.
            raise Unreachable(f"{self.name}: {path[:60]} cannot be asked for: {error}") from None
        except httpx.HTTPError as error:
            _log.debug("%s %s%s: %s", method, self.name, path, type(error).__name__)
            is_over = time.monotonic() - started >= self._deadline_s
            raise self._translated(error, is_over=is_over) from None

    def _translated(self, error: httpx.HTTPError, *, is_over: bool) -> Exception:
        """What a failure means: another try may help, or it never will."""
        host = urlsplit(self.base_url).hostname
        causes = _causes(error)
        unresolved = _first_of(causes, socket.gaierror)
        if unresolved is not None:
            return self._unresolved(host, unresolved)
        if isinstance(error, httpx.ProxyError) and self._proxy is not None:
            return self._refused_by_proxy(self._proxy, error)
        certificate = _first_of(causes, ssl.SSLCertVerificationError)
        # Whatever else goes wrong with TLS may be the doing of one connection, as when the other side goes away.
        if certificate is not None:
            return Unreachable(
                f"{self.name}: no trustworthy TLS connection to {host}: {certificate.verify_message}",
                hint=_TRUST_HINTS.get(certificate.verify_code, _TRUST_HINT),
            )
        if isinstance(error, httpx.UnsupportedProtocol):
            return Unreachable(f"{self.name}: {self.base_url} is no address to send to")
        was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if is_over:
            reason = f"the answer was not whole after {self._deadline_s:g} s"
        else:
            reason = _reason(error, causes)
        if not was_sent and self._proxy is not None:
            reason += f", through the proxy {self._proxy.url} ({self._proxy.variable})"
        # Once it was sent, nobody knows whether the service acted on it: only a write need care.
        return NoReplyError(reason, applied=was_sent)

    def _unresolved(self, host: str | None, cause: socket.gaierror) -> Exception:
        if self._proxy is None:
            name = f"the host name {host}"
            hint = "check base_url in migrate.toml and this machine's network"
        else:
            # Behind a proxy it is the proxy that is looked up here, and the service by the proxy.
            variable = self._proxy.variable
            name = f"the host name of the proxy {self._proxy.url} ({variable})"
            hint = f"check the environment variable {variable}, or name {host} in NO_PROXY"
        # The resolver itself says that it may pass, as when a network comes up.
        if cause.errno == socket.EAI_AGAIN:
            return NoReplyError(f"{name} cannot be resolved at the moment", applied=False)
        return Unreachable(f"{self.name}: {name} cannot be resolved", hint=hint)

    def _refused_by_proxy(self, proxy: Proxy, error: httpx.ProxyError) -> Exception:
        answer = clean_reason(str(error))
        if any(status in answer for status in _PASSING_PROXY):
            return NoReplyError(f"the proxy {proxy.url} answers {answer}", applied=False)
        return Unreachable(
            f"{self.name}: the proxy {proxy.url} ({proxy.variable}) refuses the connection: {answer}",
            hint=f"check user and password in {proxy.variable}, and that the proxy lets this host through",
        )


def _trust_for(base_url: str) -> ssl.SSLContext | bool:
    # A wrong variable is named at once, also where plain HTTP to this machine needs no certificate.
    check_tls_variables()
    if urlsplit(base_url).scheme == "https":
        return trusted_certificates()
    return False


def clean_reason(text: str) -> str:
    """The first line of what a proxy says, short and without control characters."""
    first_line = (text.splitlines() or [""])[0]
    shown = "".join(char for char in first_line if char.isprintable())
    return shown[:120] or "nothing"


def _with_gzip(headers: Mapping[str, str]) -> dict[str, str]:
    # A webhook's own headers come from the project file; they must not ask for what is not unpacked here.
    kept = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
    return {**kept, "Accept-Encoding": "gzip"}


def _read(response: httpx.Response, is_over: Callable[[], bool]) -> bytes:
    announced = response.headers.get("content-length", "")
    # So many digits are no length; Python would take its time over thousands of them.
    is_length = announced.isdecimal() and len(announced) < _LONGEST_NUMBER
    if is_length and int(announced) > MAX_BODY_BYTES:
        raise UnpackingError(f"the answer is larger than {MAX_BODY_BYTES:,} bytes")
    # The library's own unpacking has no bound: 100 kB may become gigabytes before it gives anything back.
    encoding = response.headers.get("content-encoding", "")
    return unpack_body(response.iter_raw(), encoding, is_over)


def _causes(error: BaseException) -> list[BaseException]:
    """The error and all that led to it; a chain that comes back to itself ends there."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in causes:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    return causes


def _first_of(causes: Sequence[BaseException], kind: type[E]) -> E | None:
    return next((cause for cause in causes if isinstance(cause, kind)), None)


def _reason(error: httpx.HTTPError, causes: Sequence[BaseException]) -> str:
    """The failure in the words of the field: the libraries' own name their classes."""
    tls = _first_of(causes, ssl.SSLError)
    if tls is not None:
        if tls.reason in _NO_TLS:
            return "the other side speaks no TLS"
        return "the TLS connection broke off"
    if isinstance(error, httpx.ConnectError):
        # A connection that was made and then broken is not a refused one: it ends in the handshake.
        if _first_of(causes, ConnectionResetError) or _first_of(causes, BrokenPipeError):
            return "the connection broke off in the TLS handshake"
        if _first_of(causes, ConnectionRefusedError):
            return "connection refused"
        said = (cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror)
        return f"no connection: {next(said, 'it broke off')}"
    # h11 keeps at most 100 KiB of a head; what it says then is "Receive buffer too long".
    if isinstance(error, httpx.RemoteProtocolError) and "too long" in str(error):
        return "the answer's headers are longer than 100 KiB"
    for kind, words in _REASONS.items():
        if isinstance(error, kind):
            return words
    return type(error).__name__


def retry_after_s(reply: Reply) -> float | None:
    """Seconds the server asks to wait, or None where it does not say so in a form of RFC 9110 §10.2.3 or as a fraction.

    A date, in any of the three forms of RFC 9110 §5.6.7, is judged by the answer's own `Date`, since this machine's
    clock may be wrong. Never negative, and at most a day: what asks for more has miscounted, and nobody waits for it.
    """
    text = reply.headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _until(text, reply.headers.get("date", ""))
    if math.isfinite(seconds):
        return min(max(0.0, seconds), LONGEST_WAIT_S)
    return None


def _until(moment: str, now: str) -> float:
    then, current = parse_date(moment), parse_date(now)
    if then is None or current is None:
        return math.nan
    return (then - current).total_seconds()


def parse_date(text: str) -> datetime | None:
    """A moment as HTTP writes it, in UTC where it names no zone (asctime); None for what is no date."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment
