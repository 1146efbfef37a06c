"""Who may ask the sandbox: programs of this machine that were given its keys, and no web page.

Anybody on this machine can reach a loopback port, and so can every page in a browser here: by a form, or by a host
name of its own that it lets point to 127.0.0.1 (DNS rebinding). So keys alone open the services, a token opens the
control paths, and what a browser says of where a request comes from is looked at first.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from migrate.sandbox.exchange import Reply, json_reply

TOKEN_HEADER = "x-sandbox-token"  # noqa: S105  # the name of the header
_FROM_ELSEWHERE = frozenset({"cross-site", "same-site"})
_OF_A_BROWSER = ("origin", "referer")


def refuse_stranger(headers: Mapping[str, str]) -> Reply | None:
    """The answer to a request that comes by another name than this machine's, or from a page of elsewhere.

    None for any other. **Source**: Fetch Metadata (Sec-Fetch-Site), RFC 6454 (Origin), RFC 9110 §7.2 (Host).
    """
    if not is_loopback(headers.get("host", "")):
        return json_reply({"error": "this Host is not served here; ask 127.0.0.1"}, 421)
    for name in _OF_A_BROWSER:
        if name in headers and not is_loopback(_host_of(headers[name])):
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


def _host_of(origin: str) -> str:
    # "null" is the origin of a page in a sandboxed frame or out of a file: no place of this machine.
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def is_same(given: str | None, wanted: str) -> bool:
    """Whether a secret is the one wanted, in a time that tells nothing of where they differ."""
    return given is not None and hmac.compare_digest(given.encode(), wanted.encode())
