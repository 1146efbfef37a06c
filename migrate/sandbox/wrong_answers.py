"""The wrong answers a fault puts in the place of the right one."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

from migrate.sandbox.exchange import Reply, json_reply
from migrate.sandbox.faults import STATUSES, Fault

HTML = b"<!DOCTYPE html><html><head><title>Service unavailable</title></head><body><h1>Sorry</h1></body></html>"
HTML_TYPE = "text/html; charset=utf-8"
BODIES: dict[str, tuple[bytes, str]] = {"html": (HTML, HTML_TYPE), "empty": (b"", "text/plain")}
PLAIN = {"html200": Reply(200, HTML, HTML_TYPE), "empty200": Reply(200), "204": Reply(204)}


def early_answer(fault: Fault, wall_s: float) -> Reply | None:
    """The answer that needs no right one: None where the fault is of another sort."""
    if fault.kind in STATUSES:
        return _status(fault)
    if fault.kind == "429":
        return replace(_message(429), headers=_retry_after(fault.value, wall_s))
    if fault.kind == "error200":
        return replace(_message(500), status=200)
    if fault.kind == "redirect":
        return Reply(302, headers=(("Location", fault.value or "http://127.0.0.1:9/elsewhere"),))
    return PLAIN.get(fault.kind)


def _status(fault: Fault) -> Reply:
    body = BODIES.get(fault.params.get("body", "json"))
    return _message(int(fault.kind)) if body is None else Reply(int(fault.kind), *body)


def _message(status: int) -> Reply:
    """An error both services' clients can read: it has the fields of either."""
    text = "Injected fault"
    return json_reply({"status": status, "message": text, "title": text, "detail": text}, status)


def _retry_after(value: str, wall_s: float) -> tuple[tuple[str, str], ...]:
    if value == "none":
        return ()
    if value == "date":
        return (("Retry-After", formatdate(wall_s + 1, usegmt=True)),)
    return (("Retry-After", "soon" if value == "garbage" else value or "1"),)


def _truncate(reply: Reply) -> Reply:
    return replace(reply, body=reply.body[: len(reply.body) * 2 // 3])


def _compress(reply: Reply) -> Reply:
    return replace(
        reply,
        body=gzip.compress(reply.body, 1),
        headers=(*reply.headers, ("Content-Encoding", "gzip")),
    )


SPOILERS: dict[str, Callable[[Reply], Reply]] = {"truncated-json": _truncate, "gzip": _compress}
"""What is done to the right answer before it is sent."""
