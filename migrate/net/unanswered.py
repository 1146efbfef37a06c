"""An address at which nothing has ever answered: more likely wrong, or not started yet, than down."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from migrate.config_values import LOOPBACK
from migrate.errors import Unreachable

TRY_FOR_S = 10.0
"""How long such an address is worth, whatever the retry budget is."""
_PORTS = {"http": 80, "https": 443}
_CONNECT_WITHIN_S = 2.0
START_HINT = (
    "start the sandbox in another terminal, in this folder: `migrate sandbox --feed demo`, "
    "or with the --feed that you need"
)


def refused_here(base_url: str) -> str | None:
    """The root of an address on this machine at which nothing listens; None where something does, or it is elsewhere.

    One connection, which is closed at once; no proxy is ever asked for this machine. A refusal of this machine by
    itself is final until a service is started.
    """
    parts = urlsplit(base_url)
    if parts.hostname not in LOOPBACK:
        return None
    address = (parts.hostname, parts.port or _PORTS[parts.scheme])
    try:
        socket.create_connection(address, _CONNECT_WITHIN_S).close()
    except ConnectionRefusedError:
        return f"{parts.scheme}://{parts.netloc}"
    except OSError:
        # What else may be wrong, the request itself names.
        return None
    return None


def unanswered(service: str, section: str, base_url: str, reason: str) -> Unreachable:
    """The error for an address without any answer; `section` of the project file has it."""
    root = refused_here(base_url)
    if root is not None:
        return Unreachable(f"{service}: nothing answers at {root}: {reason}", hint=START_HINT)
    return Unreachable(
        f"{service}: {base_url} cannot be reached: {reason}",
        hint=f"check [{section}] base_url in migrate.toml and this machine's network",
    )


def trying(service: str, base_url: str, reason: str, budget_s: float) -> str:
    """What is said once while such an address is tried."""
    return f"{service}: nothing answers at {base_url} yet ({reason}); trying for {min(budget_s, TRY_FOR_S):g} s"
