"""One request, one whole reply or one named reason: against a raw socket that does what it likes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import Unreachable
from migrate.http import NoReplyError, Remote, Reply, Request, retry_after_s

KEY = "canary-key"
Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server that reads a request's head and leaves the rest to `answer`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def remote(url: str, deadline_s: float = 5) -> Remote:
    def authorize(request: Request) -> None:
        request.headers["x-apikey"] = KEY
        request.url = request.url.copy_merge_params({"api-key": KEY})

    return Remote("Test", url, authorize=authorize, headers={}, connections=1, deadline_s=deadline_s)


def send(answer: Answer, deadline_s: float = 5) -> Reply:
    with server(answer) as url, contextlib.closing(remote(url, deadline_s)) as service:
        return service.send("GET", "/x")


def body(text: bytes) -> Answer:
    return lambda connection: connection.sendall(text)


def test_a_whole_answer_comes_back_whole() -> None:
    """Status, headers in lower case, body, time."""
    reply = send(body(b"HTTP/1.1 201 Created\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nok"))
    assert (reply.status, reply.headers["x-y"], reply.body) == (201, "z", b"ok")
    assert 0 <= reply.elapsed_s < 5


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal",
        b"nonsense\r\n\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    ],
    ids=["cut", "cut chunk", "nonsense", "closed", "broken gzip"],
)
def test_a_broken_answer_may_have_been_applied(raw: bytes) -> None:
    """Nothing half-read is ever returned, and the caller learns that the server may have acted."""
    with pytest.raises(NoReplyError) as caught:
        send(body(raw))
    assert caught.value.applied
    assert KEY not in repr(caught.value)


def test_a_refused_connection_was_not_applied() -> None:
    """Nothing left this machine."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(NoReplyError) as caught, contextlib.closing(remote(url)) as service:
        service.send("GET", "/x")
    assert not caught.value.applied


@pytest.mark.parametrize("begun", [b"Content-Length: 1000\r\n\r\n", b"X-Slow: "], ids=["body", "headers"])
def test_a_dripping_answer_ends_at_the_deadline(begun: bytes) -> None:
    """A byte now and then does not keep a request alive beyond its total deadline, in the body or in a header."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + begun)
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(NoReplyError, match="not whole"):
        send(drip, deadline_s=0.5)
    assert time.monotonic() - started < 3


def test_a_request_taken_a_little_at_a_time_ends_at_the_deadline() -> None:
    """A server that reads a large body too slowly does not hold the request for ever."""

    def sip(connection: socket.socket) -> None:
        for _ in range(30):
            time.sleep(0.05)
            connection.recv(4096)

    with server(sip) as url, contextlib.closing(remote(url, 0.5)) as service:
        started = time.monotonic()
        with pytest.raises(NoReplyError, match="not whole") as caught:
            service.send("POST", "/x", body=b"x" * 30_000_000)
        assert 0.4 < time.monotonic() - started < 3
    assert caught.value.applied


def test_a_deadline_is_for_one_request() -> None:
    """The next request on the same connection has all the time it was given."""

    def slow(connection: socket.socket) -> None:
        for _ in range(3):
            time.sleep(0.3)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.recv(65536)

    with server(slow) as url, contextlib.closing(remote(url, 0.6)) as service:
        assert [service.send("GET", "/x").status for _ in range(3)] == [200, 200, 200]


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """The key never goes to another host."""
    asked = []
    with server(lambda connection: asked.append(1)) as elsewhere:
        reply = send(body(f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert reply.status == 302
    assert asked == []


def test_an_unknown_host_is_final() -> None:
    """Name resolution is reported at once, with the setting to look at."""
    with pytest.raises(Unreachable, match=r"no-such-host\.invalid") as caught:
        remote("https://no-such-host.invalid").send("GET", "/x")
    assert "base_url" in str(caught.value.hint)


def reply_with(**headers: str) -> Reply:
    return Reply(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"", 0.0)


@given(st.floats(0, 1e6))
def test_retry_after_in_seconds(seconds: float) -> None:
    """Whole seconds and fractions are taken as they are."""
    assert retry_after_s(reply_with(retry_after=repr(seconds))) == seconds


def test_retry_after_as_a_date_is_judged_by_the_servers_clock() -> None:
    """This machine's clock may be wrong; the answer's own Date is not."""
    dates = {"date": "Tue, 01 Jan 2030 10:00:00 GMT", "retry_after": "Tue, 01 Jan 2030 10:00:07 GMT"}
    assert retry_after_s(reply_with(**dates)) == 7
    assert retry_after_s(reply_with(date=dates["retry_after"], retry_after=dates["date"])) == 0


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "Tue, 01 Jan 2030 10:00:07 GMT"])
def test_retry_after_that_says_nothing(text: str) -> None:
    """Garbage, and a date without a Date beside it, count as not said."""
    assert retry_after_s(reply_with(retry_after=text)) is None


@given(st.text(max_size=60), st.text(max_size=60))
def test_retry_after_never_raises_and_never_is_negative(text: str, date: str) -> None:
    """Whatever a server sends."""
    found = retry_after_s(reply_with(retry_after=text, date=date))
    assert found is None or found >= 0
