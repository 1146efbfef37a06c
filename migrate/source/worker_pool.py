"""Where the heavy work of an extract is done: one task at a time here, and one in a second process where that pays.

Threads that parse at the same time only take turns at Python's lock, and slow one another down; so downloads have many
threads, and work has one place in each process.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from migrate.source.work import Result, Task, perform
from migrate.source.worker import ask

S = TypeVar("S")
T = TypeVar("T")
_WORKER_PAYS_FROM_RECORDS = 20_000
_OBJECTS_BEFORE_COLLECTING = 100_000
_TURN_S = 0.001


class WorkerPool:
    """Performs tasks, called from any number of threads; what it gives back does not depend on where they are done."""

    def __init__(self, *, cores: int | None = None) -> None:
        self._here = threading.Lock()
        self._there = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None
        self._may_start = (cores or _usable_cores()) > 1 and bool(sys.executable)

    def expect(self, records: int) -> None:
        """Begins the second process where so many records are worth it."""
        if self._may_start and records >= _WORKER_PAYS_FROM_RECORDS:
            self._may_start = False
            with contextlib.suppress(OSError):
                self._worker = _start_worker()

    def perform(self, task: Task) -> Result:
        """What became of a task."""
        if self._worker is not None and self._there.acquire(blocking=False):
            try:
                found = self._ask_worker(task)
            finally:
                self._there.release()
            if found is not None:
                return found
        with self._here:
            return perform(task)

    def spread(self, call: Callable[[S], T], items: Sequence[S]) -> list[T]:
        """What `call`, which performs a task, makes of each item, in order; with work for both processes."""
        with ThreadPoolExecutor(2, thread_name_prefix="work") as pool:
            return list(pool.map(call, items))

    def close(self) -> None:
        """Ends the second process."""
        worker, self._worker = self._worker, None
        if worker is not None:
            _end(worker)

    def _ask_worker(self, task: Task) -> Result | None:
        worker = self._worker
        if worker is None or worker.stdin is None or worker.stdout is None:
            return None
        try:
            return ask(task, worker.stdin, worker.stdout)
        except (EOFError, OSError):
            self._worker = (
                None  # killed, perhaps for want of memory; the work is done here from now on
            )
            worker.kill()
            _end(worker)
            return None


@contextlib.contextmanager
def open_workshop(make: Callable[[], WorkerPool] = WorkerPool) -> Iterator[WorkerPool]:
    """A workshop, closed at the end. Meanwhile Python looks for cycles of garbage rarely: records make none.

    And its threads take shorter turns, since a download needs many short ones beside the long ones of the work.
    """
    before, turn_s = gc.get_threshold(), sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    gc.freeze()
    gc.set_threshold(_OBJECTS_BEFORE_COLLECTING, *before[1:])
    workshop = make()
    try:
        yield workshop
    finally:
        workshop.close()
        gc.set_threshold(*before)
        gc.unfreeze()
        sys.setswitchinterval(turn_s)


def _start_worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "migrate.source.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        start_new_session=True,  # Ctrl-C is for the extract alone, which lets the worker finish
    )


def _end(worker: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        worker.communicate()  # closes both pipes, also where something unsent is left in one


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
