"""Octolis webhooks: what reached them.

Source: Octolis data API, "Webhooks": a request without the right id, key, method or headers is discarded. Whether it
learns so is not documented; here it does.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw

from migrate.sandbox.declare import WebhookSpec
from migrate.sandbox.exchange import Call, Reply, ReplyError, json_reply
from migrate.sandbox.octolis import error
from migrate.sandbox.raw_json import BrokenJson, read_values


class Webhooks:
    """Keeps what was received; with nothing declared any id takes POST and PUT."""

    def __init__(
        self, declared: tuple[WebhookSpec, ...], save: Callable[[str, bytes], None]
    ) -> None:
        self._declared = {hook.id: hook for hook in declared}
        self._save = save
        self.received: list[tuple[str, bytes]] = []

    def receive(self, call: Call, webhook_id: str) -> Reply:
        """The answer to a request; the body is kept if it fits what is declared."""
        hook = self._declared.get(webhook_id) if self._declared else WebhookSpec(webhook_id)
        if hook is None:
            raise _refuse(404, "No such webhook")
        if call.method not in hook.methods:
            raise _refuse(405, f"This webhook takes {', '.join(hook.methods)}")
        missing = [name for name, value in hook.headers.items() if call.headers.get(name) != value]
        if missing:
            raise _refuse(403, f"A header that must be sent is missing: {missing[0]}")
        try:
            read_values(call.body)
        except BrokenJson:
            raise _refuse(400, "The body is not valid JSON") from None
        self._save(webhook_id, call.body)
        self.received.append((webhook_id, call.body))
        return json_reply({"status": "received"})

    def listing(self) -> list[dict[str, object]]:
        """All that was received, oldest first."""
        return [{"id": webhook_id, "body": Raw(body)} for webhook_id, body in self.received]


def _refuse(status: int, detail: str) -> ReplyError:
    return ReplyError(json_reply(error("Webhook request discarded", detail, status), status))
