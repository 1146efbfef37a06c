"""Work done ahead of the one who takes it, in order: polars leaves Python free while it reads and works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 2


def work_ahead(act: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    """What `act` makes of each part, in order; up to `AT_ONCE` of them are worked on at once, while one is taken."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        waiting: deque[Future[R]] = deque()
        for part in parts:
            waiting.append(pool.submit(act, part))
            if len(waiting) == AT_ONCE:
                yield waiting.popleft().result()
        for made in waiting:
            yield made.result()


def read_ahead(parts: Iterator[T]) -> Iterator[T]:
    """The same parts; each is asked for, in a thread of its own, before the one before it is done with."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, parts, None)
        while (part := coming.result()) is not None:
            coming = pool.submit(next, parts, None)
            yield part
