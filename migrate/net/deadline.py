"""A total deadline for a request on the network: httpx has a limit for each read and write only.

A service that sends its headers a byte at a time, or takes a request a byte at a time, would otherwise hold a worker as
long as it likes.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore

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
