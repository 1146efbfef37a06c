"""The client beside paging: single records, what it sends, and what stops it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from migrate.errors import GaveUp, Interrupted
from migrate.source.resources import CONTENT_CATEGORIES, PROFILES


def test_one_record_by_an_id_that_needs_encoding(start: Callable[..., Any]) -> None:
    """Colons, slashes, spaces and plus signs arrive as part of the id; an unknown id is None."""
    bench = start(profiles=0)
    id_ = "a:b/c d+e?f#g%20é"
    bench.send("POST", "profile/bulk", {"profiles": [{"profileid": id_, "source": "Magento 2", "profile": {}}]})
    with bench.client() as client:
        found = client.one(PROFILES, id_, "Magento 2")
        assert found is not None
        assert json.loads(found)["profileid"] == id_
        assert client.one(PROFILES, "unknown", "Magento 2") is None


def serve(bodies: list[bytes]) -> tuple[HTTPServer, list[Any]]:
    """A server that answers with `bodies` in turn, the last one for ever, and keeps the requests."""
    seen: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answers."""
            seen.append((self.path, dict(self.headers)))
            body = bodies[min(len(seen), len(bodies)) - 1]
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server, seen


def test_what_is_sent(start: Callable[..., Any]) -> None:
    """Path, order, page, type and headers are as documented; the key travels in a header only."""
    server, seen = serve([b"[]"])
    bench = start(profiles=0)
    bench.url = f"http://127.0.0.1:{server.server_port}/2.0"
    with bench.client() as client:
        client.page(CONTENT_CATEGORIES, 3, 500)
    server.shutdown()
    server.server_close()
    path, headers = seen[0]
    assert path == "/2.0/project/demo/content?type=category&limit=500&page=3&sort=created&order=1"
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["x-apikey"] == bench.key
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("migrate/")


def test_a_body_that_stays_broken_names_the_page(start: Callable[..., Any]) -> None:
    """After the budget: which page, and what is wrong with it."""
    server, _ = serve([b'{"items":["\xff"]}'])
    bench = start(profiles=0)
    bench.url = f"http://127.0.0.1:{server.server_port}/2.0"
    bench.retry_budget_s = 0.3
    with pytest.raises(GaveUp, match=r"profiles, page 1: .*no valid UTF-8 at byte 11"):
        bench.extract()
    server.shutdown()
    server.server_close()


def test_a_stop_ends_waiting_at_once(start: Callable[..., Any]) -> None:
    """Neither back-off nor Retry-After outlasts a Ctrl-C."""
    bench = start("429=15@method=GET", profiles=0)
    threading.Timer(0.3, bench.stop.set).start()
    began = time.monotonic()
    with pytest.raises(Interrupted):
        bench.extract()
    assert time.monotonic() - began < 3
