"""Feeding: portions, the sandbox as the other side, and services that do not do what they should."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from migrate.demo.data import RESOURCES
from migrate.demo.feed import chunks, feed
from migrate.demo.synthetic import Synthetic, build_synthetic
from migrate.errors import MigrateError, Refused, RemoteError, Unreachable
from migrate.progress import Silence
from migrate.sandbox.serve import Sandbox, SandboxSettings
from tests.serving import serving

KEY = "sandbox-datatrics-key"
LISTS = {
    "profiles": ("profile", "total_elements", {}),
    "content_categories": ("content", "totalElements", {"type": "category"}),
    "content_items": ("content", "totalElements", {"type": "item"}),
    "sales": ("sale", "total_items", {}),
    "interactions": ("interaction", "total_items", {}),
}


class Counter(Silence):
    """Remembers what was shown."""

    def __init__(self) -> None:
        self.totals: dict[str, int | None] = {}
        self.done: dict[str, int] = {}

    def begin(self, task: str, *, total: int | None, unit: str, done: int = 0) -> None:
        self.totals[task] = total

    def advance(self, task: str, by: int, *, total: int | None = None) -> None:
        self.done[task] = self.done.get(task, 0) + by


@pytest.fixture(scope="module")
def data() -> Synthetic:
    return build_synthetic()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(SandboxSettings()) as running:
        yield running


@contextmanager
def _service(status: int, body: bytes) -> Iterator[str]:
    """A service that gives the same answer to every POST."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the parameter's name is the base's
            """Nothing."""

    with serving(Handler) as url:
        yield f"{url}/2.0"


def _feed(url: str, data: Synthetic, key: str = KEY, project: str = "demo") -> dict[str, int]:
    return feed(url, project, SecretStr(key), data, Silence())


@given(st.lists(st.binary(max_size=12)), st.integers(1, 5), st.integers(1, 20))
def test_portions_hold_all_records_in_order_within_their_limits(
    records: list[bytes], max_records: int, max_bytes: int
) -> None:
    """Nothing is lost, doubled or moved; a record larger than a portion may be travels alone."""
    portions = list(chunks(records, max_records, max_bytes))
    assert [record for portion in portions for record in portion] == records
    assert all(0 < len(portion) <= max_records for portion in portions)
    assert all(sum(map(len, portion)) <= max_bytes or len(portion) == 1 for portion in portions)


@given(
    st.lists(st.binary(min_size=1, max_size=9), min_size=1), st.integers(1, 5), st.integers(9, 20)
)
def test_portions_are_as_large_as_they_may_be(
    records: list[bytes], max_records: int, max_bytes: int
) -> None:
    """The first record of the next portion would not have fitted."""
    portions = list(chunks(records, max_records, max_bytes))
    for portion, following in pairwise(portions):
        size = sum(map(len, portion))
        assert len(portion) == max_records or size + len(following[0]) > max_bytes


def test_the_sandbox_holds_what_was_fed(sandbox: Sandbox, data: Synthetic) -> None:
    """Each list announces as many records as the data count, progress was told of all, and feeding again adds none."""
    progress = Counter()
    for _ in range(2):
        fed = feed(sandbox.datatrics_url, "demo", SecretStr(KEY), data, progress, chunk_records=400)
        assert fed == data.counts()
    assert progress.totals == {
        f"feed {resource}": count for resource, count in data.counts().items()
    }
    assert progress.done == {
        f"feed {resource}": 2 * count for resource, count in data.counts().items()
    }
    with httpx.Client(
        headers={"x-apikey": KEY}, base_url=f"{sandbox.datatrics_url}/project/demo/"
    ) as client:
        for resource in RESOURCES:
            path, total, params = LISTS[resource]
            assert client.get(path, params=params).json()[total] == data.counts()[resource], (
                resource
            )


def test_amounts_arrive_to_the_last_digit(sandbox: Sandbox, data: Synthetic) -> None:
    """What the sandbox lists holds the literals that were sent."""
    _feed(sandbox.datatrics_url, data)
    url = f"{sandbox.datatrics_url}/project/demo/sale"
    page = httpx.get(url, params={"order": 1, "limit": 2_000}, headers={"x-apikey": KEY}).content
    listed = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode(page)["items"]
    decoder = msgspec.json.Decoder(dict[str, Any], float_hook=str)
    sent = [decoder.decode(record) for record in data.records("sales")]
    totals = {(one["source"], one["conversionid"]): one["conversion"]["total"] for one in sent}
    assert {(one["source"], one["conversionid"]): one["total"] for one in listed} == totals


def test_a_wrong_key_is_refused_without_showing_it(sandbox: Sandbox, data: Synthetic) -> None:
    """The error names the resource and the status, never the key."""
    with pytest.raises(Refused, match=r"feeding profiles .* answered 403") as raised:
        _feed(sandbox.datatrics_url, data, key="not-the-key")
    assert raised.value.status == 403
    assert "not-the-key" not in f"{raised.value!r} {raised.value.hint}"


def test_a_wrong_project_is_refused(sandbox: Sandbox, data: Synthetic) -> None:
    """The id is encoded into the path: as a project it is unknown (403), it never becomes another call (400)."""
    with pytest.raises(Refused) as raised:
        _feed(sandbox.datatrics_url, data, project="demo/profile?x=")
    assert raised.value.status == 403


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"items":[]}', "sent 1,000 records, the answer lists 0"),
        (200, b"<html>", "not the documented list"),
        (200, b'{"error":{"message":"no"}}', "not the documented list"),
        (204, b"", "answered 204"),
        (500, b"{}", "answered 500"),
    ],
)
def test_an_answer_that_is_not_the_documented_one_stops(
    data: Synthetic, status: int, body: bytes, words: str
) -> None:
    """A service that takes fewer records than were sent, or says something else, is not believed."""
    with _service(status, body) as url, pytest.raises(RemoteError, match=words):
        _feed(url, data)


def test_a_service_that_is_not_there_is_said(data: Synthetic) -> None:
    """No traceback of the connection, but a sentence and a next step."""
    with socket.socket() as taken:  # taken, so that nobody else listens there, and not listened at
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="connection refused") as raised:
            _feed(f"http://127.0.0.1:{taken.getsockname()[1]}/2.0", data)
    assert isinstance(raised.value, MigrateError) and raised.value.hint
