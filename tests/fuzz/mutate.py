"""New inputs out of old ones: bytes changed, pieces moved, and what readers stumble over put in between."""

from __future__ import annotations

import random
from collections.abc import Sequence

_LONGEST = 300_000
TOKENS = (
    b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"NaN", b"Infinity", b"1e400",
    b"-0", b"1e-400",
    b"9" * 400, b"\\ud800", b"\\u0000", b"\x00", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"\n", b"'", b"&a", b"*a", b"!!x",
    b"<<: ", b"- ", b"? ", b"#", b"=", b"${HOME}", b"../", b"[[[[[[[[", b"0000-00-00",
    b"9999-12-31", b"%00", b"\x1b[2J",
    "\u202e".encode(), "\u00e9".encode(), b"PK\x03\x04", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"SELECT", b"--", b"/*",
)  # fmt: skip


def mutate(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One more input: up to six changes of `seed`."""
    data = bytearray(seed[:_LONGEST])
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(data))
        length = chance.randint(0, 40)
        match chance.randrange(6):
            case 0:
                data[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                data[at:at] = chance.choice(TOKENS)
            case 2:
                del data[at : at + length]
            case 3:
                other = chance.choice(others)
                start = chance.randint(0, len(other))
                data[at:at] = other[start : start + length * 4]
            case 4:
                data[at:at] = data[at : at + length] * chance.randint(1, 30)
            case _:
                del data[at:]
    return bytes(data[:_LONGEST])
