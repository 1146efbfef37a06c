"""Parts written on a guess, while pages still come in."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from migrate.snapshot.parts import PartDone, PartTask, plan_parts
from migrate.snapshot.spool import PageEntry, Spool
from migrate.source.early import EarlyParts
from migrate.source.work import Result, Task
from migrate.source.worker_pool import WorkerPool


class Held(WorkerPool):
    """Begins every task but ends none before it is let go."""

    def __init__(self) -> None:
        super().__init__(cores=1)
        self.begun: list[Task] = []
        self.is_begun, self.go = threading.Event(), threading.Event()

    def perform(self, task: Task) -> Result:
        """Nothing is written."""
        assert isinstance(task, PartTask)
        self.begun.append(task)
        self.is_begun.set()
        self.go.wait(300)
        return PartDone(task.path, 1, 1, "", ())


def spool_of(folder: Path, content: str) -> Spool:
    """A spool with three pages, as far as its list goes."""
    spool = Spool(folder)
    spool._state.pages = {
        n: PageEntry(n, 1, 9, "", f"{n}-{content}.page", content) for n in (1, 2, 3)
    }
    return spool


def test_a_part_of_pages_that_have_moved_is_waited_for_and_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would otherwise be written over the right one of the same name."""
    monkeypatch.setattr("migrate.snapshot.parts.PART_PAGES", 1)
    workshop, spool = Held(), spool_of(tmp_path, "old")
    early = EarlyParts(workshop, spool)
    early.look()
    assert workshop.is_begun.wait(300)
    spool._state.pages = spool_of(tmp_path, "new").pages
    early.restart()
    early.look()
    with ThreadPoolExecutor(1) as pool:
        found: Future[dict[str, Future[Result]]] = pool.submit(early.finish, plan_parts(spool, {}))
        assert not workshop.go.wait(0.05)
        assert not found.done()
        workshop.go.set()
        assert found.result(300) == {}
    early.close()
    assert len(workshop.begun) == 1


def test_a_part_that_is_right_is_not_waited_for_but_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others can be written meanwhile."""
    monkeypatch.setattr("migrate.snapshot.parts.PART_PAGES", 1)
    workshop, spool = Held(), spool_of(tmp_path, "same")
    early = EarlyParts(workshop, spool)
    early.look()
    assert workshop.is_begun.wait(300)
    found = early.finish(plan_parts(spool, {}))
    assert [Path(path).name for path in found] == ["part-00001.parquet"]
    workshop.go.set()
    early.close()
    assert [future.result() for future in found.values()] == [
        PartDone(next(iter(found)), 1, 1, "", ())
    ]
