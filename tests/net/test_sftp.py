"""Uploads by SFTP against a server of another make's side: the sandbox's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from migrate.errors import ConfigError, GaveUp, Interrupted, RemoteError, Unreachable, UsageError
from migrate.net.sftp import LocalFile, Trust, Uploading, upload
from migrate.net.sftp_place import parse_place, parse_rate
from migrate.sandbox.faults import FaultBook, parse_fault
from migrate.sandbox.sftp import SftpAddress, start_sftp

MIB = 1 << 20


@dataclass
class Server:
    """A running server, and what was told of uploads to it."""

    address: SftpAddress
    faults: FaultBook
    drop: Path
    trust: Trust
    began: list[int] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stop_after: float = float("inf")

    def put(self, *files: LocalFile, trust: Trust | None = None, **changes: object) -> None:
        """Uploads files."""
        told = Uploading(
            lambda _file, there: self.began.append(there),
            lambda _file, more: self.arrived.append(more),
            lambda file: self.done.append(file.path.name),
            self.notes.append,
            lambda: sum(self.arrived) >= self.stop_after,
            pauses_s=(0.0, 0.0),
        )
        upload(parse_place(self.address.url), trust or self.trust, files, replace(told, **changes))

    def order(self, *faults: str) -> None:
        """What is to go wrong from now on."""
        self.faults.replace([parse_fault(fault) for fault in faults])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """An SFTP server on loopback."""
    faults = FaultBook((), 0)
    address, stop = start_sftp(tmp_path / "sftp", "127.0.0.1", 0, faults)
    trust = Trust(address.host_key, None, address.key_file)
    yield Server(address, faults, tmp_path / "sftp" / "drop", trust)
    stop()


@pytest.fixture
def file(tmp_path: Path) -> LocalFile:
    """Three and a half MiB of which no two blocks are alike."""
    data = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(7 * MIB // 64))
    path = tmp_path / "contacts_20261129.csv"
    path.write_bytes(data)
    return LocalFile(path, len(data), hashlib.sha256(data).hexdigest())


def test_a_file_arrives_whole_and_once(server: Server, file: LocalFile) -> None:
    """Under its own name, no other; given again nothing is sent; another content is never replaced."""
    server.put(file)
    assert [path.name for path in server.drop.iterdir()] == [file.path.name]
    assert (server.drop / file.path.name).read_bytes() == file.path.read_bytes()
    server.put(file)
    assert sum(server.arrived) == file.bytes
    assert server.done == [file.path.name] * 2
    (server.drop / file.path.name).write_bytes(b"somebody's")
    with pytest.raises(RemoteError, match="another file"):
        server.put(file)
    assert (server.drop / file.path.name).read_bytes() == b"somebody's"


def test_a_stopped_upload_goes_on(server: Server, file: LocalFile) -> None:
    """With what the server has for certain, compared by its hash; what is something else is sent from the beginning."""
    server.stop_after = 2 * MIB
    with pytest.raises(Interrupted):
        server.put(file)
    (partial,) = server.drop.iterdir()
    assert partial.name.endswith(".partial")
    server.stop_after = float("inf")
    server.put(file)
    assert server.began == [0, MIB], "the last block of the two may have holes"
    partial.write_bytes(b"x" * 3 * MIB)
    (server.drop / file.path.name).unlink()
    server.put(file)
    assert server.began[-1] == 0
    assert (server.drop / file.path.name).read_bytes() == file.path.read_bytes()


def test_a_lost_connection_is_tried_again(server: Server, file: LocalFile) -> None:
    """Once it goes on by itself; lost again and again, it ends with the command that goes on."""
    server.order(f"sftp:disconnect={5 * MIB // 2}@times=1")
    server.put(file)
    assert server.began == [0, MIB]
    assert len(server.notes) == 1
    (server.drop / file.path.name).unlink()
    server.order("sftp:disconnect=10")
    with pytest.raises(GaveUp):
        server.put(file)


@pytest.mark.parametrize(
    ("fault", "words"), [("full=100", "disk is full|No space"), ("denied", "does not let")]
)
def test_a_refusal_is_told(server: Server, file: LocalFile, fault: str, words: str) -> None:
    """A full disk and a missing right are named, and nothing has the file's name."""
    server.order(f"sftp:{fault}")
    with pytest.raises(RemoteError, match=words):
        server.put(file)
    assert not (server.drop / file.path.name).exists()


def test_only_a_known_server_gets_anything(server: Server, file: LocalFile, tmp_path: Path) -> None:
    """An unknown key ends it with the fingerprint to compare, a changed one with both; known_hosts will do."""
    nobody = tmp_path / "nobody"
    nobody.write_text("")
    key_file = server.address.key_file
    with pytest.raises(ConfigError, match="not known") as unknown:
        server.put(file, trust=Trust(None, nobody, key_file))
    assert server.address.host_key in str(unknown.value)
    with pytest.raises(RemoteError, match="shows the key"):
        server.put(file, trust=Trust("SHA256:" + "A" * 43, None, key_file))
    known = server.address.known_hosts.read_text().split()
    other = tmp_path / "other"
    other_key = start_and_stop(tmp_path / "second").known_hosts.read_text().split()
    other.write_text(" ".join([known[0], *other_key[1:]]) + "\n")
    with pytest.raises(RemoteError, match="another one"):
        server.put(file, trust=Trust(None, other, key_file))
    assert not list(server.drop.iterdir())
    server.put(file, trust=Trust(None, server.address.known_hosts, key_file))
    with pytest.raises(RemoteError, match="no key of ours"):
        server.put(
            file, trust=Trust(server.address.host_key, None, tmp_path / "second" / "client_key")
        )


def start_and_stop(home: Path) -> SftpAddress:
    """What another server would have had."""
    address, stop = start_sftp(home, "127.0.0.1", 0, FaultBook((), 0))
    stop()
    return address


def test_nobody_there(server: Server, file: LocalFile, tmp_path: Path) -> None:
    """A place where nothing listens cannot be reached."""
    gone = start_and_stop(tmp_path / "gone")
    with pytest.raises(Unreachable):
        replace(server, address=gone).put(file)


def test_a_rate_is_kept(server: Server, tmp_path: Path) -> None:
    """So many bytes take at least as long as they have to."""
    import time

    data = b"0123456789" * 2_000
    path = tmp_path / "small.csv"
    path.write_bytes(data)
    began = time.monotonic()
    server.put(LocalFile(path, len(data), hashlib.sha256(data).hexdigest()), limit=40_000.0)
    assert time.monotonic() - began >= 0.4


def test_places_and_rates_are_read() -> None:
    """A URL without a password; rates in the units of a line."""
    place = parse_place("sftp://me@example.org:2222/in")
    assert (place.user, place.host, place.port, str(place.path)) == (
        "me",
        "example.org",
        2222,
        "/in",
    )
    assert place.url == "sftp://me@example.org:2222/in"
    with pytest.raises(UsageError, match="password") as refused:
        parse_place("sftp://me:secret-word@example.org/in")
    assert "secret-word" not in str(refused.value)
    for text in ("http://me@example.org/", "sftp://example.org/", "sftp://me@h:port/"):
        with pytest.raises(UsageError):
            parse_place(text)
    assert [parse_rate(text) for text in ("500k", "5MB", "1.5M/s", "100")] == [
        500e3,
        5e6,
        1.5e6,
        100,
    ]
    with pytest.raises(UsageError):
        parse_rate("fast")
