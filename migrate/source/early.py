"""Parts written while pages still come in, so that a slow service leaves little to do at the end.

Only a guess: at the end a part counts where its very pages are to be in it and no row of them is left out; else it is
written again. So what comes out is the same as without this.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from migrate.snapshot.parts import PartTask, cut, part_task
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.work import Result
from migrate.source.worker_pool import WorkerPool


class EarlyParts:
    """Watches a spool; `look` from the thread that records pages. One part at a time is written, in another thread."""

    def __init__(self, workshop: WorkerPool, spool: Spool) -> None:
        self._workshop = workshop
        self._spool = spool
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="part")
        self._begun: list[tuple[PartTask, Future[Result]]] = []
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
            self._begun.append((task, self._pool.submit(self._workshop.perform, task)))
        self._waiting = list(rest)

    def restart(self) -> None:
        """All pages are read again."""
        for _, future in self._begun:
            future.cancel()
        self._waiting, self._parts, self._next_page = [], 0, 1

    def finish(self, tasks: Sequence[PartTask]) -> dict[str, Future[Result]]:
        """By path, those of these tasks that are written or being written now; from here on none is begun."""
        begun = [(task, future) for task, future in self._begun if not future.cancel()]
        wanted = {task.path: task for task in tasks}
        # A guess that has turned out wrong must not be written over what is right.
        wait([future for task, future in begun if wanted.get(task.path) != task])
        return {task.path: future for task, future in begun if wanted.get(task.path) == task}

    def close(self) -> None:
        """Ends without another part."""
        self._pool.shutdown(wait=True, cancel_futures=True)
