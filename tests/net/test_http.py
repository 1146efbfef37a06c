"""One request, one whole reply or one named reason: against a raw socket that does what it likes."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.errors import Unreachable
from migrate.net.http import LONGEST_WAIT_S, NoReplyError, Remote, Reply, Request, retry_after_s

KEY = "canary-key"
Answer = Callable[[socket.socket], None]


@contextlib.contextmanager
def listening(answer: Answer) -> Iterator[str]:
    """The address of a server that leaves a connection to `answer` from its first byte on."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(60)


@contextlib.contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A server that reads a request's head and leaves the rest to `answer`."""

    def read_and_answer(connection: socket.socket) -> None:
        connection.recv(65536)
        answer(connection)

    with listening(read_and_answer) as place:
        yield f"http://{place}"


def remote(url: str, deadline_s: float = 60) -> Remote:
    def authorize(request: Request) -> None:
        request.headers["x-apikey"] = KEY
        request.url = request.url.copy_merge_params({"api-key": KEY})

    return Remote(
        "Test", url, authorize=authorize, headers={}, connections=1, deadline_s=deadline_s
    )


def send(answer: Answer, deadline_s: float = 60) -> Reply:
    with server(answer) as url, contextlib.closing(remote(url, deadline_s)) as service:
        return service.send("GET", "/x")


def body(text: bytes) -> Answer:
    return lambda connection: connection.sendall(text)


def test_a_whole_answer_comes_back_whole() -> None:
    """Status, headers in lower case, body, time."""
    started = time.monotonic()
    reply = send(body(b"HTTP/1.1 201 Created\r\nX-Y: z\r\nContent-Length: 2\r\n\r\nok"))
    assert (reply.status, reply.headers["x-y"], reply.body) == (201, "z", b"ok")
    assert 0 <= reply.elapsed_s <= time.monotonic() - started


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
    with socket.socket() as taken:  # taken, so that nobody else listens there, and not listened at
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with contextlib.closing(remote(url)) as service, pytest.raises(NoReplyError) as caught:
            service.send("GET", "/x")
    assert not caught.value.applied


@pytest.mark.parametrize(
    "begun", [b"Content-Length: 1000\r\n\r\n", b"X-Slow: "], ids=["body", "headers"]
)
def test_a_dripping_answer_ends_at_the_deadline(begun: bytes) -> None:
    """A byte now and then does not keep a request alive beyond its total deadline, in the body or in a header."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + begun)
        for _ in range(2000):
            connection.sendall(b"x")
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(NoReplyError, match="not whole"):
        send(drip, deadline_s=0.5)
    assert time.monotonic() - started < 50


def test_a_request_taken_a_little_at_a_time_ends_at_the_deadline() -> None:
    """A server that reads a large body too slowly does not hold the request for ever."""
    enough = threading.Event()

    def sip(connection: socket.socket) -> None:
        while not enough.wait(0.05):
            connection.recv(16384)

    with server(sip) as url, contextlib.closing(remote(url, 1)) as service:
        started = time.monotonic()
        with pytest.raises(NoReplyError, match="not whole") as caught:
            service.send("POST", "/x", body=b"x" * 30_000_000)
        assert 0.9 < time.monotonic() - started < 50
        enough.set()
    assert caught.value.applied


def test_a_deadline_is_for_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request on the same connection has all the time it was given, however late it comes."""
    now, connections = [100.0], []
    monkeypatch.setattr("migrate.net.bounds.time", SimpleNamespace(monotonic=lambda: now[0]))

    def patient(connection: socket.socket) -> None:
        connections.append(connection)
        for _ in range(3):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            connection.recv(65536)

    with server(patient) as url, contextlib.closing(remote(url, 60)) as service:
        for _ in range(3):
            assert service.send("GET", "/x").status == 200
            now[0] += 50
    assert len(connections) == 1


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    """The key never goes to another host."""
    asked = []
    with server(lambda connection: asked.append(1)) as elsewhere:
        reply = send(
            body(
                f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}\r\nContent-Length: 0\r\n\r\n".encode()
            )
        )
    assert reply.status == 302
    assert asked == []


def test_a_name_that_cannot_be_resolved_at_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver that is away is no wrong name: it is worth another try, and nothing has left."""

    def away(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    service = remote("https://service.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", away)
    with (
        contextlib.closing(service),
        pytest.raises(NoReplyError, match=r"service\.invalid") as caught,
    ):
        service.send("POST", "/x", body=b"{}")
    assert not caught.value.applied


def test_a_connection_closed_in_the_handshake_is_worth_another_try() -> None:
    """A service that goes away while TLS is being set up has seen nothing of the request."""
    with (
        server(lambda _connection: None) as url,
        contextlib.closing(remote(url.replace("http", "https"))) as service,
    ):
        for _ in range(2):
            with pytest.raises(NoReplyError, match=r"TLS \w+ ?broke off|broke off .*TLS") as caught:
                service.send("POST", "/x", body=b"{}")
            assert not caught.value.applied


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine that nobody has signed, and its key."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("makes a certificate with the openssl command")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    command = [tool, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


def under_tls(files: tuple[Path, Path], answer: Answer) -> Answer:
    """What a server does that has read nothing yet: the handshake, a whole request, then `answer` below TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)

    def speak(connection: socket.socket) -> None:
        with context.wrap_socket(connection.dup(), server_side=True) as wrapped:
            text = b""
            while not text.endswith(b"{}"):
                text += wrapped.recv(65536)
            answer(connection)

    return speak


AUTHORITY = """
[ca]
default_ca = own
[own]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
x509_extensions = extensions
[names]
commonName = supplied
[extensions]
subjectAltName = {name}
"""


def make_certificate(folder: Path, name: str, until: str) -> tuple[Path, Path]:
    """A self-signed certificate of a host since 2020, and its key; `until`: when it ends, as ASN.1 spells it."""
    tool = shutil.which("openssl")
    if tool is None:
        pytest.skip("makes a certificate with the openssl command")
    (folder / "ca.cnf").write_text(AUTHORITY.format(name=name))
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01")
    times = ["-startdate", "20200101000000Z", "-enddate", until]
    asking = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    signing = ["ca", "-batch", "-selfsign", "-config", "ca.cnf", "-keyfile", "key.pem", *times]
    for words in (
        [*asking, "-keyout", "key.pem", "-out", "asked.csr"],
        [*signing, "-in", "asked.csr", "-out", "certificate.pem", "-notext"],
    ):
        subprocess.run([tool, *words], cwd=folder, check=True, capture_output=True)
    return folder / "certificate.pem", folder / "key.pem"


@pytest.mark.parametrize(
    ("name", "until", "is_known", "reason", "hint"),
    [
        ("IP:127.0.0.1", "20990101000000Z", False, "self.signed certificate", "SSL_CERT_FILE"),
        (
            "IP:127.0.0.1",
            "20200102000000Z",
            True,
            "certificate has expired",
            "this machine's clock",
        ),
        ("IP:127.0.0.9", "20990101000000Z", True, "IP address mismatch", "another host's"),
    ],
    ids=["self-signed", "expired", "another host's"],
)
def test_a_certificate_that_is_not_to_be_trusted_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, until: str, is_known: bool,
    reason: str, hint: str,
) -> None:  # fmt: skip
    """No second try makes it trustworthy: the reason and what to look at, for a human being, at once."""
    files = make_certificate(tmp_path, name, until)
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    speak = under_tls(files, lambda _connection: None)
    with (
        listening(speak) as place,
        contextlib.closing(remote(f"https://{place}")) as service,
        pytest.raises(Unreachable, match=f"no trustworthy TLS connection to .*{reason}") as caught,
    ):
        service.send("POST", "/x", body=b"{}")
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "last", [b"", b"\x17\x03\x03\x00\x20" + bytes(32)], ids=["closed", "garbage"]
)
def test_a_tls_fault_after_the_request_may_have_been_applied(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, last: bytes
) -> None:
    """Once the whole request was sent it counts as perhaps done, whatever happens to the connection."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    def end(connection: socket.socket) -> None:
        connection.sendall(last)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    with (
        listening(under_tls(certificate, end)) as place,
        contextlib.closing(remote(f"https://{place}")) as service,
        pytest.raises(NoReplyError) as caught,
    ):
        service.send("POST", "/x", body=b"{}")
    assert caught.value.applied


def test_an_unknown_host_is_final() -> None:
    """Name resolution is reported at once, with the setting to look at."""
    with pytest.raises(Unreachable, match=r"no-such-host\.invalid") as caught:
        remote("https://no-such-host.invalid").send("GET", "/x")
    assert "base_url" in str(caught.value.hint)


def reply_with(**headers: str) -> Reply:
    return Reply(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"", 0.0)


@given(st.floats(0, 1e6))
def test_retry_after_in_seconds(seconds: float) -> None:
    """Whole seconds and fractions are taken as they are, up to a day."""
    assert retry_after_s(reply_with(retry_after=repr(seconds))) == min(seconds, LONGEST_WAIT_S)


@pytest.mark.parametrize(
    "then",
    [
        "Tue, 01 Jan 2030 10:00:07 GMT",
        "Tue Jan  1 10:00:07 2030",
        "Tuesday, 01-Jan-30 10:00:07 GMT",
    ],
)
@pytest.mark.parametrize("now", ["Tue, 01 Jan 2030 10:00:00 GMT", "Tue Jan  1 10:00:00 2030"])
def test_retry_after_in_the_three_forms_of_a_date(then: str, now: str) -> None:
    """IMF-fixdate, asctime, which names no zone and is UTC, and RFC 850. Source: RFC 9110, section 5.6.7."""
    assert retry_after_s(reply_with(date=now, retry_after=then)) == 7


@pytest.mark.parametrize("date", ["Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_an_absurd_date_is_bounded(date: str) -> None:
    """Nobody waits for centuries, and no time overflows."""
    found = retry_after_s(reply_with(date=date, retry_after="Tue, 01 Jan 2030 10:00:07 GMT"))
    assert found in (0.0, LONGEST_WAIT_S)


def test_retry_after_as_a_date_is_judged_by_the_servers_clock() -> None:
    """This machine's clock may be wrong; the answer's own Date is not."""
    dates = {
        "date": "Tue, 01 Jan 2030 10:00:00 GMT",
        "retry_after": "Tue, 01 Jan 2030 10:00:07 GMT",
    }
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
