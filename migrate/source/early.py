"""Parts written while pages still come in, so that a slow service leaves little to do at the end.

Only a guess: at the end a part counts where its very pages are to be in it and no row of them is left out; else it is
written again. So what comes out is the same as without this.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from migrate.snapshot.parts import PartTask, cut, part_task
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.work import Result
from migrate.source.workshop import Workshop


class EarlyParts:
    """Watches a spool; `look` from the thread that records pages. One part at a time is written, in another thread."""

    def __init__(self, workshop: Workshop, spool: Spool) -> None:
        self._workshop = workshop
        self._spool = spool
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="part")
        self._written: dict[str, tuple[PartTask, Future[Result]]] = {}
        self._waiting: list[PageEntry] = []
        self._parts = 0
        self._next_page = 1

    def look(self) -> None:
        """Begins the parts whose pages are all there."""
        while (entry := self._spool.pages.get(self._next_page)) is not None:
            self._next_page += 1
            if entry.rows:
                self._waiting.append(entry)
        *closed, rest = cut(self._waiting) or [()]
        for entries in closed:
            self._parts += 1
            task = part_task(self._spool, self._parts, entries, {})
            self._written[task.path] = task, self._pool.submit(self._workshop.perform, task)
        self._waiting = list(rest)

    def restart(self) -> None:
        """All pages are read again."""
        self._waiting, self._parts, self._next_page = [], 0, 1

    def finish(self, tasks: Sequence[PartTask]) -> dict[str, Result]:
        """By path, what is written already of these tasks; from here on nothing else is begun."""
        wanted = {task.path: task for task in tasks}
        for path, (task, future) in self._written.items():
            if wanted.get(path) != task:
                future.cancel()
        self._pool.shutdown(wait=True)
        return {path: future.result() for path, (task, future) in self._written.items() if wanted.get(path) == task}

    def close(self) -> None:
        """Ends without another part."""
        self._pool.shutdown(wait=True, cancel_futures=True)
