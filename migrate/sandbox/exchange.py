"""One HTTP exchange as plain values: what a handler is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

JSON_TYPE = "application/json"


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
