"""The one ASGI application: reads a request, lets the faults have their say, asks a service, sends the answer."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from starlette.datastructures import Headers, QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from migrate.sandbox import wire
from migrate.sandbox.control import Control, Entry, mask_query
from migrate.sandbox.exchange import TOKEN_HEADER, Call, Reply, is_same, json_reply, refuse_stranger
from migrate.sandbox.faults import LIES, SPOILERS, Fault, early_answer

LOG = logging.getLogger(__name__)
PREFIXES = (("datatrics", "/2.0"), ("octolis", "/v1/data"), ("sandbox", "/_sandbox"))
SILENT = ("stall", "reset")
_NOT_YET = "the sandbox is still being fed; it answers once it has said that it is ready"
_SOON = (("retry-after", "1"),)


@dataclass(frozen=True, slots=True)
class Clocks:
    """Time, in seconds: the wall's, and one that only runs forward."""

    wall_s: Callable[[], float]
    monotonic_s: Callable[[], float]


@dataclass(slots=True)
class _Visit:
    """One request on its way: what came in, which faults hit it, what is known of the answer."""

    scope: Scope
    receive: Receive
    send: Send
    side: str
    path: str
    body: bytes = b""
    faults: list[Fault] = field(default_factory=list)
    reply: Reply | None = None


class SandboxApp:
    """Serves both services and the sandbox's own handles."""

    def __init__(
        self,
        control: Control,
        clocks: Clocks,
        latency_s: float = 0.0,
        control_token: str | None = None,
        *,
        is_open: bool = True,
    ) -> None:
        self.is_open = is_open
        """Whether it answers whoever has a key; before that, while it is filled, only whoever has the token."""
        self._control = control
        self._clocks = clocks
        self._latency_s = latency_s
        self._control_token = control_token
        self._services: dict[str, Callable[[Call], Reply]] = {
            "datatrics": control.datatrics.handle,
            "octolis": control.answer_octolis,
            "sandbox": control.handle,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        side, path = split_path(scope["raw_path"].decode("ascii", "replace"))
        refusal = self._refuse(Headers(scope=scope), side)
        if refusal is not None:
            # before a byte of the body is read: a stranger gets nothing, no memory either
            await wire.send_reply(refusal, send)
            return
        visit = _Visit(scope, receive, send, side, path)
        started_s = self._clocks.monotonic_s()
        try:
            visit.body = await Request(scope, receive).body()
            await self._serve(visit)
        except ClientDisconnect:
            return
        except Exception:
            LOG.exception("the sandbox failed to answer")
            raise
        finally:
            self._note(visit, started_s)

    def _refuse(self, headers: Headers, side: str) -> Reply | None:
        """The answer to whoever may not ask at all. None: the service itself looks at the key."""
        stranger = refuse_stranger(headers)
        if stranger is not None:
            return stranger
        if self._control_token is None or is_same(headers.get(TOKEN_HEADER), self._control_token):
            return None
        if side != "sandbox":
            # An extract of what is filled in at this moment would be proven, and lack records.
            if self.is_open:
                return None
            return json_reply({"error": _NOT_YET}, 503, _SOON)
        hint = f"give the token that the sandbox printed as it began, in the header {TOKEN_HEADER}"
        return json_reply({"error": "this path needs the control token", "hint": hint}, 401)

    async def _serve(self, visit: _Visit) -> None:
        # Faults are for what is rehearsed, not for what fills the source before.
        if visit.side != "sandbox" and self.is_open:
            visit.faults = self._control.faults.fire(visit.side, visit.scope["method"], visit.path)
            pause_s = self._latency_s + sum(
                _seconds(f, 1.0) for f in visit.faults if f.kind == "slow"
            )
            if pause_s:
                await asyncio.sleep(pause_s)
        if await self._fall_silent(visit):
            return
        visit.reply = self._answer(visit)
        await self._deliver(visit, visit.reply)

    async def _fall_silent(self, visit: _Visit) -> bool:
        """Whether a fault ended the request without an answer, carried out first where the fault says so."""
        fault = next((f for f in visit.faults if f.kind in SILENT), None)
        if fault is None:
            return False
        if fault.applied:
            self._ask(visit)
        if fault.kind == "reset":
            await wire.reset(visit.scope, visit.receive)
        else:
            await wire.wait_until_gone(visit.receive)
        return True

    def _answer(self, visit: _Visit) -> Reply:
        """The right answer, or the one a fault puts in its place."""
        for fault in visit.faults:
            wrong = early_answer(fault, self._clocks.wall_s())
            if wrong is not None:
                kind = self._ask(visit).kind if fault.applied else "fault"
                return self._sign(visit, replace(wrong, kind=kind))
        reply = self._ask(visit)
        for fault in visit.faults:
            if fault.kind in SPOILERS:
                reply = SPOILERS[fault.kind](reply)
        return self._sign(visit, reply)

    def _ask(self, visit: _Visit) -> Reply:
        service = self._services.get(visit.side)
        if service is None:
            return json_reply({"error": "no such endpoint"}, 404)
        return service(
            Call(
                method=visit.scope["method"],
                # Taken apart before it is decoded: an id may hold an encoded slash.
                segments=tuple(unquote(part) for part in visit.path.split("/")[1:]),
                query=QueryParams(visit.scope["query_string"]),
                headers=Headers(scope=visit.scope),
                body=visit.body,
                lies={fault.kind: fault.value for fault in visit.faults if fault.kind in LIES},
            )
        )

    def _sign(self, visit: _Visit, reply: Reply) -> Reply:
        """The answer with the two headers that Octolis' support asks for."""
        if visit.side != "octolis":
            return reply
        trace = hashlib.blake2b(
            str(self._control.journal.total).encode(), digest_size=24
        ).hexdigest()
        # Support asks for both; made of the request's number, so that a run can be repeated.
        added = (
            ("apigw-requestid", trace[:15] + "="),
            ("traceparent", f"00-{trace[:32]}-{trace[32:48]}-01"),
        )
        return replace(reply, headers=(*reply.headers, *added))

    async def _deliver(self, visit: _Visit, reply: Reply) -> None:
        kinds = {fault.kind: fault for fault in visit.faults}
        if "reset-after" in kinds:
            visit.reply = None
            await wire.reset(visit.scope, visit.receive)
        elif "cut" in kinds:
            await wire.send_cut(reply, visit.scope, visit.receive, visit.send)
        elif "drip" in kinds:
            await wire.send_dripping(reply, visit.send, _seconds(kinds["drip"], 0.1))
        else:
            await wire.send_reply(reply, visit.send)

    def _note(self, visit: _Visit, started_s: float) -> None:
        if visit.side == "sandbox" or not self.is_open:
            return
        reply = visit.reply
        journal = self._control.journal
        journal.add(
            Entry(
                n=journal.total + 1,
                at=round(self._clocks.wall_s(), 3),
                side=visit.side,
                kind=reply.kind if reply else "cut",
                method=visit.scope["method"],
                path=visit.path,
                query=mask_query(visit.scope["query_string"].decode("latin-1")),
                status=reply.status if reply else 0,
                bytes_in=len(visit.body),
                bytes_out=len(reply.body) if reply else 0,
                milliseconds=round((self._clocks.monotonic_s() - started_s) * 1000, 3),
                faults=tuple(fault.kind for fault in visit.faults),
            )
        )


def split_path(raw_path: str) -> tuple[str, str]:
    """The service a path belongs to and the rest of it, still percent-encoded: an id may hold an encoded slash."""
    if raw_path == "/openapi.json":
        return "sandbox", raw_path
    for side, prefix in PREFIXES:
        if raw_path.startswith(prefix + "/"):
            return side, raw_path[len(prefix) :]
    return "none", raw_path


def _seconds(fault: Fault, default_s: float) -> float:
    return float(fault.value or default_s)
