"""The bounds of one answer: how long it may take, and how large it may become when it is unpacked.

httpx has a limit for each read and write only. A service that sends its headers a byte at a time, or takes a request a
byte at a time, would otherwise hold a worker as long as it likes.

A body is unpacked in bounded steps, so that a few bytes cannot become more memory or time than is allowed. Only gzip is
asked for: what else the HTTP library could unpack is written by others and unpacks in one go.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpcore

# The deadline is looked at between two pieces of a large body.
_WRITE_BYTES = 1 << 16


class Deadline:
    """The moment until which this thread's request may take; endless outside of `within`."""

    def __init__(self) -> None:
        self._local = threading.local()

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """While the block runs, what this thread reads and writes ends after so many seconds."""
        self._local.ends_at = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._local.ends_at

    def left_s(self, timeout_s: float | None) -> float | None:
        """The seconds that are left, at most `timeout_s`; never negative. None where there is no limit at all."""
        ends_at: float | None = getattr(self._local, "ends_at", None)
        if ends_at is None:
            return timeout_s
        left_s = max(0.0, ends_at - time.monotonic())
        return left_s if timeout_s is None else min(timeout_s, left_s)


class DeadlineBackend(httpcore.NetworkBackend):
    """Another backend, whose streams keep to the deadline."""

    def __init__(self, inner: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection."""
        stream = self._inner.connect_tcp(
            host, port, self._deadline.left_s(timeout), local_address, socket_options
        )
        return _DeadlineStream(stream, self._deadline)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = self._deadline.left_s(timeout)
        # To a socket, 0 means not to wait at all, and not that the time is over.
        if left_s == 0:
            raise httpcore.ReadTimeout
        return self._inner.read(max_bytes, left_s)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _WRITE_BYTES):
            left_s = self._deadline.left_s(timeout)
            if left_s == 0:
                raise httpcore.WriteTimeout
            self._inner.write(buffer[start : start + _WRITE_BYTES], left_s)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left_s(timeout))
        return _DeadlineStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


MAX_BODY_BYTES = 1 << 28
"""Of an unpacked body: a page of 10,000 records of 25 kB each."""
MAX_MEMBERS = 1_000
_STEP_BYTES = 1 << 18
# zlib's way to say: with gzip's header, and with no other.
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP = frozenset({"gzip", "x-gzip"})
_PLAIN = frozenset({"", "identity"})


class UnpackingError(Exception):
    """A body that is too large, packed in another way than asked for, or not whole; the text says which."""


def unpack_body(pieces: Iterable[bytes], encoding: str, is_over: Callable[[], bool]) -> bytes:
    """The whole body of an answer that came in `pieces`; `encoding` is its Content-Encoding.

    **Guarantees**: never more than MAX_BODY_BYTES and one step of memory; `is_over` is asked before each step.

    **Raises**: UnpackingError.
    """
    name = encoding.strip().lower()
    if name in _PLAIN:
        steps: Iterator[bytes] = iter(pieces)
    elif name in _GZIP:
        steps = _gunzip(pieces)
    else:
        steps = _refuse_any(pieces, name)
    body = bytearray()
    for step in steps:
        if is_over():
            raise UnpackingError("the answer took too long to unpack")
        body += step
        if len(body) > MAX_BODY_BYTES:
            raise UnpackingError(f"the answer is larger than {MAX_BODY_BYTES:,} bytes")
    return bytes(body)


def _refuse_any(pieces: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Nothing of an empty body, whatever it says of itself. Raises UnpackingError for any other."""
    for piece in pieces:
        if piece:
            shown = "".join(char if char.isprintable() else "?" for char in name)
            raise UnpackingError(
                f"the answer is packed as {shown[:60]!r}, and only gzip was asked for"
            )
        yield piece


def _gunzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    members, is_begun = 1, False
    for piece in pieces:
        rest = piece
        while rest:
            if unpacker.eof:
                # RFC 1952 allows several members one after another; each costs, however little it holds.
                members += 1
                if members > MAX_MEMBERS:
                    raise UnpackingError(f"the answer has more than {MAX_MEMBERS:,} packed parts")
                unpacker = zlib.decompressobj(_GZIP_WINDOW)
            is_begun = True
            try:
                step = unpacker.decompress(rest, _STEP_BYTES)
            except zlib.error:
                raise UnpackingError("the answer's compression is broken") from None
            yield step
            if unpacker.eof:
                rest = unpacker.unused_data
            else:
                rest = unpacker.unconsumed_tail
    if is_begun and not unpacker.eof:
        raise UnpackingError("the answer's compression ends too early")
