"""What was asked and how it was answered: counters and the most recent requests. A key is never in it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

KEPT = 20000
SECRET_PARAMETERS = ("api-key", "apikey")


@dataclass(frozen=True, slots=True)
class Entry:
    """One request."""

    n: int
    at: float
    side: str
    kind: str
    method: str
    path: str
    query: str
    status: int
    bytes_in: int
    bytes_out: int
    milliseconds: float
    faults: tuple[str, ...]


class Journal:
    """The last requests, and how many there were of each side, kind and status."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything."""
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.total = 0

    def add(self, entry: Entry) -> None:
        """Keeps one request."""
        self.total += 1
        self._entries.append(entry)
        self._counts[entry.side, entry.kind, str(entry.status)] += 1

    def since(self, number: int) -> list[dict[str, Any]]:
        """The kept requests after the `number`-th."""
        return [asdict(entry) for entry in self._entries if entry.n > number]

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """Side → kind → status → how many; status 0 is a connection cut instead of an answer."""
        nested: dict[str, dict[str, dict[str, int]]] = {}
        for (side, kind, status), number in self._counts.items():
            nested.setdefault(side, {}).setdefault(kind, {})[status] = number
        return nested


def mask_query(query: str) -> str:
    """The query without the value of a key."""
    pairs = parse_qsl(query, keep_blank_values=True)
    return urlencode(
        [(name, "***" if name.lower() in SECRET_PARAMETERS else value) for name, value in pairs]
    )
