"""A packed answer costs no more memory and time than is stated, whatever is in it."""

from __future__ import annotations

import contextlib
import gzip
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.net import bounds
from migrate.net.bounds import UnpackingError, unpack_body
from migrate.net.http import NoReplyError

from .test_http import body, remote, send, server


def unpack(data: bytes, encoding: str = "gzip", piece_bytes: int = 1000) -> bytes:
    """The body that comes in pieces, with all the time in the world."""
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    return unpack_body(pieces, encoding, lambda: False)


@given(st.lists(st.binary(max_size=2000), max_size=4), st.integers(1, 50))
def test_what_was_packed_comes_back(members: list[bytes], piece_bytes: int) -> None:
    """One member or several, in pieces of any size."""
    packed = b"".join(map(gzip.compress, members))
    assert unpack(packed, piece_bytes=piece_bytes) == b"".join(members)


@given(
    st.binary(max_size=300), st.sampled_from(["", "gzip", "GZIP ", "identity", "br", "zstd", "x"])
)
def test_anything_else_is_an_error_of_its_own(data: bytes, encoding: str) -> None:
    """Bytes that nobody packed are refused with words, never with the library's own error."""
    with contextlib.suppress(UnpackingError):
        unpack(data, encoding)


@pytest.mark.parametrize(
    "encoding", ["zstd", "br", "deflate", "gzip, gzip", "gzip;q=1", "\x1b[31mred"]
)
def test_only_gzip_is_unpacked(encoding: str) -> None:
    """Whatever was not asked for is named and refused, inert in a terminal."""
    with pytest.raises(UnpackingError, match="only gzip was asked for") as caught:
        unpack(b"data", encoding)
    assert str(caught.value).isprintable()
    assert unpack(b"", encoding) == b""


def test_a_bomb_ends_at_the_bound_and_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes that stand for a gigabyte: refused, in about the memory that is allowed."""
    monkeypatch.setattr(bounds, "MAX_BODY_BYTES", 1 << 22)
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(UnpackingError, match="larger than 4,194,304 bytes"):
            unpack_body([bomb], "gzip", lambda: False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 24


@pytest.mark.parametrize("count", [bounds.MAX_MEMBERS + 1, 50_000])
def test_members_without_end_are_refused(count: int) -> None:
    """An endless row of empty members costs time and no memory, so it has a bound of its own."""
    with pytest.raises(UnpackingError, match="packed parts"):
        unpack_body([gzip.compress(b"") * count], "gzip", lambda: False)


@pytest.mark.parametrize("cut", [1, 9, -1, -8])
def test_a_body_that_ends_too_early_is_not_whole(cut: int) -> None:
    """Half an answer is never taken for one."""
    with pytest.raises(UnpackingError, match="ends too early"):
        unpack(gzip.compress(b"x" * 500)[:cut])


def test_time_is_looked_at_between_steps() -> None:
    """The deadline holds while unpacking, too."""
    looks = iter([False, False, True])
    with pytest.raises(UnpackingError, match="too long"):
        unpack_body([gzip.compress(bytes(1 << 22))], "gzip", lambda: next(looks))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"Content-Encoding: zstd\r\nContent-Length: 4\r\n\r\nbomb", "only gzip was asked for"),
        (b"Content-Length: 99999999999\r\n\r\n", "larger than"),
        (b"X-Long: " + b"x" * 200_000 + b"\r\n\r\n", "headers are longer"),
    ],
    ids=["zstd", "announced size", "headers"],
)
def test_an_answer_beyond_the_bounds_says_which(raw: bytes, words: str) -> None:
    """Over a real connection: the reason names the bound, and the service may have acted."""
    with pytest.raises(NoReplyError, match=words) as caught:
        send(body(b"HTTP/1.1 200 OK\r\n" + raw))
    assert caught.value.applied


@pytest.mark.parametrize("own", [{}, {"accept-ENCODING": "br, zstd"}], ids=["none", "another"])
def test_only_gzip_is_asked_for(own: dict[str, str]) -> None:
    """Also where a webhook's own headers would have it otherwise."""
    heads: list[str] = []
    answer = body(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    with server(answer) as url, contextlib.closing(remote(url)) as service:
        service._client.event_hooks["request"].append(
            lambda request: heads.append(request.headers["accept-encoding"])
        )
        service.send("GET", "/x", extra_headers=own)
    assert heads == ["gzip"]


def test_a_bomb_over_the_wire_ends_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kilobyte a time unpacks to a thousand times as much; the bound ends it at once."""
    monkeypatch.setattr(bounds, "MAX_BODY_BYTES", 1 << 22)
    packed = gzip.compress(bytes(1 << 25))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    started = time.monotonic()
    with pytest.raises(NoReplyError, match="larger than"):
        send(body(head + packed))
    assert time.monotonic() - started < 30
