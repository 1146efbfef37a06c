"""A service whose first answers to batches are written down beforehand; then it takes everything."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.serving import serving

Judge = Callable[[Sequence[Mapping[str, Any]]], tuple[int, Mapping[str, Any]] | None]


@dataclass
class Scripted:
    """What is answered, what was asked: time, key and size of every batch. Units: seconds of the monotonic clock.

    `judge` has the first word on a batch: a status and a body, or None where the script goes on.
    """

    script: list[tuple[int, Mapping[str, str]]]
    judge: Judge
    url: str = ""
    sizes: list[int] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(
        self, key: str, records: Sequence[Mapping[str, Any]]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """The next line of the script, or the results of an upsert."""
        with self.lock:
            self.asked_at.append(time.monotonic())
            self.keys.append(key)
            self.sizes.append(len(records))
            if (judged := self.judge(records)) is not None:
                return judged[0], {}, json.dumps(judged[1]).encode()
            if self.script:
                return *self.script.pop(0), b"{}"
            self.stored |= {record["contact_key"]: record for record in records}
        results = [
            {"written": True, "record": {**r, "__masterid__": f"m-{r['contact_key']}"}}
            for r in records
        ]
        return 200, {}, json.dumps({"results": results}).encode()


@contextlib.contextmanager
def scripted(
    *script: tuple[int, Mapping[str, str]], judge: Judge = lambda _records: None
) -> Iterator[Scripted]:
    """The service, running. A `Date` among a line's headers replaces the true one."""
    service = Scripted(list(script), judge)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.reply(200, {}, json.dumps({"count": len(service.stored)}).encode())

        def do_POST(self) -> None:
            records = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            [key] = parse_qs(urlsplit(self.path).query)["api-key"]
            self.reply(*service.answer(key, records))

        def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in {"Date": self.date_time_string(), **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Says nothing."""

    with serving(Handler) as service.url:
        yield service
