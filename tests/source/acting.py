"""What happens in the source while it is read: between the pages of an extract."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from migrate.source.client import PageRequest, SourceClient

Act = Callable[[int], None]


@contextmanager
def after_pages(
    client: SourceClient, size: int, monkeypatch: pytest.MonkeyPatch, act: Act
) -> Iterator[None]:
    """Calls `act` with the count of whole pages that came so far, after each of them and before the next request."""
    lock, count, ask = threading.Lock(), [0], client.ask

    def asked(wanted: PageRequest) -> bytes:
        found = ask(wanted)
        if wanted.size == size:
            with lock:
                count[0] += 1
                act(count[0])
        return found

    monkeypatch.setattr(client, "ask", asked)
    yield


def extract_while(bench: Any, monkeypatch: pytest.MonkeyPatch, act: Act) -> Any:
    """An extract, page by page, during which `act` is called."""
    bench.concurrency = 1
    with bench.client() as client, after_pages(client, bench.page_size, monkeypatch, act):
        return bench.extract_with(client)
