"""The second process: the same work, and never in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrate.net.retry import TransientError
from migrate.snapshot.spool import Spool
from migrate.source.resources import PROFILES
from migrate.source.work import Failed, PageDone, PageTask, perform
from migrate.source.worker_pool import WorkerPool, open_workshop
from tests.harness import wait_until

BODY = b'{"total_items":2,"items":[{"profileid":"1","v":1.10,"n":{"a":"\\ud83d"}},{"profileid":"2","w":null}]}'


@pytest.fixture
def workshop() -> Iterator[WorkerPool]:
    """A workshop with a second process."""
    with open_workshop(lambda: WorkerPool(cores=2)) as shop:
        shop.expect(1_000_000)
        assert shop._worker is not None
        yield shop


def spool(folder: Path) -> Spool:
    """An open spool."""
    found = Spool(folder)
    found.open()
    return found


def test_both_processes_give_the_same(workshop: WorkerPool, tmp_path: Path) -> None:
    """The page's file has the same bytes, whoever made it."""
    one, other = spool(tmp_path / "one"), spool(tmp_path / "other")
    here = perform(PageTask(str(one.folder), PROFILES.fields, 3, BODY, 0))
    there = workshop._ask_worker(PageTask(str(other.folder), PROFILES.fields, 3, BODY, 0))
    assert isinstance(here, PageDone)
    assert here == there
    assert one.read(here.entry) == other.read(here.entry)


def test_the_hash_of_a_pages_file_is_of_its_records_only(tmp_path: Path) -> None:
    """Totals may move; a record's boundary may not. So a page that comes twice is known again."""
    store, bodies = (
        spool(tmp_path),
        (b'{"total_items":1,"items":["ab","c"]}', b'["ab","c"]', b'["a","bc"]'),
    )
    done = [
        perform(PageTask(str(store.folder), PROFILES.fields, n, body, 0))
        for n, body in enumerate(bodies, 1)
    ]
    one, same, other = (result.entry.file_sha256 for result in done if isinstance(result, PageDone))
    assert one == same != other


def test_what_a_kill_left_half_written_goes(tmp_path: Path) -> None:
    """Nobody would look for it under its name."""
    half = tmp_path / ".part-00001.parquet.4711.tmp"
    half.write_bytes(b"PAR1")
    spool(tmp_path)
    assert not half.exists()


def test_a_broken_body_is_a_passing_fault_from_either(workshop: WorkerPool, tmp_path: Path) -> None:
    """The reason comes back, and the process goes on working."""
    task = PageTask(str(spool(tmp_path).folder), PROFILES.fields, 1, b"<html>", 0)
    found = workshop._ask_worker(task)
    assert found == perform(task)
    assert isinstance(found, Failed)
    assert isinstance(found.error(), TransientError)


def test_a_folder_that_is_gone_is_a_fault_of_the_workspace(
    workshop: WorkerPool, tmp_path: Path
) -> None:
    """With its path, from either process."""
    task = PageTask(str(tmp_path / "gone"), PROFILES.fields, 1, BODY, 0)
    found = workshop._ask_worker(task)
    assert found == perform(task)
    assert isinstance(found, Failed)
    assert "gone" in found.what
    assert not found.may_pass


def test_work_goes_on_without_a_killed_process(workshop: WorkerPool, tmp_path: Path) -> None:
    """Its task is done here instead."""
    worker = workshop._worker
    assert worker is not None
    worker.send_signal(signal.SIGKILL)
    task = PageTask(str(spool(tmp_path).folder), PROFILES.fields, 1, BODY, 0)
    assert all(
        isinstance(result, PageDone)
        for result in workshop.spread(workshop.perform, [task, task, task])
    )


def test_few_records_need_no_second_process() -> None:
    """Nor does a machine with one core."""
    with (
        open_workshop(lambda: WorkerPool(cores=2)) as small,
        open_workshop(lambda: WorkerPool(cores=1)) as single,
    ):
        small.expect(100)
        single.expect(1_000_000)
        assert (small._worker, single._worker) == (None, None)


def test_the_second_process_ends_with_the_first(tmp_path: Path) -> None:
    """Also when the first one is killed."""
    code = (
        "import sys, time\n"
        "from migrate.source.worker_pool import WorkerPool\n"
        "shop = WorkerPool(cores=2); shop.expect(10**6)\n"
        "print(shop._worker.pid, flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_alive(child))


def is_alive(pid: int) -> bool:
    """Whether a process is there and no mere zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/stat").exists():
        return True
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):  # gone since it was asked
        return False
