"""Sending an answer, rightly or wrongly: resets, cuts, stalls and drips need the connection itself."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from email.utils import formatdate
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from migrate.sandbox.exchange import Reply

# Small enough that an ordinary answer takes many pauses.
DRIP_BYTES = 64
# SO_LINGER on, for 0 seconds: closing then sends a reset instead of an orderly end.
_LINGER_NONE = struct.pack("ii", 1, 0)
_open: dict[tuple[object, object], asyncio.Transport] = {}
"""Connections by both ends: two sandboxes in one process may see the same client port."""


# ASGI shows an application no connection, and a reset needs it.
class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with the connection of each client within reach."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Notes the connection."""
        super().connection_made(transport)
        self._ends = (
            transport.get_extra_info("peername")[:2],
            transport.get_extra_info("sockname")[:2],
        )
        _open[self._ends] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        _open.pop(self._ends, None)
        super().connection_lost(exc)


async def send_reply(reply: Reply, send: Send) -> None:
    """Sends the answer as it is."""
    await send(_start(reply))
    await send({"type": "http.response.body", "body": reply.body})


async def send_dripping(reply: Reply, send: Send, pause_s: float) -> None:
    """Sends a few bytes at a time."""
    await send(_start(reply))
    for at in range(0, len(reply.body), DRIP_BYTES):
        await asyncio.sleep(pause_s)
        await send(
            {
                "type": "http.response.body",
                "body": reply.body[at : at + DRIP_BYTES],
                "more_body": True,
            }
        )
    await send({"type": "http.response.body"})


async def send_cut(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    """Sends half of the announced bytes and closes."""
    await send(_start(reply))
    await send(
        {
            "type": "http.response.body",
            "body": reply.body[: len(reply.body) // 2],
            "more_body": True,
        }
    )
    transport = _connection(scope)
    if transport is not None:
        transport.close()
    # Returning now would let uvicorn end the answer in its own way.
    await wait_until_gone(receive)


async def reset(scope: Scope, receive: Receive) -> None:
    """Ends the connection with a TCP reset, without a byte of answer."""
    transport = _connection(scope)
    if transport is not None:
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        transport.abort()
    # As above: without an answer begun uvicorn would send a 500.
    await wait_until_gone(receive)


async def wait_until_gone(receive: Receive) -> None:
    """Says nothing until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _connection(scope: Scope) -> asyncio.Transport | None:
    return _open.get((tuple(scope["client"]), tuple(scope["server"])))


def _start(reply: Reply) -> dict[str, Any]:
    # RFC 9110 §8.6 forbids the length with 204.
    length = () if reply.status == 204 else (("Content-Length", str(len(reply.body))),)
    media_type = (("Content-Type", reply.media_type),) if reply.body else ()
    headers = (("Date", formatdate(time.time(), usegmt=True)), *length, *media_type, *reply.headers)
    return {
        "type": "http.response.start",
        "status": reply.status,
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ],
    }
