"""The client beside paging: single records, what it sends, and what stops it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from migrate.errors import GaveUp, Interrupted
from migrate.source.resources import CONTENT_CATEGORIES, PROFILES
from tests.serving import serving


def test_one_record_by_an_id_that_needs_encoding(start: Callable[..., Any]) -> None:
    """Colons, slashes, spaces and plus signs arrive as part of the id; an unknown id is None."""
    bench = start(profiles=0)
    id_ = "a:b/c d+e?f#g%20é"
    bench.send(
        "POST",
        "profile/bulk",
        {"profiles": [{"profileid": id_, "source": "Magento 2", "profile": {}}]},
    )
    with bench.client() as client:
        found = client.one(PROFILES, id_, "Magento 2")
        assert found is not None
        assert json.loads(found)["profileid"] == id_
        assert client.one(PROFILES, "unknown", "Magento 2") is None


@contextmanager
def giving(bodies: list[bytes]) -> Iterator[tuple[str, list[Any]]]:
    """The URL of a server that answers with `bodies` in turn, the last one for ever, and the requests it keeps."""
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

    with serving(Handler) as url:
        yield f"{url}/2.0", seen


def test_what_is_sent(start: Callable[..., Any]) -> None:
    """Path, order, page, type and headers are as documented; the key travels in a header only."""
    bench = start(profiles=0)
    with giving([b"[]"]) as (bench.url, seen), bench.client() as client:
        client.page(CONTENT_CATEGORIES, 3, 500)
    path, headers = seen[0]
    assert path == "/2.0/project/demo/content?type=category&limit=500&page=3&sort=created&order=1"
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["x-apikey"] == bench.key
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("migrate/")


def test_a_body_that_stays_broken_names_the_page(start: Callable[..., Any]) -> None:
    """After the budget: which page, and what is wrong with it."""
    bench = start(profiles=0)
    bench.retry_budget_s = 0.3
    broken = giving([b'{"items":["x"'])
    with (
        broken as (bench.url, _),
        pytest.raises(GaveUp, match=r"profiles, page 1: .*no whole JSON object"),
    ):
        bench.extract()


def test_a_stop_ends_waiting_at_once(start: Callable[..., Any]) -> None:
    """Neither back-off nor Retry-After outlasts a Ctrl-C."""
    bench = start("429=600@method=GET", profiles=0)
    bench.retry_budget_s = 900
    bench.notes.note = lambda _text: bench.stop.set()  # told that it waits
    began = time.monotonic()
    with pytest.raises(Interrupted):
        bench.extract()
    assert time.monotonic() - began < 300


def test_a_server_that_asks_for_no_wait_is_not_hammered(start: Callable[..., Any]) -> None:
    """`Retry-After: 0` of a service in trouble leaves the wait to us: a handful of tries, and not one a moment."""
    bench = start("429=0@method=GET", profiles=0)
    bench.retry_budget_s = 0.5
    with pytest.raises(GaveUp, match=r"gave up after [1-9] tries"):
        bench.extract()


def test_no_more_requests_in_flight_than_asked_for(start: Callable[..., Any]) -> None:
    """However many pages are being seen to, the server has `concurrency` of them to answer, and not fewer."""
    bench = start(profiles=0)
    lock, in_flight, most, is_full = threading.Lock(), [0], [0], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answers a little later with a page of ten; those behind the first page only when there are so many."""
            first = 10 * int(self.path.partition("page=")[2].partition("&")[0]) - 10
            with lock:
                in_flight[0] += 1
                most[0] = max(most[0], in_flight[0])
                if most[0] >= bench.concurrency:
                    is_full.set()
            if first and not is_full.wait(60):
                is_full.set()
            time.sleep(0.02)
            items = [
                {"profileid": str(n), "source": "shop"} for n in range(first, min(first + 10, 200))
            ]
            body = json.dumps({"total_elements": 200, "items": items}).encode()
            with lock:
                in_flight[0] -= 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with serving(Handler) as url:
        bench.url = f"{url}/2.0"
        found = bench.extract()
    assert found.resources["profiles"].verdict == "proven"
    assert most == [bench.concurrency]
