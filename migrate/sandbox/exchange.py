"""One HTTP exchange as plain values, and who may begin one: programs of this machine that were given the keys.

Anybody on this machine can reach a loopback port, and so can every page in a browser here: by a form, or by a host
name of its own that it lets point to 127.0.0.1 (DNS rebinding). So keys alone open the services, a token opens the
control paths, and what a browser says of where a request comes from is looked at first.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec

JSON_TYPE = "application/json"
TOKEN_HEADER = "x-sandbox-token"  # noqa: S105  # the name of the header
_FROM_ELSEWHERE = frozenset({"cross-site", "same-site"})
_OF_A_BROWSER = ("origin", "referer")
_HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `segments` are the percent-decoded path parts below the service's prefix.

    `lies` holds the faults that a handler acts out itself: kind to value.
    """

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    lies: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, complete; `kind` names the sort of request for the counters."""

    status: int
    body: bytes = b""
    media_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = "other"


class ReplyError(Exception):
    """Ends a handler with this answer."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def json_reply(body: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """An answer whose body is `body` as JSON."""
    return Reply(status, msgspec.json.encode(body), JSON_TYPE, headers)


def refuse_stranger(headers: Mapping[str, str]) -> Reply | None:
    """The answer to a request that comes by another name than this machine's, or from a page of elsewhere.

    None for any other. **Source**: Fetch Metadata (Sec-Fetch-Site), RFC 6454 (Origin), RFC 9110 §7.2 (Host).
    """
    host = headers.get("host", "")
    if not is_loopback(host):
        return json_reply({"error": "this Host is not served here; ask 127.0.0.1"}, 421)
    for name in _OF_A_BROWSER:
        # Another port of this machine may be a page of another account's.
        if name in headers and not is_same_place(_host_of(headers[name]), host):
            return json_reply({"error": "pages of other places are not answered"}, 403)
    if headers.get("sec-fetch-site", "none") in _FROM_ELSEWHERE:
        return json_reply({"error": "pages of other places are not answered"}, 403)
    return None


def is_loopback(host: str) -> bool:
    """Whether a Host header, with or without a port, names this machine by its own name or address."""
    try:
        parts = urlsplit(f"//{host}")
        name, _port = parts.hostname, parts.port
    except ValueError:
        return False
    if not name or parts.username is not None or parts.path or parts.query or parts.fragment:
        return False
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_same_place(origin: str, host: str) -> bool:
    """Whether a page's host and port are this machine and the port that was asked, which is `host`'s."""
    return is_loopback(origin) and _port_of(origin) == _port_of(host)


def _port_of(host: str) -> int:
    return urlsplit(f"//{host}").port or _HTTP_PORT


def _host_of(origin: str) -> str:
    # "null" is the origin of a page in a sandboxed frame or out of a file: no place of this machine.
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def is_same(given: str | None, wanted: str) -> bool:
    """Whether a secret is the one wanted, in a time that tells nothing of where they differ."""
    return given is not None and hmac.compare_digest(given.encode(), wanted.encode())
