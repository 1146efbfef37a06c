"""A person in an extract that is not finished, and in files that have another name elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from migrate.app.context import Context
from migrate.app.erasure import erase_person
from migrate.app.purge import run_purge
from migrate.config import load_project
from migrate.errors import Interrupted, Locked
from migrate.progress import Silence
from migrate.project import start_project
from migrate.report.purge import exit_code_of
from migrate.snapshot.layout import LOCK
from migrate.snapshot.records import read_page_file
from migrate.source.import_files import ImportRequest, import_files
from migrate.source.resources import RESOURCES
from migrate.verify.purge import personal_files

from .conftest import make_job
from .test_erasure import KEYS, OTHERS, files_of, import_and_plan, rows_left

ADDRESS = "a@example.test"
NAMES = ("profiles", "sales", "interactions")


class _StopsIn(Silence):
    """Sets the stop once something was read of a resource."""

    def __init__(self, resource: str, stop: threading.Event) -> None:
        self.resource, self.stop = resource, stop

    def advance(self, task: str, count: int, *, total: int | None = None) -> None:
        """A page was stored."""
        if task == self.resource:
            self.stop.set()


def interrupted_import(folder: Path, files: Path, during: str) -> Context:
    """A project whose only extract was stopped after the first page of a resource."""
    start_project(folder)
    (folder / "migrate.toml").write_text('[datatrics]\nproject_id = "1"\n')
    context = make_job(load_project(folder / "migrate.toml", KEYS))
    stop = threading.Event()
    with pytest.raises(Interrupted):
        take_files(context, files, _StopsIn(during, stop), stop)
    return context


def take_files(context: Context, files: Path, progress: Any, stop: threading.Event) -> Any:
    """The extract of the files, two records a page; it goes on where there is an unfinished one."""
    request = ImportRequest(
        folder=files, resources=tuple(RESOURCES[name] for name in NAMES), named=(), snapshot=None,
        page_sizes=dict.fromkeys(NAMES, 2), project_id="1",
    )  # fmt: skip
    return import_files(context.workspace, request, progress, stop, lambda: datetime.now(UTC))


def pages_with(context: Context, text: str) -> list[Path]:
    """The page files that hold a text, unpacked."""
    pages = context.workspace.snapshots.glob("*/*/pages/*.page")
    records = {page: read_page_file(page) for page in pages}
    return [
        page
        for page, found in records.items()
        if found and any(text.encode() in item for item in found.items)
    ]


def test_pages_that_hold_them_go_and_the_extract_goes_on(tmp_path: Path) -> None:
    """Neither refused nor lost: other people's page stays, and the finished snapshot has whatever the files have."""
    files = files_of(tmp_path / "f", "p-1717", ADDRESS)
    context = interrupted_import(tmp_path / "p", files, "profiles")
    assert pages_with(context, ADDRESS)
    planned = erase_person(context, ADDRESS, None, dry_run=True)
    assert pages_with(context, ADDRESS)
    erased = erase_person(context, ADDRESS, None)
    assert (erased.records, erased.places) == (1, ())
    assert [name for name in planned.removed if name.endswith(".page")]
    assert planned.removed == erased.removed
    assert not pages_with(context, ADDRESS)
    assert "unfinished" in str([one.what for one in erased.outside])
    # At the source, which are these files here, they are erased as well.
    for name in NAMES:
        records = json.loads((files / f"{name}.json").read_bytes())
        (files / f"{name}.json").write_text(json.dumps(records[1:]))
    take_files(context, files, Silence(), threading.Event())
    parts = context.workspace.snapshots.glob("*/profiles/part-*.parquet")
    assert sum(pl.read_parquet(part).height for part in parts) == OTHERS
    assert rows_left(context, ADDRESS) == {}


def test_what_is_sealed_already_stays_sealed(tmp_path: Path) -> None:
    """Profiles were done when sales were interrupted: they are not read again for a row that was taken out."""
    files = files_of(tmp_path / "f", "p-1717", ADDRESS)
    context = interrupted_import(tmp_path / "p", files, "sales")
    [result] = context.workspace.snapshots.glob("*/profiles/result.json")
    assert not erase_person(context, ADDRESS, None).places
    [part] = result.parent.glob("part-*.parquet")
    before = part.read_bytes()
    assert pl.read_parquet(part)["_id"].to_list() == [f"other-{n}" for n in range(OTHERS)]
    found = take_files(context, files, Silence(), threading.Event())
    assert part.read_bytes() == before
    assert sorted(found.resources) == sorted(NAMES)


def test_a_page_that_nobody_can_read_is_removed(tmp_path: Path) -> None:
    """A crash left half of it, and the extract reads it again anyway."""
    context = interrupted_import(
        tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS), "profiles"
    )
    [page] = pages_with(context, ADDRESS)
    for number, data in enumerate((b"", b"\x00" * 40, page.read_bytes()[:-5])):
        page.with_name(f"0000009{number}-0.page").write_bytes(data)
    assert not erase_person(context, ADDRESS, None).places
    assert not list(page.parent.glob("0000009*"))


@pytest.mark.parametrize("call", [lambda c: erase_person(c, ADDRESS, None), run_purge])
def test_a_running_extract_is_not_disturbed(
    tmp_path: Path, call: Callable[[Context], object]
) -> None:
    """It holds its snapshot: who purges has to wait, or stop it."""
    context = interrupted_import(
        tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS), "profiles"
    )
    [name] = context.workspace.names(context.workspace.snapshots)
    lock = context.workspace.snapshots / name / LOCK
    with context.workspace.lock(lock, "the snapshot"), pytest.raises(Locked):
        call(context)
    run_purge(context)
    assert not pages_with(context, "")
    assert personal_files(context.workspace) == ([], [])


def test_a_damaged_part_is_named_and_stops_nothing(tmp_path: Path) -> None:
    """The other files of the workspace are done all the same; exit code 4."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS))
    [part] = context.workspace.snapshots.glob("*/sales/part-*.parquet")
    part.write_bytes(part.read_bytes()[:-20])
    erased = erase_person(context, ADDRESS, None)
    assert {place.where for place in erased.places} == {"cannot be read as Parquet"}
    assert exit_code_of(erased) == 4
    # the part, and the note of the erasure, which stays until nothing is left
    left = {Path(name).parent.name for name in rows_left(context, ADDRESS)}
    assert left == {"sales", ""}


@pytest.mark.skipif(sys.platform == "win32", reason="inodes are others there")
@pytest.mark.parametrize("kind", ["part", "report", "log"])
def test_a_file_with_another_name_elsewhere_is_named(tmp_path: Path, kind: str) -> None:
    """That name would keep the person. Once it is gone, the same command erases the file and ends with 0."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS))
    file = {
        "part": next(context.workspace.snapshots.glob("*/profiles/part-*.parquet")),
        "report": context.workspace.reports / "x-run.html",
        "log": context.workspace.log / "20260101.jsonl",
    }[kind]
    if kind != "part":
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{{"m": "{ADDRESS}"}}\n')
    other = tmp_path / "backup"
    os.link(file, other)
    before = other.read_bytes()
    planned = erase_person(context, ADDRESS, None, dry_run=True)
    erased = erase_person(context, ADDRESS, None)
    name = file.relative_to(context.workspace.root).as_posix()
    assert [line for line in planned.linked if line.startswith(name)]
    assert (exit_code_of(erased), other.read_bytes()) == (4, before)
    assert str(other.stat().st_ino) in str(erased.linked)
    other.unlink()
    again = erase_person(context, ADDRESS, None)
    assert (exit_code_of(again), rows_left(context, ADDRESS)) == (0, {})


@pytest.mark.skipif(sys.platform == "win32", reason="inodes are others there")
def test_a_purge_names_what_has_another_name_elsewhere(tmp_path: Path) -> None:
    """It goes from the workspace; two names within it are no trouble."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS))
    [part] = context.workspace.snapshots.glob("*/profiles/part-*.parquet")
    [sales] = context.workspace.snapshots.glob("*/sales/part-*.parquet")
    os.link(part, tmp_path / "backup")
    os.link(sales, sales.with_name("part-00002.parquet"))
    planned = run_purge(context, dry_run=True)
    done = run_purge(context)
    name = part.relative_to(context.workspace.root).as_posix()
    assert planned.linked == done.linked
    assert done.linked == (f"{name}: find / -xdev -inum {(tmp_path / 'backup').stat().st_ino}",)
    [record] = json.loads((context.workspace.root / "purged.json").read_bytes())
    assert record["linked"] == list(done.linked)
    assert not part.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="nobody can ask there whether a process runs")
def test_what_a_killed_command_was_writing_goes(tmp_path: Path) -> None:
    """Rows in half a file cannot be searched; what a process that is at work writes is its own."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS))
    rows = next(context.workspace.plans.glob("*/contacts/*.parquet"))
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], stdout=subprocess.PIPE, check=True
    )
    killed = rows.with_name(f".{rows.name}.{int(ended.stdout)}.tmp")
    at_work = rows.with_name(f".{rows.name}.{os.getppid()}.tmp")
    killed.write_bytes(rows.read_bytes()[:-100])
    at_work.touch()
    erase_person(context, ADDRESS, None, dry_run=True)
    assert killed.exists()
    erase_person(context, ADDRESS, None)
    assert not killed.exists()
    assert at_work.exists()


def test_an_example_of_a_loss_goes_with_the_record_that_it_is_of(tmp_path: Path) -> None:
    """However common its value is: the list says whose it was."""
    context = import_and_plan(tmp_path / "p", files_of(tmp_path / "f", "p-1717", ADDRESS))
    [file] = context.workspace.plans.glob("*/contacts/losses.parquet")
    # A time without a zone, the same of all four people.
    common = pl.read_parquet(file).filter(column="created_at")
    assert common.select("before", "source", "id").rows() == [
        ("2024-01-01 00:00:00", "Shop", "p-1717")
    ]
    erase_person(context, ADDRESS, None)
    assert pl.read_parquet(file).filter(column="created_at").height == 0
