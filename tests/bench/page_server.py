"""A Datatrics that answers at once: prepared pages of made-up profiles over HTTP/1.1, for benchmarks only.

`python page_server.py RECORDS [LATENCY_S]` prints its port and serves until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import functools
import json
import random
import re
import sys

PAGE_SIZE = 500
PREPARED_RECORDS = 500_000
_ASKED = re.compile(rb"GET [^ ]*?[?&]page=(\d+)")


def make_tails(count: int) -> list[bytes]:
    """Profiles without their id, 18 fields with nested ones, some 540 bytes each with it."""
    rng = random.Random(7)
    return [json.dumps(_profile(rng, n), separators=(",", ":"))[1:].encode() for n in range(count)]


def _profile(rng: random.Random, number: int) -> dict[str, object]:
    day = f"{2015 + number % 9}-{number % 12 + 1:02d}-{number % 28 + 1:02d}"
    return {
        "source": rng.choice(["Magento 2", "MailChimp", "Prestashop-1"]),
        "objecttype": "profile",
        "created": f"{day} 10:{number % 60:02d}:00",
        "updated": f"{day} 12:{number % 60:02d}:00",
        "email": f"person{rng.randrange(10**7)}@example.org",
        "firstname": rng.choice(["Jan", "Anne", "Zoë", "Pieter", "Fatima"]),
        "lastname": rng.choice(["de Vries", "Jansen", "Öztürk", "Bakker"]),
        "phone": f"+316{rng.randrange(10**8):08d}",
        "city": rng.choice(["Utrecht", "Delft", "Den Haag"]),
        "gender": rng.choice(["male", "female", "unknown"]),
        "newsletter": rng.randrange(2),
        "optin": str(rng.randrange(2)),
        "lang": "nl",
        "address": {
            "street": "Dorpsstraat",
            "number": rng.randrange(300),
            "zip": "1234 AB",
            "country": "NL",
        },
        "lifetime": {"orders": rng.randrange(40), "value": round(rng.random() * 900, 2)},
        "tags": ["spring", "shoes"],
        "score": rng.random(),
    }


def render(number: int, records: int, tails: list[bytes]) -> bytes:
    """The answer with page `number`."""
    first = (number - 1) * PAGE_SIZE
    items = b",".join(
        b'{"profileid":"%09d",%s' % (n, tails[n % len(tails)])
        for n in range(first, min(first + PAGE_SIZE, records))
    )
    pages = -(-records // PAGE_SIZE)
    head = b'{"total_elements":%d,"total_pages":%d,"page":%d,"items":[' % (records, pages, number)
    body = head + items + b"]}"
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


class Pages(asyncio.Protocol):
    """One connection: each request head is answered with its page, after the latency."""

    def __init__(self, answer: functools._lru_cache_wrapper[bytes], latency_s: float) -> None:
        self._answer = answer
        self._latency_s = latency_s
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the connection."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answers every whole request."""
        *heads, self._head = (self._head + data).split(b"\r\n\r\n")
        for head in heads:
            found = _ASKED.search(head)
            asyncio.get_running_loop().call_later(
                self._latency_s, self._send, int(found[1]) if found else 1
            )

    def _send(self, number: int) -> None:
        if isinstance(self._transport, asyncio.Transport) and not self._transport.is_closing():
            self._transport.write(self._answer(number))


async def serve(records: int, latency_s: float) -> None:
    """Serves until standard input is closed."""
    tails = make_tails(2_000)
    size = PREPARED_RECORDS // PAGE_SIZE + 1
    answer = functools.lru_cache(size)(lambda number: render(number, records, tails))
    if records <= PREPARED_RECORDS:
        for number in range(1, records // PAGE_SIZE + 2):
            answer(number)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Pages(answer, latency_s), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0))
