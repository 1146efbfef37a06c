"""An answer's body unpacked in bounded steps, so that a few bytes cannot become more memory or time than is allowed.

Only gzip is asked for: what else the HTTP library could unpack is written by others and unpacks in one go.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator

MAX_BODY_BYTES = 1 << 28
"""Of an unpacked body: a page of 10,000 records of 25 kB each."""
MAX_MEMBERS = 1_000
_STEP_BYTES = 1 << 18
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
